//! `least(a, b, …)`: the least of those that are not NULL.

use super::{Function, greatest::extreme};
use crate::{CompareOp, Expr};
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Least;

impl Function for Least {
    fn name(&self) -> &'static str {
        "least"
    }

    fn signature(&self) -> &'static str {
        "least(a [, b …])"
    }

    fn doc(&self) -> &'static str {
        "The least argument; NULLs are left out, and the result is NULL only if all are NULL."
    }

    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        extreme(self, CompareOp::Le, args, span)
    }
}
