//! What one guest has of the world: its arguments, its environment and its open descriptors.

use crate::abi::Rights;
use crate::chance::Chance;
use crate::interrupt::Interrupts;
use crate::resolve::Resolver;
use crate::stdio::{Input, InputKind, Output, OutputKind, duplicate};
use crate::table::{Access, Descriptor, Object, Table};
use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Open descriptors a guest may have unless the embedder says otherwise, preopened ones included.
const DESCRIPTORS_MAX: usize = 1024;

/// A guest's world. Lives in the store's data, or wherever the embedder likes.
pub struct WasiCtx {
    pub(crate) args: Vec<Vec<u8>>,
    /// Each is `KEY=VALUE`.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) table: Table,
    pub(crate) resolver: Resolver,
    pub(crate) interrupts: Interrupts,
    pub(crate) chance: Chance,
}

impl WasiCtx {
    /// Has the embedder asked, while the guest waits for a time or for a stream of the host's, whether it should stop
    /// waiting. If so, the guest's call fails with "interrupted", and the engine gets to stop the guest: give the same
    /// answer here as there. Without this, a guest that waits cannot be stopped.
    pub fn set_interrupted_by(&mut self, is_interrupted: impl Fn() -> bool + Send + 'static) {
        self.interrupts = Interrupts::new(is_interrupted);
    }
}

impl fmt::Debug for WasiCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiCtx")
            .field("args", &self.args)
            .field("env", &self.env)
            .finish_non_exhaustive()
    }
}

/// Why a [`WasiCtx`] could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A directory to open to the guest cannot be opened.
    #[error("cannot open the directory {} for the guest (as {guest_path:?}): {source}", host_path.display())]
    Preopen {
        /// The directory.
        host_path: PathBuf,
        /// The guest's name for it.
        guest_path: String,
        /// What the host said.
        source: io::Error,
    },
    /// An argument, a variable or a guest path contains a zero byte, which ends a string in the guest.
    #[error("{what} {text:?} contains a zero byte, which cannot be passed to a guest")]
    ZeroByte {
        /// What it is.
        what: &'static str,
        /// Its text.
        text: String,
    },
    /// A variable's name is empty or contains `=`.
    #[error("{0:?} cannot be the name of an environment variable: it is empty or contains '='")]
    VariableName(String),
    /// The arguments, or the variables, are more than a guest can address.
    #[error("the {0} together take more bytes than a guest can address")]
    TooLong(&'static str),
    /// There are more preopened directories than descriptors.
    #[error("more directories are preopened than the guest may have descriptors ({0})")]
    TooManyDescriptors(usize),
}

/// Describes a guest's world. Without further calls it is empty: no arguments, no variables, no directories, nothing to
/// read from standard input, and what the guest prints is thrown away.
///
/// ```
/// # fn main() -> Result<(), upshift_wasi::Error> {
/// use upshift_wasi::{Access, WasiCtxBuilder};
///
/// let ctx = WasiCtxBuilder::new()
///     .arg("program")
///     .env("HOME", "/")
///     .inherit_stdio()
///     .preopened_dir("/usr/share", "/data", Access::ReadOnly)
///     .build()?;
/// # drop(ctx);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WasiCtxBuilder {
    args: Vec<Vec<u8>>,
    env: Vec<(Vec<u8>, Vec<u8>)>,
    stdin: Input,
    stdout: Output,
    stderr: Output,
    preopens: Vec<(PathBuf, Vec<u8>, Access)>,
    descriptors_max: usize,
    resolver: Resolver,
    seed: Option<u64>,
}

impl Default for WasiCtxBuilder {
    fn default() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }
}

