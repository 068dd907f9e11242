//! Damaged modules give an error or run; they never panic, abort or hang.
//!
//! Twenty modules from the test suite, each truncated at every byte and changed at random. Whatever still validates is
//! instantiated and its exports are called, with promotion at once, under limits and an interrupt.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use upshift_filetests::suite;
use upshift_wasm::{
    Config, Engine, Extern, InterruptHandle, Linker, Module, ModuleOptions, Store, StoreLimits, Val,
};
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastDirective};

const MODULES: usize = 20;
const MUTATIONS: usize = 10_000;
/// How long one call may run before it is interrupted.
const CALL_TIME: Duration = Duration::from_millis(20);
/// How long one damaged module may take altogether: an interrupt that is not heeded would exceed it.
const HANG: Duration = Duration::from_secs(20);

/// The first modules of the suite of a size that is worth it, one a script.
fn modules() -> Vec<Vec<u8>> {
    let mut modules: Vec<Vec<u8>> = Vec::new();
    for script in suite().iter().rev() {
        let found = biggest_module(script.source);
        if found
            .as_ref()
            .is_some_and(|bytes| (300..3000).contains(&bytes.len()))
        {
            modules.extend(found);
        }
    }
    // Spread over the suite, not its first folder alone.
    let step = modules.len() / MODULES;
    let chosen: Vec<_> = modules
        .into_iter()
        .step_by(step.max(1))
        .take(MODULES)
        .collect();
    assert_eq!(chosen.len(), MODULES);
    chosen
}

fn biggest_module(source: &str) -> Option<Vec<u8>> {
    let buffer = ParseBuffer::new(source).ok()?;
    let script = parser::parse::<Wast>(&buffer).ok()?;
    let encode = |directive| match directive {
        WastDirective::Module(mut module @ QuoteWat::Wat(_)) => module.encode().ok(),
        _ => None,
    };
    script
        .directives
        .into_iter()
        .filter_map(encode)
        .max_by_key(Vec::len)
}

/// Interrupts what has run for too long.
#[derive(Default)]
struct Watchdog {
    watched: Mutex<Vec<(Instant, InterruptHandle)>>,
    stop: AtomicBool,
}

impl Watchdog {
    fn watch(&self, handle: InterruptHandle) {
        self.watched
            .lock()
            .unwrap()
            .push((Instant::now() + CALL_TIME, handle));
    }

    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(CALL_TIME / 4);
            let now = Instant::now();
            self.watched.lock().unwrap().retain(|(deadline, handle)| {
                let late = *deadline < now;
                if late {
                    handle.interrupt();
                }
                !late
            });
        }
    }
}

/// What became of one damaged module.
#[derive(Default, Debug)]
struct Outcomes {
    rejected: AtomicUsize,
    not_instantiated: AtomicUsize,
    returned: AtomicUsize,
    trapped: AtomicUsize,
}

fn try_module(engine: &Engine, watchdog: &Watchdog, bytes: &[u8], outcomes: &Outcomes) {
    let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
    let started = Instant::now();
    let options = ModuleOptions {
        interruptible: true,
    };
    let Ok(module) = Module::with_options(engine, bytes, options) else {
        count(&outcomes.rejected);
        return;
    };
    let mut store = Store::new(engine, ());
    let limits = StoreLimits::new()
        .memory_size(1 << 24)
        .table_elements(100_000);
    store.set_limits(limits);
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(&module);
    watchdog.watch(store.interrupt_handle());
    let Ok(instance) = linker.instantiate(&mut store, &module) else {
        count(&outcomes.not_instantiated);
        return;
    };
    for (_, export) in instance.exports(&store).into_iter().take(20) {
        let Extern::Func(function) = export else {
            continue;
        };
        let ty = function.ty(&store);
        let params: Vec<Val> = ty.params().iter().map(|ty| Val::default_for(*ty)).collect();
        let mut results: Vec<Val> = ty
            .results()
            .iter()
            .map(|ty| Val::default_for(*ty))
            .collect();
        for _ in 0..2 {
            match function.call(&mut store, &params, &mut results) {
                Ok(()) => count(&outcomes.returned),
                Err(_) => count(&outcomes.trapped),
            };
        }
    }
    assert!(
        started.elapsed() < HANG,
        "{} bytes took {:?}",
        bytes.len(),
        started.elapsed()
    );
}

/// Runs `attempt` for each of `0..count` on two threads, under a watchdog.
fn in_parallel(count: usize, attempt: impl Fn(&Watchdog, usize) + Sync) {
    let watchdog = Watchdog::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let guard = scope.spawn(|| watchdog.run());
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= count {
                            break;
                        }
                        attempt(&watchdog, n);
                    }
                })
            })
            .collect();
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        watchdog.stop.store(true, Ordering::Relaxed);
        guard.join().unwrap();
        assert!(
            results.iter().all(Result::is_ok),
            "a damaged module made the engine panic"
        );
    });
}

fn engine() -> Engine {
    Engine::new(Config::default().thresholds(1, 2)).unwrap()
}

#[test]
fn truncated_at_every_byte() {
    let (engine, modules, outcomes) = (engine(), modules(), Outcomes::default());
    in_parallel(modules.len(), |watchdog, n| {
        for length in 0..=modules[n].len() {
            try_module(&engine, watchdog, &modules[n][..length], &outcomes);
        }
    });
    println!("{outcomes:?}");
    assert!(
        outcomes.returned.load(Ordering::Relaxed) >= MODULES,
        "the whole ones run"
    );
}

#[test]
fn changed_at_random() {
    let (engine, modules, outcomes) = (engine(), modules(), Outcomes::default());
    in_parallel(MUTATIONS, |watchdog, n| {
        let mut random =
            XorShift(0x9e37_79b9_7f4a_7c15 ^ (n as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut bytes = modules[n % MODULES].clone();
        for _ in 0..1 + random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        try_module(&engine, watchdog, &bytes, &outcomes);
    });
    println!("{outcomes:?}");
    let total =
        outcomes.rejected.load(Ordering::Relaxed) + outcomes.returned.load(Ordering::Relaxed);
    assert!(
        total > 0 && outcomes.trapped.load(Ordering::Relaxed) > 0,
        "{outcomes:?}"
    );
}

/// Changes, inserts or removes a byte, or repeats a stretch.
fn mutate(bytes: &mut Vec<u8>, random: &mut XorShift) {
    let at = random.below(bytes.len().max(1));
    match random.below(5) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next() as u8,
        2 => bytes.insert(at.min(bytes.len()), random.next() as u8),
        3 if at < bytes.len() => {
            bytes.remove(at);
        }
        _ => {
            let end = (at + random.below(16)).min(bytes.len());
            let stretch = bytes[at.min(end)..end].to_vec();
            bytes.splice(at.min(end)..at.min(end), stretch);
        }
    }
}

/// Marsaglia's xorshift64: enough to choose what to break.
struct XorShift(u64);

impl XorShift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
