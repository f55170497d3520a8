//! A user plan out of a file: every reference in it must be to what exists, before anything relies on it.

use bpfquery_plan::{Expr, ExprKind, Layout, SlotOp, Step, Stored, UserPlan};

/// The deepest expression that is believed.
const DEEPEST: usize = 200;

/// That each state field is stored as its operation needs, and that each guard is a counter.
pub(crate) fn check_ops(ops: &[SlotOp], state: &Layout) -> Result<(), String> {
    for (op, field) in ops.iter().zip(&state.fields) {
        let stored_ok = match op {
            SlotOp::Count => field.stored == Stored::Int { bytes: 8, signed: false },
            SlotOp::Sum => field.stored == Stored::Wide,
            SlotOp::Histogram => field.stored == Stored::Buckets,
            SlotOp::Min { seen } | SlotOp::Max { seen } => {
                matches!(field.stored, Stored::Int { .. }) && ops.get(*seen as usize) == Some(&SlotOp::Count)
            }
        };
        if !stored_ok {
            return Err(format!("the manifest's state \"{}\" is not stored as its aggregate needs", field.name));
        }
    }
    Ok(())
}

/// That every step refers to columns and parameters that exist, and that the last one makes the output.
pub(crate) fn check_steps(user: &UserPlan, columns: usize, params: usize) -> Result<(), String> {
    let mut columns = columns;
    for step in &user.steps {
        match step {
            Step::Filter(predicate) => check_expr(predicate, columns, params, 0)?,
            Step::Project(exprs) => {
                exprs.iter().try_for_each(|expr| check_expr(expr, columns, params, 0))?;
                columns = exprs.len();
            }
            Step::Sort(keys) => keys.iter().try_for_each(|key| check_expr(&key.expr, columns, params, 0))?,
            Step::Limit { .. } => {}
        }
    }
    if columns == user.output.len() {
        Ok(())
    } else {
        Err(format!("the manifest's steps make {columns} columns, its output has {}", user.output.len()))
    }
}

fn check_expr(expr: &Expr, columns: usize, params: usize, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("the manifest has an expression nested deeper than {DEEPEST}"));
    }
    match &expr.kind {
        ExprKind::Column(id) if id.0 as usize >= columns => {
            return Err(format!("the manifest refers to column {} of {columns}", id.0));
        }
        ExprKind::Param(id) if id.0 as usize >= params => {
            return Err(format!("the manifest refers to parameter {} of {params}", id.0));
        }
        ExprKind::Field { .. } | ExprKind::ReadText(_) | ExprKind::Tumble { .. } => {
            return Err("the manifest has user space read kernel memory".to_string());
        }
        _ => {}
    }
    expr.children().into_iter().try_for_each(|child| check_expr(child, columns, params, depth + 1))
}
