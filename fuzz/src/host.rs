//! The host that both engines' programs run in: functions whose results depend on nothing but what they were asked so far.

use crate::value::{Type, Value, hash};
use serde::{Deserialize, Serialize};

/// Calls that are kept to be shown; all are hashed.
const KEPT_MAX: usize = 200;
/// Calls from host functions into the program that may be active at once.
const REENTRIES_MAX: u32 = 3;
/// The import that calls the program's export [`ENTRY`].
pub const REENTER: &str = "reenter";
/// What [`REENTER`] calls, if its type is `[i32] -> [i32]`.
pub const ENTRY: &str = "entry";
/// The exported global that bounds how long a program runs; it is set before each call.
pub const FUEL: &str = "fuel";

/// The host's own state.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// What it was asked.
    pub log: Log,
    /// Whether its functions sometimes fail.
    pub fails: bool,
    /// How many calls into the program are active that it made itself.
    pub reentries: u32,
}

/// What the host functions were asked, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    first: Vec<(String, Vec<Value>)>,
    count: u64,
    hash: u64,
}

impl Log {
    /// How many calls there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where two logs differ.
    pub fn difference(&self, actual: &Log) -> Option<String> {
        let pairs = self.first.iter().zip(&actual.first);
        for (index, (a, b)) in pairs.enumerate() {
            if a != b {
                return Some(format!("host call {index}: expected {a:?}, got {b:?}"));
            }
        }
        (self != actual).then(|| {
            format!(
                "host calls: expected {} with hash {:x}, got {} with hash {:x}",
                self.count, self.hash, actual.count, actual.hash
            )
        })
    }
}

/// What a host function does when it is called.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Returns these results.
    Results(Vec<Value>),
    /// Fails.
    Failure,
    /// Calls [`ENTRY`] with this argument and returns its result.
    Reenter(u32),
}

impl Host {
    /// Notes a call of the host function `name` and says what it is to do.
    pub fn call(&mut self, name: &str, arguments: &[Value], results: &[Type]) -> Answer {
        let text = format!("{name} {arguments:?} {}", self.log.count);
        let asked = hash(text.as_bytes());
        self.log.count += 1;
        self.log.hash = self.log.hash.rotate_left(5) ^ asked;
        if self.log.first.len() < KEPT_MAX {
            self.log.first.push((name.to_owned(), arguments.to_vec()));
        }
        if self.fails && asked.is_multiple_of(41) {
            return Answer::Failure;
        }
        if name == REENTER && self.reentries < REENTRIES_MAX && asked.is_multiple_of(2) {
            return Answer::Reenter(asked as u32 % 64);
        }
        let result = |(index, ty): (usize, &Type)| {
            let bits = asked.rotate_left(7 * index as u32);
            // Small numbers make more programs get further.
            let bits = if asked & 8 == 0 { bits % 100 } else { bits };
            Value::from_bits(*ty, bits)
        };
        Answer::Results(results.iter().enumerate().map(result).collect())
    }
}
