//! What the runtime asks for the bodies of a module's functions.

use super::function::function_version;
use super::liveness::{count_locals, liveness, loop_positions};
use crate::baseline;
use crate::info::{ExternIndex, ModuleInfo};
use cranelift_codegen::ir;
use std::sync::Arc;
use upshift::embed::deopt::{FrameLayout, FramePoint};
use upshift::embed::osr::FrameValue;
use upshift::embed::{
    BaselineRequest, BodyRequest, CompileError, CompiledCode, FuncId, FunctionSource,
};

/// A module as a source of function bodies. Function 0 of the group is the first that is not imported.
#[derive(Debug)]
pub struct ModuleSource {
    info: Arc<ModuleInfo>,
}

impl ModuleSource {
    /// The functions of `info`.
    pub fn new(info: Arc<ModuleInfo>) -> ModuleSource {
        ModuleSource { info }
    }
}

impl FunctionSource for ModuleSource {
    fn body(&self, request: &BodyRequest<'_>) -> Result<ir::Function, CompileError> {
        Ok(function_version(&self.info, request)?.0)
    }

    fn continuation(
        &self,
        request: &BodyRequest<'_>,
    ) -> Result<(ir::Function, Vec<FrameLayout>), CompileError> {
        function_version(&self.info, request)
    }

    fn baseline(
        &self,
        index: u32,
        first: FuncId,
        request: &BaselineRequest,
    ) -> Result<CompiledCode, CompileError> {
        baseline::function(&self.info, index, first, request)
    }

    fn baseline_continuation(
        &self,
        index: u32,
        first: FuncId,
        points: &[FramePoint],
        request: &BaselineRequest,
    ) -> Result<(CompiledCode, Vec<FrameLayout>), CompileError> {
        baseline::continuation(&self.info, index, first, points, request)
    }

    fn baseline_frame(
        &self,
        index: u32,
        first: FuncId,
        request: &BaselineRequest,
        loop_index: u32,
    ) -> Result<Vec<FrameValue>, CompileError> {
        let body = self.info.body(index)?;
        let ty = self.info.func_type(self.info.imported_functions + index);
        let locals = count_locals(&body, ty.params().len())?;
        let liveness = liveness(&body, locals, |_, _| false)?;
        let live = liveness.at_loop(loop_index);
        baseline::frame(&self.info, index, first, request, loop_index, live)
    }

    fn loop_positions(&self, index: u32) -> Result<Vec<u32>, CompileError> {
        loop_positions(&self.info.body(index)?)
    }

    /// The name that the module gives the function, or one that it is exported by, or its index.
    fn name(&self, index: u32) -> String {
        let index = self.info.imported_functions + index;
        if let Some(name) = self.info.func_name(index) {
            return name.to_owned();
        }
        let exported = |export: &&crate::info::Export| export.index == ExternIndex::Func(index);
        match self.info.exports.iter().find(exported) {
            Some(export) => export.name.to_string(),
            None => format!("function[{index}]"),
        }
    }

    fn source_bytes(&self, index: u32) -> u32 {
        self.info
            .bodies
            .get(index as usize)
            .map_or(0, |body| body.byte_count())
    }
}
