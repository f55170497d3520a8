//! Any bytes as an object: refused, or read without a panic, whatever records and groups come.
#![no_main]

use bpfquery_exec::{Engine, Entry};
use bpfquery_object::{Manifest, elf};
use bpfquery_plan::Datum;
use libfuzzer_sys::fuzz_target;

/// A manifest from an ELF file, or, so that the fuzzer need not find its way through ELF each time, from bare bytes.
fn manifest(bytes: &[u8]) -> Option<Manifest> {
    let section = elf::read_manifest(bytes).unwrap_or_else(|_| bytes.to_vec());
    Manifest::from_bytes(&section).ok()
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, data) = input;
    let Some(manifest) = manifest(&bytes) else { return };
    let params = vec![Datum::Int(1); manifest.params.len()];
    let mut engine = Engine::new(manifest.user, params, 1);
    let _ = engine.push(&data);
    let _ = engine.window(&data);
    let _ = engine.push_groups(&[Entry { key: data.clone(), states: vec![data.clone(), data] }]);
    let _ = engine.take();
});
