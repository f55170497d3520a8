//! Scalar expressions: the primitives that functions expand into, lowering emits and the evaluator computes.

use crate::like::Pattern;
use crate::{ColumnId, Datum};
use bpfquery_catalog::{FieldPath, Presence, SqlType};
use bpfquery_diag::Span;
use serde::{Deserialize, Serialize};

/// A typed expression over the columns of its plan's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// The type of its value.
    pub ty: SqlType,
    /// Where it stands in the query.
    #[serde(skip)]
    pub span: Span,
}

/// A parameter's position in [`crate::Query::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ParamId(pub u32);

/// What an expression computes. NULL in, NULL out, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ExprKind {
    /// A constant.
    Literal(Datum),
    /// A column of the input.
    Column(ColumnId),
    /// A parameter's value, set at load.
    Param(ParamId),
    /// One operand.
    Unary(UnaryOp, Box<Expr>),
    /// Integer arithmetic in 64 bits, wrapping, in the signedness of the expression's own type; over doubles in user space.
    /// `Div` and `Mod` by zero are NULL; division truncates toward zero; INT_MIN / -1 wraps.
    Arith(ArithOp, Box<Expr>, Box<Expr>),
    /// A comparison; between a signed and an unsigned integer it is mathematically right.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// `text LIKE pattern`; a pattern that ends in its escape character is NULL.
    Like(Box<Expr>, Like, Box<Expr>),
    /// Three-valued AND of two or more.
    And(Vec<Expr>),
    /// Three-valued OR of two or more.
    Or(Vec<Expr>),
    /// `IS NULL`: never NULL itself.
    IsNull(Box<Expr>),
    /// The value of the first arm whose condition is true.
    Case {
        /// Condition and value.
        arms: Vec<(Expr, Expr)>,
        /// The value where no condition is true.
        otherwise: Box<Expr>,
    },
    /// The first that is not NULL.
    Coalesce(Vec<Expr>),
    /// The operand in the expression's own type: integers narrow (wrapping) or extend; bool is 0 or 1; integer to double.
    Cast(Box<Expr>),
    /// A field of the struct that `base` points at (a pointer) or is (a struct): a scalar is read, text and structs are located.
    /// A faulting read is NULL and counted.
    Field {
        /// A pointer to a struct, or a struct.
        base: Box<Expr>,
        /// Which field; where the run decides an index, the way goes through element 0.
        path: Box<FieldPath>,
        /// The indices that the run decides, from the outer one in.
        at: Vec<Subscript>,
    },
    /// The NUL-ended text that the operand (a pointer to char, or an integer address) points at, in a buffer as wide as the
    /// expression's own type. A faulting read is NULL and counted.
    ReadText(Box<Expr>),
    /// The start of the window of `size_ns` that the event's `ts` lies in, aligned to the Unix epoch; a timestamp.
    Tumble {
        /// The window's length in ns.
        size_ns: u64,
    },
    /// The histogram bucket of an integer: 0 for x < 0, 1 for 0, 2 + k for 2^k <= x < 2^(k+1).
    Bucket(Box<Expr>),
}

/// An index into an array on the way to a field: NULL where the array has no such element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscript {
    /// An integer; the first element is 0.
    pub index: Expr,
    /// An element: its size is how far they stand apart.
    pub element: FieldPath,
    /// The array, where its size is known: not that of a flexible one, and not what a pointer leads to.
    pub array: Option<FieldPath>,
}

impl Subscript {
    /// Whether both go on in the same array, whatever the index.
    fn same_array(&self, other: &Subscript) -> bool {
        self.element == other.element && self.array == other.array
    }
}

/// How a pattern is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Like {
    /// The character that takes the meaning from the one behind it.
    pub escape: Option<char>,
    /// ILIKE.
    pub fold: bool,
}

/// One-operand operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnaryOp {
    /// `-x`, wrapping.
    Neg,
    /// `~x`.
    BitNot,
    /// Three-valued `NOT x`.
    Not,
}

/// Two-operand arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ArithOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`.
    Div,
    /// `a % b`: the sign is `a`'s.
    Mod,
    /// `a & b`.
    And,
    /// `a | b`.
    Or,
    /// `a # b`, PostgreSQL's exclusive or.
    Xor,
    /// `a << b`, `b` taken modulo 64.
    Shl,
    /// `a >> b`, `b` taken modulo 64; arithmetic where `a` is signed.
    Shr,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CompareOp {
    /// `a = b`.
    Eq,
    /// `a <> b`.
    Ne,
    /// `a < b`.
    Lt,
    /// `a <= b`.
    Le,
    /// `a > b`.
    Gt,
    /// `a >= b`.
    Ge,
}

