//! FROM: a relation, its arguments, its alias; and a second one behind JOIN.

use super::expr::Exprs;
use super::tokens::Tokens;
use super::unsupported;
use crate::ast::{Expr, ExprKind, From, Join, Name, On, UnaryOp};
use bpfquery_catalog::{Argument, Literal, Part, RelationName};
use bpfquery_diag::{Diagnostic, Result, Span};
use sqlparser::ast as sp;
use sqlparser::tokenizer::Token;

/// The relations; `at` is where FROM stands.
pub(super) fn from(
    tokens: &Tokens<'_>,
    from: Vec<sp::TableWithJoins>,
    at: Span,
) -> Result<(Option<From>, Option<Join>)> {
    let mut list = from.into_iter();
    let Some(sp::TableWithJoins { relation, joins }) = list.next() else { return Ok((None, None)) };
    let first = table(tokens, relation, at)?;
    let mut behind = end(&first);
    let mut joins = joins.into_iter();
    let join = joins.next().map(|join| self::join(tokens, join, behind)).transpose()?;
    if let Some(join) = &join {
        behind = join.span;
    }
    let next = tokens.span_at(tokens.after(behind));
    if joins.next().is_some() {
        return Err(Diagnostic::new("unsupported", next, "a join of more than two relations is not supported yet")
            .help(FORM)
            .into());
    }
    match list.next() {
        Some(_) => Err(Diagnostic::new("unsupported", next, "FROM with several relations is not supported yet")
            .help(FORM)
            .into()),
        None => Ok((Some(first), join)),
    }
}

/// The joins that there are.
const FORM: &str = "rows of one thread are joined so: FROM a AS e JOIN b AS x ON e.tid = x.tid";

fn end(from: &From) -> Span {
    from.alias.as_ref().map_or(from.span, |alias| from.span.to(alias.span))
}

/// What stands behind the first relation, which ends at `behind`.
fn join(tokens: &Tokens<'_>, join: sp::Join, behind: Span) -> Result<Join> {
    let sp::Join { relation, global, join_operator } = join;
    let words = ["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "ASOF", "SEMI", "ANTI", "GLOBAL"];
    let word = tokens.clause(tokens.after(behind), &words).unwrap_or(behind);
    let refuse = |what: &str| {
        let fact = format!("{what} is not supported yet");
        Err(Diagnostic::new("unsupported", word, fact).help(FORM).into())
    };
    let constraint = match join_operator {
        sp::JoinOperator::Join(constraint) | sp::JoinOperator::Inner(constraint) if !global => constraint,
        sp::JoinOperator::Left(_) | sp::JoinOperator::LeftOuter(_) => return refuse("LEFT JOIN"),
        sp::JoinOperator::Right(_) | sp::JoinOperator::RightOuter(_) => return refuse("RIGHT JOIN"),
        sp::JoinOperator::FullOuter(_) => return refuse("FULL JOIN"),
        sp::JoinOperator::CrossJoin(_) => return refuse("CROSS JOIN"),
        sp::JoinOperator::AsOf { .. } => return refuse("ASOF JOIN"),
        sp::JoinOperator::Join(_)
        | sp::JoinOperator::Inner(_)
        | sp::JoinOperator::Semi(_)
        | sp::JoinOperator::LeftSemi(_)
        | sp::JoinOperator::RightSemi(_)
        | sp::JoinOperator::Anti(_)
        | sp::JoinOperator::LeftAnti(_)
        | sp::JoinOperator::RightAnti(_)
        | sp::JoinOperator::CrossApply
        | sp::JoinOperator::OuterApply
        | sp::JoinOperator::StraightJoin(_)
        | sp::JoinOperator::ArrayJoin
        | sp::JoinOperator::LeftArrayJoin
        | sp::JoinOperator::InnerArrayJoin => return refuse("this kind of JOIN"),
    };
    let from = table(tokens, relation, word)?;
    let on = match constraint {
        sp::JoinConstraint::On(condition) => On::Condition(Exprs::new(tokens).expr(condition)?),
        sp::JoinConstraint::Using(columns) => On::Using(using(tokens, columns, end(&from))?),
        sp::JoinConstraint::Natural => return refuse("NATURAL JOIN"),
        sp::JoinConstraint::None => {
            return Err(Diagnostic::new("no-condition", word, "a JOIN without ON").help(FORM).into());
        }
    };
    let last = match &on {
        On::Condition(condition) => condition.span,
        On::Using(names) => names.iter().fold(end(&from), |all, name| all.to(name.span)),
    };
    Ok(Join { on, span: word.to(closed(tokens, last)), from })
}

/// The span with the parentheses that are closed behind it.
fn closed(tokens: &Tokens<'_>, span: Span) -> Span {
    let next = tokens.after(span);
    if tokens.token_at(next, &Token::RParen) { closed(tokens, span.to(tokens.span_at(next))) } else { span }
}

/// The names behind USING.
fn using(tokens: &Tokens<'_>, columns: Vec<sp::ObjectName>, near: Span) -> Result<Vec<Name>> {
    let names: Vec<Vec<Name>> = columns.into_iter().map(|name| names(tokens, name, near)).collect::<Result<_>>()?;
    let dotted = names.iter().find(|name| name.len() != 1);
    if let Some(name) = dotted {
        let span = name.iter().fold(near, |_, part| part.span);
        return Err(Diagnostic::new("syntax", span, "USING takes bare names of columns").help("USING (tid)").into());
    }
    Ok(names.into_iter().flatten().collect())
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
