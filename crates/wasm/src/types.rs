//! The types of WebAssembly as the embedding sees them, and how they become CLIF types and signatures.
//!
//! Function types are interned for the whole process: equal types share one allocation and have one *canonical id*, by
//! which compiled code checks an indirect call, whichever modules caller and callee come from. A type's id is used again
//! only once nothing holds the type any more.

use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64};
use cranelift_codegen::ir::{AbiParam, ArgumentPurpose, Signature, Type};
use cranelift_codegen::isa::CallConv;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ValType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A vector of 128 bits.
    V128,
    /// A reference to a function, or null.
    FuncRef,
    /// A reference to something of the host's, or null.
    ExternRef,
}

impl ValType {
    /// Whether values of this type are references.
    pub fn is_ref(self) -> bool {
        matches!(self, ValType::FuncRef | ValType::ExternRef)
    }

    /// A list of this type alone.
    pub(crate) fn as_slice(self) -> &'static [ValType] {
        match self {
            ValType::I32 => &[ValType::I32],
            ValType::I64 => &[ValType::I64],
            ValType::F32 => &[ValType::F32],
            ValType::F64 => &[ValType::F64],
            ValType::V128 => &[ValType::V128],
            ValType::FuncRef => &[ValType::FuncRef],
            ValType::ExternRef => &[ValType::ExternRef],
        }
    }

    /// How values of this type are represented in CLIF.
    pub fn clif_type(self) -> Type {
        match self {
            ValType::I32 => I32,
            ValType::I64 | ValType::FuncRef | ValType::ExternRef => I64,
            ValType::F32 => F32,
            ValType::F64 => F64,
            ValType::V128 => I8X16,
        }
    }

    /// The type that the decoder speaks of; `None` for one of a proposal that is not supported.
    pub(crate) fn from_wasmparser(ty: wasmparser::ValType) -> Option<ValType> {
        match ty {
            wasmparser::ValType::I32 => Some(ValType::I32),
            wasmparser::ValType::I64 => Some(ValType::I64),
            wasmparser::ValType::F32 => Some(ValType::F32),
            wasmparser::ValType::F64 => Some(ValType::F64),
            wasmparser::ValType::V128 => Some(ValType::V128),
            wasmparser::ValType::Ref(ty) => ValType::from_wasmparser_ref(ty),
        }
    }

    /// The same for a reference type.
    pub(crate) fn from_wasmparser_ref(ty: wasmparser::RefType) -> Option<ValType> {
        match ty {
            wasmparser::RefType::FUNCREF => Some(ValType::FuncRef),
            wasmparser::RefType::EXTERNREF => Some(ValType::ExternRef),
            _ => None,
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::V128 => "v128",
            ValType::FuncRef => "funcref",
            ValType::ExternRef => "externref",
        })
    }
}

/// The type of a function: what it takes and what it gives.
///
/// Cloning is cheap, and so are comparing and hashing.
#[derive(Clone)]
pub struct FuncType(Arc<Interned>);

/// The only copy of a function type.
struct Interned {
    id: u32,
    key: Key,
}

/// All parameters and results, and how many of them are parameters.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    values: Arc<[ValType]>,
    params: usize,
}

/// Every function type that is alive.
#[derive(Default)]
struct Registry {
    types: HashMap<Key, (u32, Weak<Interned>)>,
    free_ids: Vec<u32>,
    ids: u32,
}

fn registry() -> MutexGuard<'static, Registry> {
    static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();
    // Every change of the registry is complete before anything in it can panic.
    REGISTRY
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

impl FuncType {
    /// The type of functions from `params` to `results`.
    pub fn new(
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> FuncType {
        let mut values: Vec<ValType> = params.into_iter().collect();
        let params = values.len();
        values.extend(results);
        let key = Key {
            values: values.into(),
            params,
        };

        let mut registry = registry();
        if let Some(interned) = registry
            .types
            .get(&key)
            .and_then(|(_, weak)| weak.upgrade())
        {
            return FuncType(interned);
        }
        let id = registry.free_ids.pop().unwrap_or_else(|| {
            let id = registry.ids;
            registry.ids += 1;
            id
        });
        let interned = Arc::new(Interned {
            id,
            key: key.clone(),
        });
        registry.types.insert(key, (id, Arc::downgrade(&interned)));
        FuncType(interned)
    }

    /// The types of the parameters.
    pub fn params(&self) -> &[ValType] {
        &self.0.key.values[..self.0.key.params]
    }

    /// The types of the results.
    pub fn results(&self) -> &[ValType] {
        &self.0.key.values[self.0.key.params..]
    }

    /// The canonical id: equal for equal types, in the whole process, as long as one of them is alive.
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// The signature of the compiled code: a VM context, the parameters, and the results.
    pub fn signature(&self) -> Signature {
        let mut signature = Signature::new(CallConv::Tail);
        signature.params.reserve_exact(1 + self.params().len());
        signature
            .params
            .push(AbiParam::special(I64, ArgumentPurpose::VMContext));
        let abi = |ty: &ValType| AbiParam::new(ty.clif_type());
        signature.params.extend(self.params().iter().map(abi));
        signature.returns.extend(self.results().iter().map(abi));
        signature
    }
}

impl Drop for Interned {
    fn drop(&mut self) {
        let mut registry = registry();
        // An equal type may have been made since the last reference to this one went; it then has an id of its own.
        if registry
            .types
            .get(&self.key)
            .is_some_and(|&(id, _)| id == self.id)
        {
            registry.types.remove(&self.key);
        }
        registry.free_ids.push(self.id);
    }
}

impl PartialEq for FuncType {
    fn eq(&self, other: &FuncType) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FuncType {}

impl Hash for FuncType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValType]| {
            f.write_str("[")?;
            for (index, ty) in types.iter().enumerate() {
                write!(f, "{}{ty}", if index == 0 { "" } else { " " })?;
            }
            f.write_str("]")
        };
        list(f, self.params())?;
        f.write_str(" -> ")?;
        list(f, self.results())
    }
}

