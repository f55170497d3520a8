//! Planted faults: each case breaks one rule of a right function, and the verifier says which and where.

use bpfquery_codegen::ir::{Block, Func, Inst, InstData, MapId, Op, PtrKind, Terminator, Type, Value, parse, verify};

const TABLES: &str = r#"
  slot s0 "key" 8
  slot s1 "text" 16
  map m0 "hash": hash 8 -> 16, 10
  map m1 "ring": ringbuf 4096
  map m2 "array": array 4 -> 8, 1
  global g0 "start": rodata+0, 8 = 0000000000000000
  global g1 "lost": bss+0, 8
  core c0 byte_size "vmlinux":7 "task_struct.comm" [3] = 16
"#;

fn text(body: &str) -> String {
    format!("func q context 24 {{{TABLES}b0(v0: ctx):\n{body}\n}}\n")
}

fn func(text: &str) -> Func {
    parse(text).unwrap_or_else(|e| panic!("{e} in {text}"))
}

fn accept(body: &str) {
    verify(&func(&text(body))).unwrap_or_else(|e| panic!("{e} in {body}"));
}

/// The body does not pass, and this is why.
fn check(body: &str, expect: &str) {
    check_text(&text(body), expect);
}

fn check_text(text: &str, expect: &str) {
    let error = verify(&func(text)).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some(expect), "{text}");
}

/// A table's line in the place of another.
fn check_table(old: &str, new: &str, expect: &str) {
    let text = text("  v1 = const 0\n  ret v1");
    assert!(text.contains(old), "{old} is a line");
    check_text(&text.replace(old, new), expect);
}

/// Faults that the text form cannot say.
fn check_func(spoil: impl Fn(&mut Func), expect: &str) {
    let mut func =
        func(&text("  v1 = const 0\n  v2 = slot s0\n  store.u64 v2, 0, v1\n  jump b1(v1)\nb1(v3: int):\n  ret v3"));
    assert_eq!(verify(&func), Ok(()), "it was right");
    spoil(&mut func);
    assert_eq!(verify(&func).err().map(|error| error.to_string()).as_deref(), Some(expect));
}

#[test]
fn tables() {
    check_table("\"key\" 8", "\"key\" 7", "s0: 7 bytes are not a multiple of 8");
    check_table("\"key\" 8", "\"key\" 0", "s0: 0 bytes are not a multiple of 8");
    check_table("\"key\" 8", "\"key\" 504", "function: slots take 520 bytes of stack, more than 512");
    check_table("\"hash\"", "\"ha-sh\"", "m0: \"ha-sh\" is not a C identifier of at most 15 bytes");
    check_table(
        "\"hash\"",
        "\"a234567890123456\"",
        "m0: \"a234567890123456\" is not a C identifier of at most 15 bytes",
    );
    check_table("hash 8 -> 16", "hash 0 -> 16", "m0: a key has no bytes");
    check_table("hash 8 -> 16, 10", "hash 8 -> 16, 0", "m0: there is no room for a value");
    check_table("ringbuf 4096", "ringbuf 5000", "m1: 5000 is not a power of 2 of whole pages");
    check_table("ringbuf 4096", "ringbuf 8 -> 0, 4096", "m1: a ring buffer has neither keys nor values");
    check_table("array 4 -> 8", "array 8 -> 8", "m2: an array's key has 4 bytes, not 8");
    check_table("rodata+0, 8 = 0000000000000000", "rodata+0, 8 = 00", "g0: 1 initial bytes, not 8");
    check_table("bss+0, 8", "bss+0, 8 = 0000000000000000", "g1: 8 initial bytes, not 0");
    check_table("\"lost\"", "\"1lost\"", "g1: \"1lost\" is not a C identifier");
    let over = "bss+0, 8\n  global g2 \"other\": bss+4, 8";
    check_table("bss+0, 8", over, "g2: lies over g1");
}

