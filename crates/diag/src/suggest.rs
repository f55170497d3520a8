//! The nearest name to a misspelt one.

/// The candidate that was probably meant: the least edits away, at most a third of the name's length (and at least
/// one edit allowed). Case counts for nothing. The first of equals wins, so a sorted list gives a stable answer.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let allowed = (wanted.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let found: Vec<char> = candidate.to_lowercase().chars().collect();
        if found.len().abs_diff(wanted.len()) > allowed {
            continue;
        }
        let edits = distance(&wanted, &found);
        if edits <= allowed && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edits between two words: insert, delete, replace, or swap two neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut two_back: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut current = vec![i];
        for j in 1..=b.len() {
            let replace = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replace.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(two_back[j - 2] + 1);
            }
            current.push(least);
        }
        two_back = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggests_what_was_meant() {
        let names = ["comm", "count", "cpu", "pid", "ppid"];
        for (typed, meant) in [
            ("comn", Some("comm")),
            ("ocmm", Some("comm")),
            ("COMM", Some("comm")),
            ("cuont", Some("count")),
            ("pdi", Some("pid")),
            ("filename", None),
            ("xyz", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}
