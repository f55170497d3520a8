//! The interpreter does what the kernel does: one table per concern. Errors of maps, rings and probe reads were compared with
//! those of a C program on Linux 6.18 (clang, BPF_PROG_TEST_RUN).

use bpfquery_codegen::interp::{Event, Fault, POISON, Trap, World, run};
use bpfquery_codegen::ir::{Func, Global, parse, verify};
use bpfquery_isa::Helper;

const TABLES: &str = r#"
  slot s0 "key" 8
  slot s1 "text" 16
  map m0 "hash": hash 8 -> 8, 2
  map m1 "percpu": percpu_hash 8 -> 8, 2
  map m2 "array": array 4 -> 8, 2
  map m3 "ring": ringbuf 4096
  map m4 "cells": percpu_array 4 -> 8, 1
  global g0 "start": rodata+8, 8 = 0100000000000080
  global g1 "lost": bss+0, 8
  core c0 byte_offset "vmlinux":7 "task_struct.tgid" [3] = 24
"#;

fn func(body: &str) -> Func {
    parse(&format!("func q context 16 {{{TABLES}b0(v0: ctx):\n{body}\n}}\n"))
        .unwrap_or_else(|e| panic!("{e} in {body}"))
}

fn event() -> Event {
    Event {
        context: (1..=16).collect(),
        ktime_ns: 1000,
        pid: 10,
        tid: 11,
        uid: 12,
        gid: 13,
        cpu: 1,
        cgroup_id: 14,
        task: 0xffff_8880_0000_1000,
        ..Event::default()
    }
    .comm("dd")
}

fn world(func: &Func) -> World {
    let mut world = World::new([func], 2).expect("the tables agree");
    world.kernel.put(0xffff_8880_0000_1000, vec![7; 32]);
    world.kernel.put_str(0xffff_8880_0000_2000, "a longer string");
    world.kernel.put(0xffff_8880_0000_3000, *b"open");
    world.user.put_str(0x1000, "user");
    world
}

/// Runs a verified function that ends with `ret`.
fn eval(body: &str) -> (i64, World) {
    let func = func(body);
    verify(&func).unwrap_or_else(|e| panic!("{e} in {body}"));
    let mut world = world(&func);
    let result = run(&func, &mut world, &event()).unwrap_or_else(|e| panic!("{e} in {body}"));
    (result, world)
}

fn check_bin(op: &str, a: i64, b: i64, expect: i64) {
    let body = format!("  v1 = const {a}\n  v2 = const {b}\n  v3 = {op} v1, v2\n  ret v3");
    assert_eq!(eval(&body).0, expect, "{op} {a}, {b}");
}

#[test]
fn arithmetic() {
    check_bin("add", i64::MAX, 1, i64::MIN);
    check_bin("sub", 3, 5, -2);
    check_bin("mul", -3, 5, -15);
    check_bin("udiv", 17, 5, 3);
    check_bin("udiv", -1, 2, i64::MAX);
    check_bin("udiv", 17, 0, 0);
    check_bin("umod", 17, 5, 2);
    check_bin("umod", -17, 0, -17);
    check_bin("and", 12, 10, 8);
    check_bin("or", 12, 10, 14);
    check_bin("xor", 12, 10, 6);
    check_bin("shl", 1, 63, i64::MIN);
    check_bin("shl", 1, 64, 1);
    check_bin("lshr", -1, 60, 15);
    check_bin("ashr", -16, 2, -4);
    check_bin("ashr", -16, 66, -4);
}

#[test]
fn extension() {
    let check = |op: &str, from: i64, expect: i64| {
        assert_eq!(eval(&format!("  v1 = const {from}\n  v2 = {op} v1\n  ret v2")).0, expect, "{op} {from}");
    };
    check("zext.8", 0x1ff, 0xff);
    check("sext.8", 0x1ff, -1);
    check("zext.16", -1, 0xffff);
    check("sext.16", 0x8000, -0x8000);
    check("zext.32", -1, 0xffff_ffff);
    check("sext.32", 0x7fff_ffff, 0x7fff_ffff);
}

