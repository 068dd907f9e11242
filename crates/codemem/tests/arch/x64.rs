//! Code that runs: hand-assembled x86-64 functions, called every way that calls happen.
#![cfg(target_arch = "x86_64")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use upshift_base::{FuncId, Tier};
use upshift_codegen::cranelift_codegen::ir::LibCall;
use upshift_codegen::{CompileKind, CompiledCode, RelocKind, Relocation, Target};
use upshift_codemem::{
    BUILTIN_CONTEXT, BUILTIN_LAZY_COMPILE, BlockLabel, CodeBlock, CodeMemory, CodeMemoryConfig,
};

fn memory() -> Arc<CodeMemory> {
    let config = CodeMemoryConfig {
        reserve_bytes: 4 << 20,
        ..CodeMemoryConfig::default()
    };
    CodeMemory::new(config).unwrap()
}

fn install(memory: &CodeMemory, bytes: &[u8], relocations: &[Relocation]) -> CodeBlock {
    let label = BlockLabel {
        function: FuncId(0),
        tier: Tier::Baseline,
        kind: CompileKind::Entry,
    };
    let code = CompiledCode {
        bytes: bytes.to_vec(),
        alignment: 32,
        placement: 0,
        relocations: relocations.to_vec(),
        traps: Vec::new(),
        accesses: Vec::new(),
        positions: Vec::new(),
        frame_bytes: 0,
        adapter_bytes: 0,
        inlined: Vec::new(),
        call_sites: 0,
    };
    memory.install(label, &code).unwrap()
}

fn relocation(offset: u32, kind: RelocKind, target: Target) -> Relocation {
    Relocation {
        offset,
        kind,
        target,
        addend: -4,
    }
}

/// `mov eax, value; ret`
fn constant(memory: &CodeMemory, value: u32) -> CodeBlock {
    let [a, b, c, d] = value.to_le_bytes();
    install(memory, &[0xb8, a, b, c, d, 0xc3], &[])
}

/// `sub rsp, 8; call target; add rsp, 8; ret` with the call through an address cell.
fn call_through_cell(memory: &CodeMemory, target: Target) -> CodeBlock {
    let bytes = [
        0x48, 0x83, 0xec, 8, 0xff, 0x15, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 8, 0xc3,
    ];
    install(
        memory,
        &bytes,
        &[relocation(6, RelocKind::GotPcRel4, target)],
    )
}

/// The same with the call to the target itself.
fn call_direct(memory: &CodeMemory, target: Target) -> CodeBlock {
    let bytes = [
        0x48, 0x83, 0xec, 8, 0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 8, 0xc3,
    ];
    install(memory, &bytes, &[relocation(5, RelocKind::PcRel4, target)])
}

/// Calls code that takes nothing and returns 32 bits.
fn call(entry: *const u8) -> u32 {
    // SAFETY: the tests pass code of that signature.
    let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(entry) };
    function()
}

fn publish(memory: &CodeMemory, function: FuncId, block: &CodeBlock) {
    let entry = block.entry().cast_mut();
    memory.entry_slot(function).store(entry, Ordering::Release);
}

/// `pop rax; pop rcx; mov [rax], rcx; mov eax, 77; ret`: a lazy-compile routine that notes the address in the stub at
/// the context and returns to the caller.
fn noting_routine(memory: &CodeMemory) -> CodeBlock {
    let bytes = [0x58, 0x59, 0x48, 0x89, 0x08, 0xb8, 77, 0, 0, 0, 0xc3];
    install(memory, &bytes, &[])
}

#[test]
fn every_way_to_call() {
    let memory = memory();
    let functions = memory.allocate_functions(3).unwrap();
    let function = functions.get(1).unwrap();
    let target = constant(&memory, 42);
    publish(&memory, function, &target);
    let through_slot = call_through_cell(&memory, Target::Function(function));
    let through_stub = call_direct(&memory, Target::Function(function));
    assert_eq!(call(target.entry()), 42);
    assert_eq!(
        call(memory.entry_slot(function).load(Ordering::Acquire)),
        42
    );
    assert_eq!(call(memory.stub_address(function)), 42);
    assert_eq!(call(through_slot.entry()), 42);
    assert_eq!(call(through_stub.entry()), 42);
    let next = constant(&memory, 43);
    publish(&memory, function, &next);
    drop(target);
    for entry in [through_slot.entry(), through_stub.entry()] {
        assert_eq!(call(entry), 43);
    }
}

#[test]
fn functions_without_code_reach_the_lazy_compile_routine() {
    let memory = memory();
    let functions = memory.allocate_functions(600).unwrap();
    let noted = AtomicUsize::new(0);
    let routine = noting_routine(&memory);
    memory.set_builtin(BUILTIN_CONTEXT, noted.as_ptr() as usize);
    memory.set_builtin(BUILTIN_LAZY_COMPILE, routine.entry() as usize);
    for function in functions.iter() {
        let caller = call_through_cell(&memory, Target::Function(function));
        let indirect = call_direct(&memory, Target::Function(function));
        for entry in [
            memory.stub_address(function),
            caller.entry(),
            indirect.entry(),
        ] {
            noted.store(0, Ordering::Relaxed);
            assert_eq!(call(entry), 77);
            let address = noted.load(Ordering::Relaxed);
            assert_eq!(memory.function_of_stub(address), Some(function));
        }
    }
    // A function that had code can be made lazy again.
    let function = functions.first();
    let block = constant(&memory, 5);
    publish(&memory, function, &block);
    assert_eq!(call(memory.stub_address(function)), 5);
    let lazy = memory.lazy_entry(function);
    memory.entry_slot(function).store(lazy, Ordering::Release);
    assert_eq!(call(memory.stub_address(function)), 77);
}

