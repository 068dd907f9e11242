//! Every operation on memory, probed at both ends of a memory and far beyond, against what the specification says.

use crate::report::Report;
use crate::scale::Scale;
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use upshift_wasm::{Config, Engine, Instance, Memory, Module, Store, Tier, TrapKind, Val};

/// Loads: the operation, the bytes that it reads, and what follows the index on the stack and in the instruction.
const LOADS: &[(&str, u64)] = &[
    ("i32.load", 4),
    ("i64.load", 8),
    ("f32.load", 4),
    ("f64.load", 8),
    ("i32.load8_s", 1),
    ("i32.load8_u", 1),
    ("i32.load16_s", 2),
    ("i32.load16_u", 2),
    ("i64.load8_s", 1),
    ("i64.load8_u", 1),
    ("i64.load16_s", 2),
    ("i64.load16_u", 2),
    ("i64.load32_s", 4),
    ("i64.load32_u", 4),
    ("v128.load", 16),
    ("v128.load8x8_s", 8),
    ("v128.load8x8_u", 8),
    ("v128.load16x4_s", 8),
    ("v128.load16x4_u", 8),
    ("v128.load32x2_s", 8),
    ("v128.load32x2_u", 8),
    ("v128.load8_splat", 1),
    ("v128.load16_splat", 2),
    ("v128.load32_splat", 4),
    ("v128.load64_splat", 8),
    ("v128.load32_zero", 4),
    ("v128.load64_zero", 8),
    ("v128.load8_lane", 1),
    ("v128.load16_lane", 2),
    ("v128.load32_lane", 4),
    ("v128.load64_lane", 8),
];

/// Stores: the operation, the bytes that it writes, and the value stored.
const STORES: &[(&str, u64, &str)] = &[
    ("i32.store", 4, "i32.const -1"),
    ("i64.store", 8, "i64.const -1"),
    ("f32.store", 4, "f32.const 1"),
    ("f64.store", 8, "f64.const 1"),
    ("i32.store8", 1, "i32.const -1"),
    ("i32.store16", 2, "i32.const -1"),
    ("i64.store8", 1, "i64.const -1"),
    ("i64.store16", 2, "i64.const -1"),
    ("i64.store32", 4, "i64.const -1"),
    ("v128.store", 16, "v128.const i64x2 -1 -1"),
    ("v128.store8_lane", 1, "v128.const i64x2 -1 -1"),
    ("v128.store16_lane", 2, "v128.const i64x2 -1 -1"),
    ("v128.store32_lane", 4, "v128.const i64x2 -1 -1"),
    ("v128.store64_lane", 8, "v128.const i64x2 -1 -1"),
];

/// The constant part of an index.
const OFFSETS: &[u64] = &[
    0,
    1,
    15,
    65_535,
    65_536,
    (1 << 31) - 17,
    (1 << 31) - 1,
    1 << 31,
    (1 << 31) + 1,
    (1 << 32) - 65_536,
    (1 << 32) - 1,
];

const PATTERN: u8 = 0x5a;
/// The memory's sizes in pages: one, some, and all.
const PAGES: &[u32] = &[1, 3, 65_536];
/// Bytes at each end of a memory that are compared when it is too large to compare all of it.
const END_BYTES: usize = 256;

/// Probes all operations.
pub fn run(scale: Scale) -> Result<Report> {
    let mut report = Report::new(
        "guards",
        "every memory operation probed around both ends of a memory and at offsets up to 4 GiB",
    );
    let setups = [
        ("tier 0", Config::default().only_tier(Tier::Baseline)),
        ("tier 1", Config::default().only_tier(Tier::Optimizing)),
        (
            "promoted",
            Config::default().synchronous(true).thresholds(1, u32::MAX),
        ),
    ];
    let pages = match scale {
        Scale::Full => PAGES,
        Scale::Smoke => &PAGES[..1],
    };
    let (mut probes, mut traps) = (0, 0);
    for (setup, config) in setups {
        let engine = Engine::new(config)?;
        let module = Module::new(&engine, module_text())?;
        for &pages in pages {
            // Either the size from the start, or grown to.
            for grown in [false, true] {
                let mut subject = Subject::new(&engine, &module, setup, pages, grown)?;
                subject.accesses(&mut report)?;
                subject.bulk(&mut report)?;
                probes += subject.probes;
                traps += subject.traps;
            }
            report.progress(probes, probes);
        }
    }
    report.figure("operations", LOADS.len() + STORES.len() + 3);
    report.figure("constant offsets each", OFFSETS.len());
    report.figure("probes", probes);
    report.figure("of which trap, with the memory unchanged", traps);
    Ok(report.finish())
}

