//! Which machine this is, and when.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

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
        busy: busy()?,
    })
}

/// How many processors are busy with something else now: counted over half a second.
pub fn busy() -> Result<f64> {
    let times = || Ok::<_, anyhow::Error>(busy_and_all(&shell::read(Path::new("/proc/stat"))?));
    let before = times()?;
    std::thread::sleep(Duration::from_millis(500));
    let after = times()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let all = (after.1 - before.1).max(1.0);
    Ok((after.0 - before.0) / all * processors as f64)
}

/// The time that all processors together were busy, and all their time.
fn busy_and_all(stat: &str) -> (f64, f64) {
    let line = stat.lines().next().unwrap_or_default();
    let times: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|time| time.parse().ok())
        .collect();
    let all: f64 = times.iter().take(8).sum();
    // Idle, and waiting for a disk.
    let idle: f64 = times.iter().skip(3).take(2).sum();
    (all - idle, all)
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
        let stat = "cpu  10 0 20 60 10 0 0 0 5 0\ncpu0 1 1 1 1\n";
        assert_eq!(busy_and_all(stat), (30.0, 100.0));
        assert!((memory_gib("MemTotal:       2097152 kB\nMemFree: 1 kB\n") - 2.0).abs() < 1e-9);
    }
}
