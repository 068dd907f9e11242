//! Which locals are live at places of a body, above all at the header of each loop: those that code from there on may
//! read before it writes them. It decides what moves along when an activation moves to other code in the middle.
//!
//! One pass over the body keeps what matters of it; then the body is walked backwards until nothing changes, which
//! takes as many rounds as loops are nested, and one more.

use std::collections::HashMap;
use upshift::embed::CompileError;
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// For each loop, in the order of the body, the locals that are live at its header, in ascending order; and the same for
/// the positions that were asked for.
#[derive(Debug, Default)]
pub struct Liveness {
    loops: Vec<Vec<u32>>,
    positions: HashMap<u32, Bits>,
}

impl Liveness {
    /// Of loop `loop_index`. Empty if there is no such loop.
    pub fn at_loop(&self, loop_index: u32) -> &[u32] {
        self.loops
            .get(loop_index as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// Before the operation at `position`. Empty if that was not asked for.
    pub fn at_position(&self, position: u32) -> Vec<u32> {
        self.positions
            .get(&position)
            .map_or(Vec::new(), Bits::members)
    }

    /// How many that are.
    pub fn count_at_position(&self, position: u32) -> usize {
        self.positions.get(&position).map_or(0, Bits::count)
    }
}

/// What matters of an instruction.
enum Step {
    Get(u32),
    Set(u32),
    /// `block`, or `if` with an `else` that was dealt with.
    Block,
    If,
    Else,
    /// A loop, by its index.
    Loop(u32),
    /// The end of a loop, or of anything else.
    End(Option<u32>),
    Branch(u32),
    BranchIf(u32),
    BranchTable(Vec<u32>),
    /// Whatever leaves the function.
    Leave,
    /// A position that was asked for.
    Position(u32),
}

/// How many locals a body has, with its `params` parameters.
///
/// # Errors
/// If the body cannot be read.
pub fn count_locals(body: &FunctionBody<'_>, params: usize) -> Result<u32, CompileError> {
    let failed = |error: BinaryReaderError| CompileError::Failed(error.to_string());
    let mut locals = params as u32;
    for declared in body.get_locals_reader().map_err(failed)? {
        locals += declared.map_err(failed)?.0;
    }
    Ok(locals)
}

/// Where the loops of a body begin, in the order of the body.
///
/// # Errors
/// If the body cannot be read.
pub fn loop_positions(body: &FunctionBody<'_>) -> Result<Vec<u32>, CompileError> {
    let failed = |error: BinaryReaderError| CompileError::Failed(error.to_string());
    let mut positions = Vec::new();
    for operator in body
        .get_operators_reader()
        .map_err(failed)?
        .into_iter_with_offsets()
    {
        let (operator, offset) = operator.map_err(failed)?;
        if let Operator::Loop { .. } = operator {
            // Modules are smaller than 4 GiB.
            positions.push(offset as u32);
        }
    }
    Ok(positions)
}

/// Finds the live locals at each loop header of a validated body with `locals` locals, parameters counted, and before
/// each operation that is `wanted`, by its position.
///
/// # Errors
/// If the body cannot be read.
pub fn liveness(
    body: &FunctionBody<'_>,
    locals: u32,
    wanted: impl Fn(u32, &Operator<'_>) -> bool,
) -> Result<Liveness, CompileError> {
    let (steps, loops) = read(body, wanted)?;
    let empty = Bits::new(locals);
    let mut headers = vec![empty.clone(); loops as usize];
    let mut positions = HashMap::new();
    if steps.is_empty() {
        return Ok(Liveness::default());
    }
    while walk_back(&steps, &empty, &mut headers, &mut positions) {}
    Ok(Liveness {
        loops: headers.iter().map(Bits::members).collect(),
        positions,
    })
}

fn read(
    body: &FunctionBody<'_>,
    wanted: impl Fn(u32, &Operator<'_>) -> bool,
) -> Result<(Vec<Step>, u32), CompileError> {
    let failed = |error: BinaryReaderError| CompileError::Failed(error.to_string());
    let mut operators = body.get_operators_reader().map_err(failed)?;
    let mut steps = Vec::new();
    let mut open: Vec<Option<u32>> = vec![None];
    let mut loops = 0;
    while !open.is_empty() {
        let (operator, offset) = operators.read_with_offset().map_err(failed)?;
        // Modules are smaller than 4 GiB.
        if wanted(offset as u32, &operator) {
            steps.push(Step::Position(offset as u32));
        }
        let step = match operator {
            Operator::LocalGet { local_index } => Step::Get(local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                Step::Set(local_index)
            }
            Operator::Block { .. } => {
                open.push(None);
                Step::Block
            }
            Operator::If { .. } => {
                open.push(None);
                Step::If
            }
            Operator::Else => Step::Else,
            Operator::Loop { .. } => {
                open.push(Some(loops));
                loops += 1;
                Step::Loop(loops - 1)
            }
            Operator::End => Step::End(open.pop().flatten()),
            Operator::Br { relative_depth } => Step::Branch(relative_depth),
            Operator::BrIf { relative_depth } => Step::BranchIf(relative_depth),
            Operator::BrTable { targets } => {
                let mut depths = targets
                    .targets()
                    .collect::<Result<Vec<u32>, _>>()
                    .map_err(failed)?;
                depths.push(targets.default());
                depths.sort_unstable();
                depths.dedup();
                Step::BranchTable(depths)
            }
            Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => Step::Leave,
            _ => continue,
        };
        steps.push(step);
    }
    Ok((steps, loops))
}

/// A block that the walk is in.
struct Frame {
    /// What is live behind it.
    after: Bits,
    /// What is live at the start of its `else`, once that was passed.
    otherwise: Option<Bits>,
    /// The loop, if it is one.
    header: Option<u32>,
}

/// One walk from the end of the body to its start. Whether more was found to be live at a header.
fn walk_back(
    steps: &[Step],
    empty: &Bits,
    headers: &mut [Bits],
    positions: &mut HashMap<u32, Bits>,
) -> bool {
    let mut changed = false;
    let mut live = empty.clone();
    let mut frames: Vec<Frame> = Vec::new();
    for step in steps.iter().rev() {
        match step {
            Step::Get(local) => live.insert(*local),
            Step::Set(local) => live.remove(*local),
            Step::End(header) => frames.push(Frame {
                after: live.clone(),
                otherwise: None,
                header: *header,
            }),
            Step::Else => {
                if let Some(frame) = frames.last_mut() {
                    let after = frame.after.clone();
                    frame.otherwise = Some(std::mem::replace(&mut live, after));
                }
            }
            Step::If => {
                if let Some(frame) = frames.pop() {
                    live.add(frame.otherwise.as_ref().unwrap_or(&frame.after));
                }
            }
            Step::Block => drop(frames.pop()),
            Step::Loop(index) => {
                frames.pop();
                changed |= headers[*index as usize].add(&live);
            }
            Step::Branch(depth) => live.clone_from(label(&frames, headers, *depth)),
            Step::BranchIf(depth) => {
                live.add(label(&frames, headers, *depth));
            }
            Step::BranchTable(depths) => {
                live.clone_from(empty);
                for depth in depths {
                    live.add(label(&frames, headers, *depth));
                }
            }
            Step::Leave => live.clone_from(empty),
            Step::Position(position) => drop(positions.insert(*position, live.clone())),
        }
    }
    changed
}

/// What is live where a branch to `depth` goes.
fn label<'a>(frames: &'a [Frame], headers: &'a [Bits], depth: u32) -> &'a Bits {
    let frame = &frames[frames.len() - 1 - depth as usize];
    match frame.header {
        Some(header) => &headers[header as usize],
        None => &frame.after,
    }
}

/// A set of locals.
#[derive(Clone, Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(members_max: u32) -> Bits {
        Bits(vec![0; members_max.div_ceil(64) as usize])
    }

    fn insert(&mut self, member: u32) {
        self.0[member as usize / 64] |= 1 << (member % 64);
    }

    fn remove(&mut self, member: u32) {
        self.0[member as usize / 64] &= !(1 << (member % 64));
    }

    /// Adds all of `other`'s members. Whether one of them is new.
    fn add(&mut self, other: &Bits) -> bool {
        let mut new = false;
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            new |= *other & !*word != 0;
            *word |= other;
        }
        new
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn members(&self) -> Vec<u32> {
        let of_word = |(index, word): (usize, &u64)| {
            let word = *word;
            (0..64)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| index as u32 * 64 + bit)
        };
        self.0.iter().enumerate().flat_map(of_word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::{ModuleOptions, decode};

    fn of(body: &str) -> Vec<Vec<u32>> {
        let text = format!("(module (func (param i32 i32 i32) (result i32) (local i32) {body}))");
        let bytes = wat::parse_str(text).expect("text");
        let info = decode(bytes, ModuleOptions::default()).expect("valid");
        let body = info.body(0).expect("a body");
        liveness(&body, 4, |_, _| false).expect("readable").loops
    }

    #[test]
    fn a_position_is_before_its_operation() {
        let text = "(module (func (param i32 i32) (result i32)
            (local.set 0 (i32.add (local.get 0) (local.get 1)))
            (block (br_if 0 (local.get 0)) (local.set 0 (local.get 1)))
            (local.get 0)))";
        let info = decode(
            wat::parse_str(text).expect("text"),
            ModuleOptions::default(),
        )
        .expect("valid");
        let body = info.body(0).expect("a body");
        let wanted = |_, operator: &Operator<'_>| {
            matches!(operator, Operator::BrIf { .. } | Operator::LocalSet { .. })
        };
        let found = liveness(&body, 2, wanted).expect("readable");
        let mut positions: Vec<_> = found.positions.keys().copied().collect();
        positions.sort_unstable();
        let live: Vec<_> = positions.iter().map(|at| found.at_position(*at)).collect();
        assert_eq!(live, [vec![1], vec![0, 1], vec![]]);
        assert_eq!(found.count_at_position(positions[1]), 2);
    }

