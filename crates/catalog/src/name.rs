//! Names of relations as plain data, so that the parser of SQL and the command line ask in the same way.
//!
//! Not checked here: whether anything has that name; [`crate::relation`] does.

use bpfquery_diag::Span;

/// A relation's name as it was written: `tracepoint.sched.sched_switch`, `interval('1s')`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationName {
    /// What stands between the dots; never empty.
    pub parts: Vec<Part>,
    /// What stands in parentheses; `None` where there are none.
    pub args: Option<Vec<Argument>>,
}

/// One part of a name, quotes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name, in its own case.
    pub text: String,
    /// Where it stands in the query.
    pub span: Span,
}

/// One argument of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its value.
    pub value: Literal,
    /// Where it stands in the query.
    pub span: Span,
}

/// A value that can be given to a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A whole number.
    Int(i64),
    /// Text in quotes.
    Text(String),
    /// A duration in ns: `interval '1 second'`.
    Duration(i64),
}

impl RelationName {
    /// A name without arguments whose parts all stand at `span`.
    pub fn at<'a>(span: Span, parts: impl IntoIterator<Item = &'a str>) -> RelationName {
        let part = |text: &str| Part { text: text.to_string(), span };
        RelationName { parts: parts.into_iter().map(part).collect(), args: None }
    }

    /// Reads `kprobe.vfs_read`, `interval(1s)`, `profile(99)`: what the command line takes. Spans are those in `text`.
    /// Never fails: what is not a name turns up as one that nothing has.
    pub fn parse(text: &str) -> RelationName {
        let trimmed = text.trim();
        let (path, args) = match trimmed.strip_suffix(')').and_then(|inner| inner.split_once('(')) {
            Some((path, args)) => (path, Some(args)),
            None => (trimmed, None),
        };
        let start = text.len() - text.trim_start().len();
        let mut at = start;
        let mut parts = Vec::new();
        for piece in path.split('.') {
            let bare = piece.trim().trim_matches('"');
            parts.push(Part { text: bare.to_string(), span: Span::new(at, at + piece.len()) });
            at += piece.len() + 1;
        }
        let args = args.map(|list| arguments(list, start + path.len() + 1));
        RelationName { parts, args }
    }

    /// The place of the whole path, arguments left out.
    pub fn span(&self) -> Span {
        self.parts.iter().fold(Span::default(), |all, part| all.to(part.span))
    }

    /// The path with dots.
    pub fn path(&self) -> String {
        self.parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".")
    }
}

/// Comma-separated literals whose text starts at byte `start` of the whole.
fn arguments(list: &str, start: usize) -> Vec<Argument> {
    if list.trim().is_empty() {
        return Vec::new();
    }
    let mut at = start;
    let mut arguments = Vec::new();
    for piece in list.split(',') {
        let text = piece.trim();
        let value = match text.parse() {
            Ok(number) => Literal::Int(number),
            Err(_) => Literal::Text(text.trim_matches('\'').to_string()),
        };
        arguments.push(Argument { value, span: Span::new(at, at + piece.len()) });
        at += piece.len() + 1;
    }
    arguments
}

/// Nanoseconds of a duration such as `1s`, `100 ms`, `1 minute 30 seconds`, `1.5 h`; units as PostgreSQL spells them.
/// `None` for what is none, for months and years (whose length varies), and beyond 292 years.
pub fn parse_duration(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total: i128 = 0;
    let mut found = false;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let letters = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        total = total.checked_add(scaled(number, unit_ns(unit)?)?)?;
        rest = tail.trim_start();
        found = true;
    }
    if found { i64::try_from(total).ok() } else { None }
}

/// `number * ns`, where the number may have decimals; what is finer than a nanosecond is cut.
fn scaled(number: &str, ns: i128) -> Option<i128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && decimals.is_empty() || decimals.len() > 18 || whole.len() > 20 {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let power = 10i128.pow(u32::try_from(decimals.len()).ok()?);
    Some(digits(whole)? * ns + digits(decimals)? * ns / power)
}

/// Nanoseconds of one unit (PostgreSQL 16, table 8.14 and the parser's abbreviations; `ns` is ours).
fn unit_ns(unit: &str) -> Option<i128> {
    let micro = 1_000;
    Some(match unit.to_ascii_lowercase().as_str() {
        "ns" | "nsec" | "nsecs" | "nanosecond" | "nanoseconds" => 1,
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => micro,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1_000 * micro,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000 * micro,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000 * micro,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000 * micro,
        "d" | "day" | "days" => 86_400_000_000 * micro,
        "w" | "week" | "weeks" => 604_800_000_000 * micro,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(parse_duration(text), expect, "{text}");
        check("1s", Some(1_000_000_000));
        check("100 ms", Some(100_000_000));
        check("1 minute 30 seconds", Some(90_000_000_000));
        check("1.5h", Some(5_400_000_000_000));
        check(".5us", Some(500));
        check("1.9 ns", Some(1));
        check("2 DAYS", Some(172_800_000_000_000));
        check("", None);
        check("5", None);
        check("s", None);
        check("1 month", None);
        check("-1s", None);
        check("1s,2s", None);
        check("9999999999999 weeks", None);
        check("99999999999999999999999999 s", None);
        check("1.0000000000000000000000000 s", None);
    }

    #[test]
    fn names() {
        let check = |text: &str, parts: &[&str], args: Option<&[Literal]>| {
            let name = RelationName::parse(text);
            let texts: Vec<_> = name.parts.iter().map(|p| p.text.as_str()).collect();
            assert_eq!(texts, parts, "{text}");
            let values: Option<Vec<_>> = name.args.map(|args| args.into_iter().map(|a| a.value).collect());
            assert_eq!(values.as_deref(), args, "{text}");
        };
        check("kprobe.vfs_read", &["kprobe", "vfs_read"], None);
        check(" tracepoint.\"sched\".x ", &["tracepoint", "sched", "x"], None);
        check("interval('1s')", &["interval"], Some(&[Literal::Text("1s".into())]));
        check("profile(99)", &["profile"], Some(&[Literal::Int(99)]));
        check("profile()", &["profile"], Some(&[]));
        check("", &[""], None);
        check("a..b", &["a", "", "b"], None);
    }

    #[test]
    fn spans_cover_their_parts() {
        let text = " kprobe.vfs_read";
        let name = RelationName::parse(text);
        assert_eq!(&text[name.parts[1].span.start as usize..name.parts[1].span.end as usize], "vfs_read");
        assert_eq!(name.span(), Span::new(1, 16));
    }
}
