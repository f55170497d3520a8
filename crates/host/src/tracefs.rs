//! Events and formats in tracefs.

use crate::live::read_failure;
use bpfquery_diag::{Failure, Result, Unsupported};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where tracefs stands, the newer place first.
const PLACES: [&str; 2] = ["sys/kernel/tracing", "sys/kernel/debug/tracing"];

/// What ftrace itself records has formats, but cannot be attached to: its events have no `enable`.
const FTRACE: &str = "ftrace";

/// tracefs of a machine.
pub(crate) struct Tracefs {
    base: PathBuf,
}

impl Tracefs {
    /// Finds it under `root`.
    pub(crate) fn find(root: &Path) -> Result<Tracefs> {
        for place in PLACES {
            let base = root.join(place);
            match std::fs::metadata(base.join("events")) {
                Ok(_) => return Ok(Tracefs { base }),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(denied(&base)),
                Err(_) => {}
            }
        }
        Err(Unsupported::new("tracefs")
            .detail("it is not mounted at /sys/kernel/tracing, nor with debugfs")
            .help("mount -t tracefs tracefs /sys/kernel/tracing")
            .into())
    }

    /// A file of tracefs.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    pub(crate) fn format(&self, category: &str, event: &str) -> Result<Option<String>> {
        if !is_name(category) || !is_name(event) || category == FTRACE {
            return Ok(None);
        }
        let path = self.base.join("events").join(category).join(event).join("format");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(self.failure(&path, &error)),
        }
    }

    /// Every (category, event), sorted.
    pub(crate) fn events(&self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for category in self.categories()? {
            // A category whose module goes away meanwhile has no events.
            for event in self.directories(&self.base.join("events").join(&category))?.unwrap_or_default() {
                all.push((category.clone(), event));
            }
        }
        all.sort();
        Ok(all)
    }

    pub(crate) fn categories_of(&self, event: &str) -> Result<Vec<String>> {
        if !is_name(event) {
            return Ok(Vec::new());
        }
        let mut found = self.categories()?;
        found.retain(|category| self.base.join("events").join(category).join(event).join("format").exists());
        Ok(found)
    }

    fn categories(&self) -> Result<Vec<String>> {
        let mut found = self.directories(&self.base.join("events"))?.unwrap_or_default();
        found.retain(|name| name != FTRACE);
        found.sort();
        Ok(found)
    }

    /// Names of the directories in a directory; `None` when it is not there.
    fn directories(&self, path: &Path) -> Result<Option<Vec<String>>> {
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failure(path, &error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.failure(path, &error))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(Some(names))
    }

    fn failure(&self, path: &Path, error: &std::io::Error) -> Failure {
        match error.kind() {
            ErrorKind::PermissionDenied => denied(&self.base),
            _ => read_failure(path, error),
        }
    }
}

fn denied(base: &Path) -> Failure {
    Unsupported::new("reading tracefs")
        .detail(format!("{}: permission denied", base.display()))
        .help("run as root, or with CAP_DAC_READ_SEARCH: tracefs belongs to root")
        .help("or use rawtracepoint.EVENT, fentry.FUNCTION or kprobe.FUNCTION, which do not need it")
        .into()
}

/// Whether text can be the name of a category or an event: no path out of the directory.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !matches!(text, "." | "..") && text.bytes().all(|b| b != b'/' && b != 0)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_stay_in_their_directory() {
        for good in ["sched", "sched_switch", "a.b", "x-y"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../x", "a\0"] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
