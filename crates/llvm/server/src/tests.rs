//! What a client relies on, beside right code: that is what the suites that run programs are about.

use crate::translate::{self, Settings};
use crate::watchdog::Watchdog;
use crate::{backend, serve};
use cranelift_codegen::cursor::{Cursor as _, FuncCursor};
use cranelift_codegen::ir::{AbiParam, Function, InstBuilder as _, Signature, UserFuncName, types};
use cranelift_codegen::isa::CallConv;
use std::sync::Once;
use upshift_base::{FuncId, TrapKind};
use upshift_codegen::{CompileError, CompiledCode, RelocKind, Target, symbol};
use upshift_llvm::protocol::{Greeting, Job, Reply, read_frame, write_frame};

fn job(number: u64, clif: &str) -> Job {
    static LLVM: Once = Once::new();
    LLVM.call_once(backend::initialize);
    Job {
        number,
        canonical_nans: false,
        verify: true,
        features: vec![
            "sse4.1".to_owned(),
            "avx".to_owned(),
            "no-such-thing".to_owned(),
        ],
        clif: clif.to_owned(),
    }
}

fn compile(clif: &str) -> Result<CompiledCode, CompileError> {
    backend::compile(&[job(0, clif)]).remove(0)
}

const DIVISION: &str = "function u0:0(i32, i32) -> i32 tail {
block0(v0: i32, v1: i32):
@0010    v2 = sdiv v0, v1
    return v2
}";

const CALLER: &str = "function u0:0(i64) -> i64, i64 tail {
    sig0 = (i64) -> i64 tail
    fn0 = u0:7 sig0
block0(v0: i64):
@0020    v1 = call fn0(v0)
    return v0, v1
}";

#[test]
fn traps_have_their_kind_and_position() {
    let code = compile(DIVISION).unwrap();
    let kinds: Vec<TrapKind> = code.traps.iter().map(|trap| trap.kind).collect();
    assert!(
        kinds.contains(&TrapKind::IntegerDivisionByZero),
        "{kinds:?}"
    );
    assert!(kinds.contains(&TrapKind::IntegerOverflow), "{kinds:?}");
    for trap in &code.traps {
        assert_eq!(code.bytes[trap.offset as usize..][..2], [0x0f, 0x0b], "ud2");
        let position = code.positions.iter().rfind(|p| p.offset <= trap.offset);
        assert_eq!(position.unwrap().position, Some(0x10), "{code:?}");
    }
}

#[test]
fn a_call_goes_through_the_callees_cell() {
    let code = compile(CALLER).unwrap();
    assert_eq!(code.relocations.len(), 1, "{code:?}");
    assert_eq!(code.relocations[0].kind, RelocKind::GotPcRel4);
    assert_eq!(code.relocations[0].target, Target::Function(FuncId(7)));
    assert!(code.positions.iter().any(|p| p.position == Some(0x20)));
}

#[test]
fn the_address_of_a_profile_cell_is_found_in_the_text() {
    let signature = Signature::new(CallConv::Tail);
    let mut body = Function::with_name_signature(UserFuncName::user(0, 1), signature);
    body.signature.returns.push(AbiParam::new(types::I64));
    // What else has a name comes first.
    let callee = body.import_signature(Signature::new(CallConv::Tail));
    symbol::import_function(&mut body, FuncId(7), callee);
    let cell = symbol::import_profile_cell(&mut body, FuncId(12));
    let block = body.dfg.make_block();
    body.layout.append_block(block);
    let mut cursor = FuncCursor::new(&mut body).at_bottom(block);
    let address = cursor.ins().symbol_value(types::I64, cell);
    cursor.ins().return_(&[address]);
    let code = compile(&upshift_llvm::clif(&body)).unwrap();
    let targets: Vec<Target> = code.relocations.iter().map(|r| r.target).collect();
    assert_eq!(targets, [Target::ProfileCell(FuncId(12))]);
}

#[test]
fn constants_come_with_the_code() {
    let code = compile(
        "function u0:0(f64) -> f64 tail {
block0(v0: f64):
    v1 = f64const 0x1.8p1
    v2 = fadd v0, v1
    return v2
}",
    );
    let code = code.unwrap();
    assert!(code.relocations.is_empty());
    assert!(
        code.bytes
            .windows(8)
            .any(|bytes| bytes == 3f64.to_le_bytes())
    );
}

