//! The evaluator's table: every primitive, every NULL rule, every edge of 64 bits.

use super::{compare_rows, eval};
use crate::typing::{self, coerce, integer, text};
use crate::{ArithOp, CompareOp, Datum, Expr, ExprKind, SortKey, UnaryOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::Span;

const AT: Span = Span { start: 0, end: 0 };

fn check(expr: Expr, expect: Datum) {
    let value = eval(&expr, &[], &[]);
    assert_eq!(value, Ok(expect), "{expr:?}");
}

fn i64(value: i64) -> Expr {
    Expr::int(value.into(), SqlType::I64, AT)
}

fn u64(value: u64) -> Expr {
    Expr::int(value.into(), SqlType::U64, AT)
}

fn null(ty: SqlType) -> Expr {
    Expr::new(ExprKind::Literal(Datum::Null), ty, AT)
}

fn bool3(value: Option<bool>) -> Expr {
    value.map_or_else(|| null(SqlType::Bool), |v| Expr::bool(v, AT))
}

fn datum3(value: Option<bool>) -> Datum {
    value.map_or(Datum::Null, Datum::Bool)
}

fn double(value: f64) -> Expr {
    Expr::new(ExprKind::Literal(Datum::Double(value)), SqlType::Double, AT)
}

/// Arithmetic in the signedness that the operands ask for, without the rule that constants are either.
fn arith(op: ArithOp, a: Expr, b: Expr, ty: SqlType) -> Expr {
    Expr::new(ExprKind::Arith(op, Box::new(a), Box::new(b)), ty, AT)
}

#[test]
fn integers_wrap_in_64_bits() {
    use ArithOp::{Add, And, Div, Mod, Mul, Or, Shl, Shr, Sub, Xor};
    let (min, max) = (i64::MIN, i64::MAX);
    for (op, a, b, expect) in [
        (Add, max, 1, min),
        (Sub, min, 1, max),
        (Mul, max, 2, -2),
        (Mul, min, min, 0),
        (Div, min, -1, min),
        (Mod, min, -1, 0),
        (Div, 7, -2, -3),
        (Div, -7, 2, -3),
        (Mod, -7, 2, -1),
        (Mod, 7, -2, 1),
        (And, -1, 3, 3),
        (Or, 4, 3, 7),
        (Xor, -1, 1, -2),
        (Shl, 1, 63, min),
        (Shl, 1, 64, 1),
        (Shr, -8, 1, -4),
        (Shr, -1, 63, -1),
        (Shr, 4, 65, 2),
    ] {
        check(arith(op, i64(a), i64(b), SqlType::I64), Datum::Int(expect.into()));
    }
    for (op, a, b, expect) in [
        (Add, u64::MAX, 1, 0),
        (Mul, u64::MAX, u64::MAX, 1),
        (Div, u64::MAX, 2, u64::MAX / 2),
        (Mod, u64::MAX, 10, 5),
        (Shr, u64::MAX, 63, 1),
        (Shl, u64::MAX, 1, u64::MAX - 1),
    ] {
        check(arith(op, u64(a), u64(b), SqlType::U64), Datum::Int(expect.into()));
    }
}

#[test]
fn operands_are_read_in_the_signedness_of_the_result() {
    check(arith(ArithOp::Div, u64(u64::MAX), i64(1), SqlType::I64), Datum::Int(-1));
    check(arith(ArithOp::Div, i64(-1), u64(2), SqlType::U64), Datum::Int((u64::MAX / 2).into()));
    check(
        Expr::new(ExprKind::Unary(UnaryOp::Neg, Box::new(u64(1 << 63))), SqlType::I64, AT),
        Datum::Int(i64::MIN.into()),
    );
    check(
        Expr::new(ExprKind::Unary(UnaryOp::Neg, Box::new(i64(i64::MIN))), SqlType::I64, AT),
        Datum::Int(i64::MIN.into()),
    );
    check(Expr::new(ExprKind::Unary(UnaryOp::BitNot, Box::new(u64(0))), SqlType::U64, AT), Datum::Int(u64::MAX.into()));
    check(Expr::new(ExprKind::Unary(UnaryOp::BitNot, Box::new(i64(5))), SqlType::I64, AT), Datum::Int(-6));
}

#[test]
fn nothing_and_division_by_zero_are_null() {
    for op in [ArithOp::Div, ArithOp::Mod] {
        check(arith(op, i64(1), i64(0), SqlType::I64), Datum::Null);
        check(arith(op, u64(1), u64(0), SqlType::U64), Datum::Null);
        check(arith(op, i64(1), i64(0), SqlType::Decimal), Datum::Null);
    }
    check(arith(ArithOp::Div, double(1.0), double(0.0), SqlType::Double), Datum::Null);
    for op in [ArithOp::Add, ArithOp::Mul, ArithOp::And, ArithOp::Shl, ArithOp::Div] {
        check(arith(op, null(SqlType::I64), i64(0), SqlType::I64), Datum::Null);
        check(arith(op, i64(0), null(SqlType::I64), SqlType::I64), Datum::Null);
    }
    check(Expr::new(ExprKind::Unary(UnaryOp::Neg, Box::new(null(SqlType::I64))), SqlType::I64, AT), Datum::Null);
    check(Expr::new(ExprKind::Bucket(Box::new(null(SqlType::I64))), SqlType::U32, AT), Datum::Null);
}

#[test]
fn signed_and_unsigned_compare_mathematically() {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
    for (a, op, b, expect) in [
        (i64(-1), Lt, u64(0), true),
        (i64(-1), Eq, u64(u64::MAX), false),
        (u64(u64::MAX), Gt, i64(i64::MAX), true),
        (u64(1 << 63), Ne, i64(i64::MIN), true),
        (i64(7), Le, u64(7), true),
        (i64(7), Ge, u64(8), false),
    ] {
        check(typing::compare(op, a, b, AT).expect("integers compare"), Datum::Bool(expect));
    }
    check(typing::compare(Eq, i64(1), null(SqlType::I64), AT).expect("compares"), Datum::Null);
    check(typing::compare(Eq, null(SqlType::Null), null(SqlType::Null), AT).expect("compares"), Datum::Null);
    check(typing::compare(Lt, double(f64::MAX), double(f64::NAN), AT).expect("compares"), Datum::Bool(true));
    check(typing::compare(Eq, double(f64::NAN), double(f64::NAN), AT).expect("compares"), Datum::Bool(true));
    check(typing::compare(Eq, double(0.0), double(-0.0), AT).expect("compares"), Datum::Bool(true));
    check(typing::compare(Gt, double(1.5), i64(1), AT).expect("compares"), Datum::Bool(true));
}

#[test]
fn logic_has_three_values() {
    let (t, f, n) = (Some(true), Some(false), None);
    for (a, b, and, or) in [
        (t, t, t, t),
        (t, f, f, t),
        (f, t, f, t),
        (f, f, f, f),
        (t, n, n, t),
        (n, t, n, t),
        (f, n, f, n),
        (n, f, f, n),
        (n, n, n, n),
    ] {
        check(typing::and(vec![bool3(a), bool3(b)], AT).expect("booleans"), datum3(and));
        check(typing::or(vec![bool3(a), bool3(b)], AT).expect("booleans"), datum3(or));
    }
    for (a, not, is_null) in [(t, f, false), (f, t, false), (n, n, true)] {
        check(typing::not(bool3(a), AT).expect("boolean"), datum3(not));
        check(typing::is_null(bool3(a), AT).expect("boolean"), Datum::Bool(is_null));
    }
}

#[test]
fn case_takes_the_first_true_arm_and_null_is_not_true() {
    let case = |conditions: [Option<bool>; 2]| {
        let arms = conditions.into_iter().zip([i64(1), i64(2)]).map(|(c, v)| (bool3(c), v)).collect();
        typing::case(arms, Some(i64(3)), AT).expect("integers")
    };
    check(case([Some(true), Some(true)]), Datum::Int(1));
    check(case([None, Some(true)]), Datum::Int(2));
    check(case([None, Some(false)]), Datum::Int(3));
    check(typing::case(vec![(bool3(None), i64(1))], None, AT).expect("integers"), Datum::Null);
    check(typing::coalesce(vec![null(SqlType::Null), i64(2), i64(3)], AT).expect("integers"), Datum::Int(2));
    check(typing::coalesce(vec![null(SqlType::Null), null(SqlType::I64)], AT).expect("integers"), Datum::Null);
}

#[test]
fn casts_wrap_integers_and_refuse_what_a_double_cannot_say() {
    let cast = |value: Expr, ty: SqlType| Expr::new(ExprKind::Cast(Box::new(value)), ty, AT);
    let int = |bits, signed| SqlType::Int { bits, signed };
    for (value, ty, expect) in [
        (i64(-1), int(8, false), Datum::Int(255)),
        (i64(200), int(8, true), Datum::Int(-56)),
        (u64(u64::MAX), SqlType::I64, Datum::Int(-1)),
        (i64(-1), SqlType::U64, Datum::Int(u64::MAX.into())),
        (bool3(Some(true)), SqlType::I64, Datum::Int(1)),
        (i64(2), SqlType::Bool, Datum::Bool(true)),
        (i64(3), SqlType::Double, Datum::Double(3.0)),
        (double(2.5), SqlType::I64, Datum::Int(2)),
        (double(-3.5), SqlType::I64, Datum::Int(-4)),
        (double(1e19), SqlType::I64, Datum::Null),
        (double(1e19), SqlType::U64, Datum::Int(10_000_000_000_000_000_000)),
        (double(f64::NAN), SqlType::I64, Datum::Null),
        (double(f64::INFINITY), SqlType::Decimal, Datum::Null),
        (Expr::int(1 << 70, SqlType::Decimal, AT), SqlType::Interval, Datum::Null),
        (Expr::int(-5, SqlType::Decimal, AT), SqlType::Interval, Datum::Int(-5)),
        (text("abcdef", AT), SqlType::Text { width: 4 }, Datum::Text(b"abc".to_vec())),
        (null(SqlType::Double), SqlType::I64, Datum::Null),
    ] {
        check(cast(value, ty), expect);
    }
    check(coerce(null(SqlType::Null), &SqlType::I64), Datum::Null);
}

#[test]
fn decimals_hold_128_bits_and_are_null_beyond() {
    let dec = |v: i128| Expr::int(v, SqlType::Decimal, AT);
    let big = i128::from(u64::MAX) * 4;
    check(arith(ArithOp::Add, dec(big), i64(1), SqlType::Decimal), Datum::Int(big + 1));
    check(arith(ArithOp::Mul, dec(i128::MAX), i64(2), SqlType::Decimal), Datum::Null);
    check(arith(ArithOp::Div, dec(i128::MIN), i64(-1), SqlType::Decimal), Datum::Null);
}

#[test]
fn text_compares_by_bytes_and_not_by_what_was_cut() {
    use CompareOp::{Eq, Gt, Lt};
    let cut = |s: &str| Expr::new(ExprKind::Cast(Box::new(text(s, AT))), SqlType::Text { width: 4 }, AT);
    let in_case = |text: Expr| {
        let either = typing::coalesce(vec![typing::null(AT), text], AT).expect("texts");
        typing::case(vec![(Expr::bool(true, AT), either)], None, AT).expect("texts")
    };
    for (a, op, b, expect) in [
        (text("dd", AT), Eq, text("dd", AT), Some(true)),
        (text("dd", AT), Lt, text("ddx", AT), Some(true)),
        (text("Z", AT), Lt, text("a", AT), Some(true)),
        // What was lost is a byte at least: it is longer than what was kept.
        (cut("abcdef"), Eq, text("abc", AT), Some(false)),
        (cut("abcdef"), Gt, text("abc", AT), Some(true)),
        (text("abc", AT), Lt, cut("abcdef"), Some(true)),
        (cut("abcdef"), Eq, text("abcd", AT), None),
        (text("abcd", AT), Gt, cut("abcdef"), None),
        (cut("abcdef"), Eq, cut("abcdef"), None),
        (cut("abcdef"), Eq, text("abd", AT), Some(false)),
        (cut("abcdef"), Lt, text("abd", AT), Some(true)),
        (cut("abcdef"), Gt, text("ab", AT), Some(true)),
        (cut("abcdef"), Lt, text("abcz", AT), None),
        (cut("abc"), Eq, text("abc", AT), Some(true)),
        (in_case(cut("abcdef")), Eq, text("abcdef", AT), None),
        (in_case(in_case(cut("abcdef"))), Gt, text("abb", AT), Some(true)),
    ] {
        check(typing::compare(op, a, b, AT).expect("texts"), datum3(expect));
    }
}

#[test]
fn buckets_are_powers_of_two() {
    for (x, bucket) in [(-5, 0), (0, 1), (1, 2), (2, 3), (3, 3), (4, 4), (10240, 15), (i64::MAX, 64)] {
        check(Expr::new(ExprKind::Bucket(Box::new(i64(x))), SqlType::U32, AT), Datum::Int(bucket));
    }
    check(Expr::new(ExprKind::Bucket(Box::new(u64(u64::MAX))), SqlType::U32, AT), Datum::Int(65));
}

#[test]
fn memory_and_windows_are_bugs_here() {
    let address = Box::new(integer(0, AT).expect("small"));
    let read = Expr::new(ExprKind::ReadText(address), SqlType::Text { width: 8 }, AT);
    let window = Expr::new(ExprKind::Tumble { size_ns: 1 }, SqlType::Timestamp, AT);
    let column = Expr::new(ExprKind::Column(crate::ColumnId(0)), SqlType::I64, AT);
    for expr in [read, window, column] {
        assert_eq!(eval(&expr, &[], &[]).expect_err("user space cannot").exit_code(), 101);
    }
}

#[test]
fn nulls_sort_where_the_key_says() {
    let sorted = |descending, nulls_first| {
        let key = SortKey { expr: i64(0), descending, nulls_first };
        let mut rows = vec![vec![Datum::Int(1)], vec![Datum::Null], vec![Datum::Int(-1)], vec![Datum::Int(1 << 64)]];
        rows.sort_by(|a, b| compare_rows(a, b, std::slice::from_ref(&key)));
        rows.into_iter()
            .flatten()
            .map(|d| if let Datum::Int(x) = d { x.to_string() } else { "null".into() })
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(sorted(false, false), "-1 1 18446744073709551616 null");
    assert_eq!(sorted(false, true), "null -1 1 18446744073709551616");
    assert_eq!(sorted(true, true), "null 18446744073709551616 1 -1");
    assert_eq!(sorted(true, false), "18446744073709551616 1 -1 null");
}
