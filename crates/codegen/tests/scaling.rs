//! Functions that grow with the query stay cheap to compile and small.
//!
//! What must hold: four times the query takes less than six times the work, in passes, registers and instructions, and in what
//! builds with assertions check between them. Work is the processor time of this thread, so that neighbours do not count;
//! the kernel adds it up by ticks, so that each figure is that of many of them. How often passes run is counted, too.

use bpfquery_codegen::ir::{Access, BinOp, Builder, Cond, Context, Func, Global, GlobalData};
use bpfquery_codegen::passes::{FINISH, SIMPLIFY, run_counted};
use bpfquery_codegen::{Target, compile};
use bpfquery_isa::Helper;

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

/// As many reads through a pointer as `reads`, each compared, counted where it faults, and added to a variable of its own.
fn reads(reads: i64) -> Func {
    let (mut build, context) = Builder::new("q", Context { bytes: 8192, words_only: true });
    let slot = build.slot("word", 8);
    let variable = |build: &mut Builder, name: String, at: i64| {
        let data = GlobalData { name, section: Global::Bss, offset: 8 * at as u32, size: 8, init: Vec::new() };
        build.global(data)
    };
    let faults = variable(&mut build, "faults".to_owned(), 0);
    let base = build.load(Access::U64, context, 0);
    for at in 0..reads {
        let (fault, read, join) = (build.cold_block(), build.block(), build.block());
        let buffer = build.slot_addr(slot);
        let size = build.iconst(8);
        let from = build.bin_imm(BinOp::Add, base, 8 * at);
        let failed = build.call(Helper::ProbeReadKernel, &[buffer, size, from]);
        let zero = build.iconst(0);
        build.branch(Cond::Slt, failed, zero, fault, read);
        build.switch_to(fault);
        let address = build.global_addr(faults);
        let one = build.iconst(1);
        build.atomic_add(address, 0, one);
        build.jump(join, &[]);
        build.switch_to(read);
        let word = build.load(Access::U64, buffer, 0);
        let sum = variable(&mut build, format!("sum_{at}"), at + 1);
        let sum = build.global_addr(sum);
        let old = build.load(Access::U64, sum, 0);
        let new = build.bin(BinOp::Add, old, word);
        build.store(Access::U64, sum, 0, new);
        build.jump(join, &[]);
        build.switch_to(join);
    }
    let zero = build.iconst(0);
    build.ret(zero);
    build.finish()
}

/// Nanoseconds that this thread has run, by the kernel's ticks (/proc/PID/schedstat, Documentation/scheduler/sched-stats.rst).
fn worked() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("the first word is a number")
}

/// Nanoseconds to compile it once: the least of three figures, each of so many runs that ticks tell them apart.
fn cost(func: &Func) -> u64 {
    let figure = || {
        let (start, mut runs) = (worked(), 0);
        while runs == 0 || worked() - start < 150_000_000 {
            compile(func.clone(), Target::default()).expect("the function is right");
            runs += 1;
        }
        (worked() - start) / runs
    };
    (0..3).map(|_| figure()).min().unwrap_or_default()
}

#[test]
fn work_grows_with_the_query_and_not_with_its_square() {
    for (name, small, large) in [("arms", function(100), function(400)), ("reads", reads(100), reads(400))] {
        let (small, large) = (cost(&small), cost(&large));
        eprintln!("{name}: {small} ns, {large} ns, {:.1}", large as f64 / small as f64);
        assert!(large < 6 * small, "{name}: {small} ns for 100, {large} ns for 400");
    }
}

/// What no machine's speed changes: how often passes run, and how often they had control flow looked at anew.
#[test]
fn passes_run_as_often_for_a_long_query_as_for_a_short_one() {
    let work = |func: &Func| run_counted(&mut func.clone()).expect("the function is right");
    for (name, small, large) in [("arms", function(100), function(400)), ("reads", reads(100), reads(400))] {
        let (small, large) = (work(&small), work(&large));
        assert_eq!(small, large, "{name}");
        // Three rounds, of which the last stops where nothing has changed since, and what comes once.
        assert!(large.runs <= 3 * SIMPLIFY.len() as u32 + FINISH.len() as u32, "{name}: {large:?}");
        // Each of the passes that move blocks makes one new graph at most in a round that it changes something in.
        assert!(large.graphs <= 10, "{name}: {large:?}");
    }
}
