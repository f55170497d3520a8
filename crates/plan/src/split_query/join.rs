//! A join as two programs: one whose rows are held, one whose rows take them.
//!
//! The second half of the query is first made as if the held relation's columns stood behind the probe's. Then what it needs of the
//! held row is cut out: an expression that reads the held row's memory is computed when the row is held, of everything else the plain
//! columns are held, each once. What must hold: no expression of the probe's program names a column of the held relation any more.

use super::fields::{column, fits, layout, may_be_cut};
use super::{Kernel, conjuncts, cost, not_in_kernel};
use crate::{
    ColumnId, Expr, ExprKind, Fragment, HeldStore, Layout, Matched, Output, Plan, ReadAt, Stored, column_nullable,
};
use bpfquery_catalog::{Access, Builtin, Column, Origin, Relation};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};
use std::sync::Arc;

/// Threads that hold a row at once, in a hash: entries are made beforehand, some 80 bytes each and the row.
const MAX_THREADS: u32 = 16384;
/// Bytes of a held row: values of task storage are at most KMALLOC_MAX_CACHE_SIZE (8192) less their header, and less what the thread
/// has beside (BPF_LOCAL_STORAGE_MAX_VALUE_SIZE, include/linux/bpf_local_storage.h, Linux 6.12).
const LARGEST_ROW: u32 = 4096;
/// The name of the field that says whether the row is there.
const STATE: &str = "held";

/// A join while it is cut.
pub(super) struct Join {
    held: Side,
    probe: Side,
    holds: Option<Expr>,
    names: [String; 2],
    reads: ReadAt,
    span: Span,
}

/// One of the two.
struct Side {
    relation: Arc<Relation>,
    /// Conditions below the join.
    filter: Vec<Expr>,
    span: Span,
}

impl Side {
    fn of(plan: &Plan) -> Result<Side> {
        match plan {
            Plan::Scan { relation, span, .. } => {
                Ok(Side { relation: relation.clone(), filter: Vec::new(), span: *span })
            }
            Plan::Filter { input, predicate } => {
                let mut side = Side::of(input)?;
                side.filter.extend(conjuncts(predicate));
                Ok(side)
            }
            _ => Err(Failure::bug("split", "a join of more than two relations")),
        }
    }
}

impl Join {
    pub(super) fn of(plan: &Plan) -> Result<Join> {
        let Plan::Join { held, probe, holds, names, reads, span } = plan else {
            return Err(Failure::bug("split", "no join"));
        };
        let (held, probe) = (Side::of(held)?, Side::of(probe)?);
        Ok(Join { held, probe, holds: holds.clone(), names: names.clone(), reads: *reads, span: *span })
    }

    /// The half that the operators above work on: over the probe's columns, then the held ones.
    pub(super) fn kernel(&self) -> Kernel {
        let own = self.probe.relation.columns.len();
        let mut wide = (*self.probe.relation).clone();
        wide.columns.extend(
            self.held
                .relation
                .columns
                .iter()
                .map(|column| Column { name: format!("{}.{}", self.names[0], column.name), ..column.clone() }),
        );
        let mut kernel = Kernel::new(Arc::new(wide), self.span);
        // The join's output is the held columns first.
        kernel.columns.rotate_left(own);
        kernel.names.rotate_left(own);
        kernel
    }

    /// The two programs: what is held, and the half above without the held relation's columns.
    pub(super) fn fragments(self, above: Fragment) -> Result<[Fragment; 2]> {
        let mut cut = Cut { join: &self, fields: Vec::new() };
        let mut probe = above;
        for expr in probe.exprs_mut() {
            cut.expr(expr);
        }
        let fields = cut.fields;
        for expr in probe.exprs() {
            self.refuse_cut_text(expr, &fields)?;
        }
        let holds: Vec<Expr> = self.holds.iter().flat_map(conjuncts).collect();
        if let Some(expr) =
            self.held.filter.iter().chain(&self.probe.filter).chain(&holds).find(|e| e.needs_user_space())
        {
            return Err(not_in_kernel(expr, "this condition of a join").into());
        }
        let state = self.state(&fields);
        let layout = self.layout(&fields, state.is_none())?;
        let state = u32::try_from(state.unwrap_or(fields.len())).unwrap_or(u32::MAX);
        fits(&layout, LARGEST_ROW, "the row that a thread holds", self.span)?;
        let store = HeldStore::Tid { max_threads: MAX_THREADS };
        probe.relation = Arc::new(self.with_held(&fields, &layout));
        let before = cost::cheapest_first(self.probe.filter.clone(), &self.probe.relation);
        probe.matched = Some(Matched { before, store, layout: layout.clone(), state, rejects: !holds.is_empty() });
        probe.span = self.probe.span;
        let held = Fragment {
            filter: cost::cheapest_first(self.held.filter.clone(), &self.held.relation),
            output: Output::Hold {
                store,
                layout,
                state,
                values: fields,
                holds: cost::cheapest_first(holds, &self.held.relation),
            },
            relation: self.held.relation,
            matched: None,
            span: self.held.span,
        };
        Ok([held, probe])
    }

