//! Expressions, by plan's type rules.
//!
//! What must hold: a message about operands points at the operator, as PostgreSQL's do.

use super::{Binder, MAX_NODES, bounded, too_large};
use crate::ast::{CastType, Expr, ExprKind, Is, UnaryOp};
use crate::number;
use bpfquery_catalog::{DEFAULT_TEXT, SqlType};
use bpfquery_diag::{Diagnostic, Result, Span};
use bpfquery_plan::{self as plan, CompareOp, Datum, Like, typing};

/// What a type rule says.
type Typed = std::result::Result<plan::Expr, Diagnostic>;

impl Binder<'_> {
    /// The expression; `char *` is still a pointer, a parameter may still have no type.
    pub(super) fn raw(&mut self, expr: &Expr) -> Result<plan::Expr> {
        let bound = self.node(expr)?;
        match expr.kind {
            // These make no more of their operands than was there.
            ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Column(_) | ExprKind::Param(_) => Ok(bound),
            _ => bounded(bound),
        }
    }

    /// The expression as a value: text read, parameters typed.
    pub(super) fn value(&mut self, expr: &Expr) -> Result<plan::Expr> {
        let mut bound = self.raw(expr)?;
        self.params.settle(&mut bound, &SqlType::I64);
        Ok(typing::as_value(bound))
    }

    /// The expression as the condition of a clause.
    pub(super) fn condition(&mut self, expr: &Expr, clause: &str) -> Result<plan::Expr> {
        let mut bound = self.raw(expr)?;
        self.params.settle(&mut bound, &SqlType::Bool);
        Ok(typing::condition(bound, clause)?)
    }

    fn node(&mut self, expr: &Expr) -> Result<plan::Expr> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Number(digits) => number(digits, span),
            ExprKind::Text(text) => Ok(typing::text(text.as_bytes(), span)),
            ExprKind::Bool(value) => Ok(plan::Expr::bool(*value, span)),
            ExprKind::Null => Ok(typing::null(span)),
            ExprKind::Param(name) => Ok(self.params.at(name, span)),
            ExprKind::Interval(text) => interval(text, span),
            ExprKind::Column(names) => {
                let (column, fields) = self.scope.resolve(names)?;
                self.fields(column, fields)
            }
            ExprKind::Field(base, name) => match &base.kind {
                // `args -> fd` is `args.fd`, and `e -> fd` is `e.fd`.
                ExprKind::Column(names) if self.scope.is_prefix(names) => {
                    let names = [names.as_slice(), std::slice::from_ref(name)].concat();
                    let (column, fields) = self.scope.resolve(&names)?;
                    self.fields(column, fields)
                }
                _ => {
                    let base = self.raw(base)?;
                    self.field(base, name)
                }
            },
            ExprKind::Index(base, index) => {
                let base = self.raw(base)?;
                let index = self.value(index)?;
                self.element(base, index, span)
            }
            ExprKind::Unary(op, operand) => self.unary(*op, operand, span),
            ExprKind::Arith(op, at, a, b) => {
                let [a, b] = self.pair(a, b)?;
                at_operator(typing::arith(*op, a, b, span), span, *at)
            }
            ExprKind::Compare(op, at, a, b) => {
                let [a, b] = self.pair(a, b)?;
                at_operator(typing::compare(*op, a, b, span), span, *at)
            }
            ExprKind::And(list) => Ok(typing::and(self.conditions(list, "AND")?, span)?),
            ExprKind::Or(list) => Ok(typing::or(self.conditions(list, "OR")?, span)?),
            ExprKind::Is { expr, what, negated } => self.is(expr, *what, *negated, span),
            ExprKind::Distinct { a, b, negated } => {
                let [a, b] = self.pair(a, b)?;
                negate(same(a, b, span)?, !negated, span)
            }
            ExprKind::InList { expr, list, negated } => self.in_list(expr, list, *negated, span),
            ExprKind::Between { expr, low, high, negated } => self.between(expr, low, high, *negated, span),
            ExprKind::Like { expr, pattern, how, negated, at } => {
                let like = self.like(expr, pattern, *how, span);
                negate(at_operator(like?, span, *at)?, *negated, span)
            }
            ExprKind::Case { operand, arms, otherwise } => {
                self.case(operand.as_deref(), arms, otherwise.as_deref(), span)
            }
            ExprKind::Cast { expr, to, at } => self.cast(expr, to, *at, span),
            ExprKind::Call(call) => self.call(call, span),
        }
    }

    /// Two operands of one operator.
    fn pair(&mut self, a: &Expr, b: &Expr) -> Result<[plan::Expr; 2]> {
        let mut both = [self.raw(a)?, self.raw(b)?];
        self.settle(&mut both);
        Ok(both)
    }

    fn conditions(&mut self, list: &[Expr], clause: &str) -> Result<Vec<plan::Expr>> {
        list.iter().map(|expr| self.condition(expr, clause)).collect()
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr, span: Span) -> Result<plan::Expr> {
        if op == UnaryOp::Not {
            return Ok(typing::not(self.condition(operand, "NOT")?, span)?);
        }
        let operand = self.value(operand)?;
        let at = Span { start: span.start, end: span.start + 1 };
        match op {
            UnaryOp::Neg => at_operator(typing::negate(operand, span), span, at),
            UnaryOp::BitNot => at_operator(typing::bit_not(operand, span), span, at),
            // What can be negated can be left as it is.
            UnaryOp::Plus => match typing::negate(operand.clone(), span) {
                Ok(_) => Ok(operand),
                Err(_) => {
                    let fact = format!("operator does not exist: + {}", operand.ty);
                    Err(Diagnostic::new("type-mismatch", at, fact).into())
                }
            },
            UnaryOp::Not => Ok(operand),
        }
    }

    fn is(&mut self, expr: &Expr, what: Is, negated: bool, span: Span) -> Result<plan::Expr> {
        let asked = match what {
            Is::Null => typing::is_null(self.value(expr)?, span)?,
            Is::Unknown => typing::is_null(self.condition(expr, "IS UNKNOWN")?, span)?,
            // x IS TRUE == COALESCE(x, FALSE), x IS FALSE == COALESCE(NOT x, FALSE)
            Is::True => or_false(self.condition(expr, "IS TRUE")?, span)?,
            Is::False => or_false(typing::not(self.condition(expr, "IS FALSE")?, span)?, span)?,
        };
        negate(asked, negated, span)
    }

    /// `x IN (a, b) == x = a OR x = b`
    fn in_list(&mut self, expr: &Expr, list: &[Expr], negated: bool, span: Span) -> Result<plan::Expr> {
        let mut operands = vec![self.raw(expr)?];
        for item in list {
            operands.push(self.raw(item)?);
        }
        self.settle(&mut operands);
        let wanted = operands.remove(0);
        affordable(&wanted, list.len(), span)?;
        let equal = operands.into_iter().map(|item| {
            let at = item.span;
            typing::compare(CompareOp::Eq, wanted.clone(), item, at)
        });
        let any = typing::or(equal.collect::<std::result::Result<_, _>>()?, span)?;
        negate(any, negated, span)
    }

    /// `x BETWEEN a AND b == x >= a AND x <= b`
    fn between(&mut self, expr: &Expr, low: &Expr, high: &Expr, negated: bool, span: Span) -> Result<plan::Expr> {
        let mut operands = [self.raw(expr)?, self.raw(low)?, self.raw(high)?];
        self.settle(&mut operands);
        let [expr, low, high] = operands;
        let (at_low, at_high) = (low.span, high.span);
        let above = typing::compare(CompareOp::Ge, expr.clone(), low, at_low)?;
        let below = typing::compare(CompareOp::Le, expr, high, at_high)?;
        negate(typing::and(vec![above, below], span)?, negated, span)
    }

    /// `expr LIKE pattern`. Patterns are longer than what they match, so that a parameter has the width that texts have.
    fn like(&mut self, expr: &Expr, pattern: &Expr, how: Like, span: Span) -> Result<Typed> {
        let (mut text, mut pattern) = (self.raw(expr)?, self.raw(pattern)?);
        let any = SqlType::Text { width: DEFAULT_TEXT };
        self.params.settle(&mut text, &any);
        self.params.settle(&mut pattern, &any);
        Ok(typing::like(text, how, pattern, span))
    }

    /// `CASE x WHEN a THEN b END == CASE WHEN x = a THEN b END`
    fn case(
        &mut self,
        operand: Option<&Expr>,
        arms: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        span: Span,
    ) -> Result<plan::Expr> {
        let mut conditions = Vec::new();
        match operand {
            None => {
                for (when, _) in arms {
                    conditions.push(self.condition(when, "CASE/WHEN")?);
                }
            }
            Some(operand) => {
                let mut operands = vec![self.raw(operand)?];
                for (when, _) in arms {
                    operands.push(self.raw(when)?);
                }
                self.settle(&mut operands);
                let wanted = operands.remove(0);
                affordable(&wanted, arms.len(), span)?;
                for when in operands {
                    let at = when.span;
                    conditions.push(typing::compare(CompareOp::Eq, wanted.clone(), when, at)?);
                }
            }
        }
        let mut values = Vec::new();
        for value in arms.iter().map(|(_, then)| then).chain(otherwise) {
            values.push(self.raw(value)?);
        }
        self.settle(&mut values);
        let otherwise = otherwise.and_then(|_| values.pop());
        Ok(typing::case(conditions.into_iter().zip(values).collect(), otherwise, span)?)
    }

    fn cast(&mut self, expr: &Expr, to: &CastType, at: Span, span: Span) -> Result<plan::Expr> {
        let to = match to {
            CastType::Sql(to) => to,
            CastType::C(name) => {
                let operand = self.raw(expr)?;
                return self.cast_to_c(operand, name, at, span);
            }
        };
        if let (ExprKind::Text(text), SqlType::Interval) = (&expr.kind, to) {
            return interval(text, span);
        }
        let mut operand = self.raw(expr)?;
        self.params.settle(&mut operand, to);
        Ok(typing::cast(operand, to, span)?)
    }
}

