//! The tables of types: what fits, what it becomes, and what is said where it does not fit.

use super::{arith, bit_not, case, cast, coalesce, compare, condition, negate, text};
use crate::testing::{AT, bool, col, double, int, null, relation};
use crate::{ArithOp, CompareOp, Expr, ExprKind};
use bpfquery_catalog::{EnumType, Pointee, Space, SqlType, TypeRef};
use bpfquery_diag::Diagnostic;

fn of(ty: SqlType) -> Expr {
    Expr::new(ExprKind::Column(crate::ColumnId(0)), ty, AT)
}

fn state() -> SqlType {
    let values = vec![(0, "TASK_RUNNING".to_string()), (1, "TASK_INTERRUPTIBLE".to_string())];
    SqlType::Enum(EnumType { name: "state".into(), bits: 32, signed: false, values })
}

fn pointer() -> SqlType {
    SqlType::Pointer { space: Space::Kernel, to: Pointee::Opaque }
}

fn strukt() -> SqlType {
    SqlType::Struct(TypeRef { object: "vmlinux".into(), id: 1, name: "path".into() })
}

/// The type and the text, or the message and the help.
fn check(result: Result<Expr, Diagnostic>, expect: &str) {
    let names: Vec<String> = relation().columns.iter().map(|c| c.name.clone()).collect();
    let found = match result {
        Ok(expr) => format!("{}: {}", expr.text(&names, &[]), expr.ty),
        Err(d) => [vec![format!("{}: {}", d.code.0, d.message)], d.helps].concat().join("; "),
    };
    assert_eq!(found, expect);
}

#[test]
fn arithmetic_is_in_64_bits() {
    use ArithOp::{Add, And, Div, Mul, Shl, Shr, Sub};
    let u8 = || of(SqlType::Int { bits: 8, signed: false });
    for (op, a, b, ty) in [
        (Add, col("pid"), col("cpu"), SqlType::U64),
        (Add, col("pid"), int(1), SqlType::U64),
        (Mul, int(2), col("pid"), SqlType::U64),
        (Add, col("pid"), int(-1), SqlType::I64),
        (Add, col("pid"), col("flags"), SqlType::I64),
        (Sub, col("pid"), col("cpu"), SqlType::I64),
        (Sub, u8(), int(1), SqlType::I64),
        (Mul, int(2), int(1000), SqlType::I64),
        (And, col("flags"), int(3), SqlType::I64),
        (Shl, int(1), col("cpu"), SqlType::I64),
        (Shr, col("cgroup_id"), col("flags"), SqlType::U64),
        (Add, col("ts"), col("elapsed"), SqlType::Timestamp),
        (Add, col("elapsed"), col("ts"), SqlType::Timestamp),
        (Sub, col("ts"), col("elapsed"), SqlType::Timestamp),
        (Sub, col("ts"), col("ts"), SqlType::Interval),
        (Add, col("delay"), col("elapsed"), SqlType::Interval),
        (Mul, col("delay"), int(2), SqlType::Interval),
        (Mul, int(2), col("delay"), SqlType::Interval),
        (Div, col("delay"), col("pid"), SqlType::Interval),
        (Div, col("pid"), double(2.0), SqlType::Double),
        (Add, of(SqlType::Decimal), int(1), SqlType::Decimal),
        (Add, of(SqlType::Decimal), double(1.0), SqlType::Double),
        (Add, null(SqlType::Null), int(1), SqlType::I64),
        (Add, null(SqlType::Null), null(SqlType::Null), SqlType::I64),
        (Add, of(state()), int(1), SqlType::U64),
    ] {
        let text = format!("{a:?} {op:?} {b:?}");
        assert_eq!(arith(op, a, b, AT).map(|e| e.ty), Ok(ty), "{text}");
    }
    check(negate(col("pid"), AT), "-pid: bigint");
    check(negate(int(9_223_372_036_854_775_808), AT), "-9223372036854775808: bigint");
    check(bit_not(col("pid"), AT), "~pid: unsigned bigint");
    check(bit_not(int(5), AT), "~5: bigint");
}

