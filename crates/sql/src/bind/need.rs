//! Which columns a query can mean, before it is known which there are.
//!
//! What must hold: where only built-in columns are needed, every name of the query is a built-in column's, which no other column
//! hides. Not checked: whether more could be left out; aliases and qualified names count as anything.

use crate::ast::{Ast, Expr, ExprKind, SelectItem};
use bpfquery_catalog::{Builtin, Need};

/// What binding this query asks of its relations.
pub(super) fn of(ast: &Ast) -> Need {
    let items = ast.items.iter().map(|item| match item {
        SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::Star { .. } => None,
    });
    let clauses =
        ast.filter.iter().chain(&ast.group_by).chain(&ast.having).chain(ast.order_by.iter().map(|key| &key.expr));
    let known = |expr: Option<&Expr>| expr.is_some_and(builtins_only);
    if ast.join.is_none() && items.chain(clauses.map(Some)).all(known) { Need::Builtins } else { Need::All }
}

/// Names are not looked up regardless of case here: another column may be called so exactly.
fn builtins_only(expr: &Expr) -> bool {
    let known = match &expr.kind {
        ExprKind::Column(names) => {
            matches!(names.as_slice(), [name] if Builtin::ALL.into_iter().any(|builtin| builtin.name() == name.text))
        }
        _ => true,
    };
    known && expr.children().into_iter().all(builtins_only)
}
