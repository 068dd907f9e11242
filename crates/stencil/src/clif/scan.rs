//! What is found out about a function before its one pass: an order of its blocks, where its loops end, and how often
//! each value is used.
//!
//! The order is that of the layout, unless a block comes there before all that lead to it: then it is reverse
//! postorder. In either, each block that can be reached has a predecessor before it. So there is a way from the entry
//! to any block through blocks that come before it, and what dominates a block comes before it too.
//!
//! Cold blocks at the end, where counters ask the runtime something, mostly go back to where they came from. That is a
//! jump back in this order, but no loop: with the cold blocks left out, it leads forward.

use cranelift_codegen::ir::{Block, BlockCall, Function, Inst};

/// The position of a block that cannot be reached.
pub(super) const UNREACHED: u32 = u32::MAX;

/// What was found.
pub(super) struct Scan {
    /// The blocks that can be reached.
    pub(super) order: Vec<Block>,
    /// Where each block is in the order.
    pub(super) positions: Vec<u32>,
    /// From here on the order has nothing but cold blocks.
    pub(super) cold_from: u32,
    /// For each place in the order, the last place that jumps back to it; 0 if none does.
    pub(super) loop_ends: Vec<u32>,
    /// How often each value is used.
    pub(super) uses: Vec<u32>,
}

/// Jumps from cold blocks to others.
struct Returns {
    /// For each cold block, the last block that is not cold and leads there, through cold blocks or at once.
    origins: Vec<u32>,
    /// Those that lead forward from there.
    list: Vec<(u32, u32)>,
    /// Whether cold blocks lead to one another in circles, so that the origins may not be what they are.
    are_loops: bool,
}

impl Returns {
    /// Takes note of a jump. `true` if it is one that leads forward with the cold blocks left out.
    fn take(&mut self, cold_from: u32, at: u32, to: u32) -> bool {
        let origin = match at.checked_sub(cold_from) {
            Some(cold) => self.origins[cold as usize],
            None => at,
        };
        if let Some(cold) = to.checked_sub(cold_from) {
            self.are_loops |= to <= at;
            let known = &mut self.origins[cold as usize];
            *known = (*known).max(origin);
            return false;
        }
        let returns = at >= cold_from && to > origin;
        if returns {
            self.list.push((at, to));
        }
        returns
    }
}

/// Where an instruction may go besides the next one.
pub(super) fn targets(body: &Function, inst: Inst) -> &[BlockCall] {
    let (tables, exceptions) = (&body.dfg.jump_tables, &body.dfg.exception_tables);
    body.dfg.insts[inst].branch_destination(tables, exceptions)
}

fn successors(body: &Function, block: Block) -> impl DoubleEndedIterator<Item = Block> + '_ {
    let last = body.layout.last_inst(block);
    let calls = last.map_or(&[][..], |inst| targets(body, inst));
    calls.iter().map(|call| call.block(&body.dfg.value_lists))
}

impl Scan {
    /// Looks at a function.
    pub(super) fn of(body: &Function) -> Scan {
        let mut scan = Scan {
            order: Vec::with_capacity(body.dfg.num_blocks()),
            positions: vec![UNREACHED; body.dfg.num_blocks()],
            cold_from: 0,
            loop_ends: Vec::new(),
            uses: vec![0; body.dfg.num_values()],
        };
        if !scan.in_layout_order(body) {
            scan.in_reverse_postorder(body);
        }
        let is_cold = |block: &&Block| body.layout.is_cold(**block);
        let cold = scan.order.iter().rev().take_while(is_cold).count();
        scan.cold_from = (scan.order.len() - cold) as u32;
        scan.loop_ends = vec![0; scan.order.len()];
        let mut returns = Returns {
            origins: vec![0; cold],
            list: Vec::new(),
            are_loops: false,
        };
        for at in 0..scan.order.len() {
            scan.count(body, at, &mut returns);
        }
        for (at, to) in returns.list.into_iter().filter(|_| returns.are_loops) {
            let end = &mut scan.loop_ends[to as usize];
            *end = at.max(*end);
        }
        scan
    }

    /// Takes the blocks in the order of the layout. `false` if one of them comes before all that lead to it.
    fn in_layout_order(&mut self, body: &Function) -> bool {
        const AHEAD: u32 = UNREACHED - 1;
        let mut entry = body.layout.entry_block();
        let mut missed = false;
        for block in body.layout.blocks() {
            let position = &mut self.positions[block.as_u32() as usize];
            if entry.take().is_none() && *position != AHEAD {
                missed = true;
                continue;
            }
            *position = self.order.len() as u32;
            self.order.push(block);
            for next in successors(body, block) {
                let position = &mut self.positions[next.as_u32() as usize];
                if *position == UNREACHED {
                    *position = AHEAD;
                }
            }
        }
        // A block that was missed and is led to after all still waits.
        !missed || !self.positions.contains(&AHEAD)
    }

    fn in_reverse_postorder(&mut self, body: &Function) {
        self.order.clear();
        self.positions.fill(UNREACHED);
        let mut stack = Vec::new();
        if let Some(entry) = body.layout.entry_block() {
            self.positions[entry.as_u32() as usize] = 0;
            stack.push((entry, successors(body, entry)));
        }
        while let Some((block, rest)) = stack.last_mut() {
            // The last one is visited first, and so comes last.
            match rest.next_back() {
                Some(next) if self.positions[next.as_u32() as usize] == UNREACHED => {
                    self.positions[next.as_u32() as usize] = 0;
                    stack.push((next, successors(body, next)));
                }
                Some(_) => {}
                None => {
                    self.order.push(*block);
                    stack.pop();
                }
            }
        }
        self.order.reverse();
        for (at, block) in self.order.iter().enumerate() {
            self.positions[block.as_u32() as usize] = at as u32;
        }
    }

    /// Counts what the block at `at` uses, and where it jumps back to.
    fn count(&mut self, body: &Function, at: usize, returns: &mut Returns) {
        let dfg = &body.dfg;
        let mut last = None;
        for inst in body.layout.block_insts(self.order[at]) {
            for &arg in dfg.inst_args(inst) {
                self.uses[dfg.resolve_aliases(arg).as_u32() as usize] += 1;
            }
            last = Some(inst);
        }
        for call in last.map_or(&[][..], |inst| targets(body, inst)) {
            let to = self.positions[call.block(&dfg.value_lists).as_u32() as usize];
            if !returns.take(self.cold_from, at as u32, to) && to <= at as u32 {
                self.loop_ends[to as usize] = at as u32;
            }
            for arg in call.args(&dfg.value_lists).filter_map(|arg| arg.as_value()) {
                self.uses[dfg.resolve_aliases(arg).as_u32() as usize] += 1;
            }
        }
    }
}
