//! The text of one LLVM function as it grows: values by name, blocks, and what the module has to declare.

use super::checks::{self, Faulting};
use super::counted::Counted;
use super::names;
use super::plan::{self, Fast, Versions};
use super::types::{self, bailout};
use cranelift_codegen::ir::{
    Block, Function, Inst, InstructionData, Opcode, Type, Value, ValueDef, types as clif,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use upshift_base::TrapKind;
use upshift_codegen::CompileError;

/// Metadata with a fixed number: branch weights of a condition that is almost never true, and one almost always.
pub const UNLIKELY: &str = ", !prof !7";
pub const LIKELY: &str = ", !prof !8";
/// Metadata with a fixed number: the root of the alias regions, and nothing at all.
pub const REGIONS_ROOT: u32 = 9;
/// Numbers from here on are given out as needed.
const FIRST_NUMBER: u32 = 10;

/// Metadata of the module by its definition.
#[derive(Default)]
pub struct Metadata {
    numbers: HashMap<String, u32>,
    definitions: Vec<String>,
}

impl Metadata {
    /// The number of a definition.
    pub fn number(&mut self, definition: String) -> u32 {
        if let Some(&number) = self.numbers.get(&definition) {
            return number;
        }
        let number = FIRST_NUMBER + self.definitions.len() as u32;
        self.definitions.push(definition.clone());
        self.numbers.insert(definition, number);
        number
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, definition) in self.definitions.iter().enumerate() {
            let number = FIRST_NUMBER + index as u32;
            text.push_str(&format!("!{number} = {definition}\n"));
        }
        text
    }
}

/// The phis that a block begins with.
#[derive(Clone, Copy)]
pub struct Phis {
    /// The CLIF block whose parameters they are.
    pub block: Block,
    /// What their names begin with.
    pub prefix: &'static str,
}

impl Phis {
    /// The name of the phi for a parameter.
    pub fn name(self, param: Value) -> String {
        format!("{}{}", self.prefix, param.as_u32())
    }
}

/// A block without its phis.
pub struct Written {
    pub label: String,
    pub phis: Option<Phis>,
    pub text: String,
}

/// What a CLIF value is.
#[derive(Clone)]
struct Operand {
    text: String,
    /// The result of a comparison before it became a number.
    condition: Option<String>,
}

/// The text of one function.
pub struct Emitter<'f> {
    pub func: &'f Function,
    pub canonical_nans: bool,
    /// LLVM's target features.
    pub features: &'f str,
    /// Declarations by name.
    pub declarations: BTreeMap<String, String>,
    pub metadata: Metadata,
    /// Finished blocks.
    pub blocks: Vec<Written>,
    /// Where each block is jumped to from, with which arguments, by its label.
    pub edges: HashMap<String, Vec<(String, Vec<String>)>>,
    /// The block that is being written.
    pub label: String,
    phis: Option<Phis>,
    pub(super) clif_block: Option<Block>,
    pub(super) text: String,
    /// The accesses that may fault.
    pub faulting: Faulting,
    /// The loops that there are two versions of.
    pub versions: Versions,
    /// The loop whose faster version is being written.
    pub fast: Option<Fast>,
    values: HashMap<Value, Operand>,
    /// Those that are different in the faster version of a loop.
    fast_values: HashMap<Value, Operand>,
    /// Those that are different in the block being written, because they come from another loop with two versions.
    imported: HashMap<Value, Operand>,
    next: u32,
    /// The position of the current instruction, as an attachment.
    pub position: String,
}

impl<'f> Emitter<'f> {
    pub fn new(
        func: &'f Function,
        (canonical_nans, features): (bool, &'f str),
        (faulting, versions): (Faulting, Versions),
    ) -> Emitter<'f> {
        Emitter {
            func,
            canonical_nans,
            features,
            declarations: BTreeMap::new(),
            metadata: Metadata::default(),
            blocks: Vec::new(),
            edges: HashMap::new(),
            label: "entry".to_owned(),
            phis: None,
            clif_block: None,
            text: String::new(),
            faulting,
            versions,
            fast: None,
            values: HashMap::new(),
            fast_values: HashMap::new(),
            imported: HashMap::new(),
            next: 0,
            position: String::new(),
        }
    }

    /// A name that is new.
    pub fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    /// Ends the block being written, and begins the next.
    pub fn begin(&mut self, label: String, clif_block: Option<Block>) {
        let label = std::mem::replace(&mut self.label, label);
        self.blocks.push(Written {
            label,
            phis: self.phis.take(),
            text: std::mem::take(&mut self.text),
        });
        self.clif_block = clif_block;
    }

    /// Begins a block with phis.
    pub fn begin_with(&mut self, label: String, clif_block: Option<Block>, phis: Phis) {
        self.begin(label, clif_block);
        self.phis = Some(phis);
    }

