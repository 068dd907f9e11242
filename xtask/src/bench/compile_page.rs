//! The part of the page on how fast compilers are.

use std::fmt::Write as _;

use super::compile::{LIFTOFF, NONE, PASS, TIER_0, WINCH};
use super::report::CompiledModule;
use super::stats;

/// Tier 0 is to be so many times as fast as others: what of it, as which, and how many times.
const GOALS: [(&str, &str, f64); 4] = [
    (PASS, LIFTOFF, 4.0),
    (TIER_0, LIFTOFF, 2.0),
    (TIER_0, WINCH, 8.0),
    (PASS, NONE, 50.0),
];
/// And its pass alone is to compile so many MB a second.
const PASS_MB: f64 = 100.0;

/// How many times as fast a compiler is as another, in the geometric mean over the modules that both have.
fn times_as_fast(modules: &[CompiledModule], compiler: &str, other: &str) -> Option<f64> {
    let ratio = |module: &CompiledModule| Some(module.best(other)? / module.best(compiler)?);
    let ratios: Vec<f64> = modules.iter().filter_map(ratio).collect();
    stats::geometric_mean(&ratios)
}

/// What falls short of a goal.
pub fn falls_short(page: &mut String, modules: &[CompiledModule]) {
    let rate = |module: &CompiledModule| Some(module.bytes as f64 / 1e6 / module.best(PASS)?);
    let rates: Vec<f64> = modules.iter().filter_map(rate).collect();
    if let Some(mean) = stats::geometric_mean(&rates).filter(|mean| *mean < PASS_MB) {
        let _ = writeln!(
            page,
            "- **Compile speed**: {PASS} takes in {mean:.0} MB a second (geometric mean); the goal is {PASS_MB:.0}."
        );
    }
    for (compiler, other, goal) in GOALS {
        let times = times_as_fast(modules, compiler, other);
        if let Some(times) = times.filter(|times| *times < goal) {
            let _ = writeln!(
                page,
                "- **Compile speed**: {compiler} is {times:.1} times as fast as {other} (geometric mean); the goal is {goal:.0}."
            );
        }
    }
}

/// Writes it, if there is something to say.
pub fn write(page: &mut String, modules: &[CompiledModule]) {
    if modules.is_empty() {
        return;
    }
    page.push_str(
        "## Compile speed\n\nMB of module a second, one thread on one processor, the best run; validation is included but \
         where it says otherwise. Bytes of machine code per byte of function bodies are in parentheses.\n\n",
    );
    page.push_str("| |");
    for module in modules {
        let _ = write!(
            page,
            " {}, {:.2} MB |",
            module.name,
            module.bytes as f64 / 1e6
        );
    }
    page.push_str(" times Liftoff\u{2019}s speed |\n|---|");
    page.push_str(&"---:|".repeat(modules.len() + 1));
    page.push('\n');
    for compiler in compilers(modules) {
        let _ = write!(page, "| {compiler} |");
        for module in modules {
            let _ = write!(page, " {} |", cell(module, compiler));
        }
        let both = modules
            .iter()
            .filter(|module| module.best(LIFTOFF).is_some() && module.best(compiler).is_some());
        let _ = match times_as_fast(modules, compiler, LIFTOFF) {
            Some(times) => writeln!(page, " {times:.2} ({}) |", both.count()),
            None => writeln!(page, " |"),
        };
    }
    let times = GOALS.iter().filter_map(|(compiler, other, _)| {
        let times = times_as_fast(modules, compiler, other)?;
        Some(format!("{compiler} is {times:.1} times as fast as {other}"))
    });
    let times: Vec<String> = times.collect();
    if !times.is_empty() {
        let _ = writeln!(
            page,
            "\nOver the modules that both have, in the geometric mean: {}.",
            times.join("; ")
        );
    }
    page.push('\n');
}

/// In the order in which they were measured.
fn compilers(modules: &[CompiledModule]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for figure in modules.iter().flat_map(|module| &module.figures) {
        if !names.contains(&figure.compiler.as_str()) {
            names.push(&figure.compiler);
        }
    }
    names
}

fn cell(module: &CompiledModule, compiler: &str) -> String {
    let Some(seconds) = module.best(compiler) else {
        return String::new();
    };
    let rate = module.bytes as f64 / 1e6 / seconds;
    let code = module.figure(compiler).and_then(|f| f.code_bytes);
    match code {
        Some(bytes) => {
            let times = bytes as f64 / module.wasm_code_bytes.max(1) as f64;
            format!("{rate:.1} ({times:.2})")
        }
        None => format!("{rate:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::CompileFigure;
    use super::*;

    #[test]
    fn rates_and_ratios() {
        let figure = |compiler: &str, seconds: &[f64], code_bytes| CompileFigure {
            compiler: compiler.to_owned(),
            seconds: seconds.to_vec(),
            code_bytes,
        };
        let module = CompiledModule {
            name: "m".to_owned(),
            bytes: 2_000_000,
            wasm_code_bytes: 1_000_000,
            figures: vec![
                figure("ours", &[0.5, 0.25], Some(1_500_000)),
                figure(LIFTOFF, &[1.0], None),
            ],
        };
        let mut page = String::new();
        write(&mut page, &[module]);
        assert!(page.contains("| ours | 8.0 (1.50) | 4.00 (1) |"), "{page}");
        assert!(page.contains("| V8 Liftoff | 2.0 | 1.00 (1) |"), "{page}");
        page.clear();
        let tier_0 = CompiledModule {
            name: "m".to_owned(),
            bytes: 2_000_000,
            wasm_code_bytes: 1_000_000,
            figures: vec![
                figure(PASS, &[0.1], None),
                figure(TIER_0, &[0.25], None),
                figure(LIFTOFF, &[0.3], None),
                figure(WINCH, &[3.0], None),
            ],
        };
        write(&mut page, std::slice::from_ref(&tier_0));
        let sentence = format!("{TIER_0} is 12.0 times as fast as {WINCH}.");
        assert!(page.contains(&sentence), "{page}");
        page.clear();
        falls_short(&mut page, &[tier_0]);
        let lines: Vec<&str> = page.lines().collect();
        assert!(lines[0].contains("20 MB a second"), "{page}");
        assert!(
            lines[1].contains("3.0 times as fast as V8 Liftoff"),
            "{page}"
        );
        assert!(
            lines[2].contains("1.2 times as fast as V8 Liftoff"),
            "{page}"
        );
        assert_eq!(lines.len(), 3);
        page.clear();
        write(&mut page, &[]);
        assert!(page.is_empty());
    }
}
