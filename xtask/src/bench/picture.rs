//! A picture of ratios: a row a program, a mark an engine, on a logarithmic axis where 1 is the best of the others.
//!
//! It is SVG written by hand, so that a page can show it without anything else being there.

use std::fmt::Write as _;

use super::report::{Figure, Report};
use super::stats;

pub(super) const WIDTH: f64 = 960.0;
const LEFT: f64 = 132.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 128.0;
const ROW: f64 = 34.0;
const BOTTOM: f64 = 58.0;

/// How an engine is drawn.
pub(super) struct Style {
    pub(super) id: &'static str,
    pub(super) colour: &'static str,
    shape: Shape,
    filled: bool,
    size: f64,
}

#[derive(Clone, Copy)]
enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
    Cross,
}

const fn style(
    id: &'static str,
    colour: &'static str,
    shape: Shape,
    filled: bool,
    size: f64,
) -> Style {
    Style {
        id,
        colour,
        shape,
        filled,
        size,
    }
}

/// Ours are filled and blue; a colour is a maker, a shape a kind of compiler: squares optimize, triangles do not.
pub(super) const STYLES: [Style; 10] = [
    style("wasmtime-cranelift", "#c2410c", Shape::Square, false, 4.5),
    style("wasmtime-winch", "#c2410c", Shape::Triangle, false, 5.0),
    style("wasmi", "#6b7280", Shape::Cross, false, 4.5),
    style("node", "#15803d", Shape::Circle, false, 5.0),
    style("node-liftoff", "#15803d", Shape::Triangle, false, 5.0),
    style("node-turbofan", "#15803d", Shape::Square, false, 4.5),
    style("upshift-0", "#60a5fa", Shape::Triangle, true, 5.0),
    style("upshift-clif", "#0e7490", Shape::Triangle, true, 4.5),
    style("upshift-1", "#60a5fa", Shape::Square, true, 4.5),
    style("upshift-auto", "#1d4ed8", Shape::Diamond, true, 7.0),
];

/// A point of a row.
struct Mark<'a> {
    style: &'a Style,
    ratio: f64,
    least: f64,
    most: f64,
}

/// Draws a figure of every program that has it. Nothing if there is none.
pub fn draw(report: &Report, figure: Figure, title: &str, subtitle: &str) -> Option<String> {
    let rows = rows(report, figure);
    if rows.is_empty() {
        return None;
    }
    let ratios: Vec<f64> = rows
        .iter()
        .flat_map(|(_, marks)| marks.iter().map(|mark| mark.ratio))
        .collect();
    let axis = Axis::over(stats::spread(&ratios));
    let height = TOP + ROW * rows.len() as f64 + BOTTOM;
    let mut svg = String::new();
    header(&mut svg, height, title, subtitle);
    legend(&mut svg, report, &rows);
    axis.draw(&mut svg, rows.len());
    for (index, (name, marks)) in rows.iter().enumerate() {
        row(&mut svg, &axis, index, name, marks);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

type Row<'a> = (&'a str, Vec<Mark<'a>>);

fn rows(report: &Report, figure: Figure) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for program in &report.programs {
        let Some((_, best)) = program.best_peer(figure, &report.engines) else {
            continue;
        };
        let mark = |style: &'static Style| {
            let value = program.value(figure, report.engine(style.id)?)?;
            let ratio = |seconds: f64| seconds / best.median;
            Some(Mark {
                style,
                ratio: ratio(value.median),
                least: ratio(value.least),
                most: ratio(value.most),
            })
        };
        rows.push((
            program.name.as_str(),
            STYLES.iter().filter_map(mark).collect(),
        ));
    }
    rows
}

/// The horizontal axis.
struct Axis {
    least: f64,
    most: f64,
}

impl Axis {
    fn over((least, most): (f64, f64)) -> Axis {
        Axis {
            least: (least / 1.15).min(0.8),
            most: (most * 1.15).max(2.5),
        }
    }

    fn x(&self, ratio: f64) -> f64 {
        let ratio = ratio.clamp(self.least, self.most);
        let share = (ratio / self.least).ln() / (self.most / self.least).ln();
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// 1, 2 and 5 times each power of ten, as far as they fit.
    fn ticks(&self) -> Vec<f64> {
        let powers = (-6..=9).map(|power| 10f64.powi(power));
        let all = powers.flat_map(|power| [power, 2.0 * power, 5.0 * power]);
        all.filter(|tick| (self.least..=self.most).contains(tick))
            .collect()
    }

    fn draw(&self, svg: &mut String, rows: usize) {
        let bottom = TOP + ROW * rows as f64;
        for tick in self.ticks() {
            let (x, best) = (self.x(tick), tick == 1.0);
            let (colour, width) = if best {
                ("#111827", 1.5)
            } else {
                ("#e5e7eb", 1.0)
            };
            let _ = writeln!(
                svg,
                r##"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>
<text x="{x:.1}" y="{:.1}" text-anchor="middle" fill="#374151">{tick}</text>"##,
                bottom + 18.0
            );
        }
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="#374151">times the best other engine's time (logarithmic; left is faster)</text>"##,
            (LEFT + WIDTH - RIGHT) / 2.0,
            bottom + 42.0
        );
    }
}

