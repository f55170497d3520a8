//! Which store the groups get: the first rule whose condition holds.

mod key_slots;
mod one_group;
mod share_many_groups;

use crate::{Expr, Layout, Slot, Store};
use bpfquery_catalog::Relation;

/// What a rule looks at.
pub(super) struct Grouping<'a> {
    /// Whose rows.
    pub(super) relation: &'a Relation,
    /// The keys, over the relation's columns.
    pub(super) keys: &'a [Expr],
    /// The keys' layout.
    pub(super) key: &'a Layout,
    /// The state's fields.
    pub(super) slots: &'a [Slot],
    /// Bytes of a group's state, at most.
    pub(super) state_bytes: u32,
    /// Groups that a hash holds.
    pub(super) max_groups: u32,
}

type Rule = (&'static str, fn(&Grouping<'_>) -> Option<Store>);

const RULES: [Rule; 3] =
    [("one_group", one_group::apply), ("key_slots", key_slots::apply), ("share_many_groups", share_many_groups::apply)];

/// The store, and the rule that chose it; a per-CPU hash by the whole key where none did.
pub(super) fn choose(grouping: &Grouping<'_>) -> (Store, Option<&'static str>) {
    let chosen = RULES.iter().find_map(|(name, rule)| rule(grouping).map(|store| (store, Some(*name))));
    chosen.unwrap_or((Store::Hash { max_groups: grouping.max_groups }, None))
}
