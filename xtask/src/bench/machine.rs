//! Which machine this is, and when.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::report::Machine;
use crate::shell;

/// What there is to know without special rights.
pub fn describe(root: &Path) -> Result<Machine> {
    let told = |program: &str, arguments: &[&str]| {
        let output = shell::output(Command::new(program).args(arguments).current_dir(root));
        output.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let cpuinfo = shell::read(Path::new("/proc/cpuinfo"))?;
    let changed = told("git", &["status", "--porcelain", "--untracked-files=no"]);
    let mut revision = told("git", &["rev-parse", "--short=12", "HEAD"]);
    if !changed.is_empty() {
        revision.push_str(" with changes");
    }
    Ok(Machine {
        processors: processors(&cpuinfo),
        memory_gib: memory_gib(&shell::read(Path::new("/proc/meminfo"))?),
        kernel: shell::read(Path::new("/proc/sys/kernel/osrelease"))?
            .trim()
            .to_owned(),
        rustc: told("rustc", &["--version"]),
        date: told("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        revision,
        load: load()?,
    })
}

/// How many processes ran on average in the last minute.
pub fn load() -> Result<f64> {
    let text = shell::read(Path::new("/proc/loadavg"))?;
    Ok(text
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0))
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = line.split_once(':')?;
    (found.trim() == name).then(|| value.trim())
}

/// The model of each processor; one name covers several generations, so family and model are added.
fn processors(cpuinfo: &str) -> Vec<String> {
    let describe = |text: &str| {
        let get = |name| text.lines().find_map(|line| field(line, name));
        match (get("model name"), get("cpu family"), get("model")) {
            (Some(name), Some(family), Some(model)) => {
                Some(format!("{name} (family {family}, model {model})"))
            }
            (Some(name), ..) => Some(name.to_owned()),
            // Arm machines give numbers instead of names.
            (None, ..) => Some(format!(
                "{} part {}",
                std::env::consts::ARCH,
                get("CPU part")?
            )),
        }
    };
    cpuinfo.split("\n\n").filter_map(describe).collect()
}

fn memory_gib(meminfo: &str) -> f64 {
    let total = meminfo.lines().find_map(|line| field(line, "MemTotal"));
    let kib = total.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_as_it_writes() {
        let cpuinfo = "processor\t: 0\ncpu family\t: 6\nmodel\t: 7\nmodel name\t: X 1\n\n\
                       processor\t: 1\nmodel name\t: X 1\n";
        assert_eq!(processors(cpuinfo), ["X 1 (family 6, model 7)", "X 1"]);
        assert!((memory_gib("MemTotal:       2097152 kB\nMemFree: 1 kB\n") - 2.0).abs() < 1e-9);
    }
}