#[test]
fn blocks() {
    check_text("func q context 8 {\n}\n", "function: the entry does not take the context, and only that");
    let two = "func q context 8 {\nb0(v0: ctx, v1: int):\n  ret v1\n}\n";
    check_text(two, "function: the entry does not take the context, and only that");
    check("  unterminated", "b0: `unterminated`: a reachable block does not end");
    check("  jump b7", "b0: `jump b7`: b7 does not exist");
    check("  jump b1\nb3:\n  jump b3", "b1: `unterminated`: a reachable block does not end");
    check("  v1 = slot s2\n  ret v1", "b0: `v1 = slot s2`: s2 does not exist");
    check("  v1 = map m3\n  ret v1", "b0: `v1 = map m3`: m3 does not exist");
    check("  v1 = global g2\n  ret v1", "b0: `v1 = global g2`: g2 does not exist");
    check("  v1 = core c1\n  ret v1", "b0: `v1 = core c1`: c1 does not exist");
    check("  v1 = const 0\n  ret v1\nb1:\n  ret v1", "b1: nothing reaches it, and it is not empty");
    check(
        "  jump b1\nb1:\n  v1 = const 0\n  br.eq v1, v1, b2, b1\nb2:\n  ret v1",
        "b1: `br.eq v1, v1, b2, b1`: goes back to b1",
    );
    check("  jump b1\nb1:\n  jump b2\nb2:\n  jump b1", "b2: `jump b1`: goes back to b1");
    check("  jump b0(v0)", "b0: `jump b0(v0)`: goes back to b0");
    accept("  v1 = const 0\n  jump b2\nb2:\n  ret v1");
    let at = |func: &mut Func, block: usize| func.blocks[block].insts.clone();
    check_func(
        |func| {
            let insts = at(func, 0);
            func.blocks[1].insts.push(insts[0]);
        },
        "b1: `v1 = const 0`: stands in two places",
    );
    check_func(|func| func.blocks[1].insts.push(Inst(99)), "b1: i99 does not exist");
    check_func(|func| func.blocks[1].terminator = Terminator::Return(Value(99)), "b1: `ret v99`: v99 does not exist");
    check_func(|func| func.blocks[1].params.push(Value(99)), "b1: v99 does not exist");
    check_func(
        |func| func.blocks[1].terminator = Terminator::Jump(Block(0), vec![Value(0)]),
        "b1: `jump b0(v0)`: goes back to b0",
    );
}

#[test]
fn ssa() {
    check("  ret v1", "b0: `ret v1`: v1 is not defined");
    check(
        "  v2 = add v1, v1\n  v1 = const 0\n  ret v2",
        "b0: `v2 = add v1, v1`: v1 of b0 is not defined on every path to here",
    );
    check("  v1 = const 0\n  v1 = const 1\n  ret v1", "b0: `v1 = const 1`: v1 is defined twice");
    check("  v1 = const 0\n  jump b1(v1)\nb1(v1: int):\n  ret v1", "b1: v1 is defined twice");
    let one_way =
        "  v1 = const 0\n  br.eq v1, v1, b1, b2\nb1:\n  v2 = const 1\n  jump b3\nb2:\n  jump b3\nb3:\n  ret v2";
    check(one_way, "b3: `ret v2`: v2 of b1 is not defined on every path to here");
    check("  jump b1\nb1(v1: int):\n  ret v1", "b0: `jump b1`: 0 arguments for the 1 parameters of b1");
    check("  v1 = const 0\n  jump b1(v1)\nb1:\n  ret v1", "b0: `jump b1(v1)`: 1 arguments for the 0 parameters of b1");
    check(
        "  v1 = slot s0\n  jump b1(v1)\nb1(v2: int):\n  ret v2",
        "b0: `jump b1(v1)`: v1 is `stack`, but v2 of b1 is `int`",
    );
    let key =
        "  v1 = slot s0\n  v2 = const 0\n  store.u64 v1, 0, v2\n  v3 = map m0\n  v4 = call map_lookup_elem v3, v1\n";
    let wrong = format!("{key}  br.null v4, b1, b2\nb1:\n  ret v2\nb2(v5: value m2):\n  ret v2");
    check(&wrong, "b0: `br.null v4, b1, b2`: v4 is `value m0`, but v5 of b2 is `value m2`");
    let without = format!("{key}  br.null v4, b1, b2\nb1:\n  ret v2\nb2:\n  ret v2");
    check(&without, "b0: `br.null v4, b1, b2`: 1 arguments for the 0 parameters of b2");
}

