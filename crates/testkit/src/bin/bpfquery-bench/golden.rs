//! The checked-in figures of programs (`testdata/figures/KERNEL.txt`), as a table. The kernel suites hold programs against them.
//!
//! What must hold: a query stands in the table if any kernel has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// Figures by name, or nothing for a query that the kernel refuses.
type Entry = BTreeMap<String, u64>;

/// A kernel's name with its list.
type Kernel = (String, BTreeMap<String, Entry>);

/// What is the same on most kernels.
const SHARED: [(&str, &str); 4] =
    [("instructions", "instructions"), ("stack", "stack"), ("helpers", "helper calls"), ("look-ups", "look-ups")];

/// The section.
///
/// # Errors
/// A directory or a list that cannot be read.
pub(crate) fn section(dir: &Path) -> Result<String, String> {
    let kernels = read_all(dir)?;
    let names: Vec<&str> = kernels.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = "\
## Figures of programs

As they are compiled for each kernel, from `testdata/figures`, which the kernel suites hold them against: slots of eight bytes, bytes
of stack, helper calls in the program and look-ups into maps among them; then, for each kernel, the instructions that its verifier
goes through and the states that it keeps. Where kernels differ in the first four, the figures of all stand there.

"
    .to_string();
    let head: Vec<&str> = SHARED.iter().map(|(_, title)| *title).chain(names).collect();
    let _ = writeln!(text, "| query | {} |\n|---|{}", head.join(" | "), "--:|".repeat(head.len()));
    let queries: BTreeSet<&String> = kernels.iter().flat_map(|(_, list)| list.keys()).collect();
    for query in queries {
        let of = |figure: &str| -> Vec<Option<u64>> {
            kernels.iter().map(|(_, list)| list.get(query)?.get(figure).copied()).collect()
        };
        let shared = SHARED.iter().map(|(figure, _)| distinct(&of(figure)));
        let verifier = of("processed").into_iter().zip(of("states")).map(|pair| match pair {
            (Some(processed), Some(states)) => format!("{processed}, {states}"),
            _ => "–".to_string(),
        });
        let cells: Vec<String> = shared.chain(verifier).collect();
        let _ = writeln!(text, "| {query} | {} |", cells.join(" | "));
    }
    Ok(text)
}

/// `43`, or `43 45` where kernels differ.
fn distinct(figures: &[Option<u64>]) -> String {
    let known: BTreeSet<u64> = figures.iter().flatten().copied().collect();
    if known.is_empty() { "–".to_string() } else { known.iter().map(u64::to_string).collect::<Vec<_>>().join(" ") }
}

fn read_all(dir: &Path) -> Result<Vec<Kernel>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut kernels = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        kernels.push((name, list(&std::fs::read_to_string(&path).map_err(failed)?)));
    }
    // 5.10 before 6.1, and the host, which has no number, last.
    let number = |name: &str| -> Vec<u32> { name.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect() };
    kernels.sort_by_key(|(name, _)| number(name));
    Ok(kernels)
}

fn list(text: &str) -> BTreeMap<String, Entry> {
    let entry = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        let words: Vec<&str> = rest.split(' ').collect();
        let pair = |pair: &[&str]| Some((pair.first()?.to_string(), pair.get(1)?.parse().ok()?));
        name.contains('/').then(|| (name.to_string(), words.chunks(2).filter_map(pair).collect()))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::{distinct, list};

    #[test]
    fn lists_are_read() {
        let read = list("# x/y z\nkernel 6.1.0\nbench/join refused unsupported\nsize/a instructions 44 states 4\n");
        assert_eq!(read.len(), 2);
        assert_eq!(read["size/a"].get("states"), Some(&4));
        assert!(read["bench/join"].is_empty());
        assert_eq!(distinct(&[Some(3), None, Some(2), Some(3)]), "2 3");
        assert_eq!(distinct(&[None]), "–");
    }
}
