//! "A query that type-checks loads": each case's query, compiled for the running kernel in both ways, through libbpf.

use super::{Features, Skip, Verdict};
use crate::case::Case;
use crate::check::{PIDS, with_pids};
use crate::compare::differ;
use bpfquery::{Compiled, Options, Target, compile};
use bpfquery_catalog::Kernel;
use bpfquery_diag::{Failure, render};
use bpfquery_host::Live;
use libbpf_rs::query::ProgInfoIter;
use libbpf_rs::{Object, ObjectBuilder, Program};
use std::os::fd::AsFd;

pub(crate) fn load(case: &Case, kernel: &Live, features: &Features) -> Verdict {
    let sql = with_pids(&case.sql, &PIDS);
    for target in [Target::This, Target::Portable] {
        let compiled = match compile(&sql, kernel, Options { target, ..Options::default() }) {
            Ok(compiled) => compiled,
            Err(failure) => return refused(&failure, &sql),
        };
        if !compiled.needs_kernel() {
            continue;
        }
        if let Some(missing) = compiled.split.kernel.iter().find_map(|part| features.unloadable(&part.relation.hook)) {
            return Verdict::Skipped(missing);
        }
        let open = ObjectBuilder::default().open_memory(&compiled.object).map_err(|error| format!("{error:?}"));
        let loaded = open.and_then(super::libbpf::load).and_then(|object| verified(case, kernel, &object));
        if let Err(why) = loaded {
            return Verdict::Failed(format!("target {target:?}: {why}\n{}", text(&compiled)));
        }
    }
    Verdict::Passed
}

/// The programs after the passes.
fn text(compiled: &Compiled) -> String {
    compiled.programs.iter().map(|program| program.func.to_string()).collect()
}

/// Holds what the verifier did against the section `verifier`, or that of this kernel (`verifier 6.1`), if there is one.
/// Kernels before 5.16 tell no number of instructions, which is 0 then.
fn verified(case: &Case, kernel: &Live, object: &Object) -> Result<(), String> {
    let (major, minor, _) = kernel.identity().version;
    let section = case.section(&format!("verifier {major}.{minor}")).or_else(|| case.section("verifier"));
    let Some(section) = section else { return Ok(()) };
    let program = object.progs().next().ok_or("there is no program")?;
    let id = Program::id_from_fd(program.as_fd()).map_err(|error| format!("{error:?}"))?;
    let info = ProgInfoIter::default().find(|info| info.id == id).ok_or("the program has gone")?;
    match differ(&section.body, &format!("ok, insns {}\n", info.verified_insns)) {
        Some(diff) => Err(format!("section {}:\n{diff}", section.title)),
        None => Ok(()),
    }
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
