//! What the code of an instruction depends on beside its operands: the module, and where its instance is at run time.

use crate::info::ModuleInfo;
use crate::vmctx::{Builtin, offset};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    AbiParam, AliasRegion, AliasRegionData, ArgumentPurpose, Block, FuncRef, Inst, InstBuilder,
    MemFlagsData, SigRef, Signature, TrapCode, Type, Value,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use std::collections::HashMap;
use upshift::embed::{FuncId, TrapKind, symbol};

/// Memory that compiled code distinguishes: two accesses to different regions never touch the same byte, whichever
/// modules' code they are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Region {
    /// All linear memories. Two of them may be one and the same, imported twice.
    Memories = 1,
    /// The headers of tables.
    Tables = 2,
    /// The elements of tables.
    Elements = 3,
    /// The globals that several modules may see.
    Globals = 4,
    /// The sizes of linear memories.
    MemorySizes = 5,
    /// The first of the globals that only their own module sees; the others follow.
    PrivateGlobals = 16,
}

/// The number of regions for private globals. Those beyond share the last.
const PRIVATE_GLOBALS_MAX: u32 = 512;

/// The module that code is made for, and what the function being made has declared so far.
pub struct Env<'m> {
    info: &'m ModuleInfo,
    first: FuncId,
    vmctx: Value,
    signatures: HashMap<u32, SigRef>,
    functions: HashMap<u32, FuncRef>,
    builtins: HashMap<i32, SigRef>,
    /// The base of a memory that is known in a block.
    memory_base: Option<(Block, u32, Value)>,
    checked_accesses: bool,
}

impl<'m> Env<'m> {
    /// For a function of `info`, the first of whose own functions is `first` and whose VM context is `vmctx`.
    pub fn new(info: &'m ModuleInfo, first: FuncId, vmctx: Value) -> Env<'m> {
        Env {
            info,
            first,
            vmctx,
            signatures: HashMap::new(),
            functions: HashMap::new(),
            builtins: HashMap::new(),
            memory_base: None,
            checked_accesses: false,
        }
    }

    /// The same for a function that checks the bounds of each access to a linear memory before it, or does not.
    pub fn with_checked_accesses(self, checked_accesses: bool) -> Env<'m> {
        Env {
            checked_accesses,
            ..self
        }
    }

    /// Whether the bounds of each access to a linear memory are checked before it.
    pub(super) fn checks_accesses(&self) -> bool {
        self.checked_accesses
    }

    /// The module.
    pub fn info(&self) -> &'m ModuleInfo {
        self.info
    }

    /// The address of the VM context.
    pub fn vmctx(&self) -> Value {
        self.vmctx
    }

    /// The signature of the module's type `index`.
    pub(super) fn signature(&mut self, b: &mut FunctionBuilder<'_>, index: u32) -> SigRef {
        let ty = &self.info.types[index as usize];
        let declare = || b.import_signature(ty.signature());
        *self.signatures.entry(index).or_insert_with(declare)
    }

    /// The module's own function `index`, imported ones counted.
    pub(super) fn function(&mut self, b: &mut FunctionBuilder<'_>, index: u32) -> FuncRef {
        if let Some(&function) = self.functions.get(&index) {
            return function;
        }
        let signature = self.signature(b, self.info.functions[index as usize]);
        let id = FuncId(self.first.0 + (index - self.info.imported_functions));
        let function = symbol::import_function(b.func, id, signature);
        self.functions.insert(index, function);
        function
    }

    /// The index of a function among the module's own.
    pub(super) fn own_function(&self, id: FuncId) -> Option<u32> {
        let own = id.0.checked_sub(self.first.0)?;
        (own < self.info.bodies.len() as u32).then_some(own)
    }

    /// Calls a helper function with `args` behind the VM context.
    pub(super) fn call_builtin(
        &mut self,
        b: &mut FunctionBuilder<'_>,
        builtin: Builtin,
        args: &[Value],
    ) -> Inst {
        let declare = || b.import_signature(builtin_signature(builtin));
        let signature = *self.builtins.entry(builtin.offset).or_insert_with(declare);
        let builtins = self.load_fixed(b, I64, self.vmctx, offset::VMCONTEXT_BUILTINS);
        let code = self.load_fixed(b, I64, builtins, builtin.offset);
        let mut all = Vec::with_capacity(1 + args.len());
        all.push(self.vmctx);
        all.extend_from_slice(args);
        b.ins().call_indirect(signature, code, &all)
    }

    /// Loads something that is there and the same from the start of the function to its end, wherever the load is moved.
    pub(super) fn load_fixed(
        &self,
        b: &mut FunctionBuilder<'_>,
        ty: Type,
        address: Value,
        offset: i32,
    ) -> Value {
        b.ins().load(ty, fixed(), address, offset)
    }

    /// The base of memory `index` if it is known at `b`'s position.
    pub(super) fn known_memory_base(&self, b: &FunctionBuilder<'_>, index: u32) -> Option<Value> {
        match self.memory_base {
            Some((block, memory, base)) if memory == index && b.current_block() == Some(block) => {
                Some(base)
            }
            _ => None,
        }
    }

    /// Makes the base of memory `index` known for the rest of the block.
    pub(super) fn learn_memory_base(&mut self, b: &FunctionBuilder<'_>, index: u32, base: Value) {
        self.memory_base = b.current_block().map(|block| (block, index, base));
    }
}