#[test]
fn arithmetic_that_does_not_exist() {
    use ArithOp::{Add, And, Mod, Mul};
    for (op, a, b, expect) in [
        (Add, col("comm"), int(1), "type-mismatch: operator does not exist: text(16) + integer"),
        (Add, bool(true), bool(true), "type-mismatch: operator does not exist: boolean + boolean"),
        (Add, col("ts"), col("ts"), "type-mismatch: operator does not exist: timestamp + timestamp"),
        (
            Add,
            col("delay"),
            int(1),
            "type-mismatch: operator does not exist: interval + integer; write a duration as interval '10 ms'",
        ),
        (Mul, col("delay"), col("delay"), "type-mismatch: operator does not exist: interval * interval"),
        (And, double(1.0), int(1), "type-mismatch: operator does not exist: double precision & integer"),
        (Mod, double(1.0), int(1), "type-mismatch: operator does not exist: double precision % integer"),
        (
            Add,
            of(strukt()),
            int(1),
            "type-mismatch: operator does not exist: struct path + integer; struct path has no value of its own; name one of its members",
        ),
        (Add, of(pointer()), int(1), "type-mismatch: operator does not exist: void * + integer"),
    ] {
        check(arith(op, a, b, AT), expect);
    }
    check(negate(col("comm"), AT), "type-mismatch: operator does not exist: - text(16)");
}

#[test]
fn comparisons() {
    use CompareOp::{Eq, Gt, Lt};
    for (op, a, b, expect) in [
        (Eq, col("pid"), col("flags"), "pid = flags: boolean"),
        (Eq, col("comm"), text("dd", AT), "comm = 'dd': boolean"),
        (Eq, col("filename"), text("/x", AT), "str(filename) = '/x': boolean"),
        (Eq, col("pid"), text(" 5", AT), "pid = 5: boolean"),
        (Eq, text("5", AT), col("pid"), "5 = pid: boolean"),
        (Gt, col("delay"), col("elapsed"), "delay > elapsed: boolean"),
        (Lt, bool(false), bool(true), "false < true: boolean"),
        (Eq, col("pid"), null(SqlType::Null), "pid = NULL: boolean"),
        (Eq, of(pointer()), int(0), "ts = 0: boolean"),
        (Eq, of(pointer()), of(pointer()), "ts = ts: boolean"),
        (Gt, of(SqlType::Double), int(1), "ts > 1::double precision: boolean"),
        (Gt, of(SqlType::Decimal), int(1), "ts > 1: boolean"),
        // A fraction beside an integer is decided exactly, and without doubles.
        (Gt, col("pid"), double(1.5), "pid > 1: boolean"),
        (Lt, col("pid"), double(1.5), "pid < 2: boolean"),
        (Lt, double(-1.5), col("pid"), "pid > -2: boolean"),
        (Eq, col("pid"), double(2e3), "pid = 2000: boolean"),
        (Eq, col("pid"), double(0.5), "pid <> pid: boolean"),
        (Eq, col("pid"), text("abc", AT), "type-mismatch: 'abc' is not an integer"),
        (Eq, col("pid"), col("comm"), "type-mismatch: operator does not exist: unsigned integer = text(16)"),
        (
            Gt,
            col("delay"),
            text("1ms", AT),
            "type-mismatch: operator does not exist: interval > text(4); write a duration as interval '10 ms'",
        ),
        (
            Eq,
            of(pointer()),
            text("x", AT),
            "type-mismatch: operator does not exist: void * = text(2); str(x) reads the text at an address",
        ),
        (Eq, bool(true), int(1), "type-mismatch: operator does not exist: boolean = integer"),
    ] {
        check(compare(op, a, b, AT), expect);
    }
}

#[test]
fn enumerations_compare_with_integers_and_with_their_names() {
    let eq = |b| compare(CompareOp::Eq, of(state()), b, AT);
    check(eq(int(1)), "ts = 1: boolean");
    check(eq(text("TASK_INTERRUPTIBLE", AT)), "ts = 'TASK_INTERRUPTIBLE': boolean");
    check(
        eq(text("TASK_RUNING", AT)),
        "unknown-enum-name: enum state has no value \"TASK_RUNING\"; did you mean \"TASK_RUNNING\"?",
    );
    let other = SqlType::Enum(EnumType { name: "o".into(), bits: 32, signed: true, values: Vec::new() });
    check(eq(of(other)), "type-mismatch: operator does not exist: enum state = enum o; cast one of them: x::bigint");
}

