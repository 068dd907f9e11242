//! Faults of guest code, as signals.
//!
//! A fault is a trap if its program counter lies in our code and, for memory faults, its address in a guest's memory
//! or just below the stack. Every other fault goes to whoever handled it before us.

use crate::activation::{self, Fault};
use crate::arch::{self, Registers};
use crate::guest_memory;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use upshift_base::TrapKind;
use upshift_codemem::{BlockInfo, CodeMemory};

const SIGNALS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// Bytes around the stack pointer, beyond the frame itself, in which a fault means that the stack is used up.
const STACK_FAULT_BYTES: usize = 64 * 1024;

/// The handlers that were there before, in the order of [`SIGNALS`].
static PREVIOUS: OnceLock<[libc::sigaction; 4]> = OnceLock::new();
static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();

/// Installs the handlers, once in a process.
pub(crate) fn install() -> io::Result<()> {
    let installed = INSTALLED
        .get_or_init(|| install_all().map_err(|e| e.raw_os_error().unwrap_or(libc::EINVAL)));
    installed.map_err(io::Error::from_raw_os_error)
}

fn install_all() -> io::Result<()> {
    let mut previous = [MaybeUninit::<libc::sigaction>::zeroed(); 4];
    for (signal, before) in SIGNALS.iter().zip(&mut previous) {
        // SAFETY: a null action only reads.
        if unsafe { libc::sigaction(*signal, ptr::null(), before.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: `sigaction` has filled in all of them.
    let previous = previous.map(|before| unsafe { before.assume_init() });
    // Handlers may run as soon as they are installed, so what they chain to is stored first.
    let _ = PREVIOUS.set(previous);
    for signal in SIGNALS {
        // SAFETY: the action is complete, and the handler is of the kind that SA_SIGINFO calls.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            if libc::sigaction(signal, &action, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

unsafe extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes valid pointers.
    let fault = unsafe {
        Fault {
            signal,
            address: (*info).si_addr() as usize,
            registers: Registers::read(context),
        }
    };
    match activation::claim_fault(&fault, classify) {
        // SAFETY: the activation is the interrupted thread's innermost, and only guest frames lie above it.
        Some(saved_stack) => unsafe { arch::resume_at(context, saved_stack) },
        // SAFETY: the arguments are the kernel's.
        None => unsafe { chain(signal, info, context) },
    }
}

/// What trap a fault in our code is, if it is one.
fn classify(memory: &CodeMemory, fault: &Fault) -> Option<TrapKind> {
    let pc = fault.registers.pc;
    // Jump stubs and thunks belong to no block. They touch nothing but the stack.
    let inspect = |block: &BlockInfo| {
        let recorded = block.offset_of(pc).and_then(|offset| block.trap_at(offset));
        (recorded, block.frame_bytes() as usize)
    };
    let found = memory.with_block(pc, inspect);
    let (recorded, frame_bytes) = found.unwrap_or((None, 0));
    if !matches!(fault.signal, libc::SIGSEGV | libc::SIGBUS) {
        return recorded;
    }
    if guest_memory::contains(fault.address) {
        // Compilers need not say which of their instructions access a guest's memory.
        return recorded.or(found.map(|_| TrapKind::MemoryOutOfBounds));
    }
    let sp = fault.registers.sp;
    let around_stack = sp.saturating_sub(frame_bytes + STACK_FAULT_BYTES)..sp + 4096;
    around_stack
        .contains(&fault.address)
        .then_some(TrapKind::StackOverflow)
}

/// Passes a signal on to the handler before us.
unsafe fn chain(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let index = SIGNALS.iter().position(|known| *known == signal);
    let Some(previous) = index.and_then(|index| PREVIOUS.get().map(|all| &all[index])) else {
        return;
    };
    // A signal that somebody sent, in contrast to a fault, does not come again when this handler returns.
    // SAFETY: `info` is the kernel's.
    let was_sent = unsafe { (*info).si_code } <= 0;
    match previous.sa_sigaction {
        libc::SIG_IGN if was_sent => {}
        libc::SIG_IGN | libc::SIG_DFL => {
            // Back to the action before, which the fault meets when the instruction is tried again. The kernel ends a
            // process that ignores its own faults.
            // SAFETY: `previous` is what `sigaction` gave us; raising a signal touches no memory.
            unsafe {
                libc::sigaction(signal, previous, ptr::null_mut());
                if was_sent {
                    libc::raise(signal);
                }
            }
        }
        address if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the address was installed as a handler of this kind.
            let handler: unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(address) };
            // SAFETY: the arguments are the kernel's.
            unsafe { handler(signal, info, context) };
        }
        address => {
            // SAFETY: as above, for handlers without SA_SIGINFO.
            let handler: unsafe extern "C" fn(i32) = unsafe { std::mem::transmute(address) };
            // SAFETY: as above.
            unsafe { handler(signal) };
        }
    }
}