#[test]
fn types() {
    check("  v1 = load.u64 v0, 0\n  v2 = load.u64 v1, 0\n  ret v2", "b0: `v2 = load.u64 v1, 0`: v1 is not a pointer");
    check("  v1 = map m0\n  v2 = load.u64 v1, 0\n  ret v2", "b0: `v2 = load.u64 v1, 0`: v1 is a map");
    check("  v1 = const 8\n  v2 = mul v0, v1\n  ret v1", "b0: `v2 = mul v0, v1`: v0 is a pointer");
    check("  v1 = const 8\n  v2 = add v1, v0\n  ret v1", "b0: `v2 = add v1, v0`: v0 is a pointer");
    check("  v1 = const 8\n  v2 = map m0\n  v3 = sub v2, v1\n  ret v1", "b0: `v3 = sub v2, v1`: v2 cannot be moved");
    check("  v1 = slot s0\n  v2 = sub v1, v1\n  ret v2", "b0: `v2 = sub v1, v1`: v1 is a pointer");
    check("  v1 = zext.8 v0\n  ret v1", "b0: `v1 = zext.8 v0`: v0 is a pointer");
    check("  v1 = const 8\n  v2 = zext.24 v1\n  ret v2", "b0: `v2 = zext.24 v1`: 24 bits are not 8, 16 or 32");
    check("  br.eq v0, v0, b1, b1\nb1:\n  ret v0", "b0: `br.eq v0, v0, b1, b1`: v0 is a pointer");
    check("  ret v0", "b0: `ret v0`: v0 is a pointer");
    check(
        "  br.null v0, b1, b2\nb1:\n  v1 = const 0\n  ret v1\nb2(v2: ctx):\n  v3 = const 0\n  ret v3",
        "b0: `br.null v0, b1, b2`: v0 is `ctx`, which is never null",
    );
    check("  v1 = const 0\n  store.u64 v0, 0, v1\n  ret v1", "b0: `store.u64 v0, 0, v1`: the context is read-only");
    check(
        "  v1 = const 0\n  v2 = global g0\n  store.u64 v2, 0, v1\n  ret v1",
        "b0: `store.u64 v2, 0, v1`: `.rodata` is read-only",
    );
    check("  v1 = const 0\n  v2 = map m0\n  store.u64 v2, 0, v1\n  ret v1", "b0: `store.u64 v2, 0, v1`: v2 is a map");
    check("  v1 = const 0\n  store.u64 v1, 0, v1\n  ret v1", "b0: `store.u64 v1, 0, v1`: v1 is not a pointer");
    check("  v1 = global g1\n  store.u64 v1, 0, v0\n  ret v0", "b0: `store.u64 v1, 0, v0`: v0 is a pointer");
    check("  v1 = slot s0\n  store.u32 v1, 0, v0\n  ret v0", "b0: `store.u32 v1, 0, v0`: v0 is a pointer");
    accept("  v1 = slot s0\n  store.u64 v1, 0, v0\n  v2 = const 0\n  ret v2");
    check(
        "  v1 = const 1\n  v2 = slot s0\n  atomic_add v2, 0, v1\n  ret v1",
        "b0: `atomic_add v2, 0, v1`: v2 is `stack`, which atomic additions do not go to",
    );
    check(
        "  v1 = const 1\n  v2 = global g0\n  atomic_add v2, 0, v1\n  ret v1",
        "b0: `atomic_add v2, 0, v1`: v2 is `global g0`, which atomic additions do not go to",
    );
    check_func(
        |func| func.values[1].ty = Type::ptr(PtrKind::Stack),
        "b0: `jump b1(v1)`: v1 is `stack`, but v3 of b1 is `int`",
    );
    check_func(
        |func| func.values[2].ty = Type::ptr(PtrKind::Map(MapId(0))),
        "b0: `v2 = slot s0`: v2 has the type `map m0`, but the instruction gives `stack`",
    );
    check_func(|func| func.insts[0].result = None, "b0: `store.u64 v2, 0, v1`: v1 is not defined");
    check_func(
        |func| {
            func.values.push(func.values[1]);
            func.insts[2].result = Some(Value(4));
        },
        "b0: `v4 = store.u64 v2, 0, v1`: defines a value, but has none",
    );
    check_func(
        |func| {
            func.insts.push(InstData {
                op: Op::Const(1),
                result: None,
                span: Default::default(),
                purpose: Default::default(),
            });
            func.blocks[1].insts.push(Inst(3));
        },
        "b1: `const 1`: does not define its value",
    );
}

const LOOKUP: &str =
    "  v1 = slot s0\n  v2 = const 0\n  store.u64 v1, 0, v2\n  v3 = map m0\n  v4 = call map_lookup_elem v3, v1\n";

/// The value's address is `v5` in `b2`; `v2` is 0.
fn with_value(body: &str) -> String {
    format!("{LOOKUP}  br.null v4, b1, b2\nb1:\n  ret v2\nb2(v5: value m0):\n{body}\n  ret v2")
}

