//! Makes a failing case smaller: fewer schedules and promotions, fewer calls, smaller functions.
//!
//! Each attempt is checked in a process of its own, so that a crash or a hang can be made smaller too.

use crate::case::{Case, ClifCase, Malformed, Schedule, WasmCase};
use std::ops::Range;
use std::time::{Duration, Instant};
use wasm_encoder::{CodeSection, RawSection};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// How long a case is made smaller.
const TIME_MAX: Duration = Duration::from_secs(60);

/// More transitions than this are not counted.
const TRANSITIONS_MAX: u64 = 1 << 24;

/// Decides whether a case still fails.
pub type Fails<'a> = dyn FnMut(&Case) -> bool + 'a;

/// The smallest failing case found. `case` itself must fail.
pub fn minimise(case: &Case, fails: &mut Fails<'_>) -> Case {
    let mut minimiser = Minimiser {
        best: case.clone(),
        fails,
        end: Instant::now() + TIME_MAX,
    };
    match case {
        Case::Wasm(_) => minimiser.wasm(),
        Case::Clif(_) => minimiser.clif(),
        Case::Malformed(_) => minimiser.malformed(),
    }
    minimiser.best
}

struct Minimiser<'a, 'b> {
    best: Case,
    fails: &'a mut Fails<'b>,
    end: Instant,
}

impl Minimiser<'_, '_> {
    /// Keeps a case if it is new and fails too.
    fn keep(&mut self, case: Case) -> bool {
        if case == self.best || Instant::now() > self.end || !(self.fails)(&case) {
            return false;
        }
        self.best = case;
        true
    }

    /// Tries to remove stretches of a list of `len` items, long ones first. `remove` makes the case without a range.
    fn without(&mut self, len: usize, remove: &dyn Fn(&Case, Range<usize>) -> Option<Case>) {
        let mut len = len;
        let mut stretch = len;
        while stretch > 0 {
            let mut at = 0;
            while at < len {
                let end = (at + stretch).min(len);
                let removed = remove(&self.best, at..end).is_some_and(|case| self.keep(case));
                match removed {
                    true => len -= end - at,
                    false => at = end,
                }
            }
            stretch /= 2;
        }
    }

    fn wasm_case(&self) -> Option<&WasmCase> {
        match &self.best {
            Case::Wasm(case) => Some(case),
            _ => None,
        }
    }

    fn wasm(&mut self) {
        for _ in 0..2 {
            let Some(case) = self.wasm_case().cloned() else {
                return;
            };
            self.without(
                case.schedules.len(),
                &edit(|case, range| {
                    case.schedules.drain(range);
                }),
            );
            self.schedules();
            self.transitions();
            self.without(
                case.calls.len(),
                &edit(|case, range| {
                    case.calls.drain(range);
                }),
            );
            self.code();
        }
    }

    /// Simpler schedules: one tier alone, no workers, no promotions.
    fn schedules(&mut self) {
        let Some(case) = self.wasm_case().cloned() else {
            return;
        };
        for (index, schedule) in case.schedules.iter().enumerate() {
            for simpler in simpler(schedule) {
                let mut case = case.clone();
                case.schedules[index] = simpler;
                if self.keep(Case::Wasm(case)) {
                    break;
                }
            }
            self.without(
                schedule.promotions.len(),
                &edit(move |case, range| {
                    if let Some(schedule) = case.schedules.get_mut(index) {
                        let end = range.end.min(schedule.promotions.len());
                        schedule.promotions.drain(range.start.min(end)..end);
                    }
                }),
            );
        }
    }

