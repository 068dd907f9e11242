//! Inlining: calls of small functions of the same group are replaced by the callee's body, as CLIF, before any
//! optimizing tier's compiler sees it.
//!
//! It goes in rounds. Each looks at the direct calls that the last one brought in (the first: at the function's own),
//! takes those that are worth it, hottest first, as far as the budget goes, and has
//! [`cranelift_codegen::inline`] do the replacing. What a call is worth follows from what tier 0 counted, from how many
//! loops it is in, and from the callee's size, much as in HotSpot's compilers (`MaxInlineSize`, `FreqInlineSize`) and
//! V8's for WebAssembly.
//!
//! A callee is inlined only where it is called with the caller's own VM context, so that both are code of one instance.
//! A body that is inlined has no counters and no marks at its loops. It has guards if each function around it marks the
//! call that it is in with its frame ([`upshift_codegen::deopt`]): then the way back is one for all of them.
//!
//! Source positions stay exact. While calls are inlined, the body's source locations are numbers of [`Place`]s: a
//! position and whose body it is in. A compiler does not look at them; afterwards [`Inlining::resolve`] makes of them
//! what a backtrace needs.

use crate::call_profile;
use crate::config::InliningMode;
use crate::marks::{find_guards, find_marks, mark_number};
use crate::speculation::speculation;
use crate::table::{FunctionState, Group, lock};
use crate::tail_duplication::duplicate_tails;
use cranelift_codegen::Context;
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::EntityRef;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::inline::{Inline, InlineCommand};
use cranelift_codegen::ir::{
    ArgumentPurpose, ExternalName, FuncRef, Function, Inst, InstructionData, Opcode, SourceLoc,
    Value,
};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use cranelift_codegen::traversals::Dfs;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use upshift_base::{FuncId, Tier};
use upshift_codegen::symbol::{self, CALL_FRAME};
use upshift_codegen::{BodyRequest, CompileError, CompiledCode, InlinedCall};
use upshift_event::InlinedFunction;

/// How far inlining goes. None of these changes what a program does.
struct Limits {
    /// Source bytes of functions that are always inlined.
    small_bytes: u32,
    /// Source bytes of the largest function that is inlined outside of loops, and for each loop around the call.
    bytes: u32,
    bytes_per_loop: u32,
    /// Inlined calls inside of one another.
    depth: usize,
    /// Bodies of one function inside of one another, its own not counted.
    recursion: usize,
    /// CLIF instructions that may come in: so many, and so many times those that are there.
    budget: usize,
    budget_factor: usize,
    budget_max: usize,
    /// Whether what was counted matters.
    profiled: bool,
}

impl Limits {
    fn of(mode: InliningMode) -> Limits {
        match mode {
            InliningMode::Stress => Limits {
                small_bytes: u32::MAX,
                bytes: u32::MAX,
                bytes_per_loop: 0,
                depth: 8,
                recursion: 2,
                budget: 4000,
                budget_factor: 0,
                budget_max: 4000,
                profiled: false,
            },
            _ => Limits {
                small_bytes: 24,
                bytes: 90,
                bytes_per_loop: 120,
                depth: 6,
                recursion: 1,
                budget: 400,
                budget_factor: 1,
                budget_max: 2000,
                profiled: true,
            },
        }
    }
}

/// The heat of a call is multiplied by this for each loop around it.
const LOOP_HEAT: u64 = 8;
/// A call is cold if its callee was called less than once in so many calls of the caller.
const COLD_SHARE: u64 = 64;

/// Where an instruction comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Place {
    position: Option<u32>,
    /// The inlined call, if it is not the function's own.
    inlined: Option<u32>,
}

/// What was inlined in a body, and what its source locations mean now.
#[derive(Debug, Default)]
pub(crate) struct Inlining {
    pub(crate) calls: Vec<InlinedCall>,
    /// The frame that each was made in.
    frames: Vec<CallFrame>,
    places: Vec<Place>,
    numbers: HashMap<Place, u32>,
}

/// The frame that an inlined call was made in.
#[derive(Clone, Copy, Debug)]
struct CallFrame {
    /// The front end's mark of the call.
    mark: Option<Inst>,
    is_tail: bool,
    /// Whether the inlined body has guards.
    guarded: bool,
}

/// A function that is in an inlined call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The function, if it is one that was inlined itself.
    pub(crate) caller: Option<FuncId>,
    /// Where the call is.
    pub(crate) position: u32,
    /// The front end's mark of the call.
    pub(crate) mark: Option<Inst>,
    pub(crate) is_tail: bool,
}

