//! What compiled WebAssembly code and this crate both know of memory: the layout of every structure that code reads.
//!
//! Each instance has one *VM context*, a block of memory whose address is the first parameter of every WebAssembly
//! function. It starts with a fixed header ([`VMContext`]); behind it lie arrays whose lengths depend on the module.
//! [`VMLayout`] computes where they are, here and nowhere else; the translator turns the offsets into loads, and
//! instantiation fills the arrays in. All offsets are in bytes from the start of the context.
//!
//! ```text
//! VMContext            the header
//! [VMGlobal]           the globals that the module defines, their values themselves
//! [*mut VMGlobal]      the imported globals
//! [VMMemoryEntry]      all memories, imported ones first
//! [*mut VMTable]       all tables, imported ones first
//! [VMFuncRef]          the imported functions
//! [VMFuncRef]          the module's own functions that escape: exported, in a segment, or named by `ref.func`
//! [u32]                the canonical id of each of the module's types
//! ```
//!
//! Values: a `funcref` is a `*const VMFuncRef`, null for the null reference; an `externref` is a `u64` that is 0 for the
//! null reference and means nothing else to compiled code. In a global or a 16-byte slot a value occupies the low bytes.
//!
//! What code assumes of the contents, beyond what the fields say: all pointers in the context stay as they are from
//! instantiation to the context's end, and so do a [`VMMemoryEntry::base`], a [`VMFuncRef`] and the value of an
//! immutable global.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicPtr, AtomicUsize};

/// The header's first word, by which a debugger or an assertion tells a VM context.
pub const MAGIC: u32 = u32::from_le_bytes(*b"upsh");

/// Bytes of address space behind a memory's base that an access may touch: the 4 GiB that a 32-bit index reaches, and
/// the guard. Compiled code leaves it to the hardware to catch accesses in there that are outside the memory.
pub const MEMORY_RESERVATION_BYTES: u64 = (1 << 32) + MEMORY_GUARD_BYTES;

/// Bytes of inaccessible address space behind the 4 GiB that an index reaches.
pub const MEMORY_GUARD_BYTES: u64 = 1 << 31;

/// The header of an instance's VM context.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct VMContext {
    /// [`MAGIC`].
    pub magic: u32,
    /// Unused.
    pub padding: u32,
    /// The limits of the store that the instance belongs to.
    pub limits: *const VMLimits,
    /// The helper functions.
    pub builtins: *const VMBuiltins,
    /// The instance, for the helper functions. Compiled code does not look at it.
    pub instance: *mut c_void,
}

/// What stops a program from outside. One for each store.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VMLimits {
    /// The lowest address that the stack may reach; a function that would go below traps with a stack overflow.
    pub stack_limit: AtomicUsize,
    /// Not 0: code of an interruptible module traps at the next loop header or function entry.
    pub interrupt: AtomicUsize,
}

/// A linear memory, wherever it is owned.
#[repr(C)]
#[derive(Debug)]
pub struct VMMemory {
    /// The first byte. Never changes: [`MEMORY_RESERVATION_BYTES`] are reserved from here.
    pub base: *mut u8,
    /// How many bytes are accessible: a multiple of the page size.
    pub bytes: AtomicUsize,
}

/// A memory as one instance sees it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VMMemoryEntry {
    /// [`VMMemory::base`], here too so that an access takes one load to find it.
    pub base: *mut u8,
    /// The memory.
    pub memory: *mut VMMemory,
}

/// A table, wherever it is owned.
///
/// Both fields may change when the table grows; a table whose maximum is its initial size must keep its elements where
/// they are even if it is grown by 0.
#[repr(C)]
#[derive(Debug)]
pub struct VMTable {
    /// The elements, references of 8 bytes.
    pub elements: *mut u64,
    /// How many there are.
    pub len: u64,
}

/// A global's value, in the low bytes.
#[repr(C, align(16))]
#[derive(Debug, Clone, Copy, Default)]
pub struct VMGlobal {
    /// The bits; those above the width of the global's type are undefined.
    pub bits: u128,
}

/// A function as a value: what to call, with which context, and of what type it is.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VMFuncRef {
    /// The function's entry slot: the address of the address of its code.
    pub slot: *const AtomicPtr<u8>,
    /// The first argument of every call: the instance's VM context, or a host function's own context.
    pub vmctx: *mut c_void,
    /// The canonical id of the function's type, [`FuncType::id`](crate::FuncType::id).
    pub type_id: u32,
    /// Unused.
    pub padding: u32,
}

