//! hash of groups == an array with a slot for each key, when every key is a CPU, or one of few integers or truths.
//!
//! The CPU needs no slots at all: each has its own copy of the array. Where a key is of few values as a rule only (the number of a
//! system call, an enum), the others go to a hash beside the array.

use super::Grouping;
use crate::split_query::domain;
use crate::{Axis, Expr, ExprKind, Store};
use bpfquery_catalog::{Access, Builtin, Column, Hook, Relation, SqlType};

/// Slots of an array, at most: more take longer to read than their look-up saves.
const MOST: u32 = 4096;
/// Bytes of the array on one CPU, at most.
const BYTES: u32 = 1 << 20;
/// Numbers of system calls: x86-64 and the generic table of arm64 end below (arch/x86/entry/syscalls/syscall_64.tbl,
/// scripts/syscall.tbl, both at 469 in Linux 6.18).
const SYSCALLS: u32 = 512;
/// Groups of the hash for keys beyond the array.
const REST: u32 = 1024;

pub(super) fn apply(grouping: &Grouping<'_>) -> Option<Store> {
    let mut slots = 1_u32;
    let mut axes = Vec::new();
    for (key, field) in grouping.keys.iter().zip(&grouping.key.fields) {
        let axis = axis(key, field.null_bit.is_some(), slots, grouping.relation)?;
        slots = slots.checked_mul(axis.slots()).filter(|slots| *slots <= MOST)?;
        axes.push(axis);
    }
    if slots.saturating_mul(grouping.state_bytes) > BYTES {
        return None;
    }
    let unsure = axes.iter().any(|axis| matches!(axis, Axis::Values { sure: false, .. }));
    let rest = unsure.then_some(REST.min(grouping.max_groups));
    Some(Store::Slots { axes, slots, present: None, rest })
}

fn axis(key: &Expr, null: bool, stride: u32, relation: &Relation) -> Option<Axis> {
    let column = match key.kind {
        ExprKind::Column(id) => relation.columns.get(id.0 as usize),
        _ => None,
    };
    if column.is_some_and(|column| column.access == Access::Builtin(Builtin::Cpu)) {
        return Some(Axis::Cpu);
    }
    if let Some((low, count)) = column.and_then(|column| usual(column, relation)) {
        return Some(Axis::Values { low, count, null, stride, sure: false });
    }
    let (low, high) = match (&key.kind, &key.ty) {
        // The axis takes as many bits as the type has.
        (ExprKind::Field { .. }, SqlType::Bool) => (0, 1),
        (ExprKind::Field { .. }, SqlType::Int { bits: 8, signed }) => {
            if *signed {
                (-128, 127)
            } else {
                (0, 255)
            }
        }
        _ => domain::bounds(key)?,
    };
    let count = u32::try_from(high.checked_sub(low)?.checked_add(1)?).ok().filter(|count| *count <= MOST)?;
    Some(Axis::Values { low: i64::try_from(low).ok()?, count, null, stride, sure: true })
}

/// The values that a column has as a rule: the first, and how many.
fn usual(column: &Column, relation: &Relation) -> Option<(i64, u32)> {
    if !matches!(column.access, Access::Context { .. }) {
        return None;
    }
    match &column.ty {
        SqlType::Enum(names) => {
            let (low, high) = (names.values.iter().map(|v| v.0).min()?, names.values.iter().map(|v| v.0).max()?);
            let count = u32::try_from(high.checked_sub(low)?.checked_add(1)?).ok()?;
            Some((low, count)).filter(|(_, count)| *count <= MOST)
        }
        SqlType::Int { .. } if column.name == "id" && counts_syscalls(&relation.hook) => Some((0, SYSCALLS)),
        _ => None,
    }
}

/// Whether `id` is the number of a system call.
fn counts_syscalls(hook: &Hook) -> bool {
    match hook {
        Hook::Tracepoint { category, event } => {
            category == "raw_syscalls" && matches!(event.as_str(), "sys_enter" | "sys_exit")
        }
        Hook::RawTracepoint { event } => event == "sys_enter",
        _ => false,
    }
}
