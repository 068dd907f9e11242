//! Entering and leaving guest code on a thread.
//!
//! Each call from the host into guest code is an *activation*: a record on the host's stack, linked to the one below
//! it, that says how to get back. Guest code that cannot go on never unwinds frame by frame: the thread is put back to
//! where the activation began.

use crate::arch;
use crate::backtrace::Counters;
use crate::trap::{HostFailure, Unwind};
use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::error::Error;
use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use upshift_base::TrapKind;
use upshift_codemem::CodeMemory;

/// Bytes of stack that host code called from the guest can always count on.
const HOST_STACK_BYTES: usize = 128 * 1024;
/// Bytes of a signal stack that suffice for our handler and the one after it.
const SIGNAL_STACK_BYTES: usize = 64 * 1024;

/// Why an activation was left.
pub(crate) enum Outcome {
    Trap {
        kind: TrapKind,
        message: Option<String>,
    },
    Error(Box<dyn Error + Send + Sync>),
    Unwind(Unwind),
    Panic(Box<dyn Any + Send>),
}

/// One call from the host into guest code.
pub(crate) struct Activation<'a> {
    memory: &'a CodeMemory,
    previous: *mut Activation<'static>,
    saved_stack: usize,
    /// The frame pointer of the stub through which the guest called the host, while it is out.
    exit_frame: usize,
    outcome: Option<Outcome>,
    counters: Counters,
}

thread_local! {
    /// The innermost activation of this thread. No destructor: signal handlers read it.
    static CURRENT: Cell<*mut Activation<'static>> = const { Cell::new(ptr::null_mut()) };
    static STACK: OnceCell<ThreadStack> = const { OnceCell::new() };
}

/// What was learnt about a thread when it first entered guest code.
#[derive(Debug)]
struct ThreadStack {
    /// The lowest address of its stack.
    low: usize,
    /// A signal stack of ours, if it had none that suffices.
    signal_stack: Option<*mut c_void>,
}

impl Drop for ThreadStack {
    fn drop(&mut self) {
        let Some(memory) = self.signal_stack else {
            return;
        };
        // SAFETY: the stack was installed by this thread, which ends; no handler runs on it.
        unsafe {
            let disable = libc::stack_t {
                ss_sp: ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            };
            libc::sigaltstack(&disable, ptr::null_mut());
            libc::munmap(memory, SIGNAL_STACK_BYTES);
        }
    }
}

