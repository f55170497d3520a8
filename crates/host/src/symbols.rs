//! Which functions can be traced.
//!
//! `available_filter_functions` is what ftrace, and so fentry and fast kprobes, can reach; where it cannot be read,
//! kallsyms still tells what does not exist.

use std::collections::BTreeSet;
use std::path::Path;

/// The names in `available_filter_functions`; `None` where it cannot be read.
pub(crate) fn filter_functions(path: &Path) -> Option<BTreeSet<String>> {
    let text = std::fs::read_to_string(path).ok()?;
    // `vfs_read`, or `ext4_sync_file [ext4]`.
    let names: BTreeSet<String> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect();
    (!names.is_empty()).then_some(names)
}

/// Whether `/proc/kallsyms` has a function of this name; `None` where it cannot be read.
pub(crate) fn in_kallsyms(path: &Path, function: &str) -> Option<bool> {
    let text = std::fs::read_to_string(path).ok()?;
    // `ffffffff81000000 T vfs_read`, with `[module]` behind the name for modules.
    let is_it = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        matches!(words.next(), Some("t" | "T" | "w" | "W")) && words.next() == Some(function)
    };
    (!text.is_empty()).then(|| text.lines().any(is_it))
}