    #[test]
    fn what_is_written_before_it_is_read_is_not_live() {
        let loops = of("(loop
            (local.set 3 (local.get 0))
            (local.set 1 (local.get 3))
            (br_if 0 (local.get 1)))
          (local.get 2)");
        assert_eq!(loops, [[0, 2]]);
    }

    #[test]
    fn what_the_next_iteration_reads_is_live() {
        let outer_reads = "(loop (local.get 3) (drop)
            (loop (local.set 0 (local.get 1)) (br_if 0 (local.get 0)))
            (br_if 0 (local.get 2)))
          (i32.const 1)";
        assert_eq!(of(outer_reads), [[1, 2, 3], [1, 2, 3]]);
    }

    #[test]
    fn each_way_out_counts() {
        let table = "(block (block (loop
              (br_table 0 1 2 (local.get 0)))
              unreachable)
            (return (local.get 1)))
          (local.get 2)";
        assert_eq!(of(table), [[0, 1, 2]]);
        let arms = "(loop
            (if (local.get 0) (then (local.set 1 (i32.const 1))) (else (local.set 2 (i32.const 1))))
            (br_if 0 (i32.add (local.get 1) (local.get 2))))
          (i32.const 0)";
        assert_eq!(of(arms), [[0, 1, 2]]);
        let both = "(loop
            (if (local.get 0) (then (local.set 1 (i32.const 1))) (else (local.set 1 (i32.const 1))))
            (br_if 0 (local.get 1)))
          (i32.const 0)";
        assert_eq!(of(both), [[0]]);
        let without_else = "(loop
            (if (local.get 0) (then (local.set 1 (i32.const 1))))
            (br_if 0 (local.get 1)))
          (i32.const 0)";
        assert_eq!(of(without_else), [[0, 1]]);
    }

    #[test]
    fn code_that_cannot_be_reached_needs_nothing() {
        assert_eq!(
            of("(loop (return (i32.const 1)) (local.get 0) (drop)) (i32.const 0)"),
            [[0; 0]]
        );
    }
}
