//! Raw tracepoints in the place of perf tracepoints, against what the running kernel has. Needs tracefs and BTF.

use bpfquery_catalog::{
    Builtin, Hook, Kernel, Relation, RelationName, Scope, checks, list, relation, stand_in, verify_check,
};
use bpfquery_host::Live;
use std::collections::BTreeSet;

fn told<T>(result: bpfquery_diag::Result<T>) -> T {
    result.unwrap_or_else(|failure| panic!("{}", bpfquery_diag::render(&failure, "")))
}

fn relations(kernel: &Live) -> Vec<Relation> {
    let names = told(kernel.events()).into_iter().map(|(category, event)| format!("tracepoint.{category}.{event}"));
    names.map(|name| told(relation(kernel, &RelationName::parse(&name)))).collect()
}

/// That an event is taken for a tracepoint rests on its category and name alone: reading BTF would take longer than all
/// else until a query is live.
#[test]
fn every_event_that_moves_has_a_raw_tracepoint() {
    let kernel = Live::new();
    let raw: BTreeSet<String> = told(list(&kernel, "rawtracepoint.*")).into_iter().map(|listed| listed.name).collect();
    let mut moved = 0;
    for relation in relations(&kernel) {
        let Ok(chosen) = told(stand_in(&kernel, &relation, &BTreeSet::new(), Scope::This)) else { continue };
        assert!(matches!(chosen.hook, Hook::RawTracepoint { .. }), "{}", relation.name);
        assert!(raw.contains(&chosen.hook.to_string()), "{} moved to {}", relation.name, chosen.hook);
        moved += 1;
    }
    // Before 6.2 only events move that never interrupt themselves, and after 6.18 those that are never preempted.
    let version = kernel.identity().version;
    let least = if ((6, 2, 0)..(6, 19, 0)).contains(&version) { 300 } else { 3 };
    assert!(moved >= least, "{moved} events moved");
}

#[test]
fn what_a_field_becomes_is_in_the_prototype() {
    let kernel = Live::new();
    let mut known = 0;
    // Looking each prototype up takes long without optimisation.
    let few = ["tracepoint.raw_syscalls.", "tracepoint.sched.", "tracepoint.signal."];
    for relation in relations(&kernel).into_iter().filter(|r| few.iter().any(|start| r.name.starts_with(start))) {
        for column in Builtin::ALL.len()..relation.columns.len() {
            let used = BTreeSet::from([column]);
            let Ok(chosen) = told(stand_in(&kernel, &relation, &used, Scope::This)) else { continue };
            let (was, is) = (&relation.columns[column], &chosen.columns[column]);
            assert_eq!((&was.name, &was.ty), (&is.name, &is.ty));
            let wrong: Vec<String> =
                checks(&chosen, &used).iter().filter_map(|check| verify_check(check, &kernel).err()).collect();
            assert!(
                wrong.is_empty() && !checks(&chosen, &used).is_empty(),
                "{}.{}: {wrong:?}",
                relation.name,
                was.name
            );
            known += 1;
        }
    }
    assert!(known >= 10, "{known} fields are copies of arguments");
}
