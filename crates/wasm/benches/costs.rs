//! What the runtime itself costs: how long functions take to compile, how long a program is held up, what counters, guards, idle
//! workers and functions that nobody calls cost, and whether all of that stays flat with more functions and threads.
//!
//! Each part makes sure that the code it measures is of the tier that it says. Time is processor time of the thread, where
//! that is what is asked for, so that other processes do not count. Arguments that are files are modules whose functions
//! are compiled one by one, `--llvm=FILE` is the LLVM tier's server, without which it is left out. `--json` prints one line for
//! programs to read; without `--bench`, which `cargo bench` passes, all of it runs briefly.

use std::sync::Arc;
use std::time::{Duration, Instant};
use upshift::{Backend, Event, EventKind, Function, InliningMode, Recorder};
use upshift_wasm::{Caller, Config, Engine, Instance, Linker, Module, Store, Tier, TypedFunc};

/// No function is promoted by itself.
const NEVER: u32 = 100_000_000;
/// Operations in the functions that scaling is measured with, in groups of six.
const GROUPS: usize = 8;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let brief = !has("--bench");
    let llvm = words.iter().find_map(|word| word.strip_prefix("--llvm="));
    let modules: Vec<&String> = words
        .iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let mut parts = vec![
        (
            "latencies",
            list(modules.iter().flat_map(|file| latencies(file))),
        ),
        ("stalls", list(stalls(brief, llvm))),
        ("counters", list(counters(brief))),
        ("guards", list([guard(brief)])),
        ("scaling", list(scaling(brief))),
        ("threads", list(threads(brief))),
    ];
    parts.push(("idle_share", idle(brief).to_string()));
    parts.push((
        "idle_function_bytes",
        idle_function_bytes(brief).to_string(),
    ));
    let line = object(&parts);
    match has("--json") {
        true => println!("{line}"),
        false => println!("{}", line.replace("],", "],\n").replace("},", "},\n  ")),
    }
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn text(value: &str) -> String {
    format!("\"{value}\"")
}

fn nanoseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e9)
}

