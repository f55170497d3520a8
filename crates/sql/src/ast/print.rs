//! The normalised text of a query: one line, keywords in capitals, every nested operation in parentheses.
//!
//! What must hold: parsing it gives the same query, spans aside.

use super::{Args, Ast, Call, CastType, Expr, ExprKind, From, Is, Join, Name, On, OrderKey, SelectItem, UnaryOp};
use bpfquery_catalog::Literal;
use std::fmt::{self, Display, Formatter};

impl Display for Ast {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        list(f, &self.items)?;
        if let Some(from) = &self.from {
            write!(f, " FROM {from}")?;
        }
        if let Some(join) = &self.join {
            write!(f, " {join}")?;
        }
        clause(f, "WHERE", self.filter.as_ref())?;
        if !self.group_by.is_empty() {
            f.write_str(" GROUP BY ")?;
            list(f, &self.group_by)?;
        }
        clause(f, "HAVING", self.having.as_ref())?;
        if !self.order_by.is_empty() {
            f.write_str(" ORDER BY ")?;
            list(f, &self.order_by)?;
        }
        clause(f, "LIMIT", self.limit.as_ref())?;
        clause(f, "OFFSET", self.offset.as_ref())
    }
}

fn clause(f: &mut Formatter<'_>, word: &str, expr: Option<&Expr>) -> fmt::Result {
    match expr {
        Some(expr) => write!(f, " {word} {expr}"),
        None => Ok(()),
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SelectItem::Star { of: None, .. } => f.write_str("*"),
            SelectItem::Star { of: Some(name), .. } => write!(f, "{name}.*"),
            SelectItem::Expr { expr, alias: None } => write!(f, "{expr}"),
            SelectItem::Expr { expr, alias: Some(alias) } => write!(f, "{expr} AS {alias}"),
        }
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "JOIN {} ", self.from)?;
        match &self.on {
            On::Condition(condition) => write!(f, "ON {condition}"),
            On::Using(names) => {
                f.write_str("USING (")?;
                list(f, names)?;
                f.write_str(")")
            }
        }
    }
}

impl Display for From {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, part) in self.name.parts.iter().enumerate() {
            let dot = if i == 0 { "" } else { "." };
            // `interval(…)` is a relation of ours.
            let name =
                if part.text.eq_ignore_ascii_case("interval") { part.text.clone() } else { quoted(&part.text, false) };
            write!(f, "{dot}{name}")?;
        }
        if let Some(args) = &self.name.args {
            let args: Vec<String> = args.iter().map(|arg| literal(&arg.value)).collect();
            write!(f, "({})", args.join(", "))?;
        }
        match &self.alias {
            Some(alias) => write!(f, " AS {alias}"),
            None => Ok(()),
        }
    }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Int(n) => n.to_string(),
        Literal::Text(text) => text_literal(text),
        Literal::Duration(ns) => format!("INTERVAL '{ns} ns'"),
    }
}

impl Display for OrderKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, if self.descending { " DESC" } else { "" })?;
        match self.nulls_first {
            Some(true) => f.write_str(" NULLS FIRST"),
            Some(false) => f.write_str(" NULLS LAST"),
            None => Ok(()),
        }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.text, self.quoted))
    }
}

/// PostgreSQL's reserved words (16, appendix C): read as names in some places only.
const RESERVED: &str = "all analyse analyze and any array as asc asymmetric authorization both case cast check collate column \
    concurrently constraint create cross default deferrable desc distinct do else end except exists false fetch \
    for foreign from grant group having in initially inner intersect interval into is join lateral leading left \
    like limit not null offset on only or order outer placing primary references returning right select some \
    symmetric table then to trailing true union unique user using when where window with";

/// In double quotes where it was, or must be.
fn quoted(text: &str, force: bool) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let start = |c: char| c.is_alphabetic() || c == '_';
    let reserved = RESERVED.split(' ').any(|word| word.eq_ignore_ascii_case(text));
    match !force && !reserved && text.starts_with(start) && text.chars().all(plain) {
        true => text.to_string(),
        false => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}

fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(n) => f.write_str(n),
            ExprKind::Text(text) => f.write_str(&text_literal(text)),
            ExprKind::Bool(b) => f.write_str(if *b { "TRUE" } else { "FALSE" }),
            ExprKind::Null => f.write_str("NULL"),
            ExprKind::Param(name) if name.starts_with(|c: char| c.is_ascii_digit()) => write!(f, "${name}"),
            ExprKind::Param(name) => write!(f, ":{name}"),
            ExprKind::Interval(text) => write!(f, "INTERVAL {}", text_literal(text)),
            ExprKind::Column(names) => {
                let names: Vec<String> = names.iter().map(Name::to_string).collect();
                f.write_str(&names.join("."))
            }
            ExprKind::Field(base, name) => write!(f, "{} -> {name}", Operand(base)),
            ExprKind::Index(base, index) => write!(f, "{}[{index}]", Operand(base)),
            ExprKind::Unary(op, a) => write!(f, "{op}{}", Operand(a)),
            ExprKind::Arith(op, _, a, b) => write!(f, "{} {} {}", Operand(a), op.symbol(), Operand(b)),
            ExprKind::Compare(op, _, a, b) => write!(f, "{} {} {}", Operand(a), op.symbol(), Operand(b)),
            ExprKind::And(all) => joined(f, all, " AND "),
            ExprKind::Or(all) => joined(f, all, " OR "),
            ExprKind::Is { expr, what, negated } => write!(f, "{} IS {}{what}", Operand(expr), not(*negated)),
            ExprKind::Distinct { a, b, negated } => {
                write!(f, "{} IS {}DISTINCT FROM {}", Operand(a), not(*negated), Operand(b))
            }
            ExprKind::InList { expr, list: all, negated } => {
                write!(f, "{} {}IN (", Operand(expr), not(*negated))?;
                list(f, all)?;
                f.write_str(")")
            }
            ExprKind::Between { expr, low, high, negated } => {
                let (expr, low, high) = (Operand(expr), Operand(low), Operand(high));
                write!(f, "{expr} {}BETWEEN {low} AND {high}", not(*negated))
            }
            ExprKind::Like { expr, pattern, how, negated, .. } => {
                let word = if how.fold { "ILIKE" } else { "LIKE" };
                write!(f, "{} {}{word} {}", Operand(expr), not(*negated), Operand(pattern))?;
                match how.escape {
                    Some('\\') => Ok(()),
                    Some(c) => write!(f, " ESCAPE {}", text_literal(&c.to_string())),
                    None => f.write_str(" ESCAPE ''"),
                }
            }
            ExprKind::Case { operand, arms, otherwise } => case(f, operand.as_deref(), arms, otherwise.as_deref()),
            ExprKind::Cast { expr, to, .. } => write!(f, "CAST({expr} AS {to})"),
            ExprKind::Call(call) => write!(f, "{call}"),
        }
    }
}

/// An operand, in parentheses unless it stands for itself.
struct Operand<'a>(&'a Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ExprKind::Number(_)
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
            | ExprKind::Param(_)
            | ExprKind::Interval(_)
            | ExprKind::Column(_)
            | ExprKind::Case { .. }
            | ExprKind::Cast { .. }
            | ExprKind::Call(_) => write!(f, "{}", self.0),
            ExprKind::Field(..)
            | ExprKind::Index(..)
            | ExprKind::Unary(..)
            | ExprKind::Arith(..)
            | ExprKind::Compare(..)
            | ExprKind::And(_)
            | ExprKind::Or(_)
            | ExprKind::Is { .. }
            | ExprKind::Distinct { .. }
            | ExprKind::InList { .. }
            | ExprKind::Between { .. }
            | ExprKind::Like { .. } => write!(f, "({})", self.0),
        }
    }
}

fn joined(f: &mut Formatter<'_>, all: &[Expr], by: &str) -> fmt::Result {
    for (i, expr) in all.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { "" } else { by }, Operand(expr))?;
    }
    Ok(())
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn case(f: &mut Formatter<'_>, operand: Option<&Expr>, arms: &[(Expr, Expr)], otherwise: Option<&Expr>) -> fmt::Result {
    f.write_str("CASE")?;
    if let Some(operand) = operand {
        write!(f, " {operand}")?;
    }
    for (when, then) in arms {
        write!(f, " WHEN {when} THEN {then}")?;
    }
    if let Some(otherwise) = otherwise {
        write!(f, " ELSE {otherwise}")?;
    }
    f.write_str(" END")
}

impl Display for CastType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            CastType::Sql(ty) => f.write_str(&type_name(ty)),
            CastType::C(name) => f.write_str(&quoted(name, true)),
        }
    }
}

/// A type as the parser reads it.
fn type_name(ty: &bpfquery_catalog::SqlType) -> String {
    use bpfquery_catalog::SqlType;
    match ty {
        SqlType::Text { .. } => "text".to_string(),
        SqlType::Int { signed: false, .. } => {
            let name = ty.to_string();
            format!("{} unsigned", name.trim_start_matches("unsigned "))
        }
        other => other.to_string(),
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        match &self.args {
            Args::Star(_) => f.write_str("*")?,
            Args::List(args) => list(f, args)?,
        }
        f.write_str(")")?;
        match &self.filter {
            Some(filter) => write!(f, " FILTER (WHERE {filter})"),
            None => Ok(()),
        }
    }
}

impl Display for UnaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnaryOp::Neg => "-",
            UnaryOp::Plus => "+",
            UnaryOp::BitNot => "~",
            UnaryOp::Not => "NOT ",
        })
    }
}

impl Display for Is {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Is::Null => "NULL",
            Is::True => "TRUE",
            Is::False => "FALSE",
            Is::Unknown => "UNKNOWN",
        })
    }
}