#[test]
fn comparisons() {
    let check = |cond: &str, a: i64, b: i64, expect: i64| {
        let ends = "b1:\n  v3 = const 1\n  ret v3\nb2:\n  v4 = const 0\n  ret v4";
        let body = format!("  v1 = const {a}\n  v2 = const {b}\n  br.{cond} v1, v2, b1, b2\n{ends}");
        assert_eq!(eval(&body).0, expect, "{a} {cond} {b}");
    };
    for (cond, less, equal, greater) in [
        ("eq", 0, 1, 0),
        ("ne", 1, 0, 1),
        ("slt", 1, 0, 0),
        ("sle", 1, 1, 0),
        ("sgt", 0, 0, 1),
        ("sge", 0, 1, 1),
        // -1 is the largest unsigned number.
        ("ult", 0, 0, 1),
        ("ule", 0, 1, 1),
        ("ugt", 1, 0, 0),
        ("uge", 1, 1, 0),
    ] {
        check(cond, -1, 1, less);
        check(cond, -1, -1, equal);
        check(cond, 1, -1, greater);
    }
}

#[test]
fn memory_is_little_endian() {
    assert_eq!(eval("  v1 = load.u8 v0, 1\n  ret v1").0, 2);
    assert_eq!(eval("  v1 = load.u16 v0, 2\n  ret v1").0, 0x0403);
    assert_eq!(eval("  v1 = load.u32 v0, 12\n  ret v1").0, 0x100f_0e0d);
    assert_eq!(eval("  v1 = load.u64 v0, 0\n  ret v1").0, 0x0807_0605_0403_0201);
    let stack = "  v1 = slot s0\n  v2 = const -2\n  store.u64 v1, 0, v2\n  v3 = const 0\n  store.u16 v1, 2, v3
  v4 = load.u64 v1, 0\n  ret v4";
    assert_eq!(eval(stack).0, -2 & !0xffff_0000);
    assert_eq!(eval("  v1 = global g0\n  v2 = load.u64 v1, 0\n  ret v2").0, i64::MIN + 1);
}

#[test]
fn globals_outlive_a_run() {
    let body = "  v1 = global g1\n  v2 = const 3\n  atomic_add v1, 0, v2\n  store.u8 v1, 7, v2\n  ret v2";
    let func = func(body);
    let mut world = world(&func);
    for _ in 0..2 {
        run(&func, &mut world, &event()).expect("the function is right");
    }
    assert_eq!(world.section(Global::Bss), [6, 0, 0, 0, 0, 0, 0, 3]);
    world.section_mut(Global::Rodata)[8] = 9;
    assert_eq!(world.section(Global::Rodata)[8..], [9, 0, 0, 0, 0, 0, 0, 0x80]);
}

#[test]
fn arguments_fill_parameters_at_once() {
    // The swap would give 2 twice if one parameter were set before the other is read.
    let body = "  v1 = const 1\n  v2 = const 2\n  jump b1(v1, v2)
b1(v3: int, v4: int):\n  jump b2(v4, v3)
b2(v5: int, v6: int):\n  v7 = const 10\n  v8 = mul v5, v7\n  v9 = add v8, v6\n  ret v9";
    assert_eq!(eval(body).0, 21);
}

