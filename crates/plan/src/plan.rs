//! The relational algebra: what a query means, before and after optimisation.

use crate::Expr;
use bpfquery_catalog::{Relation, SqlType};
use bpfquery_diag::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A bound query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The tree.
    pub plan: Plan,
    /// Parameters in order of [`crate::ParamId`].
    pub params: Vec<Param>,
}

/// A parameter: `$1` is named `1`, `:limit` is named `limit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Without `$` or `:`.
    pub name: String,
    /// Its type, from where it stands; `bigint` where nothing says.
    pub ty: SqlType,
}

/// The position of a column in the output of a plan's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnId(pub u32);

/// A relational operator. Expressions refer to columns of the operator's input by position.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// The rows of a relation; its output is all of the relation's columns, by position in [`Relation::columns`]. What is
    /// not used is not fetched.
    Scan {
        /// Which.
        relation: Arc<Relation>,
        /// The columns that are used, ascending; the rule `prune_columns` fills it in (all of them before that).
        used: Vec<ColumnId>,
        /// Where its name stands.
        span: Span,
    },
    /// Each row of `probe` behind the row that its thread last had of `held`, which no other row then gets; a row of `probe` whose
    /// thread has none makes none. Its output is the held columns, then the probe's.
    Join {
        /// Whose rows are held, each by its thread until the next one.
        held: Box<Plan>,
        /// Whose rows take them.
        probe: Box<Plan>,
        /// Over the held columns, and decided when a row is held: where it is not true the row is taken as any other, and the pair
        /// is no row.
        holds: Option<Expr>,
        /// What the query calls the two.
        names: [String; 2],
        /// When memory that held columns point at is read.
        reads: ReadAt,
        /// Where the join stands.
        span: Span,
    },
    /// The rows for which the predicate is true.
    Filter {
        /// Its input.
        input: Box<Plan>,
        /// A boolean.
        predicate: Expr,
    },
    /// One row for each row.
    Project {
        /// Its input.
        input: Box<Plan>,
        /// The output's columns.
        items: Vec<Item>,
    },
    /// One row for each distinct key; without keys exactly one row. Its output is the keys, then the aggregates.
    Aggregate {
        /// Its input.
        input: Box<Plan>,
        /// The grouping keys.
        keys: Vec<Item>,
        /// The aggregates.
        aggregates: Vec<AggregateCall>,
    },
    /// Rows in order.
    Sort {
        /// Its input.
        input: Box<Plan>,
        /// Most significant first.
        keys: Vec<SortKey>,
    },
    /// The rows from `offset` on, at most `count` of them.
    Limit {
        /// Its input.
        input: Box<Plan>,
        /// `None` for LIMIT ALL.
        count: Option<u64>,
        /// Rows left out first.
        offset: u64,
    },
}

/// When memory is read that a held column points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// When the row happens, as for any other row.
    Held,
    /// When the row is taken: a system call's arguments, whose memory the kernel has read, and filled, by then.
    Taken,
}

/// A named expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The output column's name, as PostgreSQL names it.
    pub name: String,
    /// Its value.
    pub expr: Expr,
}

/// A call of an aggregate function.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateCall {
    /// The output column's name.
    pub name: String,
    /// Which.
    pub function: AggregateFn,
    /// The argument; `None` for `count(*)`.
    pub argument: Option<Expr>,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Expr>,
    /// The result's type.
    pub ty: SqlType,
    /// Where the call stands.
    pub span: Span,
}

/// The aggregate functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AggregateFn {
    /// `count(*)`, `count(x)`.
    Count,
    /// `sum(x)`: 128 bits, never wraps.
    Sum,
    /// `min(x)`.
    Min,
    /// `max(x)`.
    Max,
    /// `avg(x)`: double.
    Avg,
    /// `hist(x)`: log2 buckets.
    Hist,
}

/// One key of an ORDER BY.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SortKey {
    /// What is compared.
    pub expr: Expr,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`; PostgreSQL's default is first when descending.
    pub nulls_first: bool,
}

impl Plan {
    /// The operator's one input; a scan has none, and a join's two are its own.
    pub fn input(&self) -> Option<&Plan> {
        match self {
            Plan::Scan { .. } | Plan::Join { .. } => None,
            Plan::Filter { input, .. }
            | Plan::Project { input, .. }
            | Plan::Aggregate { input, .. }
            | Plan::Sort { input, .. }
            | Plan::Limit { input, .. } => Some(input),
        }
    }

    /// The operator's one input, to be changed.
    pub fn input_mut(&mut self) -> Option<&mut Plan> {
        match self {
            Plan::Scan { .. } | Plan::Join { .. } => None,
            Plan::Filter { input, .. }
            | Plan::Project { input, .. }
            | Plan::Aggregate { input, .. }
            | Plan::Sort { input, .. }
            | Plan::Limit { input, .. } => Some(input),
        }
    }

    /// The operator's expressions, over its input's columns, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Plan::Scan { .. } | Plan::Limit { .. } => Vec::new(),
            Plan::Join { holds, .. } => holds.iter_mut().collect(),
            Plan::Filter { predicate, .. } => vec![predicate],
            Plan::Project { items, .. } => items.iter_mut().map(|item| &mut item.expr).collect(),
            Plan::Aggregate { keys, aggregates, .. } => {
                let calls = aggregates.iter_mut().flat_map(|c| c.argument.iter_mut().chain(c.filter.iter_mut()));
                keys.iter_mut().map(|key| &mut key.expr).chain(calls).collect()
            }
            Plan::Sort { keys, .. } => keys.iter_mut().map(|key| &mut key.expr).collect(),
        }
    }

    /// The operator's expressions, over its input's columns.
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Plan::Scan { .. } | Plan::Limit { .. } => Vec::new(),
            Plan::Join { holds, .. } => holds.iter().collect(),
            Plan::Filter { predicate, .. } => vec![predicate],
            Plan::Project { items, .. } => items.iter().map(|item| &item.expr).collect(),
            Plan::Aggregate { keys, aggregates, .. } => {
                let calls = aggregates.iter().flat_map(|c| c.argument.iter().chain(&c.filter));
                keys.iter().map(|key| &key.expr).chain(calls).collect()
            }
            Plan::Sort { keys, .. } => keys.iter().map(|key| &key.expr).collect(),
        }
    }

    /// Names and types of the output's columns.
    pub fn output(&self) -> Vec<(String, SqlType)> {
        match self {
            Plan::Scan { relation, .. } => relation.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect(),
            Plan::Join { held, probe, names: [first, second], .. } => {
                let qualified = |name: &str, plan: &Plan| {
                    let columns = plan.output().into_iter();
                    columns.map(|(column, ty)| (format!("{name}.{column}"), ty)).collect::<Vec<_>>()
                };
                [qualified(first, held), qualified(second, probe)].concat()
            }
            Plan::Filter { input, .. } | Plan::Sort { input, .. } | Plan::Limit { input, .. } => input.output(),
            Plan::Project { items, .. } => items.iter().map(|item| (item.name.clone(), item.expr.ty.clone())).collect(),
            Plan::Aggregate { keys, aggregates, .. } => keys
                .iter()
                .map(|key| (key.name.clone(), key.expr.ty.clone()))
                .chain(aggregates.iter().map(|call| (call.name.clone(), call.ty.clone())))
                .collect(),
        }
    }
}
