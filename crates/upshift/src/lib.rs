//! A tiered JIT runtime for people who implement languages.
//!
//! Hand Upshift your functions as Cranelift IR. It runs them at once, finds out what is hot, compiles that again in the
//! background, and swaps the better code in while the program runs.
//!
//! ```
//! use upshift::cranelift_codegen::ir::{types, AbiParam, Function, InstBuilder, Signature};
//! use upshift::cranelift_codegen::isa::CallConv;
//! use upshift::cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
//! use upshift::{Config, Engine, ModuleBuilder, Tier};
//!
//! // fn double(x: i64) -> i64 { x + x }
//! let mut signature = Signature::new(CallConv::Tail);
//! signature.params.push(AbiParam::new(types::I64));
//! signature.returns.push(AbiParam::new(types::I64));
//! let mut body = Function::with_name_signature(Default::default(), signature.clone());
//! let mut context = FunctionBuilderContext::new();
//! let mut builder = FunctionBuilder::new(&mut body, &mut context);
//! let block = builder.create_block();
//! builder.append_block_params_for_function_params(block);
//! builder.switch_to_block(block);
//! let x = builder.block_params(block)[0];
//! let sum = builder.ins().iadd(x, x);
//! builder.ins().return_(&[sum]);
//! builder.seal_all_blocks();
//! builder.finalize(upshift::embed::symbol::frontend_config());
//!
//! // Compile at the threshold, on this thread, so that the example does the same each time.
//! let engine = Engine::new(Config::default().synchronous(true))?;
//! let mut module = ModuleBuilder::new(&engine);
//! let double = module.declare("double", signature);
//! module.define(double, body)?;
//! let module = module.finish()?;
//!
//! // SAFETY: the body touches no memory.
//! let double = unsafe { module.typed::<i64, i64>("double") }?;
//! assert_eq!(double.call(21)?, 42);
//! assert_eq!(engine.tier_of(double.function()), Some(Tier::Baseline));
//! for n in 0..200 {
//!     assert_eq!(double.call(n)?, 2 * n);
//! }
//! assert_eq!(engine.tier_of(double.function()), Some(Tier::Optimizing));
//! # Ok::<(), upshift::Error>(())
//! ```
//!
//! Front ends that bring a language of their own, rather than finished CLIF, use the seam in [`embed`].

pub mod embed;
pub mod llvm;
pub mod sink;

mod config;
mod engine;
mod error;
mod module;
#[cfg(feature = "stencil-generator")]
mod template;
mod typed;

pub use config::{Backend, Config};
pub use cranelift_codegen;
pub use cranelift_frontend;
pub use engine::{Engine, Function, TierDescription};
pub use error::Error;
pub use module::{FuncIndex, Module, ModuleBuilder};
pub use sink::Verbosity;
pub use typed::{FuncParams, FuncResults, FuncValue, HostResult, TypedFunc};
pub use upshift_base::{FuncId, Tier, TrapKind};
pub use upshift_codemem::Usage as CodeMemoryUsage;
pub use upshift_event::{Compilation, Event, EventKind, InlinedFunction, Recorder, Subscriber};
pub use upshift_runtime::{
    Backtrace, Frame, FrameLogReport, HostError, HostFailure, HotFunction, InliningMode,
    ProfileStatistics, TierStatistics, Trap, Unwind,
};