/// Flags of a load that can be moved anywhere.
fn fixed() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}

/// Flags of an access to `region` that cannot fault.
pub(super) fn trusted(b: &mut FunctionBuilder<'_>, region: Region) -> MemFlagsData {
    let region = alias_region(b, region as u32);
    MemFlagsData::trusted().with_alias_region(Some(region))
}

/// Flags of an access to private global number `own` of a module.
pub(super) fn trusted_private_global(b: &mut FunctionBuilder<'_>, own: u32) -> MemFlagsData {
    let region = alias_region(
        b,
        Region::PrivateGlobals as u32 + own.min(PRIVATE_GLOBALS_MAX),
    );
    MemFlagsData::trusted().with_alias_region(Some(region))
}

/// Flags of an access to a linear memory, which may fault and is aligned to nothing.
pub(super) fn linear_memory(b: &mut FunctionBuilder<'_>) -> MemFlagsData {
    let region = alias_region(b, Region::Memories as u32);
    MemFlagsData::new()
        .with_trap_code(Some(TrapCode::HEAP_OUT_OF_BOUNDS))
        .with_alias_region(Some(region))
}

/// Flags of an access to a linear memory whose bounds have been checked, which is aligned to nothing.
pub(super) fn checked_linear_memory(b: &mut FunctionBuilder<'_>) -> MemFlagsData {
    let region = alias_region(b, Region::Memories as u32);
    MemFlagsData::new()
        .with_notrap()
        .with_alias_region(Some(region))
}

fn alias_region(b: &mut FunctionBuilder<'_>, user_id: u32) -> AliasRegion {
    let regions = &mut b.func.dfg.alias_regions;
    if let Some(region) = regions.get(user_id) {
        return region;
    }
    let description = match user_id {
        1 => "linear memories".into(),
        2 => "tables".into(),
        3 => "table elements".into(),
        4 => "globals".into(),
        5 => "sizes of memories".into(),
        other => format!("private global {}", other - Region::PrivateGlobals as u32).into(),
    };
    regions.insert(AliasRegionData {
        user_id,
        description,
    })
}

/// The code that stands for a trap that Cranelift has no code of its own for.
pub(super) const fn trap_code(kind: TrapKind) -> TrapCode {
    TrapCode::unwrap_user(kind.code())
}

fn builtin_signature(builtin: Builtin) -> Signature {
    let param = |&bytes: &usize| AbiParam::new(if bytes == 4 { I32 } else { I64 });
    let mut signature = Signature::new(CallConv::SystemV);
    signature
        .params
        .push(AbiParam::special(I64, ArgumentPurpose::VMContext));
    signature.params.extend(builtin.params.iter().map(param));
    signature.returns.extend(builtin.result.iter().map(param));
    signature
}
