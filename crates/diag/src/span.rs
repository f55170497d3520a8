//! Places in the query's text.

/// A half-open range of byte offsets in the query's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Span {
        // Query text is bounded to far below 4 GiB by the parser, so saturation never shows.
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: narrow(start), end: narrow(end.max(start)) }
    }

    /// The smallest span that covers both; an empty default span counts as nothing.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        match (self == Span::default(), other == Span::default()) {
            (true, _) => other,
            (_, true) => self,
            _ => Span { start: self.start.min(other.start), end: self.end.max(other.end) },
        }
    }

    /// One-based line and column (in characters) of the span's start in `text`.
    pub fn line_column(self, text: &str) -> (u32, u32) {
        let at = (self.start as usize).min(text.len());
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}
