//! What a thread holds hangs on the thread itself.
//!
//! ```text
//! held rows in a hash by tid == held rows in task storage     the kernel has it for tracing programs (5.12)
//! ```
//! Both hold one row for each thread. Task storage takes no hash and no lock to find it, has room for every thread, and goes with the
//! thread. They differ where a thread changes its id, which is when one that is not the leader of its process calls execve and
//! succeeds: task storage then knows the row, a hash does not.

use crate::{Applied, HeldStore, Output, Split};

/// The rule's name.
const NAME: &str = "task_storage";

/// The split with rows held in task storage, which the kernel must have; and what was done.
pub fn task_storage(mut split: Split) -> (Split, Option<Applied>) {
    let mut changed = false;
    for fragment in &mut split.kernel {
        let hold = match &mut fragment.output {
            Output::Hold { store, .. } => Some(store),
            Output::Rows { .. } | Output::Groups { .. } => None,
        };
        for store in hold.into_iter().chain(fragment.matched.as_mut().map(|matched| &mut matched.store)) {
            *store = HeldStore::Task;
            changed = true;
        }
    }
    let applied = changed.then(|| Applied { rule: NAME, text: split.to_string() });
    (split, applied)
}