#[test]
fn the_event_is_what_helpers_see() {
    let check = |helper: &str, args: &str, expect: i64| {
        assert_eq!(eval(&format!("  v1 = call {helper} {args}\n  ret v1")).0, expect, "{helper}");
    };
    check("ktime_get_ns", "", 1000);
    check("get_smp_processor_id", "", 1);
    check("get_current_pid_tgid", "", 10 << 32 | 11);
    check("get_current_uid_gid", "", 13 << 32 | 12);
    check("get_current_cgroup_id", "", 14);
    check("get_current_task", "", 0xffff_8880_0000_1000_u64.cast_signed());
    check("get_attach_cookie", "v0", 0);
    let task = "  v1 = call get_current_task\n  v2 = core c0\n  v3 = add v1, v2\n  v4 = slot s0\n  v5 = const 8
  v6 = call probe_read_kernel v4, v5, v3\n  v7 = load.u64 v4, 0\n  ret v7";
    assert_eq!(eval(task).0, 0x0707_0707_0707_0707);
    let comm = "  v1 = slot s1\n  v2 = const 16\n  v3 = call get_current_comm v1, v2\n  v4 = load.u16 v1, 0\n  ret v4";
    assert_eq!(eval(comm).0, i64::from(u16::from_le_bytes(*b"dd")));
    // What is behind the name stays as it was: Linux 6.1 to 6.3 do not fill it.
    let behind = comm.replace("load.u16 v1, 0", "load.u8 v1, 3");
    assert_eq!(eval(&behind).0, 0xa5);
}

/// Reads into `text`, which holds `-1` everywhere; gives the result and the 16 bytes.
fn check_read(helper: &str, size: i64, from: u64, expect: i64, text: &[u8]) {
    let from = from.cast_signed();
    let body = format!(
        "  v1 = slot s1\n  v2 = const -1\n  store.u64 v1, 0, v2\n  store.u64 v1, 8, v2\n  v3 = const {size}
  v4 = const {from}\n  v5 = call {helper} v1, v3, v4\n  v6 = map m3\n  v7 = const 16\n  v8 = const 0
  v9 = call ringbuf_output v6, v1, v7, v8\n  ret v5"
    );
    let (result, mut world) = eval(&body);
    let mut bytes = text.to_vec();
    bytes.resize(16, 0xff);
    assert_eq!((result, world.take_records("ring")), (expect, vec![bytes]), "{helper} {size} {from:#x}");
}

#[test]
fn probe_reads() {
    let string = 0xffff_8880_0000_2000;
    check_read("probe_read_kernel", 4, string, 0, b"a lo");
    check_read("probe_read_kernel", 16, string, 0, b"a longer string\0");
    // Below the kernel's addresses it does not even try: -ERANGE.
    check_read("probe_read_kernel", 4, 0, -34, &[0; 4]);
    check_read("probe_read_kernel_str", 4, 8, -34, &[0; 4]);
    check_read("probe_read_kernel", 8, 0xffff_8880_0000_3000, -14, &[0; 8]);
    check_read("probe_read_kernel", 4, 0x1000, -34, &[0; 4]);
    check_read("probe_read_user", 4, 0x1000, 0, b"user");
    check_read("probe_read_user", 4, string, -14, &[0; 4]);
    check_read("probe_read", 4, 0x1000, 0, b"user");
    check_read("probe_read", 4, string, 0, b"a lo");
    check_read("probe_read_kernel", 4, u64::MAX - 1, -14, &[0; 4]);
}

#[test]
fn string_reads() {
    let string = 0xffff_8880_0000_2000;
    // The NUL counts, and what is behind it is left.
    check_read("probe_read_user_str", 16, 0x1000, 5, b"user\0");
    check_read("probe_read_kernel_str", 16, string, 16, b"a longer string\0");
    // Cut: ended, and as long as there was room.
    check_read("probe_read_kernel_str", 8, string, 8, b"a longe\0");
    check_read("probe_read_user_str", 4, 0x1000, 4, b"use\0");
    // No NUL before the memory ends: a fault, unless the room ends first.
    check_read("probe_read_kernel_str", 8, 0xffff_8880_0000_3000, -14, &[0; 8]);
    check_read("probe_read_kernel_str", 4, 0xffff_8880_0000_3000, 4, b"ope\0");
    check_read("probe_read_user_str", 4, 0, -14, &[0; 4]);
    check_read("probe_read_str", 16, 0x1000, 5, b"user\0");
}

