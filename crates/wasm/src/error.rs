//! The one error type of this crate, traps, and the backtraces that both carry.
//!
//! An [`Error`] is one pointer wide. It says what was being done, on what, and what went wrong; it keeps a host
//! function's own error as it was, so that the caller of a WebAssembly function can get it back with
//! [`Error::downcast_ref`]. This module knows nothing of stores or modules: whoever makes an error resolves the frames
//! of its backtrace first.

use std::error::Error as StdError;
use std::fmt;
use upshift::embed::{Tier, TrapKind};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that can go wrong with a module, a link, a call or a host function.
///
/// `{}` prints one line; `{:#}` and `{:?}` add the WebAssembly backtrace if there is one.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    /// What was being done, innermost first.
    context: Vec<String>,
    backtrace: Option<WasmBacktrace>,
}

enum Kind {
    InvalidModule {
        offset: Option<usize>,
        message: String,
    },
    Link(String),
    Trap(Trap),
    Host(Box<dyn StdError + Send + Sync>),
    Engine(upshift::Error),
    Other(String),
}

/// The sort of failure that an [`Error`] is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The module is malformed, invalid, or uses a feature that is not supported.
    InvalidModule,
    /// An import is missing or of the wrong type.
    Link,
    /// The program trapped.
    Trap,
    /// A host function failed with an error of its own.
    Host,
    /// Anything else: a call with the wrong arguments, a limit of this machine, a failure of the engine.
    Other,
}

impl Error {
    /// An error that is only a message.
    pub fn new(message: impl Into<String>) -> Error {
        Error::of(Kind::Other(message.into()))
    }

    /// An error of the host's own. [`Error::downcast_ref`] gives it back.
    pub fn host(error: impl StdError + Send + Sync + 'static) -> Error {
        Error::from_boxed(Box::new(error))
    }