#[test]
fn what_cannot_be_done_exactly_is_declined() {
    let big_endian = "function u0:0(i64) -> i64 tail {
block0(v0: i64):
    v1 = load.i64 notrap big v0
    return v1
}";
    let many = "function u0:0(i64, i64) -> i64 tail {
    sig0 = (i64, i64, i64, i64, i64, i64, i64) -> i64 tail
block0(v0: i64, v1: i64):
    return_call_indirect sig0, v0(v1, v1, v1, v1, v1, v1, v1)
}";
    for clif in [big_endian, many] {
        let error = compile(clif).unwrap_err();
        assert!(matches!(error, CompileError::Bailout(_)), "{error}");
    }
}

#[test]
fn what_takes_arguments_on_the_stack_is_called_by_an_adapter() {
    let code = compile(
        "function u0:0(i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64):
    v8 = udiv v6, v7
    return v8
}",
    );
    let code = code.unwrap();
    assert_eq!(code.bytes[..4], [0x55, 0x48, 0x89, 0xe5]);
    let adapter = code.adapter_bytes as usize;
    assert!(adapter > 0 && adapter.is_multiple_of(16));
    // It removes two arguments of eight bytes.
    let removes = [0xc9, 0xc2, 16, 0];
    let has_removal = |bytes: &[u8]| bytes.windows(4).any(|bytes| bytes == removes);
    assert!(has_removal(&code.bytes[..adapter]));
    assert_eq!(code.traps.len(), 1);
    assert!(code.traps[0].offset >= code.adapter_bytes);
    // One that leaves by a tail call, too.
    let code = compile(
        "function u0:0(i64, i64, i64, i64, i64, i64, i64, f32, i32) -> i64 tail {
    sig0 = (i64, f32, i64) -> i64 tail
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: f32, v8: i32):
    v9 = uextend.i64 v8
    return_call_indirect sig0, v0(v9, v7, v6)
}",
    );
    let code = code.unwrap();
    assert!(has_removal(&code.bytes[..code.adapter_bytes as usize]));
}

#[test]
fn what_is_no_function_is_an_error() {
    for clif in [
        "",
        "function",
        "{}",
        "\0\0\0",
        "function u0:0() tail {\nblock0:\n    jump block9\n}",
    ] {
        assert!(
            matches!(compile(clif), Err(CompileError::Failed(_))),
            "{clif}"
        );
    }
    let twice = format!("{DIVISION}\n{DIVISION}");
    assert!(matches!(compile(&twice), Err(CompileError::Failed(_))));
}

/// What the server answers to these bytes.
fn talk(input: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let (mut input, mut output) = (input, Vec::new());
    let understood = serve::greet(&mut input, &mut output)
        .and_then(|fits| match fits {
            true => serve::serve(input, &mut output, (2, &Watchdog::default()), || {}),
            false => Ok(()),
        })
        .is_ok();
    let mut rest = &output[..];
    let mut frames = Vec::new();
    while let Some(frame) = read_frame(&mut rest).unwrap() {
        frames.push(frame);
    }
    (frames, understood)
}

fn conversation(jobs: &[Job]) -> Vec<u8> {
    let mut input = Vec::new();
    write_frame(&mut input, &Greeting::new("test".to_owned()).encode()).unwrap();
    for job in jobs {
        write_frame(&mut input, &job.encode()).unwrap();
    }
    input
}

#[test]
fn jobs_are_answered_by_their_number() {
    let jobs = [job(4, DIVISION), job(5, "nonsense"), job(6, CALLER)];
    let (frames, understood) = talk(&conversation(&jobs));
    assert!(understood);
    let greeting = Greeting::decode(&frames[0]).unwrap();
    assert!(greeting.name.starts_with("upshift-llvm"), "{greeting:?}");
    let mut replies: Vec<Reply> = frames[1..]
        .iter()
        .map(|frame| Reply::decode(frame).unwrap())
        .collect();
    replies.sort_by_key(|reply| reply.number);
    let numbers: Vec<u64> = replies.iter().map(|reply| reply.number).collect();
    assert_eq!(numbers, [4, 5, 6]);
    assert!(replies[0].result.is_ok() && replies[1].result.is_err() && replies[2].result.is_ok());
}

