//! Expressions: sqlparser's, with whole spans and nothing left out.
//!
//! What must hold: the span of what is returned starts at its first token and ends at its last, parentheses around it left out.

use super::relation::name;
use super::tokens::Tokens;
use super::{syntax, types, unsupported};
use crate::ast::{Args, Call, Expr, ExprKind, Is, MAX_DEPTH, Name, UnaryOp};
use bpfquery_diag::{Diagnostic, Result, Span};
use bpfquery_plan::{ArithOp, CompareOp, Like};
use sqlparser::ast as sp;
use sqlparser::ast::Spanned;
use sqlparser::tokenizer::Token;

/// The translation of expressions, at some depth.
#[derive(Clone, Copy)]
pub(super) struct Exprs<'a> {
    pub(super) tokens: &'a Tokens<'a>,
    depth: u32,
}

/// An expression and the span that it takes with the parentheses around it.
pub(super) struct Wide {
    pub(super) expr: Expr,
    pub(super) outer: Span,
}

impl Wide {
    fn new(kind: ExprKind, span: Span) -> Wide {
        Wide { expr: Expr::new(kind, span), outer: span }
    }
}

impl<'a> Exprs<'a> {
    /// At the top.
    pub(super) fn new(tokens: &'a Tokens<'a>) -> Exprs<'a> {
        Exprs { tokens, depth: 0 }
    }

    /// The expression.
    pub(super) fn expr(&self, expr: sp::Expr) -> Result<Expr> {
        Ok(self.wide(expr)?.expr)
    }

    /// A list of expressions.
    pub(super) fn list(&self, list: Vec<sp::Expr>) -> Result<Vec<Expr>> {
        list.into_iter().map(|expr| self.deeper(expr).map(|wide| wide.expr)).collect()
    }

    pub(super) fn deeper(&self, expr: sp::Expr) -> Result<Wide> {
        Exprs { tokens: self.tokens, depth: self.depth + 1 }.wide(expr)
    }

    /// The operand of a node.
    pub(super) fn operand(&self, expr: sp::Expr) -> Result<Box<Expr>> {
        Ok(Box::new(self.deeper(expr)?.expr))
    }

    fn wide(&self, expr: sp::Expr) -> Result<Wide> {
        if self.depth > MAX_DEPTH {
            return Err(syntax::too_deep(self.place(&expr)));
        }
        match expr {
            sp::Expr::Identifier(ident) => Ok(self.column(vec![ident])),
            sp::Expr::CompoundIdentifier(idents) => Ok(self.column(idents)),
            sp::Expr::CompoundFieldAccess { root, access_chain } => self.access(*root, access_chain),
            sp::Expr::Nested(inner) => {
                let inner = self.deeper(*inner)?;
                let outer = self.parentheses(inner.outer);
                Ok(Wide { expr: inner.expr, outer })
            }
            sp::Expr::Value(value) => self.value(value),
            sp::Expr::Interval(interval) => self.interval(interval),
            sp::Expr::UnaryOp { op, expr } => self.unary(op, *expr),
            sp::Expr::BinaryOp { left, op, right } => self.binary(*left, op, *right),
            sp::Expr::IsNull(expr) => self.is(*expr, Is::Null, false),
            sp::Expr::IsNotNull(expr) => self.is(*expr, Is::Null, true),
            sp::Expr::IsTrue(expr) => self.is(*expr, Is::True, false),
            sp::Expr::IsNotTrue(expr) => self.is(*expr, Is::True, true),
            sp::Expr::IsFalse(expr) => self.is(*expr, Is::False, false),
            sp::Expr::IsNotFalse(expr) => self.is(*expr, Is::False, true),
            sp::Expr::IsUnknown(expr) => self.is(*expr, Is::Unknown, false),
            sp::Expr::IsNotUnknown(expr) => self.is(*expr, Is::Unknown, true),
            sp::Expr::InList { expr, list, negated } => self.in_list(*expr, list, negated),
            sp::Expr::Between { expr, negated, low, high } => self.between(*expr, negated, *low, *high),
            sp::Expr::Like { negated, any, expr, pattern, escape_char } => {
                self.like(negated, any, *expr, *pattern, escape_char, false)
            }
            sp::Expr::ILike { negated, any, expr, pattern, escape_char } => {
                self.like(negated, any, *expr, *pattern, escape_char, true)
            }
            sp::Expr::Case { case_token, end_token, operand, conditions, else_result } => {
                let span = self.tokens.span(case_token.0.span).to(self.tokens.span(end_token.0.span));
                self.case(span, operand, conditions, else_result)
            }
            sp::Expr::Cast { kind, expr, data_type, format } => self.cast(kind, *expr, data_type, format.is_some()),
            sp::Expr::Function(function) => {
                let (call, span) = super::call::call(self, function)?;
                Ok(Wide::new(ExprKind::Call(call), span))
            }
            sp::Expr::IsDistinctFrom(a, b) => self.distinct(*a, *b, false),
            sp::Expr::IsNotDistinctFrom(a, b) => self.distinct(*a, *b, true),
            other => Err(self.refuse(other)),
        }
    }

    /// The parentheses around a span.
    pub(super) fn parentheses(&self, inner: Span) -> Span {
        let open = self.tokens.before(inner).map_or(inner, |index| self.tokens.span_at(index));
        open.to(self.tokens.span_at(self.tokens.after(inner)))
    }

    /// What sqlparser knows of an expression's place, which may be a part of it or nothing.
    pub(super) fn place(&self, expr: &sp::Expr) -> Span {
        // sqlparser walks the whole expression for this; only errors ask, once.
        self.tokens.span(expr.span())
    }

    fn column(&self, idents: Vec<sp::Ident>) -> Wide {
        let names: Vec<Name> = idents.iter().map(|ident| name(self.tokens, ident)).collect();
        let span = names.iter().fold(Span::default(), |all, name| all.to(name.span));
        Wide::new(ExprKind::Column(names), span)
    }

    /// `(x).field`, `f(x).field`, `a.b[1].c`.
    fn access(&self, root: sp::Expr, chain: Vec<sp::AccessExpr>) -> Result<Wide> {
        let root = self.deeper(root)?;
        chain.into_iter().try_fold(root, |base, access| self.step(base, access))
    }

    /// One `.name` or `[index]`. Names behind a plain name are one dotted name with it.
    fn step(&self, base: Wide, access: sp::AccessExpr) -> Result<Wide> {
        match access {
            sp::AccessExpr::Dot(sp::Expr::Identifier(ident)) => {
                let next = name(self.tokens, &ident);
                let outer = base.outer.to(next.span);
                let kind = match base.expr.kind {
                    ExprKind::Column(mut names) if base.expr.span == base.outer => {
                        names.push(next);
                        ExprKind::Column(names)
                    }
                    _ => ExprKind::Field(Box::new(base.expr), next),
                };
                Ok(Wide::new(kind, outer))
            }
            sp::AccessExpr::Dot(_) => {
                Err(syntax::unexpected(self.tokens, self.tokens.after(base.outer) + 1, "the name of a field"))
            }
            sp::AccessExpr::Subscript(subscript) => {
                let open = self.tokens.after(base.outer);
                let outer = base.outer.to(self.tokens.span_at(self.tokens.closing(open)));
                let sp::Subscript::Index { index } = subscript else {
                    let span = self.tokens.span_at(open).to(self.tokens.span_at(self.tokens.closing(open)));
                    return Err(unsupported(span, "a part of an array"));
                };
                let index = self.operand(index)?;
                Ok(Wide::new(ExprKind::Index(Box::new(base.expr), index), outer))
            }
        }
    }

    fn value(&self, value: sp::ValueWithSpan) -> Result<Wide> {
        let span = self.tokens.span(value.span);
        let kind = match value.value {
            sp::Value::Number(digits, _) => ExprKind::Number(digits.replace('_', "")),
            sp::Value::SingleQuotedString(text)
            | sp::Value::EscapedStringLiteral(text)
            | sp::Value::UnicodeStringLiteral(text) => ExprKind::Text(text),
            sp::Value::DollarQuotedString(sp::DollarQuotedString { value, tag: _ }) => ExprKind::Text(value),
            sp::Value::Boolean(value) => ExprKind::Bool(value),
            sp::Value::Null => ExprKind::Null,
            sp::Value::Placeholder(mark) => return self.param(&mark, span),
            sp::Value::HexStringLiteral(_) | sp::Value::SingleQuotedByteStringLiteral(_) => {
                return Err(unsupported(span, "a bit string"));
            }
            sp::Value::TripleSingleQuotedString(_)
            | sp::Value::TripleDoubleQuotedString(_)
            | sp::Value::DoubleQuotedByteStringLiteral(_)
            | sp::Value::TripleSingleQuotedByteStringLiteral(_)
            | sp::Value::TripleDoubleQuotedByteStringLiteral(_)
            | sp::Value::SingleQuotedRawStringLiteral(_)
            | sp::Value::DoubleQuotedRawStringLiteral(_)
            | sp::Value::TripleSingleQuotedRawStringLiteral(_)
            | sp::Value::TripleDoubleQuotedRawStringLiteral(_)
            | sp::Value::NationalStringLiteral(_)
            | sp::Value::QuoteDelimitedStringLiteral(_)
            | sp::Value::NationalQuoteDelimitedStringLiteral(_)
            | sp::Value::DoubleQuotedString(_) => return Err(unsupported(span, "this kind of quotes")),
        };
        Ok(Wide::new(kind, span))
    }

    /// `$1` or `:name`.
    fn param(&self, mark: &str, span: Span) -> Result<Wide> {
        let (kind, name) = mark.split_at(mark.chars().next().map_or(0, char::len_utf8));
        let digits = name.chars().all(|c| c.is_ascii_digit());
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let good = match kind {
            "$" => digits,
            ":" => plain && (digits || !name.starts_with(|c: char| c.is_ascii_digit())),
            _ => false,
        };
        if name.is_empty() || !good {
            let fact = format!("\"{mark}\" is no parameter");
            return Err(Diagnostic::new("syntax", span, fact).help("name parameters $1, $2 or :name").into());
        }
        Ok(Wide::new(ExprKind::Param(name.to_string()), span))
    }

    /// `INTERVAL '1 second'`, `INTERVAL '1' SECOND`.
    fn interval(&self, interval: sp::Interval) -> Result<Wide> {
        let sp::Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision } =
            interval;
        let value = self.deeper(*value)?;
        let keyword = self.tokens.before(value.outer).filter(|index| self.tokens.word_at(*index, "INTERVAL"));
        let Some(keyword) = keyword else {
            return Err(unsupported(value.outer, "a field or precision before an interval's text"));
        };
        let ExprKind::Text(mut text) = value.expr.kind else {
            let fact = "an interval is a text in quotes";
            return Err(Diagnostic::new("syntax", value.expr.span, fact).help("interval '1 second'").into());
        };
        let mut span = self.tokens.span_at(keyword).to(value.outer);
        if let Some(field) = leading_field {
            text = format!("{text} {field}");
            span = span.to(self.tokens.span_at(self.tokens.after(value.outer)));
        }
        if leading_precision.is_some() || last_field.is_some() || fractional_seconds_precision.is_some() {
            let next = self.tokens.span_at(self.tokens.after(span));
            return Err(unsupported(next, "a precision or range of an interval"));
        }
        Ok(Wide::new(ExprKind::Interval(text), span))
    }

    fn unary(&self, op: sp::UnaryOperator, operand: sp::Expr) -> Result<Wide> {
        let operand = self.deeper(operand)?;
        let at = self.tokens.before(operand.outer).map_or(operand.outer, |index| self.tokens.span_at(index));
        let op = match op {
            sp::UnaryOperator::Minus => UnaryOp::Neg,
            sp::UnaryOperator::Plus => UnaryOp::Plus,
            sp::UnaryOperator::Not => UnaryOp::Not,
            sp::UnaryOperator::BitwiseNot => UnaryOp::BitNot,
            sp::UnaryOperator::AtDashAt
            | sp::UnaryOperator::BangNot
            | sp::UnaryOperator::DoubleAt
            | sp::UnaryOperator::Hash
            | sp::UnaryOperator::PGAbs
            | sp::UnaryOperator::PGCubeRoot
            | sp::UnaryOperator::PGPostfixFactorial
            | sp::UnaryOperator::PGPrefixFactorial
            | sp::UnaryOperator::PGSquareRoot
            | sp::UnaryOperator::QuestionDash
            | sp::UnaryOperator::QuestionPipe => return Err(unsupported(at, &format!("operator {op}"))),
        };
        Ok(Wide::new(ExprKind::Unary(op, Box::new(operand.expr)), at.to(operand.outer)))
    }

    fn binary(&self, left: sp::Expr, op: sp::BinaryOperator, right: sp::Expr) -> Result<Wide> {
        match op {
            sp::BinaryOperator::And | sp::BinaryOperator::Or => self.logic(left, &op, right),
            sp::BinaryOperator::Arrow => self.arrow(left, right),
            op => {
                let left = self.deeper(left)?;
                let at = self.tokens.span_at(self.tokens.after(left.outer));
                if let Some((negated, fold)) = matching(&op) {
                    let right = self.deeper(right)?;
                    let (span, how) = (left.outer.to(right.outer), Like { escape: Some('\\'), fold });
                    let (expr, pattern) = (Box::new(left.expr), Box::new(right.expr));
                    return Ok(Wide::new(ExprKind::Like { expr, pattern, how, negated, at }, span));
                }
                // PostgreSQL's operator of the function.
                if op == sp::BinaryOperator::PGStartsWith {
                    let right = self.deeper(right)?;
                    let span = left.outer.to(right.outer);
                    let name = Name { text: "starts_with".to_string(), quoted: false, span: at };
                    let call = Call { name, args: Args::List(vec![left.expr, right.expr]), filter: None };
                    return Ok(Wide::new(ExprKind::Call(call), span));
                }
                let Some(op) = operator(&op) else { return Err(super::refuse::operator(&op, at)) };
                let right = self.deeper(right)?;
                let span = left.outer.to(right.outer);
                let (left, right) = (Box::new(left.expr), Box::new(right.expr));
                let kind = match op {
                    Operator::Arith(op) => ExprKind::Arith(op, at, left, right),
                    Operator::Compare(op) => ExprKind::Compare(op, at, left, right),
                };
                Ok(Wide::new(kind, span))
            }
        }
    }

    /// AND and OR: a chain of one of them is one node, however long it is.
    fn logic(&self, left: sp::Expr, op: &sp::BinaryOperator, right: sp::Expr) -> Result<Wide> {
        let mut operands = vec![right];
        let mut rest = left;
        loop {
            match rest {
                sp::Expr::BinaryOp { left, op: inner, right } if inner == *op => {
                    operands.push(*right);
                    rest = *left;
                }
                first => break operands.push(first),
            }
        }
        let wide: Vec<Wide> = operands.into_iter().rev().map(|e| self.deeper(e)).collect::<Result<_>>()?;
        let span = wide.iter().fold(Span::default(), |all, wide| all.to(wide.outer));
        let list = wide.into_iter().map(|wide| wide.expr).collect();
        let is_and = matches!(op, sp::BinaryOperator::And);
        Ok(Wide::new(if is_and { ExprKind::And(list) } else { ExprKind::Or(list) }, span))
    }

    /// `a -> b.c`, `a -> b[1].c`: fields and elements, one after the other.
    fn arrow(&self, left: sp::Expr, right: sp::Expr) -> Result<Wide> {
        let left = self.deeper(left)?;
        let (root, chain) = match right {
            sp::Expr::CompoundFieldAccess { root, access_chain } => (*root, access_chain),
            other => (other, Vec::new()),
        };
        let fields = match root {
            sp::Expr::Identifier(ident) => vec![ident],
            sp::Expr::CompoundIdentifier(idents) => idents,
            _ => {
                let at = self.tokens.after(left.outer) + 1;
                return Err(syntax::unexpected(self.tokens, at, "the name of a field behind \"->\""));
            }
        };
        let fields = fields.iter().fold(left, |base, field| {
            let field = name(self.tokens, field);
            let outer = base.outer.to(field.span);
            Wide::new(ExprKind::Field(Box::new(base.expr), field), outer)
        });
        chain.into_iter().try_fold(fields, |base, access| self.step(base, access))
    }

    /// `x IS [NOT] …`, `x ISNULL`, `x NOTNULL`, `x NOT NULL`.
    fn is(&self, expr: sp::Expr, what: Is, negated: bool) -> Result<Wide> {
        let expr = self.deeper(expr)?;
        let mut last = self.tokens.after(expr.outer);
        last += usize::from(self.tokens.word_at(last, "IS"));
        last += usize::from(self.tokens.word_at(last, "NOT"));
        let span = expr.outer.to(self.tokens.span_at(last));
        Ok(Wide::new(ExprKind::Is { expr: Box::new(expr.expr), what, negated }, span))
    }

    /// `a IS [NOT] DISTINCT FROM b`.
    fn distinct(&self, a: sp::Expr, b: sp::Expr, negated: bool) -> Result<Wide> {
        let (a, b) = (self.deeper(a)?, self.deeper(b)?);
        let span = a.outer.to(b.outer);
        Ok(Wide::new(ExprKind::Distinct { a: Box::new(a.expr), b: Box::new(b.expr), negated }, span))
    }

    fn in_list(&self, expr: sp::Expr, list: Vec<sp::Expr>, negated: bool) -> Result<Wide> {
        let expr = self.deeper(expr)?;
        let open = self.tokens.after(expr.outer) + 1 + usize::from(negated);
        let span = expr.outer.to(self.tokens.span_at(self.tokens.closing(open)));
        if list.is_empty() {
            return Err(Diagnostic::new("syntax", span, "IN looks in an empty list").into());
        }
        Ok(Wide::new(ExprKind::InList { expr: Box::new(expr.expr), list: self.list(list)?, negated }, span))
    }

    fn between(&self, expr: sp::Expr, negated: bool, low: sp::Expr, high: sp::Expr) -> Result<Wide> {
        let (expr, low, high) = (self.deeper(expr)?, self.deeper(low)?, self.deeper(high)?);
        let span = expr.outer.to(high.outer);
        let (expr, low, high) = (Box::new(expr.expr), Box::new(low.expr), Box::new(high.expr));
        Ok(Wide::new(ExprKind::Between { expr, low, high, negated }, span))
    }

    /// `x [NOT] LIKE pattern [ESCAPE 'c']`, `x [NOT] ILIKE pattern`.
    fn like(
        &self,
        negated: bool,
        any: bool,
        expr: sp::Expr,
        pattern: sp::Expr,
        escape: Option<Box<sp::Expr>>,
        fold: bool,
    ) -> Result<Wide> {
        let expr = self.deeper(expr)?;
        let first = self.tokens.after(expr.outer);
        let word = first + usize::from(negated);
        if any {
            return Err(unsupported(self.tokens.span_at(word + 1), "LIKE ANY"));
        }
        let pattern = self.deeper(pattern)?;
        let mut span = expr.outer.to(pattern.outer);
        let mut how = Like { escape: Some('\\'), fold };
        if let Some(escape) = escape {
            let escape = self.deeper(*escape)?;
            span = span.to(escape.outer);
            how.escape = escape_character(&escape.expr)?;
        }
        let at = self.tokens.span_at(first).to(self.tokens.span_at(word));
        let (expr, pattern) = (Box::new(expr.expr), Box::new(pattern.expr));
        Ok(Wide::new(ExprKind::Like { expr, pattern, how, negated, at }, span))
    }

    fn case(
        &self,
        span: Span,
        operand: Option<Box<sp::Expr>>,
        conditions: Vec<sp::CaseWhen>,
        otherwise: Option<Box<sp::Expr>>,
    ) -> Result<Wide> {
        let operand = operand.map(|expr| self.operand(*expr)).transpose()?;
        let arm = |sp::CaseWhen { condition, result }| Ok((self.deeper(condition)?.expr, self.deeper(result)?.expr));
        let arms = conditions.into_iter().map(arm).collect::<Result<_>>()?;
        let otherwise = otherwise.map(|expr| self.operand(*expr)).transpose()?;
        Ok(Wide::new(ExprKind::Case { operand, arms, otherwise }, span))
    }

    fn cast(&self, kind: sp::CastKind, expr: sp::Expr, data_type: sp::DataType, format: bool) -> Result<Wide> {
        let expr = self.deeper(expr)?;
        // `::` or AS, then the type.
        let first = self.tokens.after(expr.outer) + 1;
        let (span, at) = match kind {
            sp::CastKind::DoubleColon => {
                let last = types::end(self.tokens, first);
                let at = self.tokens.span_at(first).to(self.tokens.span_at(last));
                (expr.outer.to(at), at)
            }
            sp::CastKind::Cast | sp::CastKind::TryCast | sp::CastKind::SafeCast => {
                let open = self.tokens.before(expr.outer).unwrap_or(0);
                let close = self.tokens.closing(open);
                let at = self.tokens.span_at(first).to(self.tokens.span_at(close.saturating_sub(1)));
                (self.tokens.span_at(open.saturating_sub(1)).to(self.tokens.span_at(close)), at)
            }
        };
        match kind {
            sp::CastKind::TryCast | sp::CastKind::SafeCast => return Err(unsupported(span, "TRY_CAST")),
            sp::CastKind::Cast | sp::CastKind::DoubleColon if format => {
                return Err(unsupported(at, "FORMAT of a cast"));
            }
            sp::CastKind::Cast | sp::CastKind::DoubleColon => {}
        }
        let to = types::cast_type(&data_type, at)?;
        Ok(Wide::new(ExprKind::Cast { expr: Box::new(expr.expr), to, at }, span))
    }
}