    /// Bisects how many transitions a stress test has to make: the last of them is the one to look at.
    fn transitions(&mut self) {
        let Some(case) = self.wasm_case().cloned() else {
            return;
        };
        for (index, schedule) in case.schedules.iter().enumerate() {
            if schedule.stress.is_none() && schedule.deopt.is_none() {
                continue;
            }
            let mut fails_with = |transitions: u64| {
                let limited = edit(move |case, _| {
                    if let Some(schedule) = case.schedules.get_mut(index) {
                        schedule.transitions = Some(transitions);
                    }
                })(&self.best, 0..0);
                limited.is_some_and(|case| self.keep(case))
            };
            let mut powers = (0..TRANSITIONS_MAX.ilog2()).map(|power| 1 << power);
            let Some(mut enough) = powers.find(|most| fails_with(*most)) else {
                continue;
            };
            let mut too_few = enough / 2;
            while enough - too_few > 1 {
                let middle = too_few + (enough - too_few) / 2;
                match fails_with(middle) {
                    true => enough = middle,
                    false => too_few = middle,
                }
            }
        }
    }

    /// Removes instructions, as far as the module stays valid.
    fn code(&mut self) {
        let bodies = self
            .wasm_case()
            .map_or(0, |case| operators(&case.module).len());
        for body in 0..bodies {
            let module = |case: &Case| match case {
                Case::Wasm(case) => Some(case.module.clone()),
                _ => None,
            };
            let Some(bytes) = module(&self.best) else {
                return;
            };
            // All but the final `end`.
            let len = operators(&bytes)
                .get(body)
                .map_or(0, |ranges| ranges.len().saturating_sub(1));
            if let Some(smaller) = replace(&bytes, body, &|_, _| Some(vec![0x00])) {
                let case = edit(move |case, _| case.module = smaller.clone())(&self.best, 0..0);
                if case.is_some_and(|case| self.keep(case)) {
                    continue;
                }
            }
            self.without(len, &|case, range| {
                let module = module(case)?;
                let smaller = replace(&module, body, &|bytes, ranges| {
                    let (first, last) = (ranges.get(range.start)?, ranges.get(range.end - 1)?);
                    let own = ranges.first()?.start;
                    let end = ranges.last()?.start;
                    let mut kept = bytes[own..first.start].to_vec();
                    kept.extend_from_slice(&bytes[last.end..end.max(last.end)]);
                    Some(kept)
                })?;
                edit(move |case, _| case.module = smaller.clone())(case, range)
            });
        }
    }

    fn clif(&mut self) {
        let Case::Clif(case) = self.best.clone() else {
            return;
        };
        self.without(case.calls.len(), &|case, range| {
            let Case::Clif(case) = case else { return None };
            let mut calls = case.calls.clone();
            calls.drain(range);
            Some(Case::Clif(ClifCase {
                calls,
                ..case.clone()
            }))
        });
        self.without(case.text.lines().count(), &|case, range| {
            let Case::Clif(case) = case else { return None };
            let lines = case.text.lines().enumerate();
            let kept: Vec<&str> = lines
                .filter(|(at, _)| !range.contains(at))
                .map(|(_, line)| line)
                .collect();
            let text = kept.join("\n");
            Some(Case::Clif(ClifCase {
                text,
                ..case.clone()
            }))
        });
    }

    fn malformed(&mut self) {
        let Case::Malformed(case) = self.best.clone() else {
            return;
        };
        self.without(case.bytes.len(), &|case, range| {
            let Case::Malformed(case) = case else {
                return None;
            };
            let mut bytes = case.bytes.clone();
            bytes.drain(range);
            Some(Case::Malformed(Malformed {
                bytes,
                ..case.clone()
            }))
        });
    }
}

/// A change of a module's case, as a change of a case.
fn edit(
    change: impl Fn(&mut WasmCase, Range<usize>),
) -> impl Fn(&Case, Range<usize>) -> Option<Case> {
    move |case, range| {
        let Case::Wasm(case) = case else { return None };
        let mut case = case.clone();
        change(&mut case, range);
        Some(Case::Wasm(case))
    }
}

fn simpler(schedule: &Schedule) -> Vec<Schedule> {
    let plain = Schedule {
        workers: None,
        interruptible: false,
        promotions: Vec::new(),
        stress: None,
        deopt: None,
        transitions: None,
        ..schedule.clone()
    };
    let alone = |tier| Schedule {
        tiers: vec![tier],
        thresholds: (1, 1),
        ..plain.clone()
    };
    let inlining_less = Schedule {
        inline_all: false,
        ..schedule.clone()
    };
    let synchronous = Schedule {
        workers: None,
        ..schedule.clone()
    };
    let calm = Schedule {
        stress: None,
        deopt: None,
        transitions: None,
        ..schedule.clone()
    };
    vec![
        alone(0),
        alone(1),
        plain.clone(),
        inlining_less,
        synchronous,
        calm,
    ]
}

