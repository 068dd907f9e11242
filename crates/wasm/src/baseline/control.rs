//! Blocks and branches.

use super::opcode::Op;
use super::reader::{BlockType, Reader};
use super::state::{Driver, Frame, Kind, types};
use crate::types::ValType;
use upshift::embed::stencil::{Condition, Destination, Label, Loop};
use upshift::embed::{CompileError, TrapKind};

/// Operators at the start of a loop that are looked at for the locals that it uses.
const LOOP_LOOK_AHEAD: usize = 24;
/// Locals that are kept in registers from one iteration to the next.
const LOOP_LOCALS_MAX: usize = 6;

/// The next operator, where the code cannot be reached: only the nesting is looked at.
fn unreachable_operator(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    let at = d.reader.position();
    let op = Op::of(d.reader.byte());
    if op == Op::Loop {
        d.next_loop();
    }
    if matches!(op, Op::CallIndirect | Op::ReturnCallIndirect) {
        d.asm.skip_call_site();
    }
    match op {
        Op::Else if d.skipped == 0 => else_(d),
        Op::End if d.skipped == 0 => end(d),
        Op::End => d.skipped -= 1,
        Op::Block | Op::Loop | Op::If => {
            d.reader.block_type()?;
            d.skipped += 1;
        }
        // Only what surrounds it says whether there may be one.
        Op::Else => {}
        _ => drop(d.read_operator(at)?),
    }
    Ok(())
}

/// Forgets the operands of the innermost block, behind an instruction that never goes on, and goes to where the code can be
/// reached again.
pub(super) fn skip_unreachable(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    d.reachable = false;
    if let Some(frame) = d.control.last() {
        d.asm.truncate(&frame.end);
    }
    if !d.reader.is_at_stop() {
        skip_on(d)?;
    }
    Ok(())
}

/// Goes on behind a stop in code that cannot be reached.
pub(super) fn skip_on(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    unreachable_operator(d)?;
    while !d.reachable && !d.reader.is_at_stop() {
        unreachable_operator(d)?;
    }
    Ok(())
}

/// `block`.
pub(super) fn block(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    let (params, results) = block_type(d)?;
    let end = d.asm.destination(params.len(), results.len());
    d.control.push(Frame {
        kind: Kind::Block,
        params,
        results,
        end,
    });
    Ok(())
}

/// `loop`.
pub(super) fn loop_(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    let (params, results) = block_type(d)?;
    let end = d.asm.destination(params.len(), results.len());
    let wanted = Wanted::of(d);
    let index = d.next_loop();
    let parent = d.control.iter().rev().find_map(|frame| match frame.kind {
        Kind::Loop(_, index) => Some(index),
        _ => None,
    });
    let which = Loop { index, parent };
    let header = d.asm.loop_header(which, params.len(), wanted.locals());
    d.control.push(Frame {
        kind: Kind::Loop(header, index),
        params,
        results,
        end,
    });
    d.log_frame();
    if d.info.options.interruptible {
        d.check_interrupt();
    }
    Ok(())
}

/// Locals that the loop that starts here reads before it writes them.
#[derive(Default)]
struct Wanted {
    locals: [u32; LOOP_LOCALS_MAX],
    count: usize,
    /// One bit for each of the first locals that was written.
    written: u64,
}

impl Wanted {
    fn of(d: &Driver<'_, '_>) -> Wanted {
        let mut wanted = Wanted::default();
        let mut reader = d.reader;
        for _ in 0..LOOP_LOOK_AHEAD {
            let op = Op::of(reader.byte());
            match op {
                Op::LocalGet => wanted.read(reader.u32()),
                Op::LocalSet | Op::LocalTee => wanted.written |= written_bit(reader.u32()),
                Op::Loop | Op::End => break,
                _ => {
                    if !skip_immediates(&mut reader, op) {
                        break;
                    }
                }
            }
        }
        wanted
    }

    fn read(&mut self, local: u32) {
        let known = self.locals().contains(&local) || self.written & written_bit(local) != 0;
        if !known && self.count < LOOP_LOCALS_MAX {
            self.locals[self.count] = local;
            self.count += 1;
        }
    }

    fn locals(&self) -> &[u32] {
        &self.locals[..self.count]
    }
}

/// Goes behind an operator that is no loop or end and does not name a local. Returns false if it takes more to do so.
fn skip_immediates(reader: &mut Reader<'_>, op: Op) -> bool {
    match op {
        Op::Br | Op::BrIf | Op::Call | Op::ReturnCall | Op::GlobalGet | Op::GlobalSet => {
            reader.u32();
        }
        Op::CallIndirect | Op::ReturnCallIndirect => {
            reader.u32();
            reader.u32();
        }
        Op::Load(..) | Op::Store(..) => {
            reader.access();
        }
        Op::I32Const | Op::I64Const => {
            reader.i64();
        }
        Op::F32Const => drop(reader.bits32()),
        Op::F64Const => drop(reader.bits64()),
        Op::Block | Op::If => return reader.block_type().is_ok(),
        Op::Other | Op::BrTable | Op::TypedSelect => return false,
        _ => {}
    }
    true
}

