//! `upshift explore`: a function's machine code beside the WebAssembly that it comes from.

use crate::args::ExploreArgs;
use crate::report;
use crate::report::format::{bytes, counted};
use crate::{arch, input};
use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Write;
use std::sync::Arc;
use upshift::embed::stencil::Stencil;
use upshift::embed::{CompiledCode, FunctionSource, Relocation, Target};
use upshift::{Config, Engine, FuncId, Function, InliningMode, Tier};
use upshift_wasm::ModuleOptions;
use upshift_wasm::explore::{ExploredOperator, operators};
use upshift_wasm::info::{ModuleInfo, decode};
use upshift_wasm::translate::ModuleSource;

/// How far operators are indented, and blocks inside of them.
const INDENT: usize = 10;

/// Runs the command. Returns the process's exit code.
pub fn explore(args: &ExploreArgs) -> Result<i32> {
    let tier = Tier::from_index(args.tier.into()).context("there is no such tier")?;
    let file = args.file.display().to_string();
    let info = decode(input::read(&args.file)?.bytes, ModuleOptions::default())
        .map_err(|error| anyhow!("{file} is not valid: {error}"))?;
    let info = Arc::new(info);
    let source = Arc::new(ModuleSource::new(info.clone()));
    let own = find(&info, &source, &args.function, &file)?;

    // Each instruction is shown beside an operator of this function, so calls stay calls.
    let config = Config::default().workers(1).inlining(InliningMode::Off);
    let engine = Engine::new(config).map_err(|error| anyhow!("{error}"))?;
    let group = engine.define(source.clone(), info.bodies.len() as u32)?;
    let first = group.id(0);
    let function = Function::new(group, own).context("there is no such function")?;
    let (code, compiler) = engine
        .inspect(&function, tier)
        .map_err(|error| anyhow!("{error}"))?;

    let view = View {
        operators: operators(&info, own).map_err(|error| anyhow!("{error}"))?,
        // Only this compiler copies stencils.
        has_stencils: compiler == "copy-and-patch",
        name: &|id: FuncId| source.name(id.0 - first.0),
        code: &code,
    };
    let mut text = format!(
        "function {} `{}`: {} of WebAssembly, {} of code for tier {} by {compiler}\n",
        info.imported_functions + own,
        source.name(own),
        bytes(info.bodies[own as usize].byte_count().into()),
        bytes(code.bytes.len() as u64),
        tier.index(),
    );
    if view.has_stencils {
        let stencils = view
            .operators
            .iter()
            .filter(|o| o.stencil.is_some())
            .count();
        let _ = writeln!(
            text,
            "{}, of which {} by copying a stencil",
            counted(view.operators.len() as u64, "operator"),
            stencils
        );
    }
    text.push('\n');
    view.write(&mut text)?;
    report::stdout(&text);
    Ok(0)
}

/// The module's own function that `wanted` names, or has as its index.
fn find(info: &ModuleInfo, source: &ModuleSource, wanted: &str, file: &str) -> Result<u32> {
    let count = info.bodies.len() as u32;
    if let Ok(index) = wanted.parse::<u32>() {
        return match index.checked_sub(info.imported_functions) {
            Some(own) if own < count => Ok(own),
            Some(_) => bail!(
                "{file} has functions 0 to {}, no {index}",
                info.functions.len() - 1
            ),
            None => bail!("function {index} of {file} is imported, and so has no code"),
        };
    }
    let found = (0..count).find(|&own| source.name(own) == wanted);
    let exported = || match info.export(wanted).map(|export| export.index) {
        Some(upshift_wasm::info::ExternIndex::Func(index)) => {
            index.checked_sub(info.imported_functions)
        }
        _ => None,
    };
    found.or_else(exported).ok_or_else(|| {
        let some: Vec<_> = (0..count.min(8)).map(|own| source.name(own)).collect();
        anyhow!(
            "{file} has no function `{wanted}`\nhint: by name or index; it has {}{}",
            some.join(", "),
            if count > 8 { ", ..." } else { "" }
        )
    })
}

/// Code and what it comes from.
struct View<'a> {
    operators: Vec<ExploredOperator>,
    has_stencils: bool,
    name: &'a dyn Fn(FuncId) -> String,
    code: &'a CompiledCode,
}

