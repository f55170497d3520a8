//! Where equal expressions were seen before, without comparing each with each: a query may have a thousand.
//!
//! What must hold: what is the same ([`Expr::same`]) has the same mark. Not the other way round: who looks compares.

use crate::{ColumnId, Datum, Expr, ExprKind};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

/// Places of things, by their marks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen(BTreeMap<u64, Vec<usize>>);

impl Seen {
    /// The first place with this mark where it is so.
    pub fn find(&self, mark: u64, is: impl Fn(usize) -> bool) -> Option<usize> {
        self.0.get(&mark)?.iter().copied().find(|at| is(*at))
    }

    /// Notes a place.
    pub fn note(&mut self, mark: u64, at: usize) {
        self.0.entry(mark).or_default().push(at);
    }
}

/// The mark of an operation over these expressions.
pub fn mark<'a>(operation: impl Hash, exprs: impl IntoIterator<Item = Option<&'a Expr>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    operation.hash(&mut hasher);
    for expr in exprs {
        expr.is_some().hash(&mut hasher);
        expr.into_iter().for_each(|expr| note(expr, &mut hasher));
    }
    hasher.finish()
}

/// Where an expression stands is left out, as it is by `same`; types and most operators' details are, too, which costs no more
/// than a comparison.
fn note(expr: &Expr, hasher: &mut DefaultHasher) {
    discriminant(&expr.kind).hash(hasher);
    match &expr.kind {
        ExprKind::Column(ColumnId(at)) => at.hash(hasher),
        ExprKind::Literal(Datum::Int(value)) => value.hash(hasher),
        ExprKind::Literal(Datum::Text(text)) => text.hash(hasher),
        _ => {}
    }
    let children = expr.children();
    children.len().hash(hasher);
    children.into_iter().for_each(|child| note(child, hasher));
}

#[cfg(test)]
mod tests {
    use super::{Seen, mark};
    use crate::Expr;
    use crate::testing::{col, int, plus};
    use bpfquery_diag::Span;

    fn of(expr: &Expr) -> u64 {
        mark((), [Some(expr)])
    }

    #[test]
    fn the_same_has_the_same_mark() {
        let a = plus(col("pid"), int(1));
        let mut elsewhere = a.clone();
        elsewhere.span = Span::new(5, 9);
        assert_eq!(of(&a), of(&elsewhere));
        assert_ne!(of(&a), of(&plus(col("pid"), int(2))));
        assert_ne!(of(&a), of(&plus(col("flags"), int(1))));
    }

    #[test]
    fn the_first_one_counts() {
        let mut seen = Seen::default();
        seen.note(7, 3);
        seen.note(7, 4);
        assert_eq!(seen.find(7, |_| true), Some(3));
        assert_eq!(seen.find(7, |at| at > 3), Some(4));
        assert_eq!(seen.find(8, |_| true), None);
    }
}
