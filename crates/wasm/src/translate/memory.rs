//! Where in native memory an access to a linear memory goes, and the memories' sizes.
//!
//! A memory reserves the 4 GiB of address space that an index reaches and a guard behind them, so an access needs no
//! check: outside the memory it faults. Only an access whose constant offset could take it across the whole guard
//! computes its index first, in 64 bits, and compares. On the machines we compile for, a store that is partly in bounds
//! faults before it writes anything.
//!
//! A function may be asked for with every access checked beside, for a compiler that would move or drop what faults.

use super::env::{Env, Region, checked_linear_memory, linear_memory, trap_code, trusted};
use crate::lower::Location;
use crate::types::PAGE_SHIFT;
use crate::vmctx::{Builtin, MEMORY_GUARD_BYTES, offset};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, TrapCode, Value};
use cranelift_frontend::FunctionBuilder;
use upshift::embed::TrapKind;

/// Where an access of `bytes` bytes at `index + offset` in a memory goes. Traps if the sum is beyond 4 GiB and that would
/// not make the access fault.
pub fn location(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    memory: u32,
    index: Value,
    offset: u64,
    bytes: u32,
) -> Location {
    if env.checks_accesses() {
        return checked_location(b, env, memory, (index, offset, bytes));
    }
    let base = memory_base(b, env, memory);
    let flags = linear_memory(b);
    let index = b.ins().uextend(I64, index);
    match i32::try_from(offset) {
        Ok(constant) if offset + u64::from(bytes) <= MEMORY_GUARD_BYTES => Location {
            base: b.ins().iadd(base, index),
            offset: constant,
            flags,
        },
        _ => {
            // Neither is larger than 32 bits, so the sum is exact.
            let constant = b.ins().iconst(I64, offset.cast_signed());
            let index = b.ins().iadd(index, constant);
            let beyond = b
                .ins()
                .icmp_imm_u(IntCC::UnsignedGreaterThan, index, i64::from(u32::MAX));
            b.ins().trapnz(beyond, TrapCode::HEAP_OUT_OF_BOUNDS);
            Location {
                base: b.ins().iadd(base, index),
                offset: 0,
                flags,
            }
        }
    }
}

/// Where an access goes that is known to be in bounds: traps if it is not.
fn checked_location(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    memory: u32,
    (index, offset, bytes): (Value, u64, u32),
) -> Location {
    let base = memory_base(b, env, memory);
    let size = memory_bytes(b, env, memory);
    // It is no smaller than it began, which makes many a check one of constants.
    let least = i64::from(env.info().memories[memory as usize].min) << PAGE_SHIFT;
    let least = b.ins().iconst(I64, least);
    let size = b.ins().umax(size, least);
    let index = b.ins().uextend(I64, index);
    // Neither is larger than 33 bits, so the sum is exact.
    let reach = offset.cast_signed() + i64::from(bytes);
    let reach = b.ins().iconst(I64, reach);
    let end = b.ins().iadd(index, reach);
    let beyond = b.ins().icmp(IntCC::UnsignedGreaterThan, end, size);
    b.ins().trapnz(beyond, TrapCode::HEAP_OUT_OF_BOUNDS);
    let mut base = b.ins().iadd(base, index);
    let constant = i32::try_from(offset).unwrap_or_else(|_| {
        let offset = b.ins().iconst(I64, offset.cast_signed());
        base = b.ins().iadd(base, offset);
        0
    });
    let reaches_past_guard = offset + u64::from(bytes) > MEMORY_GUARD_BYTES;
    Location {
        base,
        offset: constant,
        flags: match reaches_past_guard {
            true => checked_linear_memory(b),
            // Without its check it would fault.
            false => linear_memory(b),
        },
    }
}

/// The address of the first byte of memory `index`.
pub fn memory_base(b: &mut FunctionBuilder<'_>, env: &mut Env<'_>, index: u32) -> Value {
    if let Some(base) = env.known_memory_base(b, index) {
        return base;
    }
    let entry = env.info().layout.memory(index);
    let base = env.load_fixed(b, I64, env.vmctx(), entry + offset::MEMORY_ENTRY_BASE);
    env.learn_memory_base(b, index, base);
    base
}

/// `memory.size`: the size of memory `index` in pages, an `i32`.
pub fn memory_size(b: &mut FunctionBuilder<'_>, env: &Env<'_>, index: u32) -> Value {
    let bytes = memory_bytes(b, env, index);
    let pages = b.ins().ushr_imm_u(bytes, i64::from(PAGE_SHIFT));
    b.ins().ireduce(I32, pages)
}

/// The size of memory `index` in bytes.
fn memory_bytes(b: &mut FunctionBuilder<'_>, env: &Env<'_>, index: u32) -> Value {
    if let Some(pages) = env.info().fixed_memory_pages(index) {
        return b.ins().iconst(I64, i64::from(pages) << PAGE_SHIFT);
    }
    let entry = env.info().layout.memory(index);
    let memory = env.load_fixed(b, I64, env.vmctx(), entry + offset::MEMORY_ENTRY_MEMORY);
    let flags = trusted(b, Region::MemorySizes);
    b.ins().load(I64, flags, memory, offset::MEMORY_BYTES)
}

/// `memory.grow`: grows memory `index` by `delta` pages; the size before in pages, or -1.
pub fn memory_grow(
    b: &mut FunctionBuilder<'_>,
    env: &mut Env<'_>,
    index: u32,
    delta: Value,
) -> Value {
    let delta = b.ins().uextend(I64, delta);
    let index = b.ins().iconst(I32, i64::from(index));
    let call = env.call_builtin(b, Builtin::memory_grow, &[index, delta]);
    let before = b.inst_results(call)[0];
    b.ins().ireduce(I32, before)
}

/// Traps if the interrupt flag of the store is set.
pub fn check_interrupt(b: &mut FunctionBuilder<'_>, env: &Env<'_>) {
    let limits = env.load_fixed(b, I64, env.vmctx(), offset::VMCONTEXT_LIMITS);
    let flag = b
        .ins()
        .iadd_imm_s(limits, i64::from(offset::LIMITS_INTERRUPT));
    // Atomic, so that it is loaded each time, whatever is known of the loop around it.
    let interrupt = b.ins().atomic_load(I64, MemFlagsData::trusted(), flag);
    b.ins().trapnz(interrupt, trap_code(TrapKind::Interrupted));
}