/// A copy of an expression for each of `times` comparisons must stay bounded.
fn affordable(expr: &plan::Expr, times: usize, span: Span) -> Result<()> {
    let mut nodes = 0usize;
    expr.walk(&mut |_| nodes += 1);
    if nodes.saturating_mul(times) > MAX_NODES { Err(too_large(span)) } else { Ok(()) }
}

/// `a IS NOT DISTINCT FROM b == COALESCE(a = b, a IS NULL AND b IS NULL)`
fn same(a: plan::Expr, b: plan::Expr, span: Span) -> Result<plan::Expr> {
    let nulls = vec![typing::is_null(a.clone(), span)?, typing::is_null(b.clone(), span)?];
    let equal = typing::compare(CompareOp::Eq, a, b, span)?;
    Ok(typing::coalesce(vec![equal, typing::and(nulls, span)?], span)?)
}

fn or_false(expr: plan::Expr, span: Span) -> Result<plan::Expr> {
    Ok(typing::coalesce(vec![expr, plan::Expr::bool(false, span)], span)?)
}

fn negate(expr: plan::Expr, negated: bool, span: Span) -> Result<plan::Expr> {
    if negated { Ok(typing::not(expr, span)?) } else { Ok(expr) }
}

/// Moves a message about the whole operation to its operator.
fn at_operator(result: Typed, whole: Span, at: Span) -> Result<plan::Expr> {
    result.map_err(|mut diagnostic| {
        if diagnostic.span == Some(whole) {
            diagnostic.span = Some(at);
        }
        diagnostic.into()
    })
}

