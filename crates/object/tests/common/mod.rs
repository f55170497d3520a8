//! One object with every kind of thing in it, and the tools that judge it.

use bpfquery_btf::{Builder, CoreKind, MapDef, MapPart, NewMember};
use bpfquery_isa::Size::{DW, W};
use bpfquery_isa::*;
use bpfquery_object::elf::*;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const SQL: &str = "SELECT count(*), \"é\"\n  FROM rawtracepoint.sys_enter\n WHERE hits < 3;";

/// Places in `MAPS`, as the programs name them.
const GROUPS: MapRef = MapRef(0);
const RODATA: MapRef = MapRef(1);
const BSS: MapRef = MapRef(2);
const ROWS: MapRef = MapRef(3);

/// Bytes from the start of `.bss`.
const HITS: u32 = 0;
const PENDING: u32 = 8;
const TGID_READ: u32 = 16;
const TGID_TOLD: u32 = 20;

/// How often `limited` counts: the value of `limit` in `.rodata`.
pub(crate) const LIMIT: u64 = 3;

/// Four raw tracepoint programs, two in one section, and a perf tracepoint's.
pub(crate) fn everything() -> ObjectInput {
    let mut btf = Builder::new();
    let maps = maps(&mut btf);
    let int = btf.plain_int(4, true);
    // The offset is not the kernel's, so that only a relocated program reads the right number.
    let task = btf.structure("task_struct", 4, &[NewMember::new("tgid", int, 0)]);
    let program = |name: &str, section: &str, code: Program| {
        let code = assemble(&code, maps.len()).expect("the test's programs are valid");
        ProgramInput { name: name.into(), section: section.into(), code }
    };
    ObjectInput {
        programs: vec![
            program("count_all", "raw_tp/sys_enter", count_all()),
            program("send_row", "raw_tp/sys_exit", send_row()),
            program("limited", "raw_tp/sys_enter", limited()),
            program("who", "raw_tp/sched_switch", who()),
            program("exits", "tracepoint/sched/sched_process_exit", [mov64(Reg::R0, 0), exit()].into_iter().collect()),
        ],
        cores: vec![CoreInput { ty: task, access: "0:0".into(), kind: CoreKind::FieldByteOffset }],
        maps,
        btf,
        source: SourceText { file: "q.sql".into(), text: SQL.into() },
        license: "Dual MIT/GPL".into(),
        manifest: b"\x00manifest bytes\xff".to_vec(),
    }
}

fn maps(btf: &mut Builder) -> Vec<MapInput> {
    let (u32_, u64_) = (btf.plain_int(4, false), btf.plain_int(8, false));
    let value = btf.structure("groups_value", 8, &[NewMember::new("count", u64_, 0)]);
    let map = |name: &str, map_type, key, value, max_entries| {
        let name = name.into();
        MapInput::Map(MapDef { name, map_type, key, value, max_entries, map_flags: 0, pinned: false })
    };
    let variable = |name: &str, ty, offset, size| Variable { name: name.into(), ty, offset, size };
    let int = btf.plain_int(4, true);
    vec![
        map("groups", 2, MapPart::Type(u32_), MapPart::Type(value), 1),
        MapInput::Data(DataInput {
            section: DataSection::Rodata,
            size: 16,
            init: [0, LIMIT].iter().flat_map(|value| value.to_le_bytes()).collect(),
            variables: vec![variable("limit", u64_, 8, 8)],
        }),
        MapInput::Data(DataInput {
            section: DataSection::Bss,
            size: 24,
            init: vec![],
            variables: vec![
                variable("hits", u64_, HITS, 8),
                variable("pending", u64_, PENDING, 8),
                variable("tgid_read", int, TGID_READ, 4),
                variable("tgid_told", int, TGID_TOLD, 4),
            ],
        }),
        map("rows", 27, MapPart::None, MapPart::None, 4096),
    ]
}

