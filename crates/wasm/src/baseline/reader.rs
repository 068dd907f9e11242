//! Reads a function's bytes, which are valid: no operator is made a value, and no length is checked twice.

use crate::types::ValType;
use upshift::embed::CompileError;

/// A place in a function's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'m> {
    /// The function's body.
    bytes: &'m [u8],
    /// Where it begins in the module.
    start: usize,
    /// Where the next byte is in it.
    at: usize,
    /// The body up to where, at the latest, something is to be looked at before the next operator is read.
    ahead: &'m [u8],
}

/// What a memory access says of its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// Which memory.
    pub(super) memory: u32,
    /// Added to the index.
    pub(super) offset: u64,
}

/// The type of a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum BlockType {
    /// It takes and leaves nothing.
    Empty,
    /// It leaves one value.
    Value(ValType),
    /// That of the function type of this index.
    Function(u32),
}

impl<'m> Reader<'m> {
    /// At the beginning of a function's body, which is at `start` in the module.
    pub(super) fn new(bytes: &'m [u8], start: u32) -> Reader<'m> {
        Reader {
            bytes,
            start: start as usize,
            at: 0,
            ahead: bytes,
        }
    }

    /// Whether a stop has been reached.
    #[inline(always)]
    pub(super) fn is_at_stop(&self) -> bool {
        self.at >= self.ahead.len()
    }

    /// Stops at that place in the module, or at the end if that is before it.
    pub(super) fn stop_at(&mut self, position: usize) {
        let stop = position.saturating_sub(self.start).min(self.bytes.len());
        self.ahead = &self.bytes[..stop];
    }

    /// The next byte, unless a stop has been reached.
    #[inline(always)]
    pub(super) fn byte_ahead(&mut self) -> Option<u8> {
        let byte = self.peek_ahead()?;
        self.at += 1;
        Some(byte)
    }

    /// The same byte, which stays.
    #[inline(always)]
    pub(super) fn peek_ahead(&self) -> Option<u8> {
        self.ahead.get(self.at).copied()
    }

    /// Whether there is nothing left.
    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Where the next byte is in the module.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.start + self.at
    }

    /// Goes on at another place.
    pub(super) fn set_position(&mut self, position: usize) {
        self.at = position.wrapping_sub(self.start);
    }

    /// The body from that position on.
    pub(super) fn bytes_from(&self, position: usize) -> &'m [u8] {
        let at = position.wrapping_sub(self.start);
        self.bytes.get(at..).unwrap_or_default()
    }

    /// The next byte, which stays; 0 behind the end.
    #[inline(always)]
    pub(super) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// The next byte.
    #[inline(always)]
    pub(super) fn byte(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// An unsigned number of up to 32 bits.
    #[inline(always)]
    pub(super) fn u32(&mut self) -> u32 {
        let byte = self.peek();
        if byte < 0x80 {
            self.at += 1;
            return u32::from(byte);
        }
        self.long().0 as u32
    }

    /// A signed number of up to 32 bits.
    #[inline(always)]
    pub(super) fn i32(&mut self) -> i32 {
        self.i64() as i32
    }

    /// A signed number of up to 64 bits.
    #[inline(always)]
    pub(super) fn i64(&mut self) -> i64 {
        let byte = self.peek();
        if byte < 0x80 {
            self.at += 1;
            return i64::from(byte.cast_signed() << 1 >> 1);
        }
        let (value, bits) = self.long();
        let above = 64u32.saturating_sub(bits);
        value.cast_signed() << above >> above
    }

    /// A number of any length: its bits, and how many there are.
    #[inline(never)]
    fn long(&mut self) -> (u64, u32) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if let Some(&[first, second]) = rest.first_chunk()
            && second < 0x80
        {
            self.at += 2;
            return (u64::from(first & 0x7f) | (u64::from(second) << 7), 14);
        }
        if let Some(word) = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk())
        {
            let word = u64::from_le_bytes(*word);
            let last = !word & 0x8080_8080_8080_8080;
            if last != 0 {
                let bytes = last.trailing_zeros() / 8 + 1;
                self.at += bytes as usize;
                return (sevens(word & (u64::MAX >> (64 - 8 * bytes))), 7 * bytes);
            }
        }
        let (mut value, mut bits) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << (bits & 63);
            bits += 7;
            if byte < 0x80 || bits >= 70 {
                return (value, bits);
            }
        }
    }

    /// The next 4 bytes.
    pub(super) fn bits32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// The next 8 bytes.
    pub(super) fn bits64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// The next 16 bytes.
    pub(super) fn bits128(&mut self) -> u128 {
        u128::from_le_bytes(self.array())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let bytes = self.bytes_from(self.position()).first_chunk().copied();
        self.at += N;
        bytes.unwrap_or([0; N])
    }

    /// What a load or store says of its place.
    #[inline(always)]
    pub(super) fn access(&mut self) -> Access {
        // Bit 6 of the alignment says that the memory is named.
        let memory = if self.u32() & 0x40 == 0 {
            0
        } else {
            self.u32()
        };
        let offset = u64::from(self.u32());
        Access { memory, offset }
    }

    /// The type of a block.
    pub(super) fn block_type(&mut self) -> Result<BlockType, CompileError> {
        Ok(match self.peek() {
            0x40 => {
                self.at += 1;
                BlockType::Empty
            }
            0x41..=0x7f => BlockType::Value(self.value_type()?),
            _ => BlockType::Function(self.u32()),
        })
    }

    /// The type of a value.
    pub(super) fn value_type(&mut self) -> Result<ValType, CompileError> {
        match self.byte() {
            0x7f => Ok(ValType::I32),
            0x7e => Ok(ValType::I64),
            0x7d => Ok(ValType::F32),
            0x7c => Ok(ValType::F64),
            0x7b => Ok(ValType::V128),
            0x70 => Ok(ValType::FuncRef),
            0x6f => Ok(ValType::ExternRef),
            _ => Err(CompileError::Bailout("a type of value".to_owned())),
        }
    }
}

/// The low seven bits of each byte, put together.
#[inline(always)]
fn sevens(word: u64) -> u64 {
    let two = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let four = (two & 0x0000_3fff_0000_3fff) | ((two & 0x3fff_0000_3fff_0000) >> 2);
    (four & 0x0fff_ffff) | ((four >> 32 & 0x0fff_ffff) << 28)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::BinaryReader;

    /// Numbers of every length, minimal and padded, as wasmparser reads them.
    #[test]
    fn numbers_are_what_another_reader_finds() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..200_000u32 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let mut bytes = (state >> 3).to_le_bytes().repeat(2);
            let last = round as usize % 10;
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = if index < last {
                    *byte | 0x80
                } else {
                    *byte & 0x7f
                };
            }
            let mut other = BinaryReader::new(&bytes, 0);
            if let Ok(value) = other.read_var_u32() {
                let mut reader = Reader::new(&bytes, 0);
                assert_eq!((reader.u32(), reader.position()), (value, last + 1));
            }
            let mut other = BinaryReader::new(&bytes, 0);
            if let Ok(value) = other.read_var_i32() {
                let mut reader = Reader::new(&bytes, 0);
                assert_eq!((reader.i32(), reader.position()), (value, last + 1));
            }
            let mut other = BinaryReader::new(&bytes, 0);
            if let Ok(value) = other.read_var_i64() {
                let mut reader = Reader::new(&bytes, 0);
                assert_eq!((reader.i64(), reader.position()), (value, last + 1));
            }
        }
    }
}
