//! Columns of groups that come out of states without the evaluator: what `count`, `sum`, `avg`, `min` and `max` expand to.
//!
//! What must hold: each is what the evaluator says of the same expression; a plan that has any other is the evaluator's.

use crate::columns::Column;
use crate::decode;
use crate::groups::Group;
use crate::merge::States;
use bpfquery_catalog::SqlType;
use bpfquery_plan::{ArithOp, ColumnId, CompareOp, Datum, Expr, ExprKind, Source, Step, UserPlan};

/// Where a column of the result comes from: places among the source's columns, which are keys and then slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direct {
    /// One of them.
    Column(usize),
    /// `CASE WHEN seen = 0 THEN NULL ELSE value END`.
    Seen { seen: usize, value: usize },
    /// `sum::double precision / seen::double precision`.
    Mean { sum: usize, seen: usize },
}

/// The result's columns, if the steps do nothing but choose them.
pub(crate) fn direct(plan: &UserPlan) -> Option<Vec<Direct>> {
    let Source::Groups { key_types, slot_types, .. } = &plan.source else { return None };
    let (keys, slots) = (key_types.len(), slot_types.len());
    let mut columns: Vec<Direct> = (0..keys + slots).map(Direct::Column).collect();
    for step in &plan.steps {
        let Step::Project(exprs) = step else { return None };
        columns = exprs.iter().map(|expr| chosen(expr, &columns, keys)).collect::<Option<_>>()?;
    }
    Some(columns)
}

fn chosen(expr: &Expr, columns: &[Direct], keys: usize) -> Option<Direct> {
    let column = |expr: &Expr| match expr.kind {
        ExprKind::Column(ColumnId(at)) => columns.get(at as usize).copied(),
        _ => None,
    };
    let slot = |expr: &Expr| match column(expr)? {
        Direct::Column(at) if at >= keys => Some(at),
        _ => None,
    };
    let double = |expr: &Expr| match &expr.kind {
        ExprKind::Cast(inner) if expr.ty == SqlType::Double => slot(inner),
        _ => None,
    };
    match &expr.kind {
        ExprKind::Column(_) => column(expr),
        ExprKind::Case { arms, otherwise } => match arms.as_slice() {
            [(condition, null)] if null.kind == ExprKind::Literal(Datum::Null) => {
                Some(Direct::Seen { seen: slot(is_zero(condition)?)?, value: slot(otherwise)? })
            }
            _ => None,
        },
        ExprKind::Arith(ArithOp::Div, sum, seen) if expr.ty == SqlType::Double => {
            Some(Direct::Mean { sum: double(sum)?, seen: double(seen)? })
        }
        _ => None,
    }
}

/// `x` of `x = 0`.
fn is_zero(condition: &Expr) -> Option<&Expr> {
    match &condition.kind {
        ExprKind::Compare(CompareOp::Eq, x, zero) if zero.kind == ExprKind::Literal(Datum::Int(0)) => Some(x),
        _ => None,
    }
}

/// Appends a column's value of each group.
pub(crate) fn append(from: Direct, source: &Source, wall_offset: i64, groups: &[Group<'_>], column: &mut Column) {
    let Source::Groups { key, key_types, state, ops, slot_types, .. } = source else { return };
    let states = States { layout: state, ops, types: slot_types, wall_offset };
    let slot = |at: usize| at - key.fields.len();
    let int = |at: usize, group: &Group<'_>| match states.slot(slot(at), group.states, group.stride) {
        Datum::Int(n) => n,
        _ => 0,
    };
    match from {
        Direct::Column(at) => match key.fields.get(at).zip(key_types.get(at)) {
            Some((field, ty)) => {
                groups.iter().for_each(|group| decode::append(key, field, ty, group.key, wall_offset, column));
            }
            None => groups.iter().for_each(|g| states.append(slot(at), g.states, g.stride, column)),
        },
        Direct::Seen { seen, value } => groups.iter().for_each(|group| match int(seen, group) {
            0 => column.null(),
            _ => states.append(slot(value), group.states, group.stride, column),
        }),
        Direct::Mean { sum, seen } => groups.iter().for_each(|group| match int(seen, group) {
            0 => column.null(),
            n => column.datum(&Datum::Double(int(sum, group) as f64 / n as f64)),
        }),
    }
}
