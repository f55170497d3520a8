//! What a case says, against what the pipeline does, without a kernel.
//!
//! What must hold for every case beside its own sections: the IR is valid before and after the passes, the object's bytes are
//! the same when it is compiled again, and where rows of the interpreter and of the kernel both stand they are equal.

use crate::case::{Case, ended};
use crate::compare::{differ, differ_unordered, with_patterns};
use crate::input;
use crate::interp::{self, Outcome, Setup};
use bpfquery::{Compiled, Options, Stage, Target, compile, explain};
use bpfquery_catalog::Snapshot;
use bpfquery_codegen::ir;
use bpfquery_diag::render;
use bpfquery_plan::Step;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The processes that `$pid1` and `$pid2` stand for where no workload runs.
pub const PIDS: [&str; 2] = ["4242", "4243"];

/// The pinned kernels that cases are compiled for, each read once.
pub struct Snapshots {
    dir: PathBuf,
    read: BTreeMap<String, Snapshot>,
}

impl Snapshots {
    /// Those of a directory; none is read yet.
    pub fn new(dir: &Path) -> Snapshots {
        Snapshots { dir: dir.to_path_buf(), read: BTreeMap::new() }
    }

    /// The one of this name.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn get(&mut self, name: &str) -> Result<&Snapshot, String> {
        if !self.read.contains_key(name) {
            let path = self.dir.join(format!("{name}.snap"));
            let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let snapshot = Snapshot::from_bytes(&bytes).map_err(|error| render(&error, ""))?;
            self.read.insert(name.to_string(), snapshot);
        }
        self.read.get(name).ok_or_else(|| format!("no snapshot {name}"))
    }
}

/// Checks a case.
///
/// # Errors
/// What is not as it should be: a difference for each section, and how to take it over.
pub fn check(case: &Case, snapshots: &mut Snapshots) -> Result<(), String> {
    if case.sections.is_empty() {
        return Err("the case asserts nothing: it has no section".to_string());
    }
    let mut wrong = String::new();
    for (title, actual) in evaluate(case, snapshots)? {
        let expected = case.section(&title).map_or(String::new(), |section| with_pids(&section.body, &PIDS));
        if let Some(diff) = differ(&expected, &actual) {
            let _ = write!(wrong, "section {title}:\n{diff}");
        }
    }
    both_rows(case, snapshots)?;
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{wrong}\nif the new text is right: cargo run -p bpfquery-testkit -- bless {}\n", case.name))
}

/// Rewrites the sections that differ, and adds those of `add`; whether anything changed. `rows kernel` is left as it is.
///
/// # Errors
/// A case that does not compile, unless an `error` section stands in it or is to be added, or there is none at all.
pub fn bless(case: &mut Case, add: &[String], snapshots: &mut Snapshots) -> Result<bool, String> {
    let before = case.text();
    for title in add {
        if case.section(title).is_none() {
            case.set(title, String::new());
        }
    }
    if case.sections.is_empty() {
        case.set(if compiled(case, snapshots)?.is_ok() { "rows interp" } else { "error" }, String::new());
    }
    for (title, actual) in evaluate(case, snapshots)? {
        let old = case.section(&title).map_or(String::new(), |section| section.body.clone());
        // Placeholders survive where the line still is what they say.
        let patterns = with_pids(&old, &PIDS);
        let same: BTreeMap<&str, &str> = patterns.lines().zip(old.lines()).collect();
        let kept = with_patterns(&patterns, &actual);
        let body: String = kept.lines().map(|line| format!("{}\n", same.get(line).unwrap_or(&line))).collect();
        if !(title == "losses" && body.is_empty()) || case.section(&title).is_some() {
            case.set(&title, body);
        }
    }
    case.sections.retain(|section| section.title != "losses" || !section.body.is_empty());
    Ok(case.text() != before)
}

/// `$pid1`, `$pid2`… replaced by the processes of the load, `$pid` by the first.
pub fn with_pids(text: &str, pids: &[impl AsRef<str>]) -> String {
    // From the last on, since `$pid1` is the start of `$pid10`.
    let numbered = pids.iter().enumerate().rev();
    let text =
        numbered.fold(text.to_string(), |text, (at, pid)| text.replace(&format!("$pid{}", at + 1), pid.as_ref()));
    text.replace("$pid", pids.first().map_or("$pid", AsRef::as_ref))
}

