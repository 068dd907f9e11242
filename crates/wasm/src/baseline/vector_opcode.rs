//! The operators behind the prefix 0xfd, by their numbers: what they are to the assembler.

use LoadKind::*;
use upshift::embed::stencil::{
    IntTest, Lane, LoadIndex, LoadKind, StoreIndex, StoreKind, Ty, VectorOp, VectorOperation,
    VectorShift, VectorUnary,
};

/// What an operator on vectors is encoded as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Vector {
    /// It has no encoder.
    Other,
    /// A load of a vector, or of its low part, the rest zero.
    Load(LoadIndex),
    /// A load of half a vector, whose lanes become twice as wide.
    LoadExtend(VectorUnary),
    /// A load that becomes every lane.
    LoadSplat(LoadIndex, Lane),
    /// A load that becomes one lane.
    LoadLane(LoadIndex, Lane),
    /// A store.
    Store,
    /// A store of one lane.
    StoreLane(StoreIndex, Lane),
    /// A constant.
    Const,
    /// A shuffle, which has an encoder for some masks.
    Shuffle,
    /// A lane, and whether it is sign-extended.
    Extract(Lane, bool),
    /// A vector with one lane replaced.
    Replace(Lane),
    /// Whether any bit is set.
    AnyTrue,
    /// Whether no lane is zero, by the comparison with zero.
    AllTrue(VectorOp),
    /// Anything without immediates.
    Operation(VectorOperation),
    /// The same, encoded directly only if any NaN will do.
    Float(VectorOperation),
}

impl Vector {
    /// The operator of that number.
    pub(super) fn of(number: u32) -> Vector {
        VECTORS
            .get(number as usize)
            .copied()
            .unwrap_or(Vector::Other)
    }

    /// Whether this one is encoded whatever its immediates are.
    pub(super) fn is_encoded(self, canonical_nans: bool) -> bool {
        match self {
            Vector::Other | Vector::Shuffle => false,
            Vector::Float(_) => !canonical_nans,
            _ => true,
        }
    }
}

static VECTORS: [Vector; 256] = {
    let mut vectors = [Vector::Other; 256];
    let mut index = 0;
    while index < LIST.len() {
        vectors[LIST[index].0 as usize] = LIST[index].2;
        index += 1;
    }
    vectors
};

const fn load(kind: LoadKind) -> Vector {
    Vector::Load(LoadIndex::of(kind))
}

const fn load_splat(kind: LoadKind, lane: Lane) -> Vector {
    Vector::LoadSplat(LoadIndex::of(kind), lane)
}

const fn load_lane(kind: LoadKind, lane: Lane) -> Vector {
    Vector::LoadLane(LoadIndex::of(kind), lane)
}

const fn store_lane(kind: StoreKind, lane: Lane) -> Vector {
    Vector::StoreLane(StoreIndex::of(kind), lane)
}

const fn compare(lane: Lane, test: IntTest) -> Vector {
    match VectorOperation::compare(lane, test) {
        Some(operation) => Vector::Operation(operation),
        None => Vector::Other,
    }
}

macro_rules! operations {
    ($($name:ident($operand:ty) = $vector:ident($operation:ident);)*) => {
        $(const fn $name(operand: $operand) -> Vector {
            Vector::$vector(VectorOperation::$operation(operand))
        })*
    };
}
operations! {
    binary(VectorOp) = Operation(Binary);
    unary(VectorUnary) = Operation(Unary);
    unary_high(VectorUnary) = Operation(UnaryHigh);
    float(VectorOp) = Float(Binary);
    float_unary(VectorUnary) = Float(Unary);
    negate(VectorOp) = Operation(Negate);
    shift(VectorShift) = Operation(Shift);
    splat(Lane) = Operation(Splat);
    bitmask(Lane) = Operation(Bitmask);
}

