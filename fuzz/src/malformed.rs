//! Malformed input: whatever is read from outside gives an error or works; it never panics, crashes or hangs.

use crate::case::{Format, Malformed};
use crate::random::Random;
use crate::verdict::{Counts, Verdict};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;
use upshift::ModuleBuilder;
use upshift::embed::{
    AccessSite, CompileError, CompileKind, CompiledCode, FuncId, RelocKind, Relocation,
    SourcePosition, Target, Tier, TrapKind, TrapSite,
};
use upshift_codemem::{BlockLabel, CodeMemory, CodeMemoryConfig};
use upshift_llvm::protocol::{Greeting, Job, Reply, WireError, read_frame, write_frame};
use upshift_wasm::wast::{WastOptions, run_wast};
use upshift_wasm::{
    Config, Engine, Extern, Linker, Module, ModuleOptions, Store, StoreLimits, Val,
};

/// How long a damaged module may run before it is interrupted.
const CALL_TIME: Duration = Duration::from_millis(50);
/// Bytes of a script that is damaged, at most.
const SCRIPT_BYTES_MAX: usize = 20_000;

/// A random case.
pub fn case(random: &mut Random) -> Malformed {
    let format = *random.pick(&[
        Format::Wasm,
        Format::Wasm,
        Format::Wasm,
        Format::Wat,
        Format::Wast,
        Format::Clif,
        Format::Message,
    ]);
    if random.one_in(60) {
        return nested(random, format);
    }
    let mut bytes = match format {
        Format::Wasm if random.one_in(2) => crate::smith::module(random).unwrap_or_default(),
        Format::Wasm => crate::generator::module(random),
        Format::Wat | Format::Wast => random.pick(scripts()).as_bytes().to_vec(),
        Format::Clif => crate::clif::case(random).text.into_bytes(),
        Format::Message => message(random),
    };
    if format == Format::Wat {
        bytes = a_form(random, bytes);
    }
    for _ in 0..random.between(1, 6) {
        match format {
            Format::Wasm | Format::Message => damage(random, &mut bytes),
            _ => damage_text(random, &mut bytes),
        }
    }
    Malformed { format, bytes }
}

/// A message between a compile server and its client, in its frame.
fn message(random: &mut Random) -> Vec<u8> {
    let count = random.between(1, 200);
    let text = || "some text".to_owned();
    let payload = match random.below(4) {
        0 => Greeting::new(text()).encode(),
        1 => {
            let job = Job {
                number: random.integer(),
                canonical_nans: random.one_in(2),
                verify: random.one_in(2),
                features: vec![text(); random.below(4)],
                clif: crate::clif::case(random).text,
            };
            job.encode()
        }
        2 => {
            let reply = Reply {
                number: random.integer(),
                result: Err(CompileError::Bailout(text())),
            };
            reply.encode()
        }
        _ => {
            let code = random.bytes(count);
            let reply = Reply {
                number: random.integer(),
                result: Ok(compiled(random, code)),
            };
            reply.encode()
        }
    };
    let mut framed = Vec::new();
    // Writing to memory does not fail, and an empty frame is as good.
    let _ = write_frame(&mut framed, &payload);
    framed
}

/// Code with something in each list.
fn compiled(random: &mut Random, bytes: Vec<u8>) -> CompiledCode {
    let mut offset = |limit: usize| random.below(limit) as u32;
    let len = bytes.len();
    CompiledCode {
        alignment: 1 << offset(7),
        placement: 0,
        relocations: vec![Relocation {
            offset: offset(len),
            kind: RelocKind::GotPcRel4,
            target: Target::Builtin(offset(4)),
            addend: -4,
        }],
        traps: vec![TrapSite {
            offset: offset(len),
            kind: TrapKind::Unreachable,
        }],
        accesses: vec![AccessSite {
            offset: offset(len),
            position: offset(1000),
        }],
        positions: vec![SourcePosition {
            offset: 0,
            position: Some(offset(1000)),
            inlined: None,
        }],
        frame_bytes: offset(5000),
        adapter_bytes: offset(len),
        inlined: Vec::new(),
        call_sites: offset(5),
        bytes,
    }
}

/// Scripts whose damaged forms still come to an end: those without loops.
fn scripts() -> &'static [&'static str] {
    static SCRIPTS: OnceLock<Vec<&'static str>> = OnceLock::new();
    SCRIPTS.get_or_init(|| {
        let all = upshift_filetests::suite()
            .into_iter()
            .map(|script| script.source);
        all.filter(|source| source.len() < SCRIPT_BYTES_MAX && !runs_long(source))
            .collect()
    })
}

fn runs_long(source: &str) -> bool {
    source.contains("loop") || source.contains("return_call")
}