    /// The field that can say by itself whether a row is there: its time, which is never 0, if every row makes a pair.
    fn state(&self, fields: &[Expr]) -> Option<usize> {
        let columns = &self.held.relation.columns;
        let is_ts = |field: &Expr| match field.kind {
            ExprKind::Column(ColumnId(at)) => {
                columns.get(at as usize).is_some_and(|column| column.access == Access::Builtin(Builtin::Ts))
            }
            _ => false,
        };
        fields.iter().position(is_ts).filter(|_| self.holds.is_none())
    }

    /// The held row: a field for each expression, and perhaps its state behind them.
    fn layout(&self, fields: &[Expr], with_state: bool) -> Result<Layout> {
        let nullable: Vec<bool> = self.held.relation.columns.iter().map(column_nullable).collect();
        let names: Vec<String> = fields.iter().map(|field| self.name(field)).collect();
        let named = layout(names.iter().zip(fields), &nullable)?;
        let stored = named.fields.into_iter().map(|field| (field.name, field.stored, field.null_bit.is_some()));
        let state = (STATE.to_string(), Stored::Int { bytes: 1, signed: false }, false);
        Ok(Layout::new(stored.chain(with_state.then_some(state))))
    }

    /// The field's name: the column's that it comes from.
    fn name(&self, field: &Expr) -> String {
        let mut name = None;
        field.walk(&mut |e| {
            if let ExprKind::Column(ColumnId(at)) = e.kind {
                name = name.take().or(self.held.relation.columns.get(at as usize).map(|column| column.name.clone()));
            }
        });
        name.unwrap_or_else(|| "value".to_string())
    }

    /// The probe's relation with a column for each field of the held row.
    fn with_held(&self, fields: &[Expr], layout: &Layout) -> Relation {
        let mut relation = (*self.probe.relation).clone();
        for (expr, field) in fields.iter().zip(&layout.fields) {
            let padded = field.null_bit.is_none() && !may_be_cut(expr, &self.held.relation);
            relation.columns.push(Column {
                name: format!("{}.{}", self.names[0], field.name),
                ty: expr.ty.clone(),
                access: Access::Held { offset: field.offset, null_bit: field.null_bit, padded },
                origin: Origin::Builtin,
            });
        }
        relation
    }

    /// Text that was cut when it was held is compared where that was known, or not at all.
    fn refuse_cut_text(&self, expr: &Expr, fields: &[Expr]) -> Result<()> {
        let own = self.probe.relation.columns.len();
        let lost = |e: &Expr| {
            let ExprKind::Column(ColumnId(at)) = e.kind else { return false };
            let field = (at as usize).checked_sub(own).and_then(|at| fields.get(at));
            field.is_some_and(|field| e.ty.is_text() && may_be_cut(field, &self.held.relation))
        };
        let mut wrong = None;
        expr.walk(&mut |e| {
            let compares = matches!(e.kind, ExprKind::Compare(..) | ExprKind::Like(..));
            if compares && e.children().into_iter().any(|child| child.any_text(&lost)) {
                wrong = wrong.or(Some(e.span));
            }
        });
        let Some(span) = wrong else { return Ok(()) };
        let fact = format!("a text of {} that may have been cut is compared with what is known later", self.names[0]);
        Err(Diagnostic::new("unsupported", span, fact)
            .help("compare it with constants, or with columns of its own row")
            .into())
    }
}

/// Takes what is held out of the expressions of the probe's half.
struct Cut<'a> {
    join: &'a Join,
    /// Over the held relation's columns.
    fields: Vec<Expr>,
}

impl Cut<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        if self.is_held(expr) && (matches!(expr.kind, ExprKind::Column(_)) || self.reads(expr)) {
            *expr = self.field(expr);
        } else {
            expr.children_mut().into_iter().for_each(|child| self.expr(child));
        }
    }

    /// Whether all that it depends on is the held row.
    fn is_held(&self, expr: &Expr) -> bool {
        let own = self.join.probe.relation.columns.len();
        let of_probe = |e: &Expr| match e.kind {
            ExprKind::Column(ColumnId(at)) => (at as usize) < own,
            ExprKind::Tumble { .. } => true,
            _ => false,
        };
        let column = |e: &Expr| matches!(e.kind, ExprKind::Column(_));
        expr.any(&column) && !expr.any(&of_probe)
    }

    /// Whether it is to be computed when the row is held: it reads memory that may be gone later, or text, whose end is known then.
    fn reads(&self, expr: &Expr) -> bool {
        let memory = expr.any(&|e| matches!(e.kind, ExprKind::Field { .. } | ExprKind::ReadText(_)));
        let text = expr.any(&|e| matches!(e.kind, ExprKind::Column(_)) && e.ty.is_text());
        match self.join.reads {
            ReadAt::Held => memory || text,
            ReadAt::Taken => text && !memory,
        }
    }

    fn field(&mut self, expr: &Expr) -> Expr {
        let own = self.join.probe.relation.columns.len();
        let over_held = expr.map(&mut |e| match e.kind {
            ExprKind::Column(ColumnId(at)) => column((at as usize).saturating_sub(own), &e.ty, e.span),
            _ => e,
        });
        let at = self.fields.iter().position(|field| field.same(&over_held)).unwrap_or_else(|| {
            self.fields.push(over_held);
            self.fields.len() - 1
        });
        column(own + at, &expr.ty, expr.span)
    }
}
