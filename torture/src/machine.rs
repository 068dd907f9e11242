//! What the operating system knows of this process and this machine.

use anyhow::{Context as _, Result};

/// Bytes of memory that the process has.
pub fn resident_bytes() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    kilobytes(line.context("the kernel does not say how much memory there is")?)
}

/// Bytes of memory that are mapped to be executed and belong to no file of the file system: generated code.
pub fn executable_resident_bytes() -> Result<usize> {
    let maps = std::fs::read_to_string("/proc/self/smaps")?;
    let (mut bytes, mut counts) = (0, false);
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if first.contains('-') {
            let rights = words.next().unwrap_or_default();
            let path = words.nth(3).unwrap_or_default();
            let on_disk =
                path.starts_with('/') && !path.starts_with("/memfd:") || path.starts_with('[');
            counts = rights.contains('x') && !on_disk;
        } else if counts && let Some(size) = line.strip_prefix("Rss:") {
            bytes += kilobytes(size)?;
        }
    }
    Ok(bytes)
}

fn kilobytes(text: &str) -> Result<usize> {
    let number = text.trim().trim_end_matches("kB").trim();
    Ok(1024
        * number
            .parse::<usize>()
            .with_context(|| format!("`{text}` is no size"))?)
}

/// The processor, the number of cores and the kernel.
pub fn describe() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or(std::env::consts::ARCH, |line| {
        line.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

/// Today's date in UTC.
pub fn date() -> String {
    let mut time = 0;
    // SAFETY: both calls fill in what they are given.
    let broken_down = unsafe {
        libc::time(&mut time);
        let mut broken_down: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&time, &mut broken_down);
        broken_down
    };
    format!(
        "{}-{:02}-{:02}",
        1900 + broken_down.tm_year,
        1 + broken_down.tm_mon,
        broken_down.tm_mday
    )
}