    /// Ends the last block.
    pub fn finish(&mut self) {
        self.begin(String::new(), None);
    }

    /// A line without a result.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str("  ");
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// An integer of type `ty` out of the low bits of a word.
    pub fn narrow(&mut self, word: &str, ty: Type) -> Result<String, CompileError> {
        Ok(match ty {
            clif::I64 => word.to_owned(),
            _ => self.op(format!("trunc i64 {word} to {}", types::name(ty)?)),
        })
    }

    /// An instruction with a result, whose name is returned.
    pub fn op(&mut self, instruction: impl AsRef<str>) -> String {
        self.next += 1;
        let number = self.next;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "  %t{number} = {}", instruction.as_ref());
        format!("%t{number}")
    }

    /// A call of an intrinsic.
    pub fn intrinsic(&mut self, result: &str, name: &str, args: &[(&str, &str)]) -> String {
        let types: Vec<&str> = args.iter().map(|(ty, _)| *ty).collect();
        let declaration = format!("declare {result} @{name}({})", types.join(", "));
        self.declarations
            .entry(name.to_owned())
            .or_insert(declaration);
        let args: Vec<String> = args
            .iter()
            .map(|(ty, value)| format!("{ty} {value}"))
            .collect();
        self.op(format!("call {result} @{name}({})", args.join(", ")))
    }

    /// Defines what a CLIF value is.
    pub fn define(&mut self, value: Value, text: String) {
        self.define_operand(
            value,
            Operand {
                text,
                condition: None,
            },
        );
    }

    fn define_operand(&mut self, value: Value, operand: Operand) {
        if let Some(slot) = self.versions.slot(value) {
            self.line(format!(
                "store {} {}, ptr %{}",
                slot.ty, operand.text, slot.name
            ));
        }
        match self.fast {
            Some(_) => self.fast_values.insert(value, operand),
            None => self.values.insert(value, operand),
        };
    }

    /// Forgets what was said for one block only, or for the faster version of one loop.
    pub fn forget(&mut self) {
        self.imported.clear();
        if self.fast.is_none() {
            self.fast_values.clear();
        }
    }

    /// Defines a CLIF value that is the number 0 or 1, or as many bits in lanes, from a condition.
    pub fn define_condition(
        &mut self,
        value: Value,
        condition: String,
    ) -> Result<(), CompileError> {
        let ty = self.func.dfg.value_type(value);
        let name = types::name(ty)?;
        let operand = if ty.is_vector() {
            let lanes = ty.lane_count();
            Operand {
                text: self.op(format!("sext <{lanes} x i1> {condition} to {name}")),
                condition: None,
            }
        } else {
            Operand {
                text: self.op(format!("zext i1 {condition} to {name}")),
                condition: Some(condition),
            }
        };
        self.define_operand(value, operand);
        Ok(())
    }

    fn operand(&self, value: Value) -> Option<&Operand> {
        let imported = self.imported.get(&value);
        let fast = || self.fast_values.get(&value);
        imported.or_else(fast).or_else(|| self.values.get(&value))
    }

    /// The operand for a value.
    pub fn value(&self, value: Value) -> Result<String, CompileError> {
        let value = self.func.dfg.resolve_aliases(value);
        match self.operand(value) {
            Some(operand) => Ok(operand.text.clone()),
            None => Err(CompileError::Failed(format!(
                "{value} is used where it is not defined"
            ))),
        }
    }

    /// Type and operand of a value.
    pub fn typed(&self, value: Value) -> Result<String, CompileError> {
        let ty = types::name(self.ty(value))?;
        Ok(format!("{ty} {}", self.value(value)?))
    }

    /// The CLIF type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.func.dfg.value_type(value)
    }

    /// Whether an integer value is not zero.
    pub fn condition(&mut self, value: Value) -> Result<String, CompileError> {
        let value = self.func.dfg.resolve_aliases(value);
        if let Some(condition) = self.operand(value).and_then(|o| o.condition.as_ref()) {
            return Ok(condition.clone());
        }
        let typed = self.typed(value)?;
        Ok(self.op(format!("icmp ne {typed}, 0")))
    }

    /// Traps, and begins a block that nothing leads to.
    pub fn trap(&mut self, kind: TrapKind) {
        let name = names::trap(kind);
        self.line(format!("call void @{name}() #3{}", self.position));
        self.line("unreachable");
        let declaration = format!("declare void @{name}() #2");
        self.declarations.entry(name).or_insert(declaration);
    }

    /// Traps if `condition` is true.
    pub fn trap_if(&mut self, condition: &str, kind: TrapKind) {
        let (cold, rest) = (self.fresh("trap"), self.fresh("rest"));
        self.line(format!(
            "br i1 {condition}, label %{cold}, label %{rest}{UNLIKELY}"
        ));
        let block = self.clif_block;
        self.begin(cold, block);
        self.trap(kind);
        self.begin(rest, block);
    }

    /// The instruction that defines a value.
    pub fn definition(&self, value: Value) -> Option<&'f InstructionData> {
        let value = self.func.dfg.resolve_aliases(value);
        // What it was made of is another loop's, and may be something else here.
        if self.imported.contains_key(&value) {
            return None;
        }
        match self.func.dfg.value_def(value) {
            ValueDef::Result(inst, 0) => Some(&self.func.dfg.insts[inst]),
            _ => None,
        }
    }

    /// The bits that a floating-point value, or each lane of it, is known to have.
    pub fn float_constant(&self, value: Value) -> Option<u64> {
        match *self.definition(value)? {
            InstructionData::UnaryIeee32 { imm, .. } => Some(u64::from(imm.bits())),
            InstructionData::UnaryIeee64 { imm, .. } => Some(imm.bits()),
            InstructionData::Unary {
                opcode: Opcode::Splat,
                arg,
            } => self.float_constant(arg),
            InstructionData::LoadNoOffset {
                opcode: Opcode::Bitcast,
                arg,
                ..
            } => {
                let lane = self.ty(value).lane_type();
                let same = self.ty(arg).lane_type() == lane;
                let constant = same.then(|| self.float_constant(arg)).flatten();
                constant.or_else(|| self.uniform_vector(arg, lane))
            }
            _ => self.uniform_vector(value, self.ty(value).lane_type()),
        }
    }

    /// The bits of each lane if `value` is a vector constant, seen in lanes of `lane`, that has the same in all.
    fn uniform_vector(&self, value: Value, lane: Type) -> Option<u64> {
        let InstructionData::UnaryConst {
            constant_handle, ..
        } = *self.definition(value)?
        else {
            return None;
        };
        let bytes = self.func.dfg.constants.get(constant_handle).as_slice();
        let width = lane.bytes() as usize;
        let first = bytes.get(..width)?;
        let uniform = width <= 8 && bytes.chunks(width).all(|chunk| chunk == first);
        uniform.then(|| {
            first
                .iter()
                .rev()
                .fold(0, |bits, byte| bits << 8 | u64::from(*byte))
        })
    }

    /// Declines an instruction.
    pub fn declined<T>(&self, opcode: Opcode) -> Result<T, CompileError> {
        bailout(format!("{opcode} is not translated"))
    }
}