/// Does map operations of a line each: `update KEY VALUE FLAGS`, `delete KEY`, `lookup KEY` (its value, or -1).
fn check_map(map: &str, key_bytes: u32, ops: &[(&str, [i64; 3], i64)]) -> World {
    let mut world = None;
    for (op, [key, value, flags], expect) in ops {
        let access = key_bytes * 8;
        let setup = format!(
            "  v1 = map {map}\n  v2 = slot s0\n  v3 = const {key}\n  store.u{access} v2, 0, v3\n  v4 = slot s1
  v5 = const {value}\n  store.u64 v4, 0, v5\n  v6 = const {flags}\n"
        );
        let rest = match *op {
            "update" => "  v7 = call map_update_elem v1, v2, v4, v6\n  ret v7",
            "delete" => "  v7 = call map_delete_elem v1, v2\n  ret v7",
            _ => {
                "  v7 = call map_lookup_elem v1, v2\n  br.null v7, b1, b2
b1:\n  v8 = const -1\n  ret v8\nb2(v9: value MAP):\n  v10 = load.u64 v9, 0\n  ret v10"
            }
        };
        let func = func(&(setup + &rest.replace("MAP", map)));
        let world = world.get_or_insert_with(|| World::new([&func], 2).expect("the tables agree"));
        assert_eq!(run(&func, world, &event()), Ok(*expect), "{op} {key} {value} {flags} of {map}");
    }
    world.expect("there are operations")
}

#[test]
fn hash_maps() {
    let world = check_map(
        "m0",
        8,
        &[
            ("lookup", [5, 0, 0], -1),
            ("update", [5, 50, 2], -2),
            ("update", [5, 50, 1], 0),
            ("update", [5, 51, 1], -17),
            ("lookup", [5, 0, 0], 50),
            ("update", [5, 52, 2], 0),
            ("update", [4, 40, 0], 0),
            // Full, but what is there can still be changed.
            ("update", [6, 60, 0], -7),
            ("update", [5, 53, 0], 0),
            ("update", [5, 53, 3], -22),
            ("delete", [6, 0, 0], -2),
            ("delete", [4, 0, 0], 0),
            ("update", [6, 60, 0], 0),
        ],
    );
    let entries = world.entries("hash").expect("it has keys");
    let pairs: Vec<(u8, u8)> = entries.iter().map(|entry| (entry.key[0], entry.values[0][0])).collect();
    assert_eq!(pairs, [(5, 53), (6, 60)]);
}

#[test]
fn per_cpu_hash_maps() {
    let mut world =
        check_map("m1", 8, &[("update", [5, 50, 0], 0), ("lookup", [5, 0, 0], 50), ("lookup", [6, 0, 0], -1)]);
    let values = |world: &World| world.entries("percpu").expect("it has keys")[0].values.clone();
    // The event was on CPU 1; the other CPUs' values of a fresh entry are zero.
    assert_eq!(values(&world), [0i64.to_le_bytes().to_vec(), 50i64.to_le_bytes().to_vec()]);
    let key = 5i64.to_le_bytes();
    world.set_entry("percpu", &key, vec![vec![1; 8], vec![2; 8]]).expect("the sizes are right");
    assert_eq!(values(&world), [vec![1; 8], vec![2; 8]]);
    assert!(world.set_entry("percpu", &key, vec![vec![1; 8]]).is_err());
    assert!(world.delete_entry("percpu", &key) && !world.delete_entry("percpu", &key));
}

#[test]
fn arrays() {
    let world = check_map(
        "m2",
        4,
        &[
            ("lookup", [0, 0, 0], 0),
            ("lookup", [2, 0, 0], -1),
            ("update", [1, 10, 0], 0),
            ("update", [1, 10, 1], -17),
            ("update", [2, 10, 0], -7),
            ("lookup", [1, 0, 0], 10),
        ],
    );
    let entries = world.entries("array").expect("it has keys");
    assert_eq!(entries.len(), 2);
    assert_eq!((entries[1].key.as_slice(), entries[1].values[0][0]), ([1, 0, 0, 0].as_slice(), 10));
}

