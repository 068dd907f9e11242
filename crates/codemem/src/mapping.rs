//! The memory itself: the reserved range, the two views of its executable part, and what goes on between them and the
//! operating system.

use crate::error::CodeMemoryError;
use crate::layout::Layout;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::ptr;

/// Bytes of a page.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: sysconf has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

/// The reserved range with its views, made by one process.
///
/// Methods take offsets from the start of the range. Which bytes may be written when is the callers' business: the
/// table's for what it lays out, the heap's for the rest.
#[derive(Debug)]
pub(crate) struct Mapping {
    layout: Layout,
    range: Region,
    writable: Region,
    file: File,
}

impl Mapping {
    /// Maps everything, all zero.
    pub fn new(layout: Layout) -> Result<Mapping, CodeMemoryError> {
        let executable = layout.executable();
        let file = memory_file(executable.len())?;
        // A forked child keeps the data part alone.
        let range = Region::reserve(layout.reserved_bytes, executable.start)?;
        range.map(
            0..executable.start,
            libc::PROT_READ | libc::PROT_WRITE,
            None,
        )?;
        range.map(
            executable.clone(),
            libc::PROT_READ | libc::PROT_EXEC,
            Some(&file),
        )?;
        let writable = Region::reserve(executable.len(), 0)?;
        writable.map(
            0..executable.len(),
            libc::PROT_READ | libc::PROT_WRITE,
            Some(&file),
        )?;
        range.keep_from_children(executable.clone())?;
        writable.keep_from_children(0..executable.len())?;
        // A table is touched here and there: a huge page for one function's cell would be waste. A kernel that has no
        // huge pages declines, which is just as well.
        let _ = range.advise(0..executable.start, libc::MADV_NOHUGEPAGE, "advise");
        Ok(Mapping {
            layout,
            range,
            writable,
            file,
        })
    }

    /// Where everything is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The address of `offset`.
    pub fn address(&self, offset: usize) -> usize {
        self.range.start + offset
    }

    /// The addresses of the executable part.
    pub fn executable_addresses(&self) -> Range<usize> {
        self.address(self.layout.stubs)..self.address(self.layout.reserved_bytes)
    }

    /// The same byte of the executable part in the view that can be written.
    pub fn writable(&self, offset: usize) -> *mut u8 {
        debug_assert!(self.layout.executable().contains(&offset));
        ptr::with_exposed_provenance_mut(self.writable.start + (offset - self.layout.stubs))
    }

    /// Fails in a forked child, which has no executable part.
    pub fn check_owner(&self) -> Result<(), CodeMemoryError> {
        if self.range.is_own() {
            Ok(())
        } else {
            Err(CodeMemoryError::Forked)
        }
    }

    /// Puts memory behind the pages of `offsets` of the executable part. Writing to them would do that too, but with a
    /// fatal signal if there is none left.
    pub fn commit(&self, offsets: Range<usize>) -> Result<(), CodeMemoryError> {
        let stubs = self.layout.stubs;
        let in_view = offsets.start - stubs..offsets.end - stubs;
        let populate = libc::MADV_POPULATE_WRITE;
        if self.writable.advise(in_view, populate, "populate").is_ok() {
            // That is the same, and has them mapped for writing too, all at once. Kernels before 5.14 do not know it.
            return Ok(());
        }
        self.allocate_file(offsets, 0)
            .map_err(|reason| CodeMemoryError::System {
                action: "get memory",
                reason,
            })
    }

    /// Gives the memory behind the pages of `offsets` of the executable part back. They read as zeros from now on.
    pub fn release(&self, offsets: Range<usize>) -> bool {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        self.allocate_file(offsets, mode).is_ok()
    }

    /// Makes the pages of `offsets` inaccessible where code is executed, or what they were again.
    pub fn seal(&self, offsets: Range<usize>, sealed: bool) -> Result<(), CodeMemoryError> {
        debug_assert!(self.layout.executable().start <= offsets.start);
        let protection = match sealed {
            true => libc::PROT_NONE,
            false => libc::PROT_READ | libc::PROT_EXEC,
        };
        let address = ptr::with_exposed_provenance_mut(self.range.start + offsets.start);
        // SAFETY: the addresses are this mapping's own, and the caller's: there is no code that anyone may be in.
        if unsafe { libc::mprotect(address, offsets.len(), protection) } != 0 {
            return Err(system_error("change the protection of memory"));
        }
        Ok(())
    }