/// What a clock of the processor time says: of the thread or of the process.
fn used(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: there is a place for the time.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn thread_time() -> Duration {
    used(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn process_time() -> Duration {
    used(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Memory that the process has, in bytes.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(contents.len()), contents].concat()
}

/// A module of `count` functions from `i32` to `i32`, function `n` with `groups(n)` groups of six operations. Through `call`
/// the host calls any of them if there is a `table`.
fn module(count: usize, groups: impl Fn(usize) -> usize, table: bool) -> Vec<u8> {
    let types = [
        &[2, 0x60, 1, 0x7f, 1, 0x7f][..],
        &[0x60, 2, 0x7f, 0x7f, 1, 0x7f],
    ]
    .concat();
    let mut functions = leb(count + 1);
    functions.extend(std::iter::repeat_n(0, count));
    functions.push(1);
    let export = [&[1, 4][..], b"call", &[0], &leb(count)].concat();
    let mut code = leb(count + 1);
    for number in 0..count {
        let mut body = vec![0];
        for group in 0..groups(number) {
            // Local 0 times one constant plus another.
            let constant = ((number * 31 + group * 7) % 60) as u8;
            body.extend([
                0x20,
                0,
                0x41,
                constant | 1,
                0x6c,
                0x41,
                constant,
                0x6a,
                0x21,
                0,
            ]);
        }
        body.extend([0x20, 0, 0x0b]);
        code.extend(leb(body.len()));
        code.extend(body);
    }
    let mut dispatch = vec![0];
    match table {
        true => dispatch.extend([0x20, 1, 0x20, 0, 0x11, 0, 0, 0x0b]),
        false => dispatch.extend([0x20, 1, 0x0b]),
    }
    code.extend(leb(dispatch.len()));
    code.extend(dispatch);
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend(section(1, &types));
    bytes.extend(section(3, &functions));
    if table {
        bytes.extend(section(4, &[&[1, 0x70, 0][..], &leb(count)].concat()));
    }
    bytes.extend(section(7, &export));
    if table {
        let mut elements = [&[1, 0, 0x41, 0, 0x0b][..], &leb(count)].concat();
        (0..count).for_each(|number| elements.extend(leb(number)));
        bytes.extend(section(9, &elements));
    }
    bytes.extend(section(10, &code));
    bytes
}

/// Compiles functions `range` for `tier`, on this thread.
fn compile(engine: &Engine, module: &Module, range: std::ops::Range<u32>, tier: Tier) {
    let functions = module.functions().expect("functions");
    for index in range {
        let function = Function::new(functions.clone(), index).expect("a function");
        engine.optimize(&function, tier).expect("code");
        assert_eq!(engine.tier_of(&function), Some(tier));
    }
}

/// How long each function of a file takes to compile in tiers 0 and 1: how many take up to so many microseconds.
fn latencies(file: &str) -> Vec<String> {
    let bytes = std::fs::read(file).expect("the module's file");
    let mut lines = Vec::new();
    for tier in [Tier::Baseline, Tier::Optimizing] {
        let recorder = Arc::new(Recorder::default());
        let config = Config::default()
            .only_tier(tier)
            .subscriber(recorder.clone());
        let engine = Engine::new(config).expect("an engine");
        let module = Module::new(&engine, &bytes).expect("a module");
        let count = module.functions().expect("functions").len();
        compile(&engine, &module, 0..count, tier);
        let time = |event: &Event| match &event.kind {
            EventKind::Compiled(compilation) => {
                assert_eq!(compilation.tier, tier);
                Some(compilation.duration)
            }
            _ => None,
        };
        let mut times: Vec<Duration> = recorder.events().iter().filter_map(time).collect();
        times.sort();
        let name = file
            .rsplit('/')
            .next()
            .and_then(|name| name.split('.').next());
        let mut histogram = Histogram::default();
        times.iter().for_each(|time| histogram.add(*time));
        let at = |percent: usize| nanoseconds(times[(times.len() - 1) * percent / 100]);
        lines.push(object(&[
            ("module", text(name.unwrap_or(file))),
            ("tier", tier.index().to_string()),
            ("functions", times.len().to_string()),
            ("median_ns", at(50)),
            ("p99_ns", at(99)),
            ("longest_ns", at(100)),
            ("up_to_power_of_two_us", histogram.list()),
        ]));
    }
    lines
}

/// How many times are up to 1, 2, 4, … microseconds, and more than half of that.
#[derive(Default)]
struct Histogram {
    buckets: [u64; 24],
    longest: Duration,
}

impl Histogram {
    fn add(&mut self, time: Duration) {
        let micros = time.as_nanos().div_ceil(1000).max(1) as u64;
        self.buckets[(micros.next_power_of_two().trailing_zeros() as usize).min(23)] += 1;
        self.longest = self.longest.max(time);
    }

    fn list(&self) -> String {
        list(self.buckets.iter().map(u64::to_string))
    }
}

/// In which ways stalls are measured, and whether code of better tiers is made meanwhile.
fn ways(llvm: Option<&str>) -> Vec<(&'static str, Config, Option<Tier>)> {
    let mut ways = vec![
        (
            "tier 0 alone",
            Config::default().only_tier(Tier::Baseline),
            None,
        ),
        ("auto", Config::default(), Some(Tier::Optimizing)),
    ];
    if let Some(server) = llvm {
        let config = Config::default()
            .backend(Tier::Top, Backend::Llvm)
            .llvm_server(server);
        ways.push(("auto with LLVM", config, Some(Tier::Top)));
    }
    ways
}

/// How long the runtime held the program's thread up, in the thread's own processor time.
fn stalls(brief: bool, llvm: Option<&str>) -> Vec<String> {
    let count = if brief { 100 } else { 3000 };
    let bytes = module(count, |number| 2 + number % 97, true);
    let mut lines = Vec::new();
    for (way, config, best) in ways(llvm) {
        let engine = Engine::new(config).expect("an engine");
        let module = Module::new(&engine, &bytes).expect("a module");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        let call: TypedFunc<(i32, i32), i32> = instance
            .get_typed_func(&store, "call")
            .expect("the dispatcher");
        let (mut first, mut later) = (Histogram::default(), Histogram::default());
        for round in 0..if brief { 20 } else { 1500 } {
            for number in 0..count as i32 {
                let before = thread_time();
                call.call(&mut store, (number, round)).expect("a result");
                let took = thread_time() - before;
                let times = if round == 0 { &mut first } else { &mut later };
                times.add(took);
            }
        }
        let tiers = engine.profile_statistics().tiers;
        let promoted = best.map_or(0, |best| tiers[best.index()].functions);
        assert!(
            (promoted > 0) == best.is_some() || brief,
            "{promoted} were promoted, {way}"
        );
        lines.push(stall(way, "first calls", promoted, &first));
        lines.push(stall(way, "later calls", promoted, &later));
    }
    lines.extend(stalls_in_a_loop(brief, llvm));
    lines
}

fn stall(way: &str, what: &str, promoted: u64, times: &Histogram) -> String {
    object(&[
        ("way", text(way)),
        ("what", text(what)),
        ("promoted", promoted.to_string()),
        ("longest_ns", nanoseconds(times.longest)),
        ("up_to_power_of_two_us", times.list()),
    ])
}

/// The same in one call that loops, and moves to better code in the middle: the times between two iterations.
fn stalls_in_a_loop(brief: bool, llvm: Option<&str>) -> Vec<String> {
    const LOOP: &str = r#"(module (import "host" "tick" (func $tick))
        (func (export "run") (param i32) (result i32) (local i32)
            (loop $next
                (call $tick)
                (local.set 1 (i32.add (i32.mul (local.get 1) (i32.const 31)) (local.get 0)))
                (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1)))"#;
    let mut lines = Vec::new();
    for (way, config, best) in ways(llvm) {
        let engine = Engine::new(config).expect("an engine");
        let module = Module::new(&engine, LOOP).expect("a module");
        let mut linker = Linker::<(Option<Duration>, Histogram)>::new(&engine);
        let tick = |mut caller: Caller<'_, (Option<Duration>, Histogram)>| {
            let now = thread_time();
            let (last, times) = caller.data_mut();
            if let Some(last) = *last {
                times.add(now - last);
            }
            *last = Some(thread_time());
        };
        linker
            .func_wrap("host", "tick", tick)
            .expect("a definition");
        let mut store = Store::new(&engine, (None, Histogram::default()));
        let instance = linker
            .instantiate(&mut store, &module)
            .expect("an instance");
        let run: TypedFunc<i32, i32> = instance.get_typed_func(&store, "run").expect("the loop");
        run.call(&mut store, if brief { 2000 } else { 2_000_000 })
            .expect("a result");
        let moves = engine.profile_statistics().osr_entries;
        assert!(
            (moves > 0) == best.is_some() || brief,
            "{moves} moves, {way}"
        );
        lines.push(stall(
            way,
            "between iterations of a loop that is left for better code",
            moves,
            &store.data().1,
        ));
    }
    lines
}

/// What counting costs: tier 1's code with counters, because there is a tier above it, and without.
fn counters(brief: bool) -> Vec<String> {
    const KERNELS: &str = r#"(module
        (func $leaf (param i32) (result i32) (i32.xor (i32.mul (local.get 0) (i32.const 5)) (i32.const 77)))
        (func (export "calls") (param i32) (result i32) (local i32)
            (loop $next
                (local.set 1 (call $leaf (i32.add (local.get 1) (local.get 0))))
                (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1))
        (func (export "loop") (param i32) (result i32) (local i32)
            (loop $next
                (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 5)) (local.get 0)))
                (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1)))"#;
    let config = || {
        Config::default()
            .only_tier(Tier::Optimizing)
            .inlining(InliningMode::Off)
    };
    let counting = config()
        .backend(Tier::Top, Backend::CraneliftSpeed)
        .thresholds(NEVER, NEVER);
    let mut lines = Vec::new();
    for kernel in ["calls", "loop"] {
        let mut sites = [config(), counting.clone()].map(|config| {
            let engine = Engine::new(config).expect("an engine");
            let module = Module::new(&engine, KERNELS).expect("a module");
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
            let run: TypedFunc<i32, i32> =
                instance.get_typed_func(&store, kernel).expect("the kernel");
            (engine, store, run)
        });
        lines.push(compared(kernel, &mut sites, brief));
        for (engine, ..) in &sites {
            let tiers = engine.profile_statistics().tiers;
            assert!(tiers[1].functions > 0 && tiers[0].functions + tiers[2].functions == 0);
        }
    }
    lines
}

