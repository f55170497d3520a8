//! `count(*)`, `count(x)`: how many rows, how many of them not NULL.

use super::{Aggregate, Slots};
use crate::typing::coerce;
use crate::{AggregateCall, AggregateFn, Expr, SlotOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Count;

impl Aggregate for Count {
    fn function(&self) -> AggregateFn {
        AggregateFn::Count
    }

    fn name(&self) -> &'static str {
        "count"
    }

    fn signature(&self) -> &'static str {
        "count(*), count(x)"
    }

    fn doc(&self) -> &'static str {
        "The number of rows, or of those where x is not NULL. Of no rows it is 0. Its type is unsigned bigint."
    }

    fn result(&self, argument: &mut Option<Expr>, _span: Span) -> Result<SqlType, Diagnostic> {
        if let Some(x) = argument.take() {
            if !x.ty.is_output() {
                return Err(super::wrong_type(self, &x, "a value"));
            }
            *argument = Some(if x.ty == SqlType::Null { coerce(x, &SqlType::I64) } else { x });
        }
        Ok(SqlType::U64)
    }

    // count(x) == slot Count(x)
    fn expand(&self, call: &AggregateCall, slots: &mut Slots) -> Expr {
        slots.slot(SlotOp::Count, call.argument.as_ref(), call.filter.as_ref(), call.span)
    }
}
