//! Every operation by itself, whether it is a stencil of the table or has an encoder, on edge and random operands, against tier 1 and against another engine: the
//! results must be the same bit for bit, NaNs aside where they need not be canonical, and so must the traps and memory.

use std::fmt::Write;
use std::sync::Arc;
use upshift::embed::StencilMaker;
use upshift::embed::stencil::Ty;
use upshift::{Backend, EventKind, Recorder};
use upshift_wasm::stencil_generator::{
    TableRow, all_operations, processor_level, table, use_level,
};
use upshift_wasm::{Config, Engine, Instance, Module, Store, Tier, Val};

/// How many tuples of operands each operation gets.
const TUPLES: usize = 150;
/// Bytes of the memory that accesses are made to.
const MEMORY_BYTES: u32 = 1 << 16;
/// The constant part of their address.
const OFFSET: u32 = 3;

/// One operation, with one choice of its immediates.
struct Subject {
    text: String,
    /// The parameters of the function that does it, and its result.
    params: Vec<&'static str>,
    result: Option<&'static str>,
    is_access: bool,
}

fn name(ty: Ty) -> &'static str {
    match ty {
        Ty::I32 => "i32",
        Ty::I64 => "i64",
        Ty::F32 => "f32",
        Ty::F64 => "f64",
        Ty::V128 => "v128",
    }
}

impl Subject {
    fn new(row: &TableRow, immediate: &str) -> Subject {
        let mnemonic = row.name.replacen('_', ".", 1);
        let is_access = mnemonic.contains("load") || mnemonic.contains("store");
        let stencil = row.stencil.as_stencil();
        let mut params: Vec<_> = stencil.operands.iter().map(|&ty| name(ty)).collect();
        let mut text = mnemonic;
        if is_access {
            params[0] = "i32";
            let _ = write!(text, " offset={OFFSET}");
        }
        let _ = write!(text, " {immediate}");
        Subject {
            text,
            params,
            result: stencil.result.map(name),
            is_access,
        }
    }

    fn function(&self, index: usize) -> String {
        let result = self.result.map(|ty| format!("(result {ty})"));
        let operands: String = (0..self.params.len())
            .map(|local| format!("local.get {local} "))
            .collect();
        format!(
            "(func (export \"{index}\") (param {}) {} {operands} {})\n",
            self.params.join(" "),
            result.unwrap_or_default(),
            self.text
        )
    }
}

/// All operations.
fn subjects(random: &mut Random) -> Vec<Subject> {
    let makers = [false, true].map(|nans| StencilMaker::host(nans).unwrap());
    let mut rows = all_operations(&[makers]).unwrap();
    rows.dedup_by_key(|row| row.operation);
    // Constants are not operations on anything.
    rows.retain(|row| !row.stencil.as_stencil().operands.is_empty());
    let mut subjects = Vec::new();
    for row in &rows {
        if !row.stencil.as_stencil().holes.is_empty() {
            for _ in 0..20 {
                let mask: Vec<_> = (0..16).map(|_| (random.next() % 32).to_string()).collect();
                subjects.push(Subject::new(row, &mask.join(" ")));
            }
            // Masks that Cranelift has other instructions for.
            let lanes = |start: u32| (start..start + 16).map(|lane| (lane % 32).to_string());
            for start in [0, 3, 16, 29] {
                subjects.push(Subject::new(
                    row,
                    &lanes(start).collect::<Vec<_>>().join(" "),
                ));
            }
        } else if row.name.contains("_lane") {
            for lane in 0..lanes(row.name) {
                subjects.push(Subject::new(row, &lane.to_string()));
            }
        } else {
            subjects.push(Subject::new(row, ""));
        }
    }
    subjects
}

/// How many lanes the vectors have that an operation on one is named after.
fn lanes(name: &str) -> u32 {
    let bits = name.trim_start_matches("v128");
    let bits = bits.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = bits.find(|c: char| !c.is_ascii_digit());
    128 / bits[..end.unwrap_or(bits.len())].parse::<u32>().unwrap()
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number as it occurs at the edges of some type.
    fn edge(&mut self) -> u64 {
        const EDGES: [u64; 32] = [
            0,
            1,
            2,
            31,
            33,
            63,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0x1_0000_0000,
            0x7fff_ffff_ffff_ffff,
            0x8000_0000_0000_0000,
            u64::MAX,
            // Floats: 1, -0.5, 2^31, infinity, NaNs, the least number that is not zero, twice at once.
            0x3f80_0000_3f80_0000,
            0xbf00_0000_bf00_0000,
            0x4f00_0000_cf00_0000,
            0x7f80_0000_ff80_0000,
            0x7fc0_0001_ff80_0001,
            0x8000_0000_0000_0001,
            0x3ff0_0000_0000_0000,
            0xbfe0_0000_0000_0000,
            0x41e0_0000_0000_0000,
            0x43e0_0000_0000_0000,
            0x7ff0_0000_0000_0000,
            0x7ff8_0000_0000_0001,
            0xfff0_0000_0000_0001,
            0x0102_0304_0506_0708,
        ];
        match self.next() % 4 {
            0 => self.next(),
            _ => EDGES[(self.next() % 32) as usize],
        }
    }

    fn operand(&mut self, subject: &Subject, index: usize) -> u128 {
        if subject.is_access && index == 0 {
            // Near the start, near the end, or behind it.
            let places = [0, 5, MEMORY_BYTES - OFFSET - 17, MEMORY_BYTES - OFFSET - 4];
            let near = self.next() as u32 % 16;
            let place = places[(self.next() % 4) as usize];
            return u128::from(place + near);
        }
        let low = u128::from(self.edge());
        match subject.params[index] {
            "i32" | "f32" => low & 0xffff_ffff,
            "v128" => low | u128::from(self.edge()) << 64,
            _ => low,
        }
    }
}

