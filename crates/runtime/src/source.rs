//! Where functions come from: a front end that can produce each body whenever a tier asks for it.

use cranelift_codegen::ir;
use upshift_base::FuncId;
use upshift_codegen::deopt::{FrameLayout, FramePoint};
use upshift_codegen::osr::FrameValue;
use upshift_codegen::{BaselineRequest, BodyRequest, CompileError, CompiledCode};

/// The bodies of a group of functions, produced on demand.
///
/// A body is asked for at the function's first call, on the calling thread, and again for each later tier, on a worker
/// thread. What it does must be the same each time. Names in it follow [`upshift_codegen::symbol`]; profile counters are planted
/// afterwards, by the runtime.
pub trait FunctionSource: Send + Sync {
    /// The body that `request` asks for. A front end that has no loops to mark, call sites to count or things to take for
    /// granted leaves marks out; loops without one are counted all the same.
    ///
    /// # Errors
    /// [`CompileError::Bailout`] if there is no body that is entered there. Otherwise, if the body cannot be made; the reason ends up
    /// in the trap of whoever calls the function.
    fn body(&self, request: &BodyRequest<'_>) -> Result<ir::Function, CompileError>;

    /// The body that goes on at the places that `request` names, and the frame that it expects at each of them.
    ///
    /// # Errors
    /// As [`FunctionSource::body`]. [`CompileError::Bailout`] if there is no such version.
    fn continuation(
        &self,
        request: &BodyRequest<'_>,
    ) -> Result<(ir::Function, Vec<FrameLayout>), CompileError> {
        let _ = request;
        Err(CompileError::Bailout(
            "the front end makes no continuations".to_owned(),
        ))
    }

    /// Code of function `index` of the group, made without CLIF, for tier 0; `first` is the group's first
    /// function. The code plants its
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

    /// The same for what [`FunctionSource::continuation`] makes. The code may leave the stack limit unchecked. Its frame is
    /// that of the function's other baseline code.
    ///
    /// # Errors
    /// As [`FunctionSource::baseline`].
    fn baseline_continuation(
        &self,
        index: u32,
        first: FuncId,
        points: &[FramePoint],
        request: &BaselineRequest,
    ) -> Result<(CompiledCode, Vec<FrameLayout>), CompileError> {
        let _ = (index, first, points, request);
        Err(CompileError::Bailout("no baseline form".to_owned()))
    }

    /// Where the values that travel from the header of loop `loop_index` are in the frame of the code that
    /// [`FunctionSource::baseline`] makes for `request`, in the order in which the version that is entered there loads
    /// them.
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

    /// The position of each loop of the function, by the loops' indices: a continuation that goes on there is in the header
    /// of the loop next, where what is live is the same.
    ///
    /// # Errors
    /// [`CompileError::Bailout`] if there are no such positions.
    fn loop_positions(&self, index: u32) -> Result<Vec<u32>, CompileError> {
        let _ = index;
        Err(CompileError::Bailout("no positions of loops".to_owned()))
    }

    /// The function's name for people.
    fn name(&self, index: u32) -> String;

    /// The size of the function's source in bytes, a measure of what compiling it costs.
    fn source_bytes(&self, index: u32) -> u32;
}
