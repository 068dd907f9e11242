//! Code memory as its users see it, without executing anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_base::{FuncId, Tier, TrapKind};
use upshift_codegen::cranelift_codegen::ir::LibCall;
use upshift_codegen::{
    AccessSite, CompileKind, CompiledCode, InlinedCall, RelocKind, Relocation, SourcePosition,
    Target, TrapSite,
};
use upshift_codemem::{
    BUILTIN_COUNT, BlockLabel, CodeBlock, CodeMemory, CodeMemoryConfig, CodeMemoryError,
    RelocationError,
};

const LABEL: BlockLabel = BlockLabel {
    function: FuncId(0),
    tier: Tier::Baseline,
    kind: CompileKind::Entry,
};

fn memory_of(reserve_bytes: usize) -> Arc<CodeMemory> {
    let config = CodeMemoryConfig {
        reserve_bytes,
        ..CodeMemoryConfig::default()
    };
    CodeMemory::new(config).unwrap()
}

fn code(bytes: Vec<u8>) -> CompiledCode {
    CompiledCode {
        bytes,
        alignment: 16,
        placement: 0,
        relocations: Vec::new(),
        traps: Vec::new(),
        accesses: Vec::new(),
        positions: Vec::new(),
        frame_bytes: 0,
        adapter_bytes: 0,
        inlined: Vec::new(),
        call_sites: 0,
    }
}

fn contents(block: &CodeBlock) -> &[u8] {
    // SAFETY: the block is mapped readable for as long as it lives, and never written.
    unsafe { std::slice::from_raw_parts(block.entry(), block.len()) }
}

/// A small generator of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }
}

/// A line of `/proc/self/maps`.
struct MapsLine {
    start: usize,
    permissions: String,
    inode: String,
}

