//! Random functions do the same as IR, as IR behind the passes, and as instructions.

#[path = "differential/machine.rs"]
mod machine;
#[path = "differential/random.rs"]
mod random;

use bpfquery_codegen::interp::{Event, World, run};
use bpfquery_codegen::ir::{Func, Global, MapKind, parse, verify};
use bpfquery_codegen::{Target, emit, passes};
use bpfquery_isa::{Insn, Reg};
use machine::Kernel;
use random::Random;

/// Kernel memory that probe reads see.
const KERNEL: u64 = 0xffff_8880_0000_1000;

/// The interpreter's pseudo-random numbers.
fn next_random(state: u32) -> u32 {
    let mut next = state;
    next ^= next << 13;
    next ^= next >> 17;
    next ^= next << 5;
    next
}

/// All that can be seen behind some runs.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    results: Vec<u64>,
    bss: Vec<u8>,
    records: Vec<Vec<u8>>,
    entries: Vec<Vec<(Vec<u8>, Vec<u8>)>>,
}

fn memory() -> Vec<u8> {
    (0..32_u8).map(|at| at.wrapping_mul(11).wrapping_add(3)).collect()
}

fn events(seed: u64, context: u32) -> Vec<Event> {
    let mut random = Random::new(seed ^ 0x55);
    let mut event = || {
        let words = (0..context / 8).flat_map(|_| random.number().to_le_bytes()).collect();
        let event = Event {
            context: words,
            ktime_ns: random.next() >> 8,
            pid: random.below(1000) as u32,
            tid: random.below(1000) as u32,
            uid: random.below(3) as u32,
            gid: random.below(3) as u32,
            cpu: 0,
            cgroup_id: random.next(),
            task: random.next(),
            ..Event::default()
        };
        event.comm("differential")
    };
    (0..4).map(|_| event()).collect()
}

fn interpret(func: &Func, events: &[Event]) -> Seen {
    let mut world = World::new([func], 1).expect("one function's maps have one meaning");
    world.kernel.put(KERNEL, memory());
    let results = events.iter().map(|event| match run(func, &mut world, event) {
        Ok(result) => result as u64,
        Err(trap) => panic!("{trap:?}\n{func}"),
    });
    let results = results.collect();
    let entries = |name: &str| {
        let entries = world.entries(name).expect("the map is there");
        entries.into_iter().map(|mut entry| (entry.key, entry.values.swap_remove(0))).collect()
    };
    let keyed = func.maps.iter().filter(|map| map.kind != MapKind::RingBuffer);
    let entries = keyed.map(|map| entries(&map.name)).collect();
    Seen { results, bss: world.section(Global::Bss).to_vec(), records: world.take_records("ring"), entries }
}

fn execute(func: &Func, program: &bpfquery_isa::Program, events: &[Event]) -> Seen {
    let mut kernel = Kernel::new(func, (KERNEL, memory()));
    let results = events.iter().map(|event| match kernel.run(program, event) {
        Ok(result) => result,
        Err(what) => panic!("{what}\n{}\n{func}", program.display(&|_| None)),
    });
    let results = results.collect();
    let keyed = (0..func.maps.len()).filter(|&map| func.maps[map].kind != MapKind::RingBuffer);
    let entries = keyed.map(|map| kernel.entries(map)).collect();
    Seen { results, bss: kernel.bss().to_vec(), records: kernel.records(), entries }
}

fn check(seed: u64) {
    let func = random::function(seed);
    if let Err(error) = verify(&func) {
        panic!("seed {seed}: {error}\n{func}");
    }
    check_func(seed, func);
}

fn check_func(seed: u64, func: Func) {
    let events = events(seed, func.context.bytes);
    let expected = interpret(&func, &events);
    let mut better = func.clone();
    passes::run(&mut better).unwrap_or_else(|failure| panic!("seed {seed}: {failure:?}\n{func}"));
    assert_eq!(interpret(&better, &events), expected, "seed {seed}: passes\n{func}\n{better}");
    for (what, func) in [("as it stands", &func), ("behind the passes", &better)] {
        for isa_v4 in [false, true] {
            let target = Target { isa_v4 };
            let program =
                emit::generate(func, target).unwrap_or_else(|failure| panic!("seed {seed}: {failure:?}\n{func}"));
            let seen = execute(func, &program, &events);
            let text = program.display(&|_| None);
            assert_eq!(seen, expected, "seed {seed}, {what}, {target:?}\n{func}\n{text}");
        }
    }
}

#[test]
fn random_functions_do_the_same() {
    let (start, count) = (seed("BPFQUERY_SEED", 1), seed("BPFQUERY_SEEDS", 600));
    (start..start + count).for_each(check);
}

/// More values than registers survive a call: they are spilled, and come back right.
#[test]
fn twenty_values_live_across_three_calls() {
    let func = parse(include_str!("clang/live_20.ir")).expect("the text is well-formed");
    let program = bpfquery_codegen::compile(func.clone(), Target::default()).expect("the function is right");
    let spills = program.lines().filter(|line| matches!(line.insn, Insn::Store { base: Reg::R10, .. })).count();
    assert!(spills >= 16, "only four registers survive a call, and {spills} values were spilled");
    (1..50).for_each(|seed| check_func(seed, func.clone()));
}

/// Another range of seeds, for a longer look by hand.
fn seed(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
