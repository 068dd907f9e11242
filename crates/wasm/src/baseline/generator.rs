//! Makes the tables of stencils: every operation that the assembler does not encode by itself, from its one lowering.

use super::stencils::{self, is_encoded};
use super::table::row::{OPERATIONS, variant};
use crate::info::FEATURES;
use crate::lower::{self, Location};
use cranelift_codegen::ir::{MemFlagsData, TrapCode, types};
use std::fmt::Write;
use upshift::Error;
use upshift::embed::StencilMaker;
use upshift::embed::stencil::{StencilBuf, Ty, shuffle_masks};
use wasmparser::{BinaryReader, Operator, OperatorsReader};

pub use super::table::level as processor_level;
pub use super::table::row::operation_number;

/// One stencil of a table.
#[derive(Clone, Debug)]
pub struct TableRow {
    /// The operation's number; see [`operation_number`].
    pub operation: usize,
    /// The name of its lowering.
    pub name: &'static str,
    /// The variants that this is the stencil of, as bits.
    pub variants: u8,
    /// The stencil.
    pub stencil: StencilBuf,
}

/// Makes a table: `makers` are those of each level of processors, without and with canonical NaNs.
///
/// # Errors
/// If an operation has no stencil. The error says which and why.
pub fn table(makers: &[[StencilMaker; 2]]) -> Result<Vec<TableRow>, Error> {
    rows(makers, false)
}

/// The same for all operations, those that the assembler encodes by itself among them, so that tests know of all.
///
/// # Errors
/// If an operation has no stencil.
pub fn all_operations(makers: &[[StencilMaker; 2]]) -> Result<Vec<TableRow>, Error> {
    rows(makers, true)
}

fn rows(makers: &[[StencilMaker; 2]], with_encoded: bool) -> Result<Vec<TableRow>, Error> {
    let mut rows: Vec<TableRow> = Vec::new();
    for operation in 0..OPERATIONS {
        let first = rows.len();
        for (level, pair) in makers.iter().enumerate() {
            for (canonical_nans, maker) in [false, true].into_iter().zip(pair) {
                let made = one(maker, operation, canonical_nans, with_encoded)?;
                let Some((name, stencil)) = made else {
                    continue;
                };
                let bit = 1 << variant(level, canonical_nans);
                let known = rows[first..].iter_mut().find(|row| row.stencil == stencil);
                match known {
                    Some(row) => row.variants |= bit,
                    None => rows.push(TableRow {
                        operation,
                        name,
                        variants: bit,
                        stencil,
                    }),
                }
            }
        }
    }
    Ok(rows)
}

/// The stencil of one operation, if it gets one.
fn one(
    maker: &StencilMaker,
    operation: usize,
    canonical_nans: bool,
    with_encoded: bool,
) -> Result<Option<(&'static str, StencilBuf)>, Error> {
    let bytes = encode(operation, &[0; 16]);
    let Some(operator) = read(&bytes) else {
        return Ok(None);
    };
    if let Operator::I8x16Shuffle { .. } = operator {
        return shuffle(maker, operation).map(Some);
    }
    if !with_encoded && is_encoded(&bytes, &operator, canonical_nans) {
        return Ok(None);
    }
    make(maker, &operator)
}

fn make(
    maker: &StencilMaker,
    operator: &Operator<'_>,
) -> Result<Option<(&'static str, StencilBuf)>, Error> {
    if let Some(operation) = lower::operation(operator) {
        let name = operation.name;
        if operation.operands.contains(&types::INVALID) {
            // `select` is of any type.
            return Ok(None);
        }
        let stencil = maker.make(
            name,
            operation.operands,
            Some(operation.result),
            |b, values| Some(operation.lower(b, values)),
        );
        return Ok(Some((name, stencil?)));
    }
    let Some(access) = lower::access(operator) else {
        return Ok(None);
    };
    // The native address is the first operand.
    let operands = [&[types::I64], access.operands].concat();
    let stencil = maker.make(access.name, &operands, access.result, |b, values| {
        let location = Location {
            base: values[0],
            offset: 0,
            flags: MemFlagsData::new().with_trap_code(Some(TrapCode::HEAP_OUT_OF_BOUNDS)),
        };
        access.lower(b, location, &values[1..])
    });
    Ok(Some((access.name, stencil?)))
}