#[test]
fn null() {
    check(&format!("{LOOKUP}  v5 = load.u64 v4, 0\n  ret v5"), "b0: `v5 = load.u64 v4, 0`: v4 may be null");
    check(&format!("{LOOKUP}  store.u64 v4, 0, v2\n  ret v2"), "b0: `store.u64 v4, 0, v2`: v4 may be null");
    check(&format!("{LOOKUP}  v5 = add v4, v2\n  ret v2"), "b0: `v5 = add v4, v2`: v4 may be null");
    check(&format!("{LOOKUP}  jump b1(v4)\nb1(v5: value m0?):\n  ret v2"), "b0: `jump b1(v4)`: v4 may be null");
    check(&format!("{LOOKUP}  br.eq v4, v2, b1, b1\nb1:\n  ret v2"), "b0: `br.eq v4, v2, b1, b1`: v4 may be null");
    let passed = format!("{LOOKUP}  br.null v4, b1, b2(v4)\nb1:\n  ret v2\nb2(v5: value m0, v6: value m0?):\n  ret v2");
    check(&passed, "b0: `br.null v4, b1, b2(v4)`: v4 may be null");
    let null = with_value("  v6 = const 1").replace("b1:\n  ret v2", "b1:\n  v7 = load.u64 v4, 0\n  ret v7");
    check(&null, "b1: `v7 = load.u64 v4, 0`: v4 may be null");
    accept(&with_value("  store.u64 v5, 8, v2"));
}

#[test]
fn helpers() {
    check("  v1 = call get_current_task v0\n  ret v1", "b0: `v1 = call get_current_task v0`: 1 arguments, not 0");
    check(
        "  v1 = call get_stackid v0, v0, v0\n  ret v1",
        "b0: `v1 = call get_stackid v0, v0, v0`: bpf_get_stackid is not modelled",
    );
    let stack = "  v1 = slot s0\n  v2 = const 0\n  store.u64 v1, 0, v2\n";
    let call = |map: &str, call: &str| format!("{stack}  v3 = {map}\n  v4 = call {call}\n  ret v2");
    check(
        &call("map m1", "map_lookup_elem v3, v1"),
        "b0: `v4 = call map_lookup_elem v3, v1`: v3 is `map m1`, not a map with keys",
    );
    check(
        &call("map m2", "map_delete_elem v3, v1"),
        "b0: `v4 = call map_delete_elem v3, v1`: v3 is `map m2`, not a hash map",
    );
    check(
        &call("map m0", "ringbuf_output v3, v1, v2, v2"),
        "b0: `v4 = call ringbuf_output v3, v1, v2, v2`: v3 is `map m0`, not a ring buffer",
    );
    check(
        &call("map m0", "map_lookup_elem v3, v2"),
        "b0: `v4 = call map_lookup_elem v3, v2`: v2 is `int`, not an address in the stack, a map value or a variable",
    );
    check(
        &call("map m0", "map_lookup_elem v3, v0"),
        "b0: `v4 = call map_lookup_elem v3, v0`: v0 is `ctx`, not an address in the stack, a map value or a variable",
    );
    check(
        &call("const 8", "probe_read_kernel v0, v3, v2"),
        "b0: `v4 = call probe_read_kernel v0, v3, v2`: v0 is `ctx`, not an address of memory that may be written",
    );
    check(
        &call("global g0", "get_current_comm v3, v2"),
        "b0: `v4 = call get_current_comm v3, v2`: v3 is `global g0`, not an address of memory that may be written",
    );
    check(
        &call("const 8\n  v5 = map m0", "probe_read_kernel v1, v3, v5"),
        "b0: `v4 = call probe_read_kernel v1, v3, v5`: v5 is `map m0`, not an address",
    );
    check(
        &call("const 8", "ringbuf_submit v1, v2"),
        "b0: `v4 = call ringbuf_submit v1, v2`: v1 is `stack`, not a record",
    );
    check(
        &call("const 8", "get_attach_cookie v1"),
        "b0: `v4 = call get_attach_cookie v1`: v1 is `stack`, not the context",
    );
    // A key may lie in the value of another map and in variables.
    accept(&with_value("  v6 = call map_delete_elem v3, v5\n  v7 = global g0\n  v8 = call map_delete_elem v3, v7"));
}

