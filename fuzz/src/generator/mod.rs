//! Our own generator: programs of the kind that a tiered engine gets wrong.
//!
//! Loops and nested loops with accumulators, indirect calls, behaviour that changes at some iteration, traps at odd
//! places, accesses that straddle the end of a memory, `memory.grow`, deep recursion, branches of every kind, several
//! results, globals. A module is planned first ([`plan`]); then its functions are written one by one: statements
//! ([`statement`], [`flow`], [`bulk`]) made of expressions ([`expr`]). Every loop and every function takes fuel from a
//! global, so that programs end.

mod bulk;
mod encode;
mod expr;
mod flow;
mod function;
mod plan;
mod statement;

use crate::random::Random;

/// A random module.
pub fn module(random: &mut Random) -> Vec<u8> {
    let plan = plan::Plan::new(random);
    let bodies = (0..plan.functions.len())
        .map(|index| statement::function(random, &plan, index))
        .collect();
    encode::encode(&plan, bodies)
}
