//! The bytes of a module: in memory, or in a file that is mapped.
//!
//! A mapped file is read where and when it is needed, which for a large program is far less than all of it. But it can be
//! changed by others at any time. So what has been checked must not be read from the file again: before a function is
//! validated, the pages that it lies on become the process's own, and from then on no change of the file reaches them.

use super::span::Span;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

/// A module in its binary form.
pub struct ModuleBytes(Place);

enum Place {
    Memory(Vec<u8>),
    File(Mapping),
}

/// A private mapping of a whole file.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is owned, is read by whoever has it, and is written only as `make_private` says.
unsafe impl Send for Mapping {}
// SAFETY: likewise.
unsafe impl Sync for Mapping {}

/// What is smaller than any page.
const PAGE_BYTES_MIN: usize = 4096;

impl ModuleBytes {
    /// Maps a file. What is not made private shows the file's content whenever it is read; if the file is made shorter
    /// meanwhile, the process ends by a signal.
    ///
    /// # Errors
    /// If the operating system refuses it.
    pub fn map(file: &File) -> io::Result<ModuleBytes> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if len == 0 {
            return Ok(Vec::new().into());
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                access,
                flags,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("address zero"))?;
        Ok(ModuleBytes(Place::File(Mapping { start, len })))
    }

    /// Makes a part independent of the file that it comes from.
    pub(super) fn make_private(&self, span: Span) {
        let Place::File(mapping) = &self.0 else {
            return;
        };
        let end = (span.end as usize).min(mapping.len);
        let mut at = span.start as usize;
        while at < end {
            // SAFETY: the byte lies in the mapping, which is writable.
            let byte = unsafe { AtomicU8::from_ptr(mapping.start.as_ptr().add(at)) };
            // A write of what is there already makes the kernel copy the page.
            let same = |value| Some(value);
            let _ = byte.fetch_update(Ordering::Relaxed, Ordering::Relaxed, same);
            at = (at / PAGE_BYTES_MIN + 1) * PAGE_BYTES_MIN;
        }
    }
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
            // SAFETY: the mapping is as long as this says, and lives as long as `self`.
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
    use std::os::unix::fs::FileExt;

    #[test]
    fn what_is_private_does_not_follow_the_file() {
        let path = std::env::temp_dir().join(format!("upshift-mapped-{}", std::process::id()));
        std::fs::write(&path, vec![1; 4 * PAGE_BYTES_MIN]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let bytes = ModuleBytes::map(&file).unwrap();
        let (from, to) = (PAGE_BYTES_MIN - 10, 2 * PAGE_BYTES_MIN + 10);
        bytes.make_private(Span {
            start: from as u32,
            end: to as u32,
        });
        file.write_all_at(&vec![2; 4 * PAGE_BYTES_MIN], 0).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(bytes[from..to].iter().all(|&byte| byte == 1));
        assert_eq!(bytes.len(), 4 * PAGE_BYTES_MIN);
    }
}