#[test]
fn additions_go_to_this_cpus_cell() {
    let body =
        "  v1 = slot s0\n  v2 = const 0\n  store.u32 v1, 0, v2\n  v3 = map m4\n  v4 = call map_lookup_elem v3, v1
  br.null v4, b1, b2\nb1:\n  ret v2\nb2(v5: value m4):\n  v6 = const 4\n  atomic_add v5, 0, v6\n  ret v2";
    let (_, world) = eval(body);
    let entries = world.entries("cells").expect("it has keys");
    assert_eq!((entries[0].values[0][0], entries[0].values[1][0]), (0, 4));
}

fn reserve(bytes: u32, end: &str) -> String {
    format!(
        "  v1 = map m3\n  v2 = const {bytes}\n  v3 = const 0\n  v4 = call ringbuf_reserve v1, v2, v3\n  br.null v4, b1, b2
b1:\n  v5 = const -1\n  ret v5\nb2(v6: record m3):\n  store.u8 v6, 0, v2\n  v7 = call {end} v6, v3\n  ret v3"
    )
}

#[test]
fn rings() {
    let (submit, discard) = (func(&reserve(9, "ringbuf_submit")), func(&reserve(8, "ringbuf_discard")));
    let mut world = world(&submit);
    // 24 bytes and 16: 102 pairs take 4080 of the 4095 that may be taken.
    for i in 0..102 {
        for func in [&submit, &discard] {
            assert_eq!(run(func, &mut world, &event()), Ok(0), "record {i}");
        }
    }
    assert_eq!(run(&submit, &mut world, &event()), Ok(-1));
    let ring = world.ring("ring").expect("it is a ring");
    assert_eq!((ring.written(), ring.read(), ring.capacity()), (4080, 0, 4096));
    let records = world.take_records("ring");
    assert_eq!(records.len(), 102);
    assert_eq!(records[0], [[9].as_slice(), &[POISON; 8]].concat());
    assert_eq!(run(&submit, &mut world, &event()), Ok(0));
}

#[test]
fn a_ring_is_never_quite_full() {
    assert_eq!(eval(&reserve(4088, "ringbuf_submit")).0, -1);
    assert_eq!(eval(&reserve(4080, "ringbuf_submit")).0, 0);
    assert_eq!(eval(&reserve(4096, "ringbuf_submit")).0, -1);
}

#[test]
fn output_and_query() {
    let body = |bytes: i64, flags: i64, query: i64| {
        format!(
            "  v1 = map m3\n  v2 = global g0\n  v3 = const {bytes}\n  v4 = const {flags}
  v5 = call ringbuf_output v1, v2, v3, v4\n  v6 = const {query}\n  v7 = call ringbuf_query v1, v6\n  v8 = const 1000000
  v9 = mul v5, v8\n  v10 = add v9, v7\n  ret v10"
        )
    };
    assert_eq!(eval(&body(8, 0, 0)).0, 16);
    assert_eq!(eval(&body(8, 1, 3)).0, 16);
    assert_eq!(eval(&body(8, 0, 1)).0, 4096);
    assert_eq!(eval(&body(8, 0, 2)).0, 0);
    assert_eq!(eval(&body(8, 4, 0)).0, -22_000_000);
    assert_eq!(eval(&body(8, 0, 0)).1.take_records("ring"), [[1, 0, 0, 0, 0, 0, 0, 0x80]]);
}