fn maps() -> Vec<MapsLine> {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap();
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, _) = fields.next()?.split_once('-')?;
        Some(MapsLine {
            start: usize::from_str_radix(start, 16).ok()?,
            permissions: fields.next()?.to_owned(),
            inode: fields.nth(2)?.to_owned(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// The mappings of `memory`'s range and of its executable part's second view.
fn maps_of(memory: &CodeMemory) -> Vec<MapsLine> {
    let start = memory.slot_address(FuncId(0)) & !0xffff;
    let range = start..start + memory.usage().reserved_bytes;
    let stubs = memory.stub_address(FuncId(0)) as usize;
    let all = maps();
    let line = all.iter().find(|line| line.start == stubs).unwrap();
    let inode = line.inode.clone();
    all.into_iter()
        .filter(|line| range.contains(&line.start) || line.inode == inode)
        .collect()
}

#[test]
fn no_mapping_is_writable_and_executable() {
    let memory = memory_of(8 << 20);
    let functions = memory.allocate_functions(1000).unwrap();
    let blocks: Vec<_> = (1..200)
        .map(|i| memory.install(LABEL, &code(vec![0x90; i * 50])).unwrap())
        .collect();
    let views = maps_of(&memory);
    assert!(views.iter().any(|line| line.permissions == "r-xs"));
    assert!(views.iter().any(|line| line.permissions == "rw-s"));
    assert!(views.iter().any(|line| line.permissions == "rw-p"));
    drop((blocks, functions));
    for line in views.into_iter().chain(maps_of(&memory)) {
        let both = line.permissions.contains('w') && line.permissions.contains('x');
        assert!(!both, "{:x} {}", line.start, line.permissions);
    }
}

/// What is allowed at `address`.
fn permissions_at(address: usize) -> String {
    let maps = maps();
    let line = maps.iter().rev().find(|line| line.start <= address);
    line.unwrap().permissions.clone()
}

#[test]
fn freed_pages_are_inaccessible_until_they_are_used_again() {
    let memory = memory_of(8 << 20);
    let install = |len| memory.install(LABEL, &code(vec![0x90; len])).unwrap();
    let first = install(100);
    let blocks: Vec<_> = (0..100).map(|_| install(8 << 10)).collect();
    let addresses: Vec<usize> = blocks.iter().map(|block| block.entry() as usize).collect();
    drop(blocks);
    // The last ones may wait until enough was freed for it to be worth it.
    for &address in &addresses[1..80] {
        assert_eq!(permissions_at(address), "---s", "{address:x}");
    }
    assert_eq!(permissions_at(first.entry() as usize), "r-xs");
    for round in 0..3 {
        let blocks: Vec<_> = (0..100 + round).map(|_| install(8 << 10)).collect();
        for block in &blocks {
            assert_eq!(permissions_at(block.entry() as usize), "r-xs");
            assert_eq!(contents(block), vec![0x90; 8 << 10]);
        }
    }
}

#[test]
fn everything_is_unmapped_at_the_end() {
    let memory = memory_of(1 << 20);
    let functions = memory.allocate_functions(3).unwrap();
    let block = memory.install(LABEL, &code(vec![0x90; 100])).unwrap();
    let stubs = memory.stub_address(FuncId(0)) as usize;
    let inode = |maps: &[MapsLine]| {
        let line = maps.iter().find(|line| line.start == stubs);
        line.map(|line| line.inode.clone())
    };
    let before = inode(&maps()).unwrap();
    drop(memory);
    drop(block);
    // The functions' slots are still there.
    assert_eq!(inode(&maps()), Some(before.clone()));
    drop(functions);
    // Another test's memory may be at the address by now, but not this file.
    assert!(maps().iter().all(|line| line.inode != before));
}

#[test]
fn sizes() {
    for bytes in [0, 4096, (1 << 20) - 1, (1 << 31) + 1, usize::MAX] {
        let config = CodeMemoryConfig {
            reserve_bytes: bytes,
            ..CodeMemoryConfig::default()
        };
        let error = CodeMemory::new(config).unwrap_err();
        assert!(matches!(error, CodeMemoryError::ReserveSize { bytes: b } if b == bytes));
    }
    let usage = memory_of((1 << 20) + 1).usage();
    assert_eq!(usage.reserved_bytes, (1 << 20) + (64 << 10));
    assert_eq!(usage.function_capacity, 4352);
    let usage = CodeMemory::new(CodeMemoryConfig::default())
        .unwrap()
        .usage();
    assert_eq!(usage.reserved_bytes, 1 << 30);
    assert_eq!(usage.function_capacity, 1 << 22);
    assert!(usage.code_capacity_bytes > 830 << 20);
    assert!(usage.executable_resident_bytes <= 64 << 10);
    assert_eq!(memory_of(1 << 31).usage().function_capacity, 1 << 23);
}

#[test]
fn functions_start_lazy_and_zero_and_end_in_a_trap() {
    let memory = memory_of(1 << 20);
    let first = memory.allocate_functions(3).unwrap();
    let second = memory.allocate_functions(5).unwrap();
    assert_eq!((first.first(), first.len()), (FuncId(0), 3));
    assert_eq!(
        (second.first(), second.get(4)),
        (FuncId(3), Some(FuncId(7)))
    );
    assert_eq!(second.get(5), None);
    assert!(second.contains(FuncId(7)) && !second.contains(FuncId(2)));
    assert_eq!(memory.usage().functions, 8);
    for function in first.iter().chain(second.iter()) {
        let stub = memory.stub_address(function) as usize;
        let entry = memory.entry_slot(function).load(Ordering::Acquire);
        assert_eq!(entry, memory.lazy_entry(function));
        for address in [stub, entry as usize, stub + 15] {
            assert_eq!(memory.function_of_stub(address), Some(function));
            assert!(memory.contains(address));
        }
        // SAFETY: the function is allocated.
        let cell = unsafe { memory.profile_cell(function).as_ref() };
        cell.entry_budget.store(7, Ordering::Relaxed);
        cell.loop_budget.store(8, Ordering::Relaxed);
        cell.state.store(9, Ordering::Relaxed);
    }
    assert_eq!(
        memory.function_of_stub(memory.slot_address(FuncId(0))),
        None
    );
    assert_eq!(memory.function_of_stub(0), None);
    assert_eq!(memory.function_of_stub(usize::MAX), None);

    drop(second);
    let trap = memory.entry_slot(FuncId(3)).load(Ordering::Acquire);
    assert!(memory.contains(trap as usize));
    assert_eq!(memory.function_of_stub(trap as usize), None);
    let third = memory.allocate_functions(4).unwrap();
    assert_eq!(third.first(), FuncId(3));
    for function in third.iter() {
        let entry = memory.entry_slot(function).load(Ordering::Acquire);
        assert_eq!(entry, memory.lazy_entry(function));
        // SAFETY: the function is allocated.
        let cell = unsafe { memory.profile_cell(function).as_ref() };
        assert_eq!(cell.entry_budget.load(Ordering::Relaxed), 0);
        assert_eq!(cell.loop_budget.load(Ordering::Relaxed), 0);
        assert_eq!(cell.state.load(Ordering::Relaxed), 0);
    }
    assert_eq!(memory.entry_slot(FuncId(7)).load(Ordering::Acquire), trap);
}

#[test]
fn function_ids_run_out_and_come_back() {
    let memory = memory_of(1 << 20);
    let capacity = memory.usage().function_capacity;
    let empty = memory.allocate_functions(0).unwrap();
    assert!(empty.is_empty() && empty.iter().next().is_none());
    let mut ranges: Vec<_> = (0..8)
        .map(|_| memory.allocate_functions(capacity / 8).unwrap())
        .collect();
    assert!(memory.allocate_functions(1).unwrap_err().is_full());
    assert!(memory.allocate_functions(u32::MAX).unwrap_err().is_full());
    // Two neighbours become one run.
    drop(ranges.remove(4));
    drop(ranges.remove(4));
    assert!(memory.allocate_functions(capacity / 4 + 1).is_err());
    let range = memory.allocate_functions(capacity / 4).unwrap();
    assert_eq!(range.first().0, capacity / 2);
    drop((ranges, range));
    assert_eq!(memory.usage().functions, 0);
    assert_eq!(memory.allocate_functions(capacity).unwrap().len(), capacity);
}

#[test]
fn full_is_an_error_and_freeing_helps() {
    let memory = memory_of(1 << 20);
    let capacity = memory.usage().code_capacity_bytes;
    assert!(
        memory
            .install(LABEL, &code(vec![0; capacity + 1]))
            .unwrap_err()
            .is_full()
    );
    let all = memory.install(LABEL, &code(vec![0; capacity])).unwrap();
    assert!(
        memory
            .install(LABEL, &code(vec![0; 1]))
            .unwrap_err()
            .is_full()
    );
    drop(all);
    let mut blocks = Vec::new();
    while let Ok(block) = memory.install(LABEL, &code(vec![1; 5000])) {
        blocks.push(block);
    }
    assert_eq!(blocks.len(), capacity / 5008);
    assert_eq!(memory.usage().code_blocks, blocks.len());
    assert_eq!(memory.usage().code_used_bytes, blocks.len() * 5008);
    drop(blocks.swap_remove(blocks.len() / 2));
    blocks.push(memory.install(LABEL, &code(vec![2; 5000])).unwrap());
    assert!(memory.install(LABEL, &code(vec![3; 5000])).is_err());
    drop(blocks);
    assert_eq!(memory.usage().code_used_bytes, 0);
    memory.install(LABEL, &code(vec![0; capacity])).unwrap();
}

#[test]
fn a_long_random_run_keeps_blocks_apart_and_leaves_nothing() {
    let memory = memory_of(4 << 20);
    let before = memory.usage();
    let mappings = maps_of(&memory).len();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut live: Vec<(CodeBlock, u8)> = Vec::new();
    let (mut installed, mut peak) = (0, 0);
    for step in 0..60_000 {
        if random.below(100) < 53 {
            let len = 1 + if random.below(10) == 0 {
                random.below(30_000)
            } else {
                random.below(600)
            };
            let fill = random.below(256) as u8;
            let mut code = code(vec![fill; len]);
            code.alignment = 1 << random.below(8);
            code.placement = 16 * random.below((code.alignment as usize).div_ceil(16)) as u32;
            match memory.install(LABEL, &code) {
                Ok(block) => {
                    let placement = block.info().start() % code.alignment as usize;
                    assert_eq!(placement, code.placement as usize);
                    live.push((block, fill));
                    installed += 1;
                }
                Err(error) => assert!(error.is_full(), "{error}"),
            }
        } else if !live.is_empty() {
            let (block, fill) = live.swap_remove(random.below(live.len()));
            assert!(contents(&block).iter().all(|&byte| byte == fill));
        }
        let usage = memory.usage();
        assert_eq!(usage.code_blocks, live.len());
        peak = peak.max(usage.code_used_bytes);
        if step % 1000 == 0 {
            let padded = |(block, _): &(CodeBlock, u8)| block.len().next_multiple_of(16);
            assert_eq!(usage.code_used_bytes, live.iter().map(padded).sum());
            assert!(
                live.iter()
                    .all(|(block, fill)| contents(block).iter().all(|b| b == fill))
            );
            // Each run of pages that cannot be accessed is at least 64 KiB.
            assert!(maps_of(&memory).len() <= mappings + 2 * (4 << 20 >> 16));
        }
    }
    assert!(installed > 25_000 && peak > 2 << 20, "{installed} {peak}");
    assert!(memory.usage().executable_resident_bytes > 1 << 20);
    drop(live);
    assert_eq!(memory.usage(), before);
    assert!(maps_of(&memory).len() <= mappings + 2);
    let capacity = before.code_capacity_bytes;
    memory.install(LABEL, &code(vec![0; capacity])).unwrap();
}

#[test]
fn memory_is_given_back_while_blocks_remain() {
    let memory = memory_of(16 << 20);
    let mut blocks: Vec<_> = (0..1000)
        .map(|_| memory.install(LABEL, &code(vec![0x90; 8000])).unwrap())
        .collect();
    let full = memory.usage().executable_resident_bytes;
    assert!(full >= 8_000_000);
    blocks.truncate(500);
    assert!(memory.usage().executable_resident_bytes < full * 6 / 10);
    blocks.clear();
    assert!(memory.usage().executable_resident_bytes < 64 << 10);
}

#[test]
fn lookups() {
    let memory = memory_of(1 << 20);
    let mut with_tables = code(vec![0x90; 100]);
    with_tables.traps = [(3, TrapKind::Unreachable), (40, TrapKind::IntegerOverflow)]
        .map(|(offset, kind)| TrapSite { offset, kind })
        .to_vec();
    with_tables.positions = [(0, None), (5, Some(11)), (20, Some(22)), (60, None)]
        .map(|(offset, position)| SourcePosition {
            offset,
            position,
            inlined: None,
        })
        .to_vec();
    with_tables.accesses = [(6, 12), (61, 70)]
        .map(|(offset, position)| AccessSite { offset, position })
        .to_vec();
    with_tables.frame_bytes = 64;
    let label = BlockLabel {
        function: FuncId(5),
        tier: Tier::Optimizing,
        kind: CompileKind::Trampoline,
    };
    let blocks: Vec<_> = (0..50)
        .map(|_| memory.install(label, &with_tables).unwrap())
        .collect();
    for block in &blocks {
        let info = block.info();
        assert_eq!(block.label(), label);
        assert_eq!((info.len(), info.frame_bytes()), (100, 64));
        for pc in info.start()..info.start() + 100 {
            assert!(memory.contains(pc));
            let found = memory.lookup(pc).unwrap();
            assert!(Arc::ptr_eq(&found, info));
            let offset = memory.with_block(pc, |info| info.offset_of(pc));
            assert_eq!(offset, Some(Some((pc - info.start()) as u32)));
        }
        // The padding is nobody's.
        assert!(memory.lookup(info.start() + 100).is_none());
        assert!(memory.contains(info.start() + 100));
        assert_eq!(info.trap_at(3), Some(TrapKind::Unreachable));
        assert_eq!(info.trap_at(40), Some(TrapKind::IntegerOverflow));
        assert_eq!(info.trap_at(4), None);
        assert_eq!(info.trap_at(6), Some(TrapKind::MemoryOutOfBounds));
        let frame = |offset| info.frames_at(offset).next();
        assert_eq!(frame(6), Some((FuncId(5), Some(12))));
        assert_eq!(frame(7), Some((FuncId(5), Some(11))));
        assert_eq!(frame(61), Some((FuncId(5), Some(70))));
        assert_eq!(frame(62), Some((FuncId(5), None)));
        let positions = [0, 4, 5, 19, 20, 59, 60, 99]
            .map(|offset| info.frames_at(offset).next().and_then(|frame| frame.1));
        let expected = [
            None,
            None,
            Some(11),
            Some(11),
            Some(22),
            Some(22),
            None,
            None,
        ];
        assert_eq!(positions, expected);
    }
    let info = Arc::clone(blocks[7].info());
    drop(blocks);
    assert!(memory.lookup(info.start()).is_none());
    assert!(memory.contains(info.start()));
    assert!(!memory.contains(memory.slot_address(FuncId(0))));
    assert!(!memory.contains(0) && !memory.contains(usize::MAX));
    assert!(memory.with_block(0, |_| ()).is_none());
}

#[test]
fn every_relocation_kind_of_this_range() {
    let memory = memory_of(1 << 20);
    let functions = memory.allocate_functions(10).unwrap();
    let function = functions.get(6).unwrap();
    memory.set_builtin(9, 0x1234_5678);
    let cells = memory.slot_address(FuncId(0)) - 4096;
    let stub = memory.stub_address(function) as i64;
    let slot = memory.slot_address(function) as i64;
    let profile = memory.profile_cell(function).addr().get() as i64;
    let place = 16;
    let install = |kind, target, addend| {
        let mut code = code(vec![0; 64]);
        let offset = place as u32;
        code.relocations = vec![Relocation {
            offset,
            kind,
            target,
            addend,
        }];
        let block = memory.install(LABEL, &code).unwrap();
        let field: [u8; 8] = contents(&block)[place..place + 8].try_into().unwrap();
        assert!(contents(&block)[..place].iter().all(|&byte| byte == 0));
        (
            i64::from_le_bytes(field),
            block.info().start() as i64 + place as i64,
        )
    };
    let absolute = |kind, target, addend| install(kind, target, addend).0;
    let distance = |kind, target, addend| {
        let (field, place) = install(kind, target, addend);
        i64::from(field as i32) + place
    };
    let f = Target::Function(function);
    assert_eq!(absolute(RelocKind::Abs8, f, 3), stub + 3);
    assert_eq!(distance(RelocKind::PcRel4, f, -4), stub - 4);
    assert_eq!(distance(RelocKind::GotPcRel4, f, -4), slot - 4);
    let p = Target::ProfileCell(function);
    assert_eq!(absolute(RelocKind::Abs8, p, 0), profile);
    assert_eq!(distance(RelocKind::PcRel4, p, -5), profile - 5);
    let b = Target::Builtin(9);
    assert_eq!(absolute(RelocKind::Abs4, b, 1), 0x1234_5679);
    assert_eq!(absolute(RelocKind::Abs8, b, -1), 0x1234_5677);
    assert_eq!(
        distance(RelocKind::GotPcRel4, b, -4),
        (cells + 9 * 8 - 4) as i64
    );
    let l = Target::LibCall(LibCall::Memcpy);
    assert_eq!(
        absolute(RelocKind::Abs8, l, 0),
        libc::memcpy as *const () as i64
    );
    let cell = distance(RelocKind::GotPcRel4, l, 0) as *const i64;
    // SAFETY: the cell is in the memory's data part.
    assert_eq!(unsafe { *cell }, libc::memcpy as *const () as i64);
    let (local, place_address) = install(RelocKind::Abs8, Target::Local(40), 2);
    assert_eq!(local, place_address - place as i64 + 42);
    let (local, _) = install(RelocKind::PcRel4, Target::Local(40), -4);
    assert_eq!(local as i32, 40 - 4 - place as i32);
    assert_eq!(memory.usage().code_used_bytes, 0);
}

#[test]
fn relocations_that_cannot_be_applied_leave_nothing() {
    let memory = memory_of(1 << 20);
    let functions = memory.allocate_functions(2).unwrap();
    drop(memory.allocate_functions(2).unwrap());
    memory.set_builtin(3, 1 << 40);
    let function = Target::Function(functions.first());
    let freed = Target::Function(FuncId(2));
    let unknown = Target::Function(FuncId(4_000_000_000));
    let never = Target::ProfileCell(FuncId(2000));
    use RelocKind::{Abs4, Abs8, GotPcRel4, PcRel4};
    use RelocationError as E;
    let cases = [
        (61, PcRel4, function, 0, E::FieldOutside),
        (57, Abs8, function, 0, E::FieldOutside),
        (u32::MAX, Abs8, function, 0, E::FieldOutside),
        (0, Abs4, Target::Builtin(3), 0, E::Overflow),
        (0, PcRel4, function, 1 << 32, E::Overflow),
        (0, PcRel4, function, i64::MIN, E::Overflow),
        (0, GotPcRel4, function, i64::MAX, E::Overflow),
        (0, PcRel4, Target::Builtin(3), 0, E::Overflow),
        (0, PcRel4, freed, 0, E::UnknownFunction),
        (0, GotPcRel4, freed, 0, E::UnknownFunction),
        (0, GotPcRel4, unknown, 0, E::UnknownFunction),
        (0, Abs8, unknown, 0, E::UnknownFunction),
        (0, PcRel4, never, 0, E::UnknownFunction),
        (0, GotPcRel4, Target::Builtin(4), 0, E::UnknownBuiltin),
        (
            0,
            Abs8,
            Target::Builtin(BUILTIN_COUNT),
            0,
            E::UnknownBuiltin,
        ),
        (
            0,
            GotPcRel4,
            Target::Builtin(u32::MAX),
            0,
            E::UnknownBuiltin,
        ),
        (
            0,
            GotPcRel4,
            Target::LibCall(LibCall::Probestack),
            0,
            E::UnknownLibCall,
        ),
        (
            0,
            Abs8,
            Target::LibCall(LibCall::ElfTlsGetAddr),
            0,
            E::UnknownLibCall,
        ),
        (0, Abs8, Target::Local(65), 0, E::LocalOutside),
        (0, GotPcRel4, Target::Local(0), 0, E::NoAddressCell),
        (
            0,
            GotPcRel4,
            Target::ProfileCell(functions.first()),
            0,
            E::NoAddressCell,
        ),
    ];
    let before = memory.usage();
    for (offset, kind, target, addend, expected) in cases {
        let mut code = code(vec![0; 64]);
        code.relocations = vec![Relocation {
            offset,
            kind,
            target,
            addend,
        }];
        match memory.install(LABEL, &code) {
            Err(CodeMemoryError::Relocation { reason, .. }) => assert_eq!(reason, expected),
            other => panic!("{kind:?} of {target:?}: {other:?}"),
        }
        assert_eq!(memory.usage(), before);
    }
}

#[test]
fn malformed_code_is_declined() {
    let memory = memory_of(1 << 20);
    let trap = |offset| TrapSite {
        offset,
        kind: TrapKind::Unreachable,
    };
    let position = |offset| SourcePosition {
        offset,
        position: None,
        inlined: None,
    };
    let good = code(vec![0; 64]);
    let cases = [
        CompiledCode {
            bytes: Vec::new(),
            ..good.clone()
        },
        CompiledCode {
            alignment: 0,
            ..good.clone()
        },
        CompiledCode {
            alignment: 24,
            ..good.clone()
        },
        CompiledCode {
            alignment: 1 << 20,
            ..good.clone()
        },
        CompiledCode {
            placement: 16,
            ..good.clone()
        },
        CompiledCode {
            alignment: 64,
            placement: 8,
            ..good.clone()
        },
        CompiledCode {
            traps: vec![trap(5), trap(4)],
            ..good.clone()
        },
        CompiledCode {
            traps: vec![trap(5), trap(5)],
            ..good.clone()
        },
        CompiledCode {
            positions: vec![position(5), position(4)],
            ..good.clone()
        },
    ];
    for code in cases {
        let error = memory.install(LABEL, &code).unwrap_err();
        assert!(matches!(error, CodeMemoryError::Malformed(_)), "{error}");
    }
    assert_eq!(memory.usage().code_blocks, 0);
}

#[test]
fn allocations_fail_as_told() {
    let memory = CodeMemory::new(CodeMemoryConfig {
        reserve_bytes: 1 << 20,
        failing_allocations: 1..3,
    })
    .unwrap();
    let functions = memory.allocate_functions(1).unwrap();
    assert!(memory.allocate_functions(1).unwrap_err().is_full());
    assert!(memory.install(LABEL, &code(vec![0])).unwrap_err().is_full());
    let block = memory.install(LABEL, &code(vec![0])).unwrap();
    memory.set_failing_allocations(0..u64::MAX);
    assert!(memory.install(LABEL, &code(vec![0])).is_err());
    drop((functions, block));
    assert!(memory.install(LABEL, &code(vec![0])).is_err());
    memory.set_failing_allocations(0..0);
    assert!(memory.install(LABEL, &code(vec![0])).is_ok());
}

#[test]
fn a_forked_child_can_neither_allocate_nor_do_harm() {
    let memory = memory_of(1 << 20);
    let functions = memory.allocate_functions(10).unwrap();
    let block = memory.install(LABEL, &code(vec![0xab; 300])).unwrap();
    let slot = memory.entry_slot(FuncId(3)).load(Ordering::Acquire);
    // SAFETY: the child makes system calls, compares and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let install = memory.install(LABEL, &code(vec![0xcd; 300]));
        let allocate = memory.allocate_functions(1);
        let declined = matches!(install, Err(CodeMemoryError::Forked))
            && matches!(allocate, Err(CodeMemoryError::Forked));
        drop((block, functions));
        let inherited = memory.entry_slot(FuncId(3)).load(Ordering::Acquire) == slot;
        drop(memory);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!(declined && inherited))) };
    }
    let mut status = 0;
    // SAFETY: `status` is a place for the status.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(contents(&block).iter().all(|&byte| byte == 0xab));
    assert_eq!(memory.usage().functions, functions.len());
    assert!(memory.install(LABEL, &code(vec![0; 16])).is_ok());
}