/// An engine with a program, and the program's function that is measured.
type Site = (Engine, Store<()>, TypedFunc<i32, i32>);

/// An iteration of a function without something and with it, the best of some turns.
fn compared(kernel: &str, sites: &mut [Site; 2], brief: bool) -> String {
    let iterations = if brief { 1000 } else { 3_000_000 };
    let mut best = [Duration::MAX; 2];
    for _ in 0..if brief { 1 } else { 25 } {
        for ((_, store, run), best) in sites.iter_mut().zip(&mut best) {
            let before = thread_time();
            run.call(store, iterations).expect("a result");
            *best = (thread_time() - before).min(*best);
        }
    }
    let [without, with] = best.map(|best| {
        let each = best.as_secs_f64() * 1e9 / f64::from(iterations);
        format!("{each:.3}")
    });
    object(&[
        ("kernel", text(kernel)),
        ("without_ns", without),
        ("with_ns", with),
    ])
}

/// What a guard costs that never fails: a call through a table that has always led to one function, which is inlined behind
/// a guard, and the same call by the function's name, which is inlined without.
fn guard(brief: bool) -> String {
    const KERNELS: &str = r#"(module
        (type $t (func (param i32) (result i32)))
        (table funcref (elem $leaf $leaf))
        (func $leaf (type $t) (i32.xor (i32.mul (local.get 0) (i32.const 5)) (i32.const 77)))
        (func (export "without") (param i32) (result i32) (local i32)
            (loop $next
                (local.set 1 (call $leaf (i32.add (local.get 1) (local.get 0))))
                (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1))
        (func (export "with") (param i32) (result i32) (local i32)
            (loop $next
                (local.set 1 (call_indirect (type $t)
                    (i32.add (local.get 1) (local.get 0)) (i32.and (local.get 0) (i32.const 1))))
                (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1)))"#;
    let mut sites = [("without", 1), ("with", 2)].map(|(kernel, index)| {
        let recorder = Arc::new(Recorder::default());
        let config = Config::default()
            .thresholds(NEVER, NEVER)
            .subscriber(recorder.clone());
        let engine = Engine::new(config).expect("an engine");
        let module = Module::new(&engine, KERNELS).expect("a module");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        let run: TypedFunc<i32, i32> = instance.get_typed_func(&store, kernel).expect("the kernel");
        // Tier 0 counts where the call leads to.
        run.call(&mut store, 10_000).expect("a result");
        let functions = module.functions().expect("functions").clone();
        let function = Function::new(functions, index).expect("the kernel");
        engine
            .optimize(&function, Tier::Optimizing)
            .expect("better code");
        let (mut guarded, mut inlined) = (false, false);
        for event in recorder.events() {
            match event.kind {
                EventKind::ContinuationReady { .. } => guarded = true,
                EventKind::Compiled(compilation) if compilation.tier == Tier::Optimizing => {
                    inlined = !compilation.inlined.is_empty();
                }
                _ => {}
            }
        }
        assert!(inlined && guarded == (kernel == "with"), "{kernel}");
        (engine, store, run)
    });
    let line = compared("a call", &mut sites, brief);
    for (engine, ..) in &sites {
        assert_eq!(engine.profile_statistics().deoptimizations, 0);
    }
    line
}

/// Modules of more and more functions: what one costs to define, and to compile in tier 0.
fn scaling(brief: bool) -> Vec<String> {
    let counts: &[usize] = if brief {
        &[10, 100]
    } else {
        &[10, 100, 1000, 10_000, 100_000]
    };
    let mut lines = Vec::new();
    for &count in counts {
        let bytes = module(count, |_| GROUPS, false);
        let (mut define, mut compiling) = (Duration::MAX, Duration::MAX);
        let mut code_bytes = 0;
        let mut resident = 0;
        for _ in 0..if brief {
            1
        } else {
            (20_000 / count).clamp(3, 50)
        } {
            let engine =
                Engine::new(Config::default().only_tier(Tier::Baseline)).expect("an engine");
            let before = resident_bytes();
            let started = thread_time();
            let module = Module::new(&engine, &bytes).expect("a module");
            module.functions().expect("functions");
            define = define.min(thread_time() - started);
            let started = thread_time();
            compile(&engine, &module, 0..count as u32, Tier::Baseline);
            compiling = compiling.min(thread_time() - started);
            code_bytes = engine.code_memory_usage().code_used_bytes;
            resident = resident_bytes().saturating_sub(before);
        }
        lines.push(object(&[
            ("functions", count.to_string()),
            ("define_ns", nanoseconds(define / count as u32)),
            ("compile_ns", nanoseconds(compiling / count as u32)),
            ("code_bytes", (code_bytes / count).to_string()),
            ("resident_bytes", (resident / count).to_string()),
        ]));
    }
    lines
}

/// More and more threads that compile the functions of one module between them.
fn threads(brief: bool) -> Vec<String> {
    let count: u32 = if brief { 80 } else { 16_000 };
    let bytes = module(count as usize, |_| GROUPS, false);
    let mut lines = Vec::new();
    for threads in [1, 2, 4, 8] {
        let (mut clock, mut own) = (Duration::MAX, Duration::MAX);
        for _ in 0..if brief { 1 } else { 5 } {
            let engine =
                Engine::new(Config::default().only_tier(Tier::Baseline)).expect("an engine");
            let module = Module::new(&engine, &bytes).expect("a module");
            module.functions().expect("functions");
            let (started, process) = (Instant::now(), process_time());
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let (engine, module) = (&engine, &module);
                    let share = count / threads * thread..count / threads * (thread + 1);
                    scope.spawn(move || compile(engine, module, share, Tier::Baseline));
                }
            });
            clock = clock.min(started.elapsed());
            own = own.min(process_time() - process);
        }
        lines.push(object(&[
            ("threads", threads.to_string()),
            ("clock_ns", nanoseconds(clock / count)),
            ("processor_ns", nanoseconds(own / count)),
        ]));
    }
    lines
}