impl Inlining {
    /// The inlined call that an instruction came with.
    pub(crate) fn call_of(&self, body: &Function, inst: Inst) -> Option<u32> {
        match self.calls.is_empty() {
            true => None,
            false => self.place(body.srcloc(inst).bits()).inlined,
        }
    }

    /// The callee of an inlined call.
    pub(crate) fn callee(&self, call: Option<u32>) -> Option<FuncId> {
        Some(self.calls.get(call? as usize)?.callee)
    }

    /// The callers of an inlined call, inside out.
    pub(crate) fn callers(&self, call: Option<u32>) -> impl Iterator<Item = Caller> {
        let indices = std::iter::successors(call, |call| self.calls.get(*call as usize)?.caller);
        indices.filter_map(|index| {
            let (call, frame) = (
                self.calls.get(index as usize)?,
                self.frames.get(index as usize)?,
            );
            Some(Caller {
                caller: self.callee(call.caller),
                position: call.position?,
                mark: frame.mark,
                is_tail: frame.is_tail,
            })
        })
    }

    /// Makes positions of what the compiler has taken for positions.
    pub(crate) fn resolve(self, code: &mut CompiledCode) {
        if self.calls.is_empty() {
            return;
        }
        for position in &mut code.positions {
            let place = position.position.map(|number| self.place(number));
            position.position = place.and_then(|place| place.position);
            position.inlined = place.and_then(|place| place.inlined);
        }
        code.inlined = self.calls;
    }

    fn place(&self, number: u32) -> Place {
        let nowhere = Place {
            position: None,
            inlined: None,
        };
        self.places.get(number as usize).copied().unwrap_or(nowhere)
    }

    fn location(&mut self, place: Place) -> SourceLoc {
        let next = self.places.len() as u32;
        let number = *self.numbers.entry(place).or_insert(next);
        if number == next {
            self.places.push(place);
        }
        SourceLoc::new(number)
    }

    /// Makes the source locations of a function's own instructions numbers.
    fn number_own(&mut self, body: &mut Function) {
        let insts: Vec<Inst> = body
            .layout
            .blocks()
            .flat_map(|block| body.layout.block_insts(block))
            .collect();
        for inst in insts {
            let place = Place {
                position: position(body, inst),
                inlined: None,
            };
            let location = self.location(place);
            body.set_srcloc(inst, location);
        }
    }

    /// The same for the instructions of `callee` that inlining has made, from number `first` on: they are made in the
    /// order of a depth-first traversal, each one for one, and behind a tail call that no longer is one comes a jump.
    fn number_inlined(&mut self, body: &mut Function, callee: &Function, done: Done, call: u32) {
        let mut next = done.first;
        for block in Dfs::new().pre_order_iter(callee) {
            for inst in callee.layout.block_insts(block) {
                let place = Place {
                    position: position(callee, inst),
                    inlined: Some(call),
                };
                let location = self.location(place);
                body.set_srcloc(Inst::new(next), location);
                let opcode = callee.dfg.insts[inst].opcode();
                let is_tail = opcode.is_return() && opcode.is_call();
                next += 1 + usize::from(is_tail && !done.is_tail);
            }
        }
    }

    /// Removes the marks of calls whose frames no guard takes along. What they use would seem to be needed for longer.
    fn remove_idle_marks(&self, body: &mut Function) {
        let guards = find_guards(body).into_iter();
        let needed: HashSet<Inst> = guards
            .flat_map(|(guard, _)| self.callers(self.call_of(body, guard)))
            .filter_map(|caller| caller.mark)
            .collect();
        for (mark, _) in find_marks(body, CALL_FRAME) {
            if !needed.contains(&mark) {
                body.layout.remove_inst(mark);
            }
        }
    }

    /// The call that brought in the code that an instruction is of, and those around it, inside out.
    fn chain(&self, inlined: Option<u32>) -> impl Iterator<Item = &InlinedCall> {
        let call = |index: u32| self.calls.get(index as usize);
        std::iter::successors(inlined.and_then(call), move |inner| {
            inner.caller.and_then(call)
        })
    }
}

fn position(body: &Function, inst: Inst) -> Option<u32> {
    let location = body.srcloc(inst);
    (!location.is_default()).then(|| location.bits())
}

