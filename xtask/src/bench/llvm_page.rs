//! What the LLVM tier gains: a part of the page, and the paragraph about it in the README.

use std::fmt::Write as _;

use super::engines::NATIVE;
use super::report::{Figure, ProgramRuns, Report};
use super::stats;

const LLVM: &str = "upshift-llvm";
const TIER_1: &str = "upshift-1";
const TURBOFAN: &str = "node-turbofan";
const CRANELIFT: &str = "wasmtime-cranelift";
/// A program counts as vectorizable if vectors make its native code faster by this much. That a compiler vectorizes one of
/// its loops is not enough: in `floydwarshall` the check that the rows are different ones always fails.
const VECTORS_GAIN_MIN: f64 = 1.25;
/// LLVM's code is to take no more than this of native code's time.
const NATIVE_MAX: f64 = 1.15;
/// And of TurboFan's, in vectorizable programs.
const VECTORIZED_MAX: f64 = 0.5;
/// Around the paragraph in the README.
const BEGIN: &str = "<!-- cargo xtask bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";
/// Programs that are named on either side.
const NAMED: usize = 3;

/// A program's steady state in LLVM's code, as times another engine's.
struct Compared<'a> {
    program: &'a str,
    times: f64,
    vectorizable: bool,
}

/// How much vectors gain in a program's native code.
fn vectors_gain(program: &ProgramRuns) -> Option<f64> {
    program.vectors.as_ref()?.gain()
}

/// The programs with a figure in all of these engines.
fn programs<'a>(report: &'a Report, engines: &[usize]) -> Vec<&'a ProgramRuns> {
    let has_all = |program: &&ProgramRuns| {
        let has = |&engine: &usize| program.value(Figure::SteadyState, engine).is_some();
        engines.iter().all(has)
    };
    report.programs.iter().filter(has_all).collect()
}

fn compare<'a>(programs: &[&'a ProgramRuns], engine: usize, other: usize) -> Vec<Compared<'a>> {
    let steady = |program: &ProgramRuns, engine| program.value(Figure::SteadyState, engine);
    let compare = |program: &&'a ProgramRuns| {
        let (this, that) = (steady(program, engine)?, steady(program, other)?);
        Some(Compared {
            program: &program.name,
            times: this.median / that.median,
            vectorizable: vectors_gain(program).is_some_and(|gain| gain >= VECTORS_GAIN_MIN),
        })
    };
    programs.iter().filter_map(compare).collect()
}