#[test]
fn failures_can_be_planned() {
    let func = func(
        "  v1 = slot s0\n  v2 = const 0\n  store.u64 v1, 0, v2\n  v3 = map m0
  v4 = call map_update_elem v3, v1, v1, v2\n  ret v4",
    );
    let mut world = world(&func);
    world.fail_next(Helper::MapUpdateElem, -16);
    assert_eq!(run(&func, &mut world, &event()), Ok(-16));
    assert_eq!(world.entries("hash").map(|entries| entries.len()), Some(0));
    assert_eq!(run(&func, &mut world, &event()), Ok(0));
}

/// What the verifier would refuse stops the program.
fn check_trap(body: &str, expect: Fault) {
    let func = func(body);
    let mut world = world(&func);
    let fault = run(&func, &mut world, &event()).map_err(|Trap { fault, .. }| fault);
    assert_eq!(fault, Err(expect), "{body}");
}

#[test]
fn traps() {
    let out = |address, bytes| Fault::OutOfBounds { address, bytes };
    check_trap("  v1 = const 0\n  v2 = load.u64 v1, 8\n  ret v2", Fault::Null);
    check_trap("  v1 = const 0\n  store.u64 v1, -8, v1\n  ret v1", Fault::Null);
    check_trap("  v1 = load.u64 v0, 9\n  ret v1", out(0xffff_c900_0000_0009, 8));
    check_trap("  v1 = load.u64 v0, -1\n  ret v1", out(0xffff_c8ff_ffff_ffff, 8));
    check_trap("  v1 = slot s0\n  v2 = load.u8 v1, 8\n  ret v2", out(0xffff_c900_1000_0008, 1));
    check_trap("  v1 = const -1\n  store.u8 v0, 0, v1\n  ret v1", Fault::ReadOnly { address: 0xffff_c900_0000_0000 });
    check_trap("  v1 = global g0\n  store.u8 v1, 0, v1\n  ret v1", Fault::ReadOnly { address: 0xffff_c900_2000_0008 });
    check_trap("  ret v1", Fault::Undefined);
    check_trap("  jump b1(v0)\nb1:\n  ret v0", Fault::Undefined);
    check_trap("  unterminated", Fault::Unterminated);
    check_trap("  jump b0(v0)", Fault::Steps);
    check_trap(
        "  v1 = map m3\n  v2 = const 8\n  v3 = const 0\n  v4 = call ringbuf_reserve v1, v2, v3\n  ret v3",
        Fault::Record,
    );
    let arguments = |text: &str| Fault::Arguments(text.to_owned());
    check_trap(
        "  v1 = const 5\n  v2 = call ringbuf_submit v1, v1\n  ret v2",
        arguments("0x5 is not a reserved record"),
    );
    check_trap("  v1 = const 5\n  v2 = call map_lookup_elem v1, v1\n  ret v2", arguments("0x5 is not a map"));
    check_trap("  v1 = call map_lookup_elem v0\n  ret v1", arguments("bpf_map_lookup_elem takes 2 arguments"));
    check_trap("  v1 = call get_stackid v0, v0, v0\n  ret v1", arguments("bpf_get_stackid is not modelled"));
    let twice = reserve(8, "ringbuf_submit").replace("  ret v3", "  v8 = call ringbuf_submit v6, v3\n  ret v3");
    check_trap(&twice, arguments("0xffffd30000000000 is not a reserved record"));
}

#[test]
fn a_world_belongs_to_its_programs() {
    let (one, mut other) = (func("  ret v0"), func("  v1 = const 0\n  ret v1"));
    other.maps[0].max_entries = 3;
    assert!(World::new([&one, &other], 1).is_err());
    let mut world = world(&one);
    let fault = |event: &Event, world: &mut World| run(&other, world, event).expect_err("it must not run").to_string();
    assert_eq!(fault(&event(), &mut world), "b0: `ret v1`: the world has no map hash");
    let far = Event { cpu: 2, ..event() };
    let error = run(&one, &mut world, &far).expect_err("it must not run").to_string();
    assert_eq!(error, "b0: `ret v0`: the world has no CPU 2");
}