/// The text of each section that stands in the case and needs no kernel; and of `losses` wherever rows do.
fn evaluate(case: &Case, snapshots: &mut Snapshots) -> Result<Vec<(String, String)>, String> {
    let sql = with_pids(&case.sql, &PIDS);
    let compiled = match compiled(case, snapshots)? {
        Ok(compiled) => compiled,
        Err(failure) if case.section("error").is_some() && case.sections.len() == 1 => {
            return Ok(vec![("error".to_string(), ended(&failure))]);
        }
        Err(failure) => return Err(format!("the query does not compile:\n{failure}")),
    };
    if case.section("error").is_some() {
        return Err("the query compiles, though an error is expected".to_string());
    }
    sound(case, &compiled, snapshots)?;
    let mut texts = Vec::new();
    for section in &case.sections {
        if let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.name() == section.title) {
            let text = explain(&compiled, &sql, stage).map_err(|failure| render(&failure, &sql))?;
            texts.push((section.title.clone(), ended(&text)));
        }
    }
    if case.section("rows interp").is_some() {
        let outcome = interpret(case, &compiled, snapshots)?;
        texts.push(("rows interp".to_string(), outcome.rows));
        texts.push(("losses".to_string(), outcome.losses));
    } else if case.section("input").is_some() {
        return Err("there is input, but no section \"rows interp\"".to_string());
    }
    Ok(texts)
}

/// The case's query compiled, or what is said instead.
fn compiled(case: &Case, snapshots: &mut Snapshots) -> Result<Result<Compiled, String>, String> {
    let kernel = snapshots.get(case.directives.snapshot.as_deref().unwrap_or("small"))?;
    let sql = with_pids(&case.sql, &PIDS);
    Ok(compile(&sql, kernel, options(case)?).map_err(|failure| render(&failure, &sql)))
}

/// What the case's directives say to the compiler.
pub(crate) fn options(case: &Case) -> Result<Options, String> {
    let target = match case.directives.target.as_deref() {
        Some("this") => Target::This,
        _ => Target::Portable,
    };
    let pid = match values(&case.directives.args, "-p").first() {
        Some(pid) => Some(with_pids(pid, &PIDS).parse().map_err(|error| format!("-p {pid}: {error}"))?),
        None => None,
    };
    let keep_hook = case.directives.args.iter().any(|arg| arg == "--keep-hook");
    Ok(Options { target, pid, keep_hook, max_groups: max_groups(&case.directives.args)? })
}

/// What `--max-groups` says.
pub(crate) fn max_groups(args: &[String]) -> Result<Option<u32>, String> {
    let number = |most: &&str| most.parse().map_err(|error| format!("--max-groups {most}: {error}"));
    values(args, "--max-groups").first().map(number).transpose()
}

/// The values that follow an option.
fn values<'a>(args: &'a [String], option: &str) -> Vec<&'a str> {
    let at = args.iter().enumerate().filter(|(_, arg)| *arg == option);
    at.filter_map(|(at, _)| args.get(at + 1)).map(String::as_str).collect()
}

fn interpret(case: &Case, compiled: &Compiled, snapshots: &mut Snapshots) -> Result<Outcome, String> {
    let kernel = snapshots.get(case.directives.snapshot.as_deref().unwrap_or("small"))?;
    let input = case.section("input").map_or(String::new(), |section| with_pids(&section.body, &PIDS));
    let params = values(&case.directives.args, "--param").into_iter().map(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        (name.to_string(), value.to_string())
    });
    let setup = Setup {
        cpus: case.directives.cpus.unwrap_or(2),
        wall_offset: case.directives.wall_offset.unwrap_or(0),
        start: case.directives.start.unwrap_or(0),
        params: params.collect(),
    };
    interp::run(compiled, kernel, &input::parse(&input)?, &setup)
}

/// What holds for every query.
fn sound(case: &Case, first: &Compiled, snapshots: &mut Snapshots) -> Result<(), String> {
    let lowered = first.programs.iter().map(|program| ("as lowered", &program.lowered.func));
    let passed = first.programs.iter().map(|program| ("after the passes", &program.func));
    for (stage, func) in lowered.chain(passed) {
        ir::verify(func).map_err(|errors| format!("the IR {stage} is not valid: {errors:?}\n{func}"))?;
    }
    match compiled(case, snapshots)? {
        Ok(second) if second.object == first.object => Ok(()),
        _ => Err("the same query for the same kernel gave other bytes".to_string()),
    }
}

/// Whether the result has an order.
pub(crate) fn is_ordered(compiled: &Compiled) -> bool {
    compiled.split.user.steps.iter().any(|step| matches!(step, Step::Sort(_)))
}

fn both_rows(case: &Case, snapshots: &mut Snapshots) -> Result<(), String> {
    let (Some(interp), Some(kernel)) = (case.section("rows interp"), case.section("rows kernel")) else {
        return Ok(());
    };
    let ordered = compiled(case, snapshots)?.is_ok_and(|compiled| is_ordered(&compiled));
    let compare = if ordered { differ } else { differ_unordered };
    match compare(&kernel.body, &interp.body) {
        Some(diff) => Err(format!("\"rows kernel\" and \"rows interp\" are not equal:\n{diff}")),
        None => Ok(()),
    }
}
