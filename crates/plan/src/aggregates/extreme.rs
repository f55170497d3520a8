//! `min(x)`, `max(x)`: one algebra, two directions.

use super::{Aggregate, Slots, one, wrong_type};
use crate::typing::{Class, class};
use crate::{AggregateCall, AggregateFn, Expr, SlotOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Min;
pub(super) struct Max;

impl Aggregate for Min {
    fn function(&self) -> AggregateFn {
        AggregateFn::Min
    }

    fn name(&self) -> &'static str {
        "min"
    }

    fn signature(&self) -> &'static str {
        "min(x)"
    }

    fn doc(&self) -> &'static str {
        "The least value that is not NULL; NULL if there is none. Of integers, enumerations, timestamps and durations."
    }

    fn result(&self, argument: &mut Option<Expr>, span: Span) -> Result<SqlType, Diagnostic> {
        ordered(self, argument, span)
    }

    // min(x) == slot Min(x), which the source makes NULL where Count(x) is 0
    fn expand(&self, call: &AggregateCall, slots: &mut Slots) -> Expr {
        expand(call, slots, |seen| SlotOp::Min { seen })
    }
}

impl Aggregate for Max {
    fn function(&self) -> AggregateFn {
        AggregateFn::Max
    }

    fn name(&self) -> &'static str {
        "max"
    }

    fn signature(&self) -> &'static str {
        "max(x)"
    }

    fn doc(&self) -> &'static str {
        "The greatest value that is not NULL; NULL if there is none. Of integers, enumerations, timestamps and durations."
    }

    fn result(&self, argument: &mut Option<Expr>, span: Span) -> Result<SqlType, Diagnostic> {
        ordered(self, argument, span)
    }

    // max(x) == slot Max(x), which the source makes NULL where Count(x) is 0
    fn expand(&self, call: &AggregateCall, slots: &mut Slots) -> Expr {
        expand(call, slots, |seen| SlotOp::Max { seen })
    }
}

fn ordered(f: &dyn Aggregate, argument: &Option<Expr>, span: Span) -> Result<SqlType, Diagnostic> {
    let x = one(f, argument, span)?;
    match class(&x.ty) {
        Class::Integer | Class::Timestamp | Class::Interval => Ok(x.ty),
        Class::Text => {
            Err(Diagnostic::new("unsupported", x.span, format!("{} of text is not supported yet", f.name()))
                .help("group by the text, and take it from the first row of ORDER BY … LIMIT 1"))
        }
        _ => Err(wrong_type(f, &x, "integers, timestamps or intervals")),
    }
}

fn expand(call: &AggregateCall, slots: &mut Slots, op: fn(u32) -> SlotOp) -> Expr {
    let Some(x) = &call.argument else { return crate::typing::null(call.span) };
    let (_, seen) = slots.seen(x, call.filter.as_ref(), call.span);
    slots.slot(op(seen), Some(x), call.filter.as_ref(), call.span)
}
