//! A server between a client and the LLVM server that passes everything on, and does harm to some of the answers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use upshift::{Event, EventKind};
use upshift_llvm::protocol::{read_frame, write_frame};

/// What is done to an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harm {
    /// Half of it is sent, then the connection ends.
    CutOff,
    /// Some of its bytes are others.
    Damage,
    /// Random bytes come in its place.
    Garbage,
    /// It never comes.
    Silence,
    /// It comes late.
    Delay(Duration),
}

/// Decides about the answer of that number, counted over all connections.
type Choose = dyn Fn(u64) -> Option<Harm> + Send + Sync;

/// The relay, for as long as it is not dropped.
pub struct Relay {
    socket: PathBuf,
    state: Arc<State>,
}

struct State {
    server: PathBuf,
    choose: Box<Choose>,
    answers: AtomicU64,
    harmed: AtomicU64,
    stopped: AtomicBool,
}

impl Relay {
    /// Listens on a socket with this name in the folder for temporary files.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(
        name: &str,
        server: &Path,
        choose: impl Fn(u64) -> Option<Harm> + Send + Sync + 'static,
    ) -> io::Result<Relay> {
        let file = format!("upshift-{name}-{}", std::process::id());
        let socket = std::env::temp_dir().join(file);
        // Left over from an earlier process with the same id, if there.
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let state = Arc::new(State {
            server: server.to_owned(),
            choose: Box::new(choose),
            answers: AtomicU64::new(0),
            harmed: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::Acquire) {
                    return;
                }
                let state = Arc::clone(&shared);
                // Whatever goes wrong ends the connection, which is what is tested.
                thread::spawn(move || drop(relay(&client, &state)));
            }
        });
        Ok(Relay { socket, state })
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How many answers were harmed so far.
    pub fn harmed(&self) -> u64 {
        self.state.harmed.load(Ordering::Acquire)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Release);
        // Wakes the thread that listens.
        let _ = UnixStream::connect(&self.socket);
        let _ = fs::remove_file(&self.socket);
    }
}

fn relay(client: &UnixStream, state: &State) -> io::Result<()> {
    let (own, theirs) = UnixStream::pair()?;
    let mut server = Command::new(&state.server)
        .arg("--pipe")
        .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let (mut from_client, mut to_server) = (client.try_clone()?, own.try_clone()?);
    let forward = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let answered = answers(&own, client, state);
    let _ = client.shutdown(Shutdown::Both);
    let _ = own.shutdown(Shutdown::Both);
    let _ = server.kill();
    server.wait()?;
    let _ = forward.join();
    answered
}

fn answers(server: &UnixStream, client: &UnixStream, state: &State) -> io::Result<()> {
    let mut server = BufReader::new(server);
    let mut next = || read_frame(&mut server).map_err(io::Error::other);
    let send = |payload: &[u8]| {
        let mut frame = Vec::new();
        write_frame(&mut frame, payload).map_err(io::Error::other)?;
        Ok::<_, io::Error>(frame)
    };
    let mut client = client;
    if let Some(greeting) = next()? {
        client.write_all(&send(&greeting)?)?;
    }
    while let Some(payload) = next()? {
        let number = state.answers.fetch_add(1, Ordering::AcqRel);
        let mut frame = send(&payload)?;
        let harm = (state.choose)(number);
        if !matches!(harm, None | Some(Harm::Delay(_))) {
            state.harmed.fetch_add(1, Ordering::AcqRel);
        }
        match harm {
            None => {}
            Some(Harm::Delay(time)) => thread::sleep(time),
            Some(Harm::Silence) => continue,
            Some(Harm::CutOff) => return client.write_all(&frame[..frame.len() / 2]),
            Some(Harm::Damage) => {
                for step in 0..4 {
                    let at = scramble(number * 4 + step) as usize % frame.len();
                    frame[at] ^= 1 << (step * 2);
                }
            }
            Some(Harm::Garbage) => {
                let random = (0..).map(|step| scramble(number << 20 | step) as u8);
                frame = random.take(frame.len()).collect();
            }
        }
        client.write_all(&frame)?;
    }
    Ok(())
}

/// The functions that have no code for want of an answer although no lost job of theirs is named, and the other way round.
pub fn unnamed_losses(events: &[Event]) -> Vec<String> {
    let mut lost = BTreeSet::new();
    let mut failed = BTreeSet::new();
    let mut unnamed = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::JobLost { again: false, .. } => {
                lost.insert(event.function.0);
            }
            EventKind::Failed { reason, .. } | EventKind::OsrFailed { reason, .. } => {
                failed.insert(event.function.0);
                let is_loss = reason.contains("LLVM server");
                if is_loss && !lost.contains(&event.function.0) {
                    unnamed.push(format!("{}: {reason}", event.name));
                }
            }
            _ => {}
        }
    }
    let without_failure = lost.difference(&failed);
    unnamed.extend(without_failure.map(|function| format!("function {function} has not failed")));
    unnamed
}

/// A number that looks as if it were random; Steele, Lea and Flood's SplitMix64.
pub fn scramble(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
