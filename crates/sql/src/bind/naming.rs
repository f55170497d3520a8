//! The names of output columns, as PostgreSQL finds them (`FigureColnameInternal`, src/backend/parser/parse_target.c, 16).

use crate::ast::{CastType, Expr, ExprKind};
use bpfquery_catalog::SqlType;

/// The name of an item without AS; `column` is the true name of what a dotted name refers to.
pub(super) fn name(expr: &Expr, column: &dyn Fn(&Expr) -> Option<String>) -> String {
    figure(expr, column).map_or_else(|| "?column?".to_string(), |(name, _)| name)
}

/// A name, and whether it is a good one: a weak one gives way to a column's.
fn figure(expr: &Expr, column: &dyn Fn(&Expr) -> Option<String>) -> Option<(String, bool)> {
    match &expr.kind {
        ExprKind::Column(names) => {
            let written = names.last().map(|name| name.text.clone());
            column(expr).or(written).map(|name| (name, true))
        }
        ExprKind::Field(_, name) => Some((column(expr).unwrap_or_else(|| name.text.clone()), true)),
        ExprKind::Index(base, _) => figure(base, column),
        ExprKind::Call(call) => Some((call.name.text.to_lowercase(), true)),
        ExprKind::Cast { expr, to, .. } => match figure(expr, column) {
            Some((name, true)) => Some((name, true)),
            Some((_, false)) | None => match to {
                CastType::Sql(to) => Some((type_name(to), false)),
                CastType::C(name) => Some((name.clone(), false)),
            },
        },
        ExprKind::Case { otherwise, .. } => match otherwise.as_deref().and_then(|e| figure(e, column)) {
            Some((name, true)) => Some((name, true)),
            Some((_, false)) | None => Some(("case".to_string(), false)),
        },
        // Both are casts of a text to PostgreSQL's parser.
        ExprKind::Bool(_) => Some(("bool".to_string(), false)),
        ExprKind::Interval(_) => Some(("interval".to_string(), false)),
        ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::Null
        | ExprKind::Param(_)
        | ExprKind::Unary(..)
        | ExprKind::Arith(..)
        | ExprKind::Compare(..)
        | ExprKind::And(_)
        | ExprKind::Or(_)
        | ExprKind::Is { .. }
        | ExprKind::Like { .. }
        | ExprKind::Distinct { .. }
        | ExprKind::InList { .. }
        | ExprKind::Between { .. } => None,
    }
}

/// PostgreSQL's inner name of a type.
fn type_name(ty: &SqlType) -> String {
    match ty {
        SqlType::Bool => "bool".to_string(),
        SqlType::Int { bits, signed: true } => format!("int{}", bits / 8),
        SqlType::Int { bits, signed: false } => format!("uint{}", bits / 8),
        SqlType::Text { .. } => "text".to_string(),
        SqlType::Double => "float8".to_string(),
        other => other.to_string(),
    }
}
