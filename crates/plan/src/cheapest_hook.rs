//! A perf tracepoint gives way to the raw tracepoint of the same event, whose program runs before any record is made.
//!
//! ```text
//! k: tracepoint.CATEGORY.EVENT == k: tracepoint.CATEGORY.EVENT on rawtracepoint.EVENT
//! ```
//! Where the event, and each column that the program uses, is the same there: [`bpfquery_catalog::stand_in`] knows. Of several
//! programs one only moves if none of their events happens in the middle of another's program: they share maps, and only
//! perf tracepoints keep out of each other's way. NULL does not come into it: a column that is read through a pointer was a
//! copy that the kernel had made through the same pointer.
//!
//! What must hold: the relation's name stays (the column `probe` shows it), and so do the columns' positions and types.

use crate::{Applied, ColumnId, ExprKind, Fragment, Split};
use bpfquery_catalog::{Kernel, Scope, interrupts_nothing, stand_in};
use bpfquery_diag::Result;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The rule's name.
const RULE: &str = "cheapest_hook";

/// The split with the cheapest hooks that give the same rows, and the rule if it changed it.
///
/// # Errors
/// What the kernel could not answer.
pub fn cheapest_hook(mut split: Split, kernel: &dyn Kernel, scope: Scope) -> Result<(Split, Vec<Applied>)> {
    let hooks = || split.kernel.iter().map(|fragment| &fragment.relation.hook);
    if split.kernel.len() > 1 && !hooks().all(interrupts_nothing) {
        return Ok((split, Vec::new()));
    }
    let mut moved = false;
    for fragment in &mut split.kernel {
        if let Ok(relation) = stand_in(kernel, &fragment.relation, &fragment.columns(), scope)? {
            fragment.relation = Arc::new(relation);
            moved = true;
        }
    }
    let applied = moved.then(|| Applied { rule: RULE, text: split.to_string() });
    Ok((split, applied.into_iter().collect()))
}

impl Fragment {
    /// The positions of the relation's columns that its expressions name.
    pub fn columns(&self) -> BTreeSet<usize> {
        let mut used = BTreeSet::new();
        for expr in self.exprs() {
            expr.walk(&mut |part| {
                if let ExprKind::Column(ColumnId(at)) = &part.kind {
                    used.insert(*at as usize);
                }
            });
        }
        used
    }
}
