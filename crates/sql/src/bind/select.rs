//! The select list, and the projections that it becomes.

use super::side::Side;
use super::{Binder, Place, column_id, few, naming};
use crate::ast::{Ast, Expr, ExprKind, Name, SelectItem};
use bpfquery_diag::{Diagnostic, Result, Span};
use bpfquery_plan::{self as plan, Item, Plan, SortKey, typing};

impl Binder<'_> {
    /// The output's columns.
    pub(super) fn items(&mut self, ast: &Ast) -> Result<Vec<Item>> {
        self.place = Place::Select;
        let mut items = Vec::new();
        for item in &ast.items {
            match item {
                SelectItem::Star { of, span } => items.extend(self.star(of.as_ref(), *span)?),
                SelectItem::Expr { expr, alias } => {
                    let name = alias.as_ref().map_or_else(|| self.name(expr), |alias| alias.text.clone());
                    items.push(Item { name, expr: self.value(expr)? });
                }
            }
            few(items.len(), ast.span)?;
        }
        Ok(items)
    }

    fn star(&self, of: Option<&Name>, span: Span) -> Result<Vec<Item>> {
        if !self.scope.has_from() {
            return Err(Diagnostic::new("no-relation", span, "SELECT * with no relation")
                .help("say where rows come from: FROM kprobe.vfs_read")
                .into());
        }
        let wanted: Vec<&Side<'_>> = self.scope.sides.iter().filter(|s| of.is_none_or(|of| s.is_called(of))).collect();
        if let (Some(of), []) = (of, wanted.as_slice()) {
            let fact = format!("\"{}\" is no relation of this query", of.text);
            let names = self.scope.sides.iter().filter_map(Side::name);
            let near = match self.scope.sides.as_slice() {
                [only] => only.name(),
                _ => bpfquery_diag::nearest(&of.text, names),
            };
            return Err(Diagnostic::new("unknown-relation", of.span, fact).did_you_mean(near).into());
        }
        let item = |side: &Side<'_>, index: usize| Item {
            name: side.relation.columns[index].name.clone(),
            expr: typing::as_value(side.column(index, span)),
        };
        let of_side = |side: &Side<'_>| side.relation.star().into_iter().map(|i| item(side, i)).collect::<Vec<_>>();
        Ok(wanted.into_iter().flat_map(of_side).collect())
    }

    /// The name of an expression without AS.
    pub(super) fn name(&self, expr: &Expr) -> String {
        naming::name(expr, &|column| self.true_name(column))
    }

    /// The name that a column or field really has, whatever case it was written in.
    fn true_name(&self, expr: &Expr) -> Option<String> {
        let bound = match &expr.kind {
            ExprKind::Column(names) => {
                let (column, fields) = self.scope.resolve(names).ok()?;
                self.fields(column, fields).ok()?
            }
            // Its base is bound once more only to be looked at; what is wrong with it is said elsewhere.
            _ => return None,
        };
        match bound.kind {
            plan::ExprKind::Column(id) => self.scope.at(id.0 as usize).map(|c| c.name.clone()),
            plan::ExprKind::Field { path, .. } => path.text.rsplit('.').next().map(str::to_string),
            _ => None,
        }
    }
}

/// Projects `items`; sorts by `sort`, whose keys are over all of them; then keeps the first `visible`.
pub(super) fn project(input: Plan, items: &[Item], visible: usize, sort: Vec<SortKey>) -> Plan {
    let plan = Plan::Project { input: Box::new(input), items: items.to_vec() };
    if sort.is_empty() {
        return plan;
    }
    let plan = Plan::Sort { input: Box::new(plan), keys: sort };
    if visible == items.len() {
        return plan;
    }
    let kept = items.iter().take(visible).enumerate();
    let items = kept.map(|(at, item)| Item { name: item.name.clone(), expr: output(at, &item.expr) }).collect();
    Plan::Project { input: Box::new(plan), items }
}

/// The output column at a position, whose value is `expr`.
pub(super) fn output(at: usize, expr: &plan::Expr) -> plan::Expr {
    plan::Expr::new(plan::ExprKind::Column(column_id(at)), expr.ty.clone(), expr.span)
}
