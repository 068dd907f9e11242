//! What the runtime asks for the bodies of a module's functions.

use super::function::{function_version, live_locals};
use super::version::Version;
use crate::baseline;
use crate::info::{ExternIndex, ModuleInfo};
use cranelift_codegen::ir;
use std::sync::Arc;
use upshift::embed::osr::FrameValue;
use upshift::embed::{BaselineRequest, CompileError, CompiledCode, FuncId, FunctionSource};

/// A module as a source of function bodies. Function 0 of the group is the first that is not imported.
#[derive(Debug)]
pub struct ModuleSource {
    info: Arc<ModuleInfo>,
    /// The same module with checked accesses, unless this is that.
    checked: Option<Box<ModuleSource>>,
}

impl ModuleSource {
    /// The functions of `info`.
    pub fn new(info: Arc<ModuleInfo>) -> ModuleSource {
        let checked = ModuleSource {
            info: Arc::clone(&info),
            checked: None,
        };
        ModuleSource {
            info,
            checked: Some(Box::new(checked)),
        }
    }

    fn version(
        &self,
        index: u32,
        first: FuncId,
        entered_in: Option<u32>,
        points: bool,
    ) -> Result<ir::Function, CompileError> {
        let version = Version {
            entered_in,
            points,
            checked: self.checked.is_none(),
        };
        function_version(&self.info, index, first, version)
    }
}

impl FunctionSource for ModuleSource {
    fn body(&self, index: u32, first: FuncId) -> Result<ir::Function, CompileError> {
        self.version(index, first, None, false)
    }

    fn body_with_osr_points(
        &self,
        index: u32,
        first: FuncId,
    ) -> Result<ir::Function, CompileError> {
        self.version(index, first, None, true)
    }

    fn osr_body(
        &self,
        index: u32,
        first: FuncId,
        loop_index: u32,
        points: bool,
    ) -> Result<ir::Function, CompileError> {
        self.version(index, first, Some(loop_index), points)
    }

    fn checked(&self) -> Option<&dyn FunctionSource> {
        let checked = self.checked.as_deref();
        checked.map(|source| source as &dyn FunctionSource)
    }

    fn baseline(
        &self,
        index: u32,
        first: FuncId,
        request: &BaselineRequest,
    ) -> Result<CompiledCode, CompileError> {
        baseline::function(&self.info, index, first, request)
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
        let liveness = live_locals(&body, ty.params().len())?;
        let live = liveness.at_loop(loop_index);
        baseline::frame(&self.info, index, first, request, loop_index, live)
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