#[test]
fn builtins_library_routines_constants_and_cells() {
    extern "C" fn seven() -> u32 {
        7
    }
    extern "C" fn eight() -> u32 {
        8
    }
    let memory = memory();
    let functions = memory.allocate_functions(1).unwrap();
    memory.set_builtin(5, seven as extern "C" fn() -> u32 as usize);
    let caller = call_through_cell(&memory, Target::Builtin(5));
    assert_eq!(call(caller.entry()), 7);
    memory.set_builtin(5, eight as extern "C" fn() -> u32 as usize);
    assert_eq!(call(caller.entry()), 8);

    let floor = call_through_cell(&memory, Target::LibCall(LibCall::FloorF64));
    // SAFETY: the code hands its argument through to the routine.
    let floor: extern "C" fn(f64) -> f64 = unsafe { std::mem::transmute(floor.entry()) };
    assert_eq!(floor(-2.5), -3.0);
    let compare = call_through_cell(&memory, Target::LibCall(LibCall::Memcmp));
    // SAFETY: as above.
    let compare: extern "C" fn(*const u8, *const u8, usize) -> i32 =
        unsafe { std::mem::transmute(compare.entry()) };
    assert_eq!(compare(b"abc".as_ptr(), b"abc".as_ptr(), 3), 0);

    // mov eax, [rip + 8]; ret; and the constant there
    let bytes = [0x8b, 0x05, 0, 0, 0, 0, 0xc3, 0, 0x78, 0x56, 0x34, 0x12];
    let local = install(
        &memory,
        &bytes,
        &[relocation(2, RelocKind::PcRel4, Target::Local(8))],
    );
    assert_eq!(call(local.entry()), 0x1234_5678);

    // dec dword [rip + cell]; mov eax, [rip + cell]; ret
    let cell = Target::ProfileCell(functions.first());
    let bytes = [0xff, 0x0d, 0, 0, 0, 0, 0x8b, 0x05, 0, 0, 0, 0, 0xc3];
    let relocations = [2, 8].map(|offset| relocation(offset, RelocKind::PcRel4, cell));
    let count = install(&memory, &bytes, &relocations);
    // SAFETY: the function is allocated.
    let cell = unsafe { memory.profile_cell(functions.first()).as_ref() };
    cell.entry_budget.store(10, Ordering::Relaxed);
    assert_eq!((call(count.entry()), call(count.entry())), (9, 8));
    assert_eq!(cell.entry_budget.load(Ordering::Relaxed), 8);
}

#[test]
fn freed_code_is_gone_and_its_place_is_used_again() {
    let memory = memory();
    let first = constant(&memory, 1);
    let place = first.entry();
    assert_eq!(call(place), 1);
    let keep = constant(&memory, 9);
    drop(first);
    // SAFETY: the page is still in use by `keep`, so it was not given back.
    assert_eq!(unsafe { std::slice::from_raw_parts(place, 6) }, [0xcc; 6]);
    let second = constant(&memory, 2);
    assert_eq!(second.entry(), place);
    assert_eq!((call(place), call(keep.entry())), (2, 9));
    // A function that is no more leads to an instruction that is none.
    let functions = memory.allocate_functions(1).unwrap();
    let function = functions.first();
    drop(functions);
    let trap = memory.entry_slot(function).load(Ordering::Acquire);
    // SAFETY: the thunks are always there.
    assert_eq!(unsafe { std::slice::from_raw_parts(trap, 2) }, [0x0f, 0x0b]);
}

#[test]
fn slots_are_swapped_and_places_used_again_under_callers() {
    const CALLERS: usize = 2;
    const VERSIONS: u32 = 1000;
    let memory = memory();
    let functions = memory.allocate_functions(1).unwrap();
    let function = functions.first();
    let through_slot = call_through_cell(&memory, Target::Function(function));
    let through_stub = call_direct(&memory, Target::Function(function));
    let mut current = constant(&memory, 0);
    publish(&memory, function, &current);
    let rounds: [AtomicUsize; CALLERS] = Default::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for round in &rounds {
            let entries = [through_slot.entry() as usize, through_stub.entry() as usize];
            let (memory, stop) = (&memory, &stop);
            scope.spawn(move || {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    for entry in entries {
                        let value = call(entry as *const u8);
                        if value < last {
                            stop.store(true, Ordering::Relaxed);
                            panic!("{value} after {last}");
                        }
                        last = value;
                    }
                    let _ = memory.with_block(entries[0], |info| info.len());
                    round.fetch_add(1, Ordering::Release);
                    std::thread::yield_now();
                }
            });
        }
        for version in 1..VERSIONS {
            let next = constant(&memory, version);
            publish(&memory, function, &next);
            // Once every caller has come round, nobody is in the old version.
            let seen = rounds.each_ref().map(|round| round.load(Ordering::Acquire));
            let behind =
                |(round, seen): (&AtomicUsize, usize)| round.load(Ordering::Acquire) < seen + 2;
            while rounds.iter().zip(seen).any(behind) {
                std::thread::yield_now();
            }
            drop(std::mem::replace(&mut current, next));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(call(through_slot.entry()), VERSIONS - 1);
    assert_eq!(memory.usage().code_blocks, 3);
}
