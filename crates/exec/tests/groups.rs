//! Groups are the same whether the evaluator looks at them or not, and however many come.

use arrow_array::{Array, RecordBatch};
use bpfquery_catalog::SqlType;
use bpfquery_diag::Span;
use bpfquery_exec::{Chunk, Engine};
use bpfquery_plan::{
    ArithOp, ColumnId, CompareOp, Datum, Expr, ExprKind, Layout, OutputColumn, SlotOp, Source, Step, Store, Stored,
    UserPlan,
};

const CPUS: usize = 3;

fn expr(kind: ExprKind, ty: SqlType) -> Expr {
    Expr { kind, ty, span: Span::default() }
}

/// A source with the key `k` and the slots count, sum, min and max: columns 0 to 4.
fn source() -> Source {
    let i32 = Stored::Int { bytes: 4, signed: true };
    let slots = [
        (SlotOp::Count, Stored::Int { bytes: 8, signed: false }, SqlType::U64),
        (SlotOp::Sum, Stored::Wide, SqlType::Decimal),
        (SlotOp::Min { seen: 0 }, i32, SqlType::I32),
        (SlotOp::Max { seen: 0 }, i32, SqlType::I32),
    ];
    let fields = slots.iter().map(|(_, stored, _)| (String::new(), *stored, false));
    Source::Groups {
        key: Layout::new([("k".to_string(), Stored::Int { bytes: 4, signed: false }, false)]),
        key_types: vec![SqlType::U32],
        state: Layout::new(fields),
        ops: slots.iter().map(|slot| slot.0).collect(),
        slot_types: slots.iter().map(|slot| slot.2.clone()).collect(),
        window: None,
        store: Store::Hash { max_groups: 1 << 20 },
    }
}

/// `max, k, count, CASE WHEN count = 0 THEN NULL ELSE sum END, sum::double precision / count::double precision, min`
fn columns() -> Vec<Expr> {
    let types = [SqlType::U32, SqlType::U64, SqlType::Decimal, SqlType::I32, SqlType::I32];
    let column = |at: usize| expr(ExprKind::Column(ColumnId(at as u32)), types[at].clone());
    let literal = |datum, ty| expr(ExprKind::Literal(datum), ty);
    let none = ExprKind::Compare(CompareOp::Eq, Box::new(column(1)), Box::new(literal(Datum::Int(0), SqlType::U64)));
    let arms = vec![(expr(none, SqlType::Bool), literal(Datum::Null, SqlType::Decimal))];
    let double = |at| Box::new(expr(ExprKind::Cast(Box::new(column(at))), SqlType::Double));
    vec![
        column(4),
        column(0),
        column(1),
        expr(ExprKind::Case { arms, otherwise: Box::new(column(2)) }, SqlType::Decimal),
        expr(ExprKind::Arith(ArithOp::Div, double(2), double(1)), SqlType::Double),
        column(3),
    ]
}

fn plan(steps: Vec<Step>) -> UserPlan {
    let output = columns().into_iter().map(|expr| OutputColumn { name: "x".to_string(), ty: expr.ty }).collect();
    UserPlan { source: source(), steps, output }
}

/// Keeps all groups, but looks at each.
fn keep() -> Step {
    Step::Filter(expr(ExprKind::Literal(Datum::Bool(true)), SqlType::Bool))
}

