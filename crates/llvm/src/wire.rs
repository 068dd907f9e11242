//! Frames and the values in them. All numbers are little-endian; nothing that is read is trusted.
//!
//! A frame is its length in 4 bytes, a checksum in 8, and as many bytes. A reader never sets memory aside for more than has
//! arrived. The checksum is for accidents: code that was damaged on its way must not run.

use std::io::{self, Read, Write};
use thiserror::Error;

/// A longer frame is refused: the largest function bodies are a tenth of that.
pub const FRAME_BYTES_MAX: u32 = 256 << 20;

/// Items of a list that memory is set aside for before they have been seen.
const LIST_CAPACITY_MAX: usize = 1024;

/// The length and the checksum.
const HEADER_BYTES: usize = 12;

/// What is wrong with a message.
#[derive(Debug, Error)]
pub enum WireError {
    /// The stream failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The stream ended in the middle of a frame.
    #[error("the connection ended in the middle of a message")]
    CutOff,
    /// The frame is longer than is allowed.
    #[error("a message of {0} bytes is too long")]
    TooLong(u32),
    /// The bytes are not the message that they should be.
    #[error("a malformed message: {0}")]
    Malformed(&'static str),
}

/// The 64-bit FNV-1a hash of Fowler, Noll and Vo, over words of 8 bytes.
fn checksum(payload: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let (words, rest) = payload.as_chunks();
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| {
        // So that high bits come to bear on low ones too.
        step(hash, u64::from_le_bytes(*word)).rotate_left(29)
    });
    rest.iter()
        .fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

/// Writes one frame.
///
/// # Errors
/// If it is too long, or the stream fails.
pub fn write_frame(stream: &mut impl Write, payload: &[u8]) -> Result<(), WireError> {
    let bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    if bytes > FRAME_BYTES_MAX {
        return Err(WireError::TooLong(bytes));
    }
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&bytes.to_le_bytes());
    header[4..].copy_from_slice(&checksum(payload).to_le_bytes());
    stream.write_all(&header)?;
    stream.write_all(payload)?;
    Ok(stream.flush()?)
}

/// Reads one frame; `None` at the end of the stream.
///
/// # Errors
/// If it is too long, cut off or damaged, or the stream fails.
pub fn read_frame(stream: &mut impl Read) -> Result<Option<Vec<u8>>, WireError> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let mut limited = Read::by_ref(stream).take(HEADER_BYTES as u64);
    match limited.read_to_end(&mut header)? {
        0 => return Ok(None),
        HEADER_BYTES => {}
        _ => return Err(WireError::CutOff),
    }
    let mut d = Decoder(&header);
    let (bytes, sum) = (d.u32()?, d.u64()?);
    if bytes > FRAME_BYTES_MAX {
        return Err(WireError::TooLong(bytes));
    }
    let mut payload = Vec::new();
    stream.take(u64::from(bytes)).read_to_end(&mut payload)?;
    if payload.len() != bytes as usize {
        return Err(WireError::CutOff);
    }
    if checksum(&payload) != sum {
        return Err(WireError::Malformed("its checksum is wrong"));
    }
    Ok(Some(payload))
}

/// Puts values into a payload.
#[derive(Debug, Default)]
pub struct Encoder(pub Vec<u8>);

impl Encoder {
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        // A frame that is longer than a length can say is refused as a whole.
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
    }

    pub fn list<T>(&mut self, items: &[T], mut encode: impl FnMut(&mut Encoder, &T)) {
        self.u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            encode(self, item);
        }
    }
}

/// Takes values out of a payload.
#[derive(Debug)]
pub struct Decoder<'a>(pub &'a [u8]);

impl<'a> Decoder<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self
            .0
            .split_at_checked(bytes)
            .ok_or(WireError::Malformed("it ends too early"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn bool(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Malformed("a truth value is neither 0 nor 1")),
        }
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let bytes = self.u32()?;
        self.take(bytes as usize)
    }

    pub fn text(&mut self) -> Result<String, WireError> {
        let text = std::str::from_utf8(self.bytes()?);
        let text = text.map_err(|_| WireError::Malformed("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    /// Items of at least one byte each.
    pub fn list<T>(
        &mut self,
        mut decode: impl FnMut(&mut Decoder<'a>) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.u32()?;
        // What is claimed to come costs nothing; what comes does.
        let mut items = Vec::with_capacity((count as usize).min(LIST_CAPACITY_MAX));
        for _ in 0..count {
            items.push(decode(self)?);
        }
        Ok(items)
    }

    pub fn end(&self) -> Result<(), WireError> {
        match self.0 {
            [] => Ok(()),
            _ => Err(WireError::Malformed("there are bytes left over")),
        }
    }
}