#[test]
fn what_the_system_declines_is_an_error() {
    let taken = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split_whitespace().next().unwrap().parse().unwrap();
        pages * 4096
    };
    // The first view needs 1 GiB, the second 0.9.
    let cases = [
        (libc::RLIMIT_AS, 512 << 20, false),
        (libc::RLIMIT_AS, 1536 << 20, false),
        (libc::RLIMIT_AS, 3 << 30, true),
        (libc::RLIMIT_FSIZE, 1 << 20, false),
        (libc::RLIMIT_NOFILE, 0, false),
    ];
    for (resource, limit, granted) in cases {
        // SAFETY: the child lowers a limit of its own, maps, unmaps and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let others = if resource == libc::RLIMIT_AS {
                taken()
            } else {
                0
            };
            let limit = others + limit;
            let limit = libc::rlimit {
                rlim_cur: limit,
                rlim_max: limit,
            };
            // SAFETY: `limit` is a limit.
            unsafe { libc::setrlimit(resource, &limit) };
            let expected = match CodeMemory::new(CodeMemoryConfig::default()) {
                Ok(memory) => granted && memory.install(LABEL, &code(vec![0; 100])).is_ok(),
                Err(CodeMemoryError::System { .. }) => !granted,
                Err(_) => false,
            };
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!expected)) };
        }
        let mut status = 0;
        // SAFETY: `status` is a place for the status.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "resource {resource}, limit {limit}");
    }
}

