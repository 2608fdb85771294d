//! Plots as SVG: groups of bars, each bar in two parts.

use std::fmt::Write as _;

use crate::servers::ServerKind;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
/// Around the bars, for the title, the axes and the legend.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 30.0;
/// The part of a group's width that is left free between groups.
const GAP: f64 = 0.15;

/// A bar chart.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the two parts of a bar are.
    pub(crate) subtitle: String,
    pub(crate) groups: Vec<Group>,
}

/// Bars side by side over one label.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) label: String,
    pub(crate) bars: Vec<Bar>,
}

/// `part <= whole`: the part is drawn solid, the rest of the whole pale above it.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) kind: ServerKind,
    pub(crate) part: f64,
    pub(crate) whole: f64,
}

impl Plot {
    /// Draws it.
    pub(crate) fn svg(&self) -> String {
        let mut svg = String::new();
        // Writing to a string cannot fail.
        let _ = self.draw(&mut svg);
        svg
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let step = step(bars().map(|bar| bar.whole).fold(0.0, f64::max));
        let top = bars()
            .map(|bar| (bar.whole / step).ceil())
            .fold(1.0, f64::max)
            * step;
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);

        // The background makes it readable on dark pages too.
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"36\" fill=\"#555\">{}</text>",
            escape(&self.title),
            escape(&self.subtitle)
        )?;
        self.draw_legend(svg)?;
        for tick in 0..=(top / step).round() as u32 {
            let value = f64::from(tick) * step;
            let (end, at) = (WIDTH - RIGHT, y(value));
            writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                short(value)
            )?;
        }
        let group_width = (WIDTH - LEFT - RIGHT) / self.groups.len().max(1) as f64;
        for (at, group) in self.groups.iter().enumerate() {
            let left = LEFT + at as f64 * group_width;
            writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                left + group_width / 2.0,
                HEIGHT - BOTTOM + 18.0,
                escape(&group.label)
            )?;
            let width = group_width * (1.0 - GAP) / group.bars.len().max(1) as f64;
            for (at, bar) in group.bars.iter().enumerate() {
                let left = left + group_width * GAP / 2.0 + at as f64 * width;
                draw_bar(svg, bar, left, width, &y)?;
            }
        }
        writeln!(svg, "</svg>")
    }

    fn draw_legend(&self, svg: &mut String) -> std::fmt::Result {
        let mut kinds: Vec<_> = self
            .groups
            .iter()
            .flat_map(|group| &group.bars)
            .map(|bar| bar.kind)
            .collect();
        kinds.sort();
        kinds.dedup();
        for (at, kind) in kinds.into_iter().enumerate() {
            let x = LEFT + at as f64 * 100.0;
            let (color, text) = (color(kind), x + 14.0);
            writeln!(
                svg,
                "<rect x=\"{x}\" y=\"44\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
                 <text x=\"{text}\" y=\"53\">{}</text>",
                kind.name()
            )?;
        }
        Ok(())
    }
}

fn draw_bar(
    svg: &mut String,
    bar: &Bar,
    left: f64,
    width: f64,
    y: &impl Fn(f64) -> f64,
) -> std::fmt::Result {
    let color = color(bar.kind);
    let (whole, part, floor) = (y(bar.whole), y(bar.part), y(0.0));
    let thin = width - 2.0;
    writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{whole:.1}\" width=\"{thin:.1}\" height=\"{:.1}\" \
         fill=\"{color}\" fill-opacity=\"0.45\"/>\
         <rect x=\"{left:.1}\" y=\"{part:.1}\" width=\"{thin:.1}\" height=\"{:.1}\" \
         fill=\"{color}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        part - whole,
        floor - part,
        left + thin / 2.0,
        whole - 4.0,
        short(bar.whole)
    )
}

/// Okabe and Ito's colours, which people who see few colours can tell apart.
fn color(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::Direct => "#777777",
        ServerKind::Delegated => "#009e73",
        ServerKind::Earlier => "#56b4e9",
        ServerKind::Relayed => "#cc79a7",
        ServerKind::Forwarded => "#0072b2",
        ServerKind::Nginx => "#e69f00",
        ServerKind::Haproxy => "#d55e00",
    }
}

/// The distance of the axis' ticks: 1, 2 or 5 times a power of ten, and at most six of them.
fn step(most: f64) -> f64 {
    let least = most / 6.0;
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    // Rounding can leave the last one a hair too small.
    steps
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(steps[3])
}

/// A number in about three digits.
pub(crate) fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        small if small < 9.995 => format!("{small:.2}"),
        medium if medium < 99.95 => format!("{medium:.1}"),
        large => format!("{large:.0}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_and_few() {
        for (most, expected) in [
            (6.0, 1.0),
            (6.1, 2.0),
            (13.0, 5.0),
            (31.0, 10.0),
            (0.5, 0.1),
        ] {
            assert!(
                (step(most) - expected).abs() < 1e-9,
                "{most}: {}",
                step(most)
            );
        }
        assert!(step(0.0) > 0.0);
    }

    #[test]
    fn numbers_keep_three_digits() {
        let numbers = [
            (0.0, "0"),
            (1.0, "1.00"),
            (9.999, "10.0"),
            (12.34, "12.3"),
            (999.6, "1000"),
        ];
        for (number, expected) in numbers {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn bars_stand_on_the_axis_and_the_pale_part_on_the_solid_one() {
        let bar = Bar {
            kind: ServerKind::Direct,
            part: 4.0,
            whole: 6.0,
        };
        let group = Group {
            label: "64 < connections".to_owned(),
            bars: vec![bar],
        };
        let plot = Plot {
            title: "CPU & more".to_owned(),
            subtitle: String::new(),
            groups: vec![group],
        };
        let svg = plot.svg();
        // Six units over 246 pixels, from 64 to 310.
        assert!(
            svg.contains("y=\"64.0\" width=\"586.2\" height=\"82.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("y=\"146.0\" width=\"586.2\" height=\"164.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("CPU &amp; more") && svg.contains("64 &lt; connections"),
            "{svg}"
        );
    }
}