/// One top-level form of a script: mostly a module.
fn a_form(random: &mut Random, script: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&script).into_owned();
    let starts: Vec<usize> = text
        .match_indices("\n(module")
        .map(|(at, _)| at + 1)
        .collect();
    if starts.is_empty() {
        return script;
    }
    let start = *random.pick(&starts);
    let (mut depth, mut end) = (0_usize, text.len());
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            end = at + 1;
            break;
        }
    }
    text.as_bytes()[start..end].to_vec()
}

/// Something nested so deep that a recursive reader runs out of stack.
fn nested(random: &mut Random, format: Format) -> Malformed {
    let depth = *random.pick(&[1000, 50_000, 300_000]);
    let bytes = match format {
        Format::Wasm => nested_blocks(depth),
        Format::Wat => {
            let (open, close) =
                *random.pick(&[("(block ", ")"), ("(if (i32.eqz ", "))"), ("(", ")")]);
            let text = format!(
                "(module (func {}{}))",
                open.repeat(depth),
                close.repeat(depth)
            );
            text.into_bytes()
        }
        Format::Wast => {
            let open = *random.pick(&["(", "(module ", "(;", "(@a ", "(assert_return "]);
            open.repeat(depth).into_bytes()
        }
        Format::Clif => {
            let open = *random.pick(&["function ", "function %a() {\nblock0:\n", "(", "{"]);
            open.repeat(depth).into_bytes()
        }
        // Lists of as many items as the depth.
        Format::Message => {
            let job = Job {
                number: 0,
                canonical_nans: false,
                verify: false,
                features: vec![String::new(); depth],
                clif: String::new(),
            };
            let mut framed = Vec::new();
            let _ = write_frame(&mut framed, &job.encode());
            framed
        }
    };
    Malformed { format, bytes }
}

fn nested_blocks(depth: usize) -> Vec<u8> {
    use wasm_encoder::{
        BlockType, CodeSection, Function, FunctionSection, Instruction, Module, TypeSection,
    };
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut function = Function::new([]);
    for _ in 0..depth {
        function.instruction(&Instruction::Block(BlockType::Empty));
    }
    for _ in 0..=depth {
        function.instruction(&Instruction::End);
    }
    let mut code = CodeSection::new();
    code.function(&function);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module.finish()
}

/// Changes, inserts or removes bytes, cuts the end off, or puts a huge number in.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len().max(1)).min(bytes.len());
    match random.below(8) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = random.bits() as u8,
        3 => bytes.insert(at, random.bits() as u8),
        4 if at < bytes.len() => {
            bytes.remove(at);
        }
        5 if random.one_in(4) => bytes.truncate(at),
        6 => {
            // A hostile size: 2^32 - 1, 2^31, or a number of too many bytes.
            const SIZES: [&[u8]; 4] = [
                &[0xff, 0xff, 0xff, 0xff, 0x0f],
                &[0x80, 0x80, 0x80, 0x80, 0x08],
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
                &[0x80, 0x80, 0x80, 0x80, 0x00],
            ];
            let size = random.pick(&SIZES);
            let end = (at + 1).min(bytes.len());
            bytes.splice(at..end, size.iter().copied());
        }
        _ => {
            let end = (at + random.below(24)).min(bytes.len());
            let stretch = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, stretch);
        }
    }
}

/// The same for text: tokens rather than bytes at times.
fn damage_text(random: &mut Random, bytes: &mut Vec<u8>) {
    const TOKENS: [&str; 16] = [
        "(",
        ")",
        "\"",
        "(;",
        "18446744073709551616",
        "-1",
        "0x",
        "nan:0x0",
        "i64",
        "v0",
        "block0",
        "\\ff",
        "$",
        "(param",
        "\u{202e}",
        "\0",
    ];
    if random.one_in(2) {
        return damage(random, bytes);
    }
    let at = random.below(bytes.len() + 1);
    bytes.splice(at..at, random.pick(&TOKENS).bytes());
}

/// Reads the input, and runs what can be read.
pub fn run(case: &Malformed, counts: &mut Counts) -> Verdict {
    // Users read input on threads with the usual stack, not on ones as large as the fuzzer's.
    let bytes = case.bytes.clone();
    let format = case.format;
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let read = thread.spawn(move || match format {
        Format::Wasm | Format::Wat => read_module(&bytes),
        Format::Wast => read_script(&bytes),
        Format::Clif => read_clif(&bytes),
        Format::Message => read_messages(&bytes),
    });
    counts.runs += 1;
    match read.map(|thread| thread.join()) {
        Ok(Ok(Ok(calls))) => {
            counts.calls += calls;
            Verdict::Agreed
        }
        Ok(Ok(Err(error))) => Verdict::Mismatch(error),
        Ok(Err(_)) => Verdict::Mismatch("panicked".to_owned()),
        Err(error) => Verdict::Skipped(format!("no thread: {error}")),
    }
}

