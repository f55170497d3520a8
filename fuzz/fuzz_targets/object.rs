//! Any bytes as an object: refused, or read without a panic, whatever records and groups come.
//!
//! The first 16 bytes of an input are repeated to make records and groups of the length that the object declares. The rest is an
//! ELF file, or, so that the fuzzer need not find its way through ELF each time, the manifest's JSON alone.
//! Not covered: libbpf, which reads the ELF file next and is fuzzed by its own project.
#![no_main]

use bpfquery_catalog::{Snapshot, verify_check};
use bpfquery_exec::{Engine, Entry};
use bpfquery_object::manifest::{MAGIC, VERSION, param_bytes};
use bpfquery_object::{Manifest, elf, section_name};
use bpfquery_plan::{Datum, Source};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const PATTERN: usize = 16;

static KERNEL: LazyLock<Snapshot> = LazyLock::new(|| {
    let bytes = include_bytes!("../../testdata/snapshots/small.snap");
    Snapshot::from_bytes(bytes).expect("the checked-in snapshot is valid")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((pattern, object)) = bytes.split_at_checked(PATTERN) else { return };
    let Some(manifest) = manifest(object) else { return };
    for check in &manifest.checks {
        let _ = verify_check(check, &*KERNEL);
    }
    for program in &manifest.programs {
        let _ = section_name(&program.hook);
    }
    let values = [Datum::Int(-1), Datum::Bool(true), Datum::Text(pattern.to_vec())];
    for (parameter, value) in manifest.params.iter().flat_map(|p| values.iter().map(move |value| (p, value))) {
        let _ = param_bytes(parameter, value);
    }
    run(manifest, pattern);
});

fn manifest(object: &[u8]) -> Option<Manifest> {
    let section = elf::read_manifest(object).unwrap_or_else(|_| {
        let mut section = MAGIC.to_vec();
        section.extend(VERSION.to_le_bytes());
        section.extend((object.len() as u32).to_le_bytes());
        section.extend(object);
        section
    });
    Manifest::from_bytes(&section).ok()
}

/// What a run does with an object that the kernel took: records or groups come, and batches are asked for.
fn run(manifest: Manifest, pattern: &[u8]) {
    let bytes = |size: u32| -> Vec<u8> { pattern.iter().copied().cycle().take(size as usize).collect() };
    let params = manifest.params.iter().map(|_| Datum::Int(1)).collect();
    let source = manifest.user.source.clone();
    let mut engine = Engine::new(manifest.user, params, 1);
    let _ = engine.push(pattern);
    match source {
        Source::Rows { layout, .. } => {
            let zeros = vec![0; layout.size as usize];
            for record in [bytes(layout.size), zeros, bytes(layout.size)] {
                let _ = engine.push(&record);
            }
        }
        Source::Listing { .. } => {}
        Source::Groups { key, state, .. } => {
            let states = vec![bytes(state.size), vec![0; state.size as usize]];
            let other = Entry { key: vec![0; key.size as usize], states: states.clone() };
            let _ = engine.window(&other.key);
            let _ = engine.push_groups(&[Entry { key: bytes(key.size), states }, other]);
        }
    }
    let _ = engine.take();
}
