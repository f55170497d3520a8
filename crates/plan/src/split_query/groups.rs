//! Rows that are counted, summed and spread in the kernel, group by group.

use super::fields::{self, column, fits, is_identity, may_be_cut};
use super::steps::Steps;
use super::stores::{self, Grouping};
use super::{Kernel, cost, memory, not_in_kernel};
use crate::aggregates::Slots;
use crate::typing::coerce;
use crate::{
    AggregateCall, AggregateFn, ColumnId, Expr, ExprKind, Fragment, Item, Layout, Output, OutputColumn, Plan, SlotOp,
    Source, Step, Store, Stored, UserPlan, Window,
};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Failure, Result};

/// Groups that the map holds where nobody says: at some 100 bytes and two CPUs about 1 MiB. There are fewer where a group's
/// state is so large that they would take more than 64 MiB on each CPU. What finds no room is counted.
///
/// The kernel allocates all of them before the first event (0.15 to 0.25 µs for each, most of a start's time), as it must:
/// a map without (BPF_F_NO_PREALLOC) keeps no more than three values of a per-CPU hash ready, and new keys that come faster than
/// an interrupt brings others are lost (`init_refill_work`, kernel/bpf/memalloc.c, Linux 6.18).
pub const MAX_GROUPS: u32 = 4096;

/// Bytes of all groups' state on one CPU.
const LARGEST_MAP: u32 = 64 << 20;

/// Bytes of a hash map's key: MAX_BPF_STACK, which htab_map_alloc_check asks for in Linux 5.10 (kernel/bpf/hashtab.c).
const LARGEST_KEY: u32 = 512;
/// Bytes of a per-CPU map's value: PCPU_MIN_UNIT_SIZE, include/linux/percpu.h (Linux 5.10 to 6.12).
const LARGEST_STATE: u32 = 32 << 10;

/// The two halves of a query with one Aggregate; `rest` are the operators above it.
pub(super) fn groups(
    kernel: Kernel,
    keys: &[Item],
    aggregates: &[AggregateCall],
    rest: &[&Plan],
    output: Vec<OutputColumn>,
    max_groups: Option<u32>,
) -> Result<(Fragment, UserPlan)> {
    if let Some(filter) = kernel.filter.iter().find(|e| e.needs_user_space()) {
        return Err(not_in_kernel(filter, "this condition before grouping").into());
    }
    let key_exprs = key_exprs(&kernel, keys)?;
    let calls = aggregates.iter().map(|call| over_relation(call, &kernel)).collect::<Result<Vec<_>>>()?;
    let names = output_names(keys, aggregates, rest);
    let (key_names, call_names) = names.split_at(keys.len());
    let nullable: Vec<bool> = kernel.relation.columns.iter().map(crate::column_nullable).collect();
    let mut slots = Slots::over(nullable.clone());
    let finish: Vec<Expr> = calls.iter().map(|call| call.function.definition().expand(call, &mut slots)).collect();
    if slots.list.is_empty() {
        // DISTINCT: a group's existence is its state, and a map's value is never empty.
        slots.slot(SlotOp::Count, None, None, kernel.span);
    }
    let key = fields::key(key_names.iter().zip(&key_exprs), &nullable)?;
    let lay_out = |slots: &Slots| state_layout(slots, &slot_names(slots, &calls, &finish, call_names));
    let state_bytes = lay_out(&slots)?.size;
    let max_groups = max_groups.unwrap_or_else(|| MAX_GROUPS.min(LARGEST_MAP / state_bytes.max(1)));
    let grouping = Grouping {
        relation: &kernel.relation,
        keys: &key_exprs,
        key: &key,
        slots: &slots.list,
        state_bytes: state_bytes + 8,
        max_groups,
    };
    let (mut store, rule) = stores::choose(&grouping);
    if let (Store::Slots { present, .. }, false) = (&mut store, key_exprs.is_empty()) {
        // Which slots are groups is told by a count of all their rows.
        *present = Some(slots.count(kernel.span));
    }
    let state = lay_out(&slots)?;
    fits(&key, LARGEST_KEY, "the grouping key", kernel.span)?;
    fits(&state, LARGEST_STATE, "the state of a group", kernel.span)?;
    let mut project: Vec<Expr> = key_exprs.iter().enumerate().map(|(i, e)| column(i, &e.ty, e.span)).collect();
    project.extend(finish.iter().map(|f| behind_keys(f, key_exprs.len())));
    let cut = key_exprs.iter().map(|e| may_be_cut(e, &kernel.relation));
    let mut steps = Steps::new(cut.chain(slots.list.iter().map(|_| false)).collect());
    if !is_identity(&project, key_exprs.len() + slots.list.len()) {
        steps.push(Step::Project(project))?;
    }
    steps.operators(rest)?;
    let source = Source::Groups {
        key: key.clone(),
        key_types: key_exprs.iter().map(|e| e.ty.clone()).collect(),
        state: state.clone(),
        ops: slots.list.iter().map(|slot| slot.op).collect(),
        slot_types: slots.types,
        window: window(&key_exprs),
        store: store.clone(),
    };
    let filter = cost::cheapest_first(kernel.filter, &kernel.relation);
    let groups = Output::Groups { key, keys: key_exprs, state, slots: slots.list, store, rule };
    let fragment = Fragment { relation: kernel.relation, matched: None, filter, output: groups, span: kernel.span };
    Ok((fragment, UserPlan { source, steps: steps.done(), output }))
}

