//! Random queries on the running kernel: each is loaded, test-run on the same contexts as the interpreter, and gives the same rows.
//!
//! Nothing is attached: BPF_PROG_TEST_RUN calls the program here and now, on contexts that are made up.

use super::Verdict;
use crate::differential::{Process, SUBJECTS, Subject, Trial, interpret, trial};
use crate::interp::{Outcome, Setup, drain, parameters};
use bpfquery::{Options, Target, compile};
use bpfquery_exec::{Engine, Entry};
use bpfquery_host::Live;
use bpfquery_object::manifest::{GROUPS, REST, ROWS, param_bytes};
use bpfquery_object::{Manifest, elf};
use libbpf_rs::{MapCore, MapFlags, Object, ObjectBuilder, ProgramInput, RingBufferBuilder};
use std::cell::RefCell;

/// Random queries for each subject that this kernel has, in a run of the cases.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..40;

/// How often a query is run, as long as its object says that rows were lost.
const TRIES: usize = 5;

/// Runs the queries of these seeds.
pub(crate) fn run(kernel: &Live, seeds: std::ops::Range<u64>) -> Verdict {
    let process = Process { pid: std::process::id(), comm: comm() };
    let subjects: Vec<&Subject> =
        SUBJECTS.iter().filter(|subject| subject.test_runs && exists(subject, kernel)).collect();
    if subjects.len() < 2 {
        return Verdict::Failed("this kernel has no relation that random queries can be over".to_string());
    }
    for subject in subjects {
        for seed in seeds.clone() {
            if let Err(why) = agree(seed, subject, kernel, &process) {
                return Verdict::Failed(format!("seed {seed}: {why}"));
            }
        }
    }
    Verdict::Passed
}

fn comm() -> String {
    std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default().trim_end().to_string()
}

/// Whether this kernel has the relation with these columns.
fn exists(subject: &Subject, kernel: &Live) -> bool {
    let sql = match subject.relation {
        Some(relation) => format!("select {} from {relation}", subject.numbers.join(", ")),
        None => "select 1".to_string(),
    };
    compile(&sql, kernel, Options::default()).is_ok()
}

fn agree(seed: u64, subject: &Subject, kernel: &Live, process: &Process) -> Result<(), String> {
    let target = if seed.is_multiple_of(2) { Target::Portable } else { Target::This };
    let trial = trial(seed, subject, kernel, target)?;
    let expected = interpret(&trial, subject, kernel, target, process)?;
    let mut found = Outcome::default();
    // What the object itself says it lost is no disagreement: a thread that is preempted in the kernel's bookkeeping of task storage
    // keeps others on its CPU out for that moment (bpf_task_storage_trylock). That is made again.
    for _ in 0..TRIES {
        found = in_kernel(&trial).map_err(|why| format!("{}\n{why}\n{}", trial.query.sql, trial.func()))?;
        if expected.rows == found.rows {
            return Ok(());
        }
        if found.losses.is_empty() {
            break;
        }
    }
    Err(format!(
        "{}\nparameters {:?}\nevents {:?}\nthe interpreter:\n{}the kernel:\n{}lost by it:\n{}{}",
        trial.query.sql,
        trial.query.params,
        trial.events,
        expected.rows,
        found.rows,
        found.losses,
        trial.func()
    ))
}

fn in_kernel(trial: &Trial) -> Result<Outcome, String> {
    let setup = Setup { params: trial.query.params.clone(), ..Setup::default() };
    let params = parameters(&trial.compiled.split.params, &setup)?;
    let object = load(trial, &params)?;
    let mut engine = Engine::new(trial.compiled.split.user.clone(), params, 0);
    let mut outcome = Outcome::default();
    for (program, context) in &trial.events {
        test_run(&object, *program, context)?;
        for record in records(&object)? {
            engine.push(&record).map_err(|error| format!("{error:?}"))?;
        }
        drain(&mut engine, &mut outcome.rows)?;
    }
    if let Some(entries) = groups(&object, GROUPS)? {
        let failed = |error| format!("{error:?}");
        engine.push_entries(false, &entries).map_err(failed)?;
        engine.push_entries(true, &groups(&object, REST)?.unwrap_or_default()).map_err(failed)?;
        engine.end_groups().map_err(failed)?;
        drain(&mut engine, &mut outcome.rows)?;
    }
    outcome.losses = losses(&object, &manifest_of(trial)?)?;
    Ok(outcome)
}

