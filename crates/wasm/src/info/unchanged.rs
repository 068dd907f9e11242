//! What a module never changes, in whatever instance: found by looking through all of its code.
//!
//! A table that neither other modules nor the embedder can get at, and that no instruction of the module writes, has at all
//! times what the element segments put there. So its elements are known when code is compiled, and so is the value of a
//! mutable global that nothing sets, and the size of a memory that nothing grows. Compilers leave many such tables: C's and
//! Rust's function pointers are elements of one that is filled when the program starts. What is found is a fact, not an
//! assumption, so no code has to be thrown away because of it.

use super::const_expr::{ConstExpr, ConstOp};
use super::features::FEATURES;
use super::segment::{ElementItem, ElementSegment, SegmentMode};
use super::span::Span;
use crate::types::TableType;
use memchr::{memchr_iter, memchr3_iter};
use std::collections::{HashMap, HashSet};
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// A module with more code than this is not looked through: most of it has never been in memory.
const CODE_BYTES_MAX: usize = 16 << 20;
/// Tables with more elements are not looked at.
const ELEMENTS_MAX: u32 = 1 << 20;

/// What is looked at of a module.
pub(super) struct Parts<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) bodies: &'a [Span],
    pub(super) tables: &'a [TableType],
    pub(super) imported_tables: u32,
    pub(super) exported_tables: HashSet<u32>,
    pub(super) globals: u32,
    /// The memories that nobody but the module can get at and that could be grown.
    pub(super) private_memories: HashSet<u32>,
    pub(super) elements: &'a [ElementSegment],
}

/// What a module never changes.
#[derive(Debug, Default)]
pub(super) struct Unchanged {
    /// The mutable globals that something sets.
    written_globals: HashSet<u32>,
    /// The memories that something grows.
    grown_memories: HashSet<u32>,
    /// The tables that nothing writes.
    tables: HashMap<u32, Elements>,
    /// Whether the code was looked through.
    is_known: bool,
}

/// The elements of a table that nothing writes.
#[derive(Debug)]
struct Elements {
    /// The function that each is a reference to; none if it is null.
    functions: Vec<Option<u32>>,
    /// Where each function is, if it is in one place.
    places: HashMap<u32, Option<u32>>,
}

/// The opcodes of what writes: `global.set`, `table.set`, `memory.grow`, and the prefix of the others.
const GLOBAL_SET: u8 = 0x24;
const TABLE_SET: u8 = 0x26;
const MEMORY_GROW: u8 = 0x40;
const PREFIX: u8 = 0xfc;
/// Behind the prefix: `table.init`, `table.copy`, `table.grow` and `table.fill`.
const TABLE_OPERATORS: [u32; 4] = [12, 14, 15, 17];

/// The number that these bytes begin with, in LEB128; `None` if it is none of 32 bits.
fn index(bytes: &[u8]) -> Option<u32> {
    BinaryReader::new(bytes, 0).read_var_u32().ok()
}

/// What the code of a module writes.
#[derive(Default)]
struct Written {
    globals: HashSet<u32>,
    tables: HashSet<u32>,
    memories: HashSet<u32>,
}

impl Unchanged {
    /// Looks through a module.
    pub(super) fn of(module: &Parts<'_>) -> Unchanged {
        let Some(written) = Written::by(module) else {
            return Unchanged::default();
        };
        let own = module.imported_tables..module.tables.len() as u32;
        let unchanged =
            own.filter(|t| !module.exported_tables.contains(t) && !written.tables.contains(t));
        let elements = |table| Some((table, Elements::of(module, table)?));
        Unchanged {
            tables: match segments_fit(module) {
                true => unchanged.filter_map(elements).collect(),
                false => HashMap::new(),
            },
            written_globals: written.globals,
            grown_memories: written.memories,
            is_known: true,
        }
    }

    /// Whether nothing sets that global, which nobody but the module can get at.
    pub(super) fn has_global(&self, index: u32) -> bool {
        self.is_known && !self.written_globals.contains(&index)
    }

    /// Whether nothing grows that memory, which nobody but the module can get at.
    pub(super) fn has_memory(&self, index: u32) -> bool {
        self.is_known && !self.grown_memories.contains(&index)
    }

    /// The function that an element is a reference to, if that is known and it is not null.
    pub(super) fn function(&self, table: u32, element: u32) -> Option<u32> {
        *self.tables.get(&table)?.functions.get(element as usize)?
    }

    /// The one element of a table that is a reference to that function.
    pub(super) fn only_element(&self, table: u32, function: u32) -> Option<u32> {
        *self.tables.get(&table)?.places.get(&function)?
    }
}