pub(super) fn header(svg: &mut String, height: f64, title: &str, subtitle: &str) {
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="13" role="img" aria-label="{title}">
<title>{title}</title>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="16" y="30" font-size="19" font-weight="600" fill="#111827">{title}</text>
<text x="16" y="52" fill="#4b5563">{subtitle}</text>
"##
    );
}

fn legend(svg: &mut String, report: &Report, rows: &[Row]) {
    let used = |style: &&Style| {
        rows.iter()
            .any(|(_, marks)| marks.iter().any(|mark| mark.style.id == style.id))
    };
    let shown = report.engines.iter().filter_map(|engine| {
        let style = STYLES
            .iter()
            .filter(used)
            .find(|style| style.id == engine.id)?;
        Some((engine, style))
    });
    for (index, (engine, style)) in shown.enumerate() {
        let (x, y) = (
            24.0 + 178.0 * (index % 5) as f64,
            78.0 + 24.0 * (index / 5) as f64,
        );
        shape(svg, style, x, y);
        let weight = if engine.own { 600 } else { 400 };
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" font-weight="{weight}" fill="#111827">{}</text>"##,
            x + 13.0,
            y + 4.5,
            engine.label
        );
    }
}

fn row(svg: &mut String, axis: &Axis, index: usize, name: &str, marks: &[Mark]) {
    let top = TOP + ROW * index as f64;
    if index % 2 == 1 {
        let _ = writeln!(
            svg,
            r##"<rect x="{LEFT}" y="{top}" width="{:.1}" height="{ROW}" fill="#111827" fill-opacity="0.035"/>"##,
            WIDTH - LEFT - RIGHT
        );
    }
    let middle = top + ROW / 2.0;
    let _ = writeln!(
        svg,
        r##"<text x="{:.1}" y="{:.1}" text-anchor="end" fill="#111827">{name}</text>"##,
        LEFT - 10.0,
        middle + 4.5
    );
    for mark in marks {
        // A lane for each engine, so that marks at the same place can be told apart.
        let lane = STYLES
            .iter()
            .position(|style| style.id == mark.style.id)
            .unwrap_or(0) as f64;
        let y = middle + (lane - 4.0) * 2.4;
        let _ = writeln!(
            svg,
            r##"<g><title>{name}: {:.2} ({:.2} to {:.2})</title><line x1="{:.1}" y1="{y:.1}" x2="{:.1}" y2="{y:.1}" stroke="{}" stroke-width="1.5" stroke-opacity="0.6"/>"##,
            mark.ratio,
            mark.least,
            mark.most,
            axis.x(mark.least.max(f64::MIN_POSITIVE)),
            axis.x(mark.most),
            mark.style.colour
        );
        shape(svg, mark.style, axis.x(mark.ratio), y);
        svg.push_str("</g>\n");
    }
}

pub(super) fn shape(svg: &mut String, style: &Style, x: f64, y: f64) {
    let Style { colour, size, .. } = *style;
    let fill = if style.filled { colour } else { "#ffffff" };
    let paint = format!(r##"fill="{fill}" stroke="{colour}" stroke-width="1.7""##);
    let _ = match style.shape {
        Shape::Circle => writeln!(
            svg,
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="{size}" {paint}/>"##
        ),
        Shape::Square => writeln!(
            svg,
            r##"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" {paint}/>"##,
            x - size,
            y - size,
            2.0 * size,
            2.0 * size
        ),
        Shape::Diamond => polygon(
            svg,
            &paint,
            &[(x, y - size), (x + size, y), (x, y + size), (x - size, y)],
        ),
        Shape::Triangle => polygon(
            svg,
            &paint,
            &[
                (x, y - size),
                (x + size, y + 0.8 * size),
                (x - size, y + 0.8 * size),
            ],
        ),
        Shape::Cross => writeln!(
            svg,
            r##"<path d="M{:.1} {:.1}L{:.1} {:.1}M{:.1} {:.1}L{:.1} {:.1}" {paint}/>"##,
            x - size,
            y - size,
            x + size,
            y + size,
            x - size,
            y + size,
            x + size,
            y - size
        ),
    };
}

fn polygon(svg: &mut String, paint: &str, corners: &[(f64, f64)]) -> std::fmt::Result {
    let points: Vec<String> = corners
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    writeln!(svg, r##"<polygon points="{}" {paint}/>"##, points.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_covers_what_is_there() {
        let axis = Axis::over((0.5, 40.0));
        assert!(axis.ticks().contains(&1.0) && axis.ticks().contains(&20.0));
        assert!(axis.x(0.5) > LEFT && axis.x(40.0) < WIDTH - RIGHT);
        assert!(axis.x(1.0) < axis.x(2.0));
    }

    #[test]
    fn every_shape_is_drawn() {
        for style in &STYLES {
            let mut svg = String::new();
            shape(&mut svg, style, 10.0, 10.0);
            assert!(svg.contains(style.colour), "{}", style.id);
        }
    }
}
