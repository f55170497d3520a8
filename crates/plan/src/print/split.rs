//! The split as text: what runs in the kernel, then what runs on its output.

use super::expr::{ident, interval};
use super::list;
use super::plan::{limit, sort_key};
use crate::{
    Axis, Expr, Fragment, HeldStore, Layout, Matched, Output, Param, Slot, SlotOp, Source, Split, Step, Store, UserPlan,
};
use bpfquery_catalog::{Relation, SqlType};
use std::fmt::{self, Write};

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fragment) in self.kernel.iter().enumerate() {
            writeln!(f, "kernel k{i}: {}", hooked(&fragment.relation))?;
            f.write_str(&kernel(fragment, &self.params))?;
        }
        f.write_str(&user(&self.user, &self.params))
    }
}

impl fmt::Display for UserPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&user(self, &[]))
    }
}

/// `tracepoint.sched.sched_switch on rawtracepoint.sched_switch`; the name alone where it says the hook.
fn hooked(relation: &Relation) -> String {
    let hook = relation.hook.to_string();
    if hook == relation.name { hook } else { format!("{} on {hook}", relation.name) }
}

fn kernel(fragment: &Fragment, params: &[Param]) -> String {
    let columns: Vec<String> = fragment.relation.columns.iter().map(|c| c.name.clone()).collect();
    let text = |expr: &Expr| expr.text(&columns, params);
    let mut out = String::new();
    if let Some(Matched { before, store, .. }) = &fragment.matched {
        for predicate in before {
            line(&mut out, 1, format!("filter {}", text(predicate)));
        }
        line(&mut out, 1, format!("take what the thread holds {}", held_in(*store)));
    }
    for predicate in &fragment.filter {
        line(&mut out, 1, format!("filter {}", text(predicate)));
    }
    match &fragment.output {
        Output::Hold { store, layout, values, holds, .. } => {
            for predicate in holds {
                line(&mut out, 1, format!("no pair unless {}", text(predicate)));
            }
            line(&mut out, 1, format!("hold {}, {}", held_in(*store), bytes(layout)));
            fields(&mut out, layout, values, |v| (text(v), v.ty.to_string()));
        }
        Output::Rows { layout, values } => {
            line(&mut out, 1, format!("rows, {}", bytes(layout)));
            fields(&mut out, layout, values, |v| (text(v), v.ty.to_string()));
        }
        Output::Groups { key, keys, state, slots, store, rule } => {
            let rule = rule.map_or_else(String::new, |rule| format!(" ({rule})"));
            line(&mut out, 1, format!("{}{rule}", self::store(store)));
            if !keys.is_empty() {
                line(&mut out, 1, format!("key, {}", bytes(key)));
                fields(&mut out, key, keys, |v| (text(v), v.ty.to_string()));
            }
            line(&mut out, 1, format!("state, {}", bytes(state)));
            fields(&mut out, state, slots, |s| (slot(s, &text), slot_type(s).to_string()));
        }
    }
    out
}

fn held_in(store: HeldStore) -> String {
    match store {
        HeldStore::Tid { max_threads } => format!("in a hash by tid, at most {max_threads} threads"),
        HeldStore::Task => "in task storage (task_storage)".to_string(),
    }
}

fn store(store: &Store) -> String {
    match store {
        Store::Hash { max_groups } => format!("groups, at most {max_groups}"),
        Store::Shared { max_groups } => format!("groups, at most {max_groups}, shared by all CPUs"),
        Store::Slots { slots, rest, axes, .. } => {
            let each = if axes.contains(&Axis::Cpu) { " for each CPU" } else { "" };
            let rest = rest.map_or_else(String::new, |rest| format!(", at most {rest} beside them"));
            format!("groups in {slots} slot{}{each}{rest}", if *slots == 1 { "" } else { "s" })
        }
    }
}

fn bytes(layout: &Layout) -> String {
    match layout.nulls {
        Some((offset, bytes)) => format!("{} bytes, null bits u{} @{offset}", layout.size, 8 * bytes),
        None => format!("{} bytes", layout.size),
    }
}

