//! A flame graph as SVG: who calls stands above those that are called, each as wide as what was spent in it. Pure.

use std::fmt::Write;

use super::plot::escaped;
use super::stacks::Frame;

const WIDTH: f64 = 1200.0;
const ROW: f64 = 17.0;
/// Of a letter, at the size that is written.
const LETTER: f64 = 6.3;
/// What is narrower is not drawn.
const NARROWEST: f64 = 0.6;
/// Not more of a name is written where there is room for it.
const FEWEST_LETTERS: usize = 4;

pub fn flames(all: &Frame) -> String {
    let mut drawing =
        Drawing { out: String::new(), scale: WIDTH / all.weight.max(f64::MIN_POSITIVE), total: all.weight, rows: 0 };
    drawing.calls(all, 0.0, 0);
    let height = drawing.rows as f64 * ROW;
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img' class='flames'>{}</svg>",
        drawing.out
    )
}

struct Drawing {
    out: String,
    /// Width of a unit of weight.
    scale: f64,
    total: f64,
    rows: usize,
}

impl Drawing {
    fn calls(&mut self, frame: &Frame, left: f64, row: usize) {
        let mut left = left;
        for (name, called) in &frame.calls {
            let width = called.weight * self.scale;
            if width >= NARROWEST {
                self.rows = self.rows.max(row + 1);
                self.frame(name, called, left, width, row);
                self.calls(called, left, row + 1);
            }
            left += width;
        }
    }

    fn frame(&mut self, name: &str, frame: &Frame, left: f64, width: f64, row: usize) {
        let top = row as f64 * ROW;
        let letters = (width / LETTER) as usize;
        let long = name.chars().count() > letters;
        let short = name.rsplit("::").find(|part| long && *part != "{{closure}}").unwrap_or(name);
        let text: String = if letters < FEWEST_LETTERS { String::new() } else { short.chars().take(letters - 1).collect() };
        // Writing to a String cannot fail.
        let _ = write!(
            self.out,
            "<g><title>{}: {:.1} %</title><rect x='{left:.1}' y='{top:.1}' width='{:.1}' height='{:.1}' fill='{}'/>\
             <text x='{:.1}' y='{:.1}'>{}</text></g>",
            escaped(name),
            100.0 * frame.weight / self.total,
            width - 0.5,
            ROW - 1.0,
            warm(name),
            left + 3.0,
            top + 12.0,
            escaped(&text),
        );
    }
}

/// The same function has the same colour wherever it is.
fn warm(name: &str) -> String {
    let hash = name.bytes().fold(7u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("hsl({} 75% {}%)", 12 + hash % 40, 62 + (hash >> 8) % 14)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::stacks::read;

    #[test]
    fn a_frame_is_as_wide_as_its_part_and_below_its_caller() {
        let stack = |inner: &str| format!("x 1 1.0: 1 cycles:\n\t 1 {inner}+0x1 (x)\n\t 2 outer<T>+0x1 (x)\n\n");
        let svg = flames(&read(&(stack("a::left") + &stack("a::right"))).unwrap());
        assert!(svg.contains("viewBox='0 0 1200 34'"), "{svg}");
        assert!(svg.contains("<title>outer&lt;T&gt;: 100.0 %</title><rect x='0.0' y='0.0' width='1199.5'"), "{svg}");
        assert!(svg.contains("<title>a::right: 50.0 %</title><rect x='600.0' y='17.0' width='599.5'"), "{svg}");
        assert!(svg.contains(">a::left</text>") && svg.ends_with("</svg>"));
    }
}