    /// Like [`Error::host`], from an error that is boxed already. An [`Error`] in the box is taken out of it.
    pub fn from_boxed(error: Box<dyn StdError + Send + Sync>) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::of(Kind::Host(error)),
        }
    }

    /// A module is malformed or invalid; `offset` is where, in bytes from the start of the binary module.
    pub fn invalid_module(offset: impl Into<Option<usize>>, message: impl Into<String>) -> Error {
        Error::of(Kind::InvalidModule {
            offset: offset.into(),
            message: message.into(),
        })
    }

    pub(crate) fn link(message: impl Into<String>) -> Error {
        Error::of(Kind::Link(message.into()))
    }

    fn of(kind: Kind) -> Error {
        Error(Box::new(Inner {
            kind,
            context: Vec::new(),
            backtrace: None,
        }))
    }

    /// The same error with a line in front of it that says what was being done.
    #[must_use]
    pub fn context(mut self, what: impl Into<String>) -> Error {
        self.0.context.push(what.into());
        self
    }

    /// The same error with the backtrace of the WebAssembly frames it passed through; an earlier backtrace is kept.
    pub(crate) fn with_backtrace(mut self, backtrace: WasmBacktrace) -> Error {
        if self.backtrace().is_none() && !backtrace.frames.is_empty() {
            self.0.backtrace = Some(backtrace);
        }
        self
    }

    pub(crate) fn has_context(&self) -> bool {
        !self.0.context.is_empty()
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match &self.0.kind {
            Kind::InvalidModule { .. } => ErrorKind::InvalidModule,
            Kind::Link(_) => ErrorKind::Link,
            Kind::Trap(_) => ErrorKind::Trap,
            Kind::Host(_) => ErrorKind::Host,
            Kind::Engine(_) | Kind::Other(_) => ErrorKind::Other,
        }
    }

    /// The trap, if the program trapped.
    pub fn trap(&self) -> Option<&Trap> {
        match &self.0.kind {
            Kind::Trap(trap) => Some(trap),
            _ => None,
        }
    }

    /// The host's own error of type `E`, or the [`Trap`], if that is what this error is.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match &self.0.kind {
            Kind::Host(error) => error.downcast_ref(),
            Kind::Trap(trap) => (trap as &(dyn StdError + 'static)).downcast_ref(),
            _ => None,
        }
    }

    /// The host's own error of type `E`, taken out.
    ///
    /// # Errors
    /// The error as it was, if it is not of that type.
    pub fn downcast<E: StdError + Send + Sync + 'static>(mut self) -> Result<E, Error> {
        match self.0.kind {
            Kind::Host(error) => match error.downcast::<E>() {
                Ok(error) => Ok(*error),
                Err(error) => {
                    self.0.kind = Kind::Host(error);
                    Err(self)
                }
            },
            kind => {
                self.0.kind = kind;
                Err(self)
            }
        }
    }

    /// Whether the host's own error is of type `E`, or this is a trap and `E` is [`Trap`].
    pub fn is<E: StdError + 'static>(&self) -> bool {
        self.downcast_ref::<E>().is_some()
    }

    /// Where in the module the fault is, in bytes from its start, for an invalid module.
    pub fn module_offset(&self) -> Option<usize> {
        match self.0.kind {
            Kind::InvalidModule { offset, .. } => offset,
            _ => None,
        }
    }

    /// The WebAssembly frames that were active when the program trapped or the host function failed.
    pub fn backtrace(&self) -> Option<&WasmBacktrace> {
        match &self.0.kind {
            Kind::Trap(trap) if !trap.backtrace.frames.is_empty() => Some(&trap.backtrace),
            _ => self.0.backtrace.as_ref(),
        }
    }

    fn write_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in self.0.context.iter().rev() {
            write!(f, "{what}: ")?;
        }
        match &self.0.kind {
            Kind::InvalidModule {
                offset: Some(offset),
                message,
            } => {
                write!(f, "{message} (at offset {offset:#x})")
            }
            Kind::InvalidModule {
                offset: None,
                message,
            } => f.write_str(message),
            Kind::Link(message) | Kind::Other(message) => f.write_str(message),
            Kind::Trap(trap) => write!(f, "wasm trap: {trap}"),
            Kind::Host(error) => write!(f, "{error}"),
            Kind::Engine(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_line(f)?;
        match self.backtrace() {
            Some(backtrace) if f.alternate() => write!(f, "\n{backtrace}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            Kind::Host(error) => error.source(),
            Kind::Engine(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Trap> for Error {
    fn from(trap: Trap) -> Error {
        Error::of(Kind::Trap(trap))
    }
}

impl From<upshift::Error> for Error {
    fn from(error: upshift::Error) -> Error {
        Error::of(Kind::Engine(error))
    }
}

impl From<TrapKind> for Error {
    fn from(kind: TrapKind) -> Error {
        Trap::new(kind).into()
    }
}

/// A program was stopped because it did something that WebAssembly forbids, ran out of stack, or was interrupted.
#[derive(Clone, Debug)]
pub struct Trap {
    kind: TrapKind,
    message: Option<String>,
    backtrace: WasmBacktrace,
}

impl Trap {
    /// A trap of that kind. A host function that returns it makes the calling program trap.
    pub fn new(kind: TrapKind) -> Trap {
        Trap {
            kind,
            message: None,
            backtrace: WasmBacktrace::default(),
        }
    }

    pub(crate) fn with_backtrace(
        kind: TrapKind,
        message: Option<String>,
        backtrace: WasmBacktrace,
    ) -> Trap {
        Trap {
            kind,
            message,
            backtrace,
        }
    }

    /// Why.
    pub fn kind(&self) -> TrapKind {
        self.kind
    }

    /// Where: the active WebAssembly frames, innermost first.
    pub fn frames(&self) -> &[WasmFrame] {
        &self.backtrace.frames
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl StdError for Trap {}

/// The WebAssembly frames that were active at some moment, innermost first.
#[derive(Clone, Default, Debug)]
pub struct WasmBacktrace {
    frames: Vec<WasmFrame>,
    truncated: bool,
}

impl WasmBacktrace {
    pub(crate) fn new(frames: Vec<WasmFrame>, truncated: bool) -> WasmBacktrace {
        WasmBacktrace { frames, truncated }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[WasmFrame] {
        &self.frames
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wasm backtrace:")?;
        for (index, frame) in self.frames.iter().enumerate() {
            write!(f, "\n  {index:>3}: {frame}")?;
        }
        if self.truncated {
            f.write_str("\n       ... and further frames")?;
        }
        Ok(())
    }
}

/// One activation of a WebAssembly function.
#[derive(Clone, Debug)]
pub struct WasmFrame {
    pub(crate) module_name: Option<String>,
    pub(crate) func_name: Option<String>,
    pub(crate) func_index: Option<u32>,
    pub(crate) module_offset: Option<u32>,
    pub(crate) tier: Tier,
}

impl WasmFrame {
    /// The module's name, if it says one.
    pub fn module_name(&self) -> Option<&str> {
        self.module_name.as_deref()
    }

    /// The function's name, if the module names it.
    pub fn func_name(&self) -> Option<&str> {
        self.func_name.as_deref()
    }

    /// The function's index in its module, imports counted.
    pub fn func_index(&self) -> Option<u32> {
        self.func_index
    }

    /// The instruction, in bytes from the start of the module.
    pub fn module_offset(&self) -> Option<u32> {
        self.module_offset
    }

    /// Which tier's code was running.
    pub fn tier(&self) -> Tier {
        self.tier
    }
}

impl fmt::Display for WasmFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.module_offset {
            write!(f, "{offset:#8x} - ")?;
        }
        write!(f, "{}!", self.module_name.as_deref().unwrap_or("<unknown>"))?;
        match (&self.func_name, self.func_index) {
            (Some(name), _) => f.write_str(name),
            (None, Some(index)) => write!(f, "<wasm function {index}>"),
            (None, None) => f.write_str("<unknown>"),
        }
    }
}
