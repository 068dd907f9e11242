//! Which part of the translation an instruction belongs to.

use super::emitter::Emitter;
use super::{control, float, integer, memory, names, types, vector, versions};
use cranelift_codegen::ir::{
    ExternalName, GlobalValueData, Inst, InstructionData, Opcode, TrapCode, Value,
};
use upshift_base::TrapKind;
use upshift_codegen::{CompileError, Target, symbol};

fn trap_kind(code: TrapCode) -> TrapKind {
    TrapKind::from_code(code.as_raw().get())
}

/// Translates one instruction.
pub fn instruction(e: &mut Emitter<'_>, inst: Inst) -> Result<(), CompileError> {
    if versions::replaces(e, inst)? {
        return Ok(());
    }
    let func = e.func;
    let results = func.dfg.inst_results(inst);
    let data = &func.dfg.insts[inst];
    match (data, results) {
        (&InstructionData::Unary { opcode, arg }, &[result]) => unary(e, opcode, result, arg),
        (&InstructionData::Binary { opcode, args }, &[result]) => binary(e, opcode, result, args),
        (&InstructionData::IntCompare { args, cond, .. }, &[result]) => {
            integer::compare(e, result, cond, args)
        }
        (&InstructionData::FloatCompare { args, cond, .. }, &[result]) => {
            float::compare(e, result, cond, args)
        }
        (&InstructionData::Ternary { opcode, args }, &[result]) => ternary(e, opcode, result, args),
        (
            &InstructionData::Load {
                opcode,
                arg,
                flags,
                offset,
            },
            &[_],
        ) => memory::load(e, inst, (opcode, arg, offset.into(), flags)),
        (
            &InstructionData::Store {
                opcode,
                args: [value, to],
                flags,
                offset,
            },
            _,
        ) => memory::store(e, (inst, value), (opcode, to, offset.into(), flags)),
        (&InstructionData::LoadNoOffset { opcode, arg, flags }, &[result]) => match opcode {
            Opcode::Bitcast => {
                let operand = e.value(arg)?;
                let (from, to) = (e.ty(arg), e.ty(result));
                let value = vector::cast(e, &operand, from, to)?;
                e.define(result, value);
                Ok(())
            }
            Opcode::AtomicLoad => memory::atomic_load(e, result, arg, flags),
            _ => e.declined(opcode),
        },
        (&InstructionData::TernaryImm8 { args, imm, .. }, &[result]) => {
            vector::insert(e, result, args, imm)
        }
        (&InstructionData::BinaryImm8 { arg, imm, .. }, &[result]) => {
            vector::extract(e, result, arg, imm)
        }
        (&InstructionData::Shuffle { args, imm, .. }, &[result]) => {
            let lanes = func
                .dfg
                .immediates
                .get(imm)
                .map_or(&[][..], |lanes| lanes.as_slice());
            vector::shuffle(e, result, args, lanes)
        }
        (_, &[result]) if func.dfg.inst_args(inst).is_empty() && !data.opcode().is_call() => {
            constant(e, data, result)
        }
        _ => control_flow(e, inst, data),
    }
}

fn unary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    arg: Value,
) -> Result<(), CompileError> {
    match opcode {
        Opcode::Fneg
        | Opcode::Fabs
        | Opcode::Sqrt
        | Opcode::Ceil
        | Opcode::Floor
        | Opcode::Trunc
        | Opcode::Nearest
        | Opcode::Fpromote
        | Opcode::Fdemote
        | Opcode::Fvdemote
        | Opcode::FvpromoteLow => float::unary(e, opcode, result, arg),
        Opcode::FcvtFromSint
        | Opcode::FcvtFromUint
        | Opcode::FcvtToSint
        | Opcode::FcvtToUint
        | Opcode::FcvtToSintSat
        | Opcode::FcvtToUintSat => float::convert(e, opcode, result, arg),
        Opcode::Splat
        | Opcode::ScalarToVector
        | Opcode::VanyTrue
        | Opcode::VallTrue
        | Opcode::VhighBits
        | Opcode::SwidenLow
        | Opcode::SwidenHigh
        | Opcode::UwidenLow
        | Opcode::UwidenHigh => vector::unary(e, opcode, result, arg),
        _ => integer::unary(e, opcode, result, arg),
    }
}

fn binary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    args: [Value; 2],
) -> Result<(), CompileError> {
    match opcode {
        Opcode::Fadd
        | Opcode::Fsub
        | Opcode::Fmul
        | Opcode::Fdiv
        | Opcode::Fmin
        | Opcode::Fmax
        | Opcode::Fcopysign => float::binary(e, opcode, result, args),
        Opcode::Ishl | Opcode::Ushr | Opcode::Sshr | Opcode::Rotl | Opcode::Rotr => {
            integer::shift(e, opcode, result, args)
        }
        Opcode::Udiv | Opcode::Sdiv | Opcode::Urem | Opcode::Srem => {
            integer::divide(e, opcode, result, args)
        }
        Opcode::Umulhi | Opcode::Smulhi => integer::multiply_high(e, opcode, result, args),
        Opcode::Band | Opcode::Bor | Opcode::Bxor => integer::bitwise(e, opcode, result, args),
        Opcode::Swizzle
        | Opcode::Snarrow
        | Opcode::Unarrow
        | Opcode::Uunarrow
        | Opcode::IaddPairwise
        | Opcode::AvgRound
        | Opcode::SqmulRoundSat => vector::binary(e, opcode, result, args),
        _ => integer::binary(e, opcode, result, args),
    }
}

