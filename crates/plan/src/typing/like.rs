//! LIKE: text against a pattern.

use super::{Class, as_value, class, coerce, no_operator};
use crate::{Datum, Expr, ExprKind, Like};
use bpfquery_catalog::{DEFAULT_TEXT, SqlType};
use bpfquery_diag::{Diagnostic, Span};

/// `text LIKE pattern`, `text ILIKE pattern`. A constant pattern that ends in its escape character is refused.
pub fn like(text: Expr, how: Like, pattern: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let of_null = |e: Expr| match e.ty {
        SqlType::Null => coerce(e, &SqlType::Text { width: DEFAULT_TEXT }),
        _ => e,
    };
    let (text, pattern) = (of_null(as_value(text)), of_null(as_value(pattern)));
    if class(&text.ty) != Class::Text || class(&pattern.ty) != Class::Text {
        return Err(no_operator(if how.fold { "ILIKE" } else { "LIKE" }, &text, &pattern, span));
    }
    if let ExprKind::Literal(Datum::Text(bytes)) = &pattern.kind
        && how.parse(bytes).is_none()
    {
        let fact = "LIKE pattern must not end with escape character";
        return Err(Diagnostic::new("invalid-pattern", pattern.span, fact)
            .help("written twice it stands for itself, and ESCAPE '' does without one"));
    }
    Ok(Expr::new(ExprKind::Like(Box::new(text), how, Box::new(pattern)), SqlType::Bool, span))
}
