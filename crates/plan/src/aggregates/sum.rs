//! `sum(x)`: in 128 bits, never wraps.

use super::{Aggregate, Slots, one, wrong_type};
use crate::typing::{Class, class, coerce};
use crate::{AggregateCall, AggregateFn, CompareOp, Datum, Expr, ExprKind, SlotOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Sum;

impl Aggregate for Sum {
    fn function(&self) -> AggregateFn {
        AggregateFn::Sum
    }

    fn name(&self) -> &'static str {
        "sum"
    }

    fn signature(&self) -> &'static str {
        "sum(x)"
    }

    fn doc(&self) -> &'static str {
        "The sum of the values that are not NULL; NULL if there are none. Integers add up in 128 bits and give decimal(38,0); durations \
         give a duration."
    }

    fn result(&self, argument: &mut Option<Expr>, span: Span) -> Result<SqlType, Diagnostic> {
        let x = one(self, argument, span)?;
        match class(&x.ty) {
            Class::Integer => Ok(SqlType::Decimal),
            Class::Interval => Ok(SqlType::Interval),
            _ => Err(wrong_type(self, &x, "integers or intervals")),
        }
    }

    // sum(x) == CASE WHEN Count(x) = 0 THEN NULL ELSE Sum(x) END
    fn expand(&self, call: &AggregateCall, slots: &mut Slots) -> Expr {
        let Some(x) = &call.argument else { return crate::typing::null(call.span) };
        let (seen, _) = slots.seen(x, call.filter.as_ref(), call.span);
        let sum = slots.slot(SlotOp::Sum, Some(x), call.filter.as_ref(), call.span);
        null_unless_seen(seen, coerce(sum, &call.ty), call.span)
    }
}

/// NULL where nothing was seen.
pub(super) fn null_unless_seen(seen: Expr, value: Expr, span: Span) -> Expr {
    let zero = Expr::int(0, SqlType::U64, span);
    let none = Expr::new(ExprKind::Compare(CompareOp::Eq, Box::new(seen), Box::new(zero)), SqlType::Bool, span);
    let ty = value.ty.clone();
    let null = Expr::new(ExprKind::Literal(Datum::Null), ty.clone(), span);
    Expr::new(ExprKind::Case { arms: vec![(none, null)], otherwise: Box::new(value) }, ty, span)
}
