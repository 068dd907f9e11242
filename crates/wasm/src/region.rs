//! Address space for one linear memory: a reservation as large as an address computation can reach, of which only the
//! memory's present pages are accessible.
//!
//! Code leaves it to the hardware to catch accesses that are past the memory's end but inside the reservation; how large
//! that is is said by `vmctx`. The pages are zero until written, and cost nothing until touched.

use std::ops::Range;
use std::ptr::NonNull;

/// A multiple of the size of a page on every machine.
const PAGE_BYTES_MAX: usize = 1 << 16;
/// For fewer bytes a system call is not worth it.
const WRITES_BYTES_MIN: usize = 1 << 17;
/// For fewer bytes large pages are not asked for; most machines' are of this size.
const LARGE_PAGE_BYTES: usize = 1 << 21;

/// A reserved range of addresses with an accessible part at its start.
pub(crate) struct Region {
    base: NonNull<u8>,
    reserved_bytes: usize,
    accessible_bytes: usize,
}

// SAFETY: the region owns its mapping, which any thread may use and unmap.
unsafe impl Send for Region {}

impl Region {
    /// Reserves `bytes` of addresses (a multiple of the page size), none accessible.
    pub(crate) fn reserve(bytes: usize) -> std::io::Result<Region> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        match NonNull::new(base.cast::<u8>()) {
            Some(base) => Ok(Region {
                base,
                reserved_bytes: bytes,
                accessible_bytes: 0,
            }),
            None => Err(std::io::Error::other("the reservation is at address zero")),
        }
    }

    /// Makes the first `bytes` accessible (a multiple of the page size); they never become inaccessible again.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> std::io::Result<()> {
        if bytes <= self.accessible_bytes {
            return Ok(());
        }
        if bytes > self.reserved_bytes {
            return Err(std::io::Error::other("larger than the reservation"));
        }
        let start = self.accessible_bytes;
        // SAFETY: the range lies in this region's own mapping.
        let result = unsafe {
            libc::mprotect(
                self.base.as_ptr().add(start).cast(),
                bytes - start,
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error());
        }
        self.accessible_bytes = bytes;
        Ok(())
    }

    /// Has the pages of `bytes`, which are accessible and about to be written, made at once. That costs a fraction of
    /// having them made one by one, when each is touched.
    pub(crate) fn expect_writes(&self, bytes: Range<usize>) {
        let bytes =
            bytes.start.next_multiple_of(PAGE_BYTES_MAX)..bytes.end.min(self.accessible_bytes);
        if bytes.len() < WRITES_BYTES_MIN {
            return;
        }
        // SAFETY: the range lies in this region's own mapping.
        unsafe { make_pages(self.base.as_ptr().add(bytes.start), bytes.len()) };
    }

    /// The first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The addresses reserved.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.base.as_ptr() as usize;
        start..start + self.reserved_bytes
    }
}

/// Makes the pages of `bytes` bytes from `start` on, which is a page's first byte: large ones where the kernel has them and
/// they fit, which takes a third of the time.
///
/// # Safety
/// The bytes must be mapped.
pub(crate) unsafe fn make_pages(start: *mut u8, bytes: usize) {
    let advise = |advice| {
        // SAFETY: the bytes are mapped, and the advice changes no contents. A kernel that does not know it declines.
        unsafe { libc::madvise(start.cast(), bytes, advice) };
    };
    if bytes >= LARGE_PAGE_BYTES {
        advise(libc::MADV_HUGEPAGE);
    }
    advise(libc::MADV_POPULATE_WRITE);
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is this region's own, and nothing refers to it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.reserved_bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_BYTES: usize = 1 << 16;

    #[test]
    fn grows_within_its_reservation() {
        let mut region = Region::reserve(1 << 32).unwrap();
        region.grow_to(PAGE_BYTES).unwrap();
        region.grow_to(2 * PAGE_BYTES).unwrap();
        region.grow_to(PAGE_BYTES).unwrap();
        // SAFETY: the byte is accessible and nobody else's.
        unsafe {
            let last = region.base().as_ptr().add(2 * PAGE_BYTES - 1);
            assert_eq!(last.read(), 0);
            last.write(7);
            assert_eq!(last.read(), 7);
        }
        region.grow_to(16 * PAGE_BYTES).unwrap();
        region.expect_writes(PAGE_BYTES + 1..usize::MAX);
        // SAFETY: as above.
        unsafe {
            assert_eq!(region.base().as_ptr().add(2 * PAGE_BYTES - 1).read(), 7);
            assert_eq!(region.base().as_ptr().add(9 * PAGE_BYTES).read(), 0);
        }
        assert!(region.grow_to((1 << 32) + PAGE_BYTES).is_err());
        assert_eq!(region.addresses().len(), 1 << 32);
    }
}