#[test]
fn other_versions_are_sent_away_politely() {
    let mut other = Greeting::new("test".to_owned());
    other.clif = "0.1.0".to_owned();
    let mut input = Vec::new();
    write_frame(&mut input, &other.encode()).unwrap();
    write_frame(&mut input, &job(1, DIVISION).encode()).unwrap();
    let (frames, understood) = talk(&input);
    assert!(understood);
    assert_eq!(frames.len(), 1, "a greeting, and nothing else");
    let own = Greeting::decode(&frames[0]).unwrap();
    assert!(other.mismatch(&own).is_some());
}

#[test]
fn damaged_input_ends_the_conversation() {
    let whole = conversation(&[job(1, "nonsense")]);
    for end in 0..whole.len() {
        talk(&whole[..end]);
    }
    let mut state = 1u64;
    for _ in 0..2000 {
        let mut damaged = whole.clone();
        for _ in 0..3 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % damaged.len();
            damaged[at] = (state >> 20) as u8;
        }
        talk(&damaged);
    }
}

/// A function with a constant, a jump table and a position of its own.
fn chooser(number: u32) -> String {
    format!(
        "function u0:{number}(i32, f64) -> f64 tail {{
block0(v0: i32, v1: f64):
    v2 = f64const 0x1.{number}8p1
    br_table v0, block6, [block1, block2, block3, block4, block5]
block1:
    v3 = fadd v1, v2
    return v3
block2:
    v4 = fmul v1, v2
    return v4
block3:
    v5 = fsub v1, v2
    return v5
block4:
    v6 = fdiv v1, v2
    return v6
block5:
    v7 = fneg v1
    return v7
block6:
@{:04x}    trap user{}
}}",
        0x100 + number,
        1 + number % 2
    )
}

#[test]
fn a_batch_gives_what_each_job_gives_alone() {
    let texts: Vec<String> = (1..6).map(chooser).collect();
    let mut jobs: Vec<Job> = texts.iter().map(|text| job(0, text)).collect();
    jobs.insert(2, job(0, "nonsense"));
    jobs.insert(4, job(0, DIVISION));
    let batch = backend::compile(&jobs);
    assert_eq!(batch.len(), jobs.len());
    for (job, together) in jobs.iter().zip(batch) {
        let alone = backend::compile(std::slice::from_ref(job)).remove(0);
        let (together, alone) = match (together, alone) {
            (Ok(together), Ok(alone)) => (together, alone),
            (together, alone) => {
                assert_eq!(together.unwrap_err(), alone.unwrap_err());
                continue;
            }
        };
        assert_eq!(together.traps, alone.traps);
        assert_eq!(together.positions, alone.positions);
        assert_eq!(together.relocations, alone.relocations);
        assert_eq!(together.frame_bytes, alone.frame_bytes);
        let constant = alone.bytes.windows(8).rfind(|bytes| bytes[7] == 0x40);
        if let Some(constant) = constant {
            let mut places = together.bytes.windows(8);
            assert!(places.any(|bytes| bytes == constant));
        }
    }
}

#[test]
fn positions_in_a_batch_are_each_functions_own() {
    let texts: Vec<String> = (1..6).map(chooser).collect();
    let jobs: Vec<Job> = texts.iter().map(|text| job(0, text)).collect();
    for (number, code) in (1..).zip(backend::compile(&jobs)) {
        let code = code.unwrap();
        let trap = code.traps.first().unwrap();
        let position = code.positions.iter().rfind(|p| p.offset <= trap.offset);
        assert_eq!(position.unwrap().position, Some(0x100 + number), "{code:?}");
    }
}

#[test]
fn frames_are_measured() {
    let with_slot = |bytes: u32| {
        let code = compile(&format!(
            "function u0:0(i64) -> i64 tail {{
    ss0 = explicit_slot {bytes}
    sig0 = (i64) -> i64 tail
    fn0 = u0:7 sig0
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    v2 = call fn0(v1)
    v3 = iadd v2, v0
    return v3
}}"
        ));
        code.unwrap().frame_bytes
    };
    for bytes in [16, 100, 200, 5000, 9000, 70_000] {
        let frame = with_slot(bytes);
        assert!((bytes..bytes + 64).contains(&frame), "{frame} for {bytes}");
    }
    assert_eq!(compile(DIVISION).unwrap().frame_bytes, 0);
}

/// Stores its number to every fourth byte from the second parameter on, up to the third.
const FILL: &str = "function u0:0(i64 vmctx, i32, i32) -> i32 tail {
    region0 = 1 \"memory\"
    region1 = 5 \"sizes\"