/// Number, name, meaning.
#[rustfmt::skip]
const LIST: &[(u8, &str, Vector)] = &[
    (0, "V128Load", load(Full(Ty::V128))),
    (1, "V128Load8x8S", Vector::LoadExtend(VectorUnary::I16x8ExtendLowS)),
    (2, "V128Load8x8U", Vector::LoadExtend(VectorUnary::I16x8ExtendLowU)),
    (3, "V128Load16x4S", Vector::LoadExtend(VectorUnary::I32x4ExtendLowS)),
    (4, "V128Load16x4U", Vector::LoadExtend(VectorUnary::I32x4ExtendLowU)),
    (5, "V128Load32x2S", Vector::LoadExtend(VectorUnary::I64x2ExtendLowS)),
    (6, "V128Load32x2U", Vector::LoadExtend(VectorUnary::I64x2ExtendLowU)),
    (7, "V128Load8Splat", load_splat(Unsigned8, Lane::I8)),
    (8, "V128Load16Splat", load_splat(Unsigned16, Lane::I16)),
    (9, "V128Load32Splat", load_splat(Full(Ty::F32), Lane::F32)),
    (10, "V128Load64Splat", load_splat(Full(Ty::F64), Lane::F64)),
    (11, "V128Store", Vector::Store),
    (12, "V128Const", Vector::Const),
    (13, "I8x16Shuffle", Vector::Shuffle),
    (15, "I8x16Splat", splat(Lane::I8)),
    (16, "I16x8Splat", splat(Lane::I16)),
    (17, "I32x4Splat", splat(Lane::I32)),
    (18, "I64x2Splat", splat(Lane::I64)),
    (19, "F32x4Splat", splat(Lane::F32)),
    (20, "F64x2Splat", splat(Lane::F64)),
    (21, "I8x16ExtractLaneS", Vector::Extract(Lane::I8, true)),
    (22, "I8x16ExtractLaneU", Vector::Extract(Lane::I8, false)),
    (23, "I8x16ReplaceLane", Vector::Replace(Lane::I8)),
    (24, "I16x8ExtractLaneS", Vector::Extract(Lane::I16, true)),
    (25, "I16x8ExtractLaneU", Vector::Extract(Lane::I16, false)),
    (26, "I16x8ReplaceLane", Vector::Replace(Lane::I16)),
    (27, "I32x4ExtractLane", Vector::Extract(Lane::I32, false)),
    (28, "I32x4ReplaceLane", Vector::Replace(Lane::I32)),
    (29, "I64x2ExtractLane", Vector::Extract(Lane::I64, false)),
    (30, "I64x2ReplaceLane", Vector::Replace(Lane::I64)),
    (31, "F32x4ExtractLane", Vector::Extract(Lane::F32, false)),
    (32, "F32x4ReplaceLane", Vector::Replace(Lane::F32)),
    (33, "F64x2ExtractLane", Vector::Extract(Lane::F64, false)),
    (34, "F64x2ReplaceLane", Vector::Replace(Lane::F64)),
    (35, "I8x16Eq", compare(Lane::I8, IntTest::Eq)),
    (36, "I8x16Ne", compare(Lane::I8, IntTest::Ne)),
    (37, "I8x16LtS", compare(Lane::I8, IntTest::LtS)),
    (38, "I8x16LtU", compare(Lane::I8, IntTest::LtU)),
    (39, "I8x16GtS", compare(Lane::I8, IntTest::GtS)),
    (40, "I8x16GtU", compare(Lane::I8, IntTest::GtU)),
    (41, "I8x16LeS", compare(Lane::I8, IntTest::LeS)),
    (42, "I8x16LeU", compare(Lane::I8, IntTest::LeU)),
    (43, "I8x16GeS", compare(Lane::I8, IntTest::GeS)),
    (44, "I8x16GeU", compare(Lane::I8, IntTest::GeU)),
    (45, "I16x8Eq", compare(Lane::I16, IntTest::Eq)),
    (46, "I16x8Ne", compare(Lane::I16, IntTest::Ne)),
    (47, "I16x8LtS", compare(Lane::I16, IntTest::LtS)),
    (48, "I16x8LtU", compare(Lane::I16, IntTest::LtU)),
    (49, "I16x8GtS", compare(Lane::I16, IntTest::GtS)),
    (50, "I16x8GtU", compare(Lane::I16, IntTest::GtU)),
    (51, "I16x8LeS", compare(Lane::I16, IntTest::LeS)),
    (52, "I16x8LeU", compare(Lane::I16, IntTest::LeU)),
    (53, "I16x8GeS", compare(Lane::I16, IntTest::GeS)),
    (54, "I16x8GeU", compare(Lane::I16, IntTest::GeU)),
    (55, "I32x4Eq", compare(Lane::I32, IntTest::Eq)),
    (56, "I32x4Ne", compare(Lane::I32, IntTest::Ne)),
    (57, "I32x4LtS", compare(Lane::I32, IntTest::LtS)),
    (58, "I32x4LtU", compare(Lane::I32, IntTest::LtU)),
    (59, "I32x4GtS", compare(Lane::I32, IntTest::GtS)),
    (60, "I32x4GtU", compare(Lane::I32, IntTest::GtU)),
    (61, "I32x4LeS", compare(Lane::I32, IntTest::LeS)),
    (62, "I32x4LeU", compare(Lane::I32, IntTest::LeU)),
    (63, "I32x4GeS", compare(Lane::I32, IntTest::GeS)),
    (64, "I32x4GeU", compare(Lane::I32, IntTest::GeU)),
    (65, "F32x4Eq", binary(VectorOp::F32x4Eq)),
    (66, "F32x4Ne", binary(VectorOp::F32x4Ne)),
    (67, "F32x4Lt", binary(VectorOp::F32x4Lt)),
    (68, "F32x4Gt", binary(VectorOp::F32x4Gt)),
    (69, "F32x4Le", binary(VectorOp::F32x4Le)),
    (70, "F32x4Ge", binary(VectorOp::F32x4Ge)),
    (71, "F64x2Eq", binary(VectorOp::F64x2Eq)),
    (72, "F64x2Ne", binary(VectorOp::F64x2Ne)),
    (73, "F64x2Lt", binary(VectorOp::F64x2Lt)),
    (74, "F64x2Gt", binary(VectorOp::F64x2Gt)),
    (75, "F64x2Le", binary(VectorOp::F64x2Le)),
    (76, "F64x2Ge", binary(VectorOp::F64x2Ge)),
    (77, "V128Not", Vector::Operation(VectorOperation::Not)),
    (78, "V128And", binary(VectorOp::And)),
    (79, "V128AndNot", binary(VectorOp::AndNot)),
    (80, "V128Or", binary(VectorOp::Or)),
    (81, "V128Xor", binary(VectorOp::Xor)),
    (82, "V128Bitselect", Vector::Operation(VectorOperation::Bitselect)),
    (83, "V128AnyTrue", Vector::AnyTrue),
    (84, "V128Load8Lane", load_lane(Unsigned8, Lane::I8)),
    (85, "V128Load16Lane", load_lane(Unsigned16, Lane::I16)),
    (86, "V128Load32Lane", load_lane(Full(Ty::I32), Lane::I32)),
    (87, "V128Load64Lane", load_lane(Full(Ty::I64), Lane::I64)),
    (88, "V128Store8Lane", store_lane(StoreKind::Low8, Lane::I8)),
    (89, "V128Store16Lane", store_lane(StoreKind::Low16, Lane::I16)),
    (90, "V128Store32Lane", store_lane(StoreKind::Full(Ty::I32), Lane::I32)),
    (91, "V128Store64Lane", store_lane(StoreKind::Full(Ty::I64), Lane::I64)),
    (92, "V128Load32Zero", load(Full(Ty::F32))),
    (93, "V128Load64Zero", load(Full(Ty::F64))),
    (94, "F32x4DemoteF64x2Zero", float_unary(VectorUnary::F32x4DemoteF64x2Zero)),
    (95, "F64x2PromoteLowF32x4", float_unary(VectorUnary::F64x2PromoteLowF32x4)),
    (96, "I8x16Abs", unary(VectorUnary::I8x16Abs)),
    (97, "I8x16Neg", negate(VectorOp::I8x16Sub)),
    (99, "I8x16AllTrue", Vector::AllTrue(VectorOp::I8x16Eq)),
    (100, "I8x16Bitmask", bitmask(Lane::I8)),
    (101, "I8x16NarrowI16x8S", binary(VectorOp::I8x16NarrowI16x8S)),
    (102, "I8x16NarrowI16x8U", binary(VectorOp::I8x16NarrowI16x8U)),
    (103, "F32x4Ceil", float_unary(VectorUnary::F32x4Ceil)),
    (104, "F32x4Floor", float_unary(VectorUnary::F32x4Floor)),
    (105, "F32x4Trunc", float_unary(VectorUnary::F32x4Trunc)),
    (106, "F32x4Nearest", float_unary(VectorUnary::F32x4Nearest)),
    (110, "I8x16Add", binary(VectorOp::I8x16Add)),
    (111, "I8x16AddSatS", binary(VectorOp::I8x16AddSatS)),
    (112, "I8x16AddSatU", binary(VectorOp::I8x16AddSatU)),
    (113, "I8x16Sub", binary(VectorOp::I8x16Sub)),
    (114, "I8x16SubSatS", binary(VectorOp::I8x16SubSatS)),
    (115, "I8x16SubSatU", binary(VectorOp::I8x16SubSatU)),
    (116, "F64x2Ceil", float_unary(VectorUnary::F64x2Ceil)),
    (117, "F64x2Floor", float_unary(VectorUnary::F64x2Floor)),
    (118, "I8x16MinS", binary(VectorOp::I8x16MinS)),
    (119, "I8x16MinU", binary(VectorOp::I8x16MinU)),
    (120, "I8x16MaxS", binary(VectorOp::I8x16MaxS)),
    (121, "I8x16MaxU", binary(VectorOp::I8x16MaxU)),
    (122, "F64x2Trunc", float_unary(VectorUnary::F64x2Trunc)),
    (123, "I8x16AvgrU", binary(VectorOp::I8x16AvgrU)),
    (128, "I16x8Abs", unary(VectorUnary::I16x8Abs)),
    (129, "I16x8Neg", negate(VectorOp::I16x8Sub)),
    (131, "I16x8AllTrue", Vector::AllTrue(VectorOp::I16x8Eq)),
    (132, "I16x8Bitmask", bitmask(Lane::I16)),
    (133, "I16x8NarrowI32x4S", binary(VectorOp::I16x8NarrowI32x4S)),
    (134, "I16x8NarrowI32x4U", binary(VectorOp::I16x8NarrowI32x4U)),
    (135, "I16x8ExtendLowI8x16S", unary(VectorUnary::I16x8ExtendLowS)),
    (136, "I16x8ExtendHighI8x16S", unary_high(VectorUnary::I16x8ExtendLowS)),
    (137, "I16x8ExtendLowI8x16U", unary(VectorUnary::I16x8ExtendLowU)),
    (138, "I16x8ExtendHighI8x16U", unary_high(VectorUnary::I16x8ExtendLowU)),
    (139, "I16x8Shl", shift(VectorShift::I16x8Shl)),
    (140, "I16x8ShrS", shift(VectorShift::I16x8ShrS)),
    (141, "I16x8ShrU", shift(VectorShift::I16x8ShrU)),
    (142, "I16x8Add", binary(VectorOp::I16x8Add)),
    (143, "I16x8AddSatS", binary(VectorOp::I16x8AddSatS)),
    (144, "I16x8AddSatU", binary(VectorOp::I16x8AddSatU)),
    (145, "I16x8Sub", binary(VectorOp::I16x8Sub)),
    (146, "I16x8SubSatS", binary(VectorOp::I16x8SubSatS)),
    (147, "I16x8SubSatU", binary(VectorOp::I16x8SubSatU)),
    (148, "F64x2Nearest", float_unary(VectorUnary::F64x2Nearest)),
    (149, "I16x8Mul", binary(VectorOp::I16x8Mul)),
    (150, "I16x8MinS", binary(VectorOp::I16x8MinS)),
    (151, "I16x8MinU", binary(VectorOp::I16x8MinU)),
    (152, "I16x8MaxS", binary(VectorOp::I16x8MaxS)),
    (153, "I16x8MaxU", binary(VectorOp::I16x8MaxU)),
    (155, "I16x8AvgrU", binary(VectorOp::I16x8AvgrU)),
    (160, "I32x4Abs", unary(VectorUnary::I32x4Abs)),
    (161, "I32x4Neg", negate(VectorOp::I32x4Sub)),
    (163, "I32x4AllTrue", Vector::AllTrue(VectorOp::I32x4Eq)),
    (164, "I32x4Bitmask", bitmask(Lane::I32)),
    (167, "I32x4ExtendLowI16x8S", unary(VectorUnary::I32x4ExtendLowS)),
    (168, "I32x4ExtendHighI16x8S", unary_high(VectorUnary::I32x4ExtendLowS)),
    (169, "I32x4ExtendLowI16x8U", unary(VectorUnary::I32x4ExtendLowU)),
    (170, "I32x4ExtendHighI16x8U", unary_high(VectorUnary::I32x4ExtendLowU)),
    (171, "I32x4Shl", shift(VectorShift::I32x4Shl)),
    (172, "I32x4ShrS", shift(VectorShift::I32x4ShrS)),
    (173, "I32x4ShrU", shift(VectorShift::I32x4ShrU)),
    (174, "I32x4Add", binary(VectorOp::I32x4Add)),
    (177, "I32x4Sub", binary(VectorOp::I32x4Sub)),
    (181, "I32x4Mul", binary(VectorOp::I32x4Mul)),
    (182, "I32x4MinS", binary(VectorOp::I32x4MinS)),
    (183, "I32x4MinU", binary(VectorOp::I32x4MinU)),
    (184, "I32x4MaxS", binary(VectorOp::I32x4MaxS)),
    (185, "I32x4MaxU", binary(VectorOp::I32x4MaxU)),
    (186, "I32x4DotI16x8S", binary(VectorOp::I32x4DotI16x8S)),
    (193, "I64x2Neg", negate(VectorOp::I64x2Sub)),
    (195, "I64x2AllTrue", Vector::AllTrue(VectorOp::I64x2Eq)),
    (196, "I64x2Bitmask", bitmask(Lane::I64)),
    (199, "I64x2ExtendLowI32x4S", unary(VectorUnary::I64x2ExtendLowS)),
    (200, "I64x2ExtendHighI32x4S", unary_high(VectorUnary::I64x2ExtendLowS)),
    (201, "I64x2ExtendLowI32x4U", unary(VectorUnary::I64x2ExtendLowU)),
    (202, "I64x2ExtendHighI32x4U", unary_high(VectorUnary::I64x2ExtendLowU)),
    (203, "I64x2Shl", shift(VectorShift::I64x2Shl)),
    (205, "I64x2ShrU", shift(VectorShift::I64x2ShrU)),
    (206, "I64x2Add", binary(VectorOp::I64x2Add)),
    (209, "I64x2Sub", binary(VectorOp::I64x2Sub)),
    (214, "I64x2Eq", compare(Lane::I64, IntTest::Eq)),
    (215, "I64x2Ne", compare(Lane::I64, IntTest::Ne)),
    (216, "I64x2LtS", compare(Lane::I64, IntTest::LtS)),
    (217, "I64x2GtS", compare(Lane::I64, IntTest::GtS)),
    (218, "I64x2LeS", compare(Lane::I64, IntTest::LeS)),
    (219, "I64x2GeS", compare(Lane::I64, IntTest::GeS)),
    (220, "I64x2ExtMulLowI32x4S", Vector::Operation(VectorOperation::MultiplyHalf(VectorOp::I64x2MulEvenS, false))),
    (221, "I64x2ExtMulHighI32x4S", Vector::Operation(VectorOperation::MultiplyHalf(VectorOp::I64x2MulEvenS, true))),
    (222, "I64x2ExtMulLowI32x4U", Vector::Operation(VectorOperation::MultiplyHalf(VectorOp::I64x2MulEvenU, false))),
    (223, "I64x2ExtMulHighI32x4U", Vector::Operation(VectorOperation::MultiplyHalf(VectorOp::I64x2MulEvenU, true))),
    (224, "F32x4Abs", Vector::Operation(VectorOperation::Sign(false, true))),
    (225, "F32x4Neg", Vector::Operation(VectorOperation::Sign(false, false))),
    (227, "F32x4Sqrt", float_unary(VectorUnary::F32x4Sqrt)),
    (228, "F32x4Add", float(VectorOp::F32x4Add)),
    (229, "F32x4Sub", float(VectorOp::F32x4Sub)),
    (230, "F32x4Mul", float(VectorOp::F32x4Mul)),
    (231, "F32x4Div", float(VectorOp::F32x4Div)),
    (234, "F32x4PMin", binary(VectorOp::F32x4PMin)),
    (235, "F32x4PMax", binary(VectorOp::F32x4PMax)),
    (236, "F64x2Abs", Vector::Operation(VectorOperation::Sign(true, true))),
    (237, "F64x2Neg", Vector::Operation(VectorOperation::Sign(true, false))),
    (239, "F64x2Sqrt", float_unary(VectorUnary::F64x2Sqrt)),
    (240, "F64x2Add", float(VectorOp::F64x2Add)),
    (241, "F64x2Sub", float(VectorOp::F64x2Sub)),
    (242, "F64x2Mul", float(VectorOp::F64x2Mul)),
    (243, "F64x2Div", float(VectorOp::F64x2Div)),
    (246, "F64x2PMin", binary(VectorOp::F64x2PMin)),
    (247, "F64x2PMax", binary(VectorOp::F64x2PMax)),
    (250, "F32x4ConvertI32x4S", unary(VectorUnary::F32x4ConvertI32x4S)),
    (254, "F64x2ConvertLowI32x4S", unary(VectorUnary::F64x2ConvertLowI32x4S)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::FEATURES;
    use wasmparser::{BinaryReader, OperatorsReader};

    #[test]
    fn every_operator_has_the_name_that_another_reader_gives_it() {
        for &(number, name, _) in LIST {
            // Immediates that are right for all of them: no lane is above 1, and no alignment.
            let mut bytes = vec![0xfd, number | 0x80, u8::from(number >= 0x80)];
            bytes.extend([0; 16]);
            let reader = BinaryReader::new_features(&bytes, 0, FEATURES);
            let operator = format!("{:?}", OperatorsReader::new(reader).read().unwrap());
            let found = operator.split(' ').next().unwrap_or_default();
            assert_eq!(found, name);
        }
    }

    #[test]
    fn an_operator_is_what_its_name_says() {
        for &(_, name, vector) in LIST {
            let said = format!("{vector:?}");
            let (Vector::Operation(operation) | Vector::Float(operation)) = vector else {
                continue;
            };
            match operation {
                VectorOperation::Binary(op) if name.starts_with("V128") => {
                    assert_eq!(format!("{op:?}"), name[4..]);
                }
                VectorOperation::Binary(op) => assert_eq!(format!("{op:?}"), name),
                VectorOperation::Unary(_) | VectorOperation::UnaryHigh(_)
                    if name.contains("Extend") =>
                {
                    let high = name.contains("High");
                    assert_eq!(said.contains("UnaryHigh"), high, "{name}");
                    let (result, sign) = (&name[..5], &name[name.len() - 1..]);
                    assert!(said.contains(&format!("{result}ExtendLow{sign}")), "{name}");
                }
                VectorOperation::Unary(op) => assert_eq!(format!("{op:?}"), name),
                VectorOperation::Shift(op) => assert_eq!(format!("{op:?}"), name),
                VectorOperation::Splat(lane) | VectorOperation::Bitmask(lane) => {
                    assert_eq!(format!("{lane:?}"), name[..name.find('x').unwrap_or(0)]);
                }
                VectorOperation::Extreme(..)
                | VectorOperation::Inverted(_)
                | VectorOperation::Negate(_) => assert!(said.contains(&name[..5]), "{name}"),
                _ => {}
            }
        }
    }
}
