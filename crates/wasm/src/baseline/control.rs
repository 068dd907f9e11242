//! Blocks and branches.

use super::state::{Driver, Frame, Kind, bailout, failed, types};
use crate::info::ModuleInfo;
use crate::types::ValType;
use std::collections::HashMap;
use upshift::embed::CompileError;
use upshift::embed::stencil::{Condition, Destination, Label, Loop};
use wasmparser::{BlockType, BrTable, Operator, OperatorsReader};

/// Operators at the start of a loop that are looked at for the locals that it uses.
const LOOP_LOOK_AHEAD: usize = 24;
/// Locals that are kept in registers from one iteration to the next.
const LOOP_LOCALS_MAX: usize = 6;

/// The operators that are looked at where the code cannot be reached.
pub(super) fn unreachable_operator(d: &mut Driver<'_, '_>, operator: &Operator<'_>) {
    if let Operator::Loop { .. } = operator {
        d.loops += 1;
    }
    match operator {
        Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => d.skipped += 1,
        Operator::Else if d.skipped == 0 => else_(d),
        Operator::End if d.skipped == 0 => end(d),
        Operator::End => d.skipped -= 1,
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => {
            d.asm.skip_call_site();
        }
        _ => {}
    }
}

/// Forgets the operands of the innermost block, behind an instruction that never goes on.
pub(super) fn end_of_unreachable(d: &mut Driver<'_, '_>) {
    d.reachable = false;
    if let Some(frame) = d.control.last() {
        d.asm.truncate(&frame.end);
    }
}

/// `block`.
pub(super) fn block<'m>(d: &mut Driver<'m, '_>, ty: BlockType) -> Result<(), CompileError> {
    let (params, results) = block_type(d.info, ty)?;
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
pub(super) fn loop_(d: &mut Driver<'_, '_>, ty: BlockType) -> Result<(), CompileError> {
    let (params, results) = block_type(d.info, ty)?;
    let end = d.asm.destination(params.len(), results.len());
    let wanted = Wanted::of(d);
    let index = d.loops;
    d.loops += 1;
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
        let mut operators = OperatorsReader::new(d.operators.get_binary_reader());
        for _ in 0..LOOP_LOOK_AHEAD {
            let Ok(operator) = operators.read() else {
                break;
            };
            match operator {
                Operator::LocalGet { local_index } => wanted.read(local_index),
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    wanted.written |= written_bit(local_index);
                }
                Operator::Loop { .. } | Operator::End => break,
                _ => {}
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

/// Locals beyond the first count as never written.
fn written_bit(local: u32) -> u64 {
    1u64.checked_shl(local).unwrap_or(0)
}

/// `if`, on a condition that was just tested with the frame canonical.
pub(super) fn if_(
    d: &mut Driver<'_, '_>,
    ty: BlockType,
    condition: Condition,
) -> Result<(), CompileError> {
    let (params, results) = block_type(d.info, ty)?;
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
pub(super) fn br(d: &mut Driver<'_, '_>, depth: u32) {
    match target(&mut d.control, depth) {
        Some(target) => d.asm.jump(target),
        None => d.asm.return_(),
    }
    end_of_unreachable(d);
}

/// `return`.
pub(super) fn return_(d: &mut Driver<'_, '_>) {
    d.asm.return_();
    end_of_unreachable(d);
}

/// `br_if`, on a condition that was just tested with the frame canonical.
pub(super) fn br_if(d: &mut Driver<'_, '_>, depth: u32, condition: Condition) {
    match target(&mut d.control, depth) {
        Some(target) => d.asm.jump_if(condition, target),
        None => d.asm.return_if(condition),
    }
}

/// `br_table`.
pub(super) fn br_table(d: &mut Driver<'_, '_>, table: &BrTable<'_>) -> Result<(), CompileError> {
    let depths = table.targets().collect::<Result<Vec<u32>, _>>();
    let mut depths = depths.map_err(failed)?;
    depths.push(table.default());
    let registers = d.asm.begin_jump_table();
    let mut labels: HashMap<u32, Label> = HashMap::with_capacity(depths.len().min(16));
    let mut relays: Vec<(Label, u32)> = Vec::new();
    let mut choices = Vec::with_capacity(depths.len());
    for &depth in &depths {
        if let Some(&label) = labels.get(&depth) {
            choices.push(label);
            continue;
        }
        let direct = target(&mut d.control, depth).and_then(|target| d.asm.direct_label(target));
        let label = direct.unwrap_or_else(|| {
            let label = d.asm.new_label();
            relays.push((label, depth));
            label
        });
        labels.insert(depth, label);
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
    end_of_unreachable(d);
    Ok(())
}

/// The types of the parameters and results of a block.
fn block_type(info: &ModuleInfo, ty: BlockType) -> Result<(&[ValType], &[ValType]), CompileError> {
    Ok(match ty {
        BlockType::Empty => (&[], &[]),
        BlockType::Type(ty) => {
            let ty = ValType::from_wasmparser(ty).ok_or_else(|| bailout("a type of block"))?;
            (&[], ty.as_slice())
        }
        BlockType::FuncType(index) => {
            let ty = &info.types[index as usize];
            (ty.params(), ty.results())
        }
    })
}
