//! Executable memory and linker: where compiled code lives, and how calls find it.
//!
//! A [`CodeMemory`] is one reserved range of addresses, so that everything in it reaches everything else with a 32-bit
//! displacement. From its start to its end:
//!
//! ```text
//! [address cells][entry slots][profile cells] [jump stubs][code]
//!  8 B each       8 B a fn     16 B a fn       16 B a fn
//! '------ read and write, never executed ----'------ read and execute, never written --'
//! ```
//!
//! The executable part is a file in memory that is mapped twice: here to be executed, and elsewhere, at an address that
//! generated code does not know, to be written. No mapping is ever writable and executable, and publishing code changes
//! no mapping, unless it takes pages that many others were free with: those are inaccessible until then.
//!
//! A call between functions loads its target from the callee's *entry slot*; storing to [`CodeMemory::entry_slot`] is
//! all it takes to swap a function's code. The *jump stub* is the function's address for everything that needs one
//! which never changes. A new function's slot leads to the stub's second half, which calls the runtime's lazy-compile
//! routine ([`BUILTIN_LAZY_COMPILE`]).
//!
//! # The lazy-compile routine
//! It is jumped to, not called. On x86-64 the stack is then: `[rsp]` the value of the cell [`BUILTIN_CONTEXT`];
//! `[rsp+8]` an address in the function's stub, for [`CodeMemory::function_of_stub`]; `[rsp+16]` the return address
//! into the caller. All registers are the caller's. On aarch64 `x16` is the context, `x17` the address in the stub, and
//! `x30` the return address into the caller; `x15` is lost.
//!
//! # Forks
//! A child made by `fork` (without `exec`) gets copies of the cells and slots but neither view of the code: the views
//! would be shared with the parent, and one process must not write what the other executes. So a child cannot run
//! guest code; allocating in it is [`CodeMemoryError::Forked`], and dropping blocks and ranges does nothing there.
//!
//! # Signal handlers
//! [`CodeMemory::contains`] takes no lock. [`CodeMemory::with_block`] allocates nothing, and takes a read lock only for
//! addresses in the executable part. A thread that was interrupted there holds no lock, so a handler of faults may call
//! it with the interrupted address.
#![warn(missing_docs)]

mod allocator;
mod arch;
mod block;
mod error;
mod heap;
mod layout;
mod libcalls;
mod linker;
mod mapping;
mod pages;
mod table;

pub use block::{BlockInfo, BlockLabel, CodeBlock};
pub use error::{CodeMemoryError, RelocationError};
pub use layout::{BUILTIN_CONTEXT, BUILTIN_COUNT, BUILTIN_LAZY_COMPILE};
pub use table::{FuncRange, ProfileCell};

use block::BlockMap;
use heap::CodeHeap;
use layout::Layout;
use mapping::Mapping;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use table::FunctionTable;
use upshift_base::FuncId;
use upshift_codegen::CompiledCode;

/// What a code memory is to be like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeMemoryConfig {
    /// Bytes of address space for everything, 1 MiB to 2 GiB; rounded up to 64 KiB. One function in 256 bytes fits.
    /// Memory is taken only as it is used. The second view of the code takes as many addresses again, less the tables.
    pub reserve_bytes: usize,
    /// Which allocations of functions and code, counted from 0, are to fail as if the memory were full. Empty but for
    /// tests of what happens then.
    pub failing_allocations: Range<u64>,
}

impl Default for CodeMemoryConfig {
    fn default() -> CodeMemoryConfig {
        CodeMemoryConfig {
            reserve_bytes: 1 << 30,
            failing_allocations: 0..0,
        }
    }
}

