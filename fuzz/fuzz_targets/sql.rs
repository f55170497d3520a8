//! Any text: a diagnostic or an object, never a panic, never a `bug:`.
#![no_main]

use bpfquery::{Options, compile};
use bpfquery_catalog::Snapshot;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KERNEL: LazyLock<Snapshot> = LazyLock::new(|| {
    let bytes = include_bytes!("../../testdata/snapshots/small.snap");
    Snapshot::from_bytes(bytes).expect("the checked-in snapshot is valid")
});

fuzz_target!(|text: &str| {
    match compile(text, &*KERNEL, Options::default()) {
        Err(bpfquery_diag::Failure::Bug { pass, detail }) => panic!("bug: {pass}: {detail}"),
        Ok(_) | Err(_) => {}
    }
});
