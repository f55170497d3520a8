//! Short ways to say plans and expressions, for tests.

use crate::typing::{self, integer};
use crate::{
    AggregateCall, AggregateFn, ArithOp, ColumnId, CompareOp, Datum, Expr, ExprKind, Item, ParamId, Plan, ReadAt,
    SortKey,
};
use bpfquery_catalog::{Access, Builtin, Column, Hook, Origin, Pointee, Relation, Space, SqlType};
use bpfquery_diag::Span;
use std::sync::Arc;

pub(crate) const AT: Span = Span { start: 0, end: 0 };

/// A tracepoint with the built-in columns, `flags` (integer, never NULL), `filename` (user text), `name` (text, may be NULL).
pub(crate) fn relation() -> Arc<Relation> {
    relation_on(Hook::Tracepoint { category: "t".into(), event: "e".into() })
}

pub(crate) fn relation_on(hook: Hook) -> Arc<Relation> {
    let builtin = |b: Builtin| column(b.name(), b.ty(), Access::Builtin(b));
    let mut columns: Vec<Column> = Builtin::ALL.into_iter().map(builtin).collect();
    let text = SqlType::Pointer { space: Space::User, to: Pointee::Char };
    columns.push(column("flags", SqlType::I32, Access::Context { offset: 32, size: 8 }));
    columns.push(column("filename", text, Access::Context { offset: 24, size: 8 }));
    columns.push(column("name", SqlType::Text { width: 256 }, Access::DataLocation { offset: 40 }));
    columns.push(column("delay", SqlType::Interval, Access::Context { offset: 48, size: 8 }));
    let name = if hook == Hook::Once { "once".into() } else { hook.to_string() };
    Arc::new(Relation { name, hook, columns, absent: Vec::new() })
}

fn column(name: &str, ty: SqlType, access: Access) -> Column {
    Column { name: name.into(), ty, access, origin: Origin::Builtin }
}

/// A column of the relation by name, `e.NAME` or `x.NAME` of [`Q::join`]'s, or `#POSITION TYPE` of whatever is below. `filename` is
/// read as text.
pub(crate) fn col(name: &str) -> Expr {
    if let Some((side, name)) = name.split_once('.') {
        let behind = if side == "x" { u32::try_from(relation().columns.len()).expect("few columns") } else { 0 };
        return col(name).map(&mut |mut e| {
            if let ExprKind::Column(ColumnId(at)) = &mut e.kind {
                *at += behind;
            }
            e
        });
    }
    if let Some((at, ty)) = name.strip_prefix('#').and_then(|rest| rest.split_once(' ')) {
        let ty = match ty {
            "integer" => SqlType::I32,
            "bigint" => SqlType::I64,
            "unsigned integer" => SqlType::U32,
            "unsigned bigint" => SqlType::U64,
            "decimal" => SqlType::Decimal,
            "double" => SqlType::Double,
            "interval" => SqlType::Interval,
            "timestamp" => SqlType::Timestamp,
            "text" => SqlType::Text { width: 16 },
            "str" => SqlType::Text { width: 256 },
            "histogram" => SqlType::Histogram { intervals: false },
            other => panic!("no short name for {other}"),
        };
        return at_position(at.parse().expect("a position"), ty);
    }
    let relation = relation();
    let at = relation.columns.iter().position(|c| c.name == name).expect("a column of the relation");
    typing::as_value(at_position(at, relation.columns[at].ty.clone()))
}

fn at_position(at: usize, ty: SqlType) -> Expr {
    Expr::new(ExprKind::Column(ColumnId(u32::try_from(at).expect("few columns"))), ty, AT)
}

pub(crate) fn int(value: i128) -> Expr {
    integer(value, AT).expect("64 bits")
}

pub(crate) fn text(value: &str) -> Expr {
    typing::text(value, AT)
}

pub(crate) fn double(value: f64) -> Expr {
    Expr::new(ExprKind::Literal(Datum::Double(value)), SqlType::Double, AT)
}

pub(crate) fn bool(value: bool) -> Expr {
    Expr::bool(value, AT)
}

pub(crate) fn null(ty: SqlType) -> Expr {
    Expr::new(ExprKind::Literal(Datum::Null), ty, AT)
}

pub(crate) fn null_int() -> Expr {
    null(SqlType::I64)
}

pub(crate) fn null_bool() -> Expr {
    null(SqlType::Bool)
}

pub(crate) fn null_text() -> Expr {
    null(SqlType::Text { width: 16 })
}

pub(crate) fn param(at: u32) -> Expr {
    Expr::new(ExprKind::Param(ParamId(at)), SqlType::I64, AT)
}

pub(crate) fn tumble(size_ns: u64) -> Expr {
    Expr::new(ExprKind::Tumble { size_ns }, SqlType::Timestamp, AT)
}

fn arith(op: ArithOp, a: Expr, b: Expr) -> Expr {
    typing::arith(op, a, b, AT).expect("operands fit")
}

pub(crate) fn plus(a: Expr, b: Expr) -> Expr {
    arith(ArithOp::Add, a, b)
}

