//! A case: a program, what is called, and how it is tiered. All that is needed to run it again is in one file.

use crate::value::Value;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One thing to try.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Case {
    /// A WebAssembly module, compared with another engine.
    Wasm(WasmCase),
    /// CLIF functions, compared with Cranelift's interpreter.
    Clif(ClifCase),
    /// Something malformed, which must give an error or work.
    Malformed(Malformed),
}

/// A module and what is done with it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WasmCase {
    /// The module in hexadecimal.
    #[serde(with = "hexadecimal")]
    pub module: Vec<u8>,
    /// The calls, in order; all are made on one instance, those after a trap too.
    pub calls: Vec<Call>,
    /// Whether host functions sometimes fail.
    pub host_fails: bool,
    /// The ways in which it is run. Each is compared with the other engine.
    pub schedules: Vec<Schedule>,
}

/// A call of an export.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Call {
    /// The export's name.
    pub export: String,
    /// The arguments.
    pub arguments: Vec<Value>,
}

/// Which tiers run the code, and when they change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// The tiers that are on, by number.
    pub tiers: Vec<usize>,
    /// Calls before tier 1 and before tier 2.
    pub thresholds: (u32, u32),
    /// Threads that compile in the background; none if promotion is synchronous.
    pub workers: Option<usize>,
    /// Whether the module looks whether it is interrupted.
    pub interruptible: bool,
    /// Whether every call is inlined for which that can be done, however cold.
    #[serde(default)]
    pub inline_all: bool,
    /// Promotions that are asked for outright.
    pub promotions: Vec<Promotion>,
    /// The stress test that is done, if any.
    #[serde(default)]
    pub stress: Option<Stress>,
    /// Guards that fail though they hold, if any; not together with the above.
    #[serde(default)]
    pub deopt: Option<Deopt>,
    /// How many transitions of the two are made, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transitions: Option<u64>,
    /// Whether LLVM compiles for tier 2.
    #[serde(default)]
    pub llvm: bool,
}

/// Activations that go back to tier 0 in the middle of optimized code.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Deopt {
    /// One in so many guards fails.
    pub period: u32,
    /// Decides where guards are, and which fail.
    pub seed: u64,
}

/// Activations that move in the middle of loops, and calls that change tiers.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stress {
    /// An activation moves at one of so many arrivals at loop headers.
    pub period: u32,
    /// Decides at which.
    pub seed: u64,
    /// Whether calls change tiers too.
    pub flip: bool,
}

/// A promotion that is asked for between two calls.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Promotion {
    /// The call that it comes before.
    pub before_call: usize,
    /// Which of the module's own functions.
    pub function: u32,
    /// To which tier.
    pub tier: usize,
}

/// CLIF functions that may call one another, and the arguments that the first is called with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClifCase {
    /// Their text. Function `n` is named `u1:n`, and each takes two 64-bit and two 32-bit integers and returns one of 64.
    pub text: String,
    /// The calls.
    pub calls: Vec<(u64, u64, u32, u32)>,
    /// Calls before tier 1 in the mixed run.
    pub threshold: u32,
}

/// Something malformed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Malformed {
    /// What it is a damaged form of.
    pub format: Format,
    /// The bytes in hexadecimal.
    #[serde(with = "hexadecimal")]
    pub bytes: Vec<u8>,
}

/// A format that is read from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Format {
    /// Binary modules.
    Wasm,
    /// Text modules.
    Wat,
    /// Scripts.
    Wast,
    /// CLIF text.
    Clif,
    /// What a compile server and its client say to each other.
    Message,
}

impl Case {
    /// The same, with tier 2 in the schedule that has several tiers, and another one in which functions go from tier 0 to
    /// tier 2 at once; LLVM compiles for it.
    pub fn with_llvm(mut self) -> Case {
        if let Case::Wasm(case) = &mut self
            && let Some(mixed) = case.schedules.last_mut()
        {
            mixed.tiers = vec![0, 1, 2];
            mixed.llvm = true;
            let at_once = Schedule {
                tiers: vec![0, 2],
                thresholds: (1, 1),
                workers: None,
                promotions: Vec::new(),
                ..mixed.clone()
            };
            case.schedules.push(at_once);
        }
        self
    }

    /// Reads a case from its file.
    ///
    /// # Errors
    /// If it cannot be read or is no case. The error names the file.
    pub fn read(path: &Path) -> Result<Case> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(name)?;
        serde_json::from_str(&text).with_context(name)
    }

    /// Writes the case to a file, and the folder above it if need be.
    ///
    /// # Errors
    /// If it cannot be written. The error names the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let name = || path.display().to_string();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(name)?;
        }
        let text = serde_json::to_string_pretty(self).with_context(name)?;
        std::fs::write(path, text).with_context(name)
    }
}

/// Bytes as a string of hexadecimal digits.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        let byte = |pair: &[u8]| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.ok_or_else(|| D::Error::custom("not pairs of hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_survives_its_file() {
        let case = Case::Malformed(Malformed {
            format: Format::Wat,
            bytes: vec![0, 1, 0xab, 0xff],
        });
        let text = serde_json::to_string(&case).unwrap();
        assert!(text.contains("0001abff"), "{text}");
        assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
    }
}