fn mean(compared: &[Compared<'_>]) -> Option<f64> {
    let times: Vec<f64> = compared.iter().map(|one| one.times).collect();
    stats::geometric_mean(&times)
}

fn named(compared: &[Compared<'_>]) -> String {
    let named = |one: &Compared<'_>| format!("{} {:.2}", one.program, one.times);
    compared.iter().map(named).collect::<Vec<_>>().join(", ")
}

/// What the tier gains over tier 1, in words; `None` if it was not measured.
pub fn paragraph(report: &Report) -> Option<String> {
    let (llvm, tier_1) = (report.engine(LLVM)?, report.engine(TIER_1)?);
    let others = [
        (CRANELIFT, "wasmtime's Cranelift"),
        (TURBOFAN, "V8's TurboFan"),
        (NATIVE, "clang's native code (`-O3 -march=native`)"),
    ];
    let others: Vec<(usize, &str)> = others
        .iter()
        .filter_map(|(id, label)| Some((report.engine(id)?, *label)))
        .collect();
    let mut engines = vec![llvm, tier_1];
    engines.extend(others.iter().map(|(engine, _)| engine));
    let programs = programs(report, &engines);
    let mut gains = compare(&programs, llvm, tier_1);
    let mut text = format!(
        "What it gains: over the {} programs that were measured in all of these, LLVM's code takes {:.2} of the time of tier \
         1's once it is compiled (geometric mean)",
        programs.len(),
        mean(&gains)?,
    );
    let figures = others.iter().filter_map(|(engine, label)| {
        let figure = mean(&compare(&programs, *engine, tier_1))?;
        Some(format!("{label} {figure:.2}"))
    });
    let figures: Vec<String> = figures.collect();
    if !figures.is_empty() {
        let _ = write!(text, "; {}", figures.join(", "));
    }
    gains.sort_by(|a, b| a.times.total_cmp(&b.times));
    let (most, least) = gains.split_at(NAMED.min(gains.len()));
    let least = &least[least.len().saturating_sub(NAMED)..];
    let _ = write!(
        text,
        ". It gains most in {}, and least in {}. Each function takes LLVM tens to hundreds of milliseconds, so it is not on by \
         default. Measured on {}; [docs/performance.md](docs/performance.md) has everything.",
        named(most),
        named(least),
        report
            .again()
            .last_key_value()
            .map_or(&report.machine.date, |(moment, _)| &moment.date)
    );
    Some(text)
}

/// Writes the part of the page.
pub fn write(page: &mut String, report: &Report) {
    let Some(paragraph) = paragraph(report) else {
        return;
    };
    let paragraph = paragraph.replace("(docs/performance.md)", "(performance.md)");
    let _ = writeln!(page, "## The LLVM tier\n\n{paragraph}\n");
    let _ = writeln!(
        page,
        "LLVM's code in its steady state, as times the time of others' code; below 1 is better. The last column says how many \
         times as fast native code is as it would be without vectors; where that is {VECTORS_GAIN_MIN} or more, a program \
         counts as vectorizable.\n"
    );
    let others = [TIER_1, CRANELIFT, TURBOFAN, NATIVE];
    let others: Vec<usize> = others.iter().filter_map(|id| report.engine(id)).collect();
    let Some(llvm) = report.engine(LLVM) else {
        return;
    };
    page.push_str("| program |");
    for &other in &others {
        let _ = write!(page, " {} |", report.engines[other].label);
    }
    let _ = writeln!(
        page,
        " vectors |\n|---|{}",
        "---:|".repeat(others.len() + 1)
    );
    for program in programs(report, &[llvm]) {
        let _ = write!(page, "| {} |", program.name);
        for &other in &others {
            let _ = match compare(&[program], llvm, other)[..] {
                [Compared { times, .. }] => write!(page, " {times:.2} |"),
                _ => write!(page, " |"),
            };
        }
        let _ = match vectors_gain(program) {
            Some(gain) => writeln!(page, " {gain:.2} |"),
            None => writeln!(page, " |"),
        };
    }
    for (label, vectorizable_only) in [("geometric mean", false), ("of the vectorizable", true)] {
        let _ = write!(page, "| **{label}** |");
        for &other in &others {
            let mut all = compare(&programs(report, &[llvm, other]), llvm, other);
            all.retain(|one| !vectorizable_only || one.vectorizable);
            let _ = match mean(&all) {
                Some(mean) => write!(page, " **{mean:.2}** ({}) |", all.len()),
                None => write!(page, " |"),
            };
        }
        page.push_str(" |\n");
    }
    page.push('\n');
}

/// What falls short of a goal.
pub fn falls_short(page: &mut String, report: &Report) {
    let Some(llvm) = report.engine(LLVM) else {
        return;
    };
    let against = |id: &str| {
        let other = report.engine(id)?;
        let programs = programs(report, &[llvm, other]);
        Some(compare(&programs, llvm, other))
    };
    for (id, label, most) in [
        (NATIVE, "native code", NATIVE_MAX),
        (TURBOFAN, "V8's TurboFan", 1.0),
        (CRANELIFT, "wasmtime's Cranelift", 1.0),
    ] {
        let times = against(id).and_then(|all| mean(&all));
        if let Some(times) = times.filter(|times| *times > most) {
            let _ = writeln!(
                page,
                "- **LLVM's code** takes {times:.2} of the time of {label} (geometric mean); the goal is {most:.2}."
            );
        }
    }
    let mut vectorizable = against(TURBOFAN).unwrap_or_default();
    vectorizable.retain(|one| one.vectorizable);
    let mean = mean(&vectorizable);
    vectorizable.retain(|one| one.times > VECTORIZED_MAX);
    if let Some(mean) = mean.filter(|_| !vectorizable.is_empty()) {
        let _ = writeln!(
            page,
            "- **Vectorizable programs** are to take at most {VECTORIZED_MAX} of TurboFan's time in LLVM's code; they take \
             {mean:.2} (geometric mean), and more in {}.",
            named(&vectorizable)
        );
    }
}

/// The README with the paragraph in its place.
pub fn in_readme(readme: &str, report: &Report) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, behind) = rest.split_once(END)?;
    let paragraph = paragraph(report)?;
    Some(format!("{before}{BEGIN}{paragraph}\n{END}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::super::report::{Case, EngineInfo, Outcome, Vectors};
    use super::*;

    fn report() -> Report {
        let engine = |id: &str, own| EngineInfo {
            id: id.to_owned(),
            label: id.to_owned(),
            version: String::new(),
            command: String::new(),
            own,
        };
        let case = |seconds: [f64; 4]| {
            let outcome = |seconds: &f64| Outcome {
                seconds: vec![*seconds],
                ..Outcome::default()
            };
            Some(Case {
                command: String::new(),
                outcomes: seconds.iter().map(outcome).collect(),
            })
        };
        let program = |name: &str, long, without_vectors| ProgramRuns {
            name: name.to_owned(),
            about: String::new(),
            short: case([0.0; 4]),
            long: case(long),
            longer: None,
            again: None,
            vectors: Some(Vectors {
                with: vec![1.0],
                without: vec![without_vectors],
            }),
        };
        Report {
            engines: vec![
                engine(TIER_1, true),
                engine(LLVM, true),
                engine(TURBOFAN, false),
                engine(NATIVE, false),
            ],
            programs: vec![
                program("gemm", [4.0, 1.0, 1.5, 1.0], 3.0),
                program("fib", [1.0, 1.0, 1.0, 0.5], 1.1),
            ],
            ..Report::default()
        }
    }

    #[test]
    fn the_readme_says_what_is_gained() {
        let readme = format!("a\n{BEGIN}old\n{END}b\n");
        let new = in_readme(&readme, &report()).unwrap();
        assert!(new.starts_with("a\n") && new.ends_with("b\n"), "{new}");
        assert!(
            new.contains("over the 2 programs") && new.contains("takes 0.50 of"),
            "{new}"
        );
        assert!(
            new.contains("native code (`-O3 -march=native`) 0.35"),
            "{new}"
        );
        assert_eq!(in_readme("nothing", &report()), None);
    }

    #[test]
    fn what_falls_short_is_told() {
        let mut page = String::new();
        falls_short(&mut page, &report());
        assert!(
            page.contains("takes 1.41 of the time of native code"),
            "{page}"
        );
        assert!(
            page.contains("gemm 0.67") && !page.contains("fib") && !page.contains("Cranelift"),
            "{page}"
        );
    }
}
