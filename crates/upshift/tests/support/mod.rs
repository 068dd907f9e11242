//! CLIF text in, a module out. The text is parsed by Cranelift's own reader; `u0:N` names function N of the builder.

use upshift::cranelift_codegen::ir;
use upshift::{Engine, FuncIndex, Module, ModuleBuilder};

/// Parses functions; each is declared under the name given with it.
pub fn parse(text: &str) -> Vec<ir::Function> {
    cranelift_reader::parse_functions(text).expect("valid CLIF")
}

/// Declares and defines `functions` after what `builder` has already.
pub fn add(builder: &mut ModuleBuilder, names: &[&str], text: &str) -> Vec<FuncIndex> {
    let bodies = parse(text);
    assert_eq!(names.len(), bodies.len());
    let declared: Vec<_> = names
        .iter()
        .zip(&bodies)
        .map(|(name, body)| builder.declare(name, body.signature.clone()))
        .collect();
    for (index, body) in declared.iter().zip(bodies) {
        builder.define(*index, body).expect("a valid definition");
    }
    declared
}

/// A module of just these functions.
#[allow(dead_code)]
pub fn module(engine: &Engine, names: &[&str], text: &str) -> Module {
    let mut builder = ModuleBuilder::new(engine);
    add(&mut builder, names, text);
    builder.finish().expect("a module")
}

/// `fib(n)`, recursive, function 0 of its module.
#[allow(dead_code)]
pub const FIB: &str = "
function u0:0(i64) -> i64 tail {
    sig0 = (i64) -> i64 tail
    fn0 = u0:0 sig0
block0(v0: i64):
    v1 = iconst.i64 2
    v2 = icmp slt v0, v1
    brif v2, block1, block2
block1:
    return v0
block2:
    v3 = iconst.i64 -1
    v4 = iadd v0, v3
    v5 = call fn0(v4)
    v6 = iconst.i64 -2
    v7 = iadd v0, v6
    v8 = call fn0(v7)
    v9 = iadd v5, v8
    return v9
}";

/// `sum(n)`, a loop.
#[allow(dead_code)]
pub const SUM: &str = "
function u0:0(i64) -> i64 tail {
block0(v0: i64):
    v1 = iconst.i64 0
    jump block1(v1, v1)
block1(v2: i64, v3: i64):
    v4 = icmp sge v2, v0
    brif v4, block3, block2
block2:
    v5 = iadd v3, v2
    v6 = iconst.i64 1
    v7 = iadd v2, v6
    jump block1(v7, v5)
block3:
    return v3
}";
