//! Blocks: how they open and close.
//!
//! A block whose end nothing jumps to costs nothing: its code simply goes on. What comes behind an instruction that
//! never goes on is not translated, up to the end of the block, or its `else`.

use super::branch::{condition, jump};
use super::memory::check_interrupt;
use super::osr;
use super::state::{Frame, FrameKind, Translator};
use crate::info::ModuleInfo;
use crate::types::ValType;
use cranelift_codegen::ir::InstBuilder;
use upshift::embed::CompileError;
use wasmparser::{BlockType, Operator};

/// The operators that are looked at where the code cannot be reached.
pub(super) fn unreachable_operator(t: &mut Translator<'_, '_>, operator: &Operator<'_>) {
    t.osr.skip(operator);
    match operator {
        Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => t.skipped += 1,
        Operator::Else if t.skipped == 0 => else_(t),
        Operator::End if t.skipped == 0 => end(t),
        Operator::End => t.skipped -= 1,
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => {
            t.call_sites.next();
        }
        _ => {}
    }
}

/// Opens a block.
fn open(t: &mut Translator<'_, '_>, kind: FrameKind, ty: BlockType) -> Result<(), CompileError> {
    let (params, results) = block_type(t.env.info(), ty)?;
    let height = t.stack.len() - params.len();
    osr::keep_slots(t, height);
    t.control.push(Frame {
        kind,
        params,
        results,
        height,
        end: None,
    });
    Ok(())
}

/// `block`.
pub(super) fn block(t: &mut Translator<'_, '_>, ty: BlockType) -> Result<(), CompileError> {
    open(t, FrameKind::Block, ty)
}

/// `loop`.
pub(super) fn loop_(t: &mut Translator<'_, '_>, ty: BlockType) -> Result<(), CompileError> {
    let (params, _) = block_type(t.env.info(), ty)?;
    let index = osr::begin_loop(t);
    let header = t.b.create_block();
    t.add_params(header, params);
    let args = t.top_args(params.len());
    open(t, FrameKind::Loop(header), ty)?;
    t.b.ins().jump(header, &args);
    osr::enter_loop(t, index, header, params.len())?;

    // Not sealed: the branches back are still to come.
    t.b.switch_to_block(header);
    let height = t.stack.len() - params.len();
    t.begin_stack(header, height);
    osr::mark_loop(t, index);
    if t.osr.version.frame_log.is_some() {
        osr::log_frame(t);
    }
    if t.env.info().options.interruptible {
        check_interrupt(&mut t.b, &t.env);
    }
    Ok(())
}

/// `if`.
pub(super) fn if_(t: &mut Translator<'_, '_>, ty: BlockType) -> Result<(), CompileError> {
    let condition_operand = t.pop();
    let (condition, inverted) = condition(&t.b.func.dfg, condition_operand);
    let (params, _) = block_type(t.env.info(), ty)?;
    let then_block = t.b.create_block();
    let else_block = t.b.create_block();
    t.add_params(else_block, params);
    let args = t.top_args(params.len());
    // Both arms begin with what is below.
    open(t, FrameKind::If(else_block), ty)?;
    match inverted {
        false => {
            t.b.ins()
                .brif(condition, then_block, &[], else_block, &args)
        }
        true => {
            t.b.ins()
                .brif(condition, else_block, &args, then_block, &[])
        }
    };
    t.b.switch_to_block(then_block);
    t.b.seal_block(then_block);
    Ok(())
}

/// `else`.
pub(super) fn else_(t: &mut Translator<'_, '_>) {
    if t.reachable {
        jump(t, 0);
    }
    if let Some(frame) = t.control.last_mut()
        && let FrameKind::If(else_block) = frame.kind
    {
        frame.kind = FrameKind::Else;
        let height = frame.height;
        t.continue_in(else_block, height);
    }
}

/// `end`, of a block or of the function.
pub(super) fn end(t: &mut Translator<'_, '_>) {
    match t.control.last().map(|frame| frame.kind) {
        Some(FrameKind::If(else_block)) => {
            // There is no `else`: what the condition skipped to is the end, with the parameters as results.
            let frame = &mut t.control[..];
            let frame = &mut frame[frame.len() - 1];
            if frame.end.is_none() {
                frame.end = Some(else_block);
            } else {
                else_(t);
            }
        }
        Some(FrameKind::Loop(header)) => t.b.seal_block(header),
        _ => {}
    }
    let Some(frame) = t.control.last() else {
        return;
    };
    let (height, end) = (frame.height, frame.end);
    match end {
        Some(end) => {
            if t.reachable {
                jump(t, 0);
            }
            t.continue_in(end, height);
        }
        None if !t.reachable => t.stack.truncate(height),
        None => {}
    }
    if t.control.len() == 1 && t.reachable {
        super::branch::return_(t);
    }
    t.control.pop();
}

/// The types of the parameters and results of a block.
fn block_type(info: &ModuleInfo, ty: BlockType) -> Result<(&[ValType], &[ValType]), CompileError> {
    Ok(match ty {
        BlockType::Empty => (&[], &[]),
        BlockType::Type(ty) => {
            let ty = ValType::from_wasmparser(ty).ok_or_else(|| super::state::not_supported(ty))?;
            (&[], ty.as_slice())
        }
        BlockType::FuncType(index) => {
            let ty = &info.types[index as usize];
            (ty.params(), ty.results())
        }
    })
}
