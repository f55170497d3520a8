//! [`Ast`] to [`Query`]: names become columns, operators and functions become typed primitives, clauses become operators.
//!
//! ```text
//!  Limit ( Project' ( Sort ( Project ( Filter having ( Aggregate ( Filter where ( Scan ))))))))
//! ```
//! with every operator left out that the query does not ask for; `Project'` drops what was only sorted by.
//!
//! What must hold: every expression of the plan is well-typed, and refers to columns that its input has; no expression has
//! more than `MAX_NODES` nodes. Not checked: that the kernel can compute it; the split decides.

mod c_type;
mod call;
mod choice;
mod element;
mod expr;
mod field;
mod filter;
mod group;
mod join;
mod limit;
mod naming;
mod need;
mod order;
mod params;
mod scope;
mod select;
mod side;

use crate::ast::Ast;
use bpfquery_catalog::{Access, Builtin, Kernel, SqlType};
use bpfquery_diag::{Diagnostic, Result};
use bpfquery_plan::{AggregateCall, ColumnId, Expr, ExprKind, Plan, Query, Seen, typing};
use params::Params;
use scope::Scope;

/// The largest expression after functions are expanded: some of them name an argument twice, and calls nest.
pub(crate) const MAX_NODES: usize = 10_000;

/// The most columns, keys of one clause, and aggregates: PostgreSQL's limit for columns.
pub(crate) const MAX_COLUMNS: usize = 1664;

/// What else a query should be bound with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// Only the rows of this process (`-p`), by its id in the initial pid namespace.
    pub pid: Option<u32>,
}

/// What a query means on a kernel.
///
/// # Errors
/// A diagnostic at the place to blame, or what `kernel` could not answer.
pub fn bind(ast: &Ast, kernel: &dyn Kernel, options: &BindOptions) -> Result<Query> {
    for list in [ast.items.len(), ast.group_by.len(), ast.order_by.len()] {
        few(list, ast.span)?;
    }
    let scope = Scope::new(kernel, ast)?;
    let mut binder = Binder {
        scope,
        params: Params::default(),
        aggregates: Vec::new(),
        seen: Seen::default(),
        place: Place::Select,
        may_miss: false,
    };
    let mut plan = binder.scan(ast)?;
    for predicate in [binder.only(options.pid, ast)?, binder.filter(ast.filter.as_ref())?].into_iter().flatten() {
        plan = Plan::Filter { input: Box::new(plan), predicate };
    }
    let keys = binder.group_keys(ast)?;
    let mut items = binder.items(ast)?;
    let having = binder.having(ast.having.as_ref())?;
    let visible = items.len();
    let sort = binder.sort_keys(&ast.order_by, &mut items)?;
    let grouped = !ast.group_by.is_empty() || ast.having.is_some() || !binder.aggregates.is_empty();
    if grouped {
        plan = binder.aggregate(plan, keys, &mut items, visible, having)?;
    }
    plan = select::project(plan, &items, visible, sort);
    plan = limit::limit(plan, ast.limit.as_ref(), ast.offset.as_ref())?;
    Ok(Query { plan, params: binder.params.done() })
}

/// The state of binding one query.
struct Binder<'a> {
    scope: Scope<'a>,
    params: Params,
    /// The aggregate calls so far, each once. Until the keys are known, [`aggregate_column`] stands for their results.
    aggregates: Vec<AggregateCall>,
    /// Where each of them is.
    seen: Seen,
    place: Place,
    /// Whether a field may be missing: in COALESCE, which picks what the kernel has.
    may_miss: bool,
}

/// Which clause an expression stands in: aggregates are allowed in some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Where,
    GroupBy,
    Select,
    Having,
    OrderBy,
    /// The argument of an aggregate.
    Argument,
    /// FILTER (WHERE …).
    Filter,
}

/// Columns from here on are results of aggregates. No relation has so many columns.
const AGGREGATES: u32 = 1 << 30;

/// The column that stands for the result of the aggregate call at an index.
fn aggregate_column(index: usize) -> ExprKind {
    ExprKind::Column(ColumnId(AGGREGATES.saturating_add(u32::try_from(index).unwrap_or(u32::MAX))))
}

/// The column at an index.
fn column_id(index: usize) -> ColumnId {
    ColumnId(u32::try_from(index).unwrap_or(u32::MAX))
}

impl Binder<'_> {
    fn scan(&mut self, ast: &Ast) -> Result<Plan> {
        match (&ast.join, self.scope.sides.first()) {
            (Some(join), _) => self.join(join, ast.span),
            (None, Some(side)) => side.scan(ast.span),
            (None, None) => Err(bpfquery_diag::Failure::bug("bind", "a query over nothing")),
        }
    }

    /// `pid = N`, for `-p`; of a join it is the later row's.
    fn only(&self, pid: Option<u32>, ast: &Ast) -> Result<Option<Expr>> {
        let (Some(pid), Some(side)) = (pid, self.scope.sides.last()) else { return Ok(None) };
        let is_pid = |access: &Access| matches!(access, Access::Builtin(Builtin::Pid));
        let Some(index) = side.relation.columns.iter().position(|column| is_pid(&column.access)) else {
            let fact = format!("-p chooses the events of a process, and {} has none", side.relation.name);
            return Err(Diagnostic::new("wrong-arguments", ast.span, fact).into());
        };
        let column = side.column(index, ast.span);
        let wanted = Expr::int(i128::from(pid), SqlType::U32, ast.span);
        Ok(typing::compare(bpfquery_plan::CompareOp::Eq, column, wanted, ast.span).ok())
    }
}

/// Refuses what grew beyond `MAX_NODES`.
fn bounded(expr: Expr) -> Result<Expr> {
    let mut nodes = 0usize;
    expr.walk(&mut |_| nodes += 1);
    if nodes <= MAX_NODES { Ok(expr) } else { Err(too_large(expr.span)) }
}

/// Refuses more than [`MAX_COLUMNS`] of something.
fn few(count: usize, span: bpfquery_diag::Span) -> Result<()> {
    let fact = format!("a query has at most {MAX_COLUMNS} columns, and as many keys and aggregates");
    if count > MAX_COLUMNS { Err(Diagnostic::new("too-large", span, fact).into()) } else { Ok(()) }
}

fn too_large(span: bpfquery_diag::Span) -> bpfquery_diag::Failure {
    Diagnostic::new("too-large", span, format!("this expression takes more than {MAX_NODES} steps to compute"))
        .help("calls inside calls that use an argument twice double its steps each time")
        .into()
}