/// How full a code memory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Bytes of address space reserved, the second view of the code aside.
    pub reserved_bytes: usize,
    /// Bytes that blocks of code can take together.
    pub code_capacity_bytes: usize,
    /// Bytes that blocks of code take, their padding included.
    pub code_used_bytes: usize,
    /// Blocks of code.
    pub code_blocks: usize,
    /// Functions that can be allocated together.
    pub function_capacity: u32,
    /// Functions allocated.
    pub functions: u32,
    /// Bytes of memory that the jump stubs and the code take, in whole pages, as the operating system counts them.
    pub executable_resident_bytes: usize,
}

/// One engine's executable memory, with its functions' entry slots, jump stubs and profile cells.
///
/// Lives until the last [`CodeBlock`] and [`FuncRange`] made from it is gone.
#[derive(Debug)]
pub struct CodeMemory {
    mapping: Arc<Mapping>,
    table: Arc<FunctionTable>,
    heap: Arc<CodeHeap>,
    blocks: Arc<BlockMap>,
    failures: FailingAllocations,
}

impl CodeMemory {
    /// Reserves the addresses and lays out the tables.
    ///
    /// # Errors
    /// A size that is not supported, or an operating system that does not grant it.
    pub fn new(config: CodeMemoryConfig) -> Result<Arc<CodeMemory>, CodeMemoryError> {
        let layout = Layout::new(config.reserve_bytes, mapping::page_bytes())?;
        let mapping = Arc::new(Mapping::new(layout)?);
        let table = Arc::new(FunctionTable::new(Arc::clone(&mapping))?);
        let heap = Arc::new(CodeHeap::new(Arc::clone(&mapping)));
        Ok(Arc::new(CodeMemory {
            blocks: Arc::default(),
            failures: FailingAllocations::new(config.failing_allocations),
            mapping,
            table,
            heap,
        }))
    }

    /// Sets the address that the code reaches as [`Target::Builtin`](upshift_codegen::Target::Builtin)`(number)`.
    ///
    /// Code that was installed before uses the new address too, where it goes through the builtin's cell.
    ///
    /// # Panics
    /// If `number` is not below [`BUILTIN_COUNT`].
    pub fn set_builtin(&self, number: u32, address: usize) {
        self.table.set_builtin(number, address);
    }

    /// Allocates `count` functions with contiguous ids.
    ///
    /// Their slots lead to the lazy-compile routine, their profile cells are zero.
    ///
    /// # Errors
    /// [`CodeMemoryError::OutOfFunctions`] if there are not as many free ids in a row.
    pub fn allocate_functions(&self, count: u32) -> Result<FuncRange, CodeMemoryError> {
        if self.failures.next_fails() {
            return Err(CodeMemoryError::OutOfFunctions { count });
        }
        FunctionTable::allocate(&self.table, count)
    }

    /// The cell that callers load `function`'s current code from. Publish with a release store.
    ///
    /// Whoever stores an address keeps its [`CodeBlock`] until no caller can be using it.
    ///
    /// # Panics
    /// If `function` is not below [`Usage::function_capacity`]; never for an id that was allocated.
    pub fn entry_slot(&self, function: FuncId) -> &AtomicPtr<u8> {
        self.table.entry_slot(function)
    }

    /// The address of `function`'s entry slot.
    ///
    /// # Panics
    /// As [`CodeMemory::entry_slot`].
    pub fn slot_address(&self, function: FuncId) -> usize {
        std::ptr::from_ref(self.table.entry_slot(function)) as usize
    }

    /// The address of `function`'s jump stub: code that jumps to whatever the slot holds.
    ///
    /// # Panics
    /// As [`CodeMemory::entry_slot`].
    pub fn stub_address(&self, function: FuncId) -> *const u8 {
        self.table.stub_address(function) as *const u8
    }

    /// What `function`'s slot holds while the function has no code: its way into the lazy-compile routine.
    ///
    /// # Panics
    /// As [`CodeMemory::entry_slot`].
    pub fn lazy_entry(&self, function: FuncId) -> *mut u8 {
        self.table.lazy_entry(function)
    }

    /// The function in whose jump stub `address` lies.
    pub fn function_of_stub(&self, address: usize) -> Option<FuncId> {
        self.table.function_of_stub(address)
    }

