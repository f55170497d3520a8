//! `COALESCE(task.__state, task.state)`: what is not on one kernel is NULL there.
//!
//! What must hold: every field within COALESCE is asked for; one that this kernel does not have takes the type of the first
//! alternative that it has. Not checked: that it is of that type where it is; an integer is read with its size there.

use super::{Binder, element};
use crate::ast::{Expr as Written, Name};
use bpfquery_catalog::nav;
use bpfquery_catalog::{FieldPath, Guess, Presence, SqlType};
use bpfquery_diag::{Result, Span};
use bpfquery_plan::{Datum, Expr, ExprKind};

impl Binder<'_> {
    /// The arguments of COALESCE.
    pub(super) fn alternatives(&mut self, list: &[Written]) -> Result<Vec<Expr>> {
        let outer = std::mem::replace(&mut self.may_miss, true);
        let bound = list.iter().map(|arg| self.raw(arg)).collect::<Result<Vec<_>>>();
        self.may_miss = outer;
        let mut bound = bound?;
        let known = bound
            .iter()
            .find(|e| !matches!(e.kind, ExprKind::Literal(Datum::Null) | ExprKind::Param(_)) && !is_open(e));
        let ty = known.map(|known| known.ty.clone());
        for (expr, written) in bound.iter_mut().zip(list) {
            if expr.any(&is_open) && !ty.as_ref().is_some_and(|ty| settle(expr, ty)) {
                // The same without leave says what is wrong.
                let outer = std::mem::replace(&mut self.may_miss, false);
                let again = self.raw(written);
                self.may_miss = outer;
                *expr = again?;
            }
        }
        Ok(bound)
    }

    /// A field that this kernel does not have, its type open; `None` where it cannot be found on another either.
    pub(super) fn missing(&self, base: &Expr, name: &Name, span: Span) -> Result<Option<Expr>> {
        if !self.may_miss {
            return Ok(None);
        }
        let open = |base: Expr, path: FieldPath| {
            let path = Box::new(FieldPath { presence: OPEN, ..path });
            Expr::new(ExprKind::Field { base: Box::new(base), path, at: Vec::new() }, SqlType::Null, span)
        };
        match &base.kind {
            // Inside a struct that stands inside another: known by all names from the outer one on.
            ExprKind::Field { base: inner, path, at } if is_open(base) || matches!(base.ty, SqlType::Struct(_)) => {
                if !at.is_empty() || path.text.contains('[') || path.root.id == 0 {
                    return Ok(None);
                }
                let text = format!("{}.{}", path.text, name.text);
                Ok(Some(open((**inner).clone(), FieldPath { text, ..FieldPath::whole(path.root.clone(), 0) })))
            }
            _ => {
                let path = nav::missing(self.scope.kernel, &base.ty, &name.text)?;
                Ok(path.map(|path| open(base.clone(), path)))
            }
        }
    }
}

/// A missing field that nothing is known of yet.
const OPEN: Presence = Presence::Missing(Guess::Int { bytes: 0, signed: false });

fn is_open(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Field { path, .. } if path.presence == OPEN && expr.ty == SqlType::Null)
}

/// Gives a missing field its type, if it is one that can be guessed.
fn settle(expr: &mut Expr, ty: &SqlType) -> bool {
    let Some((bits, _)) = ty.scalar().filter(|_| is_open(expr)) else { return false };
    let ExprKind::Field { path, .. } = &mut expr.kind else { return false };
    path.size = u32::from(bits) / 8;
    path.presence = Presence::Missing(element::guess(path.size, ty));
    expr.ty = ty.clone();
    true
}