#[test]
fn one_type_for_several_values() {
    for (values, expect) in [
        (vec![col("pid"), col("cpu")], "unsigned integer"),
        (vec![col("pid"), int(0)], "unsigned integer"),
        (vec![col("pid"), int(1 << 40)], "unsigned bigint"),
        (vec![col("pid"), int(-1)], "bigint"),
        (vec![col("pid"), col("flags")], "bigint"),
        (vec![col("flags"), int(1)], "integer"),
        (vec![int(1), int(2)], "integer"),
        (vec![null(SqlType::Null), col("comm")], "text(16)"),
        (vec![col("comm"), col("filename")], "text(256)"),
        (vec![col("comm"), text("x", AT)], "text(16)"),
        (vec![col("pid"), double(0.5)], "double precision"),
        (vec![of(SqlType::Decimal), int(0)], "decimal(38,0)"),
        (vec![text("TASK_RUNNING", AT), of(state())], "enum state"),
        (vec![of(state()), int(1)], "unsigned integer"),
        (vec![col("delay"), null(SqlType::Null)], "interval"),
        (vec![null(SqlType::Null)], "unknown"),
    ] {
        let text = format!("{values:?}");
        let expr = coalesce(values, AT).unwrap_or_else(|d| panic!("{} {text}", d.message));
        assert_eq!(expr.ty.to_string(), expect, "{text}");
        assert!(expr.children().into_iter().all(|c| c.ty == expr.ty), "{expr:?}");
    }
    check(
        coalesce(vec![col("pid"), col("comm")], AT),
        "type-mismatch: COALESCE types unsigned integer and text(16) cannot be matched",
    );
    check(
        case(vec![(bool(true), col("delay"))], Some(int(1)), AT),
        "type-mismatch: CASE types interval and integer cannot be matched",
    );
    check(
        coalesce(vec![of(strukt()), of(strukt())], AT),
        "type-mismatch: COALESCE types struct path and struct path cannot be matched",
    );
}

#[test]
fn conditions_are_boolean() {
    check(condition(null(SqlType::Null), "WHERE"), "NULL: boolean");
    check(condition(bool(true), "WHERE"), "true: boolean");
    check(
        condition(col("pid"), "WHERE"),
        "type-mismatch: argument of WHERE must be type boolean, not type unsigned integer; compare it: x <> 0",
    );
    check(
        case(vec![(col("comm"), int(1))], None, AT),
        "type-mismatch: argument of CASE/WHEN must be type boolean, not type text(16)",
    );
}

#[test]
fn casts() {
    for (value, ty, expect) in [
        (col("pid"), SqlType::I64, "pid::bigint: bigint"),
        (col("pid"), SqlType::U32, "pid: unsigned integer"),
        (int(5), SqlType::I64, "5: bigint"),
        (int(300), SqlType::Int { bits: 8, signed: false }, "300::unsigned tinyint: unsigned tinyint"),
        (text("5", AT), SqlType::I32, "5: integer"),
        (col("delay"), SqlType::I64, "delay::bigint: bigint"),
        (col("comm"), SqlType::Text { width: 4 }, "comm::text(4): text(4)"),
        (text("abcdef", AT), SqlType::Text { width: 4 }, "'abcdef'::text(4): text(4)"),
        (text("abc", AT), SqlType::Text { width: 4 }, "'abc': text(4)"),
        (null(SqlType::Null), SqlType::Bool, "NULL: boolean"),
        (col("ts"), SqlType::I64, "type-mismatch: cannot cast type timestamp to bigint"),
        (
            col("pid"),
            SqlType::Text { width: 16 },
            "type-mismatch: cannot cast type unsigned integer to text(16); str(x) reads the text at an address; formatting numbers as text is not supported yet",
        ),
        (int(1), SqlType::Interval, "type-mismatch: cannot cast type integer to interval"),
    ] {
        check(cast(value, &ty, AT), expect);
    }
}