impl ExprKind {
    /// Whether both do the same with their operands, whatever these are.
    fn same_operator(&self, other: &ExprKind) -> bool {
        match (self, other) {
            (ExprKind::Literal(a), ExprKind::Literal(b)) => a == b,
            (ExprKind::Column(a), ExprKind::Column(b)) => a == b,
            (ExprKind::Param(a), ExprKind::Param(b)) => a == b,
            (ExprKind::Unary(a, _), ExprKind::Unary(b, _)) => a == b,
            (ExprKind::Arith(a, _, _), ExprKind::Arith(b, _, _)) => a == b,
            (ExprKind::Compare(a, _, _), ExprKind::Compare(b, _, _)) => a == b,
            (ExprKind::Like(_, a, _), ExprKind::Like(_, b, _)) => a == b,
            (ExprKind::Field { path: a, at: x, .. }, ExprKind::Field { path: b, at: y, .. }) => {
                a == b && x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.same_array(y))
            }
            (ExprKind::Tumble { size_ns: a }, ExprKind::Tumble { size_ns: b }) => a == b,
            (
                ExprKind::And(_)
                | ExprKind::Or(_)
                | ExprKind::IsNull(_)
                | ExprKind::Case { .. }
                | ExprKind::Coalesce(_)
                | ExprKind::Cast(_)
                | ExprKind::ReadText(_)
                | ExprKind::Bucket(_),
                _,
            ) => std::mem::discriminant(self) == std::mem::discriminant(other),
            (
                ExprKind::Literal(_)
                | ExprKind::Column(_)
                | ExprKind::Param(_)
                | ExprKind::Unary(_, _)
                | ExprKind::Arith(_, _, _)
                | ExprKind::Compare(_, _, _)
                | ExprKind::Like(_, _, _)
                | ExprKind::Field { .. }
                | ExprKind::Tumble { .. },
                _,
            ) => false,
        }
    }
}

impl Like {
    /// The pattern in this text; `None` where it ends in the escape character.
    pub fn parse(self, text: &[u8]) -> Option<Pattern> {
        Pattern::parse(text, self.escape, self.fold)
    }
}

impl ArithOp {
    /// As SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            ArithOp::Add => "+",
            ArithOp::Sub => "-",
            ArithOp::Mul => "*",
            ArithOp::Div => "/",
            ArithOp::Mod => "%",
            ArithOp::And => "&",
            ArithOp::Or => "|",
            ArithOp::Xor => "#",
            ArithOp::Shl => "<<",
            ArithOp::Shr => ">>",
        }
    }
}

impl CompareOp {
    /// As SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            CompareOp::Eq => "=",
            CompareOp::Ne => "<>",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }

    /// The one that is true where this is false: `<` becomes `>=`.
    #[must_use]
    pub fn negated(self) -> CompareOp {
        match self {
            CompareOp::Eq => CompareOp::Ne,
            CompareOp::Ne => CompareOp::Eq,
            CompareOp::Lt => CompareOp::Ge,
            CompareOp::Le => CompareOp::Gt,
            CompareOp::Gt => CompareOp::Le,
            CompareOp::Ge => CompareOp::Lt,
        }
    }

    /// The one that says the same with the operands swapped: `<` becomes `>`.
    #[must_use]
    pub fn mirrored(self) -> CompareOp {
        match self {
            CompareOp::Eq | CompareOp::Ne => self,
            CompareOp::Lt => CompareOp::Gt,
            CompareOp::Le => CompareOp::Ge,
            CompareOp::Gt => CompareOp::Lt,
            CompareOp::Ge => CompareOp::Le,
        }
    }

    /// What it says of an ordering.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            CompareOp::Eq => ordering.is_eq(),
            CompareOp::Ne => ordering.is_ne(),
            CompareOp::Lt => ordering.is_lt(),
            CompareOp::Le => ordering.is_le(),
            CompareOp::Gt => ordering.is_gt(),
            CompareOp::Ge => ordering.is_ge(),
        }
    }
}

