//! `starts_with(text, prefix)`, `text ^@ prefix`: whether a text begins with another.

use super::{Function, exactly};
use crate::like::escaped;
use crate::typing::{self, as_value};
use crate::{Datum, Expr, ExprKind, Like};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct StartsWith;

impl Function for StartsWith {
    fn name(&self) -> &'static str {
        "starts_with"
    }

    fn signature(&self) -> &'static str {
        "starts_with(text, prefix)"
    }

    fn doc(&self) -> &'static str {
        "Whether the text begins with the prefix, a constant. Written as an operator it is text ^@ prefix."
    }

    // starts_with(x, 'a_') == x LIKE 'a\_%'
    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        let [text, prefix] = exactly(self, args, span)?;
        let how = Like { escape: Some('\\'), fold: false };
        let pattern = match &prefix.kind {
            ExprKind::Literal(Datum::Text(bytes)) => {
                typing::text([escaped(bytes), b"%".to_vec()].concat(), prefix.span)
            }
            ExprKind::Literal(Datum::Null) => typing::coerce(prefix, &SqlType::Text { width: 2 }),
            _ => {
                return Err(Diagnostic::new("unsupported", prefix.span, "the prefix must be a constant text")
                    .help("LIKE takes a parameter: text LIKE $1, with the % in the parameter's value"));
            }
        };
        let text = as_value(text);
        typing::like(text, how, pattern, span)
    }
}
