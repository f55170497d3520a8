//! Functions that grow with the query stay cheap to compile and small.

use bpfquery_codegen::ir::{Access, BinOp, Builder, Cond, Context, Func, Global, GlobalData};
use bpfquery_codegen::{Target, compile};

/// `CASE` with `arms` arms over a sum of a hundredth as many columns, under a conjunction of as many comparisons.
fn function(arms: i64) -> Func {
    let (mut build, context) = Builder::new("q", Context { bytes: 8192, words_only: true });
    let data = GlobalData { name: "out".to_owned(), section: Global::Bss, offset: 0, size: 8, init: Vec::new() };
    let out = build.global(data);
    let exit = build.block();
    let mut sum = build.iconst(1);
    for column in 0..(arms / 100).max(1) {
        let value = build.load(Access::U64, context, 8 * column as i16);
        sum = build.bin_imm(BinOp::Mul, sum, 31);
        sum = build.bin(BinOp::Add, sum, value);
    }
    for arm in 0..arms {
        let next = build.block();
        let left = build.bin_imm(BinOp::UMod, sum, arm + 7);
        let right = build.iconst(arm);
        build.branch(Cond::Eq, left, right, exit, next);
        build.switch_to(next);
    }
    let join = build.block();
    let result = build.param(join, bpfquery_codegen::ir::Type::Int);
    for arm in 0..arms {
        let (hit, miss) = (build.block(), build.block());
        let (when, then) = (build.iconst(3 * arm), build.iconst(arm % 50));
        build.branch(Cond::Eq, sum, when, hit, miss);
        build.switch_to(hit);
        build.jump(join, &[then]);
        build.switch_to(miss);
    }
    let other = build.iconst(0);
    build.jump(join, &[other]);
    build.switch_to(join);
    let address = build.global_addr(out);
    build.store(Access::U64, address, 0, result);
    build.jump(exit, &[]);
    build.switch_to(exit);
    let zero = build.iconst(0);
    build.ret(zero);
    build.finish()
}

#[test]
fn instructions_grow_with_the_query() {
    let slots = |arms: i64| {
        let start = std::time::Instant::now();
        let program = compile(function(arms), Target::default()).expect("the function is right");
        eprintln!("{arms:5} arms: {:6} slots, {:?}", program.slots(), start.elapsed());
        i64::from(program.slots())
    };
    let (hundred, thousand) = (slots(100), slots(1000));
    // Two comparisons and a result for each arm: remainder and test, test, constant and jump.
    assert!(hundred <= 7 * 100 + 40, "{hundred}");
    assert!(thousand <= 7 * 1000 + 100, "{thousand}");
}