fn module_text() -> String {
    let mut text = String::from("(module (memory (export \"memory\") 0 65536) (data $d \"");
    text.push_str(&"\\ff".repeat(64));
    text.push_str("\")\n");
    for offset in OFFSETS {
        for (op, _) in LOADS {
            let (lane, vector) = match op.ends_with("_lane") {
                true => (" 0", "(v128.const i64x2 0 0)"),
                false => ("", ""),
            };
            let _ = writeln!(
                text,
                "(func (export \"{op} {offset}\") (param i32) (drop ({op} offset={offset}{lane} (local.get 0) {vector})))"
            );
        }
        for (op, _, value) in STORES {
            let lane = if op.ends_with("_lane") { " 0" } else { "" };
            let _ = writeln!(
                text,
                "(func (export \"{op} {offset}\") (param i32) ({op} offset={offset}{lane} (local.get 0) ({value})))"
            );
        }
    }
    text.push_str(
        "(func (export \"fill\") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
         (func (export \"copy to\") (param i32 i32) (memory.copy (local.get 0) (i32.const 0) (local.get 1)))
         (func (export \"copy from\") (param i32 i32) (memory.copy (i32.const 0) (local.get 0) (local.get 1)))
         (func (export \"init\") (param i32 i32) (memory.init $d (local.get 0) (i32.const 0) (local.get 1)))
         (func (export \"grow\") (param i32) (drop (memory.grow (local.get 0)))))",
    );
    text
}

struct Subject {
    setup: &'static str,
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    len: u64,
    probes: u64,
    traps: u64,
}

impl Subject {
    fn new(
        engine: &Engine,
        module: &Module,
        setup: &'static str,
        pages: u32,
        grown: bool,
    ) -> Result<Subject> {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, module, &[])?;
        let memory = instance.get_memory(&store, "memory").context("no memory")?;
        let grow = instance.get_typed_func::<i32, ()>(&store, "grow")?;
        if grown {
            grow.call(&mut store, 1)?;
            grow.call(&mut store, pages as i32 - 1)?;
        } else {
            grow.call(&mut store, pages as i32)?;
        }
        let len = memory.data_size(&store) as u64;
        let mut subject = Subject {
            setup,
            store,
            instance,
            memory,
            len,
            probes: 0,
            traps: 0,
        };
        anyhow::ensure!(len == u64::from(pages) << 16, "the memory has {len} bytes");
        subject.ends(|end| end.fill(PATTERN));
        Ok(subject)
    }

    /// The parts of the memory that probes touch.
    fn ends(&mut self, mut visit: impl FnMut(&mut [u8])) {
        let bytes = self.memory.data_mut(&mut self.store);
        let len = bytes.len();
        visit(&mut bytes[..END_BYTES]);
        visit(&mut bytes[len - END_BYTES..]);
    }

    /// Whether the memory is as it was, but for `written`.
    fn is_unchanged_but(&self, written: std::ops::Range<u64>) -> bool {
        let bytes = self.memory.data(&self.store);
        let len = bytes.len();
        let unchanged = |start: usize, end: &[u8]| {
            end.iter()
                .zip(start as u64..)
                .all(|(byte, at)| *byte == PATTERN || written.contains(&at))
        };
        unchanged(0, &bytes[..END_BYTES]) && unchanged(len - END_BYTES, &bytes[len - END_BYTES..])
    }

    fn accesses(&mut self, report: &mut Report) -> Result<()> {
        for &offset in OFFSETS {
            let loads = LOADS.iter().map(|&(op, bytes)| (op, bytes, false));
            let stores = STORES.iter().map(|&(op, bytes, _)| (op, bytes, true));
            for (op, bytes, writes) in loads.chain(stores) {
                let name = format!("{op} {offset}");
                for index in self.indices(offset, bytes) {
                    let start = u64::from(index) + offset;
                    let range = start..start + bytes;
                    self.probe(
                        report,
                        &name,
                        &[Val::I32(index as i32)],
                        range,
                        writes,
                        range_fits(start, bytes, self.len),
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Indices at which something may go wrong: where the sum with `offset` is near 0, the end, and powers of two.
    fn indices(&self, offset: u64, bytes: u64) -> Vec<u32> {
        let places = [0, self.len, 1 << 31, 1 << 32];
        let mut indices = vec![0, 1, u32::MAX, u32::MAX - 1, 1 << 31];
        for place in places {
            for near in -2_i64..=2 {
                for target in [place, place.wrapping_sub(bytes)] {
                    let index = (target as i64 + near).checked_sub_unsigned(offset);
                    indices.extend(index.and_then(|index| u32::try_from(index).ok()));
                }
            }
        }
        indices.sort_unstable();
        indices.dedup();
        // Between the ends nothing is compared.
        let (len, end) = (self.len, END_BYTES as u64);
        indices.retain(|&index| {
            let start = u64::from(index) + offset;
            start + bytes <= end || start + end >= len
        });
        indices
    }

    fn bulk(&mut self, report: &mut Report) -> Result<()> {
        let len = self.len;
        for name in ["fill", "copy to", "copy from", "init"] {
            let starts = [0, 1, len - 2, len - 1, len, len + 1, 1 << 31, (1 << 32) - 1];
            for start in starts
                .into_iter()
                .filter(|&start| start <= u64::from(u32::MAX))
            {
                for count in [0, 1, 2, 3, 64, 65, 65_537, u64::from(u32::MAX)] {
                    let segment_fits = name != "init" || count <= 64;
                    let fits = range_fits(start, count, len)
                        && segment_fits
                        && (!name.starts_with("copy") || count <= len);
                    // What fits and is long would be between the ends.
                    if fits && count > 100 {
                        continue;
                    }
                    let params = [Val::I32(start as u32 as i32), Val::I32(count as u32 as i32)];
                    let written = if name == "copy from" {
                        0..count
                    } else {
                        start..start + count
                    };
                    self.probe(report, name, &params, written, true, fits)?;
                }
            }
        }
        Ok(())
    }

    fn probe(
        &mut self,
        report: &mut Report,
        name: &str,
        params: &[Val],
        range: std::ops::Range<u64>,
        writes: bool,
        fits: bool,
    ) -> Result<()> {
        let function = self
            .instance
            .get_func(&self.store, name)
            .context("no export")?;
        let result = function.call(&mut self.store, params, &mut []);
        self.probes += 1;
        let (setup, len) = (self.setup, self.len);
        let traps = match &result {
            Ok(()) => false,
            Err(error) => error
                .trap()
                .is_some_and(|trap| trap.kind() == TrapKind::MemoryOutOfBounds),
        };
        self.traps += u64::from(traps);
        report.check(result.is_ok() == fits && traps != fits, || {
            format!(
                "{setup}, {len} bytes: {name} {params:?}: {result:?}, it should {}",
                if fits { "not trap" } else { "trap" }
            )
        });
        let written = if fits && writes { range.clone() } else { 0..0 };
        let unchanged = self.is_unchanged_but(written);
        report.check(unchanged, || {
            format!("{setup}, {len} bytes: {name} {params:?} changed other bytes")
        });
        if fits && writes || !unchanged {
            self.ends(|end| end.fill(PATTERN));
        }
        Ok(())
    }
}

fn range_fits(start: u64, count: u64, len: u64) -> bool {
    start + count <= len
}