/// What a call did: its result's bits or its trap, and the memory.
type Outcome = (Result<Option<u128>, String>, Vec<u8>);

struct Upshift {
    store: Store<()>,
    instance: Instance,
    recorder: Arc<Recorder>,
    canonical: bool,
}

impl Upshift {
    fn new(text: &str, tier: Tier, canonical: bool) -> Upshift {
        let recorder = Arc::new(Recorder::default());
        let config = Config::default()
            .canonical_nans(canonical)
            .backend(Tier::Baseline, Backend::CopyAndPatch)
            .only_tier(tier)
            .subscriber(recorder.clone());
        let engine = Engine::new(config).unwrap();
        let module = Module::new(&engine, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        Upshift {
            store,
            instance,
            recorder,
            canonical,
        }
    }

    fn call(&mut self, index: usize, subject: &Subject, operands: &[u128]) -> Outcome {
        let function = self.instance.get_func(&self.store, &index.to_string());
        let params = subject.params.iter().zip(operands);
        let args: Vec<_> = params.map(|(ty, &bits)| value(ty, bits)).collect();
        let mut results: Vec<_> = subject.result.iter().map(|_| Val::I32(0)).collect();
        let outcome = function.unwrap().call(&mut self.store, &args, &mut results);
        let outcome = match outcome {
            Ok(()) => Ok(results.first().map(bits)),
            Err(error) => Err(error.trap().expect("a trap").kind().to_string()),
        };
        let memory = self.instance.get_memory(&self.store, "memory").unwrap();
        let memory = match subject.is_access && subject.result.is_none() {
            true => memory.data(&self.store).to_vec(),
            false => Vec::new(),
        };
        (outcome, memory)
    }
}

fn value(ty: &str, bits: u128) -> Val {
    match ty {
        "i32" => Val::I32(bits as i32),
        "i64" => Val::I64(bits as i64),
        "f32" => Val::F32(bits as u32),
        "f64" => Val::F64(bits as u64),
        _ => Val::V128(bits.into()),
    }
}

fn bits(value: &Val) -> u128 {
    match *value {
        Val::I32(x) => u128::from(x.cast_unsigned()),
        Val::I64(x) => u128::from(x.cast_unsigned()),
        Val::F32(x) => u128::from(x),
        Val::F64(x) => u128::from(x),
        Val::V128(x) => x.into(),
        _ => panic!("a number or a vector"),
    }
}

struct Other {
    store: wasmi::Store<()>,
    instance: wasmi::Instance,
}

impl Other {
    fn new(text: &str) -> Other {
        let wasm = wat::parse_str(text).unwrap();
        let engine = wasmi::Engine::default();
        let module = wasmi::Module::new(&engine, &wasm[..]).unwrap();
        let mut store = wasmi::Store::new(&engine, ());
        let instance = wasmi::Instance::new(&mut store, &module, &[]).unwrap();
        Other { store, instance }
    }