fn manifest_of(trial: &Trial) -> Result<Manifest, String> {
    let section = elf::read_manifest(&trial.compiled.object).map_err(|error| format!("{error:?}"))?;
    Manifest::from_bytes(&section)
}

/// The counters of rows that are in no result; what is said of values is compared with them.
fn losses(object: &Object, manifest: &Manifest) -> Result<String, String> {
    let Some(section) = object.maps().find(|map| map.name().to_string_lossy().ends_with(".bss")) else {
        return Ok(String::new());
    };
    let bytes = section.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).map_err(|error| format!(".bss: {error:?}"))?;
    let bytes = bytes.unwrap_or_default();
    let value = |at: u32| bytes.get(at as usize..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_le_bytes(*b));
    let lost = manifest.counters.iter().filter(|counter| !bpfquery_runtime::is_of_values(&counter.name));
    let lost = lost.map(|counter| (&counter.name, value(counter.offset))).filter(|(_, count)| *count > 0);
    Ok(lost.map(|(name, count)| format!("{name} {count}\n")).collect())
}

fn load(trial: &Trial, params: &[bpfquery_plan::Datum]) -> Result<Object, String> {
    let manifest = manifest_of(trial)?;
    let open = ObjectBuilder::default().open_memory(&trial.compiled.object);
    let mut open = open.map_err(|error| format!("libbpf: {error:?}"))?;
    if let Some(mut section) = open.maps_mut().find(|map| map.name().to_string_lossy().ends_with(".rodata")) {
        let data = section.initial_value_mut().ok_or("there is no .rodata")?;
        for (parameter, value) in manifest.params.iter().zip(params) {
            if let Some(offset) = parameter.offset {
                let bytes = param_bytes(parameter, value)?;
                data[offset as usize..offset as usize + bytes.len()].copy_from_slice(&bytes);
            }
        }
    }
    super::libbpf::load(open)
}

fn test_run(object: &Object, program: usize, context: &[u64; 12]) -> Result<(), String> {
    // In the object they stand in the order of the split.
    let program = object.progs_mut().nth(program).ok_or("there is no program")?;
    let mut bytes: Vec<u8> = context.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let input = ProgramInput { context_in: Some(&mut bytes), ..ProgramInput::default() };
    program.test_run(input).map(drop).map_err(|error| format!("test run: {error:?}"))
}

/// The records of the ring buffer, if there is one.
fn records(object: &Object) -> Result<Vec<Vec<u8>>, String> {
    let records = RefCell::new(Vec::new());
    let Some(map) = object.maps().find(|map| map.name() == ROWS) else { return Ok(Vec::new()) };
    let mut builder = RingBufferBuilder::new();
    let keep = |record: &[u8]| {
        records.borrow_mut().push(record.to_vec());
        0
    };
    let failed = |error: libbpf_rs::Error| format!("ring buffer: {error:?}");
    builder.add(&map, keep).map_err(failed)?;
    let ring = builder.build().map_err(failed)?;
    ring.consume().map_err(failed)?;
    drop(ring);
    Ok(records.into_inner())
}

/// The entries of a map of groups, if there is one.
fn groups(object: &Object, name: &str) -> Result<Option<Vec<Entry>>, String> {
    let Some(map) = object.maps().find(|map| map.name() == name) else { return Ok(None) };
    let mut entries = Vec::new();
    for key in map.keys() {
        let states = if map.map_type().is_percpu() {
            map.lookup_percpu(&key, MapFlags::ANY)
        } else {
            map.lookup(&key, MapFlags::ANY).map(|state| state.map(|state| vec![state]))
        };
        let states = states.map_err(|error| format!("groups: {error:?}"))?;
        entries.push(Entry { key, states: states.unwrap_or_default() });
    }
    Ok(Some(entries))
}
