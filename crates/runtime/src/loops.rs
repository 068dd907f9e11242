//! In which loop a running activation is moved to better code: pure decisions over the arrivals at loop headers.
//!
//! An activation can only be moved at the header that it is at, and code that is entered in an outer loop is better
//! than code that is entered in an inner one: there, what is outside of the inner loop can be kept apart from it. So an
//! outer loop is preferred if control gets there soon. Whether it does is found out by looking: for a while every
//! arrival of the function is watched, and the outermost loop seen around the present one is chosen. A chosen loop that
//! is not reached in time after all gives way to the loop that is running.

use std::collections::BTreeMap;
use std::sync::Arc;
use upshift_base::Tier;
use upshift_codegen::osr::FrameValue;

/// Arrivals at loop headers that are watched before a loop is chosen.
const WATCHED_ARRIVALS: u32 = 500;
/// Arrivals at inner loops before an outer one whose code is ready is given up.
const PATIENCE_ARRIVALS: u32 = 5000;

/// Where an activation is: at the header of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    pub(crate) loop_index: u32,
    /// The innermost loop around it.
    pub(crate) parent: Option<u32>,
    /// The tier of the code that runs.
    pub(crate) tier: Tier,
}

/// What to do for an activation that cannot be moved yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Have the OSR version of that loop made.
    Compile(u32),
    /// Look again at the next arrival.
    Soon,
    /// Look again after some iterations.
    Later,
    /// There is nothing to be had.
    Never,
}

/// What is known of the loops of one function.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    loops: BTreeMap<u32, Loop>,
    plan: Plan,
    /// The number of the present watch.
    watch: u32,
    /// All arrivals, for the stress test.
    pub(crate) arrivals: u32,
    /// Where each loop begins, if activations are to leave there for a lower tier.
    pub(crate) positions: Vec<u32>,
}

#[derive(Debug, Default)]
struct Loop {
    parent: Option<u32>,
    /// The last watch that it was seen in.
    seen: u32,
    /// One bit a tier.
    failed: u8,
    /// The address of its OSR version for each tier; 0 for none.
    entries: [usize; 3],
    /// Where the values that travel are in the frame of baseline code, if the function has any.
    frame: Option<Arc<[FrameValue]>>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Plan {
    #[default]
    Idle,
    Watching {
        left: u32,
    },
    Chosen {
        loop_index: u32,
        tier: Tier,
        patience: u32,
    },
}

impl Loops {
    /// Takes note of an arrival.
    pub(crate) fn arrive(&mut self, point: Point) {
        let watch = self.watch;
        let known = self.loops.entry(point.loop_index).or_default();
        known.parent = point.parent;
        known.seen = watch;
    }

    /// The best OSR version of a loop for tiers above `tier`.
    pub(crate) fn entry(&self, loop_index: u32, tier: Tier) -> Option<(Tier, usize)> {
        let entries = self.loops.get(&loop_index)?.entries;
        let better = Tier::ALL.into_iter().filter(|better| *better > tier).rev();
        better
            .map(|better| (better, entries[better.index()]))
            .find(|(_, entry)| *entry != 0)
    }

    /// Whether the function was found hot before, and a loop is being chosen or waited for.
    pub(crate) fn is_underway(&self) -> bool {
        !matches!(self.plan, Plan::Idle)
    }

    /// The next step towards code of `target` for an activation that has arrived at `point`, which has none.
    pub(crate) fn advance(&mut self, point: Point, target: Tier) -> Step {
        match self.plan {
            Plan::Idle => {
                self.watch += 1;
                self.arrive(point);
                if point.parent.is_none() {
                    return self.choose_outermost(point, target);
                }
                self.plan = Plan::Watching {
                    left: WATCHED_ARRIVALS,
                };
                Step::Soon
            }
            Plan::Watching { left } if left == 0 || point.parent.is_none() => {
                self.choose_outermost(point, target)
            }
            Plan::Watching { left } => {
                self.plan = Plan::Watching { left: left - 1 };
                Step::Soon
            }
            Plan::Chosen {
                loop_index,
                tier,
                patience,
            } => {
                let around = self
                    .around(point.loop_index)
                    .any(|outer| outer == loop_index);
                let ready = self.entry_of(loop_index, tier) != 0;
                if tier != target || self.has_failed(loop_index, tier) || (ready && !around) {
                    self.plan = Plan::Idle;
                    return self.advance(point, target);
                }
                if !ready {
                    return Step::Later;
                }
                if patience == 0 {
                    return self.choose(Some(point.loop_index), target);
                }
                self.plan = Plan::Chosen {
                    loop_index,
                    tier,
                    patience: patience - 1,
                };
                Step::Soon
            }
        }
    }