#[test]
fn bounds() {
    check(
        "  v1 = load.u64 v0, 24\n  ret v1",
        "b0: `v1 = load.u64 v0, 24`: bytes 24 to 32 of the context, which has 24",
    );
    check(
        "  v1 = const 8\n  v2 = add v0, v1\n  v3 = load.u64 v2, 0\n  ret v3",
        "b0: `v3 = load.u64 v2, 0`: a context pointer that was moved is followed",
    );
    check("  v1 = load.u64 v0, -8\n  ret v1", "b0: `v1 = load.u64 v0, -8`: bytes -8 to 0 of the context, which has 24");
    check(
        "  v1 = slot s0\n  v2 = const 0\n  store.u64 v1, 8, v2\n  ret v2",
        "b0: `store.u64 v1, 8, v2`: bytes 8 to 16 of s0, which has 8",
    );
    check(
        "  v1 = global g0\n  v2 = load.u64 v1, 4\n  ret v2",
        "b0: `v2 = load.u64 v1, 4`: bytes 4 to 12 of g0 in `.rodata`, which has 8",
    );
    check(
        &with_value("  atomic_add v5, 16, v2"),
        "b2: `atomic_add v5, 16, v2`: bytes 16 to 24 of a value of m0, which has 16",
    );
    let moved = with_value("  v6 = const 12\n  v7 = add v5, v6\n  store.u64 v7, 0, v2");
    check(&moved, "b2: `store.u64 v7, 0, v2`: bytes 12 to 20 of a value of m0, which has 16");
    let back = with_value("  v6 = const 12\n  v7 = add v5, v6\n  v8 = sub v7, v6\n  store.u64 v8, 8, v2");
    accept(&back);
    let key = with_value("  v6 = const 12\n  v7 = add v5, v6\n  v8 = call map_delete_elem v3, v7");
    check(&key, "b2: `v8 = call map_delete_elem v3, v7`: bytes 12 to 20 of a value of m0, which has 16");
    let read = "  v1 = slot s1\n  v2 = const 17\n  v3 = const 0\n  v4 = call probe_read_kernel v1, v2, v3\n  ret v3";
    check(read, "b0: `v4 = call probe_read_kernel v1, v2, v3`: bytes 0 to 17 of s1, which has 16");
    check(
        &read.replace("17", "0"),
        "b0: `v4 = call probe_read_kernel v1, v2, v3`: the size v2 is not surely positive and bounded",
    );
    let value = "  v1 = slot s0\n  v2 = const 0\n  store.u64 v1, 0, v2\n  v3 = map m0\n  v4 = call map_update_elem v3, v1, v1, v2\n  ret v2";
    check(value, "b0: `v4 = call map_update_elem v3, v1, v1, v2`: bytes 0 to 16 of s0, which has 8");
    // A parameter may come from two slots, of which one is too short.
    let two = "  v1 = slot s0\n  v2 = slot s1\n  v3 = const 0\n  br.eq v3, v3, b1(v1), b1(v2)\nb1(v4: stack):\n  store.u64 v4, 8, v3\n  ret v3";
    check(two, "b1: `store.u64 v4, 8, v3`: bytes 8 to 16 of s0, which has 8");
}

#[test]
fn alignment() {
    check("  v1 = load.u64 v0, 4\n  ret v1", "b0: `v1 = load.u64 v0, 4`: 4 of the context is not aligned to 8");
    check(
        "  v1 = slot s1\n  v2 = const 0\n  store.u64 v1, 4, v2\n  ret v2",
        "b0: `store.u64 v1, 4, v2`: 4 of s1 is not aligned to 8",
    );
    check(&with_value("  atomic_add v5, 4, v2"), "b2: `atomic_add v5, 4, v2`: 4 of a value of m0 is not aligned to 8");
    accept(&with_value("  store.u64 v5, 4, v2"));
    let words = text("  v1 = load.u32 v0, 0\n  ret v1").replace("context 24", "context 24 words");
    check_text(&words, "b0: `v1 = load.u32 v0, 0`: only words may be loaded from the context");
}

