//! The user half, step by step.

use super::fields::{is_identity, shortens};
use crate::{ColumnId, CompareOp, Expr, ExprKind, Plan, Step};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};

/// The steps so far, and which columns of the row hold text that may have lost its end.
pub(super) struct Steps {
    list: Vec<Step>,
    cut: Vec<bool>,
}

impl Steps {
    pub(super) fn new(cut: Vec<bool>) -> Steps {
        Steps { list: Vec::new(), cut }
    }

    pub(super) fn done(self) -> Vec<Step> {
        self.list
    }

    /// One more step, whose expressions user space can compute.
    pub(super) fn push(&mut self, step: Step) -> Result<()> {
        match &step {
            Step::Filter(predicate) => self.check(predicate)?,
            Step::Project(exprs) => {
                exprs.iter().try_for_each(|e| self.check(e))?;
                self.cut = exprs.iter().map(|e| e.ty.is_text() && (self.has_cut(e) || e.any_text(&shortens))).collect();
            }
            Step::Sort(keys) => keys.iter().try_for_each(|key| self.check(&key.expr))?,
            Step::Group { keys, slots } => {
                let inputs = slots.iter().flat_map(|slot| slot.input.iter().chain(&slot.filter));
                keys.iter().chain(inputs).try_for_each(|e| self.check(e))?;
                self.cut = vec![false; keys.len() + slots.len()];
            }
            Step::Limit { .. } => {}
        }
        self.list.push(step);
        Ok(())
    }

    /// The operators above what the kernel does.
    pub(super) fn operators(&mut self, operators: &[&Plan]) -> Result<()> {
        operators.iter().try_for_each(|operator| self.operator(operator))
    }

    fn operator(&mut self, operator: &Plan) -> Result<()> {
        match operator {
            Plan::Scan { .. } | Plan::Join { .. } => {
                Err(Failure::bug("split", "a relation that is read in user space"))
            }
            Plan::Filter { predicate, .. } => self.push(Step::Filter(predicate.clone())),
            Plan::Project { items, .. } => {
                let exprs: Vec<Expr> = items.iter().map(|item| item.expr.clone()).collect();
                if is_identity(&exprs, self.cut.len()) { Ok(()) } else { self.push(Step::Project(exprs)) }
            }
            Plan::Aggregate { keys, aggregates, .. } => {
                let span = aggregates.first().map(|c| c.span).or(keys.first().map(|k| k.expr.span));
                Err(Diagnostic::new(
                    "unsupported",
                    span.unwrap_or_default(),
                    "grouping what is already grouped or limited is not supported yet",
                )
                .into())
            }
            Plan::Sort { keys, .. } => self.push(Step::Sort(keys.clone())),
            Plan::Limit { count, offset, .. } => self.push(Step::Limit { count: *count, offset: *offset }),
        }
    }

    fn check(&self, expr: &Expr) -> Result<()> {
        if expr.any(&|e| matches!(e.kind, ExprKind::Tumble { .. })) {
            return Err(Failure::bug("split", "the clock is read in user space"));
        }
        let (mut read, mut lost) = (None, None);
        expr.walk(&mut |e| {
            if matches!(e.kind, ExprKind::Field { .. } | ExprKind::ReadText(_)) {
                read = read.or(Some(e.span));
            }
            if let ExprKind::Compare(op, a, b) = &e.kind
                && a.ty.is_text()
                && (self.has_cut(a) || self.has_cut(b))
            {
                lost = lost.or(Some((Some(*op), e.span)));
            }
            if let ExprKind::Like(a, _, b) = &e.kind
                && (self.has_cut(a) || self.has_cut(b))
            {
                lost = lost.or(Some((None, e.span)));
            }
        });
        if let Some(span) = read {
            return Err(late_read(span).into());
        }
        lost.map_or(Ok(()), |(op, span)| Err(cut_text(op, span).into()))
    }

    fn has_cut(&self, expr: &Expr) -> bool {
        expr.any_text(&|e| {
            matches!(e.kind, ExprKind::Column(ColumnId(at)) if e.ty.is_text() && self.cut.get(at as usize) == Some(&true))
        })
    }
}

/// The pointer alone is what was grouped; what it led to may be gone by now.
fn late_read(span: Span) -> Diagnostic {
    Diagnostic::new("needs-kernel", span, "memory is read while an event happens, and this is after grouping")
        .help("group by what is read, not by the pointer")
}

/// `op` is none for LIKE.
fn cut_text(op: Option<CompareOp>, span: Span) -> Diagnostic {
    match op {
        None => Diagnostic::new("unsupported", span, "text that may have been cut is matched in the kernel only")
            .detail("the kernel matches constant patterns of up to 63 characters behind their start")
            .help("match a constant pattern in WHERE, or group by the condition itself"),
        Some(_) => Diagnostic::new("unsupported", span, "text that may have been cut is compared in the kernel only")
            .help("compare it in WHERE, or group by the comparison itself"),
    }
}