/// Locals beyond the first count as never written.
fn written_bit(local: u32) -> u64 {
    1u64.checked_shl(local).unwrap_or(0)
}

/// `unreachable`.
pub(super) fn unreachable(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    d.asm.trap(TrapKind::Unreachable);
    skip_unreachable(d)
}

/// `if`, on the number on top.
pub(super) fn if_true(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    let condition = d.asm.int_test(false, true);
    if_(d, condition)
}

/// `if`, on a condition that was just tested with the frame canonical.
pub(super) fn if_(d: &mut Driver<'_, '_>, condition: Condition) -> Result<(), CompileError> {
    let (params, results) = block_type(d)?;
    let end = d.asm.destination(params.len(), results.len());
    let mut other = d.asm.destination(params.len(), params.len());
    d.asm.jump_if(condition.inverted(), &mut other);
    d.control.push(Frame {
        kind: Kind::If(other),
        params,
        results,
        end,
    });
    Ok(())
}

/// `else`.
pub(super) fn else_(d: &mut Driver<'_, '_>) {
    let reachable = d.reachable;
    let Some(frame) = d.control.last_mut() else {
        return;
    };
    if reachable {
        d.asm.jump(&mut frame.end);
    }
    if let Kind::If(other) = std::mem::replace(&mut frame.kind, Kind::Else) {
        d.asm.arrive(other, types(frame.params), false);
    }
    d.reachable = true;
}

/// `end`, of a block or of the function.
pub(super) fn end(d: &mut Driver<'_, '_>) {
    let Some(frame) = d.control.pop() else {
        return;
    };
    if let Kind::If(other) = frame.kind {
        // There is no `else`: the parameters are the results.
        d.asm.arrive(other, types(frame.results), d.reachable);
        d.reachable = true;
    }
    if d.reachable || frame.end.is_used() {
        d.asm.arrive(frame.end, types(frame.results), d.reachable);
        d.reachable = true;
        return;
    }
    d.asm.truncate(&frame.end);
    if let Some(outer) = d.control.last() {
        d.asm.truncate(&outer.end);
    }
}

fn target<'a>(control: &'a mut [Frame<'_>], depth: u32) -> Option<&'a mut Destination> {
    let index = control.len() - 1 - depth as usize;
    if index == 0 {
        return None;
    }
    let frame = &mut control[index];
    Some(match &mut frame.kind {
        Kind::Loop(header, _) => header,
        _ => &mut frame.end,
    })
}

/// `br`.
pub(super) fn br(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    let depth = d.reader.u32();
    match target(&mut d.control, depth) {
        Some(target) => d.asm.jump(target),
        None => d.asm.return_(),
    }
    skip_unreachable(d)
}

/// `return`.
pub(super) fn return_(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    d.asm.return_();
    skip_unreachable(d)
}

/// `br_if`, on the number on top.
pub(super) fn br_if_true(d: &mut Driver<'_, '_>) {
    let condition = d.asm.int_test(false, true);
    br_if(d, condition);
}

/// `br_if`, on a condition that was just tested with the frame canonical.
pub(super) fn br_if(d: &mut Driver<'_, '_>, condition: Condition) {
    let depth = d.reader.u32();
    match target(&mut d.control, depth) {
        Some(target) => d.asm.jump_if(condition, target),
        None => d.asm.return_if(condition),
    }
}

/// `br_table`.
pub(super) fn br_table(d: &mut Driver<'_, '_>) -> Result<(), CompileError> {
    let registers = d.asm.begin_jump_table();
    // By depth.
    let mut labels: Vec<Option<Label>> = vec![None; d.control.len()];
    let mut relays: Vec<(Label, u32)> = Vec::new();
    let mut choices = Vec::new();
    // The last one is the default.
    for _ in 0..=d.reader.u32() {
        let depth = d.reader.u32();
        let label = labels[depth as usize].unwrap_or_else(|| {
            let to = target(&mut d.control, depth);
            let direct = to.and_then(|target| d.asm.direct_label(target));
            direct.unwrap_or_else(|| {
                let label = d.asm.new_label();
                relays.push((label, depth));
                label
            })
        });
        labels[depth as usize] = Some(label);
        choices.push(label);
    }
    d.asm.jump_table(registers, &choices);
    for (label, depth) in relays {
        d.asm.bind(label);
        match target(&mut d.control, depth) {
            Some(target) => d.asm.jump(target),
            None => d.asm.return_(),
        }
    }
    skip_unreachable(d)
}

/// The types of the parameters and results of a block.
fn block_type<'m>(d: &mut Driver<'m, '_>) -> Result<(&'m [ValType], &'m [ValType]), CompileError> {
    Ok(match d.reader.block_type()? {
        BlockType::Empty => (&[], &[]),
        BlockType::Value(ty) => (&[], ty.as_slice()),
        BlockType::Function(index) => {
            let ty = &d.info.types[index as usize];
            (ty.params(), ty.results())
        }
    })
}