impl Expr {
    /// An expression at a place.
    pub fn new(kind: ExprKind, ty: SqlType, span: Span) -> Expr {
        Expr { kind, ty, span }
    }

    /// An integer constant.
    pub fn int(value: i128, ty: SqlType, span: Span) -> Expr {
        Expr::new(ExprKind::Literal(Datum::Int(value)), ty, span)
    }

    /// A boolean constant.
    pub fn bool(value: bool, span: Span) -> Expr {
        Expr::new(ExprKind::Literal(Datum::Bool(value)), SqlType::Bool, span)
    }

    /// Whether both compute the same: equal but for their places in the query.
    pub fn same(&self, other: &Expr) -> bool {
        if self.ty != other.ty || !self.kind.same_operator(&other.kind) {
            return false;
        }
        let (a, b) = (self.children(), other.children());
        a.len() == b.len() && a.into_iter().zip(b).all(|(a, b)| a.same(b))
    }

    /// Every node replaced by what `f` makes of it, operands first.
    #[must_use]
    pub fn map(&self, f: &mut impl FnMut(Expr) -> Expr) -> Expr {
        let mut copy = self.clone();
        copy.rewrite(f);
        copy
    }

    /// Replaces every node by what `f` makes of it, operands first.
    pub fn rewrite(&mut self, f: &mut impl FnMut(Expr) -> Expr) {
        for child in self.children_mut() {
            child.rewrite(f);
        }
        let hole = Expr::new(ExprKind::Literal(Datum::Null), SqlType::Null, Span::default());
        let node = std::mem::replace(self, hole);
        *self = f(node);
    }

    /// Calls `f` with every node, operators before operands.
    pub fn walk<'a>(&'a self, f: &mut impl FnMut(&'a Expr)) {
        f(self);
        for child in self.children() {
            child.walk(f);
        }
    }

    /// Whether any node is such.
    pub fn any(&self, is: &impl Fn(&Expr) -> bool) -> bool {
        is(self) || self.children().into_iter().any(|child| child.any(is))
    }

    /// Whether one of the texts that this may be is such, looked for through CASE, COALESCE and casts, but not in conditions.
    pub(crate) fn any_text(&self, is: &impl Fn(&Expr) -> bool) -> bool {
        let within = |list: &[Expr]| list.iter().any(|e| e.any_text(is));
        is(self)
            || match &self.kind {
                ExprKind::Case { arms, otherwise } => {
                    arms.iter().any(|(_, then)| then.any_text(is)) || otherwise.any_text(is)
                }
                ExprKind::Coalesce(list) => within(list),
                ExprKind::Cast(operand) => operand.any_text(is),
                _ => false,
            }
    }

    /// How many nodes it has.
    pub fn size(&self) -> usize {
        self.children().into_iter().fold(1, |sum, child| sum.saturating_add(child.size()))
    }

    /// How many nodes it would have with its columns replaced by expressions of these sizes.
    pub fn size_over(&self, columns: &[usize]) -> usize {
        match self.kind {
            ExprKind::Column(ColumnId(at)) => columns.get(at as usize).copied().unwrap_or(1),
            _ => self.children().into_iter().fold(1, |sum, child| sum.saturating_add(child.size_over(columns))),
        }
    }

    /// Whether it needs what only user space has: double, decimal, histograms, patterns of the run.
    pub fn needs_user_space(&self) -> bool {
        self.any(&|e| {
            e.has_free_pattern() || matches!(e.ty, SqlType::Double | SqlType::Decimal | SqlType::Histogram { .. })
        })
    }

    /// Whether this node is a LIKE whose pattern the kernel does not follow: one that is not known now, or of too many steps.
    pub(crate) fn has_free_pattern(&self) -> bool {
        match &self.kind {
            ExprKind::Like(_, how, pattern) => match &pattern.kind {
                ExprKind::Literal(Datum::Text(text)) => how.parse(text).is_some_and(|p| !p.runs_in_kernel()),
                ExprKind::Literal(_) => false,
                _ => true,
            },
            _ => false,
        }
    }

    /// The columns replaced by expressions, by position. An expression without a place takes the column's.
    #[must_use]
    pub fn substitute(&self, columns: &[Expr]) -> Expr {
        self.map(&mut |expr| match expr.kind {
            // A column that is not there would be a bug of the binder; it stays, and the next stage notices.
            ExprKind::Column(ColumnId(at)) => match columns.get(at as usize).cloned() {
                Some(found) if found.span == Span::default() => Expr { span: expr.span, ..found },
                Some(found) => found,
                None => expr,
            },
            _ => expr,
        })
    }

