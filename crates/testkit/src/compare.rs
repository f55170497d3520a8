//! Comparing texts line by line, where `<*>` in an expected line stands for anything.

use similar::TextDiff;

/// Whether the line is what the pattern says.
pub fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("<*>");
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            match rest.find(previous) {
                Some(at) => rest = &rest[at + previous.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

/// The difference between two texts, each line of them; `None` when the second is what the first expects.
pub fn differ(expected: &str, actual: &str) -> Option<String> {
    let same = expected.lines().count() == actual.lines().count()
        && expected.lines().zip(actual.lines()).all(|(pattern, line)| matches(pattern, line));
    (!same).then(|| diff(expected, &with_patterns(expected, actual)))
}

/// The same where the order of lines counts for nothing: each expected line is met by one actual line.
pub fn differ_unordered(expected: &str, actual: &str) -> Option<String> {
    let mut left: Vec<&str> = actual.lines().collect();
    let mut met = true;
    // Lines without a wildcard choose first, since they have no choice.
    let (loose, exact): (Vec<&str>, Vec<&str>) = expected.lines().partition(|line| line.contains("<*>"));
    for pattern in exact.into_iter().chain(loose) {
        match left.iter().position(|line| matches(pattern, line)) {
            Some(at) => drop(left.remove(at)),
            None => met = false,
        }
    }
    (!met || !left.is_empty()).then(|| diff(&sorted(expected), &with_patterns(expected, &sorted(actual))))
}

/// The lines in order of their bytes.
pub fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The actual text with the expected one's patterns where they match, so that they survive being written anew.
pub fn with_patterns(expected: &str, actual: &str) -> String {
    let known = |line: &str| expected.lines().any(|pattern| pattern == line);
    let pattern = |line: &str| expected.lines().find(|pattern| pattern.contains("<*>") && matches(pattern, line));
    let kept = actual.lines().map(|line| if known(line) { line } else { pattern(line).unwrap_or(line) });
    kept.map(|line| format!("{line}\n")).collect()
}

fn diff(expected: &str, actual: &str) -> String {
    let diff = TextDiff::from_lines(expected, actual);
    diff.unified_diff().context_radius(3).header("expected", "actual").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_anything_within_a_line() {
        for (pattern, line, expect) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("", "", true),
            ("<*>", "", true),
            ("<*>", "anything", true),
            ("a<*>b", "ab", true),
            ("a<*>b", "a b c", false),
            ("a<*>b<*>c", "a xbx c", true),
            ("a<*>b<*>c", "a x c", false),
            ("a<*>b", "axbxb", true),
            ("{\"ts\":<*>,\"n\":1}", "{\"ts\":\"2026\",\"n\":1}", true),
            ("ab<*>b", "ab", false),
        ] {
            assert_eq!(matches(pattern, line), expect, "{pattern} {line}");
        }
    }

    #[test]
    fn order_counts_or_not() {
        assert_eq!(differ("a\nb<*>\n", "a\nbc\n"), None);
        assert!(differ("a\nb\n", "b\na\n").is_some());
        assert_eq!(differ_unordered("b\na\n", "a\nb\n"), None);
        assert_eq!(differ_unordered("<*>\na\n", "a\nb\n"), None);
        assert!(differ_unordered("a\na\n", "a\nb\n").is_some());
        assert!(differ_unordered("a\n", "a\na\n").is_some());
        assert!(differ("a\nb\n", "a\nc\n").is_some_and(|diff| diff.contains("-b\n+c\n")));
    }

    #[test]
    fn patterns_survive() {
        assert_eq!(with_patterns("x <*>\ny\n", "x 1\ny\nz\n"), "x <*>\ny\nz\n");
    }
}