impl fmt::Debug for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The type of a global: what it holds and whether it can be set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GlobalType {
    /// The type of the value.
    pub content: ValType,
    /// Whether it can be set.
    pub mutable: bool,
}

impl fmt::Display for GlobalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mutable {
            true => write!(f, "(mut {})", self.content),
            false => write!(f, "{}", self.content),
        }
    }
}

/// The type of a table: what its elements are and how many there may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TableType {
    /// The type of the elements, a reference type.
    pub element: ValType,
    /// The initial number of elements.
    pub min: u32,
    /// The number of elements it may grow to.
    pub max: Option<u32>,
}

impl TableType {
    /// Whether such a table always has the number of elements that it starts with.
    pub fn is_fixed(&self) -> bool {
        self.max == Some(self.min)
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_limits(f, self.min, self.max)?;
        write!(f, " {}", self.element)
    }
}

/// The type of a memory: how many pages of 64 KiB it may have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemoryType {
    /// The initial number of pages, up to 65,536.
    pub min: u32,
    /// The number of pages it may grow to.
    pub max: Option<u32>,
}

/// Bytes of a page of memory.
pub const PAGE_BYTES: u32 = 1 << PAGE_SHIFT;
/// The logarithm of [`PAGE_BYTES`].
pub(crate) const PAGE_SHIFT: u32 = 16;
/// The most pages that a memory can have.
pub const PAGES_MAX: u32 = 1 << 16;

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_limits(f, self.min, self.max)
    }
}

fn write_limits(f: &mut fmt::Formatter<'_>, min: u32, max: Option<u32>) -> fmt::Result {
    match max {
        Some(max) => write!(f, "{min} {max}"),
        None => write!(f, "{min}"),
    }
}

/// The type of something that is imported or exported.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExternType::Func(ty) => write!(f, "func {ty}"),
            ExternType::Table(ty) => write!(f, "table {ty}"),
            ExternType::Memory(ty) => write!(f, "memory {ty}"),
            ExternType::Global(ty) => write!(f, "global {ty}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ValType::{ExternRef, F32, F64, FuncRef, I32, V128};
    use super::{AbiParam, ArgumentPurpose, FuncType, Type, registry};
    use cranelift_codegen::ir::types;

    #[test]
    fn equal_types_have_one_id() {
        let a = FuncType::new([I32, F64], [V128]);
        let b = FuncType::new(vec![I32, F64], Some(V128));
        let c = FuncType::new([I32], [F64, V128]);
        assert_eq!((a.id(), &a), (b.id(), &b));
        assert_ne!((a.id(), &a), (c.id(), &c));
        assert_eq!(c.params(), [I32]);
        assert_eq!(c.results(), [F64, V128]);
        assert_eq!(a.to_string(), "[i32 f64] -> [v128]");
    }

    #[test]
    fn the_registry_forgets_dropped_types() {
        let values = || vec![FuncRef; 321];
        let key = FuncType::new(values(), None).0.key.clone();
        assert!(!registry().types.contains_key(&key));
        let again = FuncType::new(values(), None);
        assert!(registry().types.contains_key(&again.0.key));
    }

    #[test]
    fn threads_agree_on_ids() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for count in 0..500 {
                        let make = || FuncType::new(vec![ExternRef; 400 + count % 7], [F32]);
                        let (a, b) = (make(), make());
                        assert_eq!(a, b);
                        assert_eq!(a.params().len(), 400 + count % 7);
                    }
                });
            }
        });
    }

    #[test]
    fn signatures_start_with_the_context() {
        let signature = FuncType::new([I32, ExternRef], [V128]).signature();
        assert_eq!(signature.params[0].purpose, ArgumentPurpose::VMContext);
        let params: Vec<Type> = signature
            .params
            .iter()
            .map(|param| param.value_type)
            .collect();
        assert_eq!(params, [types::I64, types::I32, types::I64]);
        assert_eq!(signature.returns, [AbiParam::new(types::I8X16)]);
    }
}