/// The status that a helper function returns if it did what was asked.
pub const STATUS_DONE: u32 = 0;
/// The status that a helper function returns if a range is out of bounds; it then has written nothing.
pub const STATUS_OUT_OF_BOUNDS: u32 = 1;
/// The status that a helper function returns if it saw the interrupt flag set while it worked on a range. Only code of
/// interruptible modules gets it. Some of the range is written, some is not.
pub const STATUS_INTERRUPTED: u32 = 2;

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident($($param:ident: $ty:ident),*) $(-> $result:ident)?;)*) => {
        /// The helper functions for operations that are not worth compiling in line.
        ///
        /// The first argument is the VM context of the calling instance; indices are into the module's index spaces.
        /// Functions that return `u32` return [`STATUS_DONE`] or [`STATUS_OUT_OF_BOUNDS`]; the calling code then traps
        /// with the kind that fits. None may unwind.
        #[repr(C)]
        #[derive(Debug, Clone, Copy)]
        pub struct VMBuiltins {
            $(
                $(#[$doc])*
                pub $name: unsafe extern "C" fn(vmctx: *mut VMContext, $($param: $ty),*) $(-> $result)?,
            )*
        }

        /// One of the helper functions, as the translator sees it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct Builtin {
            /// Where in [`VMBuiltins`] its address is.
            pub(crate) offset: i32,
            /// Bytes of each parameter behind the VM context.
            pub(crate) params: &'static [usize],
            /// Bytes of the result.
            pub(crate) result: Option<usize>,
        }

        /// The helper functions by name.
        #[allow(non_upper_case_globals, reason = "the names of the fields they stand for")]
        impl Builtin {
            $(
                pub(crate) const $name: Builtin = Builtin {
                    offset: offset_of!(VMBuiltins, $name) as i32,
                    params: &[$(size_of::<$ty>()),*],
                    result: builtins!(@result $($result)?),
                };
            )*
        }
    };
    (@result) => { None };
    (@result $result:ident) => { Some(size_of::<$result>()) };
}

builtins! {
    /// `memory.grow`: grows by `delta` pages. Returns the size before in pages, or -1 if it cannot grow so far.
    memory_grow(memory: u32, delta: u64) -> i64;
    /// `memory.fill`: sets `len` bytes from `start` on to the low byte of `value`.
    memory_fill(memory: u32, start: u64, value: u32, len: u64) -> u32;
    /// `memory.copy`: as if by way of a buffer. `to_memory` and `from_memory` may be the same.
    memory_copy(to_memory: u32, from_memory: u32, to: u64, from: u64, len: u64) -> u32;
    /// `memory.init`: copies `len` bytes from offset `from` of data segment `segment`; a dropped segment is empty.
    memory_init(memory: u32, segment: u32, to: u64, from: u32, len: u32) -> u32;
    /// `data.drop`.
    data_drop(segment: u32);
    /// `table.grow`: grows by `delta` elements that are `value`. Returns the size before, or -1 if it cannot grow so far.
    table_grow(table: u32, delta: u64, value: u64) -> i64;
    /// `table.fill`: sets `len` elements from `start` on to `value`.
    table_fill(table: u32, start: u64, value: u64, len: u64) -> u32;
    /// `table.copy`: as if by way of a buffer. `to_table` and `from_table` may be the same.
    table_copy(to_table: u32, from_table: u32, to: u64, from: u64, len: u64) -> u32;
    /// `table.init`: copies `len` references from index `from` of element segment `segment`; a dropped segment is empty.
    table_init(table: u32, segment: u32, to: u64, from: u32, len: u32) -> u32;
    /// `elem.drop`.
    elem_drop(segment: u32);
}

/// Where a global's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobalPlace {
    /// The value itself is in the context, at this offset.
    Inline(i32),
    /// A pointer to the value is in the context, at this offset.
    Pointer(i32),
}

/// How many there are of each thing that has a place in a module's VM context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VMCounts {
    /// All globals.
    pub globals: u32,
    /// Those of them that are imported; they come first.
    pub imported_globals: u32,
    /// All memories.
    pub memories: u32,
    /// All tables.
    pub tables: u32,
    /// The imported functions.
    pub imported_functions: u32,
    /// The module's own functions that escape.
    pub escaping_functions: u32,
    /// The module's types.
    pub types: u32,
}

/// Where everything is in the VM context of one module's instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VMLayout {
    counts: VMCounts,
    globals: i32,
    imported_globals: i32,
    memories: i32,
    tables: i32,
    imported_functions: i32,
    escaping_functions: i32,
    type_ids: i32,
    size: i32,
}

