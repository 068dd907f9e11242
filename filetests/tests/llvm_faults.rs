//! The LLVM server is killed, stopped, starved and falsified while a program runs: the program's results must be right every
//! time, and every job that is lost must be named.

use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use upshift::{Backend, Config, Event, EventKind, JobLoss, Recorder, Tier};
use upshift_filetests::{Harm, Relay, llvm_server, scramble, unnamed_losses};
use upshift_llvm::{LlvmCompiler, Options};
use upshift_wasm::{Engine, Instance, Module, Store};

const FUNCTIONS: i32 = 60;
const ROUNDS: i32 = 400;
/// Something is stuck after so long.
const PATIENCE: Duration = Duration::from_secs(100);

/// Functions that add up the squares below their argument, each from a start of its own.
fn program() -> String {
    let mut text = "(module\n".to_owned();
    for function in 0..FUNCTIONS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "(func (export \"f{function}\") (param i32) (result i32) (local i32)
               (local.set 1 (i32.const {function}))
               (loop
                 (local.set 1 (i32.add (local.get 1) (i32.mul (local.get 0) (local.get 0))))
                 (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
               (local.get 1))"
        );
    }
    text + ")"
}

fn expected(function: i32, n: i32) -> i32 {
    (1..=n).fold(function, |sum, i| sum.wrapping_add(i.wrapping_mul(i)))
}

/// The server, or a line that says that the test is left out.
fn server() -> Option<PathBuf> {
    let server = llvm_server();
    if server.is_none() {
        println!("left out: there is no LLVM server; `cargo xtask llvm` builds it");
    }
    server
}

/// Runs the program in tiers 0 and 2 at least until `enough` of what happened, while `disturb` does harm until it is told to
/// stop. What happened.
fn run(
    options: Options,
    synchronous: bool,
    enough: impl Fn(&[Event]) -> bool,
    disturb: impl Fn(&LlvmCompiler, &AtomicBool) + Sync,
) -> Vec<Event> {
    let compiler = Arc::new(LlvmCompiler::new(options));
    let recorder = Arc::new(Recorder::default());
    let config = Config::default()
        .thresholds(1, 2)
        .synchronous(synchronous)
        .backend(Tier::Optimizing, Backend::Off)
        .backend(Tier::Top, Backend::Custom(compiler.clone()))
        .subscriber(recorder.clone());
    let engine = Engine::new(config).unwrap();
    let module = Module::new(&engine, program()).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| disturb(&compiler, &stop));
        for round in 0.. {
            for function in 0..FUNCTIONS {
                let name = format!("f{function}");
                let f = instance.get_typed_func::<i32, i32>(&store, &name).unwrap();
                let n = 1 + round % 50;
                let result = f.call(&mut store, n);
                if !result
                    .as_ref()
                    .is_ok_and(|sum| *sum == expected(function, n))
                {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{name}({n}) gave {result:?}");
                }
            }
            if round >= ROUNDS && (enough(&recorder.events()) || start.elapsed() > PATIENCE) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    engine.shutdown();
    let events = recorder.events();
    assert_eq!(unnamed_losses(&events), Vec::<String>::new());
    events
}

fn losses(events: &[Event]) -> impl Iterator<Item = (&str, JobLoss, bool)> {
    events.iter().filter_map(|event| match event.kind {
        EventKind::JobLost { reason, again } => Some((event.name.as_str(), reason, again)),
        _ => None,
    })
}

fn count(events: &[Event], wanted: impl Fn(JobLoss) -> bool) -> usize {
    losses(events).filter(|loss| wanted(loss.1)).count()
}

fn published(events: &[Event]) -> usize {
    let top = |event: &&Event| {
        matches!(
            event.kind,
            EventKind::Published {
                tier: Tier::Top,
                ..
            }
        )
    };
    events.iter().filter(top).count()
}

/// Sends the server signals at irregular moments.
fn send(signals: &[Signal], compiler: &LlvmCompiler, stop: &AtomicBool) {
    for times in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(Duration::from_millis(3 + scramble(times) % 60));
        let process = compiler.server_process_id();
        if let Some(process) = process.and_then(|id| Pid::from_raw(id as i32)) {
            // It may have ended by itself.
            let _ = kill_process(process, signals[times as usize % signals.len()]);
        }
    }
}

#[test]
fn a_killed_server_costs_no_result() {
    let Some(server) = server() else { return };
    let events = run(
        Options::new(server),
        false,
        |events| count(events, |reason| reason == JobLoss::Died) >= 3,
        |compiler, stop| send(&[Signal::KILL, Signal::SEGV], compiler, stop),
    );
    assert!(count(&events, |reason| reason == JobLoss::Died) >= 3);
    let started = |event: &&Event| matches!(event.kind, EventKind::ServerStarted { .. });
    let starts: Vec<_> = events.iter().filter(started).collect();
    assert!(starts.len() > 1, "it is started again");
    // With a pause, once there has been a failure.
    for start in starts {
        let EventKind::ServerStarted { failures, .. } = start.kind else {
            continue;
        };
        assert!(failures < 7, "{start:?}");
    }
}

#[test]
fn a_stopped_server_costs_no_result() {
    let Some(server) = server() else { return };
    let options = Options {
        time_limit: Duration::from_millis(300),
        ..Options::new(server)
    };
    let late = |reason| reason == JobLoss::TimedOut;
    let events = run(
        options,
        false,
        |events| count(events, late) >= 1,
        |compiler, stop| send(&[Signal::STOP], compiler, stop),
    );
    assert!(count(&events, late) >= 1);
}

