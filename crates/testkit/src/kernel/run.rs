//! A case run by `bpfquery run` on the running kernel, while its workload makes what it waits for.

use super::leaks::Held;
use super::process::{Process, Watch};
use super::workload::Workload;
use super::{Features, Settings, Verdict};
use crate::case::Case;
use crate::check::{PIDS, is_ordered, max_groups, with_pids};
use crate::compare::{differ, differ_unordered};
use bpfquery::{Options, Target, compile};
use bpfquery_catalog::Hook;
use bpfquery_host::Live;
use bpfquery_plan::Step;
use nix::sys::signal::Signal;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whether the case says what a kernel gives.
pub(crate) fn is_runnable(case: &Case) -> bool {
    case.section("rows kernel").is_some()
}

pub(crate) fn run(case: &Case, kernel: &Live, features: &Features, settings: &Settings) -> Verdict {
    let nature = match nature(&with_pids(&case.sql, &PIDS), kernel, &case.directives.args) {
        Ok(nature) => nature,
        Err(why) => return Verdict::Failed(why),
    };
    if let Some(missing) = nature.hooks.iter().find_map(|hook| features.missing(hook)) {
        return Verdict::Skipped(missing);
    }
    let mut why = "";
    for _ in 0..ATTEMPTS {
        match attempt(case, &nature, settings) {
            Ok(Attempt::Holds) => return Verdict::Passed,
            Ok(Attempt::Again(what)) => why = what,
            Err(why) => return Verdict::Failed(why),
        }
    }
    Verdict::Failed(format!("{ATTEMPTS} times {why}"))
}

/// How often a load is made: a machine that stops for a while may split what must lie in one window, and a kernel that preempts
/// programs (7.0 and later) may miss an event now and then, which the report says.
const ATTEMPTS: usize = 5;

