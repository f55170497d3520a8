//! The automaton over a text: as text, to the verifier, to the interpreter, and as the loop that it becomes.

use bpfquery_codegen::interp::{Event, World, run};
use bpfquery_codegen::ir::{Func, parse, verify};
use bpfquery_codegen::{Target, compile};

/// Of the pattern `a`: from bit 62 the byte 0x61 leads on to bit 63.
const TABLE: &str = "97 x 00000000000000000000000000000000 00000000000000400000000000000000 \
                     158 x 00000000000000000000000000000000";

/// The text in a slot of 8 bytes, as a word; `scan` is what stands behind the operands of the instruction.
fn text(word: u64, scan: &str) -> String {
    format!(
        "func q context 16 {{
  slot s0 \"text\" 8
  global g0 \"like\": rodata+0, 4096 = {TABLE}
b0(v0: ctx):
  v1 = slot s0
  v2 = const {word}
  store.u64 v1, 0, v2
  v3 = global g0
  v4 = scan.{scan}
  ret v4
}}
"
    )
}

fn func(text: &str) -> Func {
    parse(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

const START: u64 = 1 << 62;

#[test]
fn it_reads_back() {
    for stop in ["all", "dead", "done", "either"] {
        let text = text(0x61, &format!("{stop} v1, v3, 7, {START}"));
        assert_eq!(func(&text).to_string(), text);
    }
    let error = parse(&text(0, &format!("never v1, v3, 7, {START}"))).expect_err("there is no such word");
    assert!(error.to_string().contains("\"scan.never\" does not say where it stops"), "{error}");
}

/// The state behind a text, whatever stops it.
fn check(word: u64, bytes: u32, state: i64) {
    for stop in ["all", "dead"] {
        let func = func(&text(word, &format!("{stop} v1, v3, {bytes}, {START}")));
        verify(&func).expect("the function is right");
        let mut world = World::new([&func], 1).expect("the tables agree");
        let event = Event { context: vec![0; 16], ..Event::default() };
        assert_eq!(run(&func, &mut world, &event), Ok(state), "{word:#x} {stop}");
    }
}

#[test]
fn it_follows_the_table_up_to_the_nul() {
    check(0x61, 7, i64::MIN);
    check(0, 7, START.cast_signed());
    check(0x6161, 7, 0);
    check(0x62, 7, 0);
    // What stands behind the bytes that it looks at, or behind the NUL, is of no matter.
    check(0x6261, 1, i64::MIN);
    check(0x62_0061, 7, i64::MIN);
}

#[test]
fn it_becomes_one_loop() {
    let slots = |stop: &str| {
        let program = compile(func(&text(0x61, &format!("{stop} v1, v3, 7, {START}"))), Target::default());
        program.expect("the function is right").slots()
    };
    assert_eq!([slots("dead"), slots("done"), slots("either")], [slots("all") + 1, slots("all") + 1, slots("all") + 2]);
}

fn refused(from: &str, to: &str, expect: &str) {
    let right = text(0x61, &format!("all v1, v3, 8, {START}"));
    let wrong = right.replace(from, to);
    assert_ne!(wrong, right, "{from}");
    let error = verify(&func(&wrong)).expect_err("the function is wrong");
    assert!(error.to_string().contains(expect), "{error}");
}

#[test]
fn the_verifier_looks_at_both_ends() {
    refused("v1, v3, 8", "v1, v3, 9", "bytes 0 to 9 of s0, which has 8");
    refused("v1, v3, 8", "v1, v3, 0", "no byte is looked at");
    refused("scan.all v1", "scan.all v0", "v0 is no memory for text");
    refused("scan.all v1", "scan.all v2", "v2 is not a pointer");
    refused("scan.all v1, v3", "scan.all v1, v1", "v1 is no table in `.rodata`");
    refused("store.u64 v1, 0", "store.u8 v1, 0", "byte 1 of s0 may not have been written");
    refused("rodata+0, 4096 = 97 x", "rodata+0, 4080 = 96 x", "bytes 0 to 4096 of g0");
}
