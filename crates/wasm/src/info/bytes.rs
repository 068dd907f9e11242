//! The bytes of a module: in memory, or in a file whose code section is mapped.
//!
//! A mapped section is read where and when it is needed, which for a large program is far less than all of it. But a file
//! can be changed by others at any time. So only the code section is mapped, and nothing of it that has been checked may
//! be read from it again: who checks a function copies it first.

use crate::region::make_pages;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

/// A module in its binary form.
pub struct ModuleBytes(Place);

enum Place {
    Memory(Vec<u8>),
    File(Mapping),
}

/// Memory in the form of a file, of which a part is the file.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

/// A multiple of the size of a page on every machine.
const PAGE_BYTES_MAX: usize = 1 << 16;
/// The number of the code section.
const CODE_SECTION: u8 = 10;
/// Bytes before the first section.
const HEADER_BYTES: usize = 8;

// SAFETY: the mapping is owned and is only read.
unsafe impl Send for Mapping {}
// SAFETY: likewise.
unsafe impl Sync for Mapping {}

impl ModuleBytes {
    /// Maps the code section of a file and reads the rest. If the file is made shorter while it is mapped, using a function
    /// for the first time may end the process by a signal.
    ///
    /// # Errors
    /// If the operating system refuses it, or the file changes meanwhile.
    pub fn map(file: &File) -> io::Result<ModuleBytes> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let code = code_section(len, |at, to| file.read_exact_at(to, at as u64));
        let start = code.start.next_multiple_of(PAGE_BYTES_MAX);
        let end = code.end / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
        if start >= end {
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0)?;
            return Ok(bytes.into());
        }
        let mut mapping = Mapping::new(len)?;
        mapping.map(file, start..end)?;
        mapping.expect_writes(0..start);
        mapping.expect_writes(end..len);
        let bytes = mapping.bytes_mut();
        file.read_exact_at(&mut bytes[..start], 0)?;
        file.read_exact_at(&mut bytes[end..], end as u64)?;
        // The parser is going to find the section where it was found above: what leads to it has been read now.
        let again = code_section(len, |at, to| {
            let from = bytes.get(at..at + to.len());
            to.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        });
        if again != code {
            return Err(io::Error::other("the file changes while it is read"));
        }
        Ok(ModuleBytes(Place::File(mapping)))
    }
}

/// Where the content of the code section is; empty if there is none, or the file is no module.
fn code_section(len: usize, read: impl Fn(usize, &mut [u8]) -> io::Result<()>) -> Range<usize> {
    let mut at = HEADER_BYTES;
    loop {
        let mut head = [0; 6];
        let known = head.len().min(len.saturating_sub(at));
        if known < 2 || read(at, &mut head[..known]).is_err() {
            return 0..0;
        }
        let (mut size, mut digits) = (0, 0);
        for byte in &head[1..known] {
            size |= usize::from(byte & 0x7f) << (7 * digits);
            digits += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let start = at + 1 + digits;
        let end = start.saturating_add(size);
        match head[0] {
            _ if end > len => return 0..0,
            CODE_SECTION => return start..end,
            _ => at = end,
        }
    }
}

impl Mapping {
    /// Memory that is zero.
    fn new(len: usize) -> io::Result<Mapping> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0) };
        let start = placed(start)?;
        Ok(Mapping { start, len })
    }

    /// Maps a part of a file, of whole pages, to the same part of this.
    fn map(&mut self, file: &File, part: Range<usize>) -> io::Result<()> {
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        let offset = libc::off_t::try_from(part.start).map_err(io::Error::other)?;
        // SAFETY: the part lies in this mapping, nobody else refers to it, and nothing of it has been read.
        let start = unsafe {
            let place = self.start.as_ptr().add(part.start).cast();
            let file = file.as_raw_fd();
            libc::mmap(place, part.len(), libc::PROT_READ, flags, file, offset)
        };
        placed(start).map(drop)
    }

    /// Has the pages of a part that begins on a page and is about to be written made at once, which costs a fraction of having
    /// them made one by one.
    fn expect_writes(&mut self, part: Range<usize>) {
        // SAFETY: the part lies in this mapping.
        unsafe { make_pages(self.start.as_ptr().add(part.start), part.len()) };
    }

    /// The bytes. Those of a part that is a file must not be written.
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is as long as this says, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// The address that `mmap` returned.
fn placed(address: *mut libc::c_void) -> io::Result<NonNull<u8>> {
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(address.cast()).ok_or_else(|| io::Error::other("address zero"))
}

impl From<Vec<u8>> for ModuleBytes {
    fn from(bytes: Vec<u8>) -> ModuleBytes {
        ModuleBytes(Place::Memory(bytes))
    }
}

impl Deref for ModuleBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Memory(bytes) => bytes,
            // SAFETY: the mapping is as long as this says, and lives as long as `self`. Its bytes may change under the
            // reader's eyes, as with any mapped file; whoever relies on them copies them.
            Place::File(mapping) => unsafe {
                std::slice::from_raw_parts(mapping.start.as_ptr(), mapping.len)
            },
        }
    }
}

impl fmt::Debug for ModuleBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's own, and nothing refers to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with a code section of `bytes` bytes between two others.
    fn module(bytes: usize) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0\x01\x01\0\x0a".to_vec();
        module.extend((0..4).map(|digit| (bytes >> (7 * digit)) as u8 & 0x7f | 0x80));
        module.push((bytes >> 28) as u8);
        module.extend((0..bytes).map(|byte| (byte % 251) as u8));
        module.extend(b"\x0b\x02\x01\x02");
        module
    }

    #[test]
    fn a_mapped_module_is_the_file() {
        for bytes in [
            0,
            1,
            PAGE_BYTES_MAX,
            3 * PAGE_BYTES_MAX,
            5 * PAGE_BYTES_MAX + 7,
        ] {
            let path = std::env::temp_dir().join(format!("upshift-bytes-{}", std::process::id()));
            let module = module(bytes);
            std::fs::write(&path, &module).unwrap();
            let mapped = ModuleBytes::map(&File::open(&path).unwrap()).unwrap();
            assert!(mapped[..] == module[..], "{bytes}");
            assert_eq!(
                matches!(mapped.0, Place::File(_)),
                bytes > 2 * PAGE_BYTES_MAX
            );
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn the_code_section_is_found_or_there_is_none() {
        let find = |bytes: &[u8]| {
            code_section(bytes.len(), |at, to| {
                to.copy_from_slice(&bytes[at..at + to.len()]);
                Ok(())
            })
        };
        let whole = module(300);
        assert_eq!(find(&whole), 17..317);
        for end in 0..317 {
            assert_eq!(find(&whole[..end]), 0..0, "{end}");
        }
        assert_eq!(find(b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\xff\xff"), 0..0);
    }
}
