//! Rows of a stream are the same whichever way they are taken: many at a time, one by one, or through the evaluator.

use arrow_array::{Array, RecordBatch};
use bpfquery_catalog::{EnumType, SqlType};
use bpfquery_diag::Span;
use bpfquery_exec::{Engine, Run};
use bpfquery_plan::{ColumnId, Datum, Expr, ExprKind, Layout, OutputColumn, Source, Step, Stored, UserPlan};

/// CLOCK_REALTIME minus CLOCK_MONOTONIC in some year.
const WALL: i64 = 1_795_221_612_345_678_901;
/// What lies between two records of a ring buffer.
const HEADER: usize = 8;

fn types() -> Vec<SqlType> {
    let int = |bits, signed| SqlType::Int { bits, signed };
    let names = vec![(-1, "MINUS".to_string()), (0, "ZERO".to_string()), (7, "SEVEN".to_string())];
    let ints = [8, 16, 32, 64].into_iter().flat_map(|bits| [int(bits, true), int(bits, false)]);
    ints.chain([
        SqlType::Bool,
        SqlType::Text { width: 16 },
        SqlType::Timestamp,
        SqlType::Interval,
        SqlType::Text { width: 1 },
        SqlType::Enum(EnumType { name: "e".to_string(), bits: 32, signed: true, values: names }),
        SqlType::Text { width: 64 },
    ])
    .collect()
}

/// A plan whose every column may be NULL, or none.
fn plan(nullable: bool, steps: Vec<Step>) -> UserPlan {
    let types = types();
    let fields = types.iter().map(|ty| (String::new(), Stored::of(ty).unwrap(), nullable));
    let layout = Layout::new(fields);
    let output = types.iter().map(|ty| OutputColumn { name: "x".to_string(), ty: ty.clone() }).collect();
    UserPlan { source: Source::Rows { layout, types }, steps, output }
}

/// The columns as they are.
fn project() -> Step {
    let columns = types().into_iter().enumerate();
    let column = |(at, ty)| Expr { kind: ExprKind::Column(ColumnId(at as u32)), ty, span: Span::default() };
    Step::Project(columns.map(column).collect())
}

/// Keeps all rows, but looks at each: the evaluator takes them one by one.
fn keep() -> Step {
    Step::Filter(literal(Datum::Bool(true), SqlType::Bool))
}

fn literal(datum: Datum, ty: SqlType) -> Expr {
    Expr { kind: ExprKind::Literal(datum), ty, span: Span::default() }
}

fn size(plan: &UserPlan) -> usize {
    match &plan.source {
        Source::Rows { layout, .. } => layout.size as usize,
        Source::Groups { .. } | Source::Listing { .. } => unreachable!("a stream's plan"),
    }
}

/// `rows` records with headers between them, of bytes that are everything: small numbers, text, NULs, what is no UTF-8.
fn records(rows: usize, size: usize) -> Vec<u8> {
    let mut state = rows as u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = (state >> 33) as u8;
        if state >> 60 < 12 { [0, 7, b'a', b'z', b'"', 0xc3, 0xa9][random as usize % 7] } else { random }
    };
    (0..rows * (size + HEADER) - HEADER).map(|_| byte()).collect()
}

/// The batch that comes of these rows: in runs of so many rows, or one by one.
fn taken(plan: &UserPlan, bytes: &[u8], at_a_time: Option<usize>) -> (Option<RecordBatch>, u64) {
    let mut engine = Engine::new(plan.clone(), Vec::new(), WALL);
    let size = size(plan);
    let stride = size + HEADER;
    let mut rest = bytes;
    while !rest.is_empty() && !engine.is_done() {
        let (run, behind) = rest.split_at(rest.len().min(at_a_time.unwrap_or(1) * stride - HEADER));
        match at_a_time {
            None => engine.push(run).unwrap(),
            Some(_) => {
                let run = Run::new(run, stride, size).unwrap();
                let taken = engine.push_run(run).unwrap();
                assert!(taken == run.len() || engine.is_done());
            }
        }
        rest = behind.get(HEADER..).unwrap_or_default();
    }
    let received = engine.received();
    (engine.take().unwrap(), received)
}

