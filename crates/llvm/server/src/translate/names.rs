//! The names of symbols in LLVM IR, which come back as relocations in the object.

use upshift_base::{FuncId, TrapKind};
use upshift_codegen::Target;
use upshift_codegen::cranelift_codegen::ir::LibCall;

/// A symbol of a module that is not defined in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Symbol {
    /// The cell that holds the address of a function or entry point.
    Cell(Target),
    /// The thing itself.
    Itself(Target),
    /// A call of this is a trap.
    Trap(TrapKind),
}

/// The name of the cell with a target's address, if it has one.
pub fn cell(target: Target) -> Option<String> {
    match target {
        Target::Function(function) => Some(format!("cell_function_{}", function.0)),
        Target::Builtin(number) => Some(format!("cell_builtin_{number}")),
        _ => None,
    }
}

/// The name of a function's profile cell.
pub fn profile(function: FuncId) -> String {
    format!("profile_{}", function.0)
}

/// The name of what is called to trap.
pub fn trap(kind: TrapKind) -> String {
    format!("trap_{}", kind.code())
}

/// What a name means; LLVM may also use names of its own, of helpers in a C library.
pub fn parse(name: &str) -> Option<Symbol> {
    let libcall = match name {
        "memcpy" => Some(LibCall::Memcpy),
        "memmove" => Some(LibCall::Memmove),
        "memset" => Some(LibCall::Memset),
        "memcmp" => Some(LibCall::Memcmp),
        "ceilf" => Some(LibCall::CeilF32),
        "ceil" => Some(LibCall::CeilF64),
        "floorf" => Some(LibCall::FloorF32),
        "floor" => Some(LibCall::FloorF64),
        "truncf" => Some(LibCall::TruncF32),
        "trunc" => Some(LibCall::TruncF64),
        "roundevenf" => Some(LibCall::NearestF32),
        "roundeven" => Some(LibCall::NearestF64),
        _ => None,
    };
    if let Some(libcall) = libcall {
        return Some(Symbol::Itself(Target::LibCall(libcall)));
    }
    let (kind, number) = name.rsplit_once('_')?;
    let number: u32 = number.parse().ok()?;
    match kind {
        "cell_function" => Some(Symbol::Cell(Target::Function(FuncId(number)))),
        "cell_builtin" => Some(Symbol::Cell(Target::Builtin(number))),
        "profile" => Some(Symbol::Itself(Target::ProfileCell(FuncId(number)))),
        "trap" => Some(Symbol::Trap(TrapKind::from_code(
            u8::try_from(number).ok()?,
        ))),
        _ => None,
    }
}