/// The share of a core that the workers take when nothing happens.
fn idle(brief: bool) -> f64 {
    let engine = Engine::new(Config::default().thresholds(2, NEVER)).expect("an engine");
    let module = Module::new(&engine, module(50, |_| GROUPS, true)).expect("a module");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let call: TypedFunc<(i32, i32), i32> = instance
        .get_typed_func(&store, "call")
        .expect("the dispatcher");
    // The workers have had something to do.
    while engine.profile_statistics().tiers[1].functions < 50 {
        for number in 0..50 {
            call.call(&mut store, (number, 1)).expect("a result");
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    let (started, before) = (Instant::now(), process_time());
    std::thread::sleep(Duration::from_millis(if brief { 50 } else { 5000 }));
    (process_time() - before).as_secs_f64() / started.elapsed().as_secs_f64()
}

/// Bytes of memory that a function takes which is never called, without those of the module itself.
fn idle_function_bytes(brief: bool) -> f64 {
    let counts = if brief { [100, 200] } else { [10_000, 210_000] };
    let engine = Engine::new(Config::default()).expect("an engine");
    let grown = |count: usize| {
        let bytes = module(count, |_| GROUPS, false);
        let before = resident_bytes();
        let module = Module::new(&engine, &bytes).expect("a module");
        module.functions().expect("functions");
        let grown = resident_bytes().saturating_sub(before);
        // The module stays, so that its memory is not used again; it has a copy of the bytes.
        std::mem::forget(module);
        grown.saturating_sub(bytes.len()) as f64
    };
    let [few, many] = counts.map(grown);
    (many - few) / (counts[1] - counts[0]) as f64
}
