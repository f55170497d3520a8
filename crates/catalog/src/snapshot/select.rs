//! What of a kernel a small snapshot keeps.

use crate::kernel::Feature;

/// A part of a kernel: what is named, and the types that this needs.
///
/// As text, a line each, blank lines and those from `#` left out:
/// ```text
/// function vfs_read
/// type task_struct
/// event syscalls.sys_*_openat
/// depth 1
/// feature kprobe
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Functions, by name.
    pub functions: Vec<String>,
    /// Structs, unions, enums and typedefs (`btf_trace_EVENT` too), by name.
    pub types: Vec<String>,
    /// Events, as patterns over `CATEGORY.EVENT`.
    pub events: Vec<String>,
    /// Through how many pointers the structs that a selected one points at are kept; those beyond are declared only.
    pub depth: u32,
    /// Features that the snapshot claims besides the kernel's own: a pinned snapshot stands for kernels that have them.
    pub features: Vec<Feature>,
}

impl Selection {
    /// Reads the text form.
    ///
    /// # Errors
    /// Which line is not understood.
    pub fn parse(text: &str) -> Result<Selection, String> {
        let mut selection = Selection::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            let wrong = || format!("line {}: \"{line}\" is not understood", number + 1);
            let Some((word, name)) = line.split_once(char::is_whitespace) else {
                if line.is_empty() {
                    continue;
                }
                return Err(wrong());
            };
            let name = name.trim();
            match word {
                "function" => selection.functions.push(name.to_string()),
                "type" => selection.types.push(name.to_string()),
                "event" => selection.events.push(name.to_string()),
                "depth" => selection.depth = name.parse().map_err(|_| wrong())?,
                "feature" => selection.features.push(feature(name).ok_or_else(wrong)?),
                _ => return Err(wrong()),
            }
        }
        Ok(selection)
    }
}

fn feature(name: &str) -> Option<Feature> {
    Feature::ALL.into_iter().find(|feature| format!("{feature:?}").eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        let text = "# pinned\nfunction vfs_read\n\ntype file # the struct\nevent sched.*\ndepth 2\nfeature kprobe\n";
        let expect = Selection {
            functions: vec!["vfs_read".into()],
            types: vec!["file".into()],
            events: vec!["sched.*".into()],
            depth: 2,
            features: vec![Feature::Kprobe],
        };
        assert_eq!(Selection::parse(text), Ok(expect));
        for wrong in ["function", "depth x", "feature warp", "struct file", "x y"] {
            assert!(Selection::parse(wrong).is_err_and(|e| e.starts_with("line 1: ")), "{wrong}");
        }
    }
}
