//! Where functions come from: a front end that can produce each body whenever a tier asks for it.

use cranelift_codegen::ir;
use upshift_base::FuncId;
use upshift_codegen::osr::FrameValue;
use upshift_codegen::{BaselineRequest, CompileError, CompiledCode};

/// The bodies of a group of functions, produced on demand.
///
/// A body is asked for at the function's first call, on the calling thread, and again for each later tier, on a worker
/// thread. It must be the same each time. Names in it follow [`upshift_codegen::symbol`]; profile counters are planted
/// afterwards, by the runtime.
pub trait FunctionSource: Send + Sync {
    /// The CLIF of function `index` of the group, whose first function is `first`.
    ///
    /// # Errors
    /// If the body cannot be made; the reason ends up in the trap of whoever calls the function.
    fn body(&self, index: u32, first: FuncId) -> Result<ir::Function, CompileError>;

    /// The same with the marks of [`upshift_codegen::osr`] at its loops, for tiers that have a better one above them.
    /// Loops that are not marked are counted all the same.
    ///
    /// # Errors
    /// As [`FunctionSource::body`].
    fn body_with_osr_points(
        &self,
        index: u32,
        first: FuncId,
    ) -> Result<ir::Function, CompileError> {
        self.body(index, first)
    }

    /// The OSR version of the function's loop `loop_index`, which loads the values that the mark of this loop lists; with
    /// marks of its own if `points`.
    ///
    /// # Errors
    /// [`CompileError::Bailout`] if there is none.
    fn osr_body(
        &self,
        index: u32,
        first: FuncId,
        loop_index: u32,
        points: bool,
    ) -> Result<ir::Function, CompileError> {
        let _ = (index, first, loop_index, points);
        Err(CompileError::Bailout(
            "the front end makes no OSR versions".to_owned(),
        ))
    }

    /// The same functions with the bounds of each access checked before it, so that no access can fault: for compilers
    /// that ask for such bodies. `None` if no access faults anyway, or there is no such form.
    fn checked(&self) -> Option<&dyn FunctionSource> {
        None
    }

    /// Code of function `index` of the group, made without CLIF, for tier 0; `first` is as above. The code plants its
    /// own counters.
    ///
    /// # Errors
    /// [`CompileError::Bailout`] if there is no such way, at all or for this function; then [`FunctionSource::body`] is
    /// asked.
    fn baseline(
        &self,
        index: u32,
        first: FuncId,
        request: &BaselineRequest,
    ) -> Result<CompiledCode, CompileError> {
        let _ = (index, first, request);
        Err(CompileError::Bailout("no baseline form".to_owned()))
    }

    /// Where the values that travel from the header of loop `loop_index` are in the frame of the code that
    /// [`FunctionSource::baseline`] makes for `request`, in the order in which [`FunctionSource::osr_body`] loads them.
    ///
    /// # Errors
    /// [`CompileError::Bailout`] if there is no such code, or it never gets there.
    fn baseline_frame(
        &self,
        index: u32,
        first: FuncId,
        request: &BaselineRequest,
        loop_index: u32,
    ) -> Result<Vec<FrameValue>, CompileError> {
        let _ = (index, first, request, loop_index);
        Err(CompileError::Bailout("no baseline form".to_owned()))
    }

    /// The function's name for people.
    fn name(&self, index: u32) -> String;

    /// The size of the function's source in bytes, a measure of what compiling it costs.
    fn source_bytes(&self, index: u32) -> u32;
}
