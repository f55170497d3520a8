//! Random queries agree however they are run. The kernel's side of it is in `bpfquery-testkit kernel`.

use bpfquery::Target;
use bpfquery_testkit::check::Snapshots;
use bpfquery_testkit::differential::{Process, SUBJECTS, interpret, trial};
use std::path::Path;

#[test]
fn random_queries_agree() {
    let mut snapshots = Snapshots::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots"));
    let kernel = snapshots.get("small").expect("the pinned kernel");
    let process = Process { pid: 4242, comm: "test".to_string() };
    let mut wrong = Vec::new();
    for subject in &SUBJECTS {
        for seed in 0..40_u64 {
            let target = if seed.is_multiple_of(2) { Target::Portable } else { Target::This };
            let agreed = trial(seed, subject, kernel, target)
                .and_then(|trial| interpret(&trial, subject, kernel, target, &process));
            wrong.extend(agreed.err().map(|why| format!("seed {seed}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{} disagree; the first:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
}