fn engine() -> Result<Engine, String> {
    let config = Config::default()
        .thresholds(1, 2)
        .code_memory_bytes(64 << 20)
        .verify(true);
    Engine::new(config).map_err(|error| error.to_string())
}

fn read_module(bytes: &[u8]) -> Result<u64, String> {
    let engine = engine()?;
    let options = ModuleOptions {
        interruptible: true,
    };
    let Ok(module) = Module::with_options(&engine, bytes, options) else {
        return Ok(0);
    };
    let mut store = Store::new(&engine, ());
    store.set_limits(
        StoreLimits::new()
            .memory_size(1 << 24)
            .table_elements(100_000),
    );
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&module);
    let (done, is_done) = mpsc::channel::<()>();
    let handle = store.interrupt_handle();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(CALL_TIME) == Err(mpsc::RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        });
        let calls = call_exports(&mut store, &linker, &module);
        drop(done);
        Ok(calls)
    })
}

fn call_exports(store: &mut Store<()>, linker: &Linker<()>, module: &Module) -> u64 {
    let Ok(instance) = linker.instantiate(&mut *store, module) else {
        return 0;
    };
    let mut calls = 0;
    for (_, export) in instance.exports(&*store).into_iter().take(20) {
        let Extern::Func(function) = export else {
            continue;
        };
        let ty = function.ty(&*store);
        let params: Vec<Val> = ty.params().iter().map(|ty| Val::default_for(*ty)).collect();
        let mut results: Vec<Val> = ty
            .results()
            .iter()
            .map(|ty| Val::default_for(*ty))
            .collect();
        for _ in 0..2 {
            calls += 1;
            // Traps are as good as results here.
            let _ = function.call(&mut *store, &params, &mut results);
        }
    }
    calls
}

fn read_script(bytes: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(bytes);
    if runs_long(&text) {
        return Ok(0);
    }
    let options = WastOptions {
        limits: StoreLimits::new()
            .memory_size(1 << 24)
            .table_elements(100_000),
        ..WastOptions::default()
    };
    let report = run_wast(&engine()?, "damaged.wast", &text, &options);
    Ok((report.passed + report.failed.len()) as u64)
}

fn read_clif(bytes: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(bytes);
    let Ok(functions) = cranelift_reader::parse_functions(&text) else {
        return Ok(0);
    };
    let engine = engine()?;
    let mut builder = ModuleBuilder::new(&engine);
    let mut names = Vec::new();
    for function in functions {
        let name = function.name.to_string();
        let index = builder.declare(&name, function.signature.clone());
        if builder.define(index, function).is_ok() {
            names.push(name);
        }
    }
    let Ok(module) = builder.finish() else {
        return Ok(0);
    };
    let mut compiled = 0;
    for function in names.iter().filter_map(|name| module.function(name)) {
        // Compiled and not run: damaged CLIF may touch any memory.
        compiled += u64::from(engine.optimize(&function, Tier::Optimizing).is_ok());
    }
    Ok(compiled)
}

/// Reads frames as long as there are any, and each as all that it could be. What can be read is what is written again, and
/// code gets as far as it would if the server had sent it.
fn read_messages(bytes: &[u8]) -> Result<u64, String> {
    let memory = CodeMemory::new(CodeMemoryConfig {
        reserve_bytes: 1 << 20,
        ..CodeMemoryConfig::default()
    });
    let memory = memory.map_err(|error| error.to_string())?;
    let mut stream = bytes;
    let mut read = 0;
    while let Ok(Some(payload)) = read_frame(&mut stream) {
        if let Ok(greeting) = Greeting::decode(&payload) {
            check_again(&greeting, &Greeting::decode(&greeting.encode()))?;
            read += 1;
        }
        if let Ok(job) = Job::decode(&payload) {
            check_again(&job, &Job::decode(&job.encode()))?;
            read += 1;
        }
        if let Ok(reply) = Reply::decode(&payload) {
            check_again(&reply, &Reply::decode(&reply.encode()))?;
            read += 1;
            if let Ok(code) = &reply.result {
                let label = BlockLabel {
                    function: FuncId(0),
                    tier: Tier::Top,
                    kind: CompileKind::Entry,
                };
                // An error is as good: whatever the code says of itself, nothing is written outside of it.
                let _ = memory.install(label, code);
            }
        }
    }
    Ok(read)
}

fn check_again<T: PartialEq>(message: &T, again: &Result<T, WireError>) -> Result<(), String> {
    match again {
        Ok(again) if again == message => Ok(()),
        _ => Err("a message that was read is another one after being written".to_owned()),
    }
}
