//! The faults that `cargo xtask mutate` seeds, one at a time: each a change of a line or two that a tired programmer could
//! have made.

use serde::{Deserialize, Serialize};

/// A fault to seed.
pub struct Fault {
    /// What is wrong with it in place.
    pub name: &'static str,
    /// The file that it is in.
    pub file: &'static str,
    /// Text that the file has exactly once.
    pub find: &'static str,
    /// What stands there instead.
    pub replace: &'static str,
    /// The tests that should notice: arguments of `cargo test`, a string each run, the quickest to say so first.
    pub tests: &'static [&'static str],
}

impl Fault {
    /// The folder of the package that it is in.
    pub fn package(&self) -> &'static str {
        self.file
            .split_once("/src/")
            .map_or("", |(package, _)| package)
    }
}

/// What came of seeding one.
#[derive(Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The fault's name.
    pub name: String,
    /// The file that it is in.
    pub file: String,
    /// What stood there.
    pub find: String,
    /// What stood there instead.
    pub replace: String,
    /// The first run of tests that noticed, if one did.
    pub noticed_by: Option<String>,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// The project's commit.
    pub revision: String,
}

impl Outcome {
    /// Whether it is of this very fault.
    pub fn is_of(&self, fault: &Fault) -> bool {
        (&*self.name, &*self.file) == (fault.name, fault.file)
            && (&*self.find, &*self.replace) == (fault.find, fault.replace)
    }
}

const CODEMEM: &[&str] = &["-p upshift-codemem --tests"];
const RUNTIME: &[&str] = &[
    "-p upshift-runtime --lib",
    "-p upshift --test tiers --test faults --test plugin",
];
const VERSIONS: &[&str] = &[
    "-p upshift-models --tests",
    "-p upshift-runtime --lib",
    "-p upshift --test tiers --test faults --test plugin --test guards",
];
const MODELS: &[&str] = &["-p upshift-models --tests"];
const MOVES: &[&str] = &[
    "-p upshift-runtime --lib",
    "-p upshift-filetests --test tiering",
];
const TIERING: &[&str] = &["-p upshift-filetests --test tiering"];
const STENCILS: &[&str] = &[
    "-p upshift-stencil --lib",
    "-p upshift-wasm --test baseline",
    "-p upshift-filetests --test spec -- --stop --setup=tier-0",
];
const GUARDS: &[&str] = &[
    "-p upshift --test guards",
    "-p upshift-filetests --test tiering",
    "-p upshift-filetests --test spec -- --stop --setup=deopt",
];
const DEOPT: &[&str] = &["-p upshift-filetests --test spec -- --stop --setup=deopt"];
const LIVENESS: &[&str] = &[
    "-p upshift-wasm --lib",
    "-p upshift-filetests --test tiering",
];
const WASM: &[&str] = &[
    "-p upshift-wasm --test limits --test traps --test objects --test linking --test calls",
    "-p upshift-wasm --lib",
    "-p upshift-filetests --test spec -- --stop",
];
const WASI: &[&str] = &["-p upshift-wasi --lib", "-p upshift-wasi --tests"];

