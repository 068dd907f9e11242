//! A picture of a program with more and more work: the time to its result against the amount of work, both logarithmic, a
//! line an engine. Low at the left is a quick start, low at the right is good code; a tiered engine wants both.

use std::fmt::Write as _;

use super::picture::{STYLES, Style, WIDTH, header, shape};
use super::report::{Curve, Outcome, Report};
use super::stats;

const HEIGHT: f64 = 600.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 64.0;
/// Labels at the lines' ends are so far apart at least.
const LABEL: f64 = 18.0;

/// A line.
struct Line<'a> {
    style: &'static Style,
    label: &'a str,
    own: bool,
    /// Where it is: the number of the amount of work, and seconds.
    points: Vec<(usize, f64)>,
}

/// Draws it.
pub fn draw(report: &Report, curve: &Curve) -> String {
    let title = format!("{}: time to result against work", curve.program);
    let subtitle = format!(
        "Whole processes, start included; lower is better. {}, {}",
        report
            .machine
            .processors
            .first()
            .map_or("unknown processor", String::as_str),
        report.machine.date
    );
    let lines = lines(report, curve);
    let seconds: Vec<f64> = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|(_, seconds)| *seconds))
        .collect();
    let scale = Scale::over(stats::spread(&seconds), curve.points.len());
    let mut svg = String::new();
    header(&mut svg, HEIGHT, &title, &subtitle);
    scale.draw(&mut svg, curve);
    for line in &lines {
        draw_line(&mut svg, &scale, line);
    }
    labels(&mut svg, &scale, &lines);
    svg.push_str("</svg>\n");
    svg
}

fn lines<'a>(report: &'a Report, curve: &Curve) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for style in &STYLES {
        let Some(index) = report.engine(style.id) else {
            continue;
        };
        let time = |(number, outcomes): (usize, &Vec<Outcome>)| {
            Some((number, outcomes.get(index)?.median()?))
        };
        let outcomes = curve.points.iter().map(|point| &point.case.outcomes);
        let points: Vec<_> = outcomes.enumerate().filter_map(time).collect();
        if !points.is_empty() {
            lines.push(Line {
                style,
                label: &report.engines[index].label,
                own: report.engines[index].own,
                points,
            });
        }
    }
    lines
}

struct Scale {
    least: f64,
    most: f64,
    steps: usize,
}

impl Scale {
    fn over((least, most): (f64, f64), points: usize) -> Scale {
        Scale {
            least: least / 1.3,
            most: most * 1.3,
            steps: points.saturating_sub(1).max(1),
        }
    }

    /// The amounts of work grow by the same factor, so their numbers are their logarithms.
    fn x(&self, number: usize) -> f64 {
        LEFT + number as f64 / self.steps as f64 * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, seconds: f64) -> f64 {
        let share = (seconds / self.least).ln() / (self.most / self.least).ln();
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String, curve: &Curve) {
        let powers = (-6..=3).map(|power| 10f64.powi(power));
        let ticks = powers.flat_map(|power| [power, 2.0 * power, 5.0 * power]);
        for tick in ticks.filter(|tick| (self.least..=self.most).contains(tick)) {
            let y = self.y(tick);
            let label = if tick < 0.9995 {
                format!("{} ms", (tick * 1e6).round() / 1e3)
            } else {
                format!("{} s", tick.round())
            };
            let _ = writeln!(
                svg,
                r##"<line x1="{LEFT}" y1="{y:.1}" x2="{:.1}" y2="{y:.1}" stroke="#e5e7eb"/>
<text x="{:.1}" y="{:.1}" text-anchor="end" fill="#374151">{label}</text>"##,
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.5
            );
        }
        let bottom = HEIGHT - BOTTOM;
        for (number, point) in curve.points.iter().enumerate() {
            let x = self.x(number);
            let _ = writeln!(
                svg,
                r##"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}" stroke="#f3f4f6"/>
<text x="{x:.1}" y="{:.1}" text-anchor="middle" fill="#374151">{}</text>"##,
                bottom + 20.0,
                point.work
            );
        }
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="#374151">amount of work: the program's argument, each four times the one before</text>"##,
            (LEFT + WIDTH - RIGHT) / 2.0,
            bottom + 46.0
        );
    }
}

fn draw_line(svg: &mut String, scale: &Scale, line: &Line) {
    let points: Vec<String> = line
        .points
        .iter()
        .map(|(number, seconds)| format!("{:.1},{:.1}", scale.x(*number), scale.y(*seconds)))
        .collect();
    let width = if line.own { 2.4 } else { 1.4 };
    let _ = writeln!(
        svg,
        r##"<polyline points="{}" fill="none" stroke="{}" stroke-width="{width}"/>"##,
        points.join(" "),
        line.style.colour
    );
    for (number, seconds) in &line.points {
        let _ = write!(svg, "<g><title>{}: {:.4} s</title>", line.label, seconds);
        shape(svg, line.style, scale.x(*number), scale.y(*seconds));
        svg.push_str("</g>\n");
    }
}

/// Each line's name at its end, moved down where two would overlap.
fn labels(svg: &mut String, scale: &Scale, lines: &[Line]) {
    let end = |line: &Line| line.points.last().map(|(_, seconds)| scale.y(*seconds));
    let mut ends: Vec<(f64, &Line)> = lines
        .iter()
        .filter_map(|line| Some((end(line)?, line)))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = 0.0;
    for (y, line) in ends {
        let y = f64::max(y, free);
        free = y + LABEL;
        let (last, _) = line.points[line.points.len() - 1];
        let x = scale.x(last).max(WIDTH - RIGHT) + 16.0;
        let weight = if line.own { 600 } else { 400 };
        shape(svg, line.style, x, y);
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" font-weight="{weight}" fill="#111827">{}</text>"##,
            x + 12.0,
            y + 4.5,
            line.label
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_time_is_higher_and_more_work_further_right() {
        let scale = Scale::over((0.001, 10.0), 5);
        assert!(scale.y(1.0) < scale.y(0.1));
        assert!(scale.y(10.0) > TOP && scale.y(0.001) < HEIGHT - BOTTOM);
        assert!(scale.x(1) < scale.x(2));
        assert!((scale.x(4) - (WIDTH - RIGHT)).abs() < 1e-9);
    }
}
