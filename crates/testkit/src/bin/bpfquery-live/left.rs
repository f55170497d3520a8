//! What a query has in the kernel, and whether all of it is gone.

use crate::lab::{Lab, ensure, wait_for};
use std::collections::BTreeSet;
use std::fs;

/// Programs, maps and links of BPF, by kind and id.
pub(crate) type Ids = BTreeSet<(&'static str, u64)>;

const KINDS: [&str; 3] = ["prog", "map", "link"];

/// All that bpftool lists.
pub(crate) fn listed(lab: &Lab) -> Result<Ids, String> {
    let mut ids = Ids::new();
    for kind in KINDS {
        let list = lab.bpftool_json(&[kind, "list"])?;
        let entries = list.as_array().into_iter().flatten();
        ids.extend(entries.filter_map(|entry| entry["id"].as_u64()).map(|id| (kind, id)));
    }
    Ok(ids)
}

/// What a process holds by its descriptors.
pub(crate) fn held_by(pid: u32) -> Ids {
    let mut ids = Ids::new();
    // A process that has just ended holds nothing.
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return ids;
    };
    for entry in entries.filter_map(Result::ok) {
        let info = fs::read_to_string(entry.path()).unwrap_or_default();
        for kind in KINDS {
            let label = format!("{kind}_id:");
            let id =
                info.lines().find_map(|line| line.strip_prefix(label.as_str())).and_then(|id| id.trim().parse().ok());
            ids.extend(id.map(|id| (kind, id)));
        }
    }
    ids
}

/// Waits until none of these, nor anything that is new since `before` and that no living process holds, is listed: the
/// kernel frees some time after the last descriptor is closed.
pub(crate) fn gone(lab: &Lab, held: &Ids, before: &Ids) -> Result<(), String> {
    let mut left = Ids::new();
    let waited = wait_for("all gone", || {
        let now = listed(lab)?;
        let new: Ids = now.difference(before).copied().collect();
        let others = if new.is_empty() { Ids::new() } else { held_by_anybody() };
        left = now.intersection(held).copied().chain(new.difference(&others).copied()).collect();
        Ok(left.is_empty().then_some(()))
    });
    ensure(waited.is_ok(), || format!("still in the kernel: {left:?}"))
}

fn held_by_anybody() -> Ids {
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.flat_map(held_by).collect()
}