/// All of them.
pub const FAULTS: &[Fault] = &[
    // Code memory.
    Fault {
        name: "a relative relocation counts from the field's end, not its start",
        file: "crates/codemem/src/arch/x64.rs",
        find: "let distance = i128::from(value) - i128::from(place);",
        replace: "let distance = i128::from(value) - i128::from(place) - 4;",
        tests: CODEMEM,
    },
    Fault {
        name: "a relocation that does not fit is cut off",
        file: "crates/codemem/src/arch/x64.rs",
        find: "let distance = i32::try_from(distance).map_err(|_| RelocationError::Overflow)?;",
        replace: "let distance = distance as i32;",
        tests: CODEMEM,
    },
    Fault {
        name: "an absolute relocation of 8 bytes fills in 4",
        file: "crates/codemem/src/arch/mod.rs",
        find: "if kind == RelocKind::Abs8 { 8 } else { 4 }",
        replace: "if kind == RelocKind::Abs8 { 4 } else { 4 }",
        tests: CODEMEM,
    },
    Fault {
        name: "a relocation through a cell gets the target itself",
        file: "crates/codemem/src/arch/mod.rs",
        find: "RelocKind::GotPcRel4 | RelocKind::Aarch64AdrGotPage21",
        replace: "RelocKind::Aarch64AdrGotPage21",
        tests: CODEMEM,
    },
    Fault {
        name: "a relocation's addend is left out",
        file: "crates/codemem/src/linker.rs",
        find: ".checked_add_signed(relocation.addend)",
        replace: ".checked_add_signed(0)",
        tests: CODEMEM,
    },
    Fault {
        name: "a stub jumps through its neighbour's slot",
        file: "crates/codemem/src/arch/x64.rs",
        find: "at.slots + index * SLOT_BYTES,",
        replace: "at.slots + (index + 1) * SLOT_BYTES,",
        tests: CODEMEM,
    },
    Fault {
        name: "freed code keeps its bytes",
        file: "crates/codemem/src/heap.rs",
        find: "HOST.fill(self.writable(all));",
        replace: "let _ = all;",
        tests: CODEMEM,
    },
    Fault {
        name: "freed pages stay accessible",
        file: "crates/codemem/src/heap.rs",
        find: "if idle && mapping.seal(page_offsets(mapping, &open), true).is_ok() {",
        replace: "if idle {",
        tests: CODEMEM,
    },
    Fault {
        name: "freed pages stay inaccessible when they are used again",
        file: "crates/codemem/src/heap.rs",
        find: "mapping.seal(page_offsets(mapping, &sealed), false)?;",
        replace: "let _ = mapping;",
        tests: CODEMEM,
    },
    Fault {
        name: "freed code's memory is never used again",
        file: "crates/codemem/src/heap.rs",
        find: "state.free.free(granules);\n        state.used_bytes -= bytes;",
        replace: "state.used_bytes -= bytes;",
        tests: CODEMEM,
    },
    Fault {
        name: "a block takes a unit less than it needs",
        file: "crates/codemem/src/heap.rs",
        find: "bytes.max(1).div_ceil(GRANULE_BYTES)",
        replace: "(bytes / GRANULE_BYTES).max(1)",
        tests: CODEMEM,
    },
    Fault {
        name: "an allocation may reach one unit beyond its run",
        file: "crates/codemem/src/allocator.rs",
        find: "let fits = start.checked_add(length)? <= end;",
        replace: "let fits = start.checked_add(length)? <= end + 1;",
        tests: CODEMEM,
    },
    Fault {
        name: "neighbouring free runs are not joined",
        file: "crates/codemem/src/allocator.rs",
        find: "if start + length == units.start {",
        replace: "if start + length + 1 == units.start {",
        tests: CODEMEM,
    },
    Fault {
        name: "the slots of freed functions lead where they led before",
        file: "crates/codemem/src/table.rs",
        find: "self.entry_slot(FuncId(id)).store(trap, Ordering::Release);",
        replace: "let _ = (trap, id);",
        tests: CODEMEM,
    },
    Fault {
        name: "a function id used again keeps the old function's counts",
        file: "crates/codemem/src/table.rs",
        find: "self.reset_profile_cell(FuncId(id));",
        replace: "let _ = id;",
        tests: CODEMEM,
    },
    Fault {
        name: "a program counter just behind a block is found in it",
        file: "crates/codemem/src/block.rs",
        find: "(offset < self.len).then_some(offset as u32)",
        replace: "(offset <= self.len).then_some(offset as u32)",
        tests: CODEMEM,
    },
    Fault {
        name: "freed blocks stay in the map",
        file: "crates/codemem/src/block.rs",
        find: ".remove(&start);",
        replace: ".get(&start);",
        tests: CODEMEM,
    },
    // Runtime.
    Fault {
        name: "code that comes late replaces better code",
        file: "crates/runtime/src/versions.rs",
        find: "self.tier().is_some_and(|published| published >= tier);",
        replace: "false;",
        tests: VERSIONS,
    },
    Fault {
        name: "the slot leads to the second byte of new code",
        file: "crates/runtime/src/versions.rs",
        find: "slot.store(entry, Ordering::Release);\n        true",
        replace: "slot.store(entry.wrapping_add(1), Ordering::Release);\n        true",
        tests: VERSIONS,
    },
    Fault {
        name: "the code a thread may be in is dropped at once",
        file: "crates/runtime/src/versions.rs",
        find: "list.push(version);\n        self.tier",
        replace: "list.clear();\n        list.push(version);\n        self.tier",
        tests: RUNTIME,
    },
    Fault {
        name: "a compiler's panic goes through to the program",
        file: "crates/runtime/src/backend.rs",
        find: "catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {",
        replace: "Ok(f()).unwrap_or_else(|payload: Box<dyn std::any::Any>| {",
        tests: RUNTIME,
    },
    Fault {
        name: "a tier that failed is tried again and again",
        file: "crates/runtime/src/pipeline.rs",
        find: "state.versions.set_failed(tier);\n    }\n    let declined",
        replace: "state.versions.withdraw_request(tier);\n    }\n    let declined",
        tests: RUNTIME,
    },
    Fault {
        name: "the queue serves the youngest first",
        file: "crates/runtime/src/queue.rs",
        find: "(self.priority, other.sequence).cmp(&(other.priority, self.sequence))",
        replace: "(self.priority, self.sequence).cmp(&(other.priority, other.sequence))",
        tests: RUNTIME,
    },
    Fault {
        name: "the queue has no bound",
        file: "crates/runtime/src/queue.rs",
        find: "if state.closed || state.heap.len() >= CAPACITY {",
        replace: "if state.closed {",
        tests: RUNTIME,
    },
    Fault {
        name: "a function is promoted one call late",
        file: "crates/runtime/src/policy.rs",
        find: "if score >= needed {",
        replace: "if score > needed {",
        tests: RUNTIME,
    },
    Fault {
        name: "any fault in our code is taken for a trap of the guest's memory",
        file: "crates/runtime/src/signal.rs",
        find: "around_stack\n        .contains(&fault.address)\n        .then_some(TrapKind::StackOverflow)",
        replace: "let _ = around_stack;\n    recorded.or(Some(TrapKind::StackOverflow))",
        tests: &[
            "-p upshift --test faults",
            "-p upshift-torture --test smoke",
        ],
    },
    Fault {
        name: "the lazy entry loses the last float argument",
        file: "crates/runtime/src/arch/x64.rs",
        find: "\"movups xmm7, [rsp + 112]\",\n        \"add rsp, 136\",",
        replace: "\"movups xmm7, [rsp + 96]\",\n        \"add rsp, 136\",",
        tests: &["-p upshift-wasm --test calls --test host_functions"],
    },
    // Memory orderings and wake-ups.
    Fault {
        name: "a cell's new start may be seen before its old end is gone",
        file: "crates/runtime/src/ranges.rs",
        find: "cell.start.store(range.start, Ordering::Release);",
        replace: "cell.start.store(range.start, Ordering::Relaxed);",
        tests: MODELS,
    },
    Fault {
        name: "start and end may be of different ranges",
        file: "crates/runtime/src/ranges.rs",
        find: "(start..end).contains(&address) && cell.end.load(Ordering::Relaxed) == end",
        replace: "(start..end).contains(&address)",
        tests: MODELS,
    },
    Fault {
        name: "a cell may be found before it is filled in",
        file: "crates/runtime/src/ranges.rs",
        find: ".compare_exchange(head, cell, Ordering::AcqRel, Ordering::Acquire)",
        replace: ".compare_exchange(head, cell, Ordering::Relaxed, Ordering::Relaxed)",
        tests: MODELS,
    },
    Fault {
        name: "closing the queue wakes one worker",
        file: "crates/runtime/src/queue.rs",
        find: "self.ready.notify_all();",
        replace: "self.ready.notify_one();",
        tests: MODELS,
    },
    Fault {
        name: "new code may be called before it is written",
        file: "crates/runtime/src/versions.rs",
        find: "slot.store(entry, Ordering::Release);\n        true",
        replace: "slot.store(entry, Ordering::Relaxed);\n        true",
        tests: MODELS,
    },
    Fault {
        name: "two counters that trip at once both ask for better code",
        file: "crates/runtime/src/versions.rs",
        find: "self.requested.fetch_or(bit, Ordering::AcqRel) & bit == 0",
        replace: "let before = self.requested.load(Ordering::Acquire);\n        self.requested.store(before | bit, Ordering::Release);\n        before & bit == 0",
        tests: MODELS,
    },
    Fault {
        name: "a function that was lowered gets the better code that was being made",
        file: "crates/runtime/src/versions.rs",
        find: "if superseded || !self.may_use(tier) || is_stale(&version) {",
        replace: "if superseded || is_stale(&version) {",
        tests: MODELS,
    },
    Fault {
        name: "code is refused without a word, and never asked for again",
        file: "crates/runtime/src/versions.rs",
        find: "if !superseded {\n                self.withdraw_request(tier);\n            }\n            return false;",
        replace: "return false;",
        tests: MODELS,
    },
    Fault {
        name: "a group is not found by its first function",
        file: "crates/runtime/src/registry.rs",
        find: "groups.range(..=id)",
        replace: "groups.range(..id)",
        tests: MODELS,
    },
    // On-stack replacement.
    Fault {
        name: "two values change places on the way to an OSR version",
        file: "crates/wasm/src/translate/osr.rs",
        find: "let offset = osr::transfer_value(frame.len());",
        replace: "let offset = osr::transfer_value(frame.len() ^ 1);",
        tests: TIERING,
    },
    Fault {
        name: "values in a baseline frame are looked for one slot further down",
        file: "crates/stencil/src/frame.rs",
        find: "offset: val.home,",
        replace: "offset: val.home - 8,",
        tests: TIERING,
    },
    Fault {
        name: "loops that cannot be reached are not counted in baseline code",
        file: "crates/wasm/src/baseline/control.rs",
        find: "if op == Op::Loop {\n        d.next_loop();\n    }",
        replace: "",
        tests: TIERING,
    },
    Fault {
        name: "a transfer may have one value more than there is room for",
        file: "crates/runtime/src/transfer.rs",
        find: "if values > osr::TRANSFER_VALUES_MAX {",
        replace: "if values > osr::TRANSFER_VALUES_MAX + 1 {",
        tests: MOVES,
    },
    Fault {
        name: "two values of a frame are swapped on the way into a continuation",
        file: "crates/stencil/src/continuation.rs",
        find: "osr::transfer_value(index)",
        replace: "osr::transfer_value(index ^ 1)",
        tests: TIERING,
    },
    Fault {
        name: "a guard gives one value less than is live",
        file: "crates/wasm/src/translate/osr.rs",
        find: "push_frame(t, &locals, &mut arguments);",
        replace: "push_frame(t, &locals[..locals.len().saturating_sub(1)], &mut arguments);",
        tests: DEOPT,
    },
    Fault {
        name: "a continuation goes on at the next place",
        file: "crates/runtime/src/continuation.rs",
        find: "for ((entry, point), frame) in (0..).zip(points).zip(frames) {",
        replace: "for ((entry, point), frame) in (1..).zip(points).zip(frames) {",
        tests: &[
            "-p upshift --test guards",
            "-p upshift-filetests --test tiering",
        ],
    },
    Fault {
        name: "what travels from code that is left is stored one place too far",
        file: "crates/runtime/src/transfer.rs",
        find: "let offset = osr::transfer_value(before + index);",
        replace: "let offset = osr::transfer_value(before + index + 1);",
        tests: GUARDS,
    },
    Fault {
        name: "what travels from baseline code is stored one place too early",
        file: "crates/runtime/src/osr.rs",
        find: "let to = record.add(1 + index).cast::<u8>();",
        replace: "let to = record.add(index).cast::<u8>();",
        tests: MOVES,
    },
    Fault {
        name: "a vector that travels from baseline code loses its upper half",
        file: "crates/runtime/src/osr.rs",
        find: "ptr::copy_nonoverlapping(from, to, usize::from(place.bytes));",
        replace: "ptr::copy_nonoverlapping(from, to, usize::from(place.bytes.min(8)));",
        tests: MOVES,
    },
    Fault {
        name: "the places of a continuation are numbered backwards",
        file: "crates/runtime/src/continuation.rs",
        find: "for ((entry, point), frame) in (0..).zip(points).zip(frames) {",
        replace: "for ((entry, point), frame) in (0..).zip(points.iter().rev()).zip(frames) {",
        tests: GUARDS,
    },
    Fault {
        name: "a continuation may expect another frame than its guard gives",
        file: "crates/runtime/src/continuation.rs",
        find: "Some(place) if place.frame == frame.layout => {",
        replace: "Some(place) => {",
        tests: GUARDS,
    },
    Fault {
        name: "the one expected target of a call is taken for granted without a look",
        file: "crates/wasm/src/translate/call_site.rs",
        find: "osr::guard(t, same, GuardReason::CallTarget);",
        replace: "let _ = same;",
        tests: &[
            "-p upshift-filetests --test tiering",
            "-p upshift-filetests --test spec -- --stop",
        ],
    },
    Fault {
        name: "the branch of a guard is turned round",
        file: "crates/runtime/src/guards.rs",
        find: "cursor.ins().brif(holds, rest, [], cold, []);",
        replace: "cursor.ins().brif(holds, cold, [], rest, []);",
        tests: GUARDS,
    },
    Fault {
        name: "a way into a continuation believes constants of the way through",
        file: "crates/stencil/src/continuation.rs",
        find: "let in_home = |val: &mut Val| {",
        replace: "let in_home = |val: &mut Val| {\n            if matches!(val.loc(), Loc::Const(_)) {\n                return;\n            }",
        tests: GUARDS,
    },
    Fault {
        name: "a way into a continuation leads behind its operation's first instructions",
        file: "crates/stencil/src/continuation.rs",
        find: "self.keep_in_homes();\n        self.lead_here(number, locals, None)",
        replace: "let types = self.lead_here(number, locals, None);\n        self.keep_in_homes();\n        types",
        tests: GUARDS,
    },
    Fault {
        name: "what is live before an operation is what is live behind its block",
        file: "crates/wasm/src/translate/liveness.rs",
        find: "drop(positions.insert(*position, live.clone()))",
        replace: "drop(positions.entry(*position).or_insert_with(|| empty.clone()))",
        tests: &["-p upshift-wasm --lib"],
    },
    Fault {
        name: "code whose assumption was refuted is called on",
        file: "crates/runtime/src/versions.rs",
        find: "slot.store(entry, Ordering::Release);\n        Some(current.tier())",
        replace: "let _ = entry;\n        Some(current.tier())",
        tests: VERSIONS,
    },
    Fault {
        name: "OSR versions whose assumption was refuted are entered on",
        file: "crates/runtime/src/deopt.rs",
        find: "lock(&state.osr_loops).forget_code();\n    let Some(tier) = pipeline::retract(group, state, |_| true)",
        replace: "let Some(tier) = pipeline::retract(group, state, |_| true)",
        tests: GUARDS,
    },
    Fault {
        name: "an activation moves from an OSR version to the same one",
        file: "crates/runtime/src/loops.rs",
        find: ".filter(|better| *better > tier)",
        replace: ".filter(|better| *better >= tier)",
        tests: MOVES,
    },
    Fault {
        name: "the callers of an inlined call are forgotten",
        file: "crates/runtime/src/inline.rs",
        find: "caller: place.inlined,",
        replace: "caller: None,",
        tests: MOVES,
    },
    Fault {
        name: "the frames around an inlined call are rebuilt outside in",
        file: "crates/runtime/src/guards.rs",
        find: "        frames.reverse();\n        values.reverse();\n",
        replace: "",
        tests: TIERING,
    },
    Fault {
        name: "the record of an inlined frame begins one value too early",
        file: "crates/runtime/src/transfer.rs",
        find: "before += 1 + values.len();",
        replace: "before += values.len();",
        tests: TIERING,
    },
    Fault {
        name: "a refuted guard is done without only in its own function",
        file: "crates/runtime/src/deopt.rs",
        find: "for user in users {",
        replace: "for user in users.into_iter().take(1) {",
        tests: TIERING,
    },
    Fault {
        name: "one refuted guard more than there may be",
        file: "crates/runtime/src/assumptions.rs",
        find: "self.off = self.refuted.len() >= REFUTED_MAX;",
        replace: "self.off = self.refuted.len() > REFUTED_MAX;",
        tests: &["-p upshift-runtime --lib"],
    },
    Fault {
        name: "guards may fail as often as they like",
        file: "crates/runtime/src/assumptions.rs",
        find: "if *failures < FAILURES_MAX {",
        replace: "if *failures > 0 {",
        tests: &["-p upshift-runtime --lib", "-p upshift --test guards"],
    },
    Fault {
        name: "code that relies on what was refuted meanwhile is published",
        file: "crates/runtime/src/pipeline.rs",
        find: "|version| !holds(group, version),",
        replace: "|_| false,",
        tests: &["-p upshift --test guards"],
    },
    Fault {
        name: "a local that only the next iteration reads is not moved",
        file: "crates/wasm/src/translate/liveness.rs",
        find: "while walk_back(&steps, &empty, &mut headers, &mut positions) {}",
        replace: "walk_back(&steps, &empty, &mut headers, &mut positions);",
        tests: LIVENESS,
    },
    Fault {
        name: "a local read only on one way out is not moved",
        file: "crates/wasm/src/translate/liveness.rs",
        find: "live.add(frame.otherwise.as_ref().unwrap_or(&frame.after));",
        replace: "drop(frame);",
        tests: LIVENESS,
    },
    Fault {
        name: "the inner loop is moved before the outer one",
        file: "crates/runtime/src/loops.rs",
        find: ".filter(|index| !self.has_failed(*index, target))\n            .last();",
        replace: ".filter(|index| !self.has_failed(*index, target))\n            .next();",
        tests: MOVES,
    },
    // Stencils and tier 0.
    Fault {
        name: "a stencil's clobbered registers are not saved",
        file: "crates/stencil/src/stencil.rs",
        find: "self.evict_all(inputs | written);",
        replace: "self.evict_all(inputs);",
        tests: STENCILS,
    },
    Fault {
        name: "a stencil's traps are at the wrong place",
        file: "crates/stencil/src/stencil.rs",
        find: "offset: start + u32::from(trap.offset),",
        replace: "offset: start + u32::from(trap.offset) + 1,",
        tests: STENCILS,
    },
    Fault {
        name: "a stencil's constants are not aligned",
        file: "crates/stencil/src/stencil.rs",
        find: "self.code.pad((16 + STENCIL_PROLOGUE.len() - behind) % 16);",
        replace: "let _ = behind;",
        tests: STENCILS,
    },
    Fault {
        name: "a vector operation that takes its operands the other way round does not",
        file: "crates/stencil/src/vector.rs",
        find: "Order::Swapped => true,",
        replace: "Order::Swapped => false,",
        tests: STENCILS,
    },
    Fault {
        name: "a rotation of a vector's bytes goes half as far",
        file: "crates/stencil/src/lanes.rs",
        find: "(start + at as u8) % 16).then_some(Shuffle::Rotation(first, start))",
        replace: "(start + at as u8) % 16).then_some(Shuffle::Rotation(first, start / 2))",
        tests: STENCILS,
    },
    Fault {
        name: "a cycle of moves loses a value",
        file: "crates/stencil/src/shuffle.rs",
        find: "self.code.move_register(ty, moves[index].to, from);\n                    reads[from.index()] -= 1;",
        replace: "self.code.move_register(ty, moves[index].to, from);\n                    reads[from.index()] = 0;",
        tests: STENCILS,
    },
    Fault {
        name: "registers are not saved before a call",
        file: "crates/stencil/src/call.rs",
        find: "self.flush();\n        self.forget_saved(CLOBBERED_BY_CALLS);\n        self.make_moves();\n        assignment.stack_bytes()",
        replace: "self.flush();\n        self.make_moves();\n        assignment.stack_bytes()",
        tests: STENCILS,
    },
    Fault {
        name: "a tail call does not put back the registers that its function saves",
        file: "crates/stencil/src/call.rs",
        find: "for reg in CALLEE_SAVED {\n            self.used |= reg.bit();\n        }",
        replace: "",
        tests: &[
            "-p upshift-wasm --test baseline --test host_tail_calls",
            "-p upshift-filetests --test regress",
            "-p upshift-filetests --test spec -- --stop",
        ],
    },
    Fault {
        name: "locals taken for zero are not",
        file: "crates/stencil/src/frame.rs",
        find: "self.vals[local].set_loc(Loc::Const(0));",
        replace: "self.vals[local].set_loc(Loc::Const(1));",
        tests: STENCILS,
    },
    Fault {
        name: "a jump table has one entry too many",
        file: "crates/stencil/src/flow.rs",
        find: "self.code.jump_if(Condition::NOT_BELOW, default);",
        replace: "self.code.jump_if(Condition::Code(7), default);",
        tests: STENCILS,
    },
    // WebAssembly.
    Fault {
        name: "an access may end one byte beyond the memory",
        file: "crates/wasm/src/objects.rs",
        find: "Some(end) if end <= limit as u64 => Ok(start as usize),",
        replace: "Some(end) if end <= limit as u64 + 1 => Ok(start as usize),",
        tests: WASM,
    },
    Fault {
        name: "an offset too large for the guard region is not checked",
        file: "crates/wasm/src/translate/memory.rs",
        find: ".icmp_imm_u(IntCC::UnsignedGreaterThan, index, i64::from(u32::MAX));",
        replace: ".icmp_imm_u(IntCC::UnsignedGreaterThan, index, 1 << 33);",
        tests: WASM,
    },
    Fault {
        name: "an indirect call does not look at the function's type",
        file: "crates/wasm/src/translate/call.rs",
        find: "b.ins().trapz(same, trap_code(TrapKind::BadSignature));",
        replace: "let _ = same;",
        tests: WASM,
    },
    Fault {
        name: "an overlapping copy runs forwards",
        file: "crates/wasm/src/builtins.rs",
        find: "piece: PIECE_BYTES,\n        backwards: ptr::eq(target, source) && to > from,",
        replace: "piece: PIECE_BYTES,\n        backwards: false,",
        tests: WASM,
    },
    Fault {
        name: "a long operation is not interrupted",
        file: "crates/wasm/src/builtins.rs",
        find: "limits.interrupt.load(Ordering::Relaxed) != 0",
        replace: "limits.interrupt.load(Ordering::Relaxed) == 12345",
        tests: WASM,
    },
    // WASI.
    Fault {
        name: "the walk goes above the directory it was given",
        file: "crates/wasi/src/resolve.rs",
        find: "opened.pop().ok_or(Errno::NotCapable)?;",
        replace: "opened.pop();",
        tests: WASI,
    },
    Fault {
        name: "the kernel is not told to stay beneath the directory",
        file: "crates/wasi/src/resolve.rs",
        find: "let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;",
        replace: "let resolve = ResolveFlags::NO_MAGICLINKS;",
        tests: WASI,
    },
    Fault {
        name: "a link to an absolute path is followed",
        file: "crates/wasi/src/resolve.rs",
        find: "if target.first() == Some(&b'/') {\n        return Err(Errno::NotCapable);\n    }\n    let trimmed",
        replace: "let trimmed",
        tests: WASI,
    },
    Fault {
        name: "a trailing slash is forgotten",
        file: "crates/wasi/src/resolve.rs",
        find: "let must_be_directory = trimmed.len() < path.len();",
        replace: "let must_be_directory = trimmed.len() + 1 < path.len();",
        tests: WASI,
    },
];
