//! Types of aggregates, and their algebra: `finish` over the state gives what PostgreSQL gives.

use super::{Slots, aggregate, aggregate_names};
use crate::eval::eval;
use crate::testing::{AT, bool, col, double, null};
use crate::{Datum, Expr, SlotOp};
use bpfquery_catalog::SqlType;

/// The result's type, or the message.
fn check(name: &str, argument: Option<Expr>, expect: &str) {
    let found = match aggregate(name).expect("it exists").bind(argument, AT) {
        Ok(call) => call.ty.to_string(),
        Err(d) => format!("{}: {}", d.code.0, d.message),
    };
    assert_eq!(found, expect, "{name}");
}

#[test]
fn types() {
    check("count", None, "unsigned bigint");
    check("COUNT", Some(col("comm")), "unsigned bigint");
    check("count", Some(null(SqlType::Null)), "unsigned bigint");
    check("sum", Some(col("flags")), "decimal(38,0)");
    check("sum", Some(col("delay")), "interval");
    check("avg", Some(col("pid")), "double precision");
    check("avg", Some(col("delay")), "interval");
    check("min", Some(col("pid")), "unsigned integer");
    check("max", Some(col("ts")), "timestamp");
    check("hist", Some(col("flags")), "histogram");
    check("hist", Some(col("delay")), "histogram of interval");
}

#[test]
fn wrong_arguments() {
    check("sum", None, "wrong-arguments: sum(*) does not exist");
    check("sum", Some(col("comm")), "type-mismatch: sum takes integers or intervals, not text(16)");
    check("sum", Some(null(SqlType::Null)), "type-mismatch: sum takes integers or intervals, not unknown");
    check("avg", Some(double(1.0)), "type-mismatch: avg takes integers or intervals, not double precision");
    check("min", Some(col("comm")), "unsupported: min of text is not supported yet");
    check("max", Some(bool(true)), "type-mismatch: max takes integers, timestamps or intervals, not boolean");
    check("hist", Some(col("ts")), "type-mismatch: hist takes integers or intervals, not timestamp");
}

/// The state as the source gives it, for the slots that a call registers.
fn state(slots: &Slots, seen: i128, sum: i128, extreme: Option<i128>) -> Vec<Datum> {
    let of = |op: SlotOp| match op {
        SlotOp::Count => Datum::Int(seen),
        SlotOp::Sum => Datum::Int(sum),
        SlotOp::Min { .. } | SlotOp::Max { .. } => extreme.map_or(Datum::Null, Datum::Int),
        SlotOp::Histogram => Datum::Histogram(vec![0; 66]),
    };
    slots.list.iter().map(|slot| of(slot.op)).collect()
}

#[test]
fn finish() {
    let half = Datum::Double(2.5);
    for (name, argument, none, two_and_three) in [
        ("count", col("flags"), Datum::Int(0), Datum::Int(2)),
        ("sum", col("flags"), Datum::Null, Datum::Int(5)),
        ("avg", col("flags"), Datum::Null, half),
        ("min", col("flags"), Datum::Null, Datum::Int(2)),
        ("max", col("flags"), Datum::Null, Datum::Int(2)),
        ("sum", col("delay"), Datum::Null, Datum::Int(5)),
        ("avg", col("delay"), Datum::Null, Datum::Int(2)),
        ("hist", col("flags"), Datum::Histogram(vec![0; 66]), Datum::Histogram(vec![0; 66])),
    ] {
        let f = aggregate(name).expect("it exists");
        let call = f.bind(Some(argument), AT).expect("it fits");
        let mut slots = Slots::default();
        let finish = f.expand(&call, &mut slots);
        assert_eq!(finish.ty, call.ty, "{name}");
        assert_eq!(eval(&finish, &state(&slots, 0, 0, None), &[]), Ok(none), "{name} of nothing");
        assert_eq!(eval(&finish, &state(&slots, 2, 5, Some(2)), &[]), Ok(two_and_three), "{name}");
    }
}

#[test]
fn sums_do_not_wrap() {
    let f = aggregate("sum").expect("it exists");
    let call = f.bind(Some(col("cgroup_id")), AT).expect("it fits");
    let mut slots = Slots::default();
    let finish = f.expand(&call, &mut slots);
    let huge = i128::from(u64::MAX) * 3;
    assert_eq!(eval(&finish, &state(&slots, 3, huge, None), &[]), Ok(Datum::Int(huge)));
}

#[test]
fn equal_slots_are_one() {
    let mut slots = Slots::default();
    for name in ["avg", "sum", "count", "min", "max", "avg"] {
        let f = aggregate(name).expect("it exists");
        let mut call = f.bind(Some(col("ppid")), AT).expect("it fits");
        f.expand(&call, &mut slots);
        call.argument = call.argument.map(|mut e| {
            e.span = bpfquery_diag::Span::new(3, 4);
            e
        });
        f.expand(&call, &mut slots);
    }
    let ops: Vec<SlotOp> = slots.list.iter().map(|s| s.op).collect();
    assert_eq!(ops, [SlotOp::Count, SlotOp::Sum, SlotOp::Min { seen: 0 }, SlotOp::Max { seen: 0 }]);
    let mut call = aggregate("count").expect("it exists").bind(Some(col("ppid")), AT).expect("it fits");
    call.filter = Some(bool(true));
    call.function.definition().expand(&call, &mut slots);
    assert_eq!(slots.list.len(), 5, "a filter makes another slot");
}

#[test]
fn the_registry_is_documented_and_agrees_with_the_plan() {
    for name in aggregate_names() {
        let f = aggregate(name).expect("it was just listed");
        assert!(f.signature().starts_with(name) && f.doc().ends_with('.'), "{name}");
        assert_eq!(f.function().definition().name(), name);
    }
    assert!(aggregate("nosuch").is_none());
}
