//! `greatest(a, b, …)`: the greatest of those that are not NULL.

use super::{Function, at_least, wrong_type};
use crate::typing::{self, Class, class};
use crate::{CompareOp, Expr};
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Greatest;

impl Function for Greatest {
    fn name(&self) -> &'static str {
        "greatest"
    }

    fn signature(&self) -> &'static str {
        "greatest(a [, b …])"
    }

    fn doc(&self) -> &'static str {
        "The greatest argument; NULLs are left out, and the result is NULL only if all are NULL."
    }

    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        extreme(self, CompareOp::Ge, args, span)
    }
}

// greatest(a, b, c) == CASE WHEN (a >= b OR b IS NULL) AND (a >= c OR c IS NULL) THEN a
//                           WHEN b >= c OR c IS NULL THEN b ELSE c END
// A NULL never wins against a value: `NULL >= b` is NULL, and so is its OR with a false `b IS NULL`. An operand that lost to an
// earlier one is out: the earlier arm was not taken only because a later operand beats it, and that one beats the loser too.
pub(super) fn extreme(f: &dyn Function, op: CompareOp, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    let mut list = at_least(f, args, 1, span)?;
    let ty = typing::unify(&mut list, &f.name().to_uppercase())?;
    if !matches!(
        class(&ty),
        Class::Integer | Class::Double | Class::Decimal | Class::Timestamp | Class::Interval | Class::Null
    ) {
        return Err(wrong_type(f, &list[0], "numbers, timestamps or intervals"));
    }
    let mut arms = Vec::new();
    for (i, x) in list.iter().enumerate().take(list.len() - 1) {
        let mut beats = Vec::new();
        for y in &list[i + 1..] {
            let wins = typing::compare(op, x.clone(), y.clone(), span)?;
            beats.push(typing::or(vec![wins, typing::is_null(y.clone(), span)?], span)?);
        }
        arms.push((typing::and(beats, span)?, x.clone()));
    }
    let last = list.pop();
    match (arms.is_empty(), last) {
        (true, Some(only)) => Ok(only),
        (_, last) => typing::case(arms, last, span),
    }
}
