//! x86-64, System V: the assembly around guest code.
//!
//! `enter` saves the callee-saved registers and the stack pointer, and calls a trampoline. Guest code is left either
//! by returning, or by `unwind_to`, which restores what `enter` saved and makes it return a second time: no frame in
//! between is looked at, so none of them may own anything that needs dropping.
#![cfg(target_arch = "x86_64")]

use crate::guards::GuardMessage;
use core::ffi::c_void;
use core::mem::offset_of;
use core::sync::atomic::AtomicPtr;
use upshift_codegen::call_site::{CALL_SITE_TARGETS, CallSite};

/// Calls `trampoline(slot, values)`, having saved the stack pointer to `*saved_stack`. Returns 0 if the trampoline
/// returned, 1 if it was left by [`unwind_to`].
///
/// # Safety
/// `trampoline` must be a function of the System V ABI with two pointer parameters that may be called with these.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn enter(
    trampoline: *const u8,
    slot: *const c_void,
    values: *mut c_void,
    saved_stack: *mut usize,
) -> usize {
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rcx], rsp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "call rax",
        "xor eax, eax",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Makes the call of [`enter`] that saved `saved_stack` return 1.
///
/// # Safety
/// That call must be active on this thread, and every frame above it must be of a kind that may be forgotten.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn unwind_to(saved_stack: usize) -> ! {
    core::arch::naked_asm!(
        "mov rsp, rdi",
        "mov eax, 1",
        "cld",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// What [`lazy_compile_entry`] calls: an `extern "C" fn(context, stub, frame) -> code`. Set once, before there are stubs.
pub(crate) static COMPILE_ON_FIRST_CALL: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Where a function's lazy stub arrives: the stack holds the runtime's context, the stub's return address, and the
/// guest caller's return address. Saves all registers that can hold arguments, asks for the code, and jumps to it.
///
/// # Safety
/// Never called from Rust: only stubs jump here.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn lazy_compile_entry() {
    core::arch::naked_asm!(
        "pop r10",
        "pop r11",
        "push rbp",
        "mov rbp, rsp",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push r8",
        "push r9",
        "push rax",
        "sub rsp, 136",
        "movups [rsp], xmm0",
        "movups [rsp + 16], xmm1",
        "movups [rsp + 32], xmm2",
        "movups [rsp + 48], xmm3",
        "movups [rsp + 64], xmm4",
        "movups [rsp + 80], xmm5",
        "movups [rsp + 96], xmm6",
        "movups [rsp + 112], xmm7",
        "mov rdi, r10",
        "mov rsi, r11",
        "mov rdx, rbp",
        "call qword ptr [rip + {compile}]",
        "mov r11, rax",
        "movups xmm0, [rsp]",
        "movups xmm1, [rsp + 16]",
        "movups xmm2, [rsp + 32]",
        "movups xmm3, [rsp + 48]",
        "movups xmm4, [rsp + 64]",
        "movups xmm5, [rsp + 80]",
        "movups xmm6, [rsp + 96]",
        "movups xmm7, [rsp + 112]",
        "add rsp, 136",
        "pop rax",
        "pop r9",
        "pop r8",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "pop rbp",
        "jmp r11",
        compile = sym COMPILE_ON_FIRST_CALL,
    )
}

/// What [`counter_entry`] goes on to: an `extern "C" fn(cell)`. Set once, before there is code that counts.
pub(crate) static COUNTER_TRIPPED: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Bytes of stack that [`counter_entry`] makes sure of, for the policy, the queue and subscribers to events.
pub(crate) const PROBED_BYTES: usize = 64 * 1024;
/// Bytes of [`counter_entry`]'s own code, at least.
const COUNTER_ENTRY_BYTES: usize = 32;

/// Where guest code arrives when a counter trips. Guest code without a stack limit of its own may be at the very end of
/// its stack, so every page that host code is going to use is touched first: if there is none, the fault happens here,
/// where it can still be the guest's ([`is_probe`]).
///
/// # Safety
/// Never called from Rust: only planted code calls it.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn counter_entry() {
    core::arch::naked_asm!(
        "mov rcx, rsp",
        "lea rax, [rsp - {bytes}]",
        "2:",
        "sub rcx, 4096",
        "cmp byte ptr [rcx], 0",
        "cmp rcx, rax",
        "ja 2b",
        "jmp qword ptr [rip + {tripped}]",
        ".skip 16, 0xcc",
        bytes = const PROBED_BYTES,
        tripped = sym COUNTER_TRIPPED,
    )
}

/// What [`osr_entry`] goes on to: an `extern "C" fn` with six integer parameters. Set once, as [`COUNTER_TRIPPED`].
pub(crate) static OSR_TRIPPED: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// The same as [`counter_entry`] for a counter at an OSR point, which passes five arguments; the sixth is the frame
/// pointer.
///
/// # Safety
/// Never called from Rust: only planted code calls it.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn osr_entry() {
    core::arch::naked_asm!(
        "mov r10, rsp",
        "lea r11, [rsp - {bytes}]",
        "2:",
        "sub r10, 4096",
        "cmp byte ptr [r10], 0",
        "cmp r10, r11",
        "ja 2b",
        "mov r9, rbp",
        "jmp qword ptr [rip + {tripped}]",
        ".skip 16, 0xcc",
        bytes = const PROBED_BYTES,
        tripped = sym OSR_TRIPPED,
    )
}

