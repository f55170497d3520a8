//! Every case of `testdata/cases` is a test of its own.

use bpfquery_testkit::case::read_all;
use bpfquery_testkit::check::{Snapshots, check};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::Path;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let cases = match read_all(&testdata.join("cases")) {
        Ok(cases) => cases,
        Err(error) => {
            let trial = Trial::test("cases", move || Err(Failed::from(error)));
            return libtest_mimic::run(&arguments, vec![trial]).exit_code();
        }
    };
    let trials = cases.into_iter().map(|case| {
        let snapshots = testdata.join("snapshots");
        Trial::test(case.name.clone(), move || check(&case, &mut Snapshots::new(&snapshots)).map_err(Failed::from))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
