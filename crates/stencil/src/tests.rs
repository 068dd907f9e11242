//! The encoders against a decoder, moves against a model, and what is no stencil.

mod vectors;

use crate::arch::x64::{CONTEXT, Condition, FRAME, MEMORY_BASE, Mem, RSP, Reg, xmm};
use crate::code::Code;
use crate::frame::Workspace;
use crate::moves::{Move, Source};
use crate::plan::Plan;
#[cfg(feature = "generator")]
use crate::shape::{Architecture, ShapeError, StencilBuf};
use crate::value::{FloatOp, IntOp, LoadIndex, LoadKind, ShiftOp, StoreIndex, StoreKind, Ty};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use upshift_base::FuncId;
#[cfg(feature = "generator")]
use upshift_codegen::CompiledCode;

fn general() -> impl Iterator<Item = Reg> {
    (0..16).map(Reg)
}

fn vector() -> impl Iterator<Item = Reg> {
    (0..16).map(xmm)
}

/// The one instruction that `encode` makes.
fn one(encode: impl FnOnce(&mut Code)) -> Instruction {
    let mut code = Code::default();
    encode(&mut code);
    let mut decoder = Decoder::new(64, code.bytes.as_slice(), DecoderOptions::NONE);
    let instruction = decoder.decode();
    assert!(!instruction.is_invalid(), "{:x?}", code.bytes.as_slice());
    assert!(
        !decoder.can_decode(),
        "one instruction: {:x?}",
        code.bytes.as_slice()
    );
    instruction
}

fn number(register: Register) -> u8 {
    let full = register.full_register();
    if full.is_gpr() {
        return full.number() as u8;
    }
    16 + full.number() as u8
}

fn assert_registers(instruction: &Instruction, first: Reg, second: Reg) {
    assert_eq!(
        number(instruction.op0_register()),
        first.0,
        "{instruction:?}"
    );
    assert_eq!(
        number(instruction.op1_register()),
        second.0,
        "{instruction:?}"
    );
}

fn assert_width(instruction: &Instruction, wide: bool) {
    let bytes = if wide { 8 } else { 4 };
    assert_eq!(instruction.op0_register().size(), bytes, "{instruction:?}");
}

fn places() -> Vec<Mem> {
    let mut places = Vec::new();
    for base in general() {
        for displacement in [0, 8, -8, 127, -128, 128, -129, i32::MAX, i32::MIN] {
            places.push(Mem::new(base, displacement));
            for index in general().filter(|&index| index != RSP) {
                places.push(Mem::indexed(base, index, displacement));
                places.push(Mem::scaled(base, index, 3, displacement));
            }
        }
    }
    places
}

fn assert_place(instruction: &Instruction, place: Mem) {
    assert_eq!(number(instruction.memory_base()), place.base.0);
    match place.index {
        RSP => assert_eq!(instruction.memory_index(), Register::None),
        index => {
            assert_eq!(number(instruction.memory_index()), index.0);
            assert_eq!(instruction.memory_index_scale(), 1 << place.scale);
        }
    }
    let displacement = i64::from(place.displacement).cast_unsigned();
    assert_eq!(instruction.memory_displacement64(), displacement);
}

