//! The part of the page on how fast compilers are.

use std::fmt::Write as _;

use super::compile::LIFTOFF;
use super::report::CompiledModule;
use super::stats;

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
        let ratios: Vec<f64> = modules
            .iter()
            .filter_map(|module| Some(module.best(LIFTOFF)? / module.best(compiler)?))
            .collect();
        let _ = match stats::geometric_mean(&ratios) {
            Some(mean) => writeln!(page, " {mean:.2} ({}) |", ratios.len()),
            None => writeln!(page, " |"),
        };
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
        write(&mut page, &[]);
        assert!(page.is_empty());
    }
}