/// Loops that there are two versions of.
impl Emitter<'_> {
    /// The label that a jump to `block` from the block being written leads to.
    pub fn target(&self, block: Block) -> String {
        let versions = &self.versions;
        let here = self
            .clif_block
            .and_then(|block| versions.loop_of.get(&block));
        let there = versions.loop_of.get(&block);
        match there {
            Some(_) if here == there && self.fast.is_some() => plan::fast_label(block),
            Some(_) if here != there && versions.headers.contains_key(&block) => {
                plan::guard_label(block)
            }
            _ => plan::label(block),
        }
    }

    /// Whether a jump to `block` leaves the faster version of a loop, which takes a [`fence`](Emitter::fence).
    pub fn leaves(&self, block: Block) -> bool {
        let fast = self.fast.as_ref().map(|fast| fast.index);
        fast.is_some_and(|fast| self.versions.loop_of.get(&block) != Some(&fast))
    }

    /// Keeps LLVM from moving accesses across the edge of a loop's faster version, where they are not volatile.
    pub fn fence(&mut self) {
        if self.faulting.any() {
            self.line("fence syncscope(\"singlethread\") seq_cst");
        }
    }

    /// Loads the values that `block`, which is being begun, uses from other loops that have two versions.
    pub fn import_values(&mut self, block: Block) {
        let values = self.versions.imports.get(&block).cloned();
        for value in values.into_iter().flatten() {
            if let Some(text) = self.load_slot(value) {
                let condition = None;
                self.imported.insert(value, Operand { text, condition });
            }
        }
    }

    /// A value that comes from another loop that has two versions.
    pub fn load_slot(&mut self, value: Value) -> Option<String> {
        let slot = self.versions.slot(value)?;
        let load = format!("load {}, ptr %{}", slot.ty, slot.name);
        Some(self.op(load))
    }

    /// Whether the access `inst` is volatile, where it is being written.
    pub fn is_volatile(&self, inst: Inst) -> bool {
        let fast = self.fast.as_ref();
        let counted = fast.map(|fast| &self.versions.loops[fast.index]);
        let is_checked = |counted: &Counted| {
            let check = self.faulting.check_of(inst);
            check.is_some_and(|check| counted.checks.contains(&check))
        };
        if checks::may_fault(self.func, inst) && !counted.is_some_and(is_checked) {
            return true;
        }
        // A store must not pass by an access that faults.
        self.func.dfg.insts[inst].opcode().can_store()
            && self.faulting.any()
            && !counted.is_some_and(|counted| counted.is_free_of_faults)
    }
}
