//! Random expressions mean the same before and after every rule.

use super::{fold_constants, identities, simplify_boolean, simplify_case};
use crate::testing::AT;
use crate::typing::{self, integer};
use crate::{ArithOp, ColumnId, CompareOp, Datum, Expr, ExprKind, eval::eval};
use bpfquery_catalog::SqlType;

/// SplitMix64: the tests are the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap_or(1)).unwrap_or(0)
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// The columns of the row: two that are never NULL, two that may be, a boolean of each kind.
const COLUMNS: [(SqlType, bool); 6] = [
    (SqlType::I32, false),
    (SqlType::U64, false),
    (SqlType::I64, true),
    (SqlType::U32, true),
    (SqlType::Bool, false),
    (SqlType::Bool, true),
];

const EDGES: [i128; 14] = [
    0,
    1,
    2,
    -1,
    -2,
    63,
    64,
    255,
    i32::MIN as i128,
    i32::MAX as i128,
    i64::MIN as i128,
    i64::MAX as i128,
    u32::MAX as i128,
    u64::MAX as i128,
];

fn column(at: usize) -> Expr {
    Expr::new(ExprKind::Column(ColumnId(u32::try_from(at).unwrap_or(0))), COLUMNS[at].0.clone(), AT)
}

fn number(random: &mut Random, depth: usize) -> Expr {
    use ArithOp::{Add, And, Div, Mod, Mul, Or, Shl, Shr, Sub, Xor};
    if depth == 0 {
        return match random.below(8) {
            0 => typing::null(AT),
            1..4 => integer(random.pick(&EDGES), AT).expect("64 bits"),
            _ => {
                let at = random.below(4);
                column(at)
            }
        };
    }
    match random.below(12) {
        0 => typing::negate(number(random, depth - 1), AT),
        1 => typing::bit_not(number(random, depth - 1), AT),
        2 => {
            let arms = (0..=random.below(2)).map(|_| (truth(random, depth - 1), number(random, depth - 1))).collect();
            let otherwise = number(random, depth - 1);
            typing::case(arms, Some(otherwise), AT)
        }
        3 => typing::coalesce((0..3).map(|_| number(random, depth - 1)).collect(), AT),
        4 => {
            let ty = SqlType::Int { bits: random.pick(&[8, 16, 32, 64]), signed: random.below(2) == 0 };
            typing::cast(number(random, depth - 1), &ty, AT)
        }
        5 => {
            let b = truth(random, depth - 1);
            typing::cast(b, &SqlType::I64, AT)
        }
        6 => crate::functions::scalar("greatest")
            .expect("is there")
            .bind(vec![number(random, 0), number(random, depth - 1), number(random, 0)], AT),
        7 => crate::functions::scalar("nullif")
            .expect("is there")
            .bind(vec![number(random, depth - 1), number(random, 0)], AT),
        _ => {
            let op = random.pick(&[Add, Sub, Mul, Div, Mod, And, Or, Xor, Shl, Shr]);
            let a = number(random, depth - 1);
            let b = if random.below(4) == 0 { a.clone() } else { number(random, depth - 1) };
            typing::arith(op, a, b, AT)
        }
    }
    .unwrap_or_else(|d| panic!("{}", d.message))
}

fn truth(random: &mut Random, depth: usize) -> Expr {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
    if depth == 0 {
        return match random.below(6) {
            0 => Expr::bool(true, AT),
            1 => Expr::bool(false, AT),
            2 => typing::null(AT),
            3 => column(4),
            _ => column(5),
        };
    }
    match random.below(7) {
        0 => typing::not(truth(random, depth - 1), AT),
        1 => typing::and((0..2 + random.below(2)).map(|_| truth(random, depth - 1)).collect(), AT),
        2 => typing::or((0..2 + random.below(2)).map(|_| truth(random, depth - 1)).collect(), AT),
        3 => {
            let x = number(random, depth - 1);
            typing::is_null(x, AT)
        }
        4 => {
            let arms = vec![(truth(random, depth - 1), truth(random, depth - 1))];
            typing::case(arms, Some(truth(random, depth - 1)), AT)
        }
        5 => {
            let op = random.pick(&[Eq, Ne]);
            typing::compare(op, truth(random, depth - 1), truth(random, 0), AT)
        }
        _ => {
            let op = random.pick(&[Eq, Ne, Lt, Le, Gt, Ge]);
            let a = number(random, depth - 1);
            let b = if random.below(4) == 0 { a.clone() } else { number(random, depth - 1) };
            typing::compare(op, a, b, AT)
        }
    }
    .unwrap_or_else(|d| panic!("{}", d.message))
}

fn row(random: &mut Random) -> Vec<Datum> {
    COLUMNS
        .iter()
        .map(|(ty, nullable)| match ty.scalar() {
            _ if *nullable && random.below(3) == 0 => Datum::Null,
            _ if *ty == SqlType::Bool => Datum::Bool(random.below(2) == 0),
            Some((bits, signed)) => Datum::Int(crate::eval::wrap(random.pick(&EDGES), bits, signed)),
            None => Datum::Null,
        })
        .collect()
}

#[test]
fn rules_keep_the_value() {
    let nullable = COLUMNS.map(|(_, nullable)| nullable);
    let rules: [(&str, &dyn Fn(Expr) -> Expr); 4] = [
        ("fold_constants", &fold_constants::fold),
        ("identities", &|e| identities::simplify(e, &nullable)),
        ("simplify_case", &|e| simplify_case::simplify(e, &nullable)),
        ("simplify_boolean", &|e| simplify_boolean::simplify(e, &nullable)),
    ];
    let mut random = Random(1);
    let mut changed = [0; 4];
    for case in 0..6000 {
        let depth = 1 + case % 4;
        let original = if case % 2 == 0 { number(&mut random, depth) } else { truth(&mut random, depth) };
        let rows: Vec<Vec<Datum>> = (0..8).map(|_| row(&mut random)).collect();
        let mut expr = original;
        for _ in 0..2 {
            for (at, (name, rule)) in rules.iter().enumerate() {
                let after = expr.map(&mut |node| rule(node));
                assert_eq!(after.ty, expr.ty, "{name} changed the type of {}", expr.text(&[], &[]));
                for row in &rows {
                    let (a, b) = (eval(&expr, row, &[]), eval(&after, row, &[]));
                    assert_eq!(a, b, "{name}: {} became {} for {row:?}", expr.text(&[], &[]), after.text(&[], &[]));
                    let says_null = a == Ok(Datum::Null);
                    assert!(!says_null || expr.nullable_over(&nullable), "{} is never NULL?", expr.text(&[], &[]));
                }
                changed[at] += usize::from(after != expr);
                expr = after;
            }
        }
    }
    // A property over expressions that no rule touches would prove nothing.
    assert!(changed.iter().all(|n| *n > 200), "{changed:?}");
}
