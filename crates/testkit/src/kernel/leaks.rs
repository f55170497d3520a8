//! What a process holds in the kernel, and whether it is still there when the process is gone.

use libbpf_rs::query::{LinkInfoIter, MapInfoIter, ProgInfoIter};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

/// Programs, maps and links by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held(BTreeSet<(&'static str, u32)>);

impl Held {
    /// What the file descriptors of a process stand for.
    pub(crate) fn by(pid: u32) -> Held {
        let mut held = BTreeSet::new();
        let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
        for text in files.filter_map(|file| std::fs::read_to_string(file.path()).ok()) {
            for line in text.lines() {
                for kind in ["prog_id", "map_id", "link_id"] {
                    let id = line.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':'));
                    held.extend(id.and_then(|id| id.trim().parse().ok()).map(|id| (kind, id)));
                }
            }
        }
        Held(held)
    }

    /// What of it is still there some time later; the kernel frees with a delay.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left: BTreeSet<_> = self.0.clone();
        for _ in 0..50 {
            left = left.intersection(&present()).copied().collect();
            if left.is_empty() {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        left.iter().map(|(kind, id)| format!("{kind} {id}")).collect()
    }
}

fn present() -> BTreeSet<(&'static str, u32)> {
    let programs = ProgInfoIter::default().map(|program| ("prog_id", program.id));
    let maps = MapInfoIter::default().map(|map| ("map_id", map.id));
    let links = LinkInfoIter::default().map(|link| ("link_id", link.id));
    programs.chain(maps).chain(links).collect()
}
