//! "A query that type-checks loads": each case's query, compiled for the running kernel in both ways, through libbpf.

use super::{Features, Skip, Verdict};
use crate::case::Case;
use crate::check::{PIDS, with_pids};
use bpfquery::{Options, Target, compile};
use bpfquery_diag::{Failure, render};
use bpfquery_host::Live;
use libbpf_rs::ObjectBuilder;

pub(crate) fn load(case: &Case, kernel: &Live, features: &Features) -> Verdict {
    let sql = with_pids(&case.sql, &PIDS);
    for target in [Target::This, Target::Portable] {
        let compiled = match compile(&sql, kernel, Options { target, pid: None }) {
            Ok(compiled) => compiled,
            Err(failure) => return refused(&failure, &sql),
        };
        if let Some(missing) = compiled.split.kernel.iter().find_map(|part| features.unloadable(&part.relation.hook)) {
            return Verdict::Skipped(missing);
        }
        let open = ObjectBuilder::default().open_memory(&compiled.object).map_err(|error| format!("{error:?}"));
        if let Err(why) = open.and_then(super::libbpf::load) {
            return Verdict::Failed(format!("target {target:?}: {why}\n{}", compiled.func));
        }
    }
    Verdict::Passed
}

/// What other kernels have and this one has not is a skip; anything else is wrong.
fn refused(failure: &Failure, sql: &str) -> Verdict {
    let said = render(failure, sql);
    match failure {
        Failure::Query(diagnostic)
            if matches!(
                diagnostic.code.0,
                "unknown-event"
                    | "unknown-function"
                    | "unknown-relation"
                    | "not-traceable"
                    | "unknown-column"
                    | "absent-column"
            ) =>
        {
            Verdict::Skipped(Skip::Absent(diagnostic.message.clone()))
        }
        _ => Verdict::Failed(said),
    }
}