/// Inlines calls in `body`, the body of `state`'s function that `request` asked for.
///
/// # Errors
/// If Cranelift's limits are exceeded, or a callee has no body after all. Then `body` is of no use any more.
pub(crate) fn inline_calls(
    group: &Group,
    (state, tier): (&FunctionState, Tier),
    request: &BodyRequest<'_>,
    body: &mut Function,
) -> Result<Inlining, CompileError> {
    let mut inliner = Inliner {
        group,
        state,
        tier,
        guarded: request.speculation.is_some() && lock(&state.assumptions).allows_inlined(),
        checked_accesses: request.checked_accesses,
        limits: Limits::of(group.shared.config.inlining),
        callees: HashMap::new(),
        inlining: Inlining::default(),
        budget: 0,
    };
    let own = size(body);
    let limits = &inliner.limits;
    inliner.budget = (limits.budget + own * limits.budget_factor).min(limits.budget_max);
    // The calls that the last round brought in have at least this number.
    let mut first = None;
    loop {
        let chosen = inliner.choose(body, first)?;
        if chosen.is_empty() {
            if !inliner.inlining.calls.is_empty() {
                inliner.inlining.remove_idle_marks(body);
                duplicate_tails(body);
            }
            return Ok(inliner.inlining);
        }
        if inliner.inlining.calls.is_empty() {
            inliner.inlining.number_own(body);
        }
        first = Some(inliner.inlining.calls.len() as u32);
        inliner.replace(body, chosen)?;
    }
}

/// The inlined calls as the subscriber is told of them, each followed by those inside of it.
pub(crate) fn report(group: &Group, calls: &[InlinedCall]) -> Vec<InlinedFunction> {
    // A call's caller comes before it. Sorted by the calls around each and where it is, inside follows outside.
    let mut paths: Vec<Vec<(Option<u32>, usize)>> = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        let mut path = call
            .caller
            .map_or(Vec::new(), |caller| paths[caller as usize].clone());
        path.push((call.position, index));
        paths.push(path);
    }
    paths.sort();
    let function = |path: &Vec<(Option<u32>, usize)>| {
        let call = calls[path.last()?.1];
        let callee = call.callee.0 - group.first().0;
        Some(InlinedFunction {
            function: call.callee,
            name: group.name(callee),
            position: call.position,
            source_bytes: group.source.source_bytes(callee),
            depth: path.len() as u32 - 1,
        })
    };
    paths.iter().filter_map(function).collect()
}

/// The same of the inlined call `call` and those around it, the outermost first.
pub(crate) fn report_chain(
    group: &Group,
    inlining: &Inlining,
    call: Option<u32>,
) -> Vec<InlinedFunction> {
    let mut chain: Vec<InlinedCall> = inlining.chain(call).cloned().collect();
    chain.reverse();
    for (caller, call) in (0..).zip(&mut chain) {
        call.caller = u32::checked_sub(caller, 1);
    }
    report(group, &chain)
}

/// A call that could be inlined.
struct Candidate {
    inst: Inst,
    /// The callee's index in the group.
    callee: u32,
    /// The inlined call that the call came with.
    inlined: Option<u32>,
    heat: u64,
    source_bytes: u32,
}

struct Inliner<'g> {
    group: &'g Group,
    state: &'g FunctionState,
    /// Whether accesses to memory are checked in the function's body, and have to be in its callees'.
    checked_accesses: bool,
    tier: Tier,
    /// Whether bodies that are inlined may have guards.
    guarded: bool,
    limits: Limits,
    /// Bodies made so far, and how large they are.
    callees: HashMap<Callee, (Function, usize)>,
    inlining: Inlining,
    /// Instructions that may still come in.
    budget: usize,
}