block0(v0: i64, v1: i32, v2: i32):
    jump block1(v1)
block1(v3: i32):
    v4 = load.i64 notrap aligned readonly can_move v0+48
    v5 = load.i64 notrap aligned readonly can_move v0+56
    v6 = load.i64 notrap aligned region1 v5+8
    v7 = uextend.i64 v3
    v8 = iconst.i64 4
    v9 = iadd v7, v8
    v10 = icmp ugt v9, v6
    trapnz v10, heap_oob
    v11 = iadd v4, v7
    store notrap little region0 v3, v11
    v12 = iconst.i32 4
    v13 = iadd v3, v12
    v14 = icmp ult v13, v2
    brif v14, block1(v13), block2
block2:
    return v13
}";

fn translated(clif: &str) -> String {
    let settings = Settings {
        canonical_nans: false,
        features: String::new(),
    };
    let func = backend::parse(clif).unwrap();
    translate::module(&func, &settings).unwrap().text
}

#[test]
fn the_checks_of_a_loop_that_ends_are_made_ahead_of_it() {
    let text = translated(FILL);
    let (plain, fast) = text.split_once("fast1:").expect("a faster version");
    assert!(
        plain.contains("guard1:") && plain.contains("@trap_"),
        "{text}"
    );
    let (fast, _) = fast.split_once("\n}").unwrap();
    assert!(
        fast.contains("store i32") && !fast.contains("@trap_"),
        "{text}"
    );
    let code = compile(FILL).unwrap();
    assert_eq!(
        code.traps.len(),
        1,
        "only the other version traps: {code:?}"
    );
}

#[test]
fn loops_whose_end_is_not_known_are_left_alone() {
    let others = [
        ("icmp ult v13", "icmp ugt v13"),
        ("icmp ult v13", "icmp eq v13"),
        ("v14 = icmp ult v13, v2", "v14 = load.i32 notrap v0"),
        ("iadd v3, v12", "ushr v3, v12"),
    ];
    for (from, to) in others {
        let clif = FILL.replace(from, to);
        assert_ne!(clif, FILL);
        assert!(!translated(&clif).contains("guard1"), "{clif}");
    }
}

#[test]
fn accesses_that_fault_by_themselves_are_volatile_unless_they_were_checked_ahead_of_a_loop() {
    let clif = FILL.replace("store notrap little", "store heap_oob little");
    let text = translated(&clif);
    assert!(!text.contains("@trap_"), "{text}");
    let (plain, fast) = text.split_once("fast1:").unwrap();
    assert!(plain.contains("store volatile i32"), "{text}");
    assert!(
        fast.contains("store i32") && !fast.contains("volatile"),
        "{text}"
    );
    assert_eq!(text.matches("fence").count(), 2, "{text}");
    // With another access between, the check has to stay where it is.
    let clif = clif.replace("    v11 = iadd", "    store notrap v3, v4\n    v11 = iadd");
    let text = translated(&clif);
    let (plain, fast) = text.split_once("fast1:").unwrap();
    assert!(plain.contains("@trap_"), "{text}");
    assert!(fast.contains("store volatile i32"), "{text}");
}

#[test]
fn an_inner_loop_that_shares_its_header_with_an_outer_one_is_told_apart() {
    // What a body is like that is entered in the inner loop.
    let clif = FILL.replace(
        "block2:\n    return v13\n",
        "block2:\n    v15 = load.i32 notrap v0\n    brif v15, block1(v1), block3\nblock3:\n    return v13\n",
    );
    let text = translated(&clif);
    assert!(text.contains("label %fast1, label %b1"), "{text}");
    compile(&clif).unwrap();
}

#[test]
fn a_loop_of_few_iterations_does_not_look_for_interrupts() {
    let poll = format!(
        "block1(v3: i32):\n    v20 = atomic_load.i64 notrap aligned v0\n    trapnz v20, user{}\n",
        TrapKind::Interrupted.code()
    );
    let clif = FILL.replace("block1(v3: i32):\n", &poll);
    let text = translated(&clif);
    let (plain, fast) = text.split_once("fast1:").unwrap();
    assert!(
        plain.contains("load atomic") && plain.contains("65536"),
        "{text}"
    );
    assert!(
        !fast.contains("load atomic") && !fast.contains("@trap_"),
        "{text}"
    );
    compile(&clif).unwrap();
}
