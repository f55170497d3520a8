//! Conditions on one of a join's rows move into the join.
//!
//! ```text
//! Filter[p](Join(h, x)) == Join(Filter[p](h), Filter[p](x))    p: over what a thread never changes, its pid and tid
//! Filter[p](Join(h, x)) == Join(h holds p, x)                  p: over h only, and the kernel can compute it when the row is held
//! ```
//! The first leaves out whole threads, whose rows never meet others'. The second must not leave rows out: a row that fails the condition
//! still replaces the one before it, and is still taken. For the same reason a condition over x alone stays where it is: an
//! x that fails it takes its row all the same.

use super::bottom_up;
use crate::typing::and;
use crate::{ColumnId, Expr, ExprKind, Plan, ReadAt};
use bpfquery_catalog::{Access, Builtin};

pub(crate) fn apply(plan: Plan) -> Plan {
    bottom_up(plan, &|plan| match plan {
        Plan::Filter { input, predicate } => match *input {
            Plan::Join { .. } => push(*input, predicate),
            other => Plan::Filter { input: Box::new(other), predicate },
        },
        other => other,
    })
}

fn push(join: Plan, predicate: Expr) -> Plan {
    let span = predicate.span;
    let list = match predicate.kind {
        ExprKind::And(list) => list,
        _ => vec![predicate],
    };
    let (mut join, mut rest) = (join, Vec::new());
    for conjunct in list {
        match one(&mut join, &conjunct) {
            true => {}
            false => rest.push(conjunct),
        }
    }
    let left = if rest.is_empty() { None } else { and(rest, span).ok() };
    match left {
        Some(predicate) => Plan::Filter { input: Box::new(join), predicate },
        None => join,
    }
}

/// Moves a condition into the join, if it may be there.
fn one(join: &mut Plan, predicate: &Expr) -> bool {
    let Plan::Join { held, probe, holds, reads, .. } = join else { return false };
    if predicate.needs_user_space() || !predicate.any(&|e| matches!(e.kind, ExprKind::Column(_))) {
        return false;
    }
    if let Some([of_held, of_probe]) = of_thread(predicate, held, probe) {
        filter(held, of_held);
        filter(probe, of_probe);
        return true;
    }
    let first = held.output().len();
    let of_probe = |e: &Expr| matches!(e.kind, ExprKind::Column(ColumnId(at)) if at as usize >= first);
    let memory = |e: &Expr| matches!(e.kind, ExprKind::Field { .. } | ExprKind::ReadText(_));
    let clock = |e: &Expr| matches!(e.kind, ExprKind::Tumble { .. });
    if predicate.any(&of_probe) || predicate.any(&clock) || (*reads == ReadAt::Taken && predicate.any(&memory)) {
        return false;
    }
    let all = holds.iter().cloned().chain([predicate.clone()]).collect();
    match and(all, predicate.span) {
        Ok(both) => *holds = Some(both),
        Err(_) => return false,
    }
    true
}

fn filter(side: &mut Plan, predicate: Expr) {
    *side = Plan::Filter { input: Box::new(side.clone()), predicate };
}

/// The condition over each side's columns, where it is about nothing but the thread.
fn of_thread(predicate: &Expr, held: &Plan, probe: &Plan) -> Option<[Expr; 2]> {
    let first = held.output().len();
    let mut known = true;
    let mut over = |side: &Plan| {
        predicate.map(&mut |mut e| {
            if let ExprKind::Column(ColumnId(at)) = &mut e.kind {
                let from = (*at as usize).checked_sub(first).map_or((held, *at as usize), |at| (probe, at));
                match builtin(from.0, from.1).filter(is_constant).and_then(|builtin| position(side, builtin)) {
                    Some(position) => *at = position,
                    None => known = false,
                }
            }
            e
        })
    };
    let both = [over(held), over(probe)];
    known.then_some(both)
}

/// What a thread never changes: its process, and its own id, but where execve by another than the leader gives it the leader's.
pub(super) fn is_constant(builtin: &Builtin) -> bool {
    matches!(builtin, Builtin::Pid | Builtin::Tid)
}

/// The built-in that a side's column is.
pub(super) fn builtin(side: &Plan, at: usize) -> Option<Builtin> {
    match side {
        Plan::Scan { relation, .. } => match relation.columns.get(at)?.access {
            Access::Builtin(builtin) => Some(builtin),
            _ => None,
        },
        _ => builtin(side.input()?, at),
    }
}

/// Where a side has a built-in.
pub(super) fn position(side: &Plan, wanted: Builtin) -> Option<u32> {
    match side {
        Plan::Scan { relation, .. } => {
            let at = relation.columns.iter().position(|column| column.access == Access::Builtin(wanted))?;
            u32::try_from(at).ok()
        }
        _ => position(side.input()?, wanted),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, and, check_rule, col, eq, int, lt};

    #[test]
    fn a_thread_is_left_out_on_both_sides() {
        for pid in ["e.pid", "x.pid"] {
            check_rule(
                super::apply,
                Q::join().filter(eq(col(pid), int(7))),
                "Join [e by x on thread]\n  Filter [pid = 7]\n    Scan\n  Filter [pid = 7]\n    Scan",
            );
        }
    }

    #[test]
    fn what_one_row_says_is_decided_when_it_is_held_or_stays() {
        let both = and(eq(col("e.flags"), int(1)), lt(col("x.flags"), int(9)));
        check_rule(
            super::apply,
            Q::join().filter(both),
            "Filter [x.flags < 9]\n  Join [e by x on thread, holds e.flags = 1]\n    Scan\n    Scan",
        );
        let of_both = Q::join().filter(lt(col("e.flags"), col("x.flags")));
        check_rule(super::apply, of_both, "Filter [e.flags < x.flags]\n  Join [e by x on thread]\n    Scan\n    Scan");
        // The name of a thread changes.
        let name = Q::join().filter(eq(col("x.cpu"), int(1)));
        check_rule(super::apply, name, "Filter [x.cpu = 1]\n  Join [e by x on thread]\n    Scan\n    Scan");
    }
}
