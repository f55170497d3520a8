//! What sqlparser reads as an expression and is not supported yet: each by name, and where it stands.

use super::expr::Exprs;
use super::relation::names;
use super::tokens::is_word;
use super::unsupported;
use bpfquery_diag::{Diagnostic, Failure, Span};
use sqlparser::ast as sp;

impl Exprs<'_> {
    /// The error for what is valid SQL and not ours yet: at the word that starts it, as far as sqlparser tells.
    pub(super) fn refuse(&self, expr: sp::Expr) -> Failure {
        let place = self.place(&expr);
        // The operator or keyword that joins `left` to what follows it.
        let behind = |left: sp::Expr, what: &str| match self.deeper(left) {
            Ok(left) => {
                let at = self.tokens.after(left.outer);
                let not = usize::from(self.tokens.word_at(at, "NOT"));
                unsupported(self.tokens.span_at(at).to(self.tokens.span_at(at + not)), what)
            }
            Err(failure) => failure,
        };
        // The name of what looks like a call and has a syntax of its own.
        let call = |what: &str| self.callish(place, what);
        match expr {
            sp::Expr::SimilarTo { expr, .. } => behind(*expr, "SIMILAR TO"),
            sp::Expr::RLike { expr, .. } => behind(*expr, "RLIKE"),
            sp::Expr::IsJson { expr, .. } => behind(*expr, "IS JSON"),
            sp::Expr::IsNormalized { expr, .. } => behind(*expr, "IS NORMALIZED"),
            sp::Expr::InSubquery { expr, .. } => behind(*expr, "IN with a subquery"),
            sp::Expr::InUnnest { expr, .. } => behind(*expr, "IN UNNEST"),
            sp::Expr::AnyOp { left, .. } => behind(*left, "ANY"),
            sp::Expr::AllOp { left, .. } => behind(*left, "ALL"),
            sp::Expr::AtTimeZone { timestamp, .. } => behind(*timestamp, "AT TIME ZONE"),
            sp::Expr::Collate { expr, .. } => behind(*expr, "COLLATE"),
            sp::Expr::MemberOf(member) => behind(*member.value, "MEMBER OF"),
            sp::Expr::JsonAccess { value, .. } => behind(*value, "a path into JSON"),
            sp::Expr::OuterJoin(expr) => behind(*expr, "(+)"),
            sp::Expr::Prior(_) => unsupported(place, "PRIOR"),
            sp::Expr::Exists { .. } => call("EXISTS"),
            sp::Expr::Subquery(_) => unsupported(place, "a subquery"),
            sp::Expr::Extract { .. } => call("EXTRACT"),
            sp::Expr::Ceil { .. } => call("CEIL"),
            sp::Expr::Floor { .. } => call("FLOOR"),
            sp::Expr::Position { .. } => call("POSITION"),
            sp::Expr::Substring { .. } => call("SUBSTRING"),
            sp::Expr::Trim { .. } => call("TRIM"),
            sp::Expr::Overlay { .. } => call("OVERLAY"),
            sp::Expr::Convert { .. } => call("CONVERT"),
            sp::Expr::GroupingSets(_) => call("GROUPING SETS"),
            sp::Expr::Cube(_) => call("CUBE"),
            sp::Expr::Rollup(_) => call("ROLLUP"),
            sp::Expr::Tuple(_) => unsupported(self.parentheses(place), "a row of values"),
            sp::Expr::Array(_) => unsupported(place, "an array"),
            sp::Expr::TypedString(_) | sp::Expr::Prefixed { .. } => {
                let before = self.tokens.before(place).map_or(place, |index| self.tokens.span_at(index));
                unsupported(before.to(place), "a type in front of a text")
            }
            sp::Expr::Wildcard(_) => unsupported(place, "* in an expression"),
            sp::Expr::QualifiedWildcard(of, _) => match names(self.tokens, of, place) {
                Ok(of) => unsupported(of.iter().fold(place, |all, name| all.to(name.span)), "* in an expression"),
                Err(failure) => failure,
            },
            sp::Expr::MatchAgainst { .. } => unsupported(place, "MATCH"),
            sp::Expr::Lambda(_) => unsupported(place, "a lambda"),
            sp::Expr::Struct { .. } | sp::Expr::Named { .. } | sp::Expr::Dictionary(_) | sp::Expr::Map(_) => {
                unsupported(place, "a value of several fields")
            }
            // The rest is translated in `wide`.
            other => unsupported(place, &format!("\"{other}\"")),
        }
    }

    /// Points at the nearest word of that name before the place.
    fn callish(&self, place: Span, what: &str) -> Failure {
        let word = what.split(' ').next().unwrap_or(what);
        let upto = self.tokens.at(place.start.max(1));
        let found = self.tokens.list[..upto.min(self.tokens.list.len())].iter().rev().find(|tok| is_word(tok, word));
        unsupported(found.map_or(place, |tok| tok.span), what)
    }
}

/// The error for an operator that we do not have.
pub(super) fn operator(op: &sp::BinaryOperator, at: Span) -> Failure {
    use sp::BinaryOperator as B;
    let diagnostic = Diagnostic::new("unsupported", at, format!("operator {op} is not supported yet"));
    match op {
        B::PGExp => diagnostic.help("exclusive or is written #, as in PostgreSQL").into(),
        B::LongArrow => diagnostic.help("\"->\" follows pointers and needs no second >").into(),
        _ => diagnostic.into(),
    }
}
