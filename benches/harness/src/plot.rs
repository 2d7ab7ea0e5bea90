// SPDX-License-Identifier: MIT OR Apache-2.0
//! Line plots as SVG, both axes logarithmic, readable on light and on dark pages.

use std::fmt::Write;
use std::io::Result;
use std::path::Path;
use std::{array, fs};

use crate::contestants::{Row, SECTIONS, Section};
use crate::data::Data;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 500.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 350.0;
const COLOURS: [&str; 12] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c564b", "#9467bd", "#17becf",
    "#bcbd22", "#e377c2",
];

struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Whole steps of 1, 2, 5 around the values.
    fn around(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let low = values.clone().fold(f64::MAX, f64::min);
        let high = values.fold(f64::MIN, f64::max);
        let reach = if high / low < 3.0 { 2.0 } else { 10.0 };
        let low = ticks(low / reach, low).last().copied().unwrap_or(low);
        let high = ticks(high, high * reach).first().copied().unwrap_or(high);
        Axis { low, high, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value / self.low).ln() / (self.high / self.low).ln() * (self.to - self.from)
    }
}

/// 1, 2, 5, 10, 20, ... from `low` to `high`; closer together where that is not far.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    const COARSE: &[f64] = &[1.0, 2.0, 5.0];
    const FINE: &[f64] = &[1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let steps = if high / low < 4.5 { FINE } else { COARSE };
    let all = (-3..8).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    all.filter(|tick| *tick >= low * 0.999 && *tick <= high * 1.001).collect()
}

fn number(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn svg(title: &str, below: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::around(points().map(|p| p.0), LEFT, RIGHT);
    let y = Axis::around(points().map(|p| p.1), BOTTOM, TOP);
    let mut s = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" font-weight=\"bold\">{}</text>\n\
         <text x=\"{:.0}\" y=\"388\" text-anchor=\"middle\">{}</text>\n",
        escaped(title),
        (LEFT + RIGHT) / 2.0,
        escaped(below)
    );
    for tick in ticks(y.low, y.high) {
        let at = y.at(tick);
        writeln!(s, "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#ddd\"/>").unwrap();
        let text = number(tick);
        writeln!(s, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", LEFT - 6.0, at + 4.0).unwrap();
    }
    for tick in ticks(x.low, x.high).into_iter().filter(|tick| tick.log10().fract() == 0.0 || x.high / x.low < 30.0) {
        let at = x.at(tick);
        writeln!(s, "<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"#eee\"/>").unwrap();
        let text = number(tick);
        writeln!(s, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>", BOTTOM + 18.0).unwrap();
    }
    for (i, line) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let solid = line.name.starts_with("libdyco") || !lines.iter().any(|line| line.name.starts_with("libdyco"));
        let dash = if solid { "" } else { " stroke-dasharray=\"5 3\"" };
        let path: Vec<String> = line.points.iter().map(|p| format!("{:.1} {:.1}", x.at(p.0), y.at(p.1))).collect();
        let path = path.join("L");
        let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}");
        writeln!(s, "<path d=\"M{path}\" {style}/>").unwrap();
        for p in &line.points {
            writeln!(s, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x.at(p.0), y.at(p.1)).unwrap();
        }
        let at = TOP + 10.0 + 20.0 * i as f64;
        writeln!(s, "<path d=\"M{:.0} {at}h24\" {style}/>", RIGHT + 16.0).unwrap();
        let name = escaped(&line.name);
        writeln!(s, "<text x=\"{:.0}\" y=\"{}\">{name}</text>", RIGHT + 46.0, at + 4.0).unwrap();
    }
    s + "</svg>\n"
}

fn section(name: &str) -> &'static Section {
    SECTIONS.iter().find(|section| section.name == name).expect("a section of this name")
}

/// A figure of a row over the cases.
fn over_cases(data: &Data, section: &Section, row: &str, figure: &str) -> Vec<(f64, f64)> {
    let value = |case: &str| match figure.ends_with("ns") {
        true => data.least(section.name, case, row, figure),
        false => data.median(section.name, case, row, figure),
    };
    section.cases.iter().filter_map(|case| Some((case.name.parse().ok()?, value(case.name)?))).collect()
}

fn save(folder: &Path, name: &str, title: &str, below: &str, lines: Vec<Line>) -> Result<()> {
    let lines: Vec<Line> = lines.into_iter().filter(|line| line.points.len() > 1).collect();
    if lines.is_empty() {
        return Ok(());
    }
    fs::write(folder.join(name), svg(title, below, &lines))
}

fn contestants(data: &Data, name: &str, figure: &str) -> Vec<Line> {
    let section = section(name);
    let line = |row: &str| Line { name: row.to_string(), points: over_cases(data, section, row, figure) };
    section.rows.iter().map(|row| line(row.name)).collect()
}

/// Threads are off the scale.
fn echo(data: &Data) -> Vec<Line> {
    let section = section("echo");
    let [reference, rows @ ..] = section.rows else { return Vec::new() };
    let ratio = |case: &str, row: &str| data.ratio(section.name, case, row, reference.name, "CPU us/request");
    let line = |row: &str| {
        let point = |case: &str| Some((case.parse().ok()?, ratio(case, row)?));
        Line { name: row.to_string(), points: section.cases.iter().filter_map(|case| point(case.name)).collect() }
    };
    let shown = |row: &&Row| row.program != "threads" && !row.arguments.contains("calls");
    rows.iter().filter(shown).map(|row| line(row.name)).collect()
}

pub fn write_all(data: &Data, folder: &Path) -> Result<()> {
    save(folder, "echo.svg", "Echo: server CPU per request, as a ratio to plain epoll", "connections", echo(data))?;
    let lines = contestants(data, "yield", "best ns");
    save(folder, "yield.svg", "Yield through the scheduler, ns", "coroutines", lines)?;
    let lines = contestants(data, "crowd", "bytes");
    save(folder, "memory.svg", "Bytes per parked coroutine, page tables included", "coroutines", lines)?;

    let figures = [
        ("yield", "best ns", "yield"),
        ("crowd", "create ns", "create"),
        ("crowd", "wait ns", "start and wait"),
        ("crowd", "wake and end ns", "wake and end"),
        ("scale", "wait with a deadline ns", "start, wait with a deadline"),
        ("scale", "wake, cancel, wait again ns", "wake, timer off and on"),
        ("scale", "wait for a descriptor ns", "start, wait for a descriptor"),
        ("scale", "write, wake, read, wait again ns", "descriptor: write, wake, read"),
    ];
    for (stacks, row) in [("own", "libdyco, own stacks"), ("shared", "libdyco, shared stacks")] {
        let lines: [Line; 8] = array::from_fn(|i| {
            let (from, figure, name) = figures[i];
            Line { name: name.into(), points: over_cases(data, section(from), row, figure) }
        });
        let title = format!("Cost of each operation as the crowd grows, {stacks} stacks, ns");
        save(folder, &format!("scale-{stacks}.svg"), &title, "coroutines", lines.into())?;
    }
    Ok(())
}