/// All rows of these groups; some CPUs have seen none of a group.
fn taken(plan: &UserPlan, groups: u32) -> Vec<RecordBatch> {
    let Source::Groups { key, state, .. } = &plan.source else { unreachable!("a plan of groups") };
    let stride = state.size.next_multiple_of(8) as usize;
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 20
    };
    let mut engine = Engine::new(plan.clone(), Vec::new(), 0);
    let mut batches = Vec::new();
    for start in (0..groups).step_by(1000) {
        let keys: Vec<u32> = (start..groups.min(start + 1000)).map(|key| key.wrapping_mul(7919)).collect();
        let mut values = vec![0_u8; keys.len() * CPUS * stride];
        for one in values.chunks_exact_mut(stride) {
            if next() % 3 == 0 {
                continue;
            }
            one.fill_with(|| next() as u8);
            let count = &mut one[state.fields[0].offset as usize..][..8];
            count.copy_from_slice(&(next() % 4).to_le_bytes());
        }
        let key_size = key.size as usize;
        let mut bytes = vec![0; keys.len() * key_size];
        bytes.chunks_exact_mut(key_size).zip(keys).for_each(|(to, key)| to[..4].copy_from_slice(&key.to_le_bytes()));
        let chunk = Chunk { rest: false, keys: &bytes, key_size, values: &values, stride, cpus: CPUS };
        engine.push_chunk(&chunk).unwrap();
        batches.extend(engine.take().unwrap());
    }
    engine.end_groups().unwrap();
    batches.extend(engine.take().unwrap());
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), groups as usize);
    batches
}

#[test]
fn aggregates_are_columns_without_the_evaluator() {
    let quick = plan(vec![Step::Project(columns())]);
    let slow = plan(vec![keep(), Step::Project(columns())]);
    for groups in [1, 700, 9000] {
        let (quick, slow) = (taken(&quick, groups), taken(&slow, groups));
        assert!(quick == slow, "{groups} groups");
        if groups > 1 {
            // Some have seen none, and some have.
            let nulls = |at: usize| slow.iter().map(|batch| batch.column(at).null_count()).sum::<usize>();
            assert!([0, 3, 4, 5].iter().all(|at| nulls(*at) > 0 && nulls(*at) < groups as usize), "{groups} groups");
        }
    }
}

/// Of a name that was met while it changed something may stand behind its NUL: it is the same group as without that.
#[test]
fn names_are_groups_by_their_text() {
    let name = Stored::Text { bytes: 16 };
    let Source::Groups { state, ops, slot_types, window, store, .. } = source() else {
        unreachable!("a plan of groups")
    };
    let key = Layout::new([("comm".to_string(), name, false)]);
    let source =
        Source::Groups { key, key_types: vec![SqlType::Text { width: 16 }], state, ops, slot_types, window, store };
    let columns = [SqlType::Text { width: 16 }, SqlType::U64].into_iter().enumerate();
    let columns = columns.map(|(at, ty)| expr(ExprKind::Column(ColumnId(at as u32)), ty));
    let columns: Vec<Expr> = columns.collect();
    let output = columns.iter().map(|expr| OutputColumn { name: "x".to_string(), ty: expr.ty.clone() }).collect();
    let plan = UserPlan { source, steps: vec![Step::Project(columns)], output };
    let Source::Groups { state, .. } = &plan.source else { unreachable!("a plan of groups") };
    let stride = state.size.next_multiple_of(8) as usize;
    let mut engine = Engine::new(plan.clone(), Vec::new(), 0);
    let entries: [(&[u8; 16], u64); 3] =
        [(b"bash\0\0\0\0\0\0\0\0\0\0\0\0", 1), (b"cat\0\0\0\0\0\0\0\0\0\0\0\0\0", 10), (b"bash\0kworker/0:1", 100)];
    for (key, count) in entries {
        let mut values = vec![0; CPUS * stride];
        values.chunks_exact_mut(stride).for_each(|one| one[..8].copy_from_slice(&count.to_le_bytes()));
        let chunk = Chunk { rest: false, keys: key, key_size: 16, values: &values, stride, cpus: CPUS };
        engine.push_chunk(&chunk).unwrap();
    }
    engine.end_groups().unwrap();
    let batch = engine.take().unwrap().expect("there are groups");
    let counts = batch.column(1).as_any().downcast_ref::<arrow_array::UInt64Array>().expect("counts");
    assert_eq!(counts.values().to_vec(), [101 * CPUS as u64, 10 * CPUS as u64]);
}