    /// The function whose entry slot is at `address`.
    pub fn function_of_slot(&self, address: usize) -> Option<FuncId> {
        self.table.function_of_slot(address)
    }

    /// `function`'s profile cell, valid as long as this memory.
    ///
    /// # Panics
    /// As [`CodeMemory::entry_slot`].
    pub fn profile_cell(&self, function: FuncId) -> NonNull<ProfileCell> {
        self.table.profile_cell(function)
    }

    /// Places `code`, links it and makes it executable. It runs once its address is in a slot.
    ///
    /// The ids that `code` refers to must stay allocated for as long as it may run.
    ///
    /// # Errors
    /// [`CodeMemoryError::OutOfCode`] if there is no room, [`CodeMemoryError::Relocation`] or
    /// [`CodeMemoryError::Malformed`] if `code` cannot be linked. Nothing is left behind.
    pub fn install(
        &self,
        label: BlockLabel,
        code: &CompiledCode,
    ) -> Result<CodeBlock, CodeMemoryError> {
        if self.failures.next_fails() {
            let bytes = code.bytes.len();
            return Err(CodeMemoryError::OutOfCode { bytes });
        }
        linker::check(code)?;
        let mut extent = CodeHeap::allocate(
            &self.heap,
            code.bytes.len(),
            (code.alignment, code.placement),
        )?;
        let start = extent.address();
        let bytes = extent.bytes_mut();
        bytes.copy_from_slice(&code.bytes);
        linker::link(bytes, start, &code.relocations, &self.table)?;
        extent.publish();
        Ok(BlockMap::insert(&self.blocks, extent, label, code))
    }

    /// Whether `pc` lies in the executable part: in a block, a jump stub or a thunk. Takes no lock.
    pub fn contains(&self, pc: usize) -> bool {
        self.mapping.executable_addresses().contains(&pc)
    }

    /// The block of code that `pc` lies in.
    pub fn lookup(&self, pc: usize) -> Option<Arc<BlockInfo>> {
        self.contains(pc)
            .then(|| self.blocks.with_block(pc, Arc::clone))?
    }

    /// What `inspect` says of the block of code that `pc` lies in. Allocates nothing, so that signal handlers may use
    /// it. `inspect` must not install or drop code.
    pub fn with_block<R>(&self, pc: usize, inspect: impl FnOnce(&BlockInfo) -> R) -> Option<R> {
        self.contains(pc)
            .then(|| self.blocks.with_block(pc, |info| inspect(info)))?
    }

    /// How full this memory is.
    pub fn usage(&self) -> Usage {
        let heap = self.heap.usage();
        Usage {
            reserved_bytes: self.mapping.layout().reserved_bytes,
            code_capacity_bytes: heap.capacity_bytes,
            code_used_bytes: heap.used_bytes,
            code_blocks: heap.blocks,
            function_capacity: self.mapping.layout().function_capacity,
            functions: self.table.live(),
            executable_resident_bytes: self.mapping.executable_resident_bytes(),
        }
    }

    /// Sets anew which allocations are to fail, counted from 0 at this call; for tests.
    #[doc(hidden)]
    pub fn set_failing_allocations(&self, numbers: Range<u64>) {
        self.failures.set(numbers);
    }
}

/// The test hook behind [`CodeMemoryConfig::failing_allocations`].
#[derive(Debug, Default)]
struct FailingAllocations {
    next: AtomicU64,
    start: AtomicU64,
    end: AtomicU64,
}

impl FailingAllocations {
    fn new(numbers: Range<u64>) -> FailingAllocations {
        let failures = FailingAllocations::default();
        failures.set(numbers);
        failures
    }

    fn set(&self, numbers: Range<u64>) {
        self.start.store(numbers.start, Ordering::Relaxed);
        self.end.store(numbers.end, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
    }

    fn next_fails(&self) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed)).contains(&number)
    }
}