    /// Chooses the outermost loop around `point` that was seen in this watch and has not failed.
    fn choose_outermost(&mut self, point: Point, target: Tier) -> Step {
        let seen = |index: &u32| self.loops.get(index).is_some_and(|l| l.seen == self.watch);
        let outermost = self
            .around(point.loop_index)
            .take_while(seen)
            .filter(|index| !self.has_failed(*index, target))
            .last();
        self.choose(outermost, target)
    }

    fn choose(&mut self, chosen: Option<u32>, tier: Tier) -> Step {
        let Some(loop_index) = chosen.filter(|index| !self.has_failed(*index, tier)) else {
            self.plan = Plan::Idle;
            return Step::Never;
        };
        self.plan = Plan::Chosen {
            loop_index,
            tier,
            patience: PATIENCE_ARRIVALS,
        };
        match self.entry_of(loop_index, tier) {
            0 => Step::Compile(loop_index),
            _ => Step::Soon,
        }
    }

    /// The loop and those around it, inside out, as far as they were ever arrived at.
    fn around(&self, loop_index: u32) -> impl Iterator<Item = u32> {
        let parent = |index: &u32| self.loops.get(index).and_then(|l| l.parent);
        std::iter::successors(Some(loop_index), parent)
    }

    fn entry_of(&self, loop_index: u32, tier: Tier) -> usize {
        self.loops
            .get(&loop_index)
            .map_or(0, |l| l.entries[tier.index()])
    }

    pub(crate) fn has_failed(&self, loop_index: u32, tier: Tier) -> bool {
        self.loops
            .get(&loop_index)
            .is_some_and(|l| l.failed & (1 << tier.index()) != 0)
    }

    /// Where the values that travel from a loop are in the frame of baseline code, if that is known.
    pub(crate) fn frame(&self, loop_index: u32) -> Option<Arc<[FrameValue]>> {
        self.loops.get(&loop_index)?.frame.clone()
    }

    pub(crate) fn set_frame(&mut self, loop_index: u32, frame: Vec<FrameValue>) {
        self.loops.entry(loop_index).or_default().frame = Some(frame.into());
    }

    /// The OSR version of a loop is there.
    pub(crate) fn ready(&mut self, loop_index: u32, tier: Tier, entry: usize) {
        self.loops.entry(loop_index).or_default().entries[tier.index()] = entry;
    }

    /// There is no OSR version of a loop, and will not be unless the reason was `temporary`.
    pub(crate) fn failed(&mut self, loop_index: u32, tier: Tier, temporary: bool) {
        if temporary {
            self.withdraw(loop_index, tier);
        } else {
            self.loops.entry(loop_index).or_default().failed |= 1 << tier.index();
        }
    }

    /// What was asked for will not be made now.
    pub(crate) fn withdraw(&mut self, loop_index: u32, tier: Tier) {
        self.forget(|index, chosen_tier| index == loop_index && chosen_tier == tier);
    }

    /// An activation has moved at that loop.
    pub(crate) fn entered(&mut self, loop_index: u32) {
        self.forget(|index, _| index == loop_index);
    }

    /// All OSR versions are of no use any more.
    pub(crate) fn forget_code(&mut self) {
        for known in self.loops.values_mut() {
            known.entries = [0; 3];
        }
        self.plan = Plan::Idle;
    }