#[test]
fn the_most_frequent_moves_are_the_general_ones() {
    let bytes = |encode: &dyn Fn(&mut Code)| {
        let mut code = Code::default();
        encode(&mut code);
        code.bytes.as_slice().to_vec()
    };
    for displacement in [0, 1, -1, 8, -8, 127, -128, 128, -129, i32::MAX, i32::MIN] {
        for number in 0..16 {
            for (index, kind) in LoadKind::ALL.into_iter().enumerate() {
                assert_eq!(kind.index(), index);
                let vector = matches!(kind, LoadKind::Full(ty) if ty.is_vector());
                let reg = if vector { xmm(number) } else { Reg(number) };
                for at in general().filter(|&index| index != RSP) {
                    let place = Mem::indexed(MEMORY_BASE, at, displacement);
                    let number = LoadIndex::of(kind);
                    assert_eq!(number.kind(), kind);
                    let special = bytes(&|code| code.load_first(number, reg, at, displacement));
                    assert_eq!(special, bytes(&|code| code.load_kind(kind, reg, place)));
                }
                let place = Mem::new(CONTEXT, displacement);
                let special = bytes(&|code| code.load_context(kind, reg, displacement));
                assert_eq!(special, bytes(&|code| code.load_kind(kind, reg, place)));
                if let LoadKind::Full(ty) = kind {
                    let place = Mem::new(FRAME, displacement);
                    let special = bytes(&|code| code.load_home(ty, reg, displacement));
                    assert_eq!(special, bytes(&|code| code.load(ty, reg, place)));
                }
            }
            for (index, kind) in StoreKind::ALL.into_iter().enumerate() {
                assert_eq!(kind.index(), index);
                let vector = matches!(kind, StoreKind::Full(ty) if ty.is_vector());
                let reg = if vector { xmm(number) } else { Reg(number) };
                for at in general().filter(|&index| index != RSP) {
                    let place = Mem::indexed(MEMORY_BASE, at, displacement);
                    let number = StoreIndex::of(kind);
                    assert_eq!(number.kind(), kind);
                    let special = bytes(&|code| code.store_first(number, reg, at, displacement));
                    assert_eq!(special, bytes(&|code| code.store_kind(kind, reg, place)));
                }
                if let StoreKind::Full(ty) = kind {
                    let place = Mem::new(FRAME, displacement);
                    let special = bytes(&|code| code.store_home(ty, reg, displacement));
                    assert_eq!(special, bytes(&|code| code.store(ty, reg, place)));
                }
            }
        }
    }
}

#[test]
fn loads_and_stores_of_every_width_at_every_place() {
    let loads = [
        (LoadKind::Full(Ty::I32), Mnemonic::Mov),
        (LoadKind::Full(Ty::I64), Mnemonic::Mov),
        (LoadKind::Unsigned8, Mnemonic::Movzx),
        (LoadKind::Unsigned16, Mnemonic::Movzx),
        (LoadKind::Unsigned32, Mnemonic::Mov),
        (LoadKind::Signed8 { wide: true }, Mnemonic::Movsx),
        (LoadKind::Signed8 { wide: false }, Mnemonic::Movsx),
        (LoadKind::Signed16 { wide: true }, Mnemonic::Movsx),
        (LoadKind::Signed16 { wide: false }, Mnemonic::Movsx),
        (LoadKind::Signed32, Mnemonic::Movsxd),
        (LoadKind::Full(Ty::F32), Mnemonic::Movss),
        (LoadKind::Full(Ty::F64), Mnemonic::Movsd),
        (LoadKind::Full(Ty::V128), Mnemonic::Movups),
    ];
    let stores = [
        (StoreKind::Full(Ty::I32), Mnemonic::Mov),
        (StoreKind::Full(Ty::I64), Mnemonic::Mov),
        (StoreKind::Low8, Mnemonic::Mov),
        (StoreKind::Low16, Mnemonic::Mov),
        (StoreKind::Low32, Mnemonic::Mov),
        (StoreKind::Full(Ty::F32), Mnemonic::Movss),
        (StoreKind::Full(Ty::F64), Mnemonic::Movsd),
        (StoreKind::Full(Ty::V128), Mnemonic::Movups),
    ];
    for (index, &place) in places().iter().enumerate() {
        let reg = index as u8 % 16;
        for (kind, mnemonic) in loads {
            let float = matches!(kind, LoadKind::Full(ty) if ty.is_vector());
            let to = if float { xmm(reg) } else { Reg(reg) };
            let instruction = one(|code| code.load_kind(kind, to, place));
            assert_eq!(instruction.mnemonic(), mnemonic);
            assert_eq!(number(instruction.op0_register()), to.0);
            assert_place(&instruction, place);
        }
        for (kind, mnemonic) in stores {
            let float = matches!(kind, StoreKind::Full(ty) if ty.is_vector());
            let from = if float { xmm(reg) } else { Reg(reg) };
            let instruction = one(|code| code.store_kind(kind, from, place));
            assert_eq!(instruction.mnemonic(), mnemonic);
            assert_eq!(number(instruction.op1_register()), from.0, "{kind:?}");
            assert_place(&instruction, place);
        }
        let instruction = one(|code| code.store_constant(true, -7, place));
        assert_eq!(instruction.immediate32to64(), -7);
        assert_place(&instruction, place);
    }
}

