//! Plots as SVG: bars of two parts, and lines over a logarithmic scale. Pure.

use std::fmt::Write;

/// Of nine colours that people who see few of them can tell apart (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];
const WIDTH: f64 = 720.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 150.0;
const BAR: f64 = 26.0;
const LINES_HEIGHT: f64 = 260.0;
const MARGIN: f64 = 30.0;

pub fn colour(n: usize) -> &'static str {
    COLOURS[n % COLOURS.len()]
}

/// A bar: its name, its two parts, and what is written behind it.
pub struct Bar {
    pub name: String,
    pub parts: [f64; 2],
    pub label: String,
}

/// Horizontal bars with one scale; the second part is lighter.
pub fn bars(bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.parts.iter().sum::<f64>()).fold(f64::MIN_POSITIVE, f64::max);
    let height = bars.len() as f64 * BAR + 8.0;
    let mut out = open(height);
    for (n, Bar { name, parts, label }) in bars.iter().enumerate() {
        let y = n as f64 * BAR + 4.0;
        let scaled = parts.map(|part| part.max(0.0) / most * (WIDTH - LEFT - RIGHT));
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<text x='{}' y='{:.1}' text-anchor='end'>{}</text>\
             <rect x='{LEFT}' y='{y:.1}' width='{:.1}' height='18' fill='{c}'/>\
             <rect x='{:.1}' y='{y:.1}' width='{:.1}' height='18' fill='{c}' fill-opacity='0.45'/>\
             <text x='{:.1}' y='{:.1}'>{}</text>",
            LEFT - 8.0,
            y + 14.0,
            escaped(name),
            scaled[0],
            LEFT + scaled[0],
            scaled[1],
            LEFT + scaled[0] + scaled[1] + 6.0,
            y + 14.0,
            escaped(label),
            c = colour(n),
        );
    }
    out + "</svg>"
}

/// A line: its name and its points, one for each place on the x axis; what is not a number is left out.
pub struct Line {
    pub name: String,
    pub values: Vec<f64>,
}

/// Lines over named places; the y axis is logarithmic, in the unit that is named.
pub fn lines(places: &[String], lines: &[Line], unit: &str) -> String {
    let all = || lines.iter().flat_map(|line| &line.values).copied().filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN_POSITIVE, f64::max));
    let mut out = open(LINES_HEIGHT);
    if low > high {
        return out + "</svg>";
    }
    let (bottom, top) = (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
    let step = (WIDTH - LEFT - RIGHT) / (places.len().max(2) - 1) as f64;
    let x = |n: usize| LEFT + n as f64 * step;
    let y = |value: f64| LINES_HEIGHT - MARGIN - (value.log10() - bottom) / (top - bottom) * (LINES_HEIGHT - 2.0 * MARGIN);
    for power in bottom as i32..=top as i32 {
        let at = y(10f64.powi(power));
        let _ = write!(
            out,
            "<line x1='{LEFT}' x2='{}' y1='{at:.1}' y2='{at:.1}' stroke='#8886'/><text x='{}' y='{:.1}' text-anchor='end'>{} {unit}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            10f64.powi(power),
        );
    }
    for (n, place) in places.iter().enumerate() {
        let at = LINES_HEIGHT - MARGIN + 18.0;
        let _ = write!(out, "<text x='{:.1}' y='{at}' text-anchor='middle'>{}</text>", x(n), escaped(place));
    }
    for (n, Line { name, values }) in lines.iter().enumerate() {
        let there = values.iter().enumerate().filter(|(_, value)| value.is_finite() && **value > 0.0);
        let points: Vec<_> = there.map(|(place, value)| format!("{:.1},{:.1}", x(place), y(*value))).collect();
        let _ = write!(
            out,
            "<polyline points='{}' fill='none' stroke='{c}' stroke-width='2'/><rect x='{}' y='{}' width='12' height='12' fill='{c}'/>\
             <text x='{}' y='{}'>{}</text>",
            points.join(" "),
            WIDTH - RIGHT + 12.0,
            MARGIN + n as f64 * 20.0,
            WIDTH - RIGHT + 30.0,
            MARGIN + n as f64 * 20.0 + 11.0,
            escaped(name),
            c = colour(n),
        );
    }
    out + "</svg>"
}

fn open(height: f64) -> String {
    format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img'>")
}

/// As text within an element or an attribute.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_as_long_as_there_is_room() {
        let bar = |name: &str, parts| Bar { name: name.into(), parts, label: "<1>".into() };
        let svg = bars(&[bar("a", [10.0, 10.0]), bar("b", [5.0, 0.0])]);
        assert!(svg.contains("width='230.0'") && svg.contains("width='115.0'"), "{svg}");
        assert!(svg.contains("&lt;1&gt;") && svg.ends_with("</svg>"));
    }

    #[test]
    fn a_scale_has_whole_powers_and_what_is_no_number_is_left_out() {
        let line = Line { name: "a".into(), values: vec![20.0, f64::NAN, 2000.0] };
        let svg = lines(&["x".into(), "y".into(), "z".into()], &[line], "us");
        for text in [">10 us<", ">100 us<", ">1000 us<", ">10000 us<"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert_eq!(svg.matches("points='110.0,").count(), 1);
        assert!(!svg.contains("NaN"));
        assert!(lines(&[], &[], "us").ends_with("</svg>"));
    }
}
