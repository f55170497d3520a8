//! Function calls.

use super::expr::{Exprs, opens};
use super::relation::names;
use super::unsupported;
use crate::ast::{Args, Call, Name};
use bpfquery_diag::{Diagnostic, Result, Span};
use sqlparser::ast as sp;

/// The call and its span, from the name to the last parenthesis.
pub(super) fn call(exprs: &Exprs<'_>, function: sp::Function) -> Result<(Call, Span)> {
    let tokens = exprs.tokens;
    let sp::Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } =
        function;
    let parts = names(tokens, name, tokens.span_at(0))?;
    let path = parts.iter().fold(Span::default(), |all, part| all.to(part.span));
    let open = tokens.after(path);
    let close = if opens(tokens, open) { tokens.span_at(tokens.closing(open)) } else { path };
    let mut span = path.to(close);
    let next = tokens.span_at(tokens.after(span));
    if uses_odbc_syntax {
        return Err(unsupported(span, "a call in braces"));
    }
    if !matches!(parameters, sp::FunctionArguments::None) {
        return Err(unsupported(span, "a second list of arguments"));
    }
    let [name] = &parts[..] else {
        return Err(Diagnostic::new("unknown-function", path, "functions are in no schema")
            .help("name the function alone")
            .into());
    };
    let args = arguments(exprs, args, name, span)?;
    if !within_group.is_empty() {
        return Err(unsupported(next, "WITHIN GROUP"));
    }
    if null_treatment.is_some() {
        return Err(unsupported(next, "IGNORE NULLS and RESPECT NULLS"));
    }
    let filter = filter.map(|filter| exprs.operand(*filter)).transpose()?;
    if filter.is_some() {
        // FILTER, then its parentheses.
        span = span.to(tokens.span_at(tokens.closing(tokens.after(span) + 1)));
    }
    if over.is_some() {
        return Err(unsupported(tokens.span_at(tokens.after(span)), "OVER (a window function)"));
    }
    Ok((Call { name: name.clone(), args, filter }, span))
}

fn arguments(exprs: &Exprs<'_>, args: sp::FunctionArguments, name: &Name, call: Span) -> Result<Args> {
    let tokens = exprs.tokens;
    let inside = tokens.span_at(tokens.after(name.span) + 1);
    let sp::FunctionArgumentList { duplicate_treatment, args, clauses } = match args {
        sp::FunctionArguments::List(list) => list,
        sp::FunctionArguments::Subquery(_) => return Err(unsupported(inside, "a subquery")),
        // CURRENT_USER and its kin.
        sp::FunctionArguments::None => return Err(unsupported(call, &name.text)),
    };
    match duplicate_treatment {
        None | Some(sp::DuplicateTreatment::All) => {}
        Some(sp::DuplicateTreatment::Distinct) => return Err(unsupported(inside, "DISTINCT in an aggregate")),
    }
    if !clauses.is_empty() {
        return Err(unsupported(call, "a clause among the arguments"));
    }
    let count = args.len();
    let mut list = Vec::new();
    for arg in args {
        match arg {
            sp::FunctionArg::Unnamed(sp::FunctionArgExpr::Expr(expr)) => list.push(expr),
            sp::FunctionArg::Unnamed(sp::FunctionArgExpr::Wildcard) if count == 1 => return Ok(Args::Star(inside)),
            sp::FunctionArg::Unnamed(
                sp::FunctionArgExpr::Wildcard
                | sp::FunctionArgExpr::QualifiedWildcard(_)
                | sp::FunctionArgExpr::WildcardWithOptions(_),
            ) => return Err(unsupported(call, "* among other arguments")),
            sp::FunctionArg::Named { .. } | sp::FunctionArg::ExprNamed { .. } => {
                return Err(unsupported(call, "a named argument"));
            }
        }
    }
    Ok(Args::List(exprs.list(list)?))
}