/// Adds 1 to the only entry of an array map.
fn count_all() -> Program {
    let done = Label(1);
    let mut p = Program::new();
    p.emit(store_imm(W, Reg::R10, -4, 0)).span((7, 15));
    p.emit(mov64(Reg::R2, Reg::R10));
    p.emit(alu64(AluOp::Add, Reg::R2, -4));
    p.emit(load_map(Reg::R1, GROUPS));
    p.emit(call(Helper::MapLookupElem));
    p.emit(jump_if64(Cond::Eq, Reg::R0, 0, done)).span((22, 50));
    p.emit(mov64(Reg::R1, 1));
    p.emit(atomic(AtomicOp::Add, Width::W64, Reg::R0, 0, Reg::R1));
    p.label(done);
    p.emit(mov64(Reg::R0, 0));
    p.emit(exit());
    p
}

/// Sends 16 bytes to the ring buffer and notes how many bytes now wait in it.
fn send_row() -> Program {
    let full = Label(1);
    let mut p = Program::new();
    p.emit(call(Helper::KtimeGetNs));
    p.emit(mov64(Reg::R6, Reg::R0));
    p.emit(load_map(Reg::R1, ROWS)).span((0, 6));
    p.emit(mov64(Reg::R2, 16));
    p.emit(mov64(Reg::R3, 0));
    p.emit(call(Helper::RingbufReserve));
    p.emit(jump_if64(Cond::Eq, Reg::R0, 0, full));
    p.emit(store(DW, Reg::R0, 0, Reg::R6));
    p.emit(store_imm(DW, Reg::R0, 8, -1));
    p.emit(mov64(Reg::R1, Reg::R0));
    p.emit(mov64(Reg::R2, 0));
    p.emit(call(Helper::RingbufSubmit));
    p.label(full);
    p.emit(load_map(Reg::R1, ROWS));
    p.emit(mov64(Reg::R2, 0));
    p.emit(call(Helper::RingbufQuery));
    p.emit(load_map_value(Reg::R1, BSS, PENDING));
    p.emit(store(DW, Reg::R1, 0, Reg::R0));
    p.emit(mov64(Reg::R0, 0));
    p.emit(exit());
    p
}

/// `if (hits < limit) hits += 1`: a variable of `.bss` and one of `.rodata`.
fn limited() -> Program {
    let done = Label(1);
    let mut p = Program::new();
    p.emit(load_map_value(Reg::R1, BSS, HITS)).span((60, 68));
    p.emit(load(DW, Reg::R2, Reg::R1, 0));
    p.emit(load_map_value(Reg::R3, RODATA, 8));
    p.emit(load(DW, Reg::R3, Reg::R3, 0));
    p.emit(jump_if64(Cond::Uge, Reg::R2, Reg::R3, done)).span((60, 68));
    p.emit(alu64(AluOp::Add, Reg::R2, 1));
    p.emit(store(DW, Reg::R1, 0, Reg::R2));
    p.label(done);
    p.emit(mov64(Reg::R0, 0));
    p.emit(exit());
    p
}

/// Reads the thread group's id out of `task_struct`, and asks a helper for it too.
fn who() -> Program {
    let mut p = Program::new();
    p.emit(call(Helper::GetCurrentTask)).span((0, 6));
    p.emit(mov64(Reg::R3, Reg::R0));
    p.emit(alu64(AluOp::Add, Reg::R3, 0)).core(CoreRef(0));
    p.emit(mov64(Reg::R2, 4));
    p.emit(load_map_value(Reg::R1, BSS, TGID_READ));
    p.emit(call(Helper::ProbeReadKernel));
    p.emit(call(Helper::GetCurrentPidTgid));
    p.emit(alu64(AluOp::Rsh, Reg::R0, 32));
    p.emit(load_map_value(Reg::R1, BSS, TGID_TOLD));
    p.emit(store(W, Reg::R1, 0, Reg::R0));
    p.emit(mov64(Reg::R0, 0));
    p.emit(exit());
    p
}

/// Writes the object into the test's own directory.
pub(crate) fn written(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, write(&everything()).expect("the test's object is sound")).unwrap();
    path
}

/// The output of a tool; a tool that is missing or fails, fails the test.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}:\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}