    fn forget(&mut self, what: impl Fn(u32, Tier) -> bool) {
        if let Plan::Chosen {
            loop_index, tier, ..
        } = self.plan
            && what(loop_index, tier)
        {
            self.plan = Plan::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(loop_index: u32, parent: Option<u32>) -> Point {
        Point {
            loop_index,
            parent,
            tier: Tier::Baseline,
        }
    }

    fn arrive(loops: &mut Loops, point: Point) -> Step {
        loops.arrive(point);
        loops.advance(point, Tier::Optimizing)
    }

    const OUTER: Point = Point {
        loop_index: 0,
        parent: None,
        tier: Tier::Baseline,
    };

    #[test]
    fn a_loop_that_is_in_no_other_is_chosen_at_once() {
        let mut loops = Loops::default();
        assert_eq!(arrive(&mut loops, OUTER), Step::Compile(0));
        assert_eq!(arrive(&mut loops, OUTER), Step::Later);
        loops.ready(0, Tier::Optimizing, 4096);
        assert_eq!(
            loops.entry(0, Tier::Baseline),
            Some((Tier::Optimizing, 4096))
        );
        assert_eq!(loops.entry(0, Tier::Optimizing), None);
        loops.entered(0);
        assert!(!loops.is_underway());
    }

    #[test]
    fn an_outer_loop_that_is_reached_soon_comes_before_its_inner_loop() {
        let mut loops = Loops::default();
        let inner = at(1, Some(0));
        assert_eq!(arrive(&mut loops, inner), Step::Soon);
        assert_eq!(arrive(&mut loops, inner), Step::Soon);
        assert_eq!(arrive(&mut loops, OUTER), Step::Compile(0));
        loops.ready(0, Tier::Optimizing, 4096);
        assert_eq!(arrive(&mut loops, inner), Step::Soon);
    }

    #[test]
    fn the_outermost_of_the_loops_seen_is_chosen() {
        let mut loops = Loops::default();
        arrive(&mut loops, at(2, Some(1)));
        arrive(&mut loops, at(1, Some(0)));
        let step = (0..WATCHED_ARRIVALS).map(|_| arrive(&mut loops, at(2, Some(1))));
        assert_eq!(step.last(), Some(Step::Compile(1)));
    }

    #[test]
    fn an_outer_loop_that_is_not_reached_gives_way() {
        let mut loops = Loops::default();
        let inner = at(1, Some(0));
        arrive(&mut loops, inner);
        arrive(&mut loops, OUTER);
        loops.ready(0, Tier::Optimizing, 4096);
        for _ in 0..PATIENCE_ARRIVALS {
            assert_eq!(arrive(&mut loops, inner), Step::Soon);
        }
        assert_eq!(arrive(&mut loops, inner), Step::Compile(1));
    }

    #[test]
    fn a_loop_that_fails_is_not_tried_again() {
        let mut loops = Loops::default();
        assert_eq!(arrive(&mut loops, OUTER), Step::Compile(0));
        loops.failed(0, Tier::Optimizing, true);
        assert_eq!(arrive(&mut loops, OUTER), Step::Compile(0));
        loops.failed(0, Tier::Optimizing, false);
        assert_eq!(arrive(&mut loops, OUTER), Step::Never);
        // Another one still is.
        assert_eq!(arrive(&mut loops, at(1, Some(0))), Step::Soon);
        arrive(&mut loops, OUTER);
        arrive(&mut loops, at(1, Some(0)));
        let step = (0..=WATCHED_ARRIVALS).map(|_| arrive(&mut loops, at(1, Some(0))));
        assert!(step.collect::<Vec<_>>().contains(&Step::Compile(1)));
    }

    #[test]
    fn a_loop_elsewhere_that_was_chosen_before_is_not_waited_for() {
        let mut loops = Loops::default();
        arrive(&mut loops, OUTER);
        loops.ready(0, Tier::Optimizing, 4096);
        assert_eq!(arrive(&mut loops, at(5, None)), Step::Compile(5));
    }
}