#[test]
fn threads_share_one_memory() {
    let memory = memory_of(8 << 20);
    let before = memory.usage();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let memory = &memory;
            scope.spawn(move || {
                let mut random = Random(0x9e37_79b9 + thread);
                let mut live = Vec::new();
                for _ in 0..2000 {
                    let functions = memory.allocate_functions(1 + random.below(30) as u32);
                    let functions = functions.unwrap();
                    let fill = random.below(256) as u8;
                    let label = BlockLabel {
                        function: functions.first(),
                        ..LABEL
                    };
                    let code = code(vec![fill; 1 + random.below(2000)]);
                    let block = memory.install(label, &code).unwrap();
                    let entry = block.entry().cast_mut();
                    memory
                        .entry_slot(functions.first())
                        .store(entry, Ordering::Release);
                    live.push((block, functions, fill));
                    if live.len() > 40 {
                        let (block, functions, fill) = live.swap_remove(random.below(40));
                        assert!(contents(&block).iter().all(|&byte| byte == fill));
                        let slot = memory.entry_slot(functions.first());
                        assert_eq!(slot.load(Ordering::Acquire).cast_const(), block.entry());
                        let info = memory.lookup(block.info().start() + block.len() - 1);
                        assert_eq!(info.unwrap().label().function, functions.first());
                    }
                }
            });
        }
    });
    let after = memory.usage();
    assert_eq!(
        (after.code_used_bytes, after.code_blocks, after.functions),
        (0, 0, 0)
    );
    assert!(after.executable_resident_bytes <= before.executable_resident_bytes + (256 << 10));
}

