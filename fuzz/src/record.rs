//! All that an engine made of a case, and where two such records differ.

use crate::host::Log;
use crate::value::{Outcome, STRETCH, State};
use std::fmt;

/// All that one engine made of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// How the instantiation ended.
    pub instantiated: Outcome,
    /// How each call ended.
    pub calls: Vec<Outcome>,
    /// The state at the end, unless there is no instance.
    pub state: State,
    /// What the host functions were asked.
    pub log: Log,
}

/// A place where two records differ, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The call, global, table or stretch of memory.
    pub place: String,
    /// What was expected there and what came.
    pub text: String,
}

impl Difference {
    fn new(place: String, expected: &dyn fmt::Debug, actual: &dyn fmt::Debug) -> Difference {
        let text = format!("{place}: expected {expected:?}, got {actual:?}");
        Difference { place, text }
    }
}

/// Where two records differ.
pub fn differences(expected: &Record, actual: &Record) -> Vec<Difference> {
    let mut found = Vec::new();
    if expected.instantiated != actual.instantiated {
        let (a, b) = (&expected.instantiated, &actual.instantiated);
        found.push(Difference::new("instantiation".to_owned(), a, b));
    }
    for (index, (a, b)) in expected.calls.iter().zip(&actual.calls).enumerate() {
        if a != b {
            found.push(Difference::new(format!("call {index}"), a, b));
        }
    }
    if let Some(text) = expected.log.difference(&actual.log) {
        let place = "host calls".to_owned();
        found.push(Difference { place, text });
    }
    let (expected_state, actual_state) = (&expected.state, &actual.state);
    for (a, b) in expected_state.globals.iter().zip(&actual_state.globals) {
        if a != b {
            found.push(Difference::new(format!("global {}", a.0), &a.1, &b.1));
        }
    }
    for (a, b) in expected_state.tables.iter().zip(&actual_state.tables) {
        if a != b {
            found.push(Difference::new(format!("table {}", a.0), &a.1, &b.1));
        }
    }
    for ((name, size, a), (_, actual_size, b)) in
        expected_state.memories.iter().zip(&actual_state.memories)
    {
        if size != actual_size {
            found.push(Difference::new(
                format!("size of memory {name}"),
                size,
                actual_size,
            ));
        }
        for (index, (a, b)) in a.iter().zip(b).enumerate() {
            if a != b {
                let place = format!("memory {name} from byte {:#x}", index * STRETCH);
                found.push(Difference::new(place, a, b));
            }
        }
    }
    if found.is_empty() && expected != actual {
        let place = "number of parts".to_owned();
        found.push(Difference::new(
            place,
            &expected.calls.len(),
            &actual.calls.len(),
        ));
    }
    found
}