enum Operator {
    Arith(ArithOp),
    Compare(CompareOp),
}

/// Whether the operators behind LIKE (`~~`, `!~~`, `~~*`, `!~~*`) negate, and whether they fold.
fn matching(op: &sp::BinaryOperator) -> Option<(bool, bool)> {
    match op {
        sp::BinaryOperator::PGLikeMatch => Some((false, false)),
        sp::BinaryOperator::PGNotLikeMatch => Some((true, false)),
        sp::BinaryOperator::PGILikeMatch => Some((false, true)),
        sp::BinaryOperator::PGNotILikeMatch => Some((true, true)),
        _ => None,
    }
}

/// The character behind ESCAPE; none for an empty text.
fn escape_character(expr: &Expr) -> Result<Option<char>> {
    let mut chars = match &expr.kind {
        ExprKind::Text(text) => text.chars(),
        _ => return Err(Diagnostic::new("syntax", expr.span, "the escape character must be a text in quotes").into()),
    };
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(Diagnostic::new("syntax", expr.span, "invalid escape string")
            .help("an escape string must be empty or one character")
            .into()),
    }
}

/// Ours for sqlparser's; `None` for one that we do not have.
fn operator(op: &sp::BinaryOperator) -> Option<Operator> {
    use sp::BinaryOperator as B;
    Some(match op {
        B::Plus => Operator::Arith(ArithOp::Add),
        B::Minus => Operator::Arith(ArithOp::Sub),
        B::Multiply => Operator::Arith(ArithOp::Mul),
        B::Divide => Operator::Arith(ArithOp::Div),
        B::Modulo => Operator::Arith(ArithOp::Mod),
        B::BitwiseAnd => Operator::Arith(ArithOp::And),
        B::BitwiseOr => Operator::Arith(ArithOp::Or),
        B::PGBitwiseXor => Operator::Arith(ArithOp::Xor),
        B::PGBitwiseShiftLeft => Operator::Arith(ArithOp::Shl),
        B::PGBitwiseShiftRight => Operator::Arith(ArithOp::Shr),
        B::Eq => Operator::Compare(CompareOp::Eq),
        B::NotEq => Operator::Compare(CompareOp::Ne),
        B::Lt => Operator::Compare(CompareOp::Lt),
        B::LtEq => Operator::Compare(CompareOp::Le),
        B::Gt => Operator::Compare(CompareOp::Gt),
        B::GtEq => Operator::Compare(CompareOp::Ge),
        // Every other operator is refused by name, so that a new one needs no change here.
        _ => return None,
    })
}

/// Whether the token there is an opening parenthesis.
pub(super) fn opens(tokens: &Tokens<'_>, index: usize) -> bool {
    tokens.token_at(index, &Token::LParen)
}
