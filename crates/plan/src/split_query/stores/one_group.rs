//! hash of groups == an array of one, when there are no keys.

use super::Grouping;
use crate::Store;

pub(super) fn apply(grouping: &Grouping<'_>) -> Option<Store> {
    let none = grouping.keys.is_empty();
    none.then(|| Store::Slots { axes: Vec::new(), slots: 1, present: None, rest: None })
}