#[test]
fn operations_on_every_pair_of_registers() {
    let int = [
        (IntOp::Add, Mnemonic::Add),
        (IntOp::Sub, Mnemonic::Sub),
        (IntOp::Mul, Mnemonic::Imul),
        (IntOp::And, Mnemonic::And),
        (IntOp::Or, Mnemonic::Or),
        (IntOp::Xor, Mnemonic::Xor),
    ];
    for (first, second) in general().flat_map(|a| general().map(move |b| (a, b))) {
        for wide in [false, true] {
            for (op, mnemonic) in int {
                let instruction = one(|code| code.int_op(op, wide, first, second));
                assert_eq!(instruction.mnemonic(), mnemonic);
                assert_registers(&instruction, first, second);
                assert_width(&instruction, wide);
            }
            let instruction = one(|code| code.compare(wide, first, second));
            assert_eq!(instruction.mnemonic(), Mnemonic::Cmp);
            assert_registers(&instruction, first, second);
            let instruction = one(|code| code.move_if(4, wide, first, second));
            assert_eq!(instruction.mnemonic(), Mnemonic::Cmove);
            assert_registers(&instruction, first, second);
            for bits in [8, 16] {
                let instruction = one(|code| code.sign_extend(bits, wide, first, second));
                assert_eq!(instruction.mnemonic(), Mnemonic::Movsx);
                assert_registers(&instruction, first, second);
                assert_eq!(instruction.op1_register().size(), usize::from(bits / 8));
            }
        }
        let instruction = one(|code| code.move_register(Ty::I64, first, second));
        assert_registers(&instruction, first, second);
    }
    let float = [
        (FloatOp::Add, Mnemonic::Addsd, Mnemonic::Addss),
        (FloatOp::Sub, Mnemonic::Subsd, Mnemonic::Subss),
        (FloatOp::Mul, Mnemonic::Mulsd, Mnemonic::Mulss),
        (FloatOp::Div, Mnemonic::Divsd, Mnemonic::Divss),
        (FloatOp::Sqrt, Mnemonic::Sqrtsd, Mnemonic::Sqrtss),
    ];
    for (first, second) in vector().flat_map(|a| vector().map(move |b| (a, b))) {
        for (op, double, single) in float {
            let instruction = one(|code| code.float_op(op, true, first, second));
            assert_eq!(instruction.mnemonic(), double);
            assert_registers(&instruction, first, second);
            let instruction = one(|code| code.float_op(op, false, first, second));
            assert_eq!(instruction.mnemonic(), single);
        }
        let instruction = one(|code| code.compare_floats(true, first, second));
        assert_eq!(instruction.mnemonic(), Mnemonic::Ucomisd);
        assert_registers(&instruction, first, second);
    }
}

#[test]
fn constants_and_shifts() {
    let shifts = [
        (ShiftOp::Shl, Mnemonic::Shl),
        (ShiftOp::ShrS, Mnemonic::Sar),
        (ShiftOp::ShrU, Mnemonic::Shr),
        (ShiftOp::Rotl, Mnemonic::Rol),
        (ShiftOp::Rotr, Mnemonic::Ror),
    ];
    for reg in general() {
        for (op, mnemonic) in shifts {
            let instruction = one(|code| code.shift(op, true, reg));
            assert_eq!(
                (instruction.mnemonic(), instruction.op1_register()),
                (mnemonic, Register::CL)
            );
            let instruction = one(|code| code.shift_constant(op, false, reg, 31));
            assert_eq!(
                (instruction.mnemonic(), instruction.immediate8()),
                (mnemonic, 31)
            );
        }
        for value in [
            0,
            1,
            u64::MAX,
            1 << 31,
            u64::from(u32::MAX),
            i64::MIN as u64,
            1 << 40,
        ] {
            let instruction = one(|code| code.move_constant(reg, value));
            assert_eq!(number(instruction.op0_register()), reg.0);
            assert_eq!(instruction.immediate(1), value);
        }
        for value in [0, 1, -1, 127, -128, 128, i32::MAX, i32::MIN] {
            for op in [IntOp::Add, IntOp::Sub, IntOp::And, IntOp::Mul] {
                let instruction = one(|code| code.int_op_constant(op, true, reg, value));
                let last = instruction.op_count() - 1;
                assert_eq!(instruction.immediate(last), i64::from(value) as u64);
            }
        }
        let mut code = Code::default();
        code.set_if(Condition::EQUAL, reg);
        let mut decoder = Decoder::new(64, code.bytes.as_slice(), DecoderOptions::NONE);
        let (set, extend) = (decoder.decode(), decoder.decode());
        assert_eq!(set.mnemonic(), Mnemonic::Sete);
        assert_eq!(number(set.op0_register()), reg.0);
        assert_registers(&extend, reg, reg);
        assert_eq!(extend.op1_kind(), OpKind::Register);
    }
}