    fn allocate_file(&self, offsets: Range<usize>, mode: libc::c_int) -> io::Result<()> {
        let start = (offsets.start - self.layout.stubs) as libc::off_t;
        let length = offsets.len() as libc::off_t;
        loop {
            // SAFETY: the descriptor is open; fallocate touches no memory of this process but through the views, and
            // their pages in `offsets` are the caller's.
            if unsafe { libc::fallocate(self.file.as_raw_fd(), mode, start, length) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Bytes of memory behind the executable part.
    pub fn executable_resident_bytes(&self) -> usize {
        self.file
            .metadata()
            .map_or(0, |metadata| metadata.blocks() as usize * 512)
    }
}

/// Addresses of this process's, unmapped when dropped.
#[derive(Debug)]
struct Region {
    start: usize,
    bytes: usize,
    /// How many of them a forked child has too.
    inherited_bytes: usize,
    owner: u32,
}

impl Region {
    /// Takes `bytes` bytes of addresses with nothing behind them.
    fn reserve(bytes: usize, inherited_bytes: usize) -> Result<Region, CodeMemoryError> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping where the kernel likes touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(system_error("reserve addresses"));
        }
        Ok(Region {
            start: start.expose_provenance(),
            bytes,
            inherited_bytes,
            owner: std::process::id(),
        })
    }

    /// Maps `offsets`: the whole of `file`, or memory of its own.
    fn map(
        &self,
        offsets: Range<usize>,
        protection: libc::c_int,
        file: Option<&File>,
    ) -> Result<(), CodeMemoryError> {
        debug_assert!(offsets.end <= self.bytes);
        let (kind, descriptor) = match file {
            Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
            None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
        };
        let flags = kind | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let address = ptr::with_exposed_provenance_mut(self.start + offsets.start);
        // SAFETY: the addresses are this region's own, and nothing points into them yet.
        let start = unsafe { libc::mmap(address, offsets.len(), protection, flags, descriptor, 0) };
        if start == libc::MAP_FAILED {
            return Err(system_error("map memory"));
        }
        Ok(())
    }

    fn keep_from_children(&self, offsets: Range<usize>) -> Result<(), CodeMemoryError> {
        self.advise(offsets, libc::MADV_DONTFORK, "keep memory from children")
    }

    fn advise(
        &self,
        offsets: Range<usize>,
        advice: libc::c_int,
        action: &'static str,
    ) -> Result<(), CodeMemoryError> {
        let address = ptr::with_exposed_provenance_mut(self.start + offsets.start);
        // SAFETY: the addresses are this region's own, and the advices used here change no contents.
        if unsafe { libc::madvise(address, offsets.len(), advice) } != 0 {
            return Err(system_error(action));
        }
        Ok(())
    }

    fn is_own(&self) -> bool {
        self.owner == std::process::id()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // In a forked child the rest of the addresses may be someone else's by now.
        let bytes = if self.is_own() {
            self.bytes
        } else {
            self.inherited_bytes
        };
        if bytes > 0 {
            // SAFETY: the addresses are this region's own, and whoever pointed into them held the region.
            unsafe { libc::munmap(ptr::with_exposed_provenance_mut(self.start), bytes) };
        }
    }
}

/// A file in memory, of zeros.
fn memory_file(bytes: usize) -> Result<File, CodeMemoryError> {
    // Exceeding the limit would be a fatal signal.
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a place for the limit.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } == 0;
    if known && limit.rlim_cur < bytes as u64 {
        return Err(CodeMemoryError::System {
            action: "create a file in memory",
            reason: io::Error::from_raw_os_error(libc::EFBIG),
        });
    }
    // Files that may never be run as programs are all that some systems allow; mapping them to be executed is another
    // matter. Kernels before 6.3 do not know the flag.
    const MFD_NOEXEC_SEAL: libc::c_uint = 8;
    let create = |flags| {
        // SAFETY: the name is a C string.
        let descriptor = unsafe { libc::memfd_create(c"upshift-code".as_ptr(), flags) };
        // SAFETY: a descriptor that was returned is new, and nobody else's.
        (descriptor >= 0).then(|| unsafe { File::from_raw_fd(descriptor) })
    };
    let file = create(libc::MFD_CLOEXEC | MFD_NOEXEC_SEAL)
        .or_else(|| create(libc::MFD_CLOEXEC))
        .ok_or_else(|| system_error("create a file in memory"))?;
    file.set_len(bytes as u64)
        .map_err(|reason| CodeMemoryError::System {
            action: "size a file in memory",
            reason,
        })?;
    Ok(file)
}

fn system_error(action: &'static str) -> CodeMemoryError {
    CodeMemoryError::System {
        action,
        reason: io::Error::last_os_error(),
    }
}

/// Makes every thread of this process drop instructions that it fetched before, as far as the kernel can (from 4.16).
pub(crate) fn sync_cores() {
    // Of linux/membarrier.h.
    const PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 5;
    const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 6;
    let barrier = || membarrier(PRIVATE_EXPEDITED_SYNC_CORE);
    // A process has to register first. That takes milliseconds once there are threads, so it waits until it is needed.
    if barrier().is_err() && membarrier(REGISTER_PRIVATE_EXPEDITED_SYNC_CORE).is_ok() {
        let _ = barrier();
    }
}

fn membarrier(command: libc::c_int) -> io::Result<()> {
    // SAFETY: the call touches no memory.
    match unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