/// The frames of inlined callees, inside out: the innermost where it is, those around it at their calls.
#[test]
fn inlined_frames_are_found() {
    let memory = memory_of(1 << 20);
    let functions = memory.allocate_functions(3).unwrap();
    let (own, middle, inner) = (
        functions.first(),
        FuncId(functions.first().0 + 1),
        FuncId(functions.first().0 + 2),
    );
    let position = |(offset, position, inlined)| SourcePosition {
        offset,
        position: Some(position),
        inlined,
    };
    let call = |callee, position, caller| InlinedCall {
        callee,
        position: Some(position),
        caller,
    };
    let code = CompiledCode {
        positions: [
            (0, 1, None),
            (4, 20, Some(0)),
            (8, 30, Some(1)),
            (12, 2, None),
        ]
        .map(position)
        .to_vec(),
        inlined: vec![call(middle, 5, None), call(inner, 25, Some(0))],
        ..code(vec![0x90; 16])
    };
    let block = memory
        .install(
            BlockLabel {
                function: own,
                ..LABEL
            },
            &code,
        )
        .unwrap();
    let frames = |offset| block.info().frames_at(offset).collect::<Vec<_>>();
    assert_eq!(frames(3), [(own, Some(1))]);
    assert_eq!(frames(4), [(middle, Some(20)), (own, Some(5))]);
    assert_eq!(
        frames(11),
        [(inner, Some(30)), (middle, Some(25)), (own, Some(5))]
    );
    assert_eq!(frames(15), [(own, Some(2))]);
}
