//! `coalesce(a, b, …)`: the first that is not NULL.

use super::{Function, at_least};
use crate::{Expr, typing};
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Coalesce;

impl Function for Coalesce {
    fn name(&self) -> &'static str {
        "coalesce"
    }

    fn signature(&self) -> &'static str {
        "coalesce(a [, b …])"
    }

    fn doc(&self) -> &'static str {
        "The first argument that is not NULL; NULL if all are."
    }

    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        typing::coalesce(at_least(self, args, 1, span)?, span)
    }
}
