//! A query as it was written: every node knows its exact bytes in the text, and nothing is resolved yet.
//!
//! What must hold: a node's span covers the spans of its children; nesting is at most [`MAX_DEPTH`] deep, so that walks may
//! recurse. Not checked: that a name or a type means anything.

mod print;

use bpfquery_catalog::{RelationName, SqlType};
use bpfquery_diag::Span;
use bpfquery_plan::{ArithOp, CompareOp, Like};

/// How deep expressions may nest; chains of AND or OR count once.
pub const MAX_DEPTH: u32 = 100;

/// A `SELECT` statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast {
    /// What stands between SELECT and FROM; never empty.
    pub items: Vec<SelectItem>,
    /// FROM; `None` for a query of one computed row.
    pub from: Option<From>,
    /// JOIN; only behind FROM.
    pub join: Option<Join>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY.
    pub group_by: Vec<Expr>,
    /// HAVING.
    pub having: Option<Expr>,
    /// ORDER BY.
    pub order_by: Vec<OrderKey>,
    /// LIMIT; `None` for LIMIT ALL too.
    pub limit: Option<Expr>,
    /// OFFSET.
    pub offset: Option<Expr>,
    /// From SELECT to the end, without the semicolon.
    pub span: Span,
}

/// One item of the select list.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectItem {
    /// `*` or `t.*`.
    Star {
        /// The `t` of `t.*`.
        of: Option<Name>,
        /// The whole item.
        span: Span,
    },
    /// An expression.
    Expr {
        /// The expression.
        expr: Expr,
        /// The name after AS.
        alias: Option<Name>,
    },
}

/// The relation after FROM.
#[derive(Clone, Debug, PartialEq)]
pub struct From {
    /// Its name and arguments.
    pub name: RelationName,
    /// `FROM x AS alias`.
    pub alias: Option<Name>,
    /// Name and arguments.
    pub span: Span,
}

/// `JOIN x ON …`: the second relation of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The relation.
    pub from: From,
    /// What belongs together.
    pub on: On,
    /// From JOIN to the end of the condition.
    pub span: Span,
}

/// The condition of a join.
#[derive(Clone, Debug, PartialEq)]
pub enum On {
    /// `ON condition`.
    Condition(Expr),
    /// `USING (names)`; never empty.
    Using(Vec<Name>),
}

/// A name, quotes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// In its own case.
    pub text: String,
    /// Whether it stood in double quotes, so that only an exact match will do.
    pub quoted: bool,
    /// Where, quotes included.
    pub span: Span,
}

/// One key of ORDER BY.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey {
    /// An expression, an output name or a position.
    pub expr: Expr,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST or NULLS LAST, if said.
    pub nulls_first: Option<bool>,
}

/// An expression at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where, enclosing parentheses left out.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number as it was written, underscores removed: `4096`, `0xFF`, `1.5`.
    Number(String),
    /// `'text'`.
    Text(String),
    /// `TRUE`, `FALSE`.
    Bool(bool),
    /// `NULL`.
    Null,
    /// `$1`, `:name`; without the mark.
    Param(String),
    /// `INTERVAL '1 second'`: the text, the unit behind it appended.
    Interval(String),
    /// `pid`, `args.fd`, `t.args.path.dentry`; never empty.
    Column(Vec<Name>),
    /// `base -> name`, or `.name` behind something that is no plain name.
    Field(Box<Expr>, Name),
    /// `base[index]`.
    Index(Box<Expr>, Box<Expr>),
    /// `-x`, `~x` or `NOT x`.
    Unary(UnaryOp, Box<Expr>),
    /// Arithmetic; the span is the operator's.
    Arith(ArithOp, Span, Box<Expr>, Box<Expr>),
    /// A comparison; the span is the operator's.
    Compare(CompareOp, Span, Box<Expr>, Box<Expr>),
    /// AND of two or more.
    And(Vec<Expr>),
    /// OR of two or more.
    Or(Vec<Expr>),
    /// `x IS [NOT] NULL` and its kin.
    Is {
        /// What is asked about.
        expr: Box<Expr>,
        /// What it should be.
        what: Is,
        /// IS NOT.
        negated: bool,
    },
    /// `a IS [NOT] DISTINCT FROM b`.
    Distinct {
        /// One value.
        a: Box<Expr>,
        /// The other.
        b: Box<Expr>,
        /// IS NOT DISTINCT FROM.
        negated: bool,
    },
    /// `x [NOT] IN (a, b)`.
    InList {
        /// What is looked for.
        expr: Box<Expr>,
        /// Where; never empty.
        list: Vec<Expr>,
        /// NOT IN.
        negated: bool,
    },
    /// `x [NOT] BETWEEN low AND high`.
    Between {
        /// What is compared.
        expr: Box<Expr>,
        /// The least that fits.
        low: Box<Expr>,
        /// The greatest that fits.
        high: Box<Expr>,
        /// NOT BETWEEN.
        negated: bool,
    },
    /// `x [NOT] LIKE pattern [ESCAPE 'c']`.
    Like {
        /// What is matched.
        expr: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// How it is read.
        how: Like,
        /// NOT LIKE.
        negated: bool,
        /// Where LIKE stands.
        at: Span,
    },
    /// `CASE … END`.
    Case {
        /// The `x` of `CASE x WHEN …`.
        operand: Option<Box<Expr>>,
        /// WHEN and THEN; never empty.
        arms: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`, `x::type`.
    Cast {
        /// The operand.
        expr: Box<Expr>,
        /// The type asked for.
        to: CastType,
        /// Where the type stands.
        at: Span,
    },
    /// `f(x)`.
    Call(Call),
}

/// The type that a cast names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CastType {
    /// One of SQL's.
    Sql(SqlType),
    /// In double quotes: one of the kernel's, as C names it (`struct sock`).
    C(String),
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub name: Name,
    /// Its arguments; the span of `*` for `count(*)`.
    pub args: Args,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Box<Expr>>,
}

/// What stands between a call's parentheses.
#[derive(Clone, Debug, PartialEq)]
pub enum Args {
    /// `*`.
    Star(Span),
    /// Expressions.
    List(Vec<Expr>),
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-x`.
    Neg,
    /// `+x`.
    Plus,
    /// `~x`.
    BitNot,
    /// `NOT x`.
    Not,
}

