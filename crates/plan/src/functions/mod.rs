//! Scalar functions: a file each, with name, signature, type rule, documentation, and expansion into primitives.
//!
//! What must hold: a call that binds is an expression of primitives only, so that lowering and the evaluator know no function by
//! name. `docs/sql.md` lists them from here.

mod abs;
mod coalesce;
mod greatest;
mod least;
mod nullif;
mod starts_with;
mod str;
mod tumble;

use crate::Expr;
use bpfquery_diag::{Diagnostic, Span};

/// A scalar function.
pub trait Function: Sync {
    /// Its name, in lower case.
    fn name(&self) -> &'static str;
    /// How it is called: `str(x [, width])`.
    fn signature(&self) -> &'static str;
    /// What it computes, in a sentence or two.
    fn doc(&self) -> &'static str;
    /// The call as primitives; `span` is the whole call's.
    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic>;
}

/// All of them, by name.
const FUNCTIONS: [&dyn Function; 8] = [
    &abs::Abs,
    &coalesce::Coalesce,
    &greatest::Greatest,
    &least::Least,
    &nullif::NullIf,
    &starts_with::StartsWith,
    &str::Str,
    &tumble::Tumble,
];

/// The function of this name; case counts for nothing.
pub fn scalar(name: &str) -> Option<&'static dyn Function> {
    FUNCTIONS.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
}

/// All names, in order.
pub fn scalar_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.into_iter().map(|f| f.name())
}

/// Exactly so many arguments, or a diagnostic that shows the signature.
fn exactly<const N: usize>(f: &dyn Function, args: Vec<Expr>, span: Span) -> Result<[Expr; N], Diagnostic> {
    let given = args.len();
    args.try_into().map_err(|_| wrong_count(f, given, span))
}

fn at_least(f: &dyn Function, args: Vec<Expr>, least: usize, span: Span) -> Result<Vec<Expr>, Diagnostic> {
    if args.len() < least { Err(wrong_count(f, args.len(), span)) } else { Ok(args) }
}

fn wrong_count(f: &dyn Function, given: usize, span: Span) -> Diagnostic {
    let arguments = if given == 1 { "1 argument".to_string() } else { format!("{given} arguments") };
    Diagnostic::new("wrong-arguments", span, format!("{} does not take {arguments}", f.name()))
        .help(format!("it is called as {}", f.signature()))
}

fn wrong_type(f: &dyn Function, arg: &Expr, wanted: &str) -> Diagnostic {
    Diagnostic::new("type-mismatch", arg.span, format!("{} takes {wanted}, not {}", f.name(), arg.ty))
        .help(format!("it is called as {}", f.signature()))
}

#[cfg(test)]
mod tests;