impl WasiCtxBuilder {
    /// An empty world.
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder {
            args: Vec::new(),
            env: Vec::new(),
            stdin: Input::empty(),
            stdout: Output::discard(),
            stderr: Output::discard(),
            preopens: Vec::new(),
            descriptors_max: DESCRIPTORS_MAX,
            resolver: Resolver::Kernel,
            seed: None,
        }
    }

    /// Adds an argument. The first is the program's name, by convention.
    pub fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable, replacing an earlier one of the same name.
    pub fn env(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.env.iter_mut().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => self.env.push((name, value)),
        }
        self
    }

    /// Sets several environment variables.
    pub fn envs(
        self,
        envs: impl IntoIterator<Item = (impl Into<Vec<u8>>, impl Into<Vec<u8>>)>,
    ) -> Self {
        envs.into_iter()
            .fold(self, |builder, (name, value)| builder.env(name, value))
    }

    /// Gives the guest the host process's standard streams.
    pub fn inherit_stdio(self) -> Self {
        self.stdin(Input::inherit())
            .stdout(Output::inherit())
            .stderr(Output::inherit())
    }

    /// Sets the standard input.
    pub fn stdin(mut self, stdin: Input) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets the standard output.
    pub fn stdout(mut self, stdout: Output) -> Self {
        self.stdout = stdout;
        self
    }

    /// Sets the standard error.
    pub fn stderr(mut self, stderr: Output) -> Self {
        self.stderr = stderr;
        self
    }

    /// Opens the host's directory `host_path` to the guest, which sees it at `guest_path`. The directory itself is opened by
    /// [`build`](Self::build), following links; from then on the guest cannot get out of it.
    ///
    /// Everything in it is the guest's, though, so do not open `/proc`, `/dev` or `/sys`, or a directory above them, to a
    /// guest that is not trusted: through `/proc/self/mem` it could change the host process itself.
    pub fn preopened_dir(
        mut self,
        host_path: impl AsRef<Path>,
        guest_path: impl Into<Vec<u8>>,
        access: Access,
    ) -> Self {
        self.preopens
            .push((host_path.as_ref().to_owned(), guest_path.into(), access));
        self
    }

    /// Limits the descriptors that the guest may have open at once, standard streams included. 1024 unless set. Each costs
    /// the host process one of its own.
    pub fn descriptors_max(mut self, descriptors_max: usize) -> Self {
        self.descriptors_max = descriptors_max;
        self
    }

    /// Lets the guest see the same in every run with the same seed, files aside: clocks start with the year 2000 and move by a
    /// microsecond whenever they are looked at, and by what the guest waits for; random numbers come from the seed, which
    /// makes them no secret; all files are as old as the clocks, and are numbered in the order in which the guest sees them.
    /// What depends on the order of a directory's entries, on numbers that the host gives to new files again, or on others
    /// who change files, still differs; the first 2^20 files have numbers of their own.
    pub fn deterministic(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Resolves paths one component at a time, as on a kernel that cannot do it itself; for tests.
    #[doc(hidden)]
    pub fn resolve_by_walking(mut self) -> Self {
        self.resolver = Resolver::Walk;
        self
    }

    /// Opens the preopened directories and checks all that was given.
    pub fn build(self) -> Result<WasiCtx, Error> {
        let env = self
            .env
            .into_iter()
            .map(|(name, value)| variable(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        check_strings("the argument", "arguments", &self.args)?;
        check_strings("the environment variable", "environment variables", &env)?;
        let mut table = Table::new(self.descriptors_max);
        let streams = [
            Descriptor::stream(input(self.stdin), STREAM | Rights::FD_READ),
            Descriptor::stream(output(self.stdout, rustix::stdio::stdout), STREAM | OUTPUT),
            Descriptor::stream(output(self.stderr, rustix::stdio::stderr), STREAM | OUTPUT),
        ];
        let full = |_| Error::TooManyDescriptors(self.descriptors_max);
        for stream in streams {
            table.insert(stream).map_err(full)?;
        }
        for (host_path, guest_path, access) in self.preopens {
            let fd = open_preopen(&host_path, &guest_path)?;
            table
                .insert(Descriptor::preopened(fd, guest_path, access))
                .map_err(full)?;
        }
        Ok(WasiCtx {
            args: self.args,
            env,
            table,
            resolver: self.resolver,
            interrupts: Interrupts::default(),
            chance: self.seed.map_or(Chance::Host, Chance::repeatable),
        })
    }
}

const STREAM: Rights = Rights(
    Rights::FD_FDSTAT_SET_FLAGS.0
        | Rights::FD_FILESTAT_GET.0
        | Rights::POLL_FD_READWRITE.0
        | Rights::FD_ADVISE.0,
);

const OUTPUT: Rights = Rights(Rights::FD_WRITE.0 | Rights::FD_SYNC.0 | Rights::FD_DATASYNC.0);

fn input(input: Input) -> Object {
    match input.0 {
        InputKind::Inherit => match duplicate(rustix::stdio::stdin()) {
            Some(fd) => Object::Stream(fd),
            None => Object::Reader(Box::new(io::empty())),
        },
        InputKind::Host(fd) => Object::Stream(fd),
        InputKind::Reader(reader) => Object::Reader(reader),
    }
}

fn output(output: Output, inherited: fn() -> std::os::fd::BorrowedFd<'static>) -> Object {
    match output.0 {
        OutputKind::Inherit => match duplicate(inherited()) {
            Some(fd) => Object::Stream(fd),
            None => Object::Writer(Box::new(io::sink())),
        },
        OutputKind::Host(fd) => Object::Stream(fd),
        OutputKind::Writer(writer) => Object::Writer(writer),
    }
}

fn open_preopen(host_path: &Path, guest_path: &[u8]) -> Result<OwnedFd, Error> {
    let guest_path = String::from_utf8_lossy(guest_path).into_owned();
    if guest_path.contains('\0') {
        return Err(Error::ZeroByte {
            what: "the guest path",
            text: guest_path,
        });
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(host_path, flags, Mode::empty()).map_err(|error| Error::Preopen {
        host_path: host_path.to_owned(),
        guest_path,
        source: error.into(),
    })
}

fn variable(name: Vec<u8>, value: Vec<u8>) -> Result<Vec<u8>, Error> {
    if name.is_empty() || name.contains(&b'=') {
        return Err(Error::VariableName(
            String::from_utf8_lossy(&name).into_owned(),
        ));
    }
    Ok([name, value].join(b"=".as_slice()))
}

fn check_strings(one: &'static str, all: &'static str, strings: &[Vec<u8>]) -> Result<(), Error> {
    if let Some(bad) = strings.iter().find(|string| string.contains(&0)) {
        return Err(Error::ZeroByte {
            what: one,
            text: String::from_utf8_lossy(bad).into_owned(),
        });
    }
    // Each takes its bytes, a zero byte and a pointer.
    let size = strings
        .iter()
        .map(|string| string.len() as u64 + 5)
        .sum::<u64>();
    if size > u64::from(u32::MAX) {
        Err(Error::TooLong(all))
    } else {
        Ok(())
    }
}