/// What `IS` can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// NULL; UNKNOWN asks the same of booleans.
    Null,
    /// TRUE.
    True,
    /// FALSE.
    False,
    /// UNKNOWN.
    Unknown,
}

impl Expr {
    /// An expression at a place.
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        Expr { kind, span }
    }

    /// The direct operands, in the order in which they stand.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number(_)
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
            | ExprKind::Param(_)
            | ExprKind::Interval(_)
            | ExprKind::Column(_) => Vec::new(),
            ExprKind::Field(a, _) | ExprKind::Unary(_, a) => vec![a],
            ExprKind::Is { expr, .. } | ExprKind::Cast { expr, .. } => vec![expr],
            ExprKind::Arith(_, _, a, b)
            | ExprKind::Compare(_, _, a, b)
            | ExprKind::Distinct { a, b, .. }
            | ExprKind::Index(a, b) => vec![a, b],
            ExprKind::And(list) | ExprKind::Or(list) => list.iter().collect(),
            ExprKind::InList { expr, list, .. } => std::iter::once(expr.as_ref()).chain(list).collect(),
            ExprKind::Between { expr, low, high, .. } => vec![expr, low, high],
            ExprKind::Like { expr, pattern, .. } => vec![expr, pattern],
            ExprKind::Case { operand, arms, otherwise } => {
                let arms = arms.iter().flat_map(|(when, then)| [when, then]);
                operand.as_deref().into_iter().chain(arms).chain(otherwise.as_deref()).collect()
            }
            ExprKind::Call(Call { args, filter, .. }) => {
                let args = match args {
                    Args::Star(_) => [].iter(),
                    Args::List(list) => list.iter(),
                };
                args.chain(filter.as_deref()).collect()
            }
        }
    }

    /// Whether both mean the same: equal but for where they stand and for the case of unquoted names.
    pub fn same(&self, other: &Expr) -> bool {
        if std::mem::discriminant(&self.kind) != std::mem::discriminant(&other.kind) {
            return false;
        }
        let (a, b) = (self.children(), other.children());
        let heads = match (&self.kind, &other.kind) {
            (ExprKind::Column(a), ExprKind::Column(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (ExprKind::Field(_, a), ExprKind::Field(_, b)) => a.same(b),
            (ExprKind::Number(a), ExprKind::Number(b))
            | (ExprKind::Text(a), ExprKind::Text(b))
            | (ExprKind::Param(a), ExprKind::Param(b))
            | (ExprKind::Interval(a), ExprKind::Interval(b)) => a == b,
            (ExprKind::Bool(a), ExprKind::Bool(b)) => a == b,
            (ExprKind::Unary(a, _), ExprKind::Unary(b, _)) => a == b,
            (ExprKind::Arith(a, ..), ExprKind::Arith(b, ..)) => a == b,
            (ExprKind::Compare(a, ..), ExprKind::Compare(b, ..)) => a == b,
            (ExprKind::Is { what: a, negated: m, .. }, ExprKind::Is { what: b, negated: n, .. }) => a == b && m == n,
            (ExprKind::Distinct { negated: m, .. }, ExprKind::Distinct { negated: n, .. })
            | (ExprKind::InList { negated: m, .. }, ExprKind::InList { negated: n, .. })
            | (ExprKind::Between { negated: m, .. }, ExprKind::Between { negated: n, .. }) => m == n,
            (ExprKind::Like { how: a, negated: m, .. }, ExprKind::Like { how: b, negated: n, .. }) => a == b && m == n,
            (ExprKind::Case { operand: a, otherwise: x, .. }, ExprKind::Case { operand: b, otherwise: y, .. }) => {
                a.is_some() == b.is_some() && x.is_some() == y.is_some()
            }
            (ExprKind::Cast { to: a, .. }, ExprKind::Cast { to: b, .. }) => a == b,
            (ExprKind::Call(a), ExprKind::Call(b)) => {
                let star = |call: &Call| matches!(call.args, Args::Star(_));
                a.name.same(&b.name) && star(a) == star(b) && a.filter.is_some() == b.filter.is_some()
            }
            // NULL, AND, OR, an element: nothing but the operands.
            _ => true,
        };
        heads && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
    }
}

impl Name {
    /// Whether both name the same, as far as that can be said without looking it up.
    pub fn same(&self, other: &Name) -> bool {
        match self.quoted || other.quoted {
            true => self.text == other.text,
            false => self.text.eq_ignore_ascii_case(&other.text),
        }
    }
}
