//! The targets of indirect calls: where they are counted, and which of them the next tier is told to expect.
//!
//! A function's call sites ([`upshift_codegen::call_site`]) get their memory when its first code is there that counts
//! them, and keep it until the function's group goes.

use crate::config::InliningMode;
use crate::table::{FunctionState, Group, lock};
use std::sync::atomic::Ordering;
use upshift_base::FuncId;
use upshift_codegen::call_site::{CallSite, CallTargets, Expected};

/// Calls that must have been counted at a site before it says anything.
const SAMPLES_MIN: u64 = 8;
/// A target is expected if at least one call in so many is of it.
const SHARE_MIN: u64 = 10;
/// The most targets that are compared with at one site.
const TARGETS_MAX: usize = 4;
/// Of ten calls, as many must be of expected targets.
const COVERED_OF_TEN_MIN: u64 = 5;

/// Called by generated code for a call that is not of the site's first target.
pub(crate) unsafe extern "C" fn count_target(site: *const CallSite, slot: usize) {
    // SAFETY: planted code passes a call site of its own function, which lives as long as the code.
    if let Some(site) = unsafe { site.as_ref() } {
        site.record(slot);
    }
}

/// Makes sure that there is memory for `count` call sites. Before the code that counts there is published.
pub(crate) fn allocate(state: &FunctionState, count: u32) {
    let mut arrays = lock(&state.call_sites);
    let known = arrays.last().map_or(0, |sites| sites.len());
    if known >= count as usize {
        return;
    }
    let sites: Box<[CallSite]> = (0..count).map(|_| CallSite::default()).collect();
    let address = sites.as_ptr() as usize;
    arrays.push(sites);
    state.cell().call_sites.store(address, Ordering::Release);
}

/// The targets that are worth comparing with, at each call site of a function.
pub(crate) fn expected_targets(group: &Group, state: &FunctionState) -> CallTargets {
    let mut targets = CallTargets::default();
    let mode = group.shared.config.inlining;
    if !mode.devirtualizes() {
        return targets;
    }
    let arrays = lock(&state.call_sites);
    let sites = arrays.last().map_or(&[][..], |sites| sites);
    for (number, site) in (0..).zip(sites) {
        let (counted, rest) = site.read();
        let own = |slot: usize| {
            let function = group.shared.memory.function_of_slot(slot)?;
            group.contains(function).then_some(function)
        };
        let counted: Vec<(Option<FuncId>, u64)> = counted
            .into_iter()
            .map(|(slot, count)| (own(slot), u64::from(count)))
            .collect();
        targets.expect(number, choose(counted, u64::from(rest), mode));
    }
    targets
}

/// Which of the targets to compare with, most frequent first. `None` stands for functions of other groups.
fn choose(mut counted: Vec<(Option<FuncId>, u64)>, rest: u64, mode: InliningMode) -> Expected {
    counted.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let total: u64 = rest + counted.iter().map(|&(_, count)| count).sum::<u64>();
    let stressed = mode == InliningMode::Stress;
    let (mut chosen, mut covered) = (Vec::new(), 0);
    for (function, count) in counted {
        if chosen.len() == TARGETS_MAX || (count * SHARE_MIN < total && !stressed) {
            break;
        }
        if let Some(function) = function {
            chosen.push(function);
            covered += count;
        }
    }
    if !stressed && (total < SAMPLES_MIN || covered * 10 < total * COVERED_OF_TEN_MIN) {
        chosen.clear();
    }
    Expected {
        targets: chosen,
        no_others: total >= SAMPLES_MIN && covered == total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(counted: &[(Option<u32>, u64)], rest: u64) -> Vec<u32> {
        let counted = counted
            .iter()
            .map(|&(function, count)| (function.map(FuncId), count));
        let chosen = choose(counted.collect(), rest, InliningMode::On).targets;
        chosen.into_iter().map(|function| function.0).collect()
    }

    #[test]
    fn what_was_never_called_is_told_from_what_seldom_is() {
        let no_others = |counted: &[(Option<FuncId>, u64)], rest, mode| {
            choose(counted.to_vec(), rest, mode).no_others
        };
        let (one, other) = (Some(FuncId(1)), Some(FuncId(2)));
        assert!(no_others(&[(one, 8)], 0, InliningMode::On));
        assert!(no_others(&[(one, 8), (other, 8)], 0, InliningMode::On));
        assert!(!no_others(&[(one, 5000), (other, 1)], 0, InliningMode::On));
        assert!(!no_others(&[(one, 5000)], 1, InliningMode::On));
        assert!(!no_others(&[(one, 7)], 0, InliningMode::Stress));
    }

    #[test]
    fn frequent_targets_are_chosen_in_order() {
        assert_eq!(
            chosen(&[(Some(1), 30), (Some(2), 60), (Some(3), 5)], 0),
            [2, 1]
        );
    }

    #[test]
    fn a_site_with_many_targets_stays_as_it_is() {
        let many: Vec<_> = (0..8).map(|function| (Some(function), 10)).collect();
        assert_eq!(chosen(&many, 60), [] as [u32; 0]);
        assert_eq!(chosen(&[(Some(1), 30), (None, 70)], 0), [] as [u32; 0]);
    }

    #[test]
    fn a_few_calls_say_nothing() {
        assert_eq!(chosen(&[(Some(1), 7)], 0), [] as [u32; 0]);
        assert_eq!(chosen(&[(Some(1), 8)], 0), [1]);
    }

    #[test]
    fn other_groups_functions_are_no_targets() {
        assert_eq!(chosen(&[(None, 40), (Some(2), 60)], 0), [2]);
    }
}
