//! Calls, returns and parameters.

use super::memory::named;
use super::state::{Driver, bailout, is_narrow, kept_as};
use super::values::{Local, Place};
use crate::abi::{Assignment, Place as Argument, results_fit};
use crate::arch::x64::{CALLEE_SAVED, CLOBBERED_BY_CALLS, CONTEXT, MEMORY_BASE, Mem, RAX, STACK};
use crate::assembler::{Assembler, Loc, Val};
use crate::moves::Move;
use crate::value::Ty;
use cranelift_codegen::ir::{
    AbiParam, ArgumentExtension, ArgumentPurpose, FuncRef, Inst, SigRef, Signature, Value, types,
};
use cranelift_codegen::isa::CallConv;
use upshift_codegen::{CompileError, RelocKind, Target};

/// What is called.
#[derive(Clone, Copy)]
enum Callee {
    Target(Target),
    /// The address is on top of the arguments.
    Address,
}

fn check_params(params: &[AbiParam]) -> Result<(), CompileError> {
    for param in params {
        kept_as(param.value_type)?;
        let purpose = param.purpose;
        if !matches!(
            purpose,
            ArgumentPurpose::Normal | ArgumentPurpose::VMContext
        ) {
            return Err(bailout(format!("a parameter or result for {purpose}")));
        }
    }
    Ok(())
}

fn kept(params: &[AbiParam]) -> impl Iterator<Item = Ty> + '_ {
    params
        .iter()
        .map(|param| kept_as(param.value_type).unwrap_or(Ty::I64))
}

/// Checks that values get in and out as this compiler knows it.
fn check(signature: &Signature) -> Result<(), CompileError> {
    check_params(&signature.params)?;
    check_params(&signature.returns)?;
    let fits = match signature.call_conv {
        CallConv::Tail => results_fit(kept(&signature.returns)),
        CallConv::SystemV => {
            let mut assignment = results_of(signature.call_conv);
            kept(&signature.returns).all(|ty| matches!(assignment.next(ty), Argument::Reg(_)))
        }
        other => return Err(bailout(format!("the calling convention {other}"))),
    };
    match fits {
        true => Ok(()),
        false => Err(bailout("more results than registers")),
    }
}

/// The types of the function's own results.
///
/// # Errors
/// If it is not one that this compiler makes.
pub(super) fn own_results(
    signature: &Signature,
) -> Result<impl Iterator<Item = Ty> + '_, CompileError> {
    check(signature)?;
    if signature.call_conv != CallConv::Tail {
        let convention = signature.call_conv;
        return Err(bailout(format!(
            "a function of the convention {convention}"
        )));
    }
    Ok(kept(&signature.returns))
}

/// Makes the parameters locals.
pub(super) fn take_params(d: &mut Driver<'_>, params: &[Value]) -> Result<(), CompileError> {
    let mut assignment = Assignment::operands();
    for &param in params {
        let ty = kept_as(d.ty(param))?;
        let place = assignment.next(ty);
        let index = param.as_u32() as usize;
        if d.values.uses[index] == 0 {
            continue;
        }
        let number = d.asm.locals as u32;
        d.values.declared();
        match place {
            Argument::Reg(reg) => {
                d.asm.declare(ty, Loc::Home, false);
                d.asm.attach_local(number, reg, false);
                if ty == Ty::I32 {
                    d.asm.code.clear_upper_half(reg);
                }
            }
            Argument::Stack(offset) => {
                d.asm.declare(ty, Loc::Home, true);
                d.asm.vals[number as usize].home = 16 + offset;
            }
        }
        d.values.places[index] = Place::Local(Local {
            number,
            defined: 0,
            clean: false,
        });
    }
    d.asm.incoming_bytes = assignment.stack_bytes();
    Ok(())
}

/// `return`.
pub(super) fn return_(d: &mut Driver<'_>, inst: Inst) -> Result<(), CompileError> {
    let args = d.args(inst);
    let returns = &d.body.signature.returns;
    for (&arg, param) in args.iter().zip(returns) {
        push_extended(d, arg, param)?;
        // Operands may be moved home to make room for the next ones.
        d.asm.pinned = 0;
    }
    if d.at as usize + 1 == d.order.len() {
        d.falls_out = true;
        return Ok(());
    }
    d.asm.return_();
    for _ in args {
        d.asm.pop();
    }
    d.consume_all(args);
    Ok(())
}

/// Pushes an argument or result, extended as it is declared.
fn push_extended(d: &mut Driver<'_>, value: Value, param: &AbiParam) -> Result<(), CompileError> {
    let ty = d.ty(value);
    match param.extension {
        ArgumentExtension::Uext if ty != types::I64 => {
            d.push_unsigned(value)?;
            d.asm.zero_extend();
        }
        ArgumentExtension::Sext if ty != types::I64 => {
            if is_narrow(ty) {
                d.push_signed(value)?;
            } else {
                d.push(value)?;
            }
            d.asm.sign_extend(32, true);
        }
        _ => d.push(value)?,
    }
    Ok(())
}