fn key_exprs(kernel: &Kernel, keys: &[Item]) -> Result<Vec<Expr>> {
    keys.iter()
        .map(|key| {
            let expr = key.expr.substitute(&kernel.columns);
            if !expr.ty.is_output() {
                return Err(memory(&key.name, &expr.ty, expr.span).into());
            }
            if expr.needs_user_space() {
                return Err(not_in_kernel(&expr, "this grouping key").into());
            }
            // A bare NULL has no bytes of its own.
            Ok(if expr.ty == SqlType::Null { coerce(expr, &SqlType::I64) } else { expr })
        })
        .collect()
}

fn over_relation(call: &AggregateCall, kernel: &Kernel) -> Result<AggregateCall> {
    let over = |e: &Expr| e.substitute(&kernel.columns);
    let call = AggregateCall {
        argument: call.argument.as_ref().map(over),
        filter: call.filter.as_ref().map(over),
        ..call.clone()
    };
    match call.argument.iter().chain(&call.filter).find(|e| e.needs_user_space()) {
        Some(expr) => Err(not_in_kernel(expr, "what is aggregated").into()),
        None => Ok(call),
    }
}

/// The names of the aggregate's output columns: those under which the query shows them, if it does.
fn output_names(keys: &[Item], aggregates: &[AggregateCall], rest: &[&Plan]) -> Vec<String> {
    let own = keys.iter().map(|k| &k.name).chain(aggregates.iter().map(|c| &c.name));
    let mut names: Vec<String> = own.cloned().collect();
    let Some(Plan::Project { items, .. }) = rest.iter().find(|plan| matches!(plan, Plan::Project { .. })) else {
        return names;
    };
    for item in items.iter().rev() {
        if let ExprKind::Column(ColumnId(at)) = item.expr.kind
            && let Some(name) = names.get_mut(at as usize)
        {
            name.clone_from(&item.name);
        }
    }
    names
}

/// Each slot's name: the call's where the slot is its result but for NULL, otherwise the call's with what the slot adds to it.
fn slot_names(slots: &Slots, calls: &[AggregateCall], finish: &[Expr], names: &[String]) -> Vec<String> {
    let mut named: Vec<Option<String>> = vec![None; slots.list.len()];
    let used = |expr: &Expr| {
        let mut list = Vec::new();
        expr.walk(&mut |e| {
            if let ExprKind::Column(ColumnId(at)) = e.kind {
                list.push(at as usize);
            }
        });
        list
    };
    for ((call, finish), name) in calls.iter().zip(finish).zip(names) {
        // The result is the last column that the expression names; an average is none of its parts.
        if let (Some(at), true) = (used(finish).pop(), call.function != AggregateFn::Avg) {
            named[at].get_or_insert_with(|| name.clone());
        }
    }
    for (finish, name) in finish.iter().zip(names) {
        for at in used(finish) {
            named[at].get_or_insert_with(|| match slots.list[at].op {
                SlotOp::Count => format!("{name}_seen"),
                SlotOp::Sum => format!("{name}_sum"),
                SlotOp::Min { .. } | SlotOp::Max { .. } | SlotOp::Histogram => name.clone(),
            });
        }
    }
    // Guards of min and max are named by nobody's result.
    for slot in 0..slots.list.len() {
        if let SlotOp::Min { seen } | SlotOp::Max { seen } = slots.list[slot].op {
            let name = format!("{}_seen", named[slot].clone().unwrap_or_default());
            named[seen as usize].get_or_insert(name);
        }
    }
    named.into_iter().map(|name| name.unwrap_or_else(|| "rows".to_string())).collect()
}

/// No field of the state is NULL: what nobody has seen is told by its counter.
fn state_layout(slots: &Slots, names: &[String]) -> Result<Layout> {
    let fields = slots.list.iter().zip(names).map(|(slot, name)| {
        let stored = match slot.op {
            SlotOp::Count => Some(Stored::Int { bytes: 8, signed: false }),
            SlotOp::Sum => Some(Stored::Wide),
            SlotOp::Min { .. } | SlotOp::Max { .. } => slot.input.as_ref().and_then(|e| Stored::of(&e.ty)),
            SlotOp::Histogram => Some(Stored::Buckets),
        };
        let stored = stored.ok_or_else(|| Failure::bug("split", format!("the state of \"{name}\" has no bytes")))?;
        Ok((name.clone(), stored, false))
    });
    Ok(Layout::new(fields.collect::<Result<Vec<_>>>()?))
}

/// An expression over slots, as one over keys and slots.
pub(super) fn behind_keys(expr: &Expr, keys: usize) -> Expr {
    expr.map(&mut |e| match e.kind {
        ExprKind::Column(ColumnId(at)) => column(keys + at as usize, &e.ty, e.span),
        _ => e,
    })
}

fn window(keys: &[Expr]) -> Option<Window> {
    (0..).zip(keys).find_map(|(key, expr)| match expr.kind {
        ExprKind::Tumble { size_ns } => Some(Window { key, size_ns }),
        _ => None,
    })
}