/// Moves between six registers, every combination, against a model of the machine.
#[test]
fn moves_happen_at_once() {
    for combination in 0..6u32.pow(6) {
        let from = |to: u8| Reg((combination / 6u32.pow(to.into()) % 6) as u8);
        let mut assembler = assembler(&mut Workspace::default());
        assembler.code.clear();
        for to in 0..6 {
            let source = Source::Reg(Ty::I64, from(to));
            assembler.moves.push(Move::new(Reg(to), source));
        }
        assembler.make_moves();
        let mut machine: [u8; 16] = std::array::from_fn(|reg| reg as u8);
        let mut decoder = Decoder::new(64, assembler.code.bytes.as_slice(), DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            assert_eq!(instruction.mnemonic(), Mnemonic::Mov);
            let source = machine[usize::from(number(instruction.op1_register()))];
            machine[usize::from(number(instruction.op0_register()))] = source;
        }
        for to in 0..6 {
            assert_eq!(machine[usize::from(to)], from(to).0, "{combination}");
        }
    }
}

fn assembler(workspace: &mut Workspace) -> Box<crate::Assembler> {
    let plan = Plan {
        function: FuncId(0),
        counters: None,
        stack_limit: Some((0, 0)),
        memory_base: 0,
        every_position: false,
    };
    workspace.begin(plan, std::iter::empty(), std::iter::empty(), 0)
}

#[cfg(feature = "generator")]
fn code(body: &[u8]) -> CompiledCode {
    CompiledCode {
        bytes: body.to_vec(),
        alignment: 16,
        placement: 0,
        relocations: Vec::new(),
        traps: Vec::new(),
        accesses: Vec::new(),
        positions: Vec::new(),
        frame_bytes: 0,
        adapter_bytes: 0,
        inlined: Vec::new(),
        call_sites: 0,
    }
}

#[cfg(feature = "generator")]
fn x64(bytes: &[u8], operands: &[Ty]) -> Result<StencilBuf, ShapeError> {
    StencilBuf::new(Architecture::X64, &code(bytes), operands, Some(Ty::I64))
}

#[cfg(feature = "generator")]
#[test]
fn only_self_contained_code_is_a_stencil() {
    // push rbp; mov rbp, rsp; lea rax, [rdi + rsi]; mov rsp, rbp; pop rbp; ret
    let good = [
        0x55, 0x48, 0x89, 0xe5, 0x48, 0x8d, 0x04, 0x37, 0x48, 0x89, 0xec, 0x5d, 0xc3,
    ];
    let stencil = x64(&good, &[Ty::I64, Ty::I64]).unwrap();
    assert_eq!(stencil.as_stencil().code.len(), 4);
    let mut pushes = good.to_vec();
    pushes.splice(4..8, [0x50]);
    let shape = |bytes: &[u8]| x64(bytes, &[Ty::I64]);
    assert_eq!(shape(&pushes), Err(ShapeError::Instruction(4)));
    assert_eq!(shape(&good[4..]), Err(ShapeError::Frame));
    assert_eq!(shape(&good[..8]), Err(ShapeError::Frame));
    // A callee-saved register: mov rbx, rdi.
    let mut keeps = good.to_vec();
    keeps.splice(4..8, [0x48, 0x89, 0xfb]);
    assert_eq!(shape(&keeps), Err(ShapeError::Instruction(4)));
    let many = [Ty::I64; 7];
    let signature = x64(&good, &many);
    assert_eq!(signature, Err(ShapeError::Signature));
}
