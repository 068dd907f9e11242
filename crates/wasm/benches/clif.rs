//! What copy-and-patch makes of the CLIF that the translator makes: how many functions, why not the others, and what it
//! takes against Cranelift without optimization, the two taking turns at each function.
//!
//! `cargo bench -p upshift-wasm --bench clif -- FILE...`; without files, nothing is measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use upshift::embed::stencil::ClifCompiler;
use upshift::embed::{
    BodyRequest, CompileError, CompileKind, CompileRequest, CompiledCode, Compiler, FuncId,
    FunctionSource, Owner, Tier, World,
};
use upshift_cranelift::{CraneliftCompiler, Effort, Options};
use upshift_wasm::ModuleOptions;
use upshift_wasm::info::decode;
use upshift_wasm::translate::ModuleSource;

/// Times that each function is compiled; the least counts.
const ROUNDS: usize = 3;

/// The least time of some compilations.
fn compile(
    compiler: &dyn Compiler,
    request: &CompileRequest,
) -> (Duration, Result<CompiledCode, CompileError>) {
    let mut least = Duration::MAX;
    let mut result = Err(CompileError::Bailout("it was not asked".to_owned()));
    for _ in 0..ROUNDS {
        let start = Instant::now();
        result = compiler.compile(request);
        least = least.min(start.elapsed());
    }
    (least, result)
}

/// The sums over the functions that copy-and-patch compiles.
#[derive(Default)]
struct Sums {
    functions: usize,
    instructions: usize,
    times: [Duration; 2],
    bytes: [usize; 2],
    declined: BTreeMap<String, usize>,
}

fn measure(file: &str) -> Sums {
    let none = CraneliftCompiler::new(Options {
        effort: Effort::None,
        canonical_nans: false,
        verify: false,
    });
    let (ours, none) = (ClifCompiler::new(false), none.expect("this machine"));
    let bytes = std::fs::read(file).expect("a file");
    let info = Arc::new(decode(bytes, ModuleOptions::default()).expect("a valid module"));
    let source = ModuleSource::new(info.clone());
    let mut sums = Sums::default();
    for index in 0..info.bodies.len() as u32 {
        let Ok(body) = source.body(&BodyRequest::plain(index, FuncId(0))) else {
            continue;
        };
        let request = CompileRequest {
            function: FuncId(index),
            tier: Tier::Baseline,
            kind: CompileKind::Entry,
            world: World::FIRST,
            owner: Owner::BUILT_IN,
            body,
        };
        match compile(&ours, &request) {
            (time, Ok(code)) => {
                let (other, by_cranelift) = compile(&none, &request);
                sums.functions += 1;
                sums.instructions += request.body.dfg.num_insts();
                sums.times[0] += time;
                sums.times[1] += other;
                sums.bytes[0] += code.bytes.len();
                sums.bytes[1] += by_cranelift.map_or(0, |code| code.bytes.len());
            }
            (_, Err(reason)) => *sums.declined.entry(reason.to_string()).or_default() += 1,
        }
    }
    sums
}

fn main() {
    let files = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'));
    for file in files {
        let sums = measure(&file);
        let [ours, none] = sums.times.map(|time| time.as_secs_f64() * 1e3);
        let declined: usize = sums.declined.values().sum();
        println!(
            "{file}: {} functions of {} instructions, {declined} declined; {ours:.1} ms, Cranelift none {none:.1} ms, ratio {:.1}; bytes {:?}",
            sums.functions,
            sums.instructions,
            none / ours,
            sums.bytes,
        );
        for (reason, count) in &sums.declined {
            println!("    {count} times: {reason}");
        }
    }
}