impl View<'_> {
    fn write(&self, text: &mut String) -> Result<()> {
        let mut shown = 0;
        let positions = &self.code.positions;
        let first = positions
            .first()
            .map_or(u32::MAX, |position| position.offset);
        if first > 0 {
            text.push_str("; entry\n");
            self.instructions(text, 0, first, &[])?;
        }
        for (index, range) in positions.iter().enumerate() {
            let next = positions.get(index + 1);
            let end = next.map_or(self.code.bytes.len() as u32, |next| next.offset);
            let stencils = self.origin(text, range.position, &mut shown);
            self.instructions(text, range.offset, end, &stencils)?;
        }
        for operator in &self.operators[shown..] {
            line(text, operator, "");
        }
        Ok(())
    }

    /// Writes the operators up to the one at `position`, or that one again. Returns the stencils of those that are new.
    fn origin(
        &self,
        text: &mut String,
        position: Option<u32>,
        shown: &mut usize,
    ) -> Vec<Stencil<'static>> {
        let at = |position| {
            self.operators
                .binary_search_by_key(&position, |o| o.position)
        };
        let Some(Ok(index)) = position.map(at) else {
            text.push_str(match *shown {
                0 => "; entry\n",
                _ => "; of no operator\n",
            });
            return Vec::new();
        };
        if index < *shown {
            line(text, &self.operators[index], "  (more of it)");
            return Vec::new();
        }
        let new = &self.operators[*shown..=index];
        *shown = index + 1;
        for operator in new {
            line(text, operator, "");
        }
        match self.has_stencils {
            true => new.iter().filter_map(|operator| operator.stencil).collect(),
            false => Vec::new(),
        }
    }

    /// Writes the instructions of a range, with marks around the stencils in it.
    fn instructions(
        &self,
        text: &mut String,
        start: u32,
        end: u32,
        stencils: &[Stencil<'static>],
    ) -> Result<()> {
        let bytes = &self.code.bytes[start as usize..end as usize];
        let mut marks = Vec::new();
        let mut from = 0;
        for stencil in stencils {
            if let Some(at) = place(&bytes[from..], stencil) {
                let behind = from + at + stencil.code.len();
                marks.push((start + (from + at) as u32, start + behind as u32));
                from = behind;
            }
        }
        for instruction in arch::disassemble(bytes, start)? {
            let (offset, end) = (instruction.offset, instruction.offset + instruction.len);
            if let Some(mark) = marks.iter().find(|mark| mark.0 == offset) {
                let _ = writeln!(
                    text,
                    "        +-- stencil of {}",
                    counted(u64::from(mark.1 - mark.0), "byte")
                );
            }
            let within = marks.iter().any(|mark| (mark.0..mark.1).contains(&offset));
            let bar = if within { '|' } else { ' ' };
            let relocations = &self.code.relocations;
            let target = relocations
                .iter()
                .find(|r| (offset..end).contains(&r.offset));
            let note = target.map(|target| self.target(target)).unwrap_or_default();
            let line = format!("  {offset:04x}  {bar} {:<44}{note}", instruction.text);
            let _ = writeln!(text, "{}", line.trim_end());
            if marks.iter().any(|mark| mark.1 == end) {
                text.push_str("        +--\n");
            }
        }
        Ok(())
    }

    fn target(&self, relocation: &Relocation) -> String {
        match &relocation.target {
            Target::Function(id) => format!("; {}", (self.name)(*id)),
            Target::ProfileCell(_) => "; a counter".to_owned(),
            Target::LibCall(call) => format!("; {call}"),
            Target::Local(offset) => format!("; {offset:04x}"),
            _ => "; the runtime".to_owned(),
        }
    }
}

fn line(text: &mut String, operator: &ExploredOperator, note: &str) {
    let indent = INDENT + 2 * operator.depth as usize;
    let _ = writeln!(
        text,
        "{:indent$}{:#x}  {}{note}",
        "", operator.position, operator.text
    );
}

/// Where in `bytes` a copy of the stencil is, whatever is in its holes.
fn place(bytes: &[u8], stencil: &Stencil<'_>) -> Option<usize> {
    let code = stencil.code;
    let is_hole = |at: usize| {
        stencil
            .holes
            .iter()
            .any(|hole| usize::from(hole.offset) == at)
    };
    let same = |window: &[u8]| {
        let mut pairs = window.iter().zip(code).enumerate();
        pairs.all(|(at, (a, b))| a == b || is_hole(at))
    };
    match code.is_empty() {
        true => None,
        false => bytes.windows(code.len()).position(same),
    }
}
