//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write};

use super::histogram::{BOUNDS_US, Distribution};
use super::metric::Metric;

/// `Content-Type` of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page as it is written, metric by metric.
#[derive(Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a metric; its samples follow.
    pub fn metric(&mut self, metric: Metric) -> Samples<'_> {
        let (name, about, kind) = (metric.name(), metric.about(), metric.kind().name());
        // A string takes everything.
        _ = writeln!(self.text, "# HELP {name} {about}\n# TYPE {name} {kind}");
        Samples { text: &mut self.text, metric }
    }

    pub fn finish(self) -> String {
        self.text
    }
}

/// The samples of one metric.
pub struct Samples<'p> {
    text: &'p mut String,
    metric: Metric,
}

impl Samples<'_> {
    /// A sample; `labels`: values, in the order of the metric's labels.
    pub fn sample(&mut self, labels: &[&str], value: impl Display) {
        self.line("", labels, None, value);
    }

    pub fn histogram(&mut self, labels: &[&str], of: &Distribution) {
        let mut sum = 0;
        for (place, count) in of.buckets.iter().enumerate() {
            sum += count;
            let bound = BOUNDS_US.get(place).map_or("+Inf".to_owned(), |us| (f64::from(*us) / 1e6).to_string());
            self.line("_bucket", labels, Some(&bound), sum);
        }
        self.line("_sum", labels, None, of.sum_us as f64 / 1e6);
        self.line("_count", labels, None, of.count());
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: impl Display) {
        debug_assert_eq!(labels.len(), self.metric.labels().len(), "{:?}", self.metric);
        self.text.push_str(self.metric.name());
        self.text.push_str(suffix);
        let pairs = self.metric.labels().iter().copied().zip(labels.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        let mut first = true;
        for (name, value) in pairs {
            self.text.push(if std::mem::take(&mut first) { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
        }
        if !first {
            self.text.push('}');
        }
        _ = writeln!(self.text, " {value}");
    }

    fn escaped(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                c => self.text.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::histogram::Histogram;

    #[test]
    fn a_metric_is_written_with_its_labels_escaped() {
        let mut page = Page::default();
        page.metric(Metric::UpstreamIdle).sample(&["a\"b\\c\n"], 7);
        let text = page.finish();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "# TYPE lockgate_upstream_idle_connections gauge");
        assert_eq!(lines[2], "lockgate_upstream_idle_connections{vpc_access=\"a\\\"b\\\\c\\n\"} 7");
    }

    #[test]
    fn a_histogram_is_cumulative() {
        let (histogram, mut sum) = (Histogram::default(), Distribution::default());
        [400, 2_000, 60_000_000].iter().for_each(|us| histogram.record(*us));
        sum.add(&histogram);
        let mut page = Page::default();
        page.metric(Metric::BackendDuration).histogram(&["g", "a", "RELEASE"], &sum);
        let text = page.finish();
        for line in [
            "_bucket{group=\"g\",api=\"a\",stage=\"RELEASE\",le=\"0.0005\"} 1",
            "_bucket{group=\"g\",api=\"a\",stage=\"RELEASE\",le=\"0.0025\"} 2",
            "_bucket{group=\"g\",api=\"a\",stage=\"RELEASE\",le=\"10\"} 2",
            "_bucket{group=\"g\",api=\"a\",stage=\"RELEASE\",le=\"+Inf\"} 3",
            "_sum{group=\"g\",api=\"a\",stage=\"RELEASE\"} 60.0024",
            "_count{group=\"g\",api=\"a\",stage=\"RELEASE\"} 3",
        ] {
            assert!(text.contains(&format!("lockgate_backend_duration_seconds{line}\n")), "{line}\n{text}");
        }
    }
}
