//! Which columns may be NULL.
//!
//! What must hold: a column that is said never to be NULL never is: lowering leaves out its null bit, and rules take `x IS NULL` for
//! false. Saying too often that a column may be NULL costs a bit and a missed simplification.

use crate::{AggregateFn, ColumnId, Expr, Plan};
use bpfquery_catalog::{Access, Builtin, Column};

/// Whether a relation's column may be NULL: where fetching it is a read of memory that may fault.
pub fn column_nullable(column: &Column) -> bool {
    match &column.access {
        Access::Builtin(builtin) => match builtin {
            // Follows current->real_parent.
            Builtin::Ppid => true,
            Builtin::Ts
            | Builtin::Elapsed
            | Builtin::Pid
            | Builtin::Tid
            | Builtin::Uid
            | Builtin::Gid
            | Builtin::Comm
            | Builtin::Cpu
            | Builtin::CgroupId
            | Builtin::Probe => false,
        },
        // Text in the record is copied by a probe read; scalars are loads that the verifier has checked.
        Access::Context { .. } => column.ty.is_text(),
        // The kernel has just copied it from there.
        Access::Member { .. } => column.ty.is_text(),
        Access::DataLocation { .. } => true,
        // Nobody asks.
        Access::Unreachable => true,
        Access::Listed { nullable } => *nullable,
        Access::Held { null_bit, .. } => null_bit.is_some(),
    }
}

impl Plan {
    /// Whether each column of the output may be NULL.
    pub fn nullable(&self) -> Vec<bool> {
        match self {
            Plan::Scan { relation, .. } => relation.columns.iter().map(column_nullable).collect(),
            Plan::Join { held, probe, .. } => [held.nullable(), probe.nullable()].concat(),
            Plan::Filter { input, .. } | Plan::Sort { input, .. } | Plan::Limit { input, .. } => input.nullable(),
            Plan::Project { input, items } => {
                let below = input.nullable();
                items.iter().map(|item| item.expr.nullable_over(&below)).collect()
            }
            Plan::Aggregate { input, keys, aggregates } => {
                let below = input.nullable();
                let keys = keys.iter().map(|key| key.expr.nullable_over(&below));
                let never = |f| matches!(f, AggregateFn::Count | AggregateFn::Hist);
                keys.chain(aggregates.iter().map(|call| !never(call.function))).collect()
            }
        }
    }
}

impl Expr {
    /// Whether the value may be NULL, where column `i` may be if `columns[i]`.
    pub fn nullable_over(&self, columns: &[bool]) -> bool {
        self.nullable(&|ColumnId(at)| columns.get(at as usize).copied().unwrap_or(true))
    }
}