impl Written {
    /// `None` if there is too much code, or some of it cannot be read: it may not have been validated yet.
    fn by(module: &Parts<'_>) -> Option<Written> {
        let bytes = module.bodies.iter().map(|body| body.byte_count() as usize);
        if bytes.sum::<usize>() > CODE_BYTES_MAX {
            return None;
        }
        let mut written = Written::default();
        for span in module.bodies {
            let bytes = span.of(module.bytes);
            if !written.may_tell_more(module, bytes) {
                continue;
            }
            let reader = BinaryReader::new_features(bytes, span.start.into(), FEATURES);
            let mut operators = FunctionBody::new(reader).get_operators_reader().ok()?;
            while !operators.eof() {
                written.add(&operators.read().ok()?);
            }
        }
        Some(written)
    }

    /// Whether a body has to be read: whether there are bytes in it, be they operators or not, that would write something that is
    /// not known to be written. That is looked for at a gigabyte a second, and most bodies write nothing new.
    fn may_tell_more(&self, module: &Parts<'_>, body: &[u8]) -> bool {
        let memories = module.private_memories.difference(&self.memories);
        // The byte is a block's type, too, so it is looked for only where the answer may matter.
        let may_grow = memories.count() > 0
            && memchr_iter(MEMORY_GROW, body).any(|at| {
                index(&body[at + 1..]).is_some_and(|i| module.private_memories.contains(&i))
            });
        may_grow
            || memchr3_iter(GLOBAL_SET, TABLE_SET, PREFIX, body).any(|at| {
                let Some(index) = index(&body[at + 1..]) else {
                    return false;
                };
                match body[at] {
                    GLOBAL_SET => index < module.globals && !self.globals.contains(&index),
                    TABLE_SET => {
                        (index as usize) < module.tables.len() && !self.tables.contains(&index)
                    }
                    _ => TABLE_OPERATORS.contains(&index),
                }
            })
    }

    fn add(&mut self, operator: &Operator<'_>) {
        match *operator {
            Operator::GlobalSet { global_index } => {
                self.globals.insert(global_index);
            }
            Operator::MemoryGrow { mem } => {
                self.memories.insert(mem);
            }
            Operator::TableSet { table }
            | Operator::TableGrow { table }
            | Operator::TableFill { table }
            | Operator::TableInit { table, .. }
            | Operator::TableCopy {
                dst_table: table, ..
            } => {
                self.tables.insert(table);
            }
            _ => {}
        }
    }
}

/// Whether all element segments are copied in every instance. Otherwise there may be code that runs though its instance was
/// never finished: functions of it may be in the tables of others by then.
fn segments_fit(module: &Parts<'_>) -> bool {
    module.elements.iter().all(|segment| match &segment.mode {
        SegmentMode::Active { target, offset } => {
            let size = u128::from(module.tables[*target as usize].min);
            let end = offset.constant().map(|at| at + segment.items.len() as u128);
            *target >= module.imported_tables && end.is_some_and(|end| end <= size)
        }
        SegmentMode::Passive | SegmentMode::Declared => true,
    })
}

impl Elements {
    /// The elements of a table that nothing writes, if they are null or references to functions that are named.
    fn of(module: &Parts<'_>, table: u32) -> Option<Elements> {
        let size = module.tables[table as usize].min;
        if size > ELEMENTS_MAX {
            return None;
        }
        let mut functions = vec![None; size as usize];
        for segment in module.elements {
            let SegmentMode::Active { target, offset } = &segment.mode else {
                continue;
            };
            if *target != table {
                continue;
            }
            let start = usize::try_from(offset.constant()?).ok()?;
            let places = functions.get_mut(start..)?.iter_mut();
            for (place, item) in places.zip(segment.items.iter()) {
                *place = match item {
                    ElementItem::Function(function) => Some(function),
                    ElementItem::Expression(ConstExpr::Op(ConstOp::RefFunc(function))) => {
                        Some(*function)
                    }
                    ElementItem::Expression(ConstExpr::Op(ConstOp::Value(0))) => None,
                    ElementItem::Expression(_) => return None,
                };
            }
        }
        let mut places = HashMap::new();
        for (element, function) in (0..).zip(&functions) {
            if let Some(function) = *function {
                let only = |place: &mut Option<u32>| *place = None;
                places
                    .entry(function)
                    .and_modify(only)
                    .or_insert(Some(element));
            }
        }
        Some(Elements { functions, places })
    }
}
