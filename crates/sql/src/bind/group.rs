//! GROUP BY: the keys, and expressions over groups.
//!
//! What must hold: above the Aggregate operator, an expression is made of keys, results of aggregates and constants only.

use super::order::position;
use super::{AGGREGATES, Binder, Place, column_id};
use crate::ast::{Ast, Expr, ExprKind, Name, SelectItem};
use bpfquery_diag::{Diagnostic, Result};
use bpfquery_plan::{self as plan, ColumnId, Item, Plan};

impl Binder<'_> {
    /// The keys, each once, named as the output names them.
    pub(super) fn group_keys(&mut self, ast: &Ast) -> Result<Vec<Item>> {
        self.place = Place::GroupBy;
        let mut keys: Vec<Item> = Vec::new();
        for written in &ast.group_by {
            let (expr, alias) = self.key(written, ast)?;
            let name = alias.map_or_else(|| self.name(expr), |alias| alias.text.clone());
            let expr = self.value(expr)?;
            if !keys.iter().any(|key| alike(&key.expr, &expr) && key.expr.same(&expr)) {
                keys.push(Item { name, expr });
            }
        }
        Ok(keys)
    }

    /// The expression that a key means, and its output name: a column first, then an output name, then a position.
    fn key<'a>(&self, key: &'a Expr, ast: &'a Ast) -> Result<(&'a Expr, Option<&'a Name>)> {
        if let Some(at) = position(key, ast.items.len(), "GROUP BY")? {
            return match &ast.items[at] {
                SelectItem::Expr { expr, alias } => Ok((expr, alias.as_ref())),
                SelectItem::Star { span, .. } => {
                    let fact = "a position that stands for * names no one column";
                    Err(Diagnostic::new("unknown-position", key.span.to(*span), fact).into())
                }
            };
        }
        let ExprKind::Column(names) = &key.kind else { return Ok((key, alias_of(key, ast))) };
        let [name] = &names[..] else { return Ok((key, alias_of(key, ast))) };
        if self.scope.resolve(names).is_ok() {
            return Ok((key, alias_of(key, ast)));
        }
        let mut meant = ast.items.iter().filter_map(|item| match item {
            SelectItem::Expr { expr, alias: Some(alias) } if alias.same(name) => Some((expr, alias)),
            SelectItem::Expr { .. } | SelectItem::Star { .. } => None,
        });
        match (meant.next(), meant.next()) {
            (Some((expr, alias)), None) => Ok((expr, Some(alias))),
            (Some((expr, alias)), Some((other, _))) if expr.same(other) => Ok((expr, Some(alias))),
            (Some(_), Some(_)) => {
                let fact = format!("GROUP BY \"{}\" is ambiguous", name.text);
                Err(Diagnostic::new("ambiguous-name", name.span, fact).help("say which by its position: 1, 2").into())
            }
            // Neither: binding it says what is wrong.
            (None, _) => Ok((key, None)),
        }
    }

    /// Puts the Aggregate operator on the plan, and the expressions above it over its output.
    pub(super) fn aggregate(
        &mut self,
        input: Plan,
        keys: Vec<Item>,
        items: &mut [Item],
        visible: usize,
        having: Option<plan::Expr>,
    ) -> Result<Plan> {
        let groups = Groups { keys: &keys, binder: self };
        let having = having.map(|having| groups.over(&having)).transpose()?;
        let mut over = Vec::new();
        for item in items.iter() {
            over.push(groups.over(&item.expr)?);
        }
        let mut aggregates = self.aggregates.clone();
        for (item, expr) in items.iter_mut().zip(over) {
            item.expr = expr;
        }
        // An aggregate that is shown as it is takes the name under which it is shown.
        for item in items.iter().take(visible).rev() {
            if let plan::ExprKind::Column(ColumnId(at)) = item.expr.kind
                && let Some(call) = (at as usize).checked_sub(keys.len()).and_then(|at| aggregates.get_mut(at))
            {
                call.name.clone_from(&item.name);
            }
        }
        let plan = Plan::Aggregate { input: Box::new(input), keys, aggregates };
        Ok(match having {
            Some(predicate) => Plan::Filter { input: Box::new(plan), predicate },
            None => plan,
        })
    }
}

/// Whether it is worth comparing both as a whole.
fn alike(a: &plan::Expr, b: &plan::Expr) -> bool {
    std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind) && a.ty == b.ty
}

/// The name under which the select list shows the same expression.
fn alias_of<'a>(key: &Expr, ast: &'a Ast) -> Option<&'a Name> {
    ast.items.iter().find_map(|item| match item {
        SelectItem::Expr { expr, alias: Some(alias) } if expr.same(key) => Some(alias),
        SelectItem::Expr { .. } | SelectItem::Star { .. } => None,
    })
}

/// The output of an Aggregate operator.
struct Groups<'a> {
    keys: &'a [Item],
    binder: &'a Binder<'a>,
}

impl Groups<'_> {
    /// An expression over rows and aggregates as one over keys and aggregates, from the outside in: the largest part that is
    /// a key counts.
    fn over(&self, expr: &plan::Expr) -> Result<plan::Expr> {
        if let Some(at) = self.keys.iter().position(|key| alike(&key.expr, expr) && key.expr.same(expr)) {
            return Ok(self.column(at, expr));
        }
        match &expr.kind {
            plan::ExprKind::Column(ColumnId(id)) if *id >= AGGREGATES => {
                Ok(self.column(self.keys.len() + (*id - AGGREGATES) as usize, expr))
            }
            plan::ExprKind::Column(ColumnId(id)) => {
                let name = self.binder.scope.at(*id as usize).map_or("?", |column| column.name.as_str());
                Err(self.ungrouped(&format!("column \"{name}\""), expr))
            }
            plan::ExprKind::Tumble { .. } => Err(self.ungrouped("tumble(…)", expr)),
            _ => {
                let mut copy = expr.clone();
                for child in copy.children_mut() {
                    *child = self.over(child)?;
                }
                Ok(copy)
            }
        }
    }

    fn column(&self, at: usize, expr: &plan::Expr) -> plan::Expr {
        plan::Expr::new(plan::ExprKind::Column(column_id(at)), expr.ty.clone(), expr.span)
    }

    fn ungrouped(&self, what: &str, expr: &plan::Expr) -> bpfquery_diag::Failure {
        let fact = format!("{what} must appear in the GROUP BY clause or be used in an aggregate function");
        Diagnostic::new("ungrouped-column", expr.span, fact).into()
    }
}
