//! The state of a translation: where it is in the code, on the operand stack and in the nest of blocks.

use super::env::Env;
use super::targets::CallSites;
use super::version::Osr;
use crate::types::ValType;
use cranelift_codegen::ir::{Block, BlockArg, Type, Value};
use cranelift_frontend::FunctionBuilder;
use upshift::embed::CompileError;

/// A function that is being translated.
pub(super) struct Translator<'a, 'm> {
    pub(super) b: FunctionBuilder<'a>,
    pub(super) env: Env<'m>,
    /// The operand stack.
    pub(super) stack: Vec<Value>,
    /// The blocks that are open, the function's own first.
    pub(super) control: Vec<Frame<'m>>,
    /// Whether the code at this point can be reached. If not, there is no block to append to, and nothing but the
    /// nesting is looked at.
    pub(super) reachable: bool,
    /// The blocks that were opened where the code cannot be reached; they are not in `control`.
    pub(super) skipped: u32,
    /// What is to be done for on-stack replacement and deoptimization.
    pub(super) osr: Osr<'m>,
    /// The indirect calls.
    pub(super) call_sites: CallSites<'m>,
    /// The types of the locals, the parameters first.
    pub(super) local_types: Vec<Type>,
}

/// An open block.
pub(super) struct Frame<'m> {
    pub(super) kind: FrameKind,
    pub(super) params: &'m [ValType],
    pub(super) results: &'m [ValType],
    /// The height of the operand stack below the parameters.
    pub(super) height: usize,
    /// Where the code behind the block goes on; none as long as nothing jumps there. Takes the results.
    pub(super) end: Option<Block>,
}

/// What a block was opened by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// The function; its end is its return.
    Function,
    /// `block`.
    Block,
    /// `loop`, with its header. Takes the parameters.
    Loop(Block),
    /// `if`, with the block to go to if the condition is false. Takes the parameters.
    If(Block),
    /// `else`.
    Else,
}

impl Translator<'_, '_> {
    /// Pushes a value.
    pub(super) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Pops a value, which validation has made sure is there.
    pub(super) fn pop(&mut self) -> Value {
        self.stack.pop().expect("validated: the stack is not empty")
    }

    /// Pops `N` values, the last one the one on top.
    pub(super) fn pop_array<const N: usize>(&mut self) -> [Value; N] {
        let mut values = std::array::from_fn(|_| self.pop());
        values.reverse();
        values
    }

    /// The `count` values on top.
    pub(super) fn top(&self, count: usize) -> &[Value] {
        &self.stack[self.stack.len() - count..]
    }

    /// The `count` values on top, to hand to a block.
    pub(super) fn top_args(&self, count: usize) -> Vec<BlockArg> {
        self.top(count)
            .iter()
            .map(|&value| BlockArg::Value(value))
            .collect()
    }

    /// Gives a block one parameter for each type.
    pub(super) fn add_params(&mut self, block: Block, types: &[ValType]) {
        for ty in types {
            self.b.append_block_param(block, ty.clif_type());
        }
    }

    /// Goes on in `block`, to which nothing will jump from here on, with its parameters on the stack above `height`.
    pub(super) fn continue_in(&mut self, block: Block, height: usize) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
        self.begin_stack(block, height);
        self.reachable = true;
    }

    /// Makes the operand stack that of the start of `block`: its parameters above `height`.
    pub(super) fn begin_stack(&mut self, block: Block, height: usize) {
        // What is below may take parameters of its own, of the SSA builder's making.
        let params = self.b.block_params(block).to_vec();
        self.stack.truncate(height);
        self.osr.reload_slots(&mut self.b, &mut self.stack);
        self.stack.extend(params);
    }
}

/// An instruction that no valid body contains.
pub(super) fn not_supported(what: impl std::fmt::Debug) -> CompileError {
    CompileError::Failed(format!("cannot translate {what:?}"))
}