/// What [`guard_failed_entry`] goes on to: an `extern "C" fn` with three integer parameters. Set once, as
/// [`COUNTER_TRIPPED`].
pub(crate) static GUARD_FAILED: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// An instruction of this form for each vector register: its number, and where on the stack it is kept.
macro_rules! for_each_vector {
    ($form:ident) => {
        concat!(
            $form!(0, 0),
            $form!(1, 16),
            $form!(2, 32),
            $form!(3, 48),
            $form!(4, 64),
            $form!(5, 80),
            $form!(6, 96),
            $form!(7, 112),
            $form!(8, 128),
            $form!(9, 144),
            $form!(10, 160),
            $form!(11, 176),
            $form!(12, 192),
            $form!(13, 208),
            $form!(14, 224),
            $form!(15, 240)
        )
    };
}

macro_rules! store_vector {
    ($number:literal, $place:literal) => {
        concat!("movups [rsp + ", $place, "], xmm", $number, "\n")
    };
}

macro_rules! load_vector {
    ($number:literal, $place:literal) => {
        concat!("movups xmm", $number, ", [rsp + ", $place, "]\n")
    };
}

/// Where guest code arrives when a guard fails. `xmm0` is the address of a [`GuardMessage`]; the third argument of
/// [`GUARD_FAILED`] is where this returns to. Preserves all registers. Nothing is probed: code with guards has a stack
/// limit, and what is below it suffices.
///
/// # Safety
/// Never called from Rust: only planted code calls it.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn guard_failed_entry() {
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rdx",
        "push rax",
        "push rcx",
        "push r8",
        "push rsi",
        "push rdi",
        "push r9",
        "push r10",
        "push r11",
        "sub rsp, 264",
        for_each_vector!(store_vector),
        "movq rax, xmm0",
        "mov rdi, [rax + {cell}]",
        "mov esi, [rax + {number}]",
        "mov rdx, [rbp + 8]",
        "call qword ptr [rip + {failed}]",
        "mov rdx, [rsp]",
        "mov [rdx + {record}], rax",
        for_each_vector!(load_vector),
        "add rsp, 264",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop rdi",
        "pop rsi",
        "pop r8",
        "pop rcx",
        "pop rax",
        "pop rdx",
        "pop rbp",
        "ret",
        failed = sym GUARD_FAILED,
        cell = const offset_of!(GuardMessage, cell),
        number = const offset_of!(GuardMessage, number),
        record = const offset_of!(GuardMessage, record),
    )
}

/// Where tier-0 code arrives to count a call of a function that is not its call site's first: `r11` is the address of the
/// [`CallSite`], `rax` that of the target's entry slot. Changes `r10` and the flags, and otherwise does the same as
/// [`CallSite::record`].
///
/// # Safety
/// Never called from Rust: only code of baseline compilers calls it.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn record_target_entry() {
    core::arch::naked_asm!(
        "xor r10d, r10d",
        "2:",
        "cmp qword ptr [r11 + r10 * 8 + {slots}], 0",
        "je 3f",
        "cmp qword ptr [r11 + r10 * 8 + {slots}], rax",
        "je 4f",
        "inc r10d",
        "cmp r10d, {targets}",
        "jb 2b",
        "inc dword ptr [r11 + {rest}]",
        "ret",
        "3:",
        "mov qword ptr [r11 + r10 * 8 + {slots}], rax",
        "4:",
        "inc dword ptr [r11 + r10 * 4 + {counts}]",
        "ret",
        slots = const offset_of!(CallSite, slots),
        counts = const offset_of!(CallSite, counts),
        rest = const offset_of!(CallSite, rest),
        targets = const CALL_SITE_TARGETS,
    )
}

/// Whether `pc` is in [`counter_entry`] or [`osr_entry`], which guest code has just called: on the stack is the address
/// to return to.
pub(crate) fn is_probe(pc: usize) -> bool {
    let starts = [
        counter_entry as *const () as usize,
        osr_entry as *const () as usize,
    ];
    starts
        .iter()
        .any(|start| (*start..*start + COUNTER_ENTRY_BYTES).contains(&pc))
}

/// The registers of an interrupted thread that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    pub(crate) pc: usize,
    pub(crate) sp: usize,
    pub(crate) fp: usize,
}

impl Registers {
    /// Reads them from the third argument of a signal handler.
    ///
    /// # Safety
    /// `context` must be that argument.
    pub(crate) unsafe fn read(context: *mut c_void) -> Registers {
        // SAFETY: the kernel passes a `ucontext_t` to handlers installed with `SA_SIGINFO`.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        Registers {
            pc: registers[libc::REG_RIP as usize] as usize,
            sp: registers[libc::REG_RSP as usize] as usize,
            fp: registers[libc::REG_RBP as usize] as usize,
        }
    }
}

/// Arranges that the interrupted thread continues with `unwind_to(saved_stack)`.
///
/// # Safety
/// `context` must be the third argument of a signal handler, and the thread must be one that [`unwind_to`] allows.
pub(crate) unsafe fn resume_at(context: *mut c_void, saved_stack: usize) {
    // SAFETY: as above; the kernel restores the registers from here when the handler returns.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    registers[libc::REG_RIP as usize] = unwind_to as *const () as i64;
    registers[libc::REG_RDI as usize] = saved_stack as i64;
}
