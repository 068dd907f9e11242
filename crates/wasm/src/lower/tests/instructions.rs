//! The list of all WebAssembly operators, taken from `wasmparser`, and each in the text format.

use super::harness::ACCESS_OFFSET;
use wasmparser::{Operator, Parser, Payload};

/// An operator without its immediates.
pub struct Instruction {
    /// The proposal that introduced it.
    pub proposal: &'static str,
    /// The name of its variant in [`Operator`].
    pub variant: &'static str,
    /// What `wasmparser` says of its operands and results, such as `arity 2 -> 1`.
    pub annotation: &'static str,
    visit: &'static str,
    immediates: &'static [&'static str],
}

macro_rules! collect {
    ($(
        @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? =>
            $visit:ident ($($ann:tt)*)
    )*) => {
        &[$(Instruction {
            proposal: stringify!($proposal),
            variant: stringify!($op),
            annotation: stringify!($($ann)*),
            visit: stringify!($visit),
            immediates: &[$($(stringify!($arg)),*)?],
        }),*]
    };
}

/// Every operator there is.
pub static ALL: &[Instruction] = wasmparser::for_each_operator!(collect);

/// The proposals that these tests hold the lowerings to.
pub const PROPOSALS: [&str; 7] = [
    "mvp",
    "sign_extension",
    "saturating_float_to_int",
    "bulk_memory",
    "reference_types",
    "tail_call",
    "simd",
];

/// What is neither a value operation nor an access, by variant.
pub const NOT_LOWERED: [&str; 39] = [
    // Control and calls.
    "Unreachable",
    "Nop",
    "Block",
    "Loop",
    "If",
    "Else",
    "End",
    "Br",
    "BrIf",
    "BrTable",
    "Return",
    "Call",
    "CallIndirect",
    "ReturnCall",
    "ReturnCallIndirect",
    // Variables and the stack.
    "Drop",
    "LocalGet",
    "LocalSet",
    "LocalTee",
    "GlobalGet",
    "GlobalSet",
    // Memories as a whole.
    "MemorySize",
    "MemoryGrow",
    "MemoryInit",
    "MemoryCopy",
    "MemoryFill",
    "DataDrop",
    // Tables and references.
    "TableGet",
    "TableSet",
    "TableGrow",
    "TableSize",
    "TableInit",
    "TableCopy",
    "TableFill",
    "ElemDrop",
    "RefNull",
    "RefIsNull",
    "RefFunc",
    // A `select` of more or fewer than one value, which no module may contain.
    "TypedSelectMulti",
];

/// The instructions that must be lowered here.
pub fn lowered() -> impl Iterator<Item = &'static Instruction> {
    ALL.iter()
        .filter(|i| PROPOSALS.contains(&i.proposal) && !NOT_LOWERED.contains(&i.variant))
}

impl Instruction {
    /// The name that its lowering function should have.
    pub fn name(&self) -> &'static str {
        self.visit.strip_prefix("visit_").expect("a visitor's name")
    }

    /// The instruction in the text format, with each of a few choices of its immediates.
    pub fn texts(&self) -> Vec<String> {
        let mnemonic = self.name().replacen('_', ".", 1);
        let with = |immediates: &[&str]| {
            immediates
                .iter()
                .map(|immediate| format!("{mnemonic} {immediate}"))
                .collect()
        };
        match (self.variant, self.immediates) {
            ("Select", _) => vec!["select".to_owned()],
            ("TypedSelect", _) => vec!["select (result i64)".to_owned()],
            ("I32Const", _) => with(&["0", "-1", "0x7fffffff", "0x80000000"]),
            ("I64Const", _) => with(&["0", "-1", "0x7fffffffffffffff", "0x8000000000000000"]),
            ("F32Const" | "F64Const", _) => with(&["-0", "1.5", "-inf", "nan", "-nan:0x234567"]),
            ("V128Const", _) => with(&["i64x2 0 0", "i32x4 1 -2 3 -4", "f32x4 nan:0x1 -0 1 inf"]),
            ("I8x16Shuffle", _) => with(&[
                "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
                "31 30 29 28 27 26 25 24 23 22 21 20 19 18 17 16",
                "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23",
                "9 9 9 9 30 30 30 30 0 0 0 0 15 15 15 16",
            ]),
            (_, []) => vec![mnemonic],
            (_, ["memarg"]) => vec![format!("{mnemonic} offset={}", ACCESS_OFFSET)],
            (_, ["lane"]) => with(&["0", "1", &self.last_lane().to_string()]),
            (_, ["memarg", "lane"]) => [0, self.last_lane()]
                .map(|lane| format!("{mnemonic} offset={} {lane}", ACCESS_OFFSET))
                .to_vec(),
            _ => panic!("{} has immediates unknown to these tests", self.variant),
        }
    }

    /// The number of the last of the lanes that the instruction's name is about.
    fn last_lane(&self) -> u32 {
        let digits = |s: &'static str| {
            let end = s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
            s[..end].parse::<u32>().ok()
        };
        let name = self.name();
        let bits = match name.split_once("load").or_else(|| name.split_once("store")) {
            Some((_, width)) => digits(width),
            None => digits(&name[1..]),
        };
        128 / bits.expect("a name with a width in it") - 1
    }
}

/// Calls `f` with the operator that `text` is.
pub fn with_operator<R>(text: &str, f: impl FnOnce(&Operator<'_>) -> R) -> R {
    let wasm = wat::parse_str(format!("(module (memory 1) (func {text}))")).expect(text);
    for payload in Parser::new(0).parse_all(&wasm) {
        if let Payload::CodeSectionEntry(body) = payload.expect(text) {
            let mut operators = body.get_operators_reader().expect(text);
            return f(&operators.read().expect(text));
        }
    }
    panic!("no code in the module for {text}")
}
