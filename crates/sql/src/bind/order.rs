//! ORDER BY: an output name first, then a position, then an expression over what is selected from (PostgreSQL 16, SELECT).

use super::select::output;
use super::{Binder, Place};
use crate::ast::{Expr, ExprKind, Name, OrderKey};
use crate::number;
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Result, Span};
use bpfquery_plan::{Item, SortKey};

impl Binder<'_> {
    /// The keys over `items`, to which expressions that are not among them are added.
    pub(super) fn sort_keys(&mut self, keys: &[OrderKey], items: &mut Vec<Item>) -> Result<Vec<SortKey>> {
        self.place = Place::OrderBy;
        let visible = items.len();
        let mut sort = Vec::new();
        for key in keys {
            let at = self.sort_column(&key.expr, items, visible)?;
            orderable(&items[at].expr.ty, key.expr.span)?;
            let mut expr = output(at, &items[at].expr);
            expr.span = key.expr.span;
            let nulls_first = key.nulls_first.unwrap_or(key.descending);
            sort.push(SortKey { expr, descending: key.descending, nulls_first });
        }
        Ok(sort)
    }

    /// The index of the item that a key names.
    fn sort_column(&mut self, key: &Expr, items: &mut Vec<Item>, visible: usize) -> Result<usize> {
        if let Some(at) = position(key, visible, "ORDER BY")? {
            return Ok(at);
        }
        if let ExprKind::Column(names) = &key.kind
            && let [name] = &names[..]
            && let Some(at) = named(name, &items[..visible], "ORDER BY")?
        {
            return Ok(at);
        }
        let expr = self.value(key)?;
        Ok(items.iter().position(|item| item.expr.same(&expr)).unwrap_or_else(|| {
            items.push(Item { name: self.name(key), expr });
            items.len() - 1
        }))
    }
}

/// The index that a whole number names; other constants are no keys.
pub(super) fn position(key: &Expr, count: usize, clause: &str) -> Result<Option<usize>> {
    match &key.kind {
        ExprKind::Number(digits) if number::is_whole(digits) => {
            let at = number::integer(digits).and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=count).contains(n));
            match at {
                Some(at) => Ok(Some(at - 1)),
                None => {
                    let columns = if count == 1 { "1 column".to_string() } else { format!("{count} columns") };
                    let fact = format!("{clause} position {digits} is not in the select list");
                    Err(Diagnostic::new("unknown-position", key.span, fact).detail(format!("it has {columns}")).into())
                }
            }
        }
        ExprKind::Number(_) | ExprKind::Text(_) => {
            let fact = format!("non-integer constant in {clause}");
            Err(Diagnostic::new("unknown-position", key.span, fact)
                .help("name a column in double quotes, or none")
                .into())
        }
        _ => Ok(None),
    }
}

/// The index of the output column of that name. Several are fine if they are the same.
pub(super) fn named(name: &Name, items: &[Item], clause: &str) -> Result<Option<usize>> {
    let exact = |item: &Item| item.name == name.text;
    let similar = |item: &Item| !name.quoted && item.name.eq_ignore_ascii_case(&name.text);
    let all = |is: &dyn Fn(&Item) -> bool| -> Vec<usize> { (0..items.len()).filter(|at| is(&items[*at])).collect() };
    let found = Some(all(&exact)).filter(|found| !found.is_empty()).unwrap_or_else(|| all(&similar));
    let Some((first, others)) = found.split_first() else { return Ok(None) };
    match others.iter().all(|at| items[*at].expr.same(&items[*first].expr)) {
        true => Ok(Some(*first)),
        false => Err(Diagnostic::new("ambiguous-name", name.span, format!("{clause} \"{}\" is ambiguous", name.text))
            .help("say which by its position: 1, 2")
            .into()),
    }
}

fn orderable(ty: &SqlType, span: Span) -> Result<()> {
    match ty {
        SqlType::Histogram { .. } | SqlType::Struct(_) | SqlType::Array { .. } => {
            let fact = format!("values of type {ty} have no order");
            Err(Diagnostic::new("type-mismatch", span, fact).into())
        }
        SqlType::Bool
        | SqlType::Int { .. }
        | SqlType::Text { .. }
        | SqlType::Timestamp
        | SqlType::Interval
        | SqlType::Enum(_)
        | SqlType::Pointer { .. }
        | SqlType::Double
        | SqlType::Decimal
        | SqlType::Null => Ok(()),
    }
}