/// A number: an integer of at most 64 bits, or a double.
fn number(digits: &str, span: Span) -> Result<plan::Expr> {
    if number::is_whole(digits) {
        let found = number::integer(digits).and_then(|value| typing::integer(value, span));
        return found.ok_or_else(|| {
            Diagnostic::new("out-of-range", span, format!("{digits} does not fit 64 bits"))
                .help("the largest integer is 18446744073709551615")
                .into()
        });
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            Ok(plan::Expr::new(plan::ExprKind::Literal(Datum::Double(value)), SqlType::Double, span))
        }
        _ => {
            Err(Diagnostic::new("out-of-range", span, format!("{digits} is out of range for double precision")).into())
        }
    }
}

/// An interval's text as nanoseconds.
fn interval(text: &str, span: Span) -> Result<plan::Expr> {
    if let Some(ns) = number::duration(text) {
        return Ok(plan::Expr::int(i128::from(ns), SqlType::Interval, span));
    }
    let lower = text.to_lowercase();
    let calendar = ["month", "mon", "year", "yr", "decade", "centur"].iter().find(|unit| lower.contains(*unit));
    let diagnostic = Diagnostic::new("invalid-interval", span, format!("\"{text}\" is no duration"));
    Err(match calendar {
        Some(_) => diagnostic.detail("months and years have no fixed length").help("count in days: interval '30 days'"),
        None => diagnostic.help("write a number and a unit: interval '10 ms', interval '1 minute 30 seconds'"),
    }
    .into())
}