/// What one attempt shows.
enum Attempt {
    /// That the case holds.
    Holds,
    /// Nothing, and why: the kernel or the clock was in the way.
    Again(&'static str),
}

/// What of the query decides how its run goes.
struct Nature {
    /// What it is attached to.
    hooks: Vec<Hook>,
    /// Its rows have an order.
    ordered: bool,
    /// It is attached to something.
    attached: bool,
    /// It ends by itself.
    ends: bool,
}

fn nature(sql: &str, kernel: &Live, args: &[String]) -> Result<Nature, String> {
    let keep_hook = args.iter().any(|arg| arg == "--keep-hook");
    let options = Options { target: Target::This, keep_hook, max_groups: max_groups(args)?, ..Options::default() };
    let compiled = compile(sql, kernel, options).map_err(|failure| bpfquery_diag::render(&failure, sql))?;
    let hooks: Vec<Hook> = compiled.split.kernel.iter().map(|part| part.relation.hook.clone()).collect();
    let once = hooks.iter().all(|hook| *hook == Hook::Once);
    let rows = matches!(compiled.split.user.source, bpfquery_plan::Source::Rows { .. });
    let limit = compiled.split.user.steps.iter().any(|step| matches!(step, Step::Limit { count: Some(_), .. }));
    let told = args.iter().any(|arg| matches!(arg.as_str(), "--for" | "-c"));
    Ok(Nature { hooks, ordered: is_ordered(&compiled), attached: !once, ends: once || (rows && limit) || told })
}

fn attempt(case: &Case, nature: &Nature, settings: &Settings) -> Result<Attempt, String> {
    let directives = &case.directives;
    let load = match directives.workload.as_slice() {
        [] => None,
        words => Some(Workload::start(&settings.workloads, words)?),
    };
    let pids = load.as_ref().map_or(Vec::new(), |load| load.pids.clone());
    let fill = |text: &str| with_pids(text, &pids).replace("$workloads", &settings.workloads.to_string_lossy());
    let sql = fill(&case.sql);
    let args: Vec<String> = directives.args.iter().map(|arg| fill(arg)).collect();

    let mut command = Command::new(&settings.bin);
    command.args(["run", "--format", "json"]).args(&args).args(["-e", &sql]);
    let mut query = Process::start("bpfquery", &mut command, Watch::Stderr)?;
    if nature.attached {
        query.hear("attached", |line| line.starts_with("attached ").then_some(()))?;
    }
    let held = Held::by(query.id());
    directives.align.into_iter().for_each(wait_for_room);
    let window = || directives.align.map(|window| wall_ns() / u128::from(window));
    let before = window();
    if let Some(load) = load {
        load.run()?;
    }
    let is_split = before != window();
    if !nature.ends {
        query.signal(Signal::SIGINT);
    }
    let (status, said, rows) = query.finish()?;
    if is_split {
        return Ok(Attempt::Again("the load went on into the next window"));
    }
    if missed(case, &said) {
        return Ok(Attempt::Again("the kernel missed events"));
    }

    let expected = case.section("rows kernel").map_or("", |section| &section.body);
    let compare = if nature.ordered { differ } else { differ_unordered };
    let code = directives.exit.unwrap_or(0);
    let mut wrong = Vec::new();
    wrong.extend(compare(&fill(expected), &rows).map(|diff| format!("rows:\n{diff}")));
    wrong.extend((status.code() != Some(code)).then(|| format!("it ends with {status}, not exit status {code}")));
    wrong.extend(losses(case, &said).err());
    wrong.extend(Some(held.left()).filter(|left| !left.is_empty()).map(|left| format!("left in the kernel: {left:?}")));
    wrong.extend((nature.attached && held == Held::default()).then(|| "it held nothing in the kernel".to_string()));
    if wrong.is_empty() { Ok(Attempt::Holds) } else { Err(format!("{}\nit said:\n{said}", wrong.join("\n"))) }
}

/// Waits, if need be, until a third of a window of so many ns is still to come, so that a short load lies in one.
fn wait_for_room(window: u64) {
    let left = u128::from(window) - wall_ns() % u128::from(window);
    if left < u128::from(window) / 3 {
        sleep(Duration::from_nanos(u64::try_from(left).unwrap_or(window)));
    }
}

fn wall_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Whether the report says that the kernel missed events, and the case does not expect it.
fn missed(case: &Case, said: &str) -> bool {
    let told = said.lines().find_map(|line| line.strip_prefix("misses: "));
    told.is_some_and(|told| told != "none" && !told.starts_with("unknown"))
        && !case.directives.losses.iter().any(|kind| kind == "misses")
}

/// Whether the loss report says what the case expects: nothing, but for the counters of its section `losses` and the kinds
/// that its directive of that name allows.
fn losses(case: &Case, said: &str) -> Result<(), String> {
    let allowed = |kind: &str| case.directives.losses.iter().any(|allowed| allowed == kind);
    let section = case.section("losses").map_or("", |section| &section.body);
    let counter = |name: &str| section.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let line = |kind: &str| said.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(": "));
    let count = |text: &str| text.split(' ').next().unwrap_or("").replace(',', "");
    match line("losses") {
        None => return Err("there is no loss report".to_string()),
        Some("none") => {}
        Some(_) if allowed("losses") => {}
        Some(lost) => return Err(format!("something was lost: {lost}")),
    }
    line("misses").ok_or("the report says nothing of misses")?;
    for (kind, name) in [("reads", "read_faults"), ("text", "text_cut"), ("text", "text_unknown")] {
        let mut lines = said.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(": "));
        let told = lines.find(|line| match name {
            "text_cut" => line.contains("cut") && !line.contains("needed"),
            "text_unknown" => line.contains("needed"),
            _ => true,
        });
        match (told, counter(name)) {
            _ if allowed(kind) => {}
            (None, None) => {}
            (Some(told), Some(expected)) if count(told) == expected => {}
            (told, expected) => {
                return Err(format!(
                    "{name}: {} are expected, told is {}",
                    expected.unwrap_or("none"),
                    told.unwrap_or("none")
                ));
            }
        }
    }
    Ok(())
}
