//! Expressions as SQL, with the names of their columns.

use super::list;
use crate::{ArithOp, ColumnId, Datum, Expr, ExprKind, Like, Param, Subscript, UnaryOp};
use bpfquery_catalog::{DEFAULT_TEXT, SqlType};

/// How tightly an operator binds, as PostgreSQL 16 has it (4.1.6 "Operator Precedence").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binds {
    Or,
    And,
    Not,
    Is,
    Compare,
    /// `& | # << >> ~ ->`: "any other operator".
    Other,
    Sum,
    Product,
    Sign,
    Cast,
    Atom,
}

impl Expr {
    /// As SQL, where column `i` has the name `columns[i]` (`#i` where that is empty or missing) and parameters are called by name if they are known.
    pub fn text(&self, columns: &[String], params: &[Param]) -> String {
        Printer { columns, params }.at(self, Binds::Or)
    }
}

struct Printer<'a> {
    columns: &'a [String],
    params: &'a [Param],
}

impl Printer<'_> {
    /// The text, in parentheses where it binds less tightly than its place asks for.
    fn at(&self, expr: &Expr, place: Binds) -> String {
        let (text, binds) = self.node(expr);
        if binds < place { format!("({text})") } else { text }
    }

    fn node(&self, expr: &Expr) -> (String, Binds) {
        match &expr.kind {
            ExprKind::Literal(datum) => literal(datum, &expr.ty),
            ExprKind::Column(id) => (self.column(*id), Binds::Atom),
            ExprKind::Param(id) => (self.param(id.0), Binds::Atom),
            ExprKind::Unary(op, a) => self.unary(*op, a),
            ExprKind::Arith(op, a, b) => self.infix(op.symbol(), arith_binds(*op), a, b),
            ExprKind::Compare(op, a, b) => {
                let text = format!("{} {} {}", self.at(a, Binds::Other), op.symbol(), self.at(b, Binds::Other));
                (text, Binds::Compare)
            }
            ExprKind::Like(a, how, b) => (self.like(a, "", *how, b), Binds::Compare),
            ExprKind::And(list) => (self.chain(list, " AND ", Binds::Not), Binds::And),
            ExprKind::Or(list) => (self.chain(list, " OR ", Binds::And), Binds::Or),
            ExprKind::IsNull(a) => (format!("{} IS NULL", self.at(a, Binds::Compare)), Binds::Is),
            ExprKind::Case { arms, otherwise } => (self.case(arms, otherwise), Binds::Atom),
            ExprKind::Coalesce(args) => (format!("coalesce({})", self.args(args)), Binds::Atom),
            ExprKind::Cast(a) => (format!("{}::{}", self.at(a, Binds::Cast), expr.ty), Binds::Cast),
            ExprKind::Field { base, path, at } => self.field(base, &path.text, at),
            ExprKind::ReadText(a) => (self.read_text(a, &expr.ty), Binds::Atom),
            ExprKind::Tumble { size_ns } => (format!("tumble({})", interval(i128::from(*size_ns))), Binds::Atom),
            ExprKind::Bucket(a) => (format!("bucket({})", self.at(a, Binds::Or)), Binds::Atom),
        }
    }

    fn column(&self, id: ColumnId) -> String {
        let name = self.columns.get(id.0 as usize).filter(|name| !name.is_empty());
        name.map_or_else(|| format!("#{}", id.0), |name| qualified(name))
    }

    fn param(&self, at: u32) -> String {
        match self.params.get(at as usize) {
            Some(param) if param.name.starts_with(|c: char| c.is_ascii_digit()) => format!("${}", param.name),
            Some(param) => format!(":{}", param.name),
            None => format!("${}", u64::from(at) + 1),
        }
    }

    fn unary(&self, op: UnaryOp, a: &Expr) -> (String, Binds) {
        match (op, &a.kind) {
            (UnaryOp::Not, ExprKind::IsNull(a)) => (format!("{} IS NOT NULL", self.at(a, Binds::Compare)), Binds::Is),
            (UnaryOp::Not, ExprKind::Like(a, how, b)) => (self.like(a, "NOT ", *how, b), Binds::Compare),
            (UnaryOp::Not, _) => (format!("NOT {}", self.at(a, Binds::Not)), Binds::Not),
            (UnaryOp::Neg, _) => (format!("-{}", self.at(a, Binds::Cast)), Binds::Sign),
            (UnaryOp::BitNot, _) => (format!("~{}", self.at(a, Binds::Sign)), Binds::Other),
        }
    }

    fn like(&self, text: &Expr, not: &str, how: Like, pattern: &Expr) -> String {
        let (text, pattern) = (self.at(text, Binds::Other), self.at(pattern, Binds::Other));
        let word = if how.fold { "ILIKE" } else { "LIKE" };
        let escape = match how.escape {
            Some('\\') => String::new(),
            Some(c) => format!(" ESCAPE {}", quoted(&c.to_string())),
            None => " ESCAPE ''".to_string(),
        };
        format!("{text} {not}{word} {pattern}{escape}")
    }

    fn infix(&self, op: &str, binds: Binds, a: &Expr, b: &Expr) -> (String, Binds) {
        // The other operators all bind alike and few people know it: their operands stand in parentheses.
        let (left, right) = match binds {
            Binds::Sum => (Binds::Sum, Binds::Product),
            Binds::Product => (Binds::Product, Binds::Sign),
            _ => (Binds::Sum, Binds::Sum),
        };
        (format!("{} {op} {}", self.at(a, left), self.at(b, right)), binds)
    }

    fn chain(&self, list: &[Expr], between: &str, place: Binds) -> String {
        list.iter().map(|e| self.at(e, place)).collect::<Vec<_>>().join(between)
    }

    fn args(&self, args: &[Expr]) -> String {
        list(args, |e| self.at(e, Binds::Or))
    }

    fn case(&self, arms: &[(Expr, Expr)], otherwise: &Expr) -> String {
        let mut text = "CASE".to_string();
        for (when, then) in arms {
            text += &format!(" WHEN {} THEN {}", self.at(when, Binds::Or), self.at(then, Binds::Or));
        }
        format!("{text} ELSE {} END", self.at(otherwise, Binds::Or))
    }

    fn field(&self, base: &Expr, path: &str, at: &[Subscript]) -> (String, Binds) {
        let arrow = match base.ty {
            _ if path.starts_with('[') => "",
            SqlType::Pointer { .. } => " -> ",
            _ => ".",
        };
        // Each `[]` of the path is an index that the run decides.
        let mut indices = at.iter().map(|at| self.at(&at.index, Binds::Or));
        let mut parts = path.split("[]");
        let mut text = format!("{}{arrow}{}", self.at(base, Binds::Cast), parts.next().unwrap_or_default());
        for part in parts {
            text += &format!("[{}]{part}", indices.next().unwrap_or_default());
        }
        (text, Binds::Atom)
    }

    fn read_text(&self, address: &Expr, ty: &SqlType) -> String {
        let address = self.at(address, Binds::Or);
        match ty {
            SqlType::Text { width } if *width != DEFAULT_TEXT => format!("str({address}, {width})"),
            _ => format!("str({address})"),
        }
    }
}

