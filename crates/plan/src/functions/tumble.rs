//! `tumble(size)`: the window of fixed size that the event's `ts` lies in.

use super::{Function, exactly, wrong_type};
use crate::{Datum, Expr, ExprKind};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Tumble;

impl Function for Tumble {
    fn name(&self) -> &'static str {
        "tumble"
    }

    fn signature(&self) -> &'static str {
        "tumble(interval '10 seconds')"
    }

    fn doc(&self) -> &'static str {
        "The start of the window of this size that the row's ts lies in. Windows are aligned to the Unix epoch and half-open. In \
         GROUP BY each window is emitted when it has ended."
    }

    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        let [size] = exactly(self, args, span)?;
        if size.ty != SqlType::Interval {
            return Err(wrong_type(self, &size, "an interval"));
        }
        match &size.kind {
            ExprKind::Literal(Datum::Int(ns)) => match u64::try_from(*ns).ok().filter(|ns| *ns > 0) {
                Some(size_ns) => Ok(Expr::new(ExprKind::Tumble { size_ns }, SqlType::Timestamp, span)),
                None => Err(Diagnostic::new("invalid-window", size.span, "a window must be longer than nothing")),
            },
            _ => Err(Diagnostic::new("invalid-window", size.span, "the size of a window must be a constant")
                .help(format!("it is called as {}", self.signature()))),
        }
    }
}
