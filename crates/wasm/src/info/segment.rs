//! Segments: what tables and memories are initialized with.

use super::const_expr::ConstExpr;
use super::span::Span;
use crate::types::ValType;

/// When a segment is copied to where.
#[derive(Clone, Debug)]
pub enum SegmentMode {
    /// At instantiation, to `offset` in the memory or table number `target`.
    Active {
        /// Which memory or table.
        target: u32,
        /// Where in it.
        offset: ConstExpr,
    },
    /// When the program says so.
    Passive,
    /// Never: an element segment that only announces functions of which references will be made.
    Declared,
}

/// References to initialize a table with.
#[derive(Clone, Debug)]
pub struct ElementSegment {
    /// When and where.
    pub mode: SegmentMode,
    /// The type of the references.
    pub ty: ValType,
    /// The references.
    pub items: ElementItems,
}

/// The references of an element segment.
#[derive(Clone, Debug)]
pub enum ElementItems {
    /// All are to functions of the module.
    Functions(Box<[u32]>),
    /// Anything.
    Expressions(Box<[ConstExpr]>),
}

/// One reference of an element segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElementItem<'a> {
    /// To a function of the module.
    Function(u32),
    /// The value of an expression.
    Expression(&'a ConstExpr),
}

impl ElementItems {
    /// How many references there are.
    pub fn len(&self) -> usize {
        match self {
            ElementItems::Functions(functions) => functions.len(),
            ElementItems::Expressions(expressions) => expressions.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The reference number `index`.
    pub fn get(&self, index: usize) -> Option<ElementItem<'_>> {
        match self {
            ElementItems::Functions(functions) => {
                functions.get(index).copied().map(ElementItem::Function)
            }
            ElementItems::Expressions(expressions) => {
                expressions.get(index).map(ElementItem::Expression)
            }
        }
    }

    /// All references in order.
    pub fn iter(&self) -> impl Iterator<Item = ElementItem<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// Bytes to initialize a memory with.
#[derive(Clone, Debug)]
pub struct DataSegment {
    /// When and where; never [`SegmentMode::Declared`].
    pub mode: SegmentMode,
    /// Where in the module the bytes are.
    pub bytes: Span,
}