fn arith_binds(op: ArithOp) -> Binds {
    match op {
        ArithOp::Add | ArithOp::Sub => Binds::Sum,
        ArithOp::Mul | ArithOp::Div | ArithOp::Mod => Binds::Product,
        ArithOp::And | ArithOp::Or | ArithOp::Xor | ArithOp::Shl | ArithOp::Shr => Binds::Other,
    }
}

fn literal(datum: &Datum, ty: &SqlType) -> (String, Binds) {
    match (datum, ty) {
        (Datum::Null, _) => ("NULL".into(), Binds::Atom),
        (Datum::Bool(value), _) => (value.to_string(), Binds::Atom),
        (Datum::Int(value), SqlType::Interval) => (interval(*value), Binds::Atom),
        (Datum::Int(value), SqlType::Enum(e)) => {
            let name = e.values.iter().find(|(v, _)| i128::from(*v) == *value).map(|(_, name)| name);
            (name.map_or_else(|| value.to_string(), |name| quoted(name)), Binds::Atom)
        }
        (Datum::Int(value), _) => (value.to_string(), if *value < 0 { Binds::Sign } else { Binds::Atom }),
        (Datum::Double(value), _) => (format!("{value:?}"), if *value < 0.0 { Binds::Sign } else { Binds::Atom }),
        (Datum::Text(bytes), _) => (quoted(&String::from_utf8_lossy(bytes)), Binds::Atom),
        (Datum::Histogram(counts), _) => (format!("{counts:?}"), Binds::Atom),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A duration as SQL writes it, in the largest unit that divides it.
pub fn interval(ns: i128) -> String {
    let units = [
        (86_400_000_000_000, "day"),
        (3_600_000_000_000, "hour"),
        (60_000_000_000, "minute"),
        (1_000_000_000, "second"),
        (1_000_000, "millisecond"),
        (1_000, "microsecond"),
        (1, "nanosecond"),
    ];
    let (size, unit) = units.into_iter().find(|(size, _)| ns != 0 && ns % size == 0).unwrap_or(units[3]);
    let count = ns / size;
    format!("interval '{count} {unit}{}'", if count == 1 { "" } else { "s" })
}

/// A name, in double quotes unless it is a plain one.
pub fn ident(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(plain) {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// `e.ts` of a join as it is written; a dot within a name otherwise is in double quotes, as the name is.
fn qualified(name: &str) -> String {
    match name.split_once('.') {
        Some((side, column)) if ident(side) == side && ident(column) == column => name.to_string(),
        _ => ident(name),
    }
}

#[cfg(test)]
mod tests {
    use crate::typing::{self, integer, text};
    use crate::{ArithOp, ColumnId, CompareOp, Datum, Expr, ExprKind};
    use bpfquery_catalog::SqlType;
    use bpfquery_diag::Span;

    const AT: Span = Span { start: 0, end: 0 };

    fn check(expr: &Expr, expect: &str) {
        assert_eq!(expr.text(&["a".into(), "b c".into()], &[]), expect);
    }

    fn col(at: u32) -> Expr {
        Expr::new(ExprKind::Column(ColumnId(at)), SqlType::I32, AT)
    }

    fn int(value: i128) -> Expr {
        integer(value, AT).expect("a small one")
    }

    fn arith(op: ArithOp, a: Expr, b: Expr) -> Expr {
        typing::arith(op, a, b, AT).expect("integers")
    }

    #[test]
    fn parentheses_stand_where_they_change_something() {
        use ArithOp::{Add, And, Mul, Sub};
        check(&arith(Add, col(0), arith(Mul, col(1), int(2))), "a + \"b c\" * 2");
        check(&arith(Mul, arith(Add, col(0), int(1)), int(2)), "(a + 1) * 2");
        check(&arith(Sub, col(0), arith(Sub, col(0), int(1))), "a - (a - 1)");
        check(&arith(Sub, arith(Sub, col(0), int(1)), int(-2)), "a - 1 - -2");
        let masked = arith(And, col(0), int(3));
        check(&typing::compare(CompareOp::Eq, masked.clone(), int(0), AT).expect("fits"), "a & 3 = 0");
        check(&arith(And, masked, int(1)), "(a & 3) & 1");
    }

    #[test]
    fn logic_reads_as_sql() {
        let eq = |n| typing::compare(CompareOp::Eq, col(0), int(n), AT).expect("fits");
        let or = typing::or(vec![eq(1), eq(2)], AT).expect("fits");
        check(&typing::and(vec![or.clone(), eq(3)], AT).expect("fits"), "(a = 1 OR a = 2) AND a = 3");
        check(&typing::not(or, AT).expect("fits"), "NOT (a = 1 OR a = 2)");
        check(&typing::not(eq(1), AT).expect("fits"), "NOT a = 1");
        check(&typing::is_not_null(col(1), AT).expect("fits"), "\"b c\" IS NOT NULL");
        check(
            &typing::case(vec![(eq(1), text("it's", AT))], None, AT).expect("fits"),
            "CASE WHEN a = 1 THEN 'it''s' ELSE NULL END",
        );
    }

    #[test]
    fn literals_say_their_type() {
        let of = |value, ty| Expr::int(value, ty, AT);
        check(&of(10_000_000_000, SqlType::Interval), "interval '10 seconds'");
        check(&of(1_500_000, SqlType::Interval), "interval '1500 microseconds'");
        check(&of(0, SqlType::Interval), "interval '0 seconds'");
        check(&Expr::new(ExprKind::Literal(Datum::Double(1.0)), SqlType::Double, AT), "1.0");
        check(&typing::cast(col(0), &SqlType::U64, AT).expect("fits"), "a::unsigned bigint");
    }
}
