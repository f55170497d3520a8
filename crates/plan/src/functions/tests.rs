//! Calls as primitives, and what they compute.

use super::{scalar, scalar_names};
use crate::eval::eval;
use crate::testing::{AT, col, double, int, null, null_int, relation, text};
use crate::{Datum, Expr, ExprKind};
use bpfquery_catalog::{Pointee, Space, SqlType, TypeRef};
use bpfquery_diag::Diagnostic;

fn call(name: &str, args: Vec<Expr>) -> Result<Expr, Diagnostic> {
    scalar(name).unwrap_or_else(|| panic!("no function {name}")).bind(args, AT)
}

/// The expansion and its type, or the message and the help.
fn check(name: &str, args: Vec<Expr>, expect: &str) {
    let names: Vec<String> = relation().columns.iter().map(|c| c.name.clone()).collect();
    let found = match call(name, args) {
        Ok(expr) => format!("{}: {}", expr.text(&names, &[]), expr.ty),
        Err(d) => [vec![format!("{}: {}", d.code.0, d.message)], d.helps].concat().join("; "),
    };
    assert_eq!(found, expect);
}

fn value(name: &str, args: Vec<Expr>, expect: Datum) {
    let expr = call(name, args).expect("arguments that fit");
    assert_eq!(eval(&expr, &[], &[]), Ok(expect), "{expr:?}");
}

fn interval(ns: i128) -> Expr {
    Expr::int(ns, SqlType::Interval, AT)
}

fn pointer(to: Pointee) -> Expr {
    Expr::new(ExprKind::Column(crate::ColumnId(12)), SqlType::Pointer { space: Space::Kernel, to }, AT)
}

#[test]
fn str_reads_text_at_an_address() {
    check("str", vec![col("filename")], "str(filename): text(256)");
    check("str", vec![col("filename"), int(64)], "str(filename, 64): text(64)");
    check("str", vec![pointer(Pointee::Char), int(2)], "str(filename, 2): text(2)");
    check("STR", vec![col("cgroup_id")], "str(cgroup_id): text(256)");
    check("str", vec![pointer(Pointee::Opaque)], "str(filename): text(256)");
    check("str", vec![col("comm")], "comm: text(16)");
    check("str", vec![col("comm"), int(8)], "comm::text(8): text(8)");
    check("str", vec![null(SqlType::Null)], "NULL: text(256)");
}

#[test]
fn str_says_what_it_takes() {
    let usage = "it is called as str(x [, width])";
    check("str", vec![], &format!("wrong-arguments: str does not take 0 arguments; {usage}"));
    check("str", vec![int(1), int(2), int(3)], &format!("wrong-arguments: str does not take 3 arguments; {usage}"));
    check(
        "str",
        vec![col("filename"), int(4096)],
        "invalid-width: 4096 is not a width of text; a width is 2 to 1024 bytes, the closing NUL among them",
    );
    check(
        "str",
        vec![col("filename"), col("pid")],
        &format!("invalid-width: the width of text must be an integer constant; {usage}"),
    );
    check(
        "str",
        vec![col("ts")],
        &format!("type-mismatch: str takes text or the address of text, not timestamp; {usage}"),
    );
    let path = Pointee::Struct(TypeRef { object: "vmlinux".into(), id: 1, name: "path".into() });
    check(
        "str",
        vec![pointer(path)],
        &format!(
            "type-mismatch: str takes text or the address of text, not struct path *; {usage}; name a member of the struct: str(p -> member)"
        ),
    );
}

#[test]
fn tumble_takes_a_constant_duration() {
    let usage = "it is called as tumble(interval '10 seconds')";
    check("tumble", vec![interval(10_000_000_000)], "tumble(interval '10 seconds'): timestamp");
    check("tumble", vec![interval(0)], "invalid-window: a window must be longer than nothing");
    check("tumble", vec![interval(-1)], "invalid-window: a window must be longer than nothing");
    check("tumble", vec![col("delay")], &format!("invalid-window: the size of a window must be a constant; {usage}"));
    check("tumble", vec![int(10)], &format!("type-mismatch: tumble takes an interval, not integer; {usage}"));
}

#[test]
fn abs_is_without_a_sign() {
    value("abs", vec![int(-5)], Datum::Int(5));
    value("abs", vec![int(5)], Datum::Int(5));
    value("abs", vec![double(-0.5)], Datum::Double(0.5));
    value("abs", vec![null_int()], Datum::Null);
    value("abs", vec![int(i64::MIN.into())], Datum::Int(i64::MIN.into()));
    check("abs", vec![col("pid")], "pid: unsigned integer");
    check("abs", vec![col("flags")], "CASE WHEN flags < 0 THEN -flags ELSE flags::bigint END: bigint");
    check("abs", vec![col("comm")], "type-mismatch: abs takes a number, not text(16); it is called as abs(x)");
}

#[test]
fn nullif_is_null_where_equal() {
    value("nullif", vec![int(1), int(1)], Datum::Null);
    value("nullif", vec![int(1), int(2)], Datum::Int(1));
    value("nullif", vec![int(1), null_int()], Datum::Int(1));
    value("nullif", vec![null_int(), int(1)], Datum::Null);
    value("nullif", vec![text("a"), text("a")], Datum::Null);
    check("nullif", vec![int(1)], "wrong-arguments: nullif does not take 1 argument; it is called as nullif(a, b)");
}

#[test]
fn greatest_and_least_leave_nulls_out() {
    let one: &[Option<i128>] = &[Some(1)];
    let rows = [
        (one, Some(1), Some(1)),
        (&[Some(1), Some(2)], Some(2), Some(1)),
        (&[Some(2), Some(1), Some(3)], Some(3), Some(1)),
        (&[None, Some(1), Some(3)], Some(3), Some(1)),
        (&[Some(1), None, Some(3)], Some(3), Some(1)),
        (&[Some(3), Some(1), None], Some(3), Some(1)),
        (&[None, Some(3), None], Some(3), Some(3)),
        (&[None, None, None], None, None),
    ];
    for (args, greatest, least) in rows {
        let args = || args.iter().map(|a| a.map_or_else(null_int, int)).collect();
        value("greatest", args(), greatest.map_or(Datum::Null, Datum::Int));
        value("least", args(), least.map_or(Datum::Null, Datum::Int));
    }
    value("greatest", vec![int(-1), Expr::int(u64::MAX.into(), SqlType::I64, AT)], Datum::Int(u64::MAX.into()));
    check(
        "greatest",
        vec![col("pid"), col("comm")],
        "type-mismatch: GREATEST types unsigned integer and text(16) cannot be matched",
    );
    check(
        "least",
        vec![col("comm"), text("a")],
        "type-mismatch: least takes numbers, timestamps or intervals, not text(16); it is called as least(a [, b …])",
    );
}

#[test]
fn coalesce_is_the_first_that_is_there() {
    value("coalesce", vec![null_int(), int(2)], Datum::Int(2));
    check(
        "coalesce",
        vec![],
        "wrong-arguments: coalesce does not take 0 arguments; it is called as coalesce(a [, b …])",
    );
}

#[test]
fn the_registry_is_sorted_and_documented() {
    let names: Vec<&str> = scalar_names().collect();
    assert!(names.is_sorted(), "{names:?}");
    for name in names {
        let f = scalar(name).expect("it was just listed");
        assert!(f.signature().starts_with(name) && f.doc().ends_with('.'), "{name}");
    }
    assert!(scalar("nosuch").is_none());
}
