//! `hist(x)`: how the values are spread over powers of two.

use super::{Aggregate, Slots, one, wrong_type};
use crate::typing::{Class, class};
use crate::{AggregateCall, AggregateFn, Expr, ExprKind, SlotOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Hist;

impl Aggregate for Hist {
    fn function(&self) -> AggregateFn {
        AggregateFn::Hist
    }

    fn name(&self) -> &'static str {
        "hist"
    }

    fn signature(&self) -> &'static str {
        "hist(x)"
    }

    fn doc(&self) -> &'static str {
        "A histogram of the values that are not NULL: one bucket for x < 0, one for 0, and one for each [2^k, 2^(k+1)). Of integers and \
         durations, of these by nanoseconds: the table shows their bounds with units, to three digits. Of no rows it is empty."
    }

    fn result(&self, argument: &mut Option<Expr>, span: Span) -> Result<SqlType, Diagnostic> {
        let x = one(self, argument, span)?;
        match class(&x.ty) {
            Class::Integer => Ok(SqlType::Histogram { intervals: false }),
            Class::Interval => Ok(SqlType::Histogram { intervals: true }),
            _ => Err(wrong_type(self, &x, "integers or intervals")),
        }
    }

    // hist(x) == slot Histogram(Bucket(x))
    fn expand(&self, call: &AggregateCall, slots: &mut Slots) -> Expr {
        let Some(x) = &call.argument else { return crate::typing::null(call.span) };
        let bucket = Expr::new(ExprKind::Bucket(Box::new(x.clone())), SqlType::U32, call.span);
        slots.slot(SlotOp::Histogram, Some(&bucket), call.filter.as_ref(), call.span)
    }
}
