//! `nullif(a, b)`: NULL where they are equal.

use super::{Function, exactly};
use crate::typing::{self, as_value};
use crate::{CompareOp, Expr};
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct NullIf;

impl Function for NullIf {
    fn name(&self) -> &'static str {
        "nullif"
    }

    fn signature(&self) -> &'static str {
        "nullif(a, b)"
    }

    fn doc(&self) -> &'static str {
        "NULL if a equals b, otherwise a."
    }

    // nullif(a, b) == CASE WHEN a = b THEN NULL ELSE a END
    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        let [a, b] = exactly(self, args, span)?;
        let a = as_value(a);
        let equal = typing::compare(CompareOp::Eq, a.clone(), b, span)?;
        typing::case(vec![(equal, typing::null(span))], Some(a), span)
    }
}
