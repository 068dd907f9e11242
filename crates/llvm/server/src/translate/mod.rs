//! From CLIF to LLVM IR, as text.
//!
//! One CLIF function becomes one module. Blocks are visited in reverse postorder, so a value's definition has
//! been seen before its uses; block parameters become phis, which are written when all edges are known.
//!
//! What keeps it exact: traps are calls of functions that may do anything and do not return, in cold blocks of their own,
//! which nothing observable can move across; accesses that may fault are volatile, and so are all stores beside them, which
//! LLVM keeps in their order; no instruction has fast-math flags, and `nsw` or `nuw` only what was proved.

pub mod names;

mod affine;
mod checks;
mod control;
mod counted;
mod emitter;
mod float;
mod integer;
mod memory;
mod ops;
mod plan;
mod stack_call;
mod types;
mod vector;
mod versions;

use checks::Faulting;
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{ArgumentPurpose, Function, GlobalValue, GlobalValueData};
use cranelift_codegen::isa::CallConv;
use emitter::{Emitter, Phis};
use plan::{Versions, label};
use std::fmt::Write;
use std::rc::Rc;
use types::bailout;
use upshift_base::TrapKind;
use upshift_codegen::CompileError;

/// What is decided for a whole function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Make every NaN that an operation produces the canonical one.
    pub canonical_nans: bool,
    /// LLVM's target features, with their signs, separated by commas.
    pub features: String,
}

/// The name of the function in the module.
pub const FUNCTION: &str = "function_body";

const HEADER: &str = "\
source_filename = \"clif\"
target datalayout = \"e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128\"
target triple = \"x86_64-unknown-linux-gnu\"
";

