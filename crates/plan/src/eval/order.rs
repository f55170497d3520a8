//! Which of two values comes first.

use crate::{Datum, SortKey};
use std::cmp::Ordering;

/// The order of two values under a key of ORDER BY. NULL is where the key says, whatever its direction.
pub fn order(a: &Datum, b: &Datum, key: &SortKey) -> Ordering {
    let null_is = if key.nulls_first { Ordering::Less } else { Ordering::Greater };
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => null_is,
        (false, true) => null_is.reverse(),
        (false, false) => {
            // Values of one column are of one kind; if not, their order is of no matter but must be an order.
            let ascending = values(a, b).unwrap_or_else(|| kind(a).cmp(&kind(b)));
            if key.descending { ascending.reverse() } else { ascending }
        }
    }
}

/// The order of two rows, given each row's values of the keys.
pub fn compare_rows(a: &[Datum], b: &[Datum], keys: &[SortKey]) -> Ordering {
    keys.iter()
        .zip(a.iter().zip(b))
        .map(|(key, (x, y))| order(x, y, key))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The order of two values that are not NULL; `None` where they are not of one kind. Doubles as PostgreSQL orders them: NaN equals
/// itself and is greater than all; -0 equals 0. Text byte by byte.
pub(super) fn values(a: &Datum, b: &Datum) -> Option<Ordering> {
    match (a, b) {
        (Datum::Bool(a), Datum::Bool(b)) => Some(a.cmp(b)),
        (Datum::Int(a), Datum::Int(b)) => Some(a.cmp(b)),
        (Datum::Double(a), Datum::Double(b)) => Some(doubles(*a, *b)),
        (Datum::Text(a), Datum::Text(b)) => Some(a.cmp(b)),
        (Datum::Histogram(a), Datum::Histogram(b)) => Some(a.cmp(b)),
        (Datum::Null | Datum::Bool(_) | Datum::Int(_) | Datum::Double(_) | Datum::Text(_) | Datum::Histogram(_), _) => {
            None
        }
    }
}

/// The order of two texts of which the ends may be lost; `None` where the lost part would decide. What was lost is at least a byte.
pub(super) fn texts(a: &[u8], a_cut: bool, b: &[u8], b_cut: bool) -> Option<Ordering> {
    let shorter = a.len().min(b.len());
    match a[..shorter].cmp(&b[..shorter]) {
        Ordering::Equal => match a.len().cmp(&b.len()) {
            Ordering::Less => (!a_cut).then_some(Ordering::Less),
            Ordering::Greater => (!b_cut).then_some(Ordering::Greater),
            Ordering::Equal if a_cut && b_cut => None,
            Ordering::Equal => Some(a_cut.cmp(&b_cut)),
        },
        decided => Some(decided),
    }
}

fn doubles(a: f64, b: f64) -> Ordering {
    // `partial_cmp` is `None` exactly when one is NaN.
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn kind(value: &Datum) -> u8 {
    match value {
        Datum::Null => 0,
        Datum::Bool(_) => 1,
        Datum::Int(_) => 2,
        Datum::Double(_) => 3,
        Datum::Text(_) => 4,
        Datum::Histogram(_) => 5,
    }
}
