//! Aggregate functions: a file each, with name, signature, type rule, documentation, and the small algebra that computes it.
//!
//! What must hold: an aggregate is some [`Slot`](crate::Slot)s, updated in the kernel and merged over CPUs, and a `finish` expression
//! over them; calls that need the same slot share it. Not checked: that the argument can run in the kernel (the split decides).

mod avg;
mod count;
mod extreme;
mod hist;
mod slots;
mod sum;

pub use slots::Slots;

use crate::typing::as_value;
use crate::{AggregateCall, AggregateFn, Expr};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

/// An aggregate function.
pub trait Aggregate: Sync {
    /// Which it is in a plan.
    fn function(&self) -> AggregateFn;
    /// Its name, in lower case.
    fn name(&self) -> &'static str;
    /// How it is called: `sum(x)`.
    fn signature(&self) -> &'static str;
    /// What it computes, in a sentence or two.
    fn doc(&self) -> &'static str;
    /// The result's type for an argument (`None` is `*`), or why there is none. The argument may be put into another type.
    fn result(&self, argument: &mut Option<Expr>, span: Span) -> Result<SqlType, Diagnostic>;
    /// Registers the state that the call needs; returns its result over the slots as columns. NULL where PostgreSQL says so.
    fn expand(&self, call: &AggregateCall, slots: &mut Slots) -> Expr;

    /// The call; `argument` is `None` for `*`, `span` the whole call's. The output column's name is the function's until the binder
    /// knows better, and there is no FILTER until it adds one.
    fn bind(&self, argument: Option<Expr>, span: Span) -> Result<AggregateCall, Diagnostic> {
        let mut argument = argument.map(as_value);
        let ty = self.result(&mut argument, span)?;
        let name = self.name().to_string();
        Ok(AggregateCall { name, function: self.function(), argument, filter: None, ty, span })
    }
}

/// All of them, by name.
const AGGREGATES: [&dyn Aggregate; 6] =
    [&avg::Avg, &count::Count, &hist::Hist, &extreme::Max, &extreme::Min, &sum::Sum];

/// The aggregate of this name; case counts for nothing.
pub fn aggregate(name: &str) -> Option<&'static dyn Aggregate> {
    AGGREGATES.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
}

/// All names, in order.
pub fn aggregate_names() -> impl Iterator<Item = &'static str> {
    AGGREGATES.into_iter().map(|f| f.name())
}

impl AggregateFn {
    /// Its file.
    pub fn definition(self) -> &'static dyn Aggregate {
        match self {
            AggregateFn::Count => &count::Count,
            AggregateFn::Sum => &sum::Sum,
            AggregateFn::Min => &extreme::Min,
            AggregateFn::Max => &extreme::Max,
            AggregateFn::Avg => &avg::Avg,
            AggregateFn::Hist => &hist::Hist,
        }
    }
}

/// The argument of an aggregate that takes exactly one value.
fn one(f: &dyn Aggregate, argument: &Option<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    argument.clone().ok_or_else(|| {
        Diagnostic::new("wrong-arguments", span, format!("{}(*) does not exist", f.name()))
            .help(format!("it is called as {}", f.signature()))
    })
}

fn wrong_type(f: &dyn Aggregate, arg: &Expr, wanted: &str) -> Diagnostic {
    let diagnostic = Diagnostic::new("type-mismatch", arg.span, format!("{} takes {wanted}, not {}", f.name(), arg.ty));
    match arg.ty {
        SqlType::Double | SqlType::Decimal => diagnostic.detail(format!("{} exists in user space only", arg.ty)),
        _ => diagnostic,
    }
}

#[cfg(test)]
mod tests;