/// The ranges of the operators of each function body, in bytes of the module.
fn operators(module: &[u8]) -> Vec<Vec<Range<usize>>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Ok(Payload::CodeSectionEntry(body)) = payload else {
            continue;
        };
        let mut starts = Vec::new();
        if let Ok(mut reader) = body.get_operators_reader() {
            while !reader.eof() {
                starts.push(reader.original_position());
                if reader.read().is_err() {
                    break;
                }
            }
        }
        starts.push(body.range().end as _);
        let range = |pair: &[_]| pair[0] as usize..pair[1] as usize;
        bodies.push(starts.windows(2).map(range).collect());
    }
    bodies
}

type NewCode<'a> = dyn Fn(&[u8], &[Range<usize>]) -> Option<Vec<u8>> + 'a;

/// The module with the operators of one body replaced by others, to which the final `end` is added; `None` if it is not
/// valid.
fn replace(module: &[u8], body: usize, code: &NewCode<'_>) -> Option<Vec<u8>> {
    let all = operators(module);
    let mut result = wasm_encoder::Module::new();
    let mut section = CodeSection::new();
    let mut index = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.ok()?;
        if let Payload::CodeSectionEntry(entry) = &payload {
            let range = entry.range();
            let (start, end) = (range.start as usize, range.end as usize);
            if index == body {
                let ranges = all.get(index)?;
                let mut bytes = module[start..ranges.first()?.start].to_vec();
                bytes.extend(code(module, ranges)?);
                bytes.push(0x0b);
                section.raw(&bytes);
            } else {
                section.raw(&module[start..end]);
            }
            index += 1;
            if index == all.len() {
                result.section(&section);
            }
        } else if let Some((id, range)) = payload.as_section()
            && id != 10
        {
            let data = &module[range.start as usize..range.end as usize];
            result.section(&RawSection { id, data });
        }
    }
    let bytes = result.finish();
    let features = WasmFeatures::default() | WasmFeatures::EXTENDED_CONST;
    Validator::new_with_features(features)
        .validate_all(&bytes)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;

    /// A fault of the thirteenth transition.
    #[test]
    fn the_guilty_transition_is_found() {
        let stressed = |index| match Body::Own.case(1, index) {
            Some(Case::Wasm(case)) => {
                let has_stress = |schedule: &Schedule| schedule.stress.is_some();
                case.schedules.iter().any(has_stress).then_some(case)
            }
            _ => None,
        };
        let case = (0..50).find_map(stressed).expect("a stress test");
        let is_guilty = |schedule: &Schedule| {
            schedule.stress.is_some() && schedule.transitions.is_none_or(|made| made >= 13)
        };
        let smaller = minimise(&Case::Wasm(case), &mut |case| match case {
            Case::Wasm(case) => case.schedules.iter().any(is_guilty),
            _ => false,
        });
        let Case::Wasm(smaller) = smaller else {
            panic!("not a module");
        };
        assert_eq!(smaller.schedules.len(), 1);
        assert_eq!(smaller.schedules[0].transitions, Some(13));
    }

    #[test]
    fn what_does_not_matter_goes() {
        let case = Body::Own.case(1, 1).unwrap();
        let Case::Wasm(before) = &case else {
            panic!("not a module");
        };
        // A fault that needs one call and nothing else.
        let smaller = minimise(&case, &mut |case| match case {
            Case::Wasm(case) => !case.calls.is_empty(),
            _ => false,
        });
        let Case::Wasm(after) = smaller else {
            panic!("not a module");
        };
        assert_eq!((after.calls.len(), after.schedules.len()), (1, 0));
        assert!(after.module.len() < before.module.len());
        assert!(
            operators(&after.module).iter().all(|body| body.len() <= 2),
            "unreachable, end"
        );
    }
}
