//! Tier 0 of CLIF functions: copy-and-patch against Cranelift without optimization, what compiling takes and what the
//! code takes, in one run, the two taking turns.
//!
//! `cargo bench -p upshift --bench clif`. The functions are those of `tests/clif`; the kernels are here.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{FIB, parse};
use upshift::cranelift_codegen::ir::Function;
use upshift::embed::stencil::ClifCompiler;
use upshift::embed::{CompileKind, CompileRequest, Compiler, FuncId, Owner, World};
use upshift::{Backend, Config, Engine, ModuleBuilder, Tier};
use upshift_cranelift::{CraneliftCompiler, Effort, Options};

/// Times that everything is measured by `cargo bench`; the least counts.
const ROUNDS: usize = 15;
/// Compilations of each function in a round.
const COMPILATIONS: usize = 20;

const SUM: &str = "
function u0:0(i64) -> i64 tail {
block0(v0: i64):
    v1 = iconst.i64 0
    jump block1(v1, v1)
block1(v2: i64, v3: i64):
    v4 = icmp sge v2, v0
    brif v4, block3, block2
block2:
    v8 = imul v2, v2
    v5 = iadd v3, v8
    v6 = iconst.i64 1
    v7 = iadd v2, v6
    jump block1(v7, v5)
block3:
    return v3
}";

const SIEVE: &str = "
function u0:0(i64) -> i64 tail {
    ss0 = explicit_slot 8192
block0(v0: i64):
    v1 = iconst.i64 0
    v2 = iconst.i64 1
    v3 = iconst.i64 8192
    v4 = stack_addr.i64 ss0
    jump block1(v1, v1)
block1(v5: i64, v6: i64):
    v7 = icmp ult v5, v0
    brif v7, block2(v1), block9
block2(v8: i64):
    v9 = icmp ult v8, v3
    brif v9, block3, block4(v2, v6)
block3:
    v10 = iadd v4, v8
    istore8 v2, v10
    v11 = iadd v8, v2
    jump block2(v11)
block4(v12: i64, v13: i64):
    v14 = iadd v12, v2
    v15 = icmp ult v14, v3
    brif v15, block5, block8
block5:
    v16 = iadd v4, v14
    v17 = uload8.i64 v16
    v18 = iadd v13, v17
    v19 = iadd v14, v14
    brif v17, block6(v19), block4(v14, v18)
block6(v20: i64):
    v21 = icmp ult v20, v3
    brif v21, block7, block4(v14, v18)
block7:
    v22 = iadd v4, v20
    istore8 v1, v22
    v23 = iadd v20, v14
    jump block6(v23)
block8:
    v24 = iadd v5, v2
    jump block1(v24, v13)
block9:
    return v6
}";

/// Newton's square roots of a row of numbers.
const ROOTS: &str = "
function u0:0(i64) -> i64 tail {
block0(v0: i64):
    v1 = iconst.i64 0
    v2 = iconst.i64 1
    v3 = f64const 0.0
    v4 = f64const 0x1.0p0
    v5 = f64const 0x1.0p-1
    v6 = iconst.i64 8
    jump block1(v1, v4, v3)
block1(v7: i64, v8: f64, v9: f64):
    v10 = icmp ult v7, v0
    brif v10, block2(v1, v8), block4
block2(v11: i64, v12: f64):
    v13 = fdiv v8, v12
    v14 = fadd v12, v13
    v15 = fmul v14, v5
    v16 = iadd v11, v2
    v17 = icmp ult v16, v6
    brif v17, block2(v16, v15), block3
block3:
    v18 = fadd v9, v15
    v19 = fadd v8, v4
    v20 = iadd v7, v2
    jump block1(v20, v19, v18)
block4:
    v21 = bitcast.i64 v9
    return v21
}";

const KERNELS: [(&str, &str, i64); 4] = [
    ("fib", FIB, 27),
    ("sum of squares", SUM, 10_000_000),
    ("sieve", SIEVE, 200),
    ("roots", ROOTS, 100_000),
];

fn rounds() -> usize {
    let measures = std::env::args().any(|argument| argument == "--bench");
    if measures { ROUNDS } else { 1 }
}

fn request(body: &Function) -> CompileRequest {
    CompileRequest {
        function: FuncId(0),
        tier: Tier::Baseline,
        kind: CompileKind::Entry,
        world: World::FIRST,
        owner: Owner::BUILT_IN,
        body: body.clone(),
    }
}

/// The time to compile all of them once, and the bytes of code.
fn compile(compiler: &dyn Compiler, requests: &[CompileRequest]) -> (Duration, usize) {
    let start = Instant::now();
    let mut bytes = 0;
    for _ in 0..COMPILATIONS {
        for request in requests {
            bytes += black_box(compiler.compile(request))
                .expect("it compiles")
                .bytes
                .len();
        }
    }
    (start.elapsed() / COMPILATIONS as u32, bytes / COMPILATIONS)
}

fn compile_times() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clif");
    let mut requests = Vec::new();
    for file in std::fs::read_dir(folder).expect("the programs") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a program");
        requests.extend(parse(&text).iter().map(request));
    }
    requests.extend(
        KERNELS
            .iter()
            .flat_map(|(_, text, _)| parse(text))
            .map(|body| request(&body)),
    );
    let none = CraneliftCompiler::new(Options {
        effort: Effort::None,
        canonical_nans: false,
        verify: false,
    });
    let compilers: [&dyn Compiler; 2] = [&ClifCompiler::new(false), &none.expect("this machine")];
    let mut least = [(Duration::MAX, 0); 2];
    for _ in 0..rounds() {
        for (least, compiler) in least.iter_mut().zip(compilers) {
            *least = (*least).min(compile(compiler, &requests));
        }
    }
    let insts: usize = requests
        .iter()
        .map(|request| request.body.dfg.num_insts())
        .sum();
    for (compiler, (time, bytes)) in compilers.iter().zip(least) {
        println!(
            "{:16} {:8.1} µs for {} functions of {insts} instructions, {bytes} bytes",
            compiler.name(),
            time.as_secs_f64() * 1e6,
            requests.len(),
        );
    }
    println!(
        "ratio {:.1}",
        least[1].0.as_secs_f64() / least[0].0.as_secs_f64()
    );
}

fn run_times() {
    for (name, text, argument) in KERNELS {
        let mut functions = Vec::new();
        for backend in [Backend::CopyAndPatch, Backend::CraneliftNone] {
            let config = Config::default().backend(Tier::Baseline, backend);
            let engine = Engine::new(config.only_tier(Tier::Baseline)).expect("an engine");
            let mut builder = ModuleBuilder::new(&engine);
            let body = parse(text).remove(0);
            let index = builder.declare("kernel", body.signature.clone());
            builder.define(index, body).expect("a valid function");
            let module = builder.finish().expect("a module");
            // SAFETY: the kernels touch nothing but their own stack slots.
            functions.push(unsafe { module.typed::<i64, i64>("kernel") }.expect("its type"));
        }
        let mut least = [Duration::MAX; 2];
        let mut results = [0; 2];
        for _ in 0..rounds() {
            for (at, function) in functions.iter().enumerate() {
                let start = Instant::now();
                results[at] = function.call(argument).expect("it returns");
                least[at] = least[at].min(start.elapsed());
            }
        }
        assert_eq!(results[0], results[1]);
        let [ours, none] = least.map(|time| time.as_secs_f64() * 1e3);
        println!(
            "{name:16} {ours:8.2} ms, Cranelift none {none:8.2} ms, ratio {:.2}",
            none / ours
        );
    }
}

fn main() {
    compile_times();
    run_times();
}
