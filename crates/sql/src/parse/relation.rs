//! FROM: one relation, its arguments, its alias.

use super::expr::Exprs;
use super::tokens::Tokens;
use super::unsupported;
use crate::ast::{Expr, ExprKind, From, Name, UnaryOp};
use bpfquery_catalog::{Argument, Literal, Part, RelationName};
use bpfquery_diag::{Diagnostic, Result, Span};
use sqlparser::ast as sp;

/// The relation; `at` is where FROM stands.
pub(super) fn from(tokens: &Tokens<'_>, from: Vec<sp::TableWithJoins>, at: Span) -> Result<Option<From>> {
    let mut list = from.into_iter();
    let Some(sp::TableWithJoins { relation, joins }) = list.next() else { return Ok(None) };
    let first = table(tokens, relation, at)?;
    let behind = first.alias.as_ref().map_or(first.span, |alias| first.span.to(alias.span));
    if !joins.is_empty() {
        let words = ["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "OUTER", "ASOF"];
        let span = tokens.clause(tokens.after(behind), &words).unwrap_or(behind);
        return Err(unsupported(span, "JOIN"));
    }
    match list.next() {
        Some(_) => Err(unsupported(tokens.span_at(tokens.after(behind)), "FROM with several relations")),
        None => Ok(Some(first)),
    }
}

fn table(tokens: &Tokens<'_>, factor: sp::TableFactor, at: Span) -> Result<From> {
    // What stands behind FROM, for factors that do not say where they are.
    let here = tokens.span_at(tokens.after(at));
    let what = match factor {
        sp::TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            let parts = names(tokens, name, here)?;
            let span = parts.iter().fold(Span::default(), |all, part| all.to(part.span));
            let (args, span) = arguments(tokens, args, span)?;
            let alias = alias.map(|alias| self::alias(tokens, alias, span)).transpose()?;
            let next = tokens.span_at(tokens.after(alias.as_ref().map_or(span, |alias| alias.span)));
            let extras = [
                (!with_hints.is_empty(), "WITH (…)"),
                (version.is_some(), "a version of a relation"),
                (with_ordinality, "WITH ORDINALITY"),
                (!partitions.is_empty(), "PARTITION"),
                (json_path.is_some(), "a path behind a relation"),
                (sample.is_some(), "TABLESAMPLE"),
                (!index_hints.is_empty(), "an index hint"),
            ];
            if let Some((_, what)) = extras.iter().find(|(present, _)| *present) {
                let words = ["WITH", "TABLESAMPLE", "SAMPLE", "FOR", "USE"];
                return Err(unsupported(tokens.clause(tokens.after(span), &words).unwrap_or(next), what));
            }
            let parts = parts.into_iter().map(|name| Part { text: name.text, span: name.span }).collect();
            return Ok(From { name: RelationName { parts, args }, alias, span });
        }
        sp::TableFactor::Derived { .. } => "a subquery in FROM",
        sp::TableFactor::TableFunction { .. } => "TABLE (…)",
        sp::TableFactor::Function { .. } => "LATERAL",
        sp::TableFactor::UNNEST { .. } => "UNNEST",
        sp::TableFactor::JsonTable { .. } | sp::TableFactor::OpenJsonTable { .. } => "a table made of JSON",
        sp::TableFactor::NestedJoin { .. } => "JOIN",
        sp::TableFactor::Pivot { .. } => "PIVOT",
        sp::TableFactor::Unpivot { .. } | sp::TableFactor::UnpivotExpr { .. } => "UNPIVOT",
        sp::TableFactor::MatchRecognize { .. } => "MATCH_RECOGNIZE",
        sp::TableFactor::XmlTable { .. } => "XMLTABLE",
        sp::TableFactor::SemanticView { .. } => "SEMANTIC_VIEW",
    };
    Err(unsupported(here, what))
}

fn alias(tokens: &Tokens<'_>, alias: sp::TableAlias, before: Span) -> Result<Name> {
    let sp::TableAlias { explicit: _, name: ident, columns, at } = alias;
    let name = name(tokens, &ident);
    if ident.quote_style == Some('\'') || name.span == Span::default() {
        let span = tokens.span_at(tokens.after(before));
        let fact = format!("a text cannot name a relation: '{}'", ident.value);
        return Err(Diagnostic::new("syntax", span, fact).help("put a name in double quotes").into());
    }
    if !columns.is_empty() || at.is_some() {
        return Err(unsupported(tokens.span_at(tokens.after(name.span)), "a list of column names behind an alias"));
    }
    Ok(name)
}

/// A dotted name; `near` is blamed for what is none.
pub(super) fn names(tokens: &Tokens<'_>, name: sp::ObjectName, near: Span) -> Result<Vec<Name>> {
    name.0
        .into_iter()
        .map(|part| match part {
            sp::ObjectNamePart::Identifier(ident) => Ok(self::name(tokens, &ident)),
            sp::ObjectNamePart::Function(_) => Err(unsupported(near, "a computed name")),
        })
        .collect()
}

/// An identifier with its place.
pub(super) fn name(tokens: &Tokens<'_>, ident: &sp::Ident) -> Name {
    Name { text: ident.value.clone(), quoted: ident.quote_style.is_some(), span: tokens.span(ident.span) }
}

/// The arguments behind a name, and the span of both.
fn arguments(
    tokens: &Tokens<'_>,
    args: Option<sp::TableFunctionArgs>,
    name: Span,
) -> Result<(Option<Vec<Argument>>, Span)> {
    let Some(sp::TableFunctionArgs { args, settings }) = args else { return Ok((None, name)) };
    let close = tokens.span_at(tokens.closing(tokens.after(name)));
    let whole = name.to(close);
    if settings.is_some() {
        return Err(unsupported(whole, "SETTINGS"));
    }
    let list: Result<Vec<Argument>> = args.into_iter().map(|arg| argument(tokens, arg, whole)).collect();
    Ok((Some(list?), whole))
}

fn argument(tokens: &Tokens<'_>, arg: sp::FunctionArg, whole: Span) -> Result<Argument> {
    let expr = match arg {
        sp::FunctionArg::Unnamed(sp::FunctionArgExpr::Expr(expr)) => Exprs::new(tokens).expr(expr)?,
        sp::FunctionArg::Unnamed(_) => return Err(unsupported(whole, "* as an argument")),
        sp::FunctionArg::Named { .. } | sp::FunctionArg::ExprNamed { .. } => {
            return Err(unsupported(whole, "a named argument"));
        }
    };
    let span = expr.span;
    match constant(&expr) {
        Some(value) => Ok(Argument { value, span }),
        None => Err(Diagnostic::new("wrong-arguments", span, "an argument of a relation is a constant")
            .help("write a number, a text or an interval: interval('1 second'), profile(99)")
            .into()),
    }
}

/// The value of a constant argument.
fn constant(expr: &Expr) -> Option<Literal> {
    match &expr.kind {
        ExprKind::Number(digits) => {
            crate::number::integer(digits).and_then(|n| i64::try_from(n).ok()).map(Literal::Int)
        }
        ExprKind::Text(text) => Some(Literal::Text(text.clone())),
        ExprKind::Interval(text) => crate::number::duration(text).map(Literal::Duration),
        ExprKind::Unary(UnaryOp::Neg, inner) => match constant(inner)? {
            Literal::Int(n) => n.checked_neg().map(Literal::Int),
            Literal::Text(_) | Literal::Duration(_) => None,
        },
        _ => None,
    }
}
