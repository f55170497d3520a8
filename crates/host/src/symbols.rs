//! Which functions there are, which of them can be traced, and where kprobes are refused.
//!
//! `available_filter_functions` is what ftrace, and so fentry and kprobes, can reach; where it cannot be read, kallsyms still
//! tells what does not exist.

use std::ops::Range;
use std::path::Path;

/// Names in order, within the text that they were read from: some 100,000 of a kernel, none of them copied.
pub(crate) struct Names {
    text: String,
    /// Where each stands.
    places: Vec<Range<u32>>,
}

impl Names {
    /// The name that each line says; `None` of a text without one.
    fn of_lines(text: String, name: fn(&str) -> Option<&str>) -> Option<Names> {
        let start = text.as_ptr() as usize;
        let place = |name: &str| {
            let at = name.as_ptr() as usize - start;
            // Names of a text of more than 4 GiB are of no kernel.
            Some(u32::try_from(at).ok()?..u32::try_from(at + name.len()).ok()?)
        };
        let mut places: Vec<Range<u32>> = text.lines().filter_map(name).filter_map(place).collect();
        let at = |place: &Range<u32>| &text[place.start as usize..place.end as usize];
        places.sort_unstable_by(|a, b| at(a).cmp(at(b)));
        places.dedup_by(|a, b| at(a) == at(b));
        (!places.is_empty()).then_some(Names { text, places })
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.places.binary_search_by(|place| self.at(place).cmp(name)).is_ok()
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| self.at(place))
    }

    /// Those that start so, in order.
    pub(crate) fn from<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        let first = self.places.partition_point(|place| self.at(place) < start);
        let behind = self.places.get(first..).unwrap_or_default();
        behind.iter().map(|place| self.at(place)).take_while(move |name| name.starts_with(start))
    }

    fn at(&self, place: &Range<u32>) -> &str {
        &self.text[place.start as usize..place.end as usize]
    }
}

/// The names in `available_filter_functions`; `None` where it cannot be read.
pub(crate) fn filter_functions(path: &Path) -> Option<Names> {
    // `vfs_read`, or `ext4_sync_file [ext4]`.
    Names::of_lines(std::fs::read_to_string(path).ok()?, |line| line.split_whitespace().next())
}

/// The functions in `/proc/kallsyms`; `None` where it cannot be read.
pub(crate) fn kallsyms(path: &Path) -> Option<Names> {
    Names::of_lines(std::fs::read_to_string(path).ok()?, function)
}

/// `ffffffff81000000 T vfs_read`, with `[module]` behind the name for modules.
fn function(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip(1);
    if matches!(words.next()?, "t" | "T" | "w" | "W") { words.next() } else { None }
}

/// The functions at which kprobes are refused, as debugfs tells; `None` where it does not.
pub(crate) fn kprobe_blacklist(path: &Path) -> Option<Names> {
    // `0xffffffff81000000-0xffffffff81000010	asm_exc_int3`
    Names::of_lines(std::fs::read_to_string(path).ok()?, |line| line.split_whitespace().nth(1))
}

#[cfg(test)]
mod tests {
    use super::{Names, filter_functions, kallsyms, kprobe_blacklist};
    use std::path::PathBuf;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("bpfquery-symbols-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(name: &str, text: &str, how: fn(&std::path::Path) -> Option<Names>) -> Option<Vec<String>> {
        let path = file(name, text);
        let names = how(&path);
        std::fs::remove_file(path).unwrap();
        Some(names?.iter().map(str::to_string).collect())
    }

    #[test]
    fn names_of_the_kernels_files() {
        let check = |found: Option<Vec<String>>, expect: &[&str]| assert_eq!(found.unwrap_or_default(), expect);
        check(
            read("f", "vfs_read\next4_sync_file [ext4]\nvfs_read\n", filter_functions),
            &["ext4_sync_file", "vfs_read"],
        );
        let text = "0000 T vfs_read\n0000 D jiffies\n0000 t sync [ext4]\n0000 t a.isra.0\n0000\n";
        check(read("k", text, kallsyms), &["a.isra.0", "sync", "vfs_read"]);
        check(read("b", "0x1-0x2\tint3_entry\n0x3-0x4\tdo_int3\n", kprobe_blacklist), &["do_int3", "int3_entry"]);
        check(read("e", "", kallsyms), &[]);
    }

    #[test]
    fn names_that_start_so() {
        let names = Names::of_lines("b.1\na\nb.0\nbc\nb\nc".to_string(), |line| Some(line)).unwrap();
        assert_eq!(names.from("b.").collect::<Vec<_>>(), ["b.0", "b.1"]);
        assert_eq!(names.from("d").count(), 0);
        assert!(names.contains("bc") && !names.contains("b."));
    }
}
