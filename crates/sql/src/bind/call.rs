//! Function calls: scalar ones become primitives, aggregates are gathered for the Aggregate operator.

use super::{Binder, Place, aggregate_column, few};
use crate::ast::{Args, Call, Expr, Name};
use bpfquery_diag::{Diagnostic, Failure, Result, Span, nearest};
use bpfquery_plan::aggregates::{Aggregate, aggregate, aggregate_names};
use bpfquery_plan::functions::{scalar, scalar_names};
use bpfquery_plan::{self as plan, AggregateCall};
use std::mem::discriminant;

/// Functions of the language's design that are not there yet.
const PLANNED: [&str; 24] = [
    "any_value",
    "approx_count_distinct",
    "approx_percentile",
    "arg_max",
    "bit_or",
    "bool_and",
    "bool_or",
    "every",
    "first_value",
    "hop",
    "kstack",
    "last_value",
    "left",
    "length",
    "lhist",
    "lower",
    "ntop",
    "now",
    "session",
    "stddev",
    "substr",
    "upper",
    "ustack",
    "variance",
];

impl Binder<'_> {
    pub(super) fn call(&mut self, call: &Call, span: Span) -> Result<plan::Expr> {
        if let Some(definition) = aggregate(&call.name.text) {
            return self.aggregate_call(definition, call, span);
        }
        let Some(function) = scalar(&call.name.text) else { return Err(unknown(&call.name)) };
        if let Some(filter) = &call.filter {
            let fact = format!("FILTER is given, but {} is not an aggregate function", function.name());
            return Err(Diagnostic::new("not-an-aggregate", filter.span, fact).into());
        }
        let list = match &call.args {
            Args::List(list) => list,
            Args::Star(at) => {
                let fact = format!("{}(*) does not exist", function.name());
                let help = format!("it is called as {}", function.signature());
                return Err(Diagnostic::new("wrong-arguments", *at, fact).help(help).into());
            }
        };
        let mut args = match function.name() {
            "coalesce" => self.alternatives(list)?,
            _ => list.iter().map(|arg| self.raw(arg)).collect::<Result<Vec<_>>>()?,
        };
        self.settle(&mut args);
        Ok(function.bind(args, span)?)
    }

    fn aggregate_call(&mut self, definition: &dyn Aggregate, call: &Call, span: Span) -> Result<plan::Expr> {
        self.allowed(definition, call)?;
        let argument = match &call.args {
            Args::Star(_) => None,
            Args::List(list) => match &list[..] {
                [one] => Some(self.inside(Place::Argument, |binder| binder.value(one))?),
                several => return Err(wrong_count(definition, several, span)),
            },
        };
        let filter = match &call.filter {
            Some(filter) => Some(self.inside(Place::Filter, |binder| binder.condition(filter, "FILTER"))?),
            None => None,
        };
        let mut bound = definition.bind(argument, span)?;
        bound.filter = filter;
        let ty = bound.ty.clone();
        let index = self.shared(bound);
        few(self.aggregates.len(), span)?;
        Ok(plan::Expr::new(aggregate_column(index), ty, span))
    }

    /// Binds what stands inside an aggregate.
    fn inside<T>(&mut self, place: Place, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::replace(&mut self.place, place);
        let result = f(self);
        self.place = outer;
        result
    }

    /// The index of an equal call, or of this one as a new one.
    fn shared(&mut self, call: AggregateCall) -> usize {
        let same = |a: &Option<plan::Expr>, b: &Option<plan::Expr>| match (a, b) {
            (Some(a), Some(b)) => a.same(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let is = |other: &AggregateCall| {
            other.function == call.function
                && same(&other.argument, &call.argument)
                && same(&other.filter, &call.filter)
        };
        let mark = plan::mark(discriminant(&call.function), [call.argument.as_ref(), call.filter.as_ref()]);
        self.seen.find(mark, |at| is(&self.aggregates[at])).unwrap_or_else(|| {
            self.seen.note(mark, self.aggregates.len());
            self.aggregates.push(call);
            self.aggregates.len() - 1
        })
    }

    /// Aggregates are computed after grouping: not where rows are still chosen, and not inside each other.
    fn allowed(&self, definition: &dyn Aggregate, call: &Call) -> Result<()> {
        let (clause, help) = match self.place {
            Place::Select | Place::Having | Place::OrderBy => return Ok(()),
            Place::Where => ("WHERE", "conditions on groups stand in HAVING"),
            Place::GroupBy => ("GROUP BY", "group by what the rows have before grouping"),
            Place::Filter => ("FILTER", "FILTER chooses rows before they are aggregated"),
            Place::Argument => {
                let fact = "aggregate function calls cannot be nested";
                return Err(Diagnostic::new("nested-aggregate", call.name.span, fact).into());
            }
        };
        let fact = format!("aggregate functions are not allowed in {clause}");
        let diagnostic = Diagnostic::new("misplaced-aggregate", call.name.span, fact);
        Err(diagnostic.detail(format!("{} is an aggregate function", definition.name())).help(help).into())
    }
}

fn wrong_count(definition: &dyn Aggregate, given: &[Expr], span: Span) -> Failure {
    let fact = match given.len() {
        0 => format!("{} takes an argument", definition.name()),
        n => format!("{} does not take {n} arguments", definition.name()),
    };
    Diagnostic::new("wrong-arguments", span, fact).help(format!("it is called as {}", definition.signature())).into()
}

fn unknown(name: &Name) -> Failure {
    if PLANNED.iter().any(|planned| planned.eq_ignore_ascii_case(&name.text)) {
        return Diagnostic::new("unsupported", name.span, format!("function {} is not supported yet", name.text))
            .into();
    }
    let near = nearest(&name.text, scalar_names().chain(aggregate_names()));
    let diagnostic =
        Diagnostic::new("unknown-function", name.span, format!("function \"{}\" does not exist", name.text));
    match near {
        Some(_) => diagnostic.did_you_mean(near),
        None => {
            let mut all: Vec<&str> = scalar_names().chain(aggregate_names()).collect();
            all.sort_unstable();
            diagnostic.help(format!("functions are {}", all.join(", ")))
        }
    }
    .into()
}
