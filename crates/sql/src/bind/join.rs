//! Joins of two events of one thread; and system calls, which are such joins.
//!
//! What must hold: the condition says that both rows are of one thread; whatever else it says is a filter of the joined rows.

use super::side::{Side, scan};
use super::{Binder, Place, column_id};
use crate::ast::{self, Join, On};
use bpfquery_catalog::{Access, Builtin, Relation, Syscall, SyscallColumn};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};
use bpfquery_plan::{ArithOp, ColumnId, CompareOp, Datum, Expr, ExprKind, Item, Plan, ReadAt, typing};
use std::sync::Arc;

/// Refuses relations that cannot stand in a join together.
pub(super) fn check(sides: &[Side<'_>], join: &Join) -> Result<()> {
    let [held, probe] = sides else { return Err(Failure::bug("bind", "a join of other than two relations")) };
    for side in sides {
        if let (Some(_), Some(from)) = (&side.syscall, side.from) {
            let fact = format!(
                "{} is a join already, and a join of more than two relations is not supported yet",
                side.relation.name
            );
            return Err(Diagnostic::new("unsupported", from.span, fact)
                .help("join its events: tracepoint.syscalls.sys_enter_NAME, tracepoint.syscalls.sys_exit_NAME")
                .into());
        }
    }
    if let (Some(first), Some(second)) = (held.name(), probe.name())
        && first.eq_ignore_ascii_case(second)
    {
        let at = join.from.alias.as_ref().map_or(join.from.span, |alias| alias.span);
        return Err(Diagnostic::new("ambiguous-name", at, format!("two relations are called \"{second}\""))
            .help("give them names: FROM … AS e JOIN … AS x")
            .into());
    }
    Ok(())
}

/// The rows of a system call: its two events joined, and its columns made of theirs.
pub(super) fn syscall(syscall: &Syscall, span: Span) -> Result<Plan> {
    let first = syscall.enter.columns.len();
    // Without a place of its own an expression takes that of the name that stands for it.
    let nowhere = Span::default();
    let enter = |at: usize| column(at, &syscall.enter, at, nowhere);
    let exit = |at: usize| column(first + at, &syscall.exit, at, nowhere);
    let value = |source: &SyscallColumn| match *source {
        SyscallColumn::Enter(at) => Ok(enter(at)),
        SyscallColumn::Exit(at) => Ok(exit(at)),
        SyscallColumn::Name => {
            let text = Datum::Text(syscall.relation.name.clone().into_bytes());
            Ok(Expr::new(ExprKind::Literal(text), Builtin::Probe.ty(), nowhere))
        }
        SyscallColumn::Between { from, to } => {
            typing::arith(ArithOp::Sub, exit(to), enter(from), nowhere).map_err(Failure::from)
        }
    };
    let columns = syscall.relation.columns.iter().zip(&syscall.sources);
    let items = columns.map(|(column, source)| Ok(Item { name: column.name.clone(), expr: value(source)? }));
    let join = Plan::Join {
        held: Box::new(scan(Arc::new(syscall.enter.clone()), span)),
        probe: Box::new(scan(Arc::new(syscall.exit.clone()), span)),
        holds: None,
        names: ["enter".to_string(), "exit".to_string()],
        reads: if syscall.replaces_memory { ReadAt::Held } else { ReadAt::Taken },
        span,
    };
    Ok(Plan::Project { input: Box::new(join), items: items.collect::<Result<_>>()? })
}

fn column(id: usize, relation: &Relation, at: usize, span: Span) -> Expr {
    let ty = relation.columns.get(at).map_or(bpfquery_catalog::SqlType::Null, |column| column.ty.clone());
    Expr::new(ExprKind::Column(column_id(id)), ty, span)
}

impl Binder<'_> {
    /// The join of the query's two relations, with what its condition says beside the thread as a filter.
    pub(super) fn join(&mut self, join: &Join, whole: Span) -> Result<Plan> {
        let rest = match &join.on {
            On::Using(names) => self.using(names)?,
            On::Condition(condition) => self.on(condition)?,
        };
        let [held, probe] = self.scope.sides.as_slice() else {
            return Err(Failure::bug("bind", "a join of other than two relations"));
        };
        let name = |side: &Side<'_>| side.name().unwrap_or_default().to_string();
        let plan = Plan::Join {
            held: Box::new(held.scan(whole)?),
            probe: Box::new(probe.scan(whole)?),
            holds: None,
            names: [name(held), name(probe)],
            reads: ReadAt::Held,
            span: join.span,
        };
        Ok(rest.into_iter().fold(plan, |plan, predicate| Plan::Filter { input: Box::new(plan), predicate }))
    }

    /// `USING (tid)`.
    fn using(&self, names: &[ast::Name]) -> Result<Vec<Expr>> {
        let is_tid = |name: &ast::Name| {
            let of = |side: &Side<'_>| side.lookup(name, false).is_ok_and(|at| is_tid(&side.relation, at));
            self.scope.sides.iter().all(of)
        };
        match names.iter().find(|name| !is_tid(name)) {
            Some(other) => Err(no_thread(other.span)),
            None => Ok(Vec::new()),
        }
    }

    /// `ON e.tid = x.tid AND …`: the rest.
    fn on(&mut self, condition: &ast::Expr) -> Result<Vec<Expr>> {
        self.place = Place::Where;
        let whole = self.condition(condition, "ON")?;
        let list = match whole.kind {
            ExprKind::And(list) => list,
            _ => vec![whole],
        };
        let (threads, rest): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(|expr| self.is_thread(expr));
        if threads.is_empty() { Err(no_thread(condition.span)) } else { Ok(rest) }
    }

    /// Whether it says that both rows are of one thread.
    fn is_thread(&self, expr: &Expr) -> bool {
        let ExprKind::Compare(CompareOp::Eq, a, b) = &expr.kind else { return false };
        let side = |expr: &Expr| {
            let ExprKind::Column(ColumnId(at)) = expr.kind else { return None };
            let at = at as usize;
            let side = self.scope.sides.iter().rposition(|side| side.first <= at)?;
            let of = &self.scope.sides[side];
            is_tid(&of.relation, at - of.first).then_some(side)
        };
        matches!((side(a), side(b)), (Some(a), Some(b)) if a != b)
    }
}

fn is_tid(relation: &Relation, at: usize) -> bool {
    relation.columns.get(at).is_some_and(|column| column.access == Access::Builtin(Builtin::Tid))
}

fn no_thread(span: Span) -> Failure {
    Diagnostic::new("unsupported", span, "rows are joined by their thread only, so far")
        .detail("one of the conditions must be that both have the same tid")
        .help("ON e.tid = x.tid; more conditions may follow behind AND")
        .into()
}
