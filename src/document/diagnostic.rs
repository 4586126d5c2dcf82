//! What is wrong with documents, shown the way rustc shows errors; for tools, see [`export`].

mod export;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{At, Source};

/// A range of a file.
#[derive(Clone, Debug)]
pub struct Place {
    pub source: Arc<Source>,
    pub span: Range<usize>,
}

impl Place {
    pub fn of<T>(source: &Arc<Source>, value: &At<T>) -> Self {
        Self { source: source.clone(), span: value.span.clone() }
    }

    /// The whole file; shown by its path and first line.
    pub fn start(source: &Arc<Source>) -> Self {
        Self { source: source.clone(), span: 0..0 }
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is served or published before it is mended.
    Error,
    /// Allowed, and hardly meant.
    Warning,
}

/// One finding: what is wrong and where, what would be right.
#[derive(Debug)]
pub struct Diagnostic {
    /// Of a warning, the name that tools know it by. Without one it is an error.
    warning: Option<&'static str>,
    message: String,
    file: PathBuf,
    place: Option<Place>,
    label: Option<String>,
    related: Option<(Place, String)>,
    note: Option<String>,
    help: Option<String>,
}

impl Diagnostic {
    /// An error at a place in a file.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        let file = place.source.path.clone();
        Self { place: Some(place), ..Self::file(&file, message) }
    }

    /// An error of a file or directory as such.
    pub fn file(path: &Path, message: impl Into<String>) -> Self {
        let file = path.to_path_buf();
        let message = message.into();
        Self { warning: None, message, file, place: None, label: None, related: None, note: None, help: None }
    }

    /// Not an error: nothing is refused for it. `rule` is its name for tools.
    pub fn warning(mut self, rule: &'static str) -> Self {
        self.warning = Some(rule);
        self
    }

    /// Words beside the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// A second place that has to do with the error.
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related = Some((place, label.into()));
        self
    }

    /// What is allowed, and why.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// What to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// "did you mean", when there is something to propose.
    pub fn did_you_mean(self, candidate: Option<&str>) -> Self {
        match candidate {
            Some(candidate) => self.help(format!("did you mean `{candidate}`?")),
            None => self,
        }
    }

    pub fn severity(&self) -> Severity {
        match self.warning {
            Some(_) => Severity::Warning,
            None => Severity::Error,
        }
    }

    /// Recovery puts values in the place of missing ones, outside of the text: what is said of those was never written.
    fn is_about_recovery(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.span.start > place.source.text.len())
    }

    fn is_about(&self, path: &Path) -> bool {
        self.file == path || self.related.as_ref().is_some_and(|(place, _)| place.source.path == path)
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        group = match &self.place {
            Some(place) => {
                let label = self.label.as_deref().unwrap_or_default();
                let mut snippet = snippet(place).annotation(AnnotationKind::Primary.span(clamp(place)).label(label));
                let mut elsewhere = None;
                if let Some((other, label)) = &self.related {
                    match Arc::ptr_eq(&other.source, &place.source) {
                        true => snippet = snippet.annotation(AnnotationKind::Context.span(clamp(other)).label(label.as_str())),
                        false => {
                            elsewhere = Some(
                                self::snippet(other).annotation(AnnotationKind::Context.span(clamp(other)).label(label.as_str())),
                            );
                        }
                    }
                }
                group.element(snippet).elements(elsewhere)
            }
            None => group.element(Origin::path(self.file.to_string_lossy())),
        };
        if let Some(note) = &self.note {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

fn snippet(place: &Place) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    Snippet::source(place.source.shown()).path(place.source.path.to_string_lossy())
}

/// The span within its text, on the borders of characters, at most to the end of its first line.
fn clamp(place: &Place) -> Range<usize> {
    let shown = place.source.shown();
    let text = shown.as_ref();
    let start = floor(text, place.span.start);
    let end = floor(text, place.span.end).max(start);
    let line = text[start..end].find('\n').map_or(end, |newline| start + newline);
    start..line
}

/// The border of characters at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Every finding of one run.
#[derive(Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !diagnostic.is_about_recovery() {
            self.diagnostics.push(diagnostic);
        }
    }

    pub fn extend(&mut self, other: Report) {
        self.diagnostics.extend(other.diagnostics);
    }

    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    pub fn len(&self) -> usize {
        self.diagnostics.len()
    }

    /// How many there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity() == severity).count()
    }

    /// `2 errors, 1 warning`
    pub fn summary(&self) -> String {
        let of = |severity, what: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {what}")),
            count => Some(format!("{count} {what}s")),
        };
        let parts: Vec<String> = [of(Severity::Error, "error"), of(Severity::Warning, "warning")].into_iter().flatten().collect();
        parts.join(", ")
    }

    /// The errors that have to do with a file.
    pub fn about(mut self, path: &Path) -> Report {
        self.diagnostics.retain(|diagnostic| diagnostic.is_about(path));
        self
    }

    /// In the order of files and lines.
    pub fn sort(&mut self) {
        let key = |d: &Diagnostic| (d.file.clone(), d.place.as_ref().map_or(0, |place| place.span.start));
        self.diagnostics.sort_by_cached_key(key);
    }

    /// The whole report as text, for a terminal with or without colour.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            text.push_str(&diagnostic.render(&renderer));
            text.push_str("\n\n");
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