/// Metadata for positions: the parts that are the same in all modules.
const METADATA: &str = "\
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C, file: !1, emissionKind: LineTablesOnly)
!1 = !DIFile(filename: \"clif\", directory: \"\")
!2 = !{i32 2, !\"Debug Info Version\", i32 3}
!3 = !{i32 7, !\"Dwarf Version\", i32 4}
!4 = distinct !DISubprogram(name: \"f\", file: !1, unit: !0, spFlags: DISPFlagDefinition, type: !5)
!5 = !DISubroutineType(types: !6)
!6 = !{}
!7 = !{!\"branch_weights\", i32 1, i32 1048575}
!8 = !{!\"branch_weights\", i32 1048575, i32 1}
!9 = !{!\"memory\"}
";

/// The module for one function.
#[derive(Clone, Debug)]
pub struct Translation {
    /// LLVM IR.
    pub text: String,
    /// Bytes that the function's arguments on the stack take: it is compiled for the System V convention, in which the
    /// caller removes them, and its callers expect that it does so itself.
    pub stack_bytes: u16,
}

/// A function with more bytes of arguments on the stack is declined.
const STACK_BYTES_MAX: u32 = 512;

/// Translates a function.
///
/// # Errors
/// [`CompileError::Bailout`] if the function has something in it that is not translated.
pub fn module(func: &Function, settings: &Settings) -> Result<Translation, CompileError> {
    if func.signature.call_conv != CallConv::Tail {
        return bailout("a function that is not of the guest's convention");
    }
    let tail_calls = control::has_tail_calls(func);
    let (params, results) = types::signature(&func.signature)?;
    let stack_bytes = stack_call::stack_bytes(&func.signature);
    let params = match tail_calls {
        true => control::all_places(&func.signature),
        false => params,
    };
    if stack_bytes > STACK_BYTES_MAX {
        return bailout(format!("{stack_bytes} bytes of arguments on the stack"));
    }
    let mut cfg = ControlFlowGraph::new();
    cfg.compute(func);
    let domtree = DominatorTree::with_function(func, &cfg);
    let faulting = Faulting::new(func);
    let versions = Versions::new(func, &cfg, &domtree, &faulting)?;
    let options = (settings.canonical_nans, settings.features.as_str());
    let mut e = Emitter::new(func, options, (faulting, versions));
    prologue(&mut e, tail_calls)?;
    for &block in domtree.cfg_rpo() {
        versions::guard(&mut e, block)?;
        let phis = Phis { block, prefix: "v" };
        e.begin_with(label(block), Some(block), phis);
        self::block(&mut e, phis)?;
    }
    fast_loops(&mut e)?;
    e.finish();
    let mut text = HEADER.to_owned();
    for declaration in e.declarations.values() {
        text.push_str(declaration);
        text.push('\n');
    }
    let params: Vec<String> = params
        .iter()
        .enumerate()
        .map(|(index, ty)| format!("{ty} %p{index}"))
        .collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "define {} @{FUNCTION}({}) #0 section \".text.{FUNCTION}\" !dbg !4 {{",
        results.ty,
        params.join(", ")
    );
    body(&e, &mut text)?;
    text.push_str("}\n");
    text.push_str(&attributes(settings));
    text.push_str(METADATA);
    text.push_str(&e.metadata.text());
    Ok(Translation {
        text,
        stack_bytes: stack_bytes as u16,
    })
}

fn attributes(settings: &Settings) -> String {
    let features = &settings.features;
    format!(
        "attributes #0 = {{ nounwind noredzone \"frame-pointer\"=\"all\" \"probe-stack\"=\"inline-asm\" \
         \"prefer-vector-width\"=\"256\" \"target-features\"=\"{features}\" }}\n\
         attributes #1 = {{ nounwind }}\n\
         attributes #2 = {{ cold noreturn nounwind nomerge }}\n\
         attributes #3 = {{ noreturn nounwind nomerge }}\n"
    )
}

/// The blocks, with their phis.
fn body(e: &Emitter<'_>, text: &mut String) -> Result<(), CompileError> {
    for written in &e.blocks {
        text.push_str(&written.label);
        text.push_str(":\n");
        if let Some(phis) = written.phis {
            self::phis(e, phis, &written.label, text)?;
        }
        text.push_str(&written.text);
    }
    Ok(())
}

fn phis(e: &Emitter<'_>, phis: Phis, label: &str, text: &mut String) -> Result<(), CompileError> {
    let edges = e.edges.get(label).map_or(&[][..], Vec::as_slice);
    for (index, &param) in e.func.dfg.block_params(phis.block).iter().enumerate() {
        let sources: Vec<String> = edges
            .iter()
            .map(|(from, args)| format!("[ {}, %{from} ]", args[index]))
            .collect();
        let ty = types::name(e.ty(param))?;
        let _ = writeln!(
            text,
            "  %{} = phi {ty} {}",
            phis.name(param),
            sources.join(", ")
        );
    }
    if let Some(number) = versions::number_phi(e, phis, edges) {
        text.push_str(&number);
    }
    Ok(())
}

/// Translates the instructions of the block that was begun with these phis.
fn block(e: &mut Emitter<'_>, phis: Phis) -> Result<(), CompileError> {
    e.forget();
    e.import_values(phis.block);
    for &param in e.func.dfg.block_params(phis.block) {
        e.define(param, format!("%{}", phis.name(param)));
    }
    for inst in e.func.layout.block_insts(phis.block) {
        set_position(e, inst);
        ops::instruction(e, inst)?;
    }
    Ok(())
}

/// Writes the faster versions of all loops.
fn fast_loops(e: &mut Emitter<'_>) -> Result<(), CompileError> {
    let loops = Rc::clone(&e.versions.loops);
    for (index, counted) in loops.iter().enumerate() {
        e.fast = e.versions.guarded.remove(&index);
        for &block in &counted.blocks {
            let phis = Phis {
                block,
                prefix: versions::FAST,
            };
            e.begin_with(plan::fast_label(block), Some(block), phis);
            if block == counted.header {
                let (next, number) = (versions::next_number(block), versions::number(block));
                e.line(format!("{next} = add nuw nsw i64 {number}, 1"));
            }
            self::block(e, phis)?;
        }
        e.fast = None;
        e.forget();
    }
    Ok(())
}

/// What calls and traps of this instruction are attached to, so that their place is known in the code.
fn set_position(e: &mut Emitter<'_>, inst: cranelift_codegen::ir::Inst) {
    let position = e.func.srcloc(inst);
    e.position = match position.bits().checked_add(1) {
        // Line 0 is none.
        Some(line) if !position.is_default() => {
            let number = e
                .metadata
                .number(format!("!DILocation(line: {line}, scope: !4)"));
            format!(", !dbg !{number}")
        }
        _ => String::new(),
    };
}

/// Stack slots, the parameters as the first block wants them, and the check of the stack's limit.
fn prologue(e: &mut Emitter<'_>, tail_calls: bool) -> Result<(), CompileError> {
    let func = e.func;
    let Some(entry) = func.layout.entry_block() else {
        return Err(CompileError::Failed(
            "the function has no blocks".to_owned(),
        ));
    };
    for (slot, data) in &func.sized_stack_slots {
        let align = 1u32 << data.align_shift;
        let line = format!(
            "%s{} = alloca [{} x i8], align {align}",
            slot.as_u32(),
            data.size
        );
        e.line(line);
    }
    let types: Vec<_> = func
        .signature
        .params
        .iter()
        .map(|param| param.value_type)
        .collect();
    let args = match tail_calls {
        true => control::from_places(e, &types)?,
        false => (0..types.len()).map(|index| format!("%p{index}")).collect(),
    };
    for line in e.versions.slot_lines() {
        e.line(line);
    }
    if let Some(line) = stack_call::buffer_line(func) {
        e.line(line);
    }
    if let Some(limit) = func.stack_limit
        && control::calls_something(func)
    {
        let limit = global_value(e, limit, &args)?;
        let frame = e.intrinsic("ptr", "llvm.frameaddress.p0", &[("i32", "0")]);
        let frame = e.op(format!("ptrtoint ptr {frame} to i64"));
        let beyond = e.op(format!("icmp ult i64 {frame}, {limit}"));
        e.trap_if(&beyond, TrapKind::StackOverflow);
    } else if e.faulting.any() {
        // A fault comes behind the prologue, for backtraces.
        let frame = e.intrinsic("ptr", "llvm.frameaddress.p0", &[("i32", "0")]);
        e.line(format!("call void asm sideeffect \"\", \"r\"(ptr {frame})"));
    }
    let target = label(entry);
    e.line(format!("br label %{target}"));
    let from = e.label.clone();
    e.edges.entry(target).or_default().push((from, args));
    Ok(())
}

/// The value of a global value, given the function's arguments.
fn global_value(
    e: &mut Emitter<'_>,
    value: GlobalValue,
    args: &[String],
) -> Result<String, CompileError> {
    match &e.func.global_values[value] {
        GlobalValueData::VMContext => {
            let context = e
                .func
                .signature
                .special_param_index(ArgumentPurpose::VMContext);
            let context = context.and_then(|index| args.get(index).cloned());
            context.ok_or_else(|| CompileError::Failed("there is no VM context".to_owned()))
        }
        &GlobalValueData::Load {
            base,
            offset,
            global_type,
            flags,
        } => {
            let base = global_value(e, base, args)?;
            memory::load_at(e, &base, offset.into(), global_type, flags)
        }
        _ => bailout("a global value that is not translated"),
    }
}