    fn call(&mut self, index: usize, subject: &Subject, operands: &[u128]) -> Outcome {
        let function = self.instance.get_func(&self.store, &index.to_string());
        let params = subject.params.iter().zip(operands);
        let args: Vec<_> = params
            .map(|(ty, &bits)| match *ty {
                "i32" => wasmi::Val::I32(bits as i32),
                "i64" => wasmi::Val::I64(bits as i64),
                "f32" => wasmi::Val::F32(wasmi::F32::from_bits(bits as u32)),
                "f64" => wasmi::Val::F64(wasmi::F64::from_bits(bits as u64)),
                _ => wasmi::Val::V128(wasmi::V128::from(bits)),
            })
            .collect();
        let mut results: Vec<_> = subject.result.iter().map(|_| wasmi::Val::I32(0)).collect();
        let outcome = function.unwrap().call(&mut self.store, &args, &mut results);
        let outcome = match outcome {
            Ok(()) => Ok(results.first().map(|value| match value {
                wasmi::Val::I32(x) => u128::from(x.cast_unsigned()),
                wasmi::Val::I64(x) => u128::from(x.cast_unsigned()),
                wasmi::Val::F32(x) => u128::from(x.to_bits()),
                wasmi::Val::F64(x) => u128::from(x.to_bits()),
                wasmi::Val::V128(x) => x.as_u128(),
                other => panic!("{other:?}"),
            })),
            Err(error) => Err(trap(&error).to_owned()),
        };
        let memory = self.instance.get_memory(&self.store, "memory").unwrap();
        let memory = match subject.is_access && subject.result.is_none() {
            true => memory.data(&self.store).to_vec(),
            false => Vec::new(),
        };
        (outcome, memory)
    }
}

fn trap(error: &wasmi::Error) -> &'static str {
    match error.as_trap_code() {
        Some(wasmi::TrapCode::IntegerDivisionByZero) => "integer divide by zero",
        Some(wasmi::TrapCode::IntegerOverflow) => "integer overflow",
        Some(wasmi::TrapCode::BadConversionToInteger) => "invalid conversion to integer",
        Some(wasmi::TrapCode::MemoryOutOfBounds) => "out of bounds memory access",
        _ => "another trap",
    }
}

/// An outcome with every NaN in a result that may be floats made one and the same.
fn without_nans(subject: &Subject, outcome: Outcome) -> Outcome {
    let single = |bits: u32| match f32::from_bits(bits).is_nan() {
        true => 0x7fc0_0000,
        false => bits,
    };
    let double = |bits: u64| match f64::from_bits(bits).is_nan() {
        true => 0x7ff8_0000_0000_0000,
        false => bits,
    };
    let result = outcome.0.map(|result| {
        result.map(|bits| match subject.result {
            Some("f32") => u128::from(single(bits as u32)),
            Some("f64") => u128::from(double(bits as u64)),
            Some("v128") if subject.text.starts_with("f32x4") => (0..4)
                .map(|lane| u128::from(single((bits >> (32 * lane)) as u32)) << (32 * lane))
                .sum(),
            Some("v128") if subject.text.starts_with("f64x2") => (0..2)
                .map(|lane| u128::from(double((bits >> (64 * lane)) as u64)) << (64 * lane))
                .sum(),
            _ => bits,
        })
    });
    (result, outcome.1)
}

#[test]
fn every_operation_does_what_other_engines_do() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let subjects = subjects(&mut random);
    assert!(subjects.len() > 400, "{}", subjects.len());
    let mut text = "(module (memory (export \"memory\") 1)\n".to_owned();
    for (index, subject) in subjects.iter().enumerate() {
        text.push_str(&subject.function(index));
    }
    let _ = write!(text, "(data (i32.const 0) \"");
    for byte in 0..MEMORY_BYTES {
        let _ = write!(text, "\\{:02x}", byte as u8 ^ (byte >> 7) as u8);
    }
    text.push_str("\"))");

    // Operands are the same for all levels, and so is what stores leave behind.
    let best = processor_level().expect("a processor with stencils");
    for level in 0..=best {
        use_level(level);
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut engines = [false, true].map(|nans| Upshift::new(&text, Tier::Baseline, nans));
        let mut oracles = [false, true].map(|nans| Upshift::new(&text, Tier::Optimizing, nans));
        let mut other = Other::new(&text);
        for (index, subject) in subjects.iter().enumerate() {
            for _ in 0..TUPLES {
                let operands = (0..subject.params.len()).map(|at| random.operand(subject, at));
                let operands: Vec<_> = operands.collect();
                let third = other.call(index, subject, &operands);
                for (engine, oracle) in engines.iter_mut().zip(&mut oracles) {
                    let ours = engine.call(index, subject, &operands);
                    let theirs = oracle.call(index, subject, &operands);
                    let what = format!("{} of {operands:x?}, level {level}", subject.text);
                    let same = |a: &Outcome, b: &Outcome| {
                        let normal = |x: &Outcome| without_nans(subject, x.clone());
                        if engine.canonical {
                            assert_eq!(a, b, "{what}, canonical NaNs");
                        } else {
                            assert_eq!(normal(a), normal(b), "{what}");
                        }
                    };
                    same(&ours, &theirs);
                    same(&ours, &third);
                }
            }
        }
        for engine in engines {
            for event in engine.recorder.events() {
                if let EventKind::Compiled(compilation) = event.kind {
                    assert_eq!(compilation.compiler, "copy-and-patch", "{}", event.name);
                }
            }
        }
    }
}

#[test]
fn stencils_survive_being_written_and_read() {
    let makers = [false, true].map(|nans| StencilMaker::host(nans).unwrap());
    for row in table(&[makers]).unwrap() {
        let line = row.stencil.to_string();
        assert_eq!(line.parse().as_ref(), Ok(&row.stencil), "{line}");
        assert!(
            line[..line.len() - 1].parse::<upshift::embed::stencil::StencilBuf>()
                != Ok(row.stencil)
        );
    }
}