/// `call` and `return_call`.
pub(super) fn call(
    d: &mut Driver<'_>,
    inst: Inst,
    callee: FuncRef,
    tail: bool,
) -> Result<(), CompileError> {
    let data = &d.body.dfg.ext_funcs[callee];
    let callee = Callee::Target(named(d, &data.name)?);
    make(d, inst, (callee, data.signature), d.args(inst), tail)
}

/// `call_indirect` and `return_call_indirect`.
pub(super) fn call_indirect(
    d: &mut Driver<'_>,
    inst: Inst,
    signature: SigRef,
    tail: bool,
) -> Result<(), CompileError> {
    let Some((_, args)) = d.args(inst).split_first() else {
        return Err(bailout("a call of nothing"));
    };
    make(d, inst, (Callee::Address, signature), args, tail)
}

fn make(
    d: &mut Driver<'_>,
    inst: Inst,
    (callee, signature): (Callee, SigRef),
    args: &[Value],
    tail: bool,
) -> Result<(), CompileError> {
    let signature = &d.body.dfg.signatures[signature];
    check(signature)?;
    for (&arg, param) in args.iter().zip(&signature.params) {
        push_extended(d, arg, param)?;
        // There may be more arguments than registers: those so far may be moved home to make room for the next ones.
        d.asm.pinned = 0;
    }
    if let Callee::Address = callee {
        d.push(d.args(inst)[0])?;
    }
    d.consume_all(d.args(inst));
    let convention = signature.call_conv;
    if tail {
        return d.asm.tail_call_clif(callee, args.len());
    }
    d.asm.call_clif(callee, args.len(), convention);
    let results = d.body.dfg.inst_results(inst);
    let mut assignment = results_of(convention);
    for &result in results {
        let ty = kept_as(d.ty(result))?;
        if let Argument::Reg(reg) = assignment.next(ty) {
            d.asm.push_result(ty, reg);
        }
    }
    let vals: Vec<Val> = results.iter().map(|_| d.asm.pop()).collect();
    for (&result, val) in results.iter().zip(vals.into_iter().rev()) {
        d.define_as(result, val, false);
    }
    Ok(())
}

fn results_of(convention: CallConv) -> Assignment {
    match convention {
        CallConv::Tail => Assignment::results(),
        _ => Assignment::system_v_results(),
    }
}

impl Assembler {
    /// Pops the arguments, and the callee's address if it is on top of them, and puts them where the callee looks for
    /// them; everything else is saved. Returns the bytes of those on the stack.
    fn pass_arguments(&mut self, callee: Callee, count: usize) -> i32 {
        let address = matches!(callee, Callee::Address).then(|| self.pop());
        let first = self.vals.len() - count;
        let mut assignment = Assignment::operands();
        for index in first..self.vals.len() {
            let val = self.vals[index];
            match assignment.next(val.ty) {
                Argument::Reg(to) => {
                    let from = self.source(val);
                    self.moves.push(Move::new(to, from));
                }
                Argument::Stack(offset) => self.store_to(val, Mem::new(STACK, offset)),
            }
        }
        if let Some(address) = address {
            let from = self.source(address);
            self.moves.push(Move::new(RAX, from));
        }
        for _ in 0..count {
            self.pop();
        }
        self.flush();
        self.evict_all(CLOBBERED_BY_CALLS);
        self.make_moves();
        let position = self.position;
        self.code.position(position);
        assignment.stack_bytes()
    }

    /// Calls.
    fn call_clif(&mut self, callee: Callee, count: usize, convention: CallConv) {
        let stack_bytes = self.pass_arguments(callee, count);
        self.outgoing_bytes = self.outgoing_bytes.max(stack_bytes);
        match callee {
            Callee::Target(target) => {
                self.code.call_cell();
                self.code.relocate(RelocKind::GotPcRel4, target, 0);
            }
            Callee::Address => self.code.call_register(RAX),
        }
        if stack_bytes > 0 && convention == CallConv::Tail {
            // The callee has popped them.
            self.code.adjust_stack(-stack_bytes);
        }
        self.pinned = 0;
    }

    /// Calls in the place of this function.
    fn tail_call_clif(&mut self, callee: Callee, count: usize) -> Result<(), CompileError> {
        if self.pass_arguments(callee, count) > 0 {
            return Err(bailout("a tail call with arguments on the stack"));
        }
        // What follows may use registers that nothing has used yet, which the prologue then saves: they are all put back,
        // but for the two that no CLIF function uses.
        for reg in CALLEE_SAVED {
            self.used |= reg.bit() & !(CONTEXT.bit() | MEMORY_BASE.bit());
        }
        self.leave_for_good();
        match callee {
            Callee::Target(target) => {
                self.code.jump_cell();
                self.code.relocate(RelocKind::GotPcRel4, target, 0);
            }
            Callee::Address => self.code.jump_register(RAX),
        }
        Ok(())
    }
}
