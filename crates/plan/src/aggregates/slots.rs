//! The state of a group, as it grows while aggregates expand: equal slots are registered once.

use crate::{ColumnId, Expr, ExprKind, Seen, Slot, SlotOp, mark};
use bpfquery_catalog::SqlType;
use bpfquery_diag::Span;

/// The slots of a query's aggregates. As a column, `Count` is unsigned bigint, `Sum` decimal, `Min` and `Max` the input's type (NULL
/// where none was seen), `Histogram` a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slots {
    /// In order of their columns.
    pub list: Vec<Slot>,
    /// Each one's type as a column.
    pub types: Vec<SqlType>,
    /// Whether each column of the relation may be NULL; one beyond the list may.
    nullable: Vec<bool>,
    /// Where each slot is.
    seen: Seen,
}

impl Slots {
    /// No slots yet, over a relation whose columns may be NULL as told.
    pub fn over(nullable: Vec<bool>) -> Slots {
        Slots { nullable, ..Slots::default() }
    }

    /// The column of a slot of this kind, which is registered unless an equal one is there.
    pub fn slot(&mut self, op: SlotOp, input: Option<&Expr>, filter: Option<&Expr>, span: Span) -> Expr {
        // count(x) == count(*), when x is never NULL: the two share a slot, also as the guard of min(x).
        let input = input.filter(|x| op != SlotOp::Count || x.nullable_over(&self.nullable));
        let same = |a: &Option<Expr>, b: Option<&Expr>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => a.same(b),
            (None, Some(_)) | (Some(_), None) => false,
        };
        let mark = mark(std::mem::discriminant(&op), [input, filter]);
        let is = |s: &Slot| s.op == op && same(&s.input, input) && same(&s.filter, filter);
        let at = self.seen.find(mark, |at| is(&self.list[at])).unwrap_or_else(|| {
            self.seen.note(mark, self.list.len());
            self.types.push(op.column_type(input));
            self.list.push(Slot { op, input: input.cloned(), filter: filter.cloned(), span });
            self.list.len() - 1
        });
        Expr::new(ExprKind::Column(ColumnId(index(at))), self.types[at].clone(), span)
    }

    /// The index of the slot that counts all rows.
    pub fn count(&mut self, span: Span) -> u32 {
        match self.slot(SlotOp::Count, None, None, span).kind {
            ExprKind::Column(ColumnId(at)) => at,
            // `slot` returns a column.
            _ => 0,
        }
    }

    /// The column that counts the inputs, and its index.
    pub fn seen(&mut self, input: &Expr, filter: Option<&Expr>, span: Span) -> (Expr, u32) {
        let column = self.slot(SlotOp::Count, Some(input), filter, span);
        let at = match column.kind {
            ExprKind::Column(ColumnId(at)) => at,
            // `slot` returns a column.
            _ => 0,
        };
        (column, at)
    }
}

fn index(at: usize) -> u32 {
    // A query's text is bounded to far fewer calls than 2^32.
    u32::try_from(at).unwrap_or(u32::MAX)
}
