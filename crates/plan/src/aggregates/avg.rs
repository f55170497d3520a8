//! `avg(x)`: the arithmetic mean.

use super::{Aggregate, Slots, one, wrong_type};
use crate::typing::{Class, class, coerce};
use crate::{AggregateCall, AggregateFn, ArithOp, Expr, ExprKind, SlotOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Avg;

impl Aggregate for Avg {
    fn function(&self) -> AggregateFn {
        AggregateFn::Avg
    }

    fn name(&self) -> &'static str {
        "avg"
    }

    fn signature(&self) -> &'static str {
        "avg(x)"
    }

    fn doc(&self) -> &'static str {
        "The mean of the values that are not NULL; NULL if there are none. Of integers it is double precision (the sum before it is \
         exact); of durations a duration, in whole nanoseconds."
    }

    fn result(&self, argument: &mut Option<Expr>, span: Span) -> Result<SqlType, Diagnostic> {
        let x = one(self, argument, span)?;
        match class(&x.ty) {
            Class::Integer => Ok(SqlType::Double),
            Class::Interval => Ok(SqlType::Interval),
            _ => Err(wrong_type(self, &x, "integers or intervals")),
        }
    }

    // avg(x) == Sum(x) / Count(x), which is NULL where Count(x) is 0: division by zero is
    fn expand(&self, call: &AggregateCall, slots: &mut Slots) -> Expr {
        let Some(x) = &call.argument else { return crate::typing::null(call.span) };
        let (seen, _) = slots.seen(x, call.filter.as_ref(), call.span);
        let sum = slots.slot(SlotOp::Sum, Some(x), call.filter.as_ref(), call.span);
        // Durations divide exactly, as integers of 128 bits; a double would lose nanoseconds beyond 104 days of sum.
        let over = if call.ty == SqlType::Interval { SqlType::Decimal } else { SqlType::Double };
        let (sum, seen) = (Box::new(coerce(sum, &over)), Box::new(coerce(seen, &over)));
        coerce(Expr::new(ExprKind::Arith(ArithOp::Div, sum, seen), over, call.span), &call.ty)
    }
}