#[test]
fn unwritten_stack() {
    check(
        "  v1 = slot s0\n  v2 = load.u32 v1, 0\n  ret v2",
        "b0: `v2 = load.u32 v1, 0`: byte 0 of s0 may not have been written",
    );
    let part = "  v1 = slot s0\n  v2 = const 0\n  store.u32 v1, 0, v2\n  v3 = load.u64 v1, 0\n  ret v3";
    check(part, "b0: `v3 = load.u64 v1, 0`: byte 4 of s0 may not have been written");
    let key = "  v1 = slot s0\n  v2 = const 0\n  store.u32 v1, 0, v2\n  v3 = map m0\n  v4 = call map_delete_elem v3, v1\n  ret v2";
    check(key, "b0: `v4 = call map_delete_elem v3, v1`: byte 4 of s0 may not have been written");
    let one_path = "  v1 = slot s0\n  v2 = const 0\n  br.eq v2, v2, b1, b2
b1:\n  store.u64 v1, 0, v2\n  jump b2\nb2:\n  v3 = load.u64 v1, 0\n  ret v3";
    check(one_path, "b2: `v3 = load.u64 v1, 0`: byte 0 of s0 may not have been written");
    accept(&one_path.replace("  br.eq", "  store.u64 v1, 0, v2\n  br.eq"));
    let either = "  v1 = slot s0\n  v2 = slot s1\n  v3 = const 0\n  br.eq v3, v3, b1(v1), b1(v2)
b1(v4: stack):\n  store.u64 v4, 0, v3\n  v5 = load.u64 v1, 0\n  ret v5";
    check(either, "b1: `v5 = load.u64 v1, 0`: byte 0 of s0 may not have been written");
    let computed = "  v1 = slot s0\n  v2 = load.u64 v0, 0\n  v5 = const 4\n  v6 = and v2, v5\n  v3 = add v1, v6\n";
    check(
        &format!("{computed}  store.u8 v3, 0, v2\n  ret v2"),
        "b0: `store.u8 v3, 0, v2`: the offset in s0 is computed",
    );
    let read =
        format!("{computed}  store.u32 v1, 0, v2\n  v7 = map m1\n  v8 = call ringbuf_output v7, v3, v5, v5\n  ret v2");
    check(&read, "b0: `v8 = call ringbuf_output v7, v3, v5, v5`: byte 4 of s0 may not have been written");
    accept(&read.replace("store.u32", "store.u64"));
}

#[test]
fn helpers_write() {
    let read = |helper: &str, then: &str| {
        format!(
            "  v1 = slot s0\n  v2 = const 8\n  v3 = const 0\n  v4 = call {helper} v1, v2, v3\n  v5 = map m0\n{then}\n  ret v3"
        )
    };
    let (load, key) = ("  v6 = load.u64 v1, 0", "  v6 = call map_delete_elem v5, v1");
    accept(&read("probe_read_kernel", load));
    accept(&read("probe_read_kernel", key));
    accept(&read("probe_read_kernel_str", load));
    check(
        &read("probe_read_kernel_str", key),
        "b0: `v6 = call map_delete_elem v5, v1`: byte 0 of s0 may be behind a string's end",
    );
    let zeroed = read("probe_read_kernel_str", key).replace("  v4 = call", "  store.u64 v1, 0, v3\n  v4 = call");
    accept(&zeroed);
    // How much is written is not known.
    let unknown = read("probe_read_kernel", load).replace(
        "v2 = const 8",
        "v7 = load.u8 v0, 0\n  v8 = const 7\n  v9 = and v7, v8\n  v10 = const 1\n  v2 = add v9, v10",
    );
    check(&unknown, "b0: `v6 = load.u64 v1, 0`: byte 1 of s0 may not have been written");
    let unbounded = read("probe_read_kernel", load).replace("v2 = const 8", "v2 = load.u64 v0, 0");
    check(&unbounded, "b0: `v4 = call probe_read_kernel v1, v2, v3`: the size v2 is not surely positive and bounded");
}

const RESERVE: &str = "  v1 = map m1\n  v2 = const 16\n  v3 = const 0\n  v4 = call ringbuf_reserve v1, v2, v3\n";

/// The record's address is `v5` in `b2`; `v3` is 0.
fn with_record(body: &str) -> String {
    format!("{RESERVE}  br.null v4, b1, b2\nb1:\n  ret v3\nb2(v5: record m1):\n{body}")
}