fn ternary(
    e: &mut Emitter<'_>,
    opcode: Opcode,
    result: Value,
    args: [Value; 3],
) -> Result<(), CompileError> {
    let [c, x, y] = args;
    match opcode {
        Opcode::Select | Opcode::SelectSpectreGuard => {
            let condition = e.condition(c)?;
            let (x, y) = (e.typed(x)?, e.typed(y)?);
            let value = e.op(format!("select i1 {condition}, {x}, {y}"));
            e.define(result, value);
            Ok(())
        }
        Opcode::Bitselect => vector::bitselect(e, result, args),
        _ => e.declined(opcode),
    }
}

/// Instructions without operands.
fn constant(
    e: &mut Emitter<'_>,
    data: &InstructionData,
    result: Value,
) -> Result<(), CompileError> {
    let ty = e.ty(result);
    let operand = match *data {
        InstructionData::UnaryImm { imm, .. } => types::scalar(imm.bits().cast_unsigned(), ty)?,
        InstructionData::UnaryIeee32 { imm, .. } => types::scalar(imm.bits().into(), ty)?,
        InstructionData::UnaryIeee64 { imm, .. } => types::scalar(imm.bits(), ty)?,
        InstructionData::UnaryConst {
            constant_handle, ..
        } => types::vector(e.func.dfg.constants.get(constant_handle).as_slice(), ty)?,
        InstructionData::UnaryGlobalValue { global_value, .. } => {
            let GlobalValueData::Symbol { ref name, .. } = e.func.global_values[global_value]
            else {
                return e.declined(data.opcode());
            };
            symbol_value(e, name, data.opcode())?
        }
        InstructionData::StackAddr {
            stack_slot, offset, ..
        } => {
            let address = e.op(format!("ptrtoint ptr %s{} to i64", stack_slot.as_u32()));
            e.op(format!("add i64 {address}, {}", i32::from(offset)))
        }
        InstructionData::FuncAddr { func_ref, .. } => {
            let address = control::code_address(e, func_ref)?;
            e.op(format!("ptrtoint ptr {address} to i64"))
        }
        InstructionData::NullAry {
            opcode: Opcode::GetFramePointer,
        } => {
            let frame = e.intrinsic("ptr", "llvm.frameaddress.p0", &[("i32", "0")]);
            e.op(format!("ptrtoint ptr {frame} to i64"))
        }
        _ => return e.declined(data.opcode()),
    };
    e.define(result, operand);
    Ok(())
}

fn symbol_value(
    e: &mut Emitter<'_>,
    name: &ExternalName,
    opcode: Opcode,
) -> Result<String, CompileError> {
    let ExternalName::User(name) = name else {
        return e.declined(opcode);
    };
    let name = e.func.params.user_named_funcs().get(*name);
    let Some(Target::ProfileCell(function)) = name.and_then(symbol::target) else {
        return e.declined(opcode);
    };
    let profile = names::profile(function);
    let declaration = format!("@{profile} = external hidden global i8");
    e.declarations.entry(profile.clone()).or_insert(declaration);
    Ok(e.op(format!("ptrtoint ptr @{profile} to i64")))
}

fn control_flow(
    e: &mut Emitter<'_>,
    inst: Inst,
    data: &InstructionData,
) -> Result<(), CompileError> {
    let func = e.func;
    let args = func.dfg.inst_args(inst);
    match *data {
        InstructionData::Jump { destination, .. } => control::jump(e, destination),
        InstructionData::Brif { arg, blocks, .. } => {
            let condition = match versions::end_condition(e, inst) {
                Some(condition) => condition,
                None => e.condition(arg)?,
            };
            control::brif(e, &condition, blocks)
        }
        InstructionData::BranchTable { arg, table, .. } => control::br_table(e, arg, table),
        InstructionData::Trap {
            opcode: Opcode::Trap,
            code,
        } => {
            e.trap(trap_kind(code));
            Ok(())
        }
        InstructionData::CondTrap { opcode, arg, code } => {
            let mut condition = e.condition(arg)?;
            if opcode == Opcode::Trapz {
                condition = e.op(format!("xor i1 {condition}, true"));
            }
            e.trap_if(&condition, trap_kind(code));
            Ok(())
        }
        InstructionData::Call {
            opcode, func_ref, ..
        } => {
            let callee = control::code_address(e, func_ref)?;
            let signature = func.dfg.ext_funcs[func_ref].signature;
            match opcode {
                Opcode::Call => control::call(e, inst, signature, &callee, args),
                Opcode::ReturnCall => control::return_call(e, signature, &callee, args),
                _ => e.declined(opcode),
            }
        }
        InstructionData::CallIndirect {
            opcode, sig_ref, ..
        } => {
            let code = e.value(args[0])?;
            let callee = e.op(format!("inttoptr i64 {code} to ptr"));
            match opcode {
                Opcode::CallIndirect => control::call(e, inst, sig_ref, &callee, &args[1..]),
                Opcode::ReturnCallIndirect => control::return_call(e, sig_ref, &callee, &args[1..]),
                _ => e.declined(opcode),
            }
        }
        InstructionData::MultiAry {
            opcode: Opcode::Return,
            ..
        } => control::return_(e, args),
        InstructionData::NullAry {
            opcode: Opcode::Nop | Opcode::SequencePoint,
        } => Ok(()),
        _ => e.declined(data.opcode()),
    }
}