    /// The direct operands, in order of evaluation.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Column(_) | ExprKind::Param(_) | ExprKind::Tumble { .. } => Vec::new(),
            ExprKind::Unary(_, a)
            | ExprKind::IsNull(a)
            | ExprKind::Cast(a)
            | ExprKind::ReadText(a)
            | ExprKind::Bucket(a) => vec![a],
            ExprKind::Field { base, at, .. } => {
                std::iter::once(base.as_ref()).chain(at.iter().map(|at| &at.index)).collect()
            }
            ExprKind::Arith(_, a, b) | ExprKind::Compare(_, a, b) | ExprKind::Like(a, _, b) => vec![a, b],
            ExprKind::And(list) | ExprKind::Or(list) | ExprKind::Coalesce(list) => list.iter().collect(),
            ExprKind::Case { arms, otherwise } => {
                arms.iter().flat_map(|(when, then)| [when, then]).chain([otherwise.as_ref()]).collect()
            }
        }
    }

    /// The direct operands, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            ExprKind::Literal(_) | ExprKind::Column(_) | ExprKind::Param(_) | ExprKind::Tumble { .. } => Vec::new(),
            ExprKind::Unary(_, a)
            | ExprKind::IsNull(a)
            | ExprKind::Cast(a)
            | ExprKind::ReadText(a)
            | ExprKind::Bucket(a) => vec![a],
            ExprKind::Field { base, at, .. } => {
                std::iter::once(base.as_mut()).chain(at.iter_mut().map(|at| &mut at.index)).collect()
            }
            ExprKind::Arith(_, a, b) | ExprKind::Compare(_, a, b) | ExprKind::Like(a, _, b) => vec![a, b],
            ExprKind::And(list) | ExprKind::Or(list) | ExprKind::Coalesce(list) => list.iter_mut().collect(),
            ExprKind::Case { arms, otherwise } => {
                arms.iter_mut().flat_map(|(when, then)| [when, then]).chain([otherwise.as_mut()]).collect()
            }
        }
    }

    /// Whether the value may be NULL, given whether each input column may be.
    pub fn nullable(&self, column: &dyn Fn(ColumnId) -> bool) -> bool {
        match &self.kind {
            ExprKind::Literal(datum) => datum.is_null(),
            ExprKind::Column(id) => column(*id),
            ExprKind::Param(_) | ExprKind::IsNull(_) | ExprKind::Tumble { .. } => false,
            // A struct in memory is located, not read.
            ExprKind::Field { base, path, at } if matches!(self.ty, SqlType::Struct(_)) => {
                base.nullable(column) || !at.is_empty() || path.presence != Presence::Sure
            }
            ExprKind::Field { .. } | ExprKind::ReadText(_) => true,
            ExprKind::Arith(ArithOp::Div | ArithOp::Mod, a, b) => {
                let sure = matches!(&b.kind, ExprKind::Literal(Datum::Int(n)) if *n != 0);
                !sure || a.nullable(column)
            }
            // What 128 bits do not hold is NULL, and so is what a double says that an integer cannot.
            ExprKind::Arith(_, _, _) | ExprKind::Unary(UnaryOp::Neg, _) if self.ty == SqlType::Decimal => true,
            ExprKind::Cast(a) if matches!(a.ty, SqlType::Double | SqlType::Decimal) && a.ty != self.ty => true,
            ExprKind::Coalesce(list) => list.iter().all(|e| e.nullable(column)),
            // Comparing texts that were cut at the same place is NULL.
            ExprKind::Compare(_, a, _) if a.ty.is_text() => true,
            ExprKind::Like(_, _, _) => true,
            ExprKind::Case { arms, otherwise } => {
                arms.iter().any(|(_, then)| then.nullable(column)) || otherwise.nullable(column)
            }
            ExprKind::Unary(_, _)
            | ExprKind::Arith(_, _, _)
            | ExprKind::Compare(_, _, _)
            | ExprKind::And(_)
            | ExprKind::Or(_)
            | ExprKind::Cast(_)
            | ExprKind::Bucket(_) => self.children().iter().any(|e| e.nullable(column)),
        }
    }
}