#[test]
fn records() {
    let submit = "  v6 = call ringbuf_submit v5, v3\n";
    accept(&with_record(&format!("  store.u64 v5, 8, v3\n{submit}  ret v3")));
    check(&with_record("  ret v3"), "b2: `ret v3`: the record v4 is never given back");
    check(&format!("{RESERVE}  ret v3"), "b0: `ret v3`: the record v4 is never given back");
    check(
        &with_record(&format!("{submit}  v7 = call ringbuf_discard v5, v3\n  ret v3")),
        "b2: `v7 = call ringbuf_discard v5, v3`: the record v4 is gone",
    );
    check(
        &with_record(&format!("{submit}  store.u64 v5, 0, v3\n  ret v3")),
        "b2: `store.u64 v5, 0, v3`: the record v4 is gone",
    );
    check(
        &with_record(&format!("  store.u64 v5, 16, v3\n{submit}  ret v3")),
        "b2: `store.u64 v5, 16, v3`: bytes 16 to 24 of the record v4, which has 16",
    );
    let one_path = format!("  br.eq v3, v3, b3, b4\nb3:\n{submit}  jump b4\nb4:\n  ret v3");
    check(&with_record(&one_path), "b3: `jump b4`: the record v4 is there on one path to b4 and not on another");
    let all_paths = format!(
        "  br.eq v3, v3, b3, b4\nb3:\n{submit}  jump b5\nb4:\n  v7 = call ringbuf_discard v5, v3\n  jump b5\nb5:\n  ret v3"
    );
    accept(&with_record(&all_paths));
    check(
        &with_record(&all_paths.replace("b5:\n", "b5:\n  store.u64 v5, 0, v3\n")),
        "b5: `store.u64 v5, 0, v3`: the record v4 is gone",
    );
    let null = format!("{RESERVE}  br.null v4, b3, b2\nb2(v5: record m1):\n{submit}  jump b3\nb3:\n  ret v3");
    accept(&null);
    let size = with_record(&format!("{submit}  ret v3")).replace("v2 = const 16", "v2 = load.u64 v0, 0");
    check(&size, "b0: `v4 = call ringbuf_reserve v1, v2, v3`: a record's size must be a positive constant");
    // A key that lies in a record is newer than 5.10.
    let key = with_record(&format!("  v8 = map m0\n  v9 = call map_delete_elem v8, v5\n{submit}  ret v3"));
    check(
        &key,
        "b2: `v9 = call map_delete_elem v8, v5`: v5 is `record m1`, not an address in the stack, a map value or a variable",
    );
}

/// `v6` is an unsigned integer of 64 bits, `index` makes `v7` of it; then byte `v7` of 16 is written in the block `b9`.
fn check_index(index: &str, bounds: Option<&str>) {
    let end = if index.contains("b9") { "" } else { "  jump b9\n" };
    let body = format!(
        "{LOOKUP}  br.null v4, b1, b2\nb1:\n  ret v2\nb2(v5: value m0):\n  v6 = load.u64 v0, 0\n{index}\n{end}b9:
  v8 = add v5, v7\n  store.u8 v8, 0, v2\n  ret v2"
    );
    match bounds {
        None => accept(&body),
        Some("none") => check(&body, "b9: `store.u8 v8, 0, v2`: the offset in a value of m0 has no bounds"),
        Some(bytes) => {
            check(&body, &format!("b9: `store.u8 v8, 0, v2`: bytes {bytes} of a value of m0, which has 16"));
        }
    }
}

#[test]
fn computed_offsets() {
    let with = |op: &str, n: i64| format!("  v20 = const {n}\n  v7 = {op} v6, v20");
    let byte = |rest: &str| format!("  v9 = load.u8 v0, 0\n{rest}");
    check_index("  v7 = load.u64 v0, 8", Some("none"));
    check_index("  v7 = load.u8 v0, 8", Some("0 to 256"));
    check_index(&with("and", 15), None);
    check_index(&with("and", 16), Some("0 to 17"));
    check_index(&with("lshr", 60), None);
    check_index(&with("lshr", 59), Some("0 to 32"));
    check_index(&with("ashr", 60), Some("none"));
    check_index(&with("add", 1), Some("none"));
    check_index(&with("sub", 1), Some("none"));
    check_index(&with("mul", 1), Some("none"));
    // The kernel knows nothing of a remainder.
    check_index(&with("umod", 16), Some("none"));
    check_index("  v7 = zext.8 v6", Some("0 to 256"));
    check_index("  v7 = sext.8 v6", Some("none"));
    check_index(&byte("  v10 = const 4\n  v7 = lshr v9, v10"), None);
    check_index(&byte("  v10 = const 4\n  v7 = ashr v9, v10"), None);
    check_index(&byte("  v10 = const 6\n  v11 = lshr v9, v10\n  v12 = const 2\n  v7 = shl v11, v12"), None);
    check_index(&byte("  v10 = const 6\n  v11 = lshr v9, v10\n  v12 = const 5\n  v7 = mul v11, v12"), None);
    check_index(&byte("  v10 = const 6\n  v11 = lshr v9, v10\n  v12 = const 12\n  v7 = or v11, v12"), None);
    check_index(
        &byte("  v10 = const 6\n  v11 = lshr v9, v10\n  v12 = const 13\n  v7 = add v11, v12"),
        Some("13 to 17"),
    );
    check_index(&byte("  v10 = const 6\n  v11 = lshr v9, v10\n  v12 = const 3\n  v7 = sub v12, v11"), None);
    check_index(&byte("  v10 = const 6\n  v11 = lshr v9, v10\n  v12 = const 2\n  v7 = sub v12, v11"), Some("none"));
}

