//! Pictures of how often something takes how long: bars side by side, one colour for each series.

use std::fmt::Write as _;

use super::picture::{self, WIDTH};

const LEFT: f64 = 70.0;
const TOP: f64 = 96.0;
const PLOT_HEIGHT: f64 = 250.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - 24.0;
const COLOURS: [&str; 3] = ["#60a5fa", "#1d4ed8", "#f59e0b"];

/// What is drawn.
pub struct Histogram<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    /// What the times are of.
    pub what: &'a str,
    /// Whether the heights are logarithms of counts, rather than shares: for what happens hardly ever.
    pub is_logarithmic: bool,
    /// At most as many as there are colours: a name, and how many times are up to 1, 2, 4, … microseconds.
    pub series: Vec<(String, Vec<u64>)>,
}

impl Histogram<'_> {
    /// The picture, if there is anything to be seen.
    pub fn draw(&self) -> Option<String> {
        let last = |(_, counts): &(String, Vec<u64>)| counts.iter().rposition(|count| *count > 0);
        let buckets = 1 + self.series.iter().filter_map(last).max()?;
        let most = self
            .series
            .iter()
            .flat_map(|(_, counts)| counts.iter().map(|count| self.height(*count, counts)))
            .fold(0.01, f64::max);
        let mut svg = String::new();
        let height = TOP + PLOT_HEIGHT + 62.0;
        picture::header(&mut svg, height, self.title, self.subtitle);
        self.legend(&mut svg);
        let step = PLOT_WIDTH / buckets as f64;
        let width = step * 0.84 / self.series.len() as f64;
        for bucket in 0..buckets {
            let left = LEFT + step * bucket as f64;
            for (index, (name, counts)) in self.series.iter().enumerate() {
                let count = counts.get(bucket).copied().unwrap_or(0);
                let height = self.height(count, counts) / most * PLOT_HEIGHT;
                let _ = writeln!(
                    svg,
                    r##"<rect x="{:.1}" y="{:.1}" width="{width:.1}" height="{height:.1}" fill="{}"><title>{name}: {count} up to {}</title></rect>"##,
                    left + step * 0.08 + width * index as f64,
                    TOP + PLOT_HEIGHT - height,
                    COLOURS[index % COLOURS.len()],
                    microseconds(1 << bucket)
                );
            }
            // Every other one: there is no room for more.
            if bucket % 2 == 0 {
                let _ = writeln!(
                    svg,
                    r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="#374151">{}</text>"##,
                    left + step,
                    TOP + PLOT_HEIGHT + 18.0,
                    microseconds(1 << bucket)
                );
            }
        }
        self.axis(&mut svg, most);
        svg.push_str("</svg>\n");
        Some(svg)
    }

    fn height(&self, count: u64, counts: &[u64]) -> f64 {
        match self.is_logarithmic {
            // One is to be seen, too.
            true => (count as f64 * 2.0).max(1.0).log10(),
            false => count as f64 / (counts.iter().sum::<u64>() as f64).max(1.0),
        }
    }

    fn legend(&self, svg: &mut String) {
        for (index, (name, counts)) in self.series.iter().enumerate() {
            let x = 24.0 + 280.0 * index as f64;
            let _ = writeln!(
                svg,
                r##"<rect x="{x}" y="68" width="12" height="12" fill="{}"/><text x="{}" y="79" fill="#111827">{name}, {} {}</text>"##,
                COLOURS[index % COLOURS.len()],
                x + 18.0,
                counts.iter().sum::<u64>(),
                self.what
            );
        }
    }

    fn axis(&self, svg: &mut String, most: f64) {
        let bottom = TOP + PLOT_HEIGHT;
        let (top, heights) = match self.is_logarithmic {
            true => (
                format!("{:.0}", 10_f64.powf(most) / 2.0),
                "their number, logarithmic",
            ),
            false => (
                format!("{:.0} %", most * 100.0),
                "their share in the series",
            ),
        };
        let _ = writeln!(
            svg,
            r##"<line x1="{LEFT}" y1="{bottom}" x2="{}" y2="{bottom}" stroke="#111827"/>
<text x="{}" y="{}" text-anchor="end" fill="#374151">{top}</text>
<line x1="{LEFT}" y1="{TOP}" x2="{}" y2="{TOP}" stroke="#e5e7eb"/>
<text x="{}" y="{}" text-anchor="middle" fill="#374151">{} that took up to this time, and more than half of it ({heights})</text>"##,
            WIDTH - 24.0,
            LEFT - 8.0,
            TOP + 5.0,
            WIDTH - 24.0,
            LEFT + PLOT_WIDTH / 2.0,
            bottom + 44.0,
            self.what
        );
    }
}

fn microseconds(value: u64) -> String {
    match value {
        1024.. => format!("{} ms", value / 1000),
        _ => format!("{value} µs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(is_logarithmic: bool) -> Histogram<'static> {
        Histogram {
            title: "Times",
            subtitle: "m",
            what: "calls",
            is_logarithmic,
            series: vec![("a".into(), vec![0, 2, 1]), ("b".into(), vec![5])],
        }
    }

    #[test]
    fn a_bar_is_there_for_what_is_there() {
        for is_logarithmic in [false, true] {
            let svg = histogram(is_logarithmic).draw().unwrap();
            assert!(svg.contains("a: 2 up to 2 µs"), "{svg}");
            assert!(svg.contains("b, 5 calls"), "{svg}");
        }
    }

    #[test]
    fn nothing_makes_no_picture() {
        let mut empty = histogram(false);
        empty.series = vec![("a".into(), vec![0, 0])];
        assert_eq!(empty.draw(), None);
    }
}