impl Inliner<'_> {
    /// The calls to inline next: among those brought in by inlined calls from `first` on, or all.
    fn choose(
        &mut self,
        body: &Function,
        first: Option<u32>,
    ) -> Result<HashMap<Inst, Chosen>, CompileError> {
        let mut candidates = self.candidates(body, first);
        candidates.sort_by_key(|c| Reverse(c.heat * 64 / (u64::from(c.source_bytes) + 16)));
        let mut chosen = HashMap::new();
        for candidate in candidates {
            let frame = self.call_frame(body, &candidate);
            let callee = Callee {
                index: candidate.callee,
                guarded: frame.guarded,
            };
            if !self.callees.contains_key(&callee) {
                let made = self.callee_body(callee)?;
                let size = size(&made);
                self.callees.insert(callee, (made, size));
            }
            let (made, size) = &self.callees[&callee];
            if *size <= self.budget && fits(body, candidate.inst, made) {
                self.budget -= size;
                chosen.insert(candidate.inst, Chosen { callee, frame });
            }
        }
        Ok(chosen)
    }

    /// What a call leaves behind of its caller, if it is inlined: the mark directly before it says.
    fn call_frame(&self, body: &Function, candidate: &Candidate) -> CallFrame {
        let outer = match candidate.inlined {
            None => self.guarded,
            Some(call) => self.inlining.frames[call as usize].guarded,
        };
        let before = body.layout.prev_inst(candidate.inst);
        let kind = before.and_then(|mark| Some((mark, mark_number(body, mark, CALL_FRAME)?)));
        CallFrame {
            mark: kind.map(|(mark, _)| mark),
            is_tail: kind.is_some_and(|(_, number)| number == 1),
            guarded: outer && kind.is_some() && self.has_position(body, candidate.inst),
        }
    }

    fn has_position(&self, body: &Function, inst: Inst) -> bool {
        match self.inlining.calls.is_empty() {
            true => position(body, inst).is_some(),
            false => {
                let place = self.inlining.place(body.srcloc(inst).bits());
                place.position.is_some()
            }
        }
    }

    fn callee_body(&self, callee: Callee) -> Result<Function, CompileError> {
        let index = callee.index;
        let state = self.group.state(index);
        let targets = match state {
            Some(state) => call_profile::expected_targets(self.group, state),
            None => Default::default(),
        };
        let speculation = state
            .filter(|_| callee.guarded)
            .and_then(|state| speculation(self.group, state, self.tier));
        let request = BodyRequest {
            speculation: speculation.as_ref(),
            checked_accesses: self.checked_accesses,
            targets: &targets,
            frame_log: self.group.shared.config.frame_log,
            ..BodyRequest::plain(index, self.group.first())
        };
        self.group.source.body(&request)
    }

    /// The direct calls of functions of the group that are worth it.
    fn candidates(&self, body: &Function, first: Option<u32>) -> Vec<Candidate> {
        let callees = self.callees_of(body);
        let mut candidates = Vec::new();
        if callees.is_empty() {
            return candidates;
        }
        let cfg = ControlFlowGraph::with_function(body);
        let domtree = DominatorTree::with_function(body, &cfg);
        let mut loops = LoopAnalysis::new();
        loops.compute(body, &cfg, &domtree);
        for block in body.layout.blocks() {
            let around = |l: &_| loops.loop_parent(*l);
            let depth = std::iter::successors(loops.innermost_loop(block), around).count();
            for inst in body.layout.block_insts(block) {
                let Some((callee, inlined)) = self.callee(body, inst, &callees) else {
                    continue;
                };
                if first.is_some_and(|first| inlined.is_none_or(|call| call < first)) {
                    continue;
                }
                let is_cold = body.layout.is_cold(block);
                candidates.extend(self.judge((inst, callee), inlined, depth as u32, is_cold));
            }
        }
        candidates
    }

    /// The functions of the group that `body` refers to, by their indices.
    fn callees_of(&self, body: &Function) -> HashMap<FuncRef, u32> {
        let own = |data: &cranelift_codegen::ir::ExtFuncData| {
            let ExternalName::User(name) = data.name else {
                return None;
            };
            let name = &body.params.user_named_funcs()[name];
            let function = FuncId(name.index);
            (name.namespace == symbol::FUNCTION && self.group.contains(function))
                .then(|| function.0 - self.group.first().0)
        };
        let functions = body.dfg.ext_funcs.iter();
        functions
            .filter_map(|(function, data)| Some((function, own(data)?)))
            .collect()
    }

    /// The callee of a direct call of one of `callees`, and the inlined call that the instruction came with.
    fn callee(
        &self,
        body: &Function,
        inst: Inst,
        callees: &HashMap<FuncRef, u32>,
    ) -> Option<(u32, Option<u32>)> {
        let InstructionData::Call {
            opcode: Opcode::Call | Opcode::ReturnCall,
            func_ref,
            ..
        } = body.dfg.insts[inst]
        else {
            return None;
        };
        let callee = *callees.get(&func_ref)?;
        Some((callee, self.inlining.call_of(body, inst)))
    }

    /// Whether a call in `depth` loops is worth it.
    fn judge(
        &self,
        (inst, callee): (Inst, u32),
        inlined: Option<u32>,
        depth: u32,
        is_cold: bool,
    ) -> Option<Candidate> {
        let limits = &self.limits;
        let id = self.group.id(callee);
        let chain = || self.inlining.chain(inlined);
        let same = chain().filter(|call| call.callee == id).count();
        let recursion = same + usize::from(id == self.state.function);
        if chain().count() >= limits.depth || recursion > limits.recursion {
            return None;
        }
        // Whoever wants a function in tier 0 wants to see its calls there.
        let state = self.group.state(callee);
        if state.is_some_and(|state| !state.versions.may_use(Tier::Top)) {
            return None;
        }
        let source_bytes = self.group.source.source_bytes(callee);
        let calls = state.map_or(0, |s| s.counts().calls);
        let own_calls = self.state.counts().calls;
        let small = source_bytes <= limits.small_bytes;
        let loops = depth.min(4);
        let largest = limits.bytes.saturating_add(limits.bytes_per_loop * loops);
        let is_cold = limits.profiled && (is_cold || calls * COLD_SHARE < own_calls.max(1));
        if source_bytes > largest || (is_cold && !small) {
            return None;
        }
        Some(Candidate {
            inst,
            callee,
            inlined,
            heat: if is_cold { 0 } else { LOOP_HEAT.pow(loops) },
            source_bytes,
        })
    }

    /// Replaces the chosen calls.
    fn replace(
        &mut self,
        body: &mut Function,
        chosen: HashMap<Inst, Chosen>,
    ) -> Result<(), CompileError> {
        let mut replacing = Replacing {
            chosen,
            callees: &self.callees,
            done: Vec::new(),
        };
        let mut context = Context::for_function(std::mem::replace(body, Function::new()));
        let result = context.inline(&mut replacing);
        let done = replacing.done;
        *body = context.func;
        result.map_err(|error| CompileError::Failed(format!("inlining calls: {error}")))?;
        for done in done {
            let place = self.inlining.place(body.srcloc(done.inst).bits());
            let call = self.inlining.calls.len() as u32;
            self.inlining.calls.push(InlinedCall {
                callee: self.group.id(done.chosen.callee.index),
                position: place.position,
                caller: place.inlined,
            });
            self.inlining.frames.push(done.chosen.frame);
            let (callee, _) = &self.callees[&done.chosen.callee];
            self.inlining.number_inlined(body, callee, done, call);
        }
        Ok(())
    }
}

