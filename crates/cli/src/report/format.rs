//! Numbers as people write and read them.

use std::time::Duration;

/// A number with commas between groups of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, in the singular or plural.
pub fn counted(number: u64, thing: &str) -> String {
    format!(
        "{} {thing}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

/// A number of bytes, with a unit.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while value >= 1023.95 {
        let Some(next) = units.next() else { break };
        value /= 1024.0;
        unit = Some(next);
    }
    format!("{value:.1} {}", unit.unwrap_or(&""))
}

/// A duration, with the unit that leaves it readable.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 60.0 {
        format!(
            "{:.0} min {:02.0} s",
            (seconds / 60.0).floor(),
            (seconds % 60.0).floor()
        )
    } else if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.0} µs", seconds * 1e6)
    }
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Millions of bytes a second; `None` if it took no time.
pub fn megabytes_per_second(bytes: u64, duration: Duration) -> Option<f64> {
    let seconds = duration.as_secs_f64();
    (seconds > 0.0).then(|| bytes as f64 / 1e6 / seconds)
}

/// Reads a duration such as `500ms`, `2s`, `1.5s` or `1m`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let scale = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{text}` is not a duration like 500ms, 2s or 1m")),
    };
    number
        .parse()
        .ok()
        .and_then(|number: f64| Duration::try_from_secs_f64(number * scale).ok())
        .ok_or_else(|| format!("`{text}` is not a duration like 500ms, 2s or 1m"))
}

/// Reads a number of bytes such as `65536`, `64KiB` or `1G`; units are powers of 1024.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split_unit(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("`{text}` is not a size like 65536, 64KiB or 1GiB")),
    };
    number
        .parse()
        .ok()
        .and_then(|number: usize| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("`{text}` is not a size like 65536, 64KiB or 1GiB"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1000, 1234567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "call"), "1 call");
        assert_eq!(counted(2000, "call"), "2,000 calls");
    }

    #[test]
    fn sizes_have_a_unit() {
        let texts = [0, 1023, 1024, 1536, 1 << 20, (1 << 20) - 1, 3 << 30].map(bytes);
        assert_eq!(
            texts,
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 MiB", "3.0 GiB"
            ]
        );
    }

    #[test]
    fn durations_have_a_unit() {
        let texts =
            [15, 1_500, 2_000_000, 61_000_000].map(|us| duration(Duration::from_micros(us)));
        assert_eq!(texts, ["15 µs", "1.5 ms", "2.00 s", "1 min 01 s"]);
    }

    #[test]
    fn durations_and_sizes_are_read() {
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "-1s", "1x", "1e9999s", "9999999999999999999999h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_bytes("64KiB"), Ok(65536));
        assert_eq!(parse_bytes("7"), Ok(7));
        for wrong in [
            "",
            "K",
            "1.5M",
            "-1",
            "99999999999999999999",
            "17179869184G",
            "1T",
        ] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