/// The stencil of a shuffle, whose mask is filled in: the one that Cranelift makes if a mask has no regularity. For some
/// of the others it knows something better.
fn shuffle(maker: &StencilMaker, operation: usize) -> Result<(&'static str, StencilBuf), Error> {
    let mut samples = Vec::new();
    let mut name = "i8x16_shuffle";
    for mask in shuffle_masks() {
        let bytes = encode(operation, &mask);
        let made = read(&bytes)
            .map(|operator| make(maker, &operator))
            .transpose()?;
        if let Some((own, stencil)) = made.flatten() {
            name = own;
            samples.push((mask.to_vec(), stencil));
        }
    }
    let stencil = StencilBuf::with_holes(&samples);
    let stencil = stencil.map_err(|error| Error::invalid(name, error.to_string()))?;
    Ok((name, stencil))
}

/// An operation's encoding, with the same bytes for immediates whatever these are.
fn encode(operation: usize, immediates: &[u8]) -> Vec<u8> {
    let number = operation as u8;
    let mut bytes = match operation >> 8 {
        0 => vec![number],
        page => vec![0xfb + page as u8, number | 0x80, u8::from(number >= 0x80)],
    };
    if operation >> 8 != 0 && number < 0x80 {
        bytes.truncate(1);
        bytes.push(number);
    }
    bytes.extend(immediates);
    bytes
}

fn read(bytes: &[u8]) -> Option<Operator<'_>> {
    let reader = BinaryReader::new_features(bytes, 0, FEATURES);
    OperatorsReader::new(reader).read().ok()
}

/// The stencils of a table as Rust source.
pub fn source(architecture: &str, rows: &[TableRow]) -> String {
    let mut text = format!(
        "//! Stencils for {architecture}, generated by `cargo xtask stencils`. Not to be edited.\n\n\
         use crate::baseline::table::row::{{Row, hole, row, trap}};\n\
         use upshift::embed::stencil::HoleKind::*;\n\
         use upshift::embed::stencil::Ty::*;\n\n\
         /// All of them, sorted by operation.\n\
         #[rustfmt::skip]\npub const ROWS: &[Row] = &[\n"
    );
    for row in rows {
        line(&mut text, row);
    }
    text.push_str("];\n");
    text
}

fn line(text: &mut String, row: &TableRow) {
    let stencil = row.stencil.as_stencil();
    let list = |items: Vec<String>| format!("&[{}]", items.join(", "));
    let types = |types: &[Ty]| list(types.iter().map(|ty| format!("{ty:?}")).collect());
    let traps = stencil.traps.iter();
    let traps = traps.map(|trap| format!("trap({}, {})", trap.offset, trap.kind));
    let holes = stencil.holes.iter();
    let holes = holes.map(|hole| format!("hole({}, {}, {:?})", hole.offset, hole.byte, hole.kind));
    let code: String = stencil
        .code
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let _ = writeln!(
        text,
        "    row({:#05x}, {:#06b}, ({}, {:?}), {:#x}, {}, ({}, {}), \"{code}\"), // {}",
        row.operation,
        row.variants,
        types(stencil.operands),
        stencil.result,
        stencil.clobbers,
        stencil.aligned,
        list(traps.collect()),
        list(holes.collect()),
        row.name,
    );
}

/// Lets tier 0 use the stencils of a lower level than the processor has, in the whole process, for tests.
pub fn use_level(level: usize) {
    stencils::set_level(level);
}