/// Guest code on this thread may not begin.
#[derive(Debug, thiserror::Error)]
#[error("preparing this thread for guest code: {0}")]
pub(crate) struct ThreadError(#[from] io::Error);

/// How a finished activation ended, with the program counters of the guest frames that were left.
pub(crate) struct Left {
    pub(crate) outcome: Outcome,
    pub(crate) counters: Counters,
}

/// Calls `trampoline(slot, values)` as a new activation.
///
/// If `stack_limit` is given and this is the thread's outermost activation that uses it, it is set for the duration.
///
/// # Safety
/// `trampoline` must be trampoline code in `memory` for a function of the signature that `slot`'s code has, and
/// `values` must have room for its parameters and results.
pub(crate) unsafe fn enter(
    memory: &CodeMemory,
    trampoline: *const u8,
    slot: *const c_void,
    values: *mut c_void,
    stack_limit: Option<(&AtomicUsize, usize)>,
) -> Result<Option<Left>, ThreadError> {
    let stack_low = prepare_thread()?;
    let mut activation = Activation {
        memory,
        previous: CURRENT.get(),
        saved_stack: 0,
        exit_frame: 0,
        outcome: None,
        counters: Counters::new(),
    };
    // From here on the record is reached by pointer only: code above this frame writes to it.
    let here: *mut Activation<'_> = &raw mut activation;
    let limit_before =
        stack_limit.map(|(cell, bytes)| lower_limit(cell, here as usize, bytes, stack_low));
    CURRENT.set(here.cast());
    // SAFETY: as the caller promises; `saved_stack` outlives the call.
    let left = unsafe { arch::enter(trampoline, slot, values, &raw mut (*here).saved_stack) };
    // SAFETY: `here` points to the local above, which nothing else uses any more.
    let activation = unsafe { &mut *here };
    CURRENT.set(activation.previous);
    if let (Some((cell, _)), Some(before)) = (stack_limit, limit_before) {
        cell.store(before, Ordering::Relaxed);
    }
    if left == 0 {
        return Ok(None);
    }
    let outcome = activation.outcome.take();
    let counters = std::mem::replace(&mut activation.counters, Counters::new());
    Ok(outcome.map(|outcome| Left { outcome, counters }))
}

/// Sets a stack limit `bytes` below `here`, but never so low that host code would not have its share, and returns the
/// limit before. Inside of an activation that has set it already it stays: guest frames add up.
fn lower_limit(cell: &AtomicUsize, here: usize, bytes: usize, stack_low: usize) -> usize {
    let before = cell.load(Ordering::Relaxed);
    let nested = before != 0 && before != usize::MAX;
    if !nested {
        let floor = stack_low.saturating_add(2 * HOST_STACK_BYTES);
        cell.store(here.saturating_sub(bytes).max(floor), Ordering::Relaxed);
    }
    before
}

/// Finds out where the thread's stack ends and makes sure that signals have a stack of their own. Cheap after the
/// first time.
fn prepare_thread() -> io::Result<usize> {
    STACK.with(|stack| {
        if let Some(stack) = stack.get() {
            return Ok(stack.low);
        }
        let prepared = ThreadStack {
            low: stack_low()?,
            signal_stack: ensure_signal_stack()?,
        };
        Ok(stack.get_or_init(|| prepared).low)
    })
}

fn stack_low() -> io::Result<usize> {
    let mut low = ptr::null_mut();
    let mut size = 0;
    // SAFETY: the attributes are initialised by `pthread_getattr_np` before they are read.
    unsafe {
        let mut attributes = std::mem::zeroed();
        let error = libc::pthread_getattr_np(libc::pthread_self(), &mut attributes);
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        libc::pthread_attr_getstack(&attributes, &mut low, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
    }
    Ok(low as usize)
}

/// Installs a signal stack unless there is one already; Rust's threads have one.
fn ensure_signal_stack() -> io::Result<Option<*mut c_void>> {
    // SAFETY: `sigaltstack` fills in `current`; the mapping is checked before it is installed.
    unsafe {
        let mut current: libc::stack_t = std::mem::zeroed();
        if libc::sigaltstack(ptr::null(), &mut current) != 0 {
            return Err(io::Error::last_os_error());
        }
        if current.ss_flags & libc::SS_DISABLE == 0 && current.ss_size >= SIGNAL_STACK_BYTES {
            return Ok(None);
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let memory = libc::mmap(
            ptr::null_mut(),
            SIGNAL_STACK_BYTES,
            protection,
            flags,
            -1,
            0,
        );
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = libc::stack_t {
            ss_sp: memory,
            ss_flags: 0,
            ss_size: SIGNAL_STACK_BYTES,
        };
        if libc::sigaltstack(&stack, ptr::null_mut()) != 0 {
            let error = io::Error::last_os_error();
            libc::munmap(memory, SIGNAL_STACK_BYTES);
            return Err(error);
        }
        Ok(Some(memory))
    }
}

/// Whether this thread's stack is used up so far that host code had better not begin.
pub(crate) fn stack_is_low() -> bool {
    let here = 0u8;
    STACK.with(|stack| {
        stack
            .get()
            .is_some_and(|stack| (ptr::from_ref(&here) as usize) < stack.low + HOST_STACK_BYTES)
    })
}

/// Bytes of stack that this thread has left; `None` if that cannot be found out.
pub(crate) fn stack_left() -> Option<usize> {
    let here = 0u8;
    let low = prepare_thread().ok()?;
    Some((ptr::from_ref(&here) as usize).saturating_sub(low))
}

/// Runs host code that guest code called through a stub whose frame pointer is `guest_frame`.
///
/// Returns normally if `f` succeeds. If it fails or panics, all guest frames up to the innermost activation are left at
/// once, and that activation's caller gets the failure.
///
/// # Safety
/// `guest_frame` must be what the stub passed, and the caller must hold nothing that needs dropping: its frame may be
/// forgotten.
pub unsafe fn host_call(guest_frame: usize, f: impl FnOnce() -> Result<(), HostFailure>) {
    if let Some(outcome) = run_host_code(guest_frame, f) {
        // SAFETY: as the caller promises; `outcome` is moved into the activation.
        unsafe { leave(guest_frame, outcome) }
    }
}

fn run_host_code(
    guest_frame: usize,
    f: impl FnOnce() -> Result<(), HostFailure>,
) -> Option<Outcome> {
    if stack_is_low() {
        return Some(Outcome::Trap {
            kind: TrapKind::StackOverflow,
            message: None,
        });
    }
    let activation = CURRENT.get();
    let exit_frame = |frame| {
        // SAFETY: the innermost activation lives while guest code runs above it.
        if let Some(activation) = unsafe { activation.as_mut() } {
            activation.exit_frame = frame;
        }
    };
    exit_frame(guest_frame);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    exit_frame(0);
    match result {
        Ok(Ok(())) => None,
        Ok(Err(HostFailure::Error(error))) => Some(Outcome::Error(error)),
        Ok(Err(HostFailure::Trap(kind))) => Some(Outcome::Trap {
            kind,
            message: None,
        }),
        Ok(Err(HostFailure::Unwind(unwind))) => Some(Outcome::Unwind(unwind)),
        Err(payload) => Some(Outcome::Panic(payload)),
    }
}

/// Leaves all guest frames up to the innermost activation, with `outcome`. `guest_frame` is the frame pointer of the
/// frame that guest code called.
///
/// # Safety
/// No frame between here and the activation may hold anything that needs dropping.
pub(crate) unsafe fn leave(guest_frame: usize, outcome: Outcome) -> ! {
    // SAFETY: as above; the activation lives while guest code runs above it.
    let Some(activation) = (unsafe { CURRENT.get().as_mut() }) else {
        // Guest code was called by a raw address, outside of any activation: there is nowhere to go back to.
        eprintln!("upshift: guest code failed outside of a call that Upshift made");
        std::process::abort();
    };
    activation.counters.clear();
    // SAFETY: `guest_frame` is a frame that guest code of this activation called.
    unsafe { walk_activations(activation, guest_frame) };
    activation.outcome = Some(outcome);
    // SAFETY: as the caller promises.
    unsafe { arch::unwind_to(activation.saved_stack) }
}

/// Collects the frames from `frame` on, through all activations of the thread.
///
/// # Safety
/// `frame` must be the frame pointer of a frame that guest code of `activation` called, or a guest frame's.
unsafe fn walk_activations(activation: &mut Activation<'_>, frame: usize) {
    let memory = activation.memory;
    // SAFETY: as the caller promises.
    unsafe { activation.counters.walk(memory, frame) };
    let mut below = activation.previous;
    // SAFETY: activations below the innermost live as long as it.
    while let Some(previous) = unsafe { below.as_ref() } {
        if previous.exit_frame != 0 && ptr::eq(previous.memory, memory) {
            // SAFETY: `exit_frame` is the frame of the stub through which that activation's guest is out.
            unsafe { activation.counters.walk(memory, previous.exit_frame) };
        }
        below = previous.previous;
    }
}

/// A fault, as the signal handler sees it.
pub(crate) struct Fault {
    pub(crate) signal: i32,
    pub(crate) address: usize,
    pub(crate) registers: arch::Registers,
}

/// If `fault` is guest code's: records the trap and returns the stack pointer to unwind to. Called by the signal
/// handler; allocates nothing.
pub(crate) fn claim_fault(
    fault: &Fault,
    classify: impl FnOnce(&CodeMemory, &Fault) -> Option<TrapKind>,
) -> Option<usize> {
    // SAFETY: the interrupted thread is this one, and its activations live while guest code runs above them.
    let activation = unsafe { CURRENT.get().as_mut() }?;
    let registers = fault.registers;
    let probe = arch::is_probe(registers.pc);
    let (pc, kind) = if probe {
        let probed = registers.sp.saturating_sub(2 * arch::PROBED_BYTES)..registers.sp;
        if fault.signal != libc::SIGSEGV || !probed.contains(&fault.address) {
            return None;
        }
        // SAFETY: guest code has just called the probe: its stack is there up to the return address.
        let returns_to = unsafe { *(registers.sp as *const usize) };
        (returns_to - 1, TrapKind::StackOverflow)
    } else if activation.memory.contains(registers.pc) {
        (registers.pc, classify(activation.memory, fault)?)
    } else {
        return None;
    };
    activation.counters.clear();
    activation.counters.push(pc);
    // SAFETY: guest code keeps frame pointers, and faults only after its prologue has set up its own. The stack check
    // and explicit traps come after it as well.
    unsafe { walk_activations(activation, fault.registers.fp) };
    activation.outcome = Some(Outcome::Trap {
        kind,
        message: None,
    });
    Some(activation.saved_stack)
}
