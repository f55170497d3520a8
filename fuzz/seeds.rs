//! Writes what the fuzz targets start from: `seeds TESTDATA CORPUS`, made of the cases and the pinned kernels.

use bpfquery::{Options, compile};
use bpfquery_catalog::{Kernel, Selection, Snapshot, subset};
use bpfquery_object::elf::read_manifest;
// The crates that are linked are instrumented, and this holds what their instrumentation calls.
use libfuzzer_sys as _;
use std::fs;
use std::path::{Path, PathBuf};

type Failure = Box<dyn std::error::Error>;

/// What the object target makes records of.
const PATTERN: [u8; 16] = [3, 1, 0, 0, 255, 255, 255, 255, b'a', 0, 0, 0, 1, 0, 0, 128];
/// Small kernels: one event and a few types each, for the target's queries.
const SELECTIONS: [&str; 8] = [
    "event sched.sched_switch",
    "event syscalls.sys_enter_openat",
    "event syscalls.sys_enter_openat\ntype path\nfunction vfs_open",
    "event syscalls.sys_enter_openat\ntype path\ntype task_struct\ndepth 1\nfunction vfs_open",
    "event syscalls.sys_exit_read\nfunction vfs_read",
    "event sched.sched_switch\ntype task_struct",
    "event sched.sched_switch\ntype btf_trace_sched_switch",
    "event syscalls.sys_enter_openat\nfunction vfs_read",
];

fn main() -> Result<(), Failure> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [testdata, corpus] = arguments.as_slice() else {
        return Err("usage: seeds TESTDATA CORPUS".into());
    };
    for target in ["sql", "snapshot", "object"] {
        fs::create_dir_all(corpus.join(target))?;
    }
    let kernel = Snapshot::from_bytes(&fs::read(testdata.join("snapshots/linux-6.12.snap"))?).map_err(told)?;
    kernels(&kernel, &corpus.join("snapshot"))?;
    for case in cases(&testdata.join("cases"))? {
        let sql = query(&fs::read_to_string(&case)?);
        let name = case.with_extension("");
        let name = name.strip_prefix(testdata.join("cases"))?.to_string_lossy().replace('/', "-");
        fs::write(corpus.join("sql").join(&name), &sql)?;
        if let Ok(compiled) = compile(&sql, &kernel, Options::default()) {
            let section = read_manifest(&compiled.object).map_err(told)?;
            let objects = corpus.join("object");
            fs::write(objects.join(&name), [&PATTERN, compiled.object.as_slice()].concat())?;
            // The JSON stands behind magic, version and length.
            fs::write(objects.join(format!("{name}-manifest")), [&PATTERN, &section[16..]].concat())?;
        }
    }
    Ok(())
}

/// Every case below a directory, sorted.
fn cases(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for area in fs::read_dir(directory)? {
        for case in fs::read_dir(area?.path())? {
            found.push(case?.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A case's query: what stands before its first section, without the lines that are prose.
fn query(case: &str) -> String {
    let lines = case.lines().take_while(|line| !line.starts_with("---- ")).filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// Small kernels as files, and unpacked.
fn kernels(kernel: &Snapshot, corpus: &Path) -> Result<(), Failure> {
    for (i, selection) in SELECTIONS.iter().enumerate() {
        let small = subset(kernel, &Selection::parse(selection)?).map_err(told)?.snapshot;
        fs::write(corpus.join(format!("file-{i}")), small.to_bytes())?;
        let mut unpacked = vec![i as u8];
        for (category, event) in small.events().map_err(told)? {
            let format = small.format(&category, &event).map_err(told)?.unwrap_or_default();
            unpacked.extend((format.len() as u16).to_le_bytes());
            unpacked.extend(format.as_bytes());
        }
        unpacked.extend(unpack(&small.to_bytes()).ok_or("the snapshot has no BTF")?);
        fs::write(corpus.join(format!("unpacked-{i}")), unpacked)?;
    }
    Ok(())
}

/// The BTF of a snapshot file, whose sections are `tag, name length u16, unpacked u32, packed u32, name, zlib`.
fn unpack(file: &[u8]) -> Option<Vec<u8>> {
    let mut rest = file.get(16..)?;
    loop {
        let (tag, after) = rest.split_at_checked(4)?;
        let (name, after) = after.split_first_chunk::<2>()?;
        let packed = u32::from_le_bytes(after.get(4..8)?.try_into().ok()?) as usize;
        let after = after.get(8 + usize::from(u16::from_le_bytes(*name))..)?;
        if tag == b"VBTF" {
            return miniz_oxide::inflate::decompress_to_vec_zlib(after.get(..packed)?).ok();
        }
        rest = after.get(packed..)?;
    }
}

fn told(failure: bpfquery_diag::Failure) -> Failure {
    bpfquery_diag::render(&failure, "").into()
}
