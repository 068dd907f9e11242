//! Guest functions to load an engine with, and compilers that stand in for the real ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use upshift::cranelift_codegen::ir::{
    AbiParam, Function as Body, InstBuilder, Signature, UserFuncName, types,
};
use upshift::cranelift_codegen::isa::CallConv;
use upshift::cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use upshift::embed::{
    BodyRequest, CompileError, CompileRequest, CompiledCode, Compiler, FuncId, FunctionGroup,
    FunctionSource, RawValue, Trampoline, Unwind, symbol,
};
use upshift::{Engine, Error, Function, Tier};
use upshift_codegen::Target;
use upshift_cranelift::{CraneliftCompiler, Effort, Options};

/// Functions that compute a number each, of as many kinds as it says.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    kinds: u32,
}

impl Numbers {
    fn kind(self, index: u32) -> u32 {
        index % self.kinds
    }
}

fn steps(kind: u32) -> u32 {
    1 + 3 * (kind % 8)
}

fn constants(kind: u32) -> (i64, i64) {
    (2 * i64::from(kind) + 3, i64::from(kind) - 7)
}

/// What function `index` of a program with `kinds` kinds makes of `x`.
pub fn expected(kinds: u32, index: u32, x: i64) -> i64 {
    let kind = index % kinds;
    let (factor, summand) = constants(kind);
    (0..steps(kind)).fold(x, |x, _| x.wrapping_mul(factor).wrapping_add(summand))
}

fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    signature
}

impl FunctionSource for Numbers {
    fn body(&self, request: &BodyRequest<'_>) -> Result<Body, CompileError> {
        let kind = self.kind(request.index);
        let mut body = Body::with_name_signature(UserFuncName::user(0, kind), signature());
        let mut context = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut body, &mut context);
        let block = builder.create_block();
        builder.append_block_params_for_function_params(block);
        builder.switch_to_block(block);
        let mut x = builder.block_params(block)[0];
        let (factor, summand) = constants(kind);
        for _ in 0..steps(kind) {
            x = builder.ins().imul_imm_s(x, factor);
            x = builder.ins().iadd_imm_s(x, summand);
        }
        builder.ins().return_(&[x]);
        builder.seal_all_blocks();
        builder.finalize(symbol::frontend_config());
        Ok(body)
    }

    fn name(&self, index: u32) -> String {
        format!("number{index}")
    }

    fn source_bytes(&self, index: u32) -> u32 {
        16 * steps(self.kind(index))
    }
}

/// A group of functions that can be called from any thread.
#[derive(Clone, Debug)]
pub struct Program {
    group: FunctionGroup,
    trampoline: Trampoline,
    kinds: u32,
}

impl Program {
    /// Defines `count` functions of `kinds` kinds.
    ///
    /// # Errors
    /// If code memory is full.
    pub fn new(engine: &Engine, count: u32, kinds: u32) -> Result<Program, Error> {
        Ok(Program {
            group: engine.define(Arc::new(Numbers { kinds }), count)?,
            trampoline: engine.trampoline(&signature())?,
            kinds,
        })
    }

    /// How many functions there are.
    pub fn len(&self) -> u32 {
        self.group.len()
    }

    /// Calls function `index`.
    ///
    /// # Errors
    /// If there is no code and none can be made.
    pub fn call(&self, index: u32, x: i64) -> Result<i64, Unwind> {
        let mut values = [RawValue { i64: x }; 2];
        let slot = self.group.entry_slot(index);
        // SAFETY: the functions are of the trampoline's signature, and `self` keeps them alive.
        unsafe {
            self.trampoline.call(slot, values.as_mut_ptr(), None)?;
            Ok(values[0].i64)
        }
    }

    /// Calls function `index` and says what is wrong, if anything is.
    pub fn call_and_check(&self, index: u32, x: i64) -> Option<String> {
        match self.call(index, x) {
            Ok(result) if result == expected(self.kinds, index, x) => None,
            Ok(result) => Some(format!("function {index} made {result} of {x}")),
            Err(error) => Some(format!("function {index}: {error}")),
        }
    }

    /// The tier of function `index`.
    pub fn tier_of(&self, index: u32) -> Option<Tier> {
        self.group.tier_of(index)
    }

    /// Function `index`, as engines know it.
    pub fn function(&self, index: u32) -> Option<Function> {
        Function::new(self.group.clone(), index)
    }

    /// Where new calls of function `index` go.
    pub fn code_address(&self, index: u32) -> usize {
        // SAFETY: the slot lives as long as the group.
        unsafe { &*self.group.entry_slot(index).as_ptr() }.load(Ordering::Acquire) as usize
    }
}

/// The real compiler of a tier.
///
/// # Errors
/// If the machine is not supported.
pub fn cranelift(effort: Effort) -> Result<CraneliftCompiler, CompileError> {
    CraneliftCompiler::new(Options {
        effort,
        canonical_nans: false,
        verify: false,
    })
}

/// Compiles each kind of function once and from then on answers with copies: for runs that are about everything but
/// compilation.
#[derive(Debug)]
pub struct Replay {
    inner: CraneliftCompiler,
    known: Mutex<HashMap<String, (FuncId, CompiledCode)>>,
}

impl Replay {
    /// Answers for `inner`.
    pub fn new(inner: CraneliftCompiler) -> Replay {
        Replay {
            inner,
            known: Mutex::default(),
        }
    }
}

impl Compiler for Replay {
    fn name(&self) -> &str {
        "replay"
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        let name = format!(
            "{:?} {:?} {:?}",
            request.body.name, request.kind, request.tier
        );
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, code) = match known.get(&name) {
            Some(known) => known,
            None => {
                let code = self.inner.compile(request)?;
                known.entry(name).or_insert((request.function, code))
            }
        };
        let (before, mut code) = (*before, code.clone());
        for relocation in &mut code.relocations {
            match &mut relocation.target {
                Target::Function(function) | Target::ProfileCell(function)
                    if *function == before =>
                {
                    *function = request.function;
                }
                _ => {}
            }
        }
        Ok(code)
    }
}

/// A compiler that fails in each way there is, in turn, and then works.
#[derive(Debug)]
pub struct Faulty {
    inner: CraneliftCompiler,
    /// How long each compilation is made to take.
    pub delay: Duration,
    /// Whether it fails, or is only slow.
    pub fails: bool,
    calls: AtomicU64,
}

impl Faulty {
    /// A faulty compiler over a good one.
    pub fn new(inner: CraneliftCompiler, fails: bool, delay: Duration) -> Faulty {
        Faulty {
            inner,
            delay,
            fails,
            calls: AtomicU64::new(0),
        }
    }
}

impl Compiler for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompiledCode, CompileError> {
        std::thread::sleep(self.delay);
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match number % 4 {
            0 if self.fails => panic!("the compiler was told to panic"),
            1 if self.fails => Err(CompileError::Failed("told to fail".to_owned())),
            2 if self.fails => Err(CompileError::Bailout("told to decline".to_owned())),
            _ => self.inner.compile(request),
        }
    }
}
