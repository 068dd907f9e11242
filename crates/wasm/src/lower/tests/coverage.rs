//! Every operator is lowered, or is known not to be: none was forgotten and none named wrongly.

use super::instructions::{ALL, NOT_LOWERED, PROPOSALS, lowered, with_operator};
use crate::lower::{access, operation};
use std::collections::HashSet;

#[test]
fn every_operator_is_lowered_or_listed() {
    for instruction in lowered() {
        for text in instruction.texts() {
            with_operator(&text, |op| {
                let found = [
                    operation(op).map(|operation| operation.name),
                    access(op).map(|access| access.name),
                ];
                match found {
                    [Some(name), None] | [None, Some(name)] => assert_eq!(name, instruction.name()),
                    [None, None] => panic!("{} is not lowered", instruction.variant),
                    _ => panic!("{} is lowered twice", instruction.variant),
                }
            });
        }
    }
}

#[test]
fn the_list_of_what_is_not_lowered_is_right() {
    let known: HashSet<_> = ALL
        .iter()
        .filter(|i| PROPOSALS.contains(&i.proposal))
        .map(|i| i.variant)
        .collect();
    for variant in NOT_LOWERED {
        assert!(
            known.contains(variant),
            "{variant} is not an operator of these proposals"
        );
    }
    // One of them stands for all: the look-ups do not claim what is listed.
    with_operator("drop", |op| {
        assert!(operation(op).is_none() && access(op).is_none())
    });
    with_operator("memory.size", |op| {
        assert!(operation(op).is_none() && access(op).is_none())
    });
}

#[test]
fn operands_and_results_agree_with_the_parser() {
    for instruction in lowered() {
        with_operator(&instruction.texts()[0], |op| {
            let found = if let Some(operation) = operation(op) {
                format!("arity {} -> 1", operation.operands.len())
            } else {
                let access = access(op).expect("lowered");
                let operands = access.operands.len() + 1;
                format!(
                    "arity memarg {operands} -> {}",
                    usize::from(access.result.is_some())
                )
            };
            assert_eq!(found, instruction.annotation, "{}", instruction.variant);
        });
    }
}

#[test]
fn an_access_knows_its_extent() {
    for instruction in lowered() {
        with_operator(&instruction.texts()[0], |op| {
            let Some(access) = access(op) else { return };
            assert_eq!(access.memarg.offset, super::harness::ACCESS_OFFSET as u64);
            // Left to itself the text format writes down the natural alignment.
            assert_eq!(
                access.bytes,
                1 << access.memarg.max_align,
                "{}",
                instruction.variant
            );
            assert_eq!(access.memarg.align, access.memarg.max_align);
        });
    }
}
