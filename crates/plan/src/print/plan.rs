//! Plans as trees: an operator on a line, its input indented below.

use super::{expr::ident, list};
use crate::{AggregateCall, Item, Param, Plan, Query, ReadAt, SortKey};
use bpfquery_catalog::{Access, Relation};
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tree(self, &[]))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tree(&self.plan, &self.params))
    }
}

/// The tree, with the parameters' names; ends in a newline.
fn tree(plan: &Plan, params: &[Param]) -> String {
    let mut text = String::new();
    write(&mut text, plan, 0, params);
    text
}

fn write(text: &mut String, plan: &Plan, depth: usize, params: &[Param]) {
    let (mut at, mut depth) = (Some(plan), depth);
    while let Some(plan) = at {
        *text += &format!("{}{}\n", "  ".repeat(depth), operator(plan, params));
        at = plan.input();
        depth += 1;
        if let Plan::Join { held, probe, .. } = plan {
            write(text, held, depth, params);
            write(text, probe, depth, params);
        }
    }
}

fn operator(plan: &Plan, params: &[Param]) -> String {
    let columns = plan.input().map(names).unwrap_or_default();
    match plan {
        Plan::Scan { relation, used, .. } => {
            let used = list(used, |id| column(relation, id.0 as usize));
            format!("Scan {} [{used}]", relation.name)
        }
        Plan::Join { holds, names: [held, probe], reads, .. } => {
            let holds = holds.as_ref().map(|e| format!(", holds {}", e.text(&names(plan), params)));
            let late = if *reads == ReadAt::Taken { ", memory read when taken" } else { "" };
            format!("Join [{} by {} on thread{}{late}]", ident(held), ident(probe), holds.unwrap_or_default())
        }
        Plan::Filter { predicate, .. } => format!("Filter [{}]", predicate.text(&columns, params)),
        Plan::Project { items, .. } => format!("Project [{}]", list(items, |i| item(i, &columns, params))),
        Plan::Aggregate { keys, aggregates, .. } => {
            let calls = list(aggregates, |c| call(c, &columns, params));
            let by = list(keys, |k| item(k, &columns, params));
            if keys.is_empty() { format!("Aggregate [{calls}]") } else { format!("Aggregate [{calls}] by [{by}]") }
        }
        Plan::Sort { keys, .. } => format!("Sort [{}]", list(keys, |k| sort_key(k, &columns, params))),
        Plan::Limit { count, offset, .. } => limit(*count, *offset),
    }
}

fn names(plan: &Plan) -> Vec<String> {
    plan.output().into_iter().map(|(name, _)| name).collect()
}

fn column(relation: &Relation, at: usize) -> String {
    let Some(column) = relation.columns.get(at) else { return format!("#{at}") };
    let name = ident(&column.name);
    match &column.access {
        Access::Builtin(_) => format!("{name}: {}", column.ty),
        Access::Context { offset, .. } => format!("{name}: {} @{offset}", column.ty),
        Access::DataLocation { offset } => format!("{name}: {} @*{offset}", column.ty),
        Access::Member { offset, path } => format!("{name}: {} @{offset} -> {}", column.ty, path.text),
        Access::Listed { .. } | Access::Unreachable => format!("{name}: {}", column.ty),
        Access::Held { offset, .. } => format!("{name}: {} @held+{offset}", column.ty),
    }
}

fn item(item: &Item, columns: &[String], params: &[Param]) -> String {
    with_name(item.expr.text(columns, params), &item.name)
}

fn with_name(text: String, name: &str) -> String {
    let name = ident(name);
    if text == name { text } else { format!("{text} AS {name}") }
}

fn call(call: &AggregateCall, columns: &[String], params: &[Param]) -> String {
    let function = call.function.definition().name();
    let argument = call.argument.as_ref().map_or_else(|| "*".to_string(), |a| a.text(columns, params));
    let filter = call.filter.as_ref().map(|f| format!(" FILTER (WHERE {})", f.text(columns, params)));
    let text = format!("{function}({argument}){}", filter.unwrap_or_default());
    // PostgreSQL names the column of an aggregate after the function: that says nothing new.
    if call.name == function { text } else { with_name(text, &call.name) }
}

pub(super) fn sort_key(key: &SortKey, columns: &[String], params: &[Param]) -> String {
    let direction = if key.descending { " DESC" } else { "" };
    let nulls = match (key.descending, key.nulls_first) {
        (true, false) => " NULLS LAST",
        (false, true) => " NULLS FIRST",
        (true, true) | (false, false) => "",
    };
    format!("{}{direction}{nulls}", key.expr.text(columns, params))
}

pub(super) fn limit(count: Option<u64>, offset: u64) -> String {
    let count = count.map_or_else(|| "ALL".to_string(), |n| n.to_string());
    if offset == 0 { format!("Limit {count}") } else { format!("Limit {count} OFFSET {offset}") }
}
