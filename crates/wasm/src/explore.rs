//! A function's operators as text, for those who show them beside the code that was made of them.

use crate::baseline;
use crate::error::{Error, Result};
use crate::info::ModuleInfo;
use std::fmt::Debug;
use upshift::embed::stencil::Stencil;
use wasmparser::Operator;

/// One operator of a function.
#[derive(Clone, Debug)]
pub struct ExploredOperator {
    /// Where it is in the module.
    pub position: u32,
    /// How many blocks it is in.
    pub depth: u32,
    /// It, in the text format.
    pub text: String,
    /// The stencil that tier 0 copies for it, if it does.
    pub stencil: Option<Stencil<'static>>,
}

/// The operators of the module's own function number `own`.
///
/// # Errors
/// If there is no such function, or it is invalid.
pub fn operators(info: &ModuleInfo, own: u32) -> Result<Vec<ExploredOperator>> {
    let body = info
        .body(own)
        .map_err(|error| Error::new(error.to_string()))?;
    let start = body.range().start;
    let bytes = body.as_bytes();
    let mut reader = body.get_operators_reader()?;
    let mut operators = Vec::new();
    let mut depth = 1u32;
    while !reader.eof() {
        let position = reader.original_position();
        let operator = reader.read()?;
        if matches!(operator, Operator::End | Operator::Else) {
            depth = depth.saturating_sub(1);
        }
        operators.push(ExploredOperator {
            position: position as u32,
            depth,
            text: text(&operator),
            stencil: baseline::stencil(bytes.get((position - start) as usize..), &operator),
        });
        let opens = matches!(
            operator,
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::Else
        );
        depth += u32::from(opens);
    }
    Ok(operators)
}

/// What comes before a point in the names of operators.
const PREFIXES: [&str; 17] = [
    "i32", "i64", "f32", "f64", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2",
    "local", "global", "memory", "table", "ref", "data",
];

macro_rules! name_and_immediates {
    ($(
        @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? =>
            $visit:ident ($($ann:tt)*)
    )*) => {
        fn name_and_immediates(operator: &Operator<'_>) -> (&'static str, Vec<String>) {
            match operator {
                $(Operator::$op $({ $($arg),* })? => (
                    stringify!($visit),
                    vec![$($(immediate(stringify!($arg), $arg)),*)?],
                ),)*
                _ => ("visit_unknown", Vec::new()),
            }
        }
    };
}
wasmparser::for_each_operator!(name_and_immediates);

fn text(operator: &Operator<'_>) -> String {
    let (name, mut immediates) = name_and_immediates(operator);
    let mut name = name.trim_start_matches("visit_").to_owned();
    if let Some((prefix, _)) = name.split_once('_')
        && (PREFIXES.contains(&prefix) || prefix == "elem")
    {
        name = name.replacen('_', ".", 1);
    }
    match operator {
        Operator::BrTable { targets } => {
            let all = targets.targets().map_while(std::result::Result::ok);
            immediates = all.map(|depth| depth.to_string()).collect();
            immediates.push(targets.default().to_string());
        }
        Operator::F32Const { value } => immediates = vec![f32::from_bits(value.bits()).to_string()],
        Operator::F64Const { value } => immediates = vec![f64::from_bits(value.bits()).to_string()],
        Operator::V128Const { value } => immediates = vec![format!("{:#034x}", value.i128())],
        Operator::I8x16Shuffle { lanes } => {
            immediates = lanes.iter().map(ToString::to_string).collect();
        }
        Operator::TypedSelect { ty } => {
            name = "select".to_owned();
            immediates = vec![format!("(result {ty})")];
        }
        _ => {}
    }
    immediates.retain(|immediate| !immediate.is_empty());
    immediates.insert(0, name);
    immediates.join(" ")
}

/// An immediate as the text format has it, as far as it says anything.
fn immediate(name: &str, value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    let behind = |key: &str| {
        let (_, rest) = text.split_once(key)?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    };
    match name {
        "memarg" => match behind("offset: ") {
            Some(offset) if offset != "0" => format!("offset={offset}"),
            _ => String::new(),
        },
        "blockty" => match text.as_str() {
            "Empty" => String::new(),
            _ => match behind("FuncType(") {
                Some(index) => format!("(type {index})"),
                None => {
                    let ty = text.trim_start_matches("Type(").trim_end_matches(')');
                    format!("(result {})", ty.to_ascii_lowercase())
                }
            },
        },
        // The only memory, table or lane's memory need not be said.
        "mem" | "src_mem" | "dst_mem" if text == "0" => String::new(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::{ModuleOptions, decode};

    #[test]
    fn operators_read_as_in_the_text_format() {
        let lines = [
            "block (result i32)",
            "i32.const -7",
            "br_if 0",
            "local.get 0",
            "br_table 0 1 0",
            "end",
            "f64.const 0.5",
            "drop",
            "i32.load offset=8",
            "i32.clz",
            "call 0",
            "memory.size",
            "i32.add",
        ];
        let wasm = wat::parse_str(
            "(module (memory 1) (func (param i32) (result i32)
                block (result i32) i32.const 1 i32.const -7 br_if 0 local.get 0 br_table 0 1 0 end
                f64.const 0.5 drop i32.load offset=8 i32.clz call 0 memory.size i32.add))",
        );
        let info = decode(wasm.unwrap(), ModuleOptions::default()).unwrap();
        let all = operators(&info, 0).unwrap();
        let texts: Vec<_> = all.iter().map(|operator| operator.text.as_str()).collect();
        for line in lines {
            assert!(texts.contains(&line), "{line} in {texts:?}");
        }
        let stencils = all.iter().filter(|operator| operator.stencil.is_some());
        assert_eq!(
            stencils
                .map(|operator| operator.text.as_str())
                .collect::<Vec<_>>(),
            ["i32.clz"]
        );
        assert_eq!(all.last().map(|end| end.depth), Some(0));
        assert!(operators(&info, 1).is_err());
    }
}
