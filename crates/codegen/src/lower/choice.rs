//! A text that is one of several: CASE and COALESCE.
//!
//! It is never made to be compared: each of them is compared where it is the one, and there it is known whether that one was cut. It
//! is made only to be shown.

use super::Lowerer;
use super::text::width;
use crate::ir::Block;
use bpfquery_diag::Result;
use bpfquery_plan::{Datum, Expr, ExprKind};

impl Lowerer<'_> {
    /// Hands over each of the texts that this one may be, where it is the one and all before it are not; what it is NULL by goes to the
    /// block that comes with it. Who takes them ends the block.
    pub(super) fn each_text(
        &mut self,
        expr: &Expr,
        null: Block,
        take: &mut dyn FnMut(&mut Self, &Expr, Block) -> Result<()>,
    ) -> Result<()> {
        match &expr.kind {
            ExprKind::Case { arms, otherwise } => {
                for (when, then) in arms {
                    let (hit, miss) = (self.build.block(), self.build.block());
                    self.cond(when, hit, miss, miss)?;
                    self.build.switch_to(hit);
                    self.each_text(then, null, take)?;
                    self.build.switch_to(miss);
                }
                self.each_text(otherwise, null, take)
            }
            ExprKind::Coalesce(list) => {
                for (i, expr) in list.iter().enumerate() {
                    let next = if i + 1 == list.len() { null } else { self.build.block() };
                    self.each_text(expr, next, take)?;
                    // More ways may lead to `null` than these: it is not gone on with here.
                    if next != null {
                        self.build.switch_to(next);
                    }
                }
                Ok(())
            }
            ExprKind::Literal(Datum::Null) => {
                self.build.jump(null, &[]);
                Ok(())
            }
            ExprKind::Cast(operand) if is_choice(operand) => {
                let width = width(expr)?;
                self.each_text(operand, null, &mut |this, text, missing| {
                    if kept(text)? <= width {
                        return take(this, text, missing);
                    }
                    take(this, &Expr::new(ExprKind::Cast(Box::new(text.clone())), expr.ty.clone(), expr.span), missing)
                })
            }
            _ => take(self, expr, null),
        }
    }

    /// Goes on where the text is not NULL.
    pub(super) fn text_is_there(&mut self, expr: &Expr, null: Block) -> Result<()> {
        let there = self.build.block();
        self.each_text(expr, null, &mut |this, text, missing| {
            this.text(text, false, missing)?;
            this.build.jump(there, &[]);
            Ok(())
        })?;
        self.build.switch_to(there);
        Ok(())
    }
}

/// Whether the text is one of several.
pub(super) fn is_choice(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Case { .. } | ExprKind::Coalesce(_) => true,
        ExprKind::Cast(operand) => expr.ty.is_text() && is_choice(operand),
        _ => false,
    }
}

/// Bytes that hold the text, the NUL among them: of those that it passes through the fewest.
pub(super) fn kept(expr: &Expr) -> Result<u32> {
    let own = width(expr)?;
    match &expr.kind {
        ExprKind::Cast(operand) if operand.ty.is_text() => Ok(own.min(kept(operand)?)),
        ExprKind::Case { arms, otherwise } => {
            arms.iter().map(|(_, then)| then).chain([&**otherwise]).try_fold(own, |least, e| Ok(least.min(kept(e)?)))
        }
        ExprKind::Coalesce(list) => list.iter().try_fold(own, |least, e| Ok(least.min(kept(e)?))),
        _ => Ok(own),
    }
}
