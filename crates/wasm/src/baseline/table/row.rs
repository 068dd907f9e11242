//! The rows that a table of stencils is written in.

use upshift::embed::stencil::{Hole, HoleKind, StencilTrap, Ty};

/// One stencil.
#[derive(Clone, Copy)]
pub struct Row {
    /// The operation's number.
    pub operation: u16,
    /// The variants that this is the stencil of, as bits.
    pub variants: u8,
    /// What it pops and pushes.
    pub types: (&'static [Ty], Option<Ty>),
    /// Registers that it changes, as bits.
    pub clobbers: u64,
    /// Whether it reads constants of its own.
    pub aligned: bool,
    /// Where it may trap, and what is to be filled in.
    pub fixups: (&'static [StencilTrap], &'static [Hole]),
    /// Its code in hexadecimal.
    pub code: &'static str,
}

/// Makes a row.
pub const fn row(
    operation: u16,
    variants: u8,
    types: (&'static [Ty], Option<Ty>),
    clobbers: u64,
    aligned: bool,
    fixups: (&'static [StencilTrap], &'static [Hole]),
    code: &'static str,
) -> Row {
    Row {
        operation,
        variants,
        types,
        clobbers,
        aligned,
        fixups,
        code,
    }
}

/// A place that may trap.
pub const fn trap(offset: u16, kind: u8) -> StencilTrap {
    StencilTrap { offset, kind }
}

/// A byte to be filled in.
pub const fn hole(offset: u16, byte: u8, kind: HoleKind) -> Hole {
    Hole { offset, byte, kind }
}

/// Operations have numbers below this: the opcode, or 256 and the number behind the prefix 0xfc, or 512 and the number
/// behind 0xfd.
pub const OPERATIONS: usize = 3 << 8;
/// A table has at most so many variants: for each level of processors one that makes NaNs canonical and one that does
/// not.
pub const VARIANTS: usize = 4;

/// The number of the variant of a level.
pub const fn variant(level: usize, canonical_nans: bool) -> usize {
    level * 2 + canonical_nans as usize
}

/// The number of the operation that starts with these bytes.
pub fn operation_number(bytes: &[u8]) -> Option<usize> {
    let (&first, rest) = bytes.split_first()?;
    let page = match first {
        0xfc => 1 << 8,
        0xfd => 2 << 8,
        _ => return Some(usize::from(first)),
    };
    let mut number = 0;
    for (index, byte) in rest.iter().take(5).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (number < 1 << 8).then_some(page + number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_encoding_however_long_it_is() {
        assert_eq!(operation_number(&[0x67]), Some(0x67));
        assert_eq!(operation_number(&[0xfc, 3]), Some(0x103));
        assert_eq!(operation_number(&[0xfd, 0x80, 0x01]), Some(0x280));
        assert_eq!(operation_number(&[0xfd, 0x8d, 0x80, 0x00]), Some(0x20d));
        assert_eq!(operation_number(&[0xfd, 0x80, 0x02]), None);
        assert_eq!(operation_number(&[0xfd, 0x80]), None);
        assert_eq!(operation_number(&[]), None);
    }
}
