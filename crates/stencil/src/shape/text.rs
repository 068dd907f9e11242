//! Stencils as lines of text, to be kept in a file.
//!
//! A line has seven fields: operands, result, clobbers in hexadecimal, whether it is to be aligned, `offset:kind` of each
//! trap, `offset:byte:kind` of each hole, and the code in hexadecimal. A field without content is `-`.

use super::StencilBuf;
use crate::stencil::{Hole, HoleKind, StencilTrap};
use crate::value::Ty;
use std::fmt;
use std::str::FromStr;

/// A line that is no stencil.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is no stencil's line of text")]
pub struct TextError;

const TYPES: [(Ty, &str); 5] = [
    (Ty::I32, "i32"),
    (Ty::I64, "i64"),
    (Ty::F32, "f32"),
    (Ty::F64, "f64"),
    (Ty::V128, "v128"),
];

fn name(ty: Ty) -> &'static str {
    let found = TYPES.iter().find(|(each, _)| *each == ty);
    found.map_or("-", |(_, name)| name)
}

fn ty(name: &str) -> Result<Ty, TextError> {
    let found = TYPES.iter().find(|(_, each)| *each == name);
    found.map(|&(ty, _)| ty).ok_or(TextError)
}

/// Items with commas between them, or `-`.
fn list(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = String>) -> fmt::Result {
    let items: Vec<_> = items.collect();
    match items.is_empty() {
        true => f.write_str("-"),
        false => f.write_str(&items.join(",")),
    }
}

impl fmt::Display for StencilBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.operands.iter().map(|&ty| name(ty).to_owned()))?;
        let result = self.result.map_or("-", name);
        write!(
            f,
            " {result} {:x} {} ",
            self.clobbers,
            u8::from(self.aligned)
        )?;
        let trap = |trap: &StencilTrap| format!("{}:{}", trap.offset, trap.kind);
        list(f, self.traps.iter().map(trap))?;
        f.write_str(" ")?;
        let hole = |hole: &Hole| format!("{}:{}:{}", hole.offset, hole.byte, hole.kind as u8);
        list(f, self.holes.iter().map(hole))?;
        f.write_str(" ")?;
        let code: String = self.code.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(if code.is_empty() { "-" } else { &code })
    }
}

impl FromStr for StencilBuf {
    type Err = TextError;

    fn from_str(line: &str) -> Result<StencilBuf, TextError> {
        let mut fields = line.split(' ');
        let mut next = || fields.next().ok_or(TextError);
        let stencil = StencilBuf {
            operands: items(next()?).map(ty).collect::<Result<_, _>>()?,
            result: items(next()?).map(ty).next().transpose()?,
            clobbers: u64::from_str_radix(next()?, 16).map_err(|_| TextError)?,
            aligned: next()? == "1",
            traps: items(next()?).map(trap).collect::<Result<_, _>>()?,
            holes: items(next()?).map(hole).collect::<Result<_, _>>()?,
            code: bytes(next()?)?,
        };
        match fields.next() {
            None => Ok(stencil),
            Some(_) => Err(TextError),
        }
    }
}

fn items(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').filter(|item| *item != "-")
}

fn number<T: FromStr>(text: Option<&str>) -> Result<T, TextError> {
    text.and_then(|text| text.parse().ok()).ok_or(TextError)
}

fn trap(item: &str) -> Result<StencilTrap, TextError> {
    let mut parts = item.split(':');
    Ok(StencilTrap {
        offset: number(parts.next())?,
        kind: number(parts.next())?,
    })
}

fn hole(item: &str) -> Result<Hole, TextError> {
    let mut parts = item.split(':');
    Ok(Hole {
        offset: number(parts.next())?,
        byte: number(parts.next())?,
        kind: *HoleKind::ALL
            .get(number::<usize>(parts.next())?)
            .ok_or(TextError)?,
    })
}

fn bytes(field: &str) -> Result<Vec<u8>, TextError> {
    if field == "-" {
        return Ok(Vec::new());
    }
    if field.is_empty() {
        return Err(TextError);
    }
    let digits = field.as_bytes();
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 2)
    };
    digits
        .chunks(2)
        .map(|pair| byte(pair).ok_or(TextError))
        .collect()
}