#[test]
fn branches_bound_offsets() {
    // `v7` is the index; where the branch's first way is taken, `b9` follows.
    let branch = |load: &str, cond: &str, n: i64| {
        format!("  v7 = load.{load} v0, 0\n  v20 = const {n}\n  br.{cond} v7, v20, b9, b8\nb8:\n  ret v2")
    };
    check_index(&branch("u64", "ult", 16), None);
    check_index(&branch("u64", "ult", 17), Some("0 to 17"));
    check_index(&branch("u64", "ule", 15), None);
    check_index(&branch("u64", "eq", 15), None);
    check_index(&branch("u64", "ne", 15), Some("none"));
    check_index(&branch("u64", "ugt", 15), Some("none"));
    // Below zero is not excluded, unless the value has no sign bit.
    check_index(&branch("u64", "slt", 16), Some("none"));
    check_index(&branch("u32", "slt", 16), None);
    check_index(&branch("u32", "sle", 16), Some("0 to 17"));
    let other =
        |cond: &str| format!("  v7 = load.u64 v0, 0\n  v20 = const 15\n  br.{cond} v7, v20, b8, b9\nb8:\n  ret v2");
    check_index(&other("ugt"), None);
    check_index(&other("uge"), None);
    check_index(&other("ult"), Some("none"));
    let swapped = "  v7 = load.u64 v0, 0\n  v20 = const 15\n  br.uge v20, v7, b9, b8\nb8:\n  ret v2";
    check_index(swapped, None);
    let twice = "  v7 = load.u64 v0, 0\n  v20 = const 0\n  br.sge v7, v20, b7, b8\nb7:\n  v21 = const 16
  br.slt v7, v21, b9, b8\nb8:\n  ret v2";
    check_index(twice, None);
    // Where another way comes in, nothing is left of the test.
    let joined = "  v7 = load.u64 v0, 0\n  v20 = const 15\n  br.ule v7, v20, b9, b8\nb8:\n  jump b9";
    check_index(joined, Some("none"));
}

#[test]
fn parameters_have_the_bounds_of_their_arguments() {
    let index = |other: i64| {
        format!(
            "  v20 = const {other}\n  v21 = const 12\n  br.ult v6, v21, b7(v6), b7(v20)\nb7(v22: int):\n  v23 = const 1\n  v7 = add v22, v23\n  jump b9\n"
        )
    };
    // Both ways go to the same block, and each passes on what holds on it.
    check_index(&index(3), None);
    check_index(&index(15), Some("1 to 17"));
    let apart = |other: i64| {
        format!(
            "  v21 = const 12\n  br.ult v6, v21, b6, b5\nb5:\n  v20 = const {other}\n  jump b7(v20)\nb6:\n  jump b7(v6)\nb7(v22: int):\n  v23 = const 1\n  v7 = add v22, v23\n  jump b9\n"
        )
    };
    check_index(&apart(14), None);
    check_index(&apart(15), Some("1 to 17"));
}

#[test]
fn what_is_never_reached_is_not_looked_at() {
    // The kernel's verifier does not walk there either: of 5 and 3 it knows which is less.
    let index = |x: i64| {
        format!(
            "  v20 = const {x}\n  v21 = const 3\n  br.ult v20, v21, b6, b5\nb5:\n  jump b7(v20)\nb6:\n  jump b7(v6)\nb7(v22: int):\n  v23 = const 1\n  v7 = add v22, v23\n  jump b9\n"
        )
    };
    check_index(&index(5), None);
    check_index(&index(2), Some("none"));
}

#[test]
fn tasks_are_only_loaded_from() {
    let body =
        |line: &str| format!("  v1 = call get_current_task_btf\n  v2 = const 8\n{line}\n  v9 = const 0\n  ret v9");
    let refused = |line: &str, expect: &str| check(&body(&format!("  {line}")), &format!("b0: `{line}`: {expect}"));
    accept(&body("  v3 = load.task v1, 16\n  v4 = load.u32 v3, 8"));
    refused("store.u64 v1, 0, v2", "the kernel's memory is read-only");
    refused("v3 = add v1, v2", "v1 cannot be moved");
    refused("v3 = load.task v0, 0", "v0 leads to no task");
    check(
        &body("  v3 = slot s0\n  store.u64 v3, 0, v2\n  store.task v3, 0, v2"),
        "b0: `store.task v3, 0, v2`: tasks are not stored",
    );
}
