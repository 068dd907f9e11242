//! The host's own faults go where the host wants them, whenever it said so and whatever guest code is below.

use crate::arch;
use crate::children;
use crate::report::Report;
use crate::scale::Scale;
use anyhow::{Context as _, Result, bail};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt as _;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use upshift_wasm::{Caller, Config, Engine, Instance, Linker, Module, Store, TrapKind, Val};

const SIGNALS: &[(&str, i32)] = &[
    ("segv", libc::SIGSEGV),
    ("bus", libc::SIGBUS),
    ("fpe", libc::SIGFPE),
    ("ill", libc::SIGILL),
];
/// What the host does about the signal, and when, seen from the engine.
const WHEN: &[&str] = &["before", "after", "default", "ignored", "sent"];
/// Activations of guest code below the fault.
const BELOW: &[&str] = &["0", "1", "2"];
/// The status with which the host's handler ends the process.
const HANDLED: i32 = 42;

/// Guest code that traps by each of the signals, and that calls the host.
const GUEST: &str = r#"(module
    (import "host" "fault" (func $fault (param i32)))
    (memory 1)
    (func (export "down") (param i32) (call $fault (local.get 0)))
    (func (export "load") (param i32) (drop (i32.load (i32.const -1))))
    (func (export "divide") (param i32) (drop (i32.div_u (local.get 0) (i32.const 0))))
    (func (export "unreachable") (param i32) unreachable))"#;

static FAULT_IS_THE_HOSTS: AtomicBool = AtomicBool::new(false);
static SEEN: AtomicI32 = AtomicI32::new(0);
/// What the host's handler found when it was installed.
static PREVIOUS: Mutex<Option<libc::sigaction>> = Mutex::new(None);

/// Runs a child for each signal, time and depth.
pub fn run(scale: Scale) -> Result<Report> {
    let mut report = Report::new(
        "signals",
        "faults of the host itself, with and without guest code below, reach the host's handler",
    );
    let signals = match scale {
        Scale::Full => SIGNALS,
        Scale::Smoke => &SIGNALS[..1],
    };
    let mut children = 0;
    for (name, signal) in signals {
        for when in WHEN {
            for below in BELOW {
                let output = children::run(&["signal", name, when, below])?;
                let right = match *when {
                    "before" | "after" => output.status.code() == Some(HANDLED),
                    _ => output.status.signal() == Some(*signal),
                };
                report.check(right, || {
                    format!(
                        "{name}, {when}, {below} below: {}",
                        children::ending(&output)
                    )
                });
                children += 1;
            }
        }
    }
    report.figure("processes that faulted", children);
    Ok(report.finish())
}

/// A child: faults, and ends as the host decided.
pub fn child(words: &[String]) -> Result<()> {
    let [name, when, below] = words else {
        bail!("a signal, a time and a depth are needed")
    };
    let (_, signal) = SIGNALS
        .iter()
        .find(|known| known.0 == name)
        .context("no such signal")?;
    let (signal, when) = (*signal, when.as_str());
    no_core_files();
    match when {
        "before" => install(signal, handler as *const () as usize)?,
        "ignored" => install(signal, libc::SIG_IGN)?,
        "default" | "sent" => install(signal, libc::SIG_DFL)?,
        _ => {}
    }
    let engine = Engine::new(Config::default())?;
    if when == "after" {
        install(signal, handler as *const () as usize)?;
    }
    let module = Module::new(&engine, GUEST)?;
    let sent = when == "sent";
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap(
        "host",
        "fault",
        move |mut caller: Caller<'_, ()>, deeper: i32| -> upshift_wasm::Result<()> {
            if deeper > 0 {
                let down = caller
                    .get_export("down")
                    .and_then(|export| export.into_func());
                let down = down.ok_or_else(|| upshift_wasm::Error::new("no export"))?;
                return down.call(&mut caller, &[Val::I32(deeper - 1)], &mut []);
            }
            fault(signal, sent);
            Ok(())
        },
    )?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    guest_traps(&mut store, &instance)?;
    FAULT_IS_THE_HOSTS.store(true, Ordering::SeqCst);
    match below.parse::<i32>()? {
        0 => fault(signal, sent),
        activations => {
            let down = instance.get_func(&store, "down").context("no export")?;
            down.call(&mut store, &[Val::I32(activations - 1)], &mut [])?;
        }
    }
    bail!(
        "the fault had no effect; the handler saw signal {}",
        SEEN.load(Ordering::SeqCst)
    )
}

/// A core file for each child would take time.
fn no_core_files() {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is a valid one.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

/// Whatever the host has set, the guest's own faults are traps.
fn guest_traps(store: &mut Store<()>, instance: &Instance) -> Result<()> {
    let traps = [
        ("load", TrapKind::MemoryOutOfBounds),
        ("divide", TrapKind::IntegerDivisionByZero),
        ("unreachable", TrapKind::Unreachable),
    ];
    for (export, kind) in traps {
        let function = instance.get_func(&*store, export).context("no export")?;
        let error = function
            .call(&mut *store, &[Val::I32(1)], &mut [])
            .err()
            .context("no trap")?;
        if error.trap().map(upshift_wasm::Trap::kind) != Some(kind) {
            bail!("{export}: {error}");
        }
    }
    Ok(())
}

fn fault(signal: i32, sent: bool) {
    match signal {
        // SAFETY: sending a signal touches no memory.
        _ if sent => drop(unsafe { libc::kill(libc::getpid(), signal) }),
        // SAFETY: none, and that is the point; nothing can be at this address.
        libc::SIGSEGV => unsafe { ptr::without_provenance_mut::<u8>(64).write_volatile(1) },
        libc::SIGBUS => bus_error(),
        libc::SIGFPE => arch::divide_by_zero(),
        _ => arch::undefined_instruction(),
    }
}

/// Writes behind the end of a file that is mapped.
fn bus_error() {
    // SAFETY: the mapping is new; there is nothing behind it, and that is the point.
    unsafe {
        let file = libc::memfd_create(c"empty".as_ptr(), 0);
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let memory = libc::mmap(ptr::null_mut(), 4096, rights, libc::MAP_SHARED, file, 0);
        if memory != libc::MAP_FAILED {
            memory.cast::<u8>().write_volatile(1);
        }
    }
}

fn install(signal: i32, action: usize) -> Result<()> {
    let mut previous = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the action is complete; the handler is of the kind that SA_SIGINFO calls.
    let (result, previous) = unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = action;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut new.sa_mask);
        (
            libc::sigaction(signal, &new, previous.as_mut_ptr()),
            previous.assume_init(),
        )
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    if let Ok(mut slot) = PREVIOUS.lock() {
        *slot = Some(previous);
    }
    Ok(())
}

unsafe extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    SEEN.store(signal, Ordering::SeqCst);
    if FAULT_IS_THE_HOSTS.load(Ordering::SeqCst) {
        // SAFETY: it ends the process at once.
        unsafe { libc::_exit(HANDLED) };
    }
    // A guest's fault, and this handler came later than the engine's: a good host passes it on.
    let previous = PREVIOUS.try_lock().ok().and_then(|previous| *previous);
    let Some(previous) = previous.filter(|previous| previous.sa_sigaction > libc::SIG_IGN) else {
        // SAFETY: it ends the process at once.
        unsafe { libc::_exit(1) };
    };
    // SAFETY: the engine's handler, and Rust's own, are of the kind that SA_SIGINFO calls.
    unsafe {
        let passed_on: unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) =
            std::mem::transmute(previous.sa_sigaction);
        passed_on(signal, info, context);
    }
}