#[test]
fn a_starved_server_costs_no_result() {
    let Some(server) = server() else { return };
    let nothing = |_: &LlvmCompiler, _: &AtomicBool| {};
    for megabytes in [8, 160, 260, 320] {
        let options = Options {
            memory_bytes_max: megabytes << 20,
            ..Options::new(server.clone())
        };
        let told = |events: &[Event]| losses(events).count() + published(events) >= 3;
        let events = run(options, false, told, nothing);
        assert!(told(&events), "{megabytes} MiB");
        assert!(megabytes > 8 || count(&events, |reason| reason == JobLoss::Refused) > 0);
    }
}

/// Runs the program with a relay that harms the answers as `choose` says, until three jobs were lost, one of them for the
/// reason `wanted`. The others may be named before it: they lose the connection that it closes.
fn harmed(
    name: &str,
    server: &Path,
    wanted: JobLoss,
    choose: impl Fn(u64) -> Option<Harm> + Send + Sync + 'static,
) -> Vec<Event> {
    let relay = Relay::start(name, server, choose).unwrap();
    let options = Options {
        time_limit: Duration::from_millis(2000),
        ..Options::new(relay.socket().to_owned())
    };
    let nothing = |_: &LlvmCompiler, _: &AtomicBool| {};
    let events = run(
        options,
        false,
        |events| losses(events).count() >= 3 && count(events, |reason| reason == wanted) > 0,
        nothing,
    );
    assert!(relay.harmed() > 0);
    events
}

#[test]
fn answers_that_are_cut_off_damaged_or_made_up_cost_no_result() {
    let Some(server) = server() else { return };
    for (name, harm, wanted) in [
        ("cut", Harm::CutOff, JobLoss::Died),
        ("damage", Harm::Damage, JobLoss::BadAnswer),
        ("garbage", Harm::Garbage, JobLoss::BadAnswer),
    ] {
        let events = harmed(name, &server, wanted, move |number| {
            (scramble(number) % 5 == 1).then_some(harm)
        });
        assert!(losses(&events).count() >= 3, "{name}");
        let bad = count(&events, |reason| reason == JobLoss::BadAnswer);
        assert_eq!(bad > 0, harm != Harm::CutOff, "{name}");
        assert!(published(&events) > 0, "{name}");
    }
}

#[test]
fn answers_that_come_late_or_never_cost_no_result() {
    let Some(server) = server() else { return };
    let events = harmed("late", &server, JobLoss::TimedOut, |number| {
        match scramble(number) % 6 {
            1 => Some(Harm::Silence),
            2 => Some(Harm::Delay(Duration::from_millis(100))),
            _ => None,
        }
    });
    assert!(count(&events, |reason| reason == JobLoss::TimedOut) > 0);
    assert!(published(&events) > 0);
}

#[test]
fn every_lost_job_is_named_twice_if_it_was_tried_twice() {
    let Some(server) = server() else { return };
    let relay = Relay::start("always", &server, |_| Some(Harm::CutOff)).unwrap();
    let options = Options::new(relay.socket().to_owned());
    let events = run(options, true, |_| true, |_, _| {});
    for function in 0..FUNCTIONS {
        let name = format!("f{function}");
        let own: Vec<_> = losses(&events)
            .filter(|loss| loss.0.contains(&name))
            .collect();
        let last = own.last().unwrap_or_else(|| panic!("{name} is not named"));
        assert!(!last.2, "{name}: {own:?}");
        // Each that was tried again is named again.
        assert!(
            own.iter().filter(|loss| loss.2).count() <= own.len() / 2,
            "{own:?}"
        );
    }
    assert_eq!(published(&events), 0);
}

/// A server that listens, until it is dropped.
struct Listener(Child);

impl Listener {
    fn start(server: &Path, socket: &Path) -> Listener {
        let mut command = Command::new(server);
        command.arg("--listen").arg(socket);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let listener = Listener(command.spawn().unwrap());
        let start = Instant::now();
        while UnixStream::connect(socket).is_err() {
            assert!(start.elapsed() < PATIENCE, "it does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        listener
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn one_server_serves_many_and_outlives_them() {
    let Some(server) = server() else { return };
    let socket = std::env::temp_dir().join(format!("upshift-listen-{}", std::process::id()));
    let listener = Listener::start(&server, &socket);
    let served = |events: &[Event]| published(events) >= 5;
    // One that says nothing, one that talks nonsense, and one that sends half a greeting.
    let connect = || UnixStream::connect(&socket).unwrap();
    let silent = connect();
    for rude in [&[0x55; 400][..], &[9, 0, 0, 0, 1]] {
        std::io::Write::write_all(&mut connect(), rude).unwrap();
    }
    let options = || Options::new(socket.clone());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let events = run(options(), false, served, |_, _| {});
                assert!(served(&events));
                assert_eq!(losses(&events).count(), 0);
            });
        }
    });
    drop(silent);
    drop(connect());
    drop(listener);
    // Nobody listens any more: functions stay where they are.
    let events = run(options(), true, |_| true, |_, _| {});
    assert!(count(&events, |reason| reason == JobLoss::Refused) > 0);
    std::fs::remove_file(&socket).unwrap();
}
