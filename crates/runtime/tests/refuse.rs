//! What must not run, does not, and says why.

mod common;

use bpfquery_catalog::{Check, Hook};
use bpfquery_diag::render;
use bpfquery_host::Live;
use bpfquery_isa::{Program, Reg, Size, exit, load, mov64};
use bpfquery_object::manifest::{Parameter, Variable};
use bpfquery_plan::Datum;
use bpfquery_runtime::{Options, Session};
use common::compile;
use common::made::{Made, SQL};

fn raw(event: &str) -> Hook {
    Hook::RawTracepoint { event: event.into() }
}

fn nothing() -> Made {
    Made::new(&[("nothing", raw("sys_enter"))])
}

/// The message of what must be refused, and its exit code.
fn refused(object: &[u8], params: Vec<Datum>) -> (u8, String) {
    let options = Options { params, ..Options::default() };
    match Session::open(object, &Live::new(), &options) {
        Ok(_) => panic!("it runs"),
        Err(failure) => (failure.exit_code(), render(&failure, SQL)),
    }
}

fn check(made: &Made, code: u8, part: &str) {
    let (found, message) = refused(&made.bytes(), Vec::new());
    assert!(found == code && message.contains(part), "{found} {message}, not {code} {part}");
}

#[test]
fn a_sound_object_runs() {
    common::open(&nothing().bytes());
}

#[test]
fn wrong_about_the_kernel() {
    let mut made = nothing();
    made.manifest.arch = "riscv64".into();
    check(&made, 3, "unsupported: an object for riscv64\ndetail: this machine is x86_64\n");

    let mut made = nothing();
    made.manifest.checks = vec![Check::FormatField {
        category: "syscalls".into(),
        event: "sys_enter_dup".into(),
        field: "fildes".into(),
        offset: 99,
        size: 8,
        signed: false,
    }];
    check(&made, 3, "detail: tracepoint.syscalls.sys_enter_dup: \"fildes\" is at offset 16, not 99\n");
    check(&made, 3, "compiled for portable, it would read wrong values");
}

#[test]
fn wrong_about_itself() {
    let mut made = nothing();
    made.manifest.programs[0].name = "another".into();
    let mut object = made.bytes();
    // The manifest keeps the name, symbols and BTF get another.
    while let Some(at) = object.windows(8).position(|bytes| bytes == b"another\0") {
        object[at..at + 7].copy_from_slice(b"nothing");
    }
    let (code, message) = refused(&object, Vec::new());
    assert!(code == 1 && message.contains("it has no program \"another\""), "{message}");

    let mut made = nothing();
    made.sections = vec!["raw_tp/sys_exit".into()];
    check(&made, 1, "its program \"nothing\" is not one for rawtracepoint.sys_enter");

    let mut made = nothing();
    made.pinned = true;
    check(&made, 1, "its map \"rows\" wants to be pinned");

    let mut made = nothing();
    made.ring = (2, "rows");
    check(&made, 1, "its map of rows is no ring buffer");

    let mut made = nothing();
    made.ring = (27, "other");
    check(&made, 1, "its map \"other\" is of an unexpected kind: RingBuf");

    let mut made = nothing();
    made.ring = (2, "scratch");
    check(&made, 1, "it has no map of rows");
}

#[test]
fn wrong_numbers() {
    // A constant is set in .rodata, which must be there and large enough: 99 is beyond that of a query with a parameter.
    let mut object = compile("select cpu from rawtracepoint.sys_enter where pid = $1");
    let manifest = Session::manifest_of(&object).unwrap();
    let offset = manifest.params[0].offset.unwrap();
    let (from, to) =
        (format!("\"offset\":{offset}}}],\"start_ns\""), format!("\"offset\":{}}}],\"start_ns\"", offset + 9));
    let at = find(&object, from.as_bytes());
    assert_eq!(from.len(), to.len());
    object[at..at + to.len()].copy_from_slice(to.as_bytes());
    let (code, message) = refused(&object, vec![Datum::Int(1)]);
    assert!(code == 1 && message.contains("a constant outside of .rodata"), "{message}");

    let mut made = nothing();
    made.manifest.params = vec![Parameter { name: "1".into(), ty: bpfquery_catalog::SqlType::I64, offset: None }];
    check(&made, 1, "the query has 1 parameters, and 0 values are given");
    let (_, message) = refused(&compile("select cpu from rawtracepoint.sys_enter where pid = $1"), vec![Datum::Null]);
    assert!(message.contains("parameter 1: the value is no"), "{message}");
}

#[test]
fn a_counter_outside_of_its_section() {
    let mut object = compile("select cpu from rawtracepoint.sys_enter where pid = 0");
    let name = Session::manifest_of(&object).unwrap().counters;
    let Variable { name, offset } = &name[0];
    let from = format!("\"name\":\"{name}\",\"offset\":{offset}}}");
    let to = format!("\"name\":\"{name}\",\"offset\":{}}}", offset + 9);
    let at = find(&object, from.as_bytes());
    object[at..at + to.len()].copy_from_slice(to.as_bytes());
    let (code, message) = refused(&object, Vec::new());
    assert!(code == 1 && message.contains("a counter outside of .bss"), "{message}");
}

#[test]
fn the_verifier_is_quoted_with_the_sql() {
    let mut made = nothing();
    let mut code = Program::new();
    code.emit(mov64(Reg::R2, 0)).span((0, 6));
    code.emit(load(Size::DW, Reg::R0, Reg::R2, 8)).span((11, 15));
    code.emit(exit());
    made.code = code;
    let (code, message) = refused(&made.bytes(), Vec::new());
    assert_eq!(code, 101);
    for part in [
        "bug: verifier: the kernel's verifier refuses the program: R2 invalid mem access '",
        "'; 1: (79) r0 = *(u64 *)(r2 +8)\n",
        "\nat line 2 of the query: from rawtracepoint.sys_enter\n",
        "please report it",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn what_cannot_be_attached() {
    check(&Made::new(&[("nowhere", raw("no_such_event"))]), 3, "attaching to rawtracepoint.no_such_event on ");
    let hook = Hook::Profile { hz: 1_000_000_000 };
    check(&Made::new(&[("often", hook)]), 3, "/proc/sys/kernel/perf_event_max_sample_rate");
}

/// Whatever is done to an object's bytes ends in an error or in a session, never in a panic.
#[test]
fn damaged_objects() {
    let object = compile("select cpu, count(*) from rawtracepoint.sys_enter where pid = 0 group by cpu");
    for length in (0..object.len()).step_by(97) {
        refused(&object[..length], Vec::new());
    }
    let mut random = 88_172_645_463_325_252u64;
    let mut next = |below: usize| {
        // xorshift64 (Marsaglia 2003): always the same numbers.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut outcomes = [0; 2];
    for _ in 0..400 {
        let mut damaged = object.clone();
        for _ in 0..=next(3) {
            let at = next(damaged.len());
            damaged[at] ^= 1 << next(8);
        }
        let opened = Session::open(&damaged, &Live::new(), &Options::default());
        outcomes[usize::from(opened.is_ok())] += 1;
    }
    // Some bits matter to nobody; most do.
    assert!(outcomes[0] > 100, "{outcomes:?}");
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).expect("the part is there")
}