#[test]
fn one_by_one_or_many_at_a_time() {
    for nullable in [false, true] {
        for rows in [1, 2, 63, 64, 300] {
            let plain = plan(nullable, Vec::new());
            let bytes = records(rows, size(&plain));
            let (expect, received) = taken(&plan(nullable, vec![keep()]), &bytes, None);
            let expect = expect.unwrap();
            assert_eq!((expect.num_rows(), received), (rows, rows as u64));
            let nulls: usize = expect.columns().iter().map(|column| column.null_count()).sum();
            assert_eq!(nulls > 0, nullable);
            for at_a_time in [None, Some(1), Some(7), Some(1000)] {
                for steps in [Vec::new(), vec![project()]] {
                    let (batch, received) = taken(&plan(nullable, steps), &bytes, at_a_time);
                    assert!(batch.unwrap() == expect, "{rows} rows, {at_a_time:?} at a time, nullable {nullable}");
                    assert_eq!(received, rows as u64);
                }
            }
        }
    }
}

#[test]
fn limits_cut_runs() {
    let limit = |offset, count| Step::Limit { count, offset };
    let bytes = records(100, size(&plan(true, Vec::new())));
    for steps in [
        vec![limit(0, Some(10))],
        vec![limit(0, Some(0))],
        vec![limit(30, None)],
        vec![limit(99, Some(5))],
        vec![limit(100, Some(5))],
        vec![limit(3, Some(50)), limit(20, Some(20))],
        vec![limit(0, Some(7)), limit(0, Some(90))],
        vec![limit(10, None), limit(0, Some(90))],
    ] {
        let slow = std::iter::once(keep()).chain(steps.clone()).collect();
        let expect = taken(&plan(true, slow), &bytes, None);
        for at_a_time in [None, Some(1), Some(13), Some(100)] {
            let got = taken(&plan(true, steps.clone()), &bytes, at_a_time);
            assert!(got == expect, "{steps:?}, {at_a_time:?} at a time: {} not {}", got.1, expect.1);
        }
    }
}

/// `select c, 'x', b, NULL, c …`: columns twice, in another order, and constants.
#[test]
fn columns_are_chosen_without_the_evaluator() {
    let all = types();
    let column =
        |at: usize| Expr { kind: ExprKind::Column(ColumnId(at as u32)), ty: all[at].clone(), span: Span::default() };
    let text = || literal(Datum::Text(b"x".to_vec()), SqlType::Text { width: 2 });
    let first = vec![column(9), text(), column(2), column(13), literal(Datum::Null, SqlType::I32), column(9)];
    let output = first.iter().map(|expr| OutputColumn { name: "x".to_string(), ty: expr.ty.clone() }).collect();
    let steps = vec![Step::Project(first), Step::Limit { count: Some(90), offset: 5 }];
    let quick = UserPlan { output, ..plan(true, steps) };
    let bytes = records(100, size(&quick));
    let slow = UserPlan { steps: std::iter::once(keep()).chain(quick.steps.clone()).collect(), ..quick.clone() };
    let expect = taken(&slow, &bytes, None);
    assert_eq!(expect.0.as_ref().map(RecordBatch::num_rows), Some(90));
    for at_a_time in [None, Some(13), Some(100)] {
        assert!(taken(&quick, &bytes, at_a_time) == expect, "{at_a_time:?}");
    }
}

#[test]
fn a_record_of_another_size_is_a_bug() {
    let plan = plan(false, Vec::new());
    let mut engine = Engine::new(plan.clone(), Vec::new(), WALL);
    assert!(engine.push(&vec![0; size(&plan) + 8]).is_err());
    assert_eq!((engine.received(), engine.pending()), (0, 0));
}
