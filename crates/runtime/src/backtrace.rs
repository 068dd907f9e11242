//! Guest frames as people see them, and the walk along frame pointers that finds them.

use std::fmt;
use std::mem::MaybeUninit;
use upshift_base::{FuncId, Tier};
use upshift_codemem::CodeMemory;

/// Frames that a backtrace keeps, innermost first; deeper ones are counted as cut off.
pub(crate) const FRAMES_MAX: usize = 64;

/// One activation of a guest function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The function.
    pub function: FuncId,
    /// Its name as its front end gives it.
    pub name: String,
    /// Where in it: the front end's source position, for WebAssembly the byte offset in the module.
    pub position: Option<u32>,
    /// The tier of the code that ran.
    pub tier: Tier,
}

/// The guest functions that were active when something went wrong, innermost first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backtrace {
    /// The frames, at most 64.
    pub frames: Vec<Frame>,
    /// Whether there were more.
    pub truncated: bool,
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, frame) in self.frames.iter().enumerate() {
            write!(f, "\n  {index:>2}: {}", frame.name)?;
            if let Some(position) = frame.position {
                write!(f, " at {position:#x}")?;
            }
            write!(f, " (tier {})", frame.tier)?;
        }
        if self.truncated {
            write!(f, "\n      more frames, not shown")?;
        }
        Ok(())
    }
}

/// Program counters of guest frames, in a buffer of fixed size: filled in by signal handlers too.
/// Not cleared when it is made, because every call into guest code makes one.
pub(crate) struct Counters {
    pcs: [MaybeUninit<usize>; FRAMES_MAX],
    len: usize,
    truncated: bool,
}

impl Counters {
    pub(crate) const fn new() -> Counters {
        Counters {
            pcs: [MaybeUninit::uninit(); FRAMES_MAX],
            len: 0,
            truncated: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.truncated = false;
    }

    pub(crate) fn push(&mut self, pc: usize) {
        match self.pcs.get_mut(self.len) {
            Some(place) => {
                place.write(pc);
                self.len += 1;
            }
            None => self.truncated = true,
        }
    }

    pub(crate) fn pcs(&self) -> impl Iterator<Item = usize> {
        let written = self.pcs.iter().take(self.len);
        // SAFETY: the first `len` have been written.
        written.map(|pc| unsafe { pc.assume_init() })
    }

    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    /// Adds the callers of the guest frame whose saved frame pointer and return address lie at `frame`, up to the
    /// first return address outside of `memory`.
    ///
    /// # Safety
    /// `frame` must be the frame pointer of a frame on this thread's stack whose callers are guest code of `memory`,
    /// entered through a trampoline.
    pub(crate) unsafe fn walk(&mut self, memory: &CodeMemory, mut frame: usize) {
        while !self.truncated && frame != 0 && frame.is_multiple_of(8) {
            // SAFETY: guest code keeps frame pointers, so the two words at `frame` are the caller's frame pointer and
            // the return address.
            let (caller, return_address) =
                unsafe { (*(frame as *const usize), *(frame as *const usize).add(1)) };
            if !memory.contains(return_address) {
                return;
            }
            // The call itself, not what follows it.
            self.push(return_address - 1);
            if caller <= frame {
                return;
            }
            frame = caller;
        }
    }
}