impl VMLayout {
    /// Lays out a context. `None` if it would be larger than 2 GiB.
    pub fn new(counts: VMCounts) -> Option<VMLayout> {
        let mut end = size_of::<VMContext>();
        let mut array = |count: u32, item: usize| -> Option<i32> {
            let start = end;
            end = start.checked_add(item.checked_mul(count as usize)?)?;
            i32::try_from(end).ok()?;
            i32::try_from(start).ok()
        };
        let own_globals = counts.globals.checked_sub(counts.imported_globals)?;
        Some(VMLayout {
            globals: array(own_globals, size_of::<VMGlobal>())?,
            imported_globals: array(counts.imported_globals, size_of::<*mut VMGlobal>())?,
            memories: array(counts.memories, size_of::<VMMemoryEntry>())?,
            tables: array(counts.tables, size_of::<*mut VMTable>())?,
            imported_functions: array(counts.imported_functions, size_of::<VMFuncRef>())?,
            escaping_functions: array(counts.escaping_functions, size_of::<VMFuncRef>())?,
            type_ids: array(counts.types, size_of::<u32>())?,
            size: i32::try_from(end).ok()?,
            counts,
        })
    }

    /// Bytes of the whole context, which has to be aligned to 16 bytes.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// What the layout was made for.
    pub fn counts(&self) -> &VMCounts {
        &self.counts
    }

    /// Where the value of global `index` is, or where the pointer to it is.
    pub fn global(&self, index: u32) -> GlobalPlace {
        match index.checked_sub(self.counts.imported_globals) {
            Some(own) => GlobalPlace::Inline(at::<VMGlobal>(self.globals, own)),
            None => GlobalPlace::Pointer(at::<*mut VMGlobal>(self.imported_globals, index)),
        }
    }

    /// Where the [`VMMemoryEntry`] of memory `index` is.
    pub fn memory(&self, index: u32) -> i32 {
        at::<VMMemoryEntry>(self.memories, index)
    }

    /// Where the pointer to the [`VMTable`] of table `index` is.
    pub fn table(&self, index: u32) -> i32 {
        at::<*mut VMTable>(self.tables, index)
    }

    /// Where the [`VMFuncRef`] of the imported function `index` is.
    pub fn imported_function(&self, index: u32) -> i32 {
        at::<VMFuncRef>(self.imported_functions, index)
    }

    /// Where the [`VMFuncRef`] of an own function is that is number `position` among those that escape.
    pub fn escaping_function(&self, position: u32) -> i32 {
        at::<VMFuncRef>(self.escaping_functions, position)
    }

    /// Where the canonical id, a `u32`, of the module's type `index` is.
    pub fn type_id(&self, index: u32) -> i32 {
        at::<u32>(self.type_ids, index)
    }
}

/// The offset of item `index` of an array of `T`s. It lies within the layout, so it fits.
fn at<T>(start: i32, index: u32) -> i32 {
    (start as usize + index as usize * size_of::<T>()) as i32
}

/// Offsets of the fields that compiled code reads.
pub(crate) mod offset {
    use super::*;

    /// Of a field of a structure in this module, which all are small.
    macro_rules! field {
        ($($(#[$doc:meta])* $name:ident = $ty:ident.$field:ident;)*) => {
            $($(#[$doc])* pub(crate) const $name: i32 = offset_of!($ty, $field) as i32;)*
        };
    }
    field! {
        VMCONTEXT_LIMITS = VMContext.limits;
        VMCONTEXT_BUILTINS = VMContext.builtins;
        LIMITS_STACK_LIMIT = VMLimits.stack_limit;
        LIMITS_INTERRUPT = VMLimits.interrupt;
        MEMORY_BYTES = VMMemory.bytes;
        MEMORY_ENTRY_BASE = VMMemoryEntry.base;
        MEMORY_ENTRY_MEMORY = VMMemoryEntry.memory;
        TABLE_ELEMENTS = VMTable.elements;
        TABLE_LEN = VMTable.len;
        FUNCREF_SLOT = VMFuncRef.slot;
        FUNCREF_VMCTX = VMFuncRef.vmctx;
        FUNCREF_TYPE_ID = VMFuncRef.type_id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_aligned_and_do_not_overlap() {
        let layout = VMLayout::new(VMCounts {
            globals: 5,
            imported_globals: 2,
            memories: 1,
            tables: 3,
            imported_functions: 7,
            escaping_functions: 1,
            types: 3,
        })
        .unwrap();
        let GlobalPlace::Inline(first) = layout.global(2) else {
            panic!("own globals are inline")
        };
        assert_eq!(first % 16, 0);
        assert_eq!(layout.global(1), GlobalPlace::Pointer(first + 3 * 16 + 8));
        assert_eq!(layout.memory(0), first + 3 * 16 + 2 * 8);
        assert_eq!(layout.table(2), layout.memory(1) + 16);
        assert_eq!(layout.imported_function(0), layout.table(3));
        assert_eq!(layout.escaping_function(0), layout.imported_function(7));
        assert_eq!(layout.type_id(0), layout.escaping_function(1));
        assert_eq!(layout.size(), layout.type_id(3) as usize);
    }

    #[test]
    fn a_context_that_is_too_large_is_refused() {
        let counts = VMCounts {
            imported_functions: u32::MAX,
            ..VMCounts::default()
        };
        assert_eq!(VMLayout::new(counts), None);
    }
}
