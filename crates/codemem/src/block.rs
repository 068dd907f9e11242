//! Installed code: blocks, what is known about each, and finding the one that an address lies in.

use crate::heap::Extent;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use upshift_base::{FuncId, Tier, TrapKind};
use upshift_codegen::{
    AccessSite, CompileKind, CompiledCode, InlinedCall, SourcePosition, TrapSite,
};

/// Whose code a block is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BlockLabel {
    /// The function that the code is for.
    pub function: FuncId,
    /// The tier that made it.
    pub tier: Tier,
    /// Which entry of the function it is.
    pub kind: CompileKind,
}

/// What is known about a block of code. Offsets are in bytes from its start.
#[derive(Debug)]
pub struct BlockInfo {
    start: usize,
    len: usize,
    label: BlockLabel,
    frame_bytes: u32,
    adapter_bytes: u32,
    traps: Box<[TrapSite]>,
    accesses: Box<[AccessSite]>,
    positions: Box<[SourcePosition]>,
    inlined: Box<[InlinedCall]>,
}

impl BlockInfo {
    /// The address of the first byte, which is where the code is entered.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Bytes of code and constants.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whose code it is.
    pub fn label(&self) -> BlockLabel {
        self.label
    }

    /// Bytes of stack that an activation takes, beyond its return address and saved frame pointer.
    pub fn frame_bytes(&self) -> u32 {
        self.frame_bytes
    }

    /// The offset of `pc`, if it lies in this block.
    pub fn offset_of(&self, pc: usize) -> Option<u32> {
        let offset = pc.checked_sub(self.start)?;
        (offset < self.len).then_some(offset as u32)
    }

    /// What a fault of the instruction whose first byte is at `offset` means, if it may trap.
    pub fn trap_at(&self, offset: u32) -> Option<TrapKind> {
        let traps = &self.traps;
        match traps.binary_search_by_key(&offset, |trap| trap.offset) {
            Ok(index) => Some(traps[index].kind),
            Err(_) => self.access_at(offset).map(|_| TrapKind::MemoryOutOfBounds),
        }
    }

    fn access_at(&self, offset: u32) -> Option<&AccessSite> {
        let accesses = &self.accesses;
        let index = accesses.binary_search_by_key(&offset, |access| access.offset);
        index.ok().map(|index| &accesses[index])
    }

    /// The functions whose bodies are in the code, in the place of calls, some more than once.
    pub fn inlined(&self) -> impl Iterator<Item = FuncId> {
        self.inlined.iter().map(|call| call.callee)
    }

    /// The functions that the instruction at `offset` is code of, and where in each: first the callee that was inlined
    /// last, then those that were inlined around it, at their calls, and in the end the block's own. None if it belongs to
    /// what only calls the function's code. For a call that is to be found by its return address, pass the offset before
    /// that.
    pub fn frames_at(&self, offset: u32) -> impl Iterator<Item = (FuncId, Option<u32>)> {
        let after = self
            .positions
            .partition_point(|position| position.offset <= offset);
        let source = self.positions[..after].last();
        let mut next = match self.access_at(offset) {
            Some(access) => Some((Some(access.position), None)),
            None => Some((
                source.and_then(|source| source.position),
                source.and_then(|source| source.inlined),
            )),
        };
        if offset < self.adapter_bytes {
            next = None;
        }
        std::iter::from_fn(move || {
            let (position, inlined) = next.take()?;
            let call = inlined.and_then(|call| self.inlined.get(call as usize));
            next = call.map(|call| (call.position, call.caller));
            let function = call.map_or(self.label.function, |call| call.callee);
            Some((function, position))
        })
    }
}

/// The blocks by the address of their first byte.
#[derive(Debug, Default)]
pub(crate) struct BlockMap {
    blocks: RwLock<BTreeMap<usize, Arc<BlockInfo>>>,
}

impl BlockMap {
    /// Makes a block of `code`, which is at `extent`, and enters it.
    pub fn insert(
        map: &Arc<BlockMap>,
        extent: Extent,
        label: BlockLabel,
        code: &CompiledCode,
    ) -> CodeBlock {
        let info = Arc::new(BlockInfo {
            start: extent.address(),
            len: code.bytes.len(),
            label,
            frame_bytes: code.frame_bytes,
            adapter_bytes: code.adapter_bytes,
            traps: code.traps.as_slice().into(),
            accesses: code.accesses.as_slice().into(),
            positions: code.positions.as_slice().into(),
            inlined: code.inlined.as_slice().into(),
        });
        map.blocks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(info.start, Arc::clone(&info));
        CodeBlock {
            map: Arc::clone(map),
            info,
            extent,
        }
    }

    fn remove(&self, start: usize) {
        // What the map held is dropped after the lock.
        let _info = self
            .blocks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&start);
    }

    /// What `inspect` says of the block that `pc` lies in.
    pub fn with_block<R>(
        &self,
        pc: usize,
        inspect: impl FnOnce(&Arc<BlockInfo>) -> R,
    ) -> Option<R> {
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        let (_, info) = blocks.range(..=pc).next_back()?;
        info.offset_of(pc).map(|_| inspect(info))
    }
}

/// An installed block of code. Dropping it frees its memory for other code, so by then no thread may be in it, and no
/// slot may lead to it.
#[derive(Debug)]
pub struct CodeBlock {
    map: Arc<BlockMap>,
    info: Arc<BlockInfo>,
    /// Dropped after the block has left the map.
    extent: Extent,
}

impl CodeBlock {
    /// Where the code is entered: what to store to a slot.
    pub fn entry(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.info.start)
    }

    /// What is known about the block; outlives it.
    pub fn info(&self) -> &Arc<BlockInfo> {
        &self.info
    }

    /// Bytes of code and constants.
    pub fn len(&self) -> usize {
        self.info.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.info.len == 0
    }

    /// Whose code it is.
    pub fn label(&self) -> BlockLabel {
        self.info.label
    }
}

impl Drop for CodeBlock {
    fn drop(&mut self) {
        // In a forked child another thread of the parent's may hold the lock for ever.
        if self.extent.is_own() {
            self.map.remove(self.info.start);
        }
    }
}