fn fields<T>(out: &mut String, layout: &Layout, values: &[T], text: impl Fn(&T) -> (String, String)) {
    for (field, value) in layout.fields.iter().zip(values) {
        let (value, ty) = text(value);
        let null = if field.null_bit.is_some() { " null" } else { "" };
        line(out, 2, format!("{} {ty}{null} @{} = {value}", ident(&field.name), field.offset));
    }
}

fn slot(slot: &Slot, text: &dyn Fn(&Expr) -> String) -> String {
    let input = slot.input.as_ref().map_or_else(|| "*".to_string(), text);
    let call = match slot.op {
        SlotOp::Count => format!("count({input})"),
        SlotOp::Sum => format!("sum({input})"),
        SlotOp::Min { seen } => format!("min({input}) unless #{seen} = 0"),
        SlotOp::Max { seen } => format!("max({input}) unless #{seen} = 0"),
        SlotOp::Histogram => format!("histogram({input})"),
    };
    match &slot.filter {
        Some(filter) => format!("{call} FILTER (WHERE {})", text(filter)),
        None => call,
    }
}

fn slot_type(slot: &Slot) -> SqlType {
    slot.op.column_type(slot.input.as_ref())
}

fn user(plan: &UserPlan, params: &[Param]) -> String {
    let mut out = String::new();
    let mut columns = match &plan.source {
        Source::Rows { layout, .. } => {
            line(&mut out, 0, "user: rows".into());
            names(layout)
        }
        Source::Listing { listing, used } => {
            let relation = listing.relation();
            let columns: Vec<String> = relation.columns.into_iter().map(|column| column.name).collect();
            let used = list(used, |id| columns.get(id.0 as usize).map_or_else(String::new, |name| ident(name)));
            line(&mut out, 0, format!("user: {} [{used}]", relation.name));
            columns
        }
        Source::Groups { key, state, window, .. } => {
            let each = window.map_or_else(String::new, |w| {
                let name = key.fields.get(w.key as usize).map_or("?", |f| &f.name);
                format!(", window {} of {}", ident(name), interval(i128::from(w.size_ns)))
            });
            line(&mut out, 0, format!("user: groups{each}"));
            names(key).into_iter().chain(names(state)).collect()
        }
    };
    let last = plan.steps.iter().rposition(|step| matches!(step, Step::Project(_)));
    for (at, step) in plan.steps.iter().enumerate() {
        line(&mut out, 1, self::step(step, &columns, params));
        if let Step::Group { keys, slots } = step {
            let text = |e: &Expr| e.text(&columns, params);
            columns = keys.iter().map(text).chain(slots.iter().map(|s| slot(s, &text))).collect();
        }
        if let Step::Project(exprs) = step {
            columns = match Some(at) == last {
                true => plan.output.iter().map(|column| column.name.clone()).collect(),
                false => exprs.iter().map(|e| projected(e, &columns)).collect(),
            };
        }
    }
    line(&mut out, 1, format!("output {}", list(&plan.output, |c| format!("{} {}", ident(&c.name), c.ty))));
    out
}

fn step(step: &Step, columns: &[String], params: &[Param]) -> String {
    match step {
        Step::Filter(predicate) => format!("filter {}", predicate.text(columns, params)),
        Step::Group { keys, slots } => {
            let text = |e: &Expr| e.text(columns, params);
            let by = if keys.is_empty() { String::new() } else { format!(" by {}", list(keys, text)) };
            format!("group {}{by}", list(slots, |s| slot(s, &text)))
        }
        Step::Project(exprs) => format!("project {}", list(exprs, |e| e.text(columns, params))),
        Step::Sort(keys) => format!("sort {}", list(keys, |k| sort_key(k, columns, params))),
        Step::Limit { count, offset } => limit(*count, *offset).to_lowercase(),
    }
}

/// A projected column keeps its name; what is computed on the way has none, and prints as its position.
fn projected(expr: &Expr, columns: &[String]) -> String {
    match &expr.kind {
        crate::ExprKind::Column(id) => columns.get(id.0 as usize).cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

fn names(layout: &Layout) -> Vec<String> {
    layout.fields.iter().map(|f| f.name.clone()).collect()
}

fn line(out: &mut String, depth: usize, text: String) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}{text}", "  ".repeat(depth));
}
