//! Failures as the user reads them.
//!
//! ```text
//! error[unknown-column]: column "comn" does not exist in kprobe.vfs_read
//!   1 | select comn from kprobe.vfs_read
//!     |        ^^^^
//! help: did you mean "comm"?
//! ```

use crate::{Diagnostic, Failure, Span, Unsupported};
use std::fmt::Write;

/// The failure's text, ending in a newline; `source` is the query that spans point into.
pub fn render(failure: &Failure, source: &str) -> String {
    match failure {
        Failure::Query(diagnostic) => query(diagnostic, source),
        Failure::Kernel(unsupported) => kernel(unsupported),
        Failure::Bug { pass, detail } => format!(
            "bug: {pass}: {detail}\nthis is a mistake in bpfquery, not in the query\n\
             help: please report it with the query and the output of `bpfquery doctor`\n"
        ),
        Failure::Io { doing, error } => format!("error: cannot {doing}: {error}\n"),
    }
}

fn query(diagnostic: &Diagnostic, source: &str) -> String {
    let mut out = format!("error[{}]: {}\n", diagnostic.code.0, diagnostic.message);
    if let Some(span) = diagnostic.span {
        excerpt(&mut out, source, span);
    }
    trailer(&mut out, &diagnostic.details, &diagnostic.helps);
    out
}

fn kernel(unsupported: &Unsupported) -> String {
    let mut out = format!("unsupported: {}", unsupported.feature);
    if let Some(version) = unsupported.since {
        let _ = write!(out, " (since Linux {version})");
    }
    out.push('\n');
    trailer(&mut out, &unsupported.details, &unsupported.helps);
    out
}

fn trailer(out: &mut String, details: &[String], helps: &[String]) {
    for detail in details {
        let _ = writeln!(out, "detail: {detail}");
    }
    for help in helps {
        let _ = writeln!(out, "help: {help}");
    }
}

/// The line of the span's start with carets under the span; a span over several lines is underlined to its first's end.
fn excerpt(out: &mut String, source: &str, span: Span) {
    let (line, column) = span.line_column(source);
    let text = source.split('\n').nth(line as usize - 1).unwrap_or("").trim_end_matches('\r');
    let before: String = text.chars().take(column as usize - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let covered = source.get(span.start as usize..span.end as usize).unwrap_or("");
    let width = covered.split('\n').next().unwrap_or("").trim_end().chars().count().max(1);
    let gutter = " ".repeat(line.to_string().len());
    let _ = writeln!(out, "  {line} | {text}");
    let _ = writeln!(out, "  {gutter} | {before}{}", "^".repeat(width));
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::{Diagnostic, Failure, Span};

    fn check(source: &str, span: Span, expect: &str) {
        let failure = Failure::from(Diagnostic::new("unknown-column", span, "column \"x\" does not exist"));
        let text = render(&failure, source);
        assert_eq!(text.split_once('\n').map(|(_, rest)| rest), Some(expect), "{text}");
    }

    #[test]
    fn carets_stand_under_the_span() {
        check("select x", Span::new(7, 8), "  1 | select x\n    |        ^\n");
        check("select 1,\n  xyz\nfrom t", Span::new(12, 15), "  2 |   xyz\n    |   ^^^\n");
        check("select é, x", Span::new(11, 12), "  1 | select é, x\n    |           ^\n");
        check("select\tx", Span::new(7, 8), "  1 | select\tx\n    |       \t^\n");
    }

    #[test]
    fn a_span_beyond_the_text_is_shown_at_its_end() {
        check("select", Span::new(6, 6), "  1 | select\n    |       ^\n");
        check("a\nbc", Span::new(0, 4), "  1 | a\n    | ^\n");
    }
}