/// A body that is inlined: whose, and whether it has guards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Callee {
    index: u32,
    guarded: bool,
}

/// What takes the place of a call.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    callee: Callee,
    frame: CallFrame,
}

/// How many instructions a body has, marks of calls not counted: they go.
fn size(body: &Function) -> usize {
    body.dfg.num_insts() - find_marks(body, CALL_FRAME).len()
}

/// Whether `callee` can take the place of a call: the types are the same, both run with the same VM context, and what
/// limits the stack in the callee does so in the caller.
fn fits(body: &Function, call: Inst, callee: &Function) -> bool {
    let InstructionData::Call { func_ref, .. } = body.dfg.insts[call] else {
        return false;
    };
    let signature = &body.dfg.signatures[body.dfg.ext_funcs[func_ref].signature];
    let Some(entry) = body.layout.entry_block() else {
        return false;
    };
    let context = |signature: &cranelift_codegen::ir::Signature, values: &[Value]| {
        let index = signature.special_param_index(ArgumentPurpose::VMContext)?;
        Some(body.dfg.resolve_aliases(*values.get(index)?))
    };
    let passed = context(signature, body.dfg.inst_args(call));
    let own = context(&body.signature, body.dfg.block_params(entry));
    *signature == callee.signature
        && (passed.is_none() || passed == own)
        && (callee.stack_limit.is_none() || body.stack_limit.is_some())
}

/// An inlined call: where it was, whose body took its place, and the number of that body's first instruction.
#[derive(Clone, Copy)]
struct Done {
    inst: Inst,
    chosen: Chosen,
    first: usize,
    is_tail: bool,
}

/// Tells Cranelift what to inline.
struct Replacing<'a> {
    chosen: HashMap<Inst, Chosen>,
    callees: &'a HashMap<Callee, (Function, usize)>,
    done: Vec<Done>,
}

impl Inline for Replacing<'_> {
    fn inline(
        &mut self,
        caller: &Function,
        inst: Inst,
        opcode: Opcode,
        _callee: FuncRef,
        _args: &[Value],
    ) -> InlineCommand<'_> {
        let Some(&chosen) = self.chosen.get(&inst) else {
            return InlineCommand::KeepCall;
        };
        self.done.push(Done {
            inst,
            chosen,
            first: caller.dfg.num_insts(),
            is_tail: opcode == Opcode::ReturnCall,
        });
        InlineCommand::Inline {
            callee: Cow::Borrowed(&self.callees[&chosen.callee].0),
            visit_callee: false,
        }
    }
}