pub(crate) fn minus(a: Expr, b: Expr) -> Expr {
    arith(ArithOp::Sub, a, b)
}

pub(crate) fn times(a: Expr, b: Expr) -> Expr {
    arith(ArithOp::Mul, a, b)
}

pub(crate) fn div(a: Expr, b: Expr) -> Expr {
    arith(ArithOp::Div, a, b)
}

pub(crate) fn eq(a: Expr, b: Expr) -> Expr {
    typing::compare(CompareOp::Eq, a, b, AT).expect("operands fit")
}

pub(crate) fn lt(a: Expr, b: Expr) -> Expr {
    typing::compare(CompareOp::Lt, a, b, AT).expect("operands fit")
}

pub(crate) fn and(a: Expr, b: Expr) -> Expr {
    typing::and(vec![a, b], AT).expect("booleans")
}

pub(crate) fn or(a: Expr, b: Expr) -> Expr {
    typing::or(vec![a, b], AT).expect("booleans")
}

pub(crate) fn not(a: Expr) -> Expr {
    typing::not(a, AT).expect("a boolean")
}

pub(crate) fn is_null(a: Expr) -> Expr {
    typing::is_null(a, AT).expect("a value")
}

pub(crate) fn case(arms: &[(Expr, Expr)], otherwise: Expr) -> Expr {
    typing::case(arms.to_vec(), Some(otherwise), AT).expect("one type")
}

pub(crate) fn coalesce(list: &[Expr]) -> Expr {
    typing::coalesce(list.to_vec(), AT).expect("one type")
}

pub(crate) fn call(name: &str, argument: Option<Expr>) -> AggregateCall {
    crate::aggregates::aggregate(name).expect("an aggregate").bind(argument, AT).expect("an argument that fits")
}

/// A plan that grows upwards.
#[derive(Clone)]
pub(crate) struct Q(Plan);

impl Q {
    pub(crate) fn scan() -> Q {
        Q::scan_of(relation())
    }

    pub(crate) fn scan_of(relation: Arc<Relation>) -> Q {
        let used = (0..).take(relation.columns.len()).map(ColumnId).collect();
        Q(Plan::Scan { relation, used, span: AT })
    }

    /// The relation joined with itself, as `e` (held) and `x`.
    pub(crate) fn join() -> Q {
        let names = ["e".to_string(), "x".to_string()];
        let (held, probe) = (Q::scan().below(), Q::scan().below());
        Q(Plan::Join { held, probe, holds: None, names, reads: ReadAt::Held, span: AT })
    }

    pub(crate) fn plan(self) -> Plan {
        self.0
    }

    fn below(self) -> Box<Plan> {
        Box::new(self.0)
    }

    pub(crate) fn filter(self, predicate: Expr) -> Q {
        Q(Plan::Filter { input: self.below(), predicate })
    }

    pub(crate) fn project(self, items: &[(&str, Expr)]) -> Q {
        Q(Plan::Project { input: self.below(), items: named(items) })
    }

    pub(crate) fn aggregate(self, keys: &[(&str, Expr)], aggregates: Vec<AggregateCall>) -> Q {
        Q(Plan::Aggregate { input: self.below(), keys: named(keys), aggregates })
    }

    pub(crate) fn count_by(self, keys: &[&str]) -> Q {
        let keys: Vec<(&str, Expr)> = keys.iter().map(|name| (*name, col(name))).collect();
        let count = call("count", None);
        assert_eq!(count.function, AggregateFn::Count);
        self.aggregate(&keys, vec![count])
    }

    pub(crate) fn sort(self, expr: Expr) -> Q {
        Q(Plan::Sort { input: self.below(), keys: vec![SortKey { expr, descending: false, nulls_first: false }] })
    }

    pub(crate) fn limit(self, count: Option<u64>, offset: u64) -> Q {
        Q(Plan::Limit { input: self.below(), count, offset })
    }
}

fn named(items: &[(&str, Expr)]) -> Vec<Item> {
    items.iter().map(|(name, expr)| Item { name: (*name).into(), expr: expr.clone() }).collect()
}

/// Applies a rule; scans print as `Scan` only.
pub(crate) fn check_rule(rule: fn(Plan) -> Plan, plan: Q, expect: &str) {
    let before = plan.plan();
    let after = rule(before.clone());
    assert_eq!(before.output(), after.output(), "the columns changed");
    let text = after.to_string();
    let short = |line: &str| line.find("Scan").map_or(line.len(), |at| at + "Scan".len());
    let lines: Vec<&str> = text.trim_end().lines().map(|line| &line[..short(line)]).collect();
    assert_eq!(lines.join("\n"), expect);
}

/// Applies a rule to an expression over the relation.
pub(crate) fn check_expr(rule: fn(Plan) -> Plan, expr: Expr, expect: &str) {
    let plan = Q::scan().project(&[("x", expr)]).plan();
    let after = rule(plan.clone());
    assert_eq!(plan.output(), after.output(), "the type changed");
    let names: Vec<String> = relation().columns.iter().map(|c| c.name.clone()).collect();
    assert_eq!(after.exprs()[0].text(&names, &[]), expect);
}
