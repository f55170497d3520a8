//! What a workload costs per event, in each form that can say it.
//!
//! What must hold: the forms take turns, one is attached at a time, and each round begins with another one; a form that fails
//! says why and is not tried again. Time in the program comes from the kernel's statistics; what a call takes longer is
//! measured with statistics off.

use crate::kernel::{Runs, Statistics, TRACEPOINT, runs};
use crate::load::beat;
use crate::made::Made;
use crate::tracer::{TRACER, Tracer, on};
use crate::workload::Workload;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where all things are.
#[derive(Debug)]
pub(crate) struct Lab {
    /// The `bpfquery` to measure.
    pub(crate) bin: PathBuf,
    /// The load programs.
    pub(crate) workloads: PathBuf,
    /// The C programs.
    pub(crate) made: Made,
    /// How often each form is measured.
    pub(crate) rounds: usize,
}

/// A way to say a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// No program.
    Nothing,
    /// A program that does nothing, on the workload's perf tracepoints.
    Empty,
    /// The same on the raw tracepoints behind them, with types.
    EmptyTyped,
    /// The SQL.
    Ours,
    /// C as it is usually written.
    Usual,
    /// The best known C.
    Best,
    /// bpftrace.
    Bpftrace,
}

impl Form {
    /// In the order of the tables.
    pub(crate) const ALL: [Form; 7] =
        [Form::Nothing, Form::Empty, Form::EmptyTyped, Form::Ours, Form::Usual, Form::Best, Form::Bpftrace];
}

/// What a form costs per event, a figure for each round; or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// Whose.
    pub(crate) form: Form,
    /// ns in the programs, net of empty ones on their hooks.
    pub(crate) inside: Vec<f64>,
    /// ns that a call takes longer, with statistics off.
    pub(crate) added: Vec<f64>,
    /// What it reports lost.
    pub(crate) lost: Option<String>,
    /// Why it cannot be measured.
    pub(crate) error: Option<String>,
}

/// One form in one round.
#[derive(Clone, Debug, Default)]
struct Sample {
    programs: Vec<Runs>,
    call_ns: f64,
}

/// Measures a workload.
///
/// # Errors
/// A load or an empty program that fails; what other forms say goes to their costs.
pub(crate) fn measure(lab: &Lab, workload: &Workload) -> Result<Vec<Cost>, String> {
    let mut costs: Vec<Cost> = Vec::new();
    let mut commands: Vec<(Form, Option<Command>)> = Vec::new();
    for form in Form::ALL {
        let cost = Cost { form, inside: Vec::new(), added: Vec::new(), lost: None, error: None };
        match command(lab, workload, form) {
            Ok(Some(command)) => commands.push((form, Some(command))),
            Ok(None) if form == Form::Nothing => commands.push((form, None)),
            Ok(None) => continue,
            Err(why) => {
                costs.push(Cost { error: Some(why), ..cost });
                continue;
            }
        }
        costs.push(cost);
    }
    let tried = commands.len();
    for round in 0..lab.rounds {
        let mut samples: Vec<(Form, Sample)> = Vec::new();
        for step in 0..tried {
            let (form, command) = &commands[(round + step) % tried];
            let Some(cost) = costs.iter_mut().find(|cost| cost.form == *form && cost.error.is_none()) else { continue };
            match sample(lab, workload, command.as_ref().map(again)) {
                Ok((sample, said)) => {
                    cost.lost = lost(&said).or(cost.lost.take());
                    samples.push((*form, sample));
                }
                Err(why) if matches!(form, Form::Nothing | Form::Empty | Form::EmptyTyped) => return Err(why),
                Err(why) => cost.error = Some(why),
            }
        }
        settle(&mut costs, &samples, workload.calls()?)?;
    }
    Ok(costs)
}

/// Adds a round's figures to the costs.
fn settle(costs: &mut [Cost], samples: &[(Form, Sample)], calls: u64) -> Result<(), String> {
    let of = |form| samples.iter().find(|(other, _)| *other == form).map(|(_, sample)| sample);
    let mean = |form| {
        let programs = of(form).map(|sample| sample.programs.as_slice()).unwrap_or_default();
        let (ns, count) = programs.iter().fold((0, 0), |(ns, count), runs| (ns + runs.ns, count + runs.count));
        if count > 0 { Ok(ns as f64 / count as f64) } else { Err("an empty program does not run".to_string()) }
    };
    let (perf, typed) = (mean(Form::Empty)?, mean(Form::EmptyTyped)?);
    let nothing = of(Form::Nothing).map_or(0.0, |sample| sample.call_ns);
    for (form, sample) in samples {
        let Some(cost) = costs.iter_mut().find(|cost| cost.form == *form) else { continue };
        let net = |runs: &Runs| {
            let empty = if runs.kind == TRACEPOINT { perf } else { typed };
            (runs.ns as f64 / runs.count.max(1) as f64 - empty) * per_event(runs.count, calls)
        };
        cost.inside.push(sample.programs.iter().map(net).sum());
        cost.added.push(sample.call_ns - nothing);
    }
    Ok(())
}

/// How often a program runs for each event: twice, where an event is two calls and its hook sees both. Other processes'
/// calls make no difference as long as they are fewer.
fn per_event(count: u64, calls: u64) -> f64 {
    (count as f64 / calls as f64).round().max(1.0)
}

/// Starts the form, makes the load twice, with statistics and without, and ends it.
fn sample(lab: &Lab, workload: &Workload, command: Option<Command>) -> Result<(Sample, String), String> {
    let Some(command) = command else {
        return Ok((Sample { programs: Vec::new(), call_ns: load(lab, workload)? }, String::new()));
    };
    let tracer = Tracer::start(command, Stdio::null())?;
    let statistics = Statistics::on()?;
    let before = runs(tracer.pid());
    load(lab, workload)?;
    let after = runs(tracer.pid());
    drop(statistics);
    let call_ns = load(lab, workload)?;
    let said = tracer.stop()?;
    let ran = after.iter().map(|(id, runs)| *runs - before.get(id).copied().unwrap_or_default());
    let programs: Vec<Runs> = ran.filter(|runs| runs.count > 0).collect();
    let most = programs.iter().map(|runs| runs.count).max().unwrap_or_default();
    if most < workload.calls()? {
        return Err(format!("its programs ran {most} times, for {} calls", workload.calls()?));
    }
    Ok((Sample { programs, call_ns }, said))
}

fn load(lab: &Lab, workload: &Workload) -> Result<f64, String> {
    Ok(beat(lab, &workload.load)?.call_ns)
}

/// How a form is started; `None` if there is no such form of this workload.
fn command(lab: &Lab, workload: &Workload, form: Form) -> Result<Option<Command>, String> {
    let loaded = |object: PathBuf| {
        let mut command = on(TRACER, &lab.made.loader());
        command.arg(object);
        command
    };
    Ok(match form {
        Form::Nothing => None,
        Form::Empty => {
            let hooks: Vec<String> = workload.hooks.iter().map(|hook| format!("tp/{hook}")).collect();
            Some(loaded(lab.made.empty(&format!("{}.empty", workload.name), &hooks)?))
        }
        Form::EmptyTyped => {
            let hooks: Vec<String> = workload.hooks.iter().map(|hook| typed(hook)).collect();
            Some(loaded(lab.made.empty(&format!("{}.typed", workload.name), &hooks)?))
        }
        Form::Ours => {
            let mut command = on(TRACER, &lab.bin);
            command.args(["run", "--format", "json", "-e", &workload.sql]);
            Some(command)
        }
        Form::Usual => lab.made.object(&format!("{}.usual", workload.name))?.map(loaded),
        Form::Best => lab.made.object(&format!("{}.best", workload.name))?.map(loaded),
        Form::Bpftrace => workload.bpftrace.as_deref().map(|text| bpftrace(text, workload.text)).transpose()?,
    })
}

/// The raw tracepoint behind `raw_syscalls/sys_enter`, and behind `syscalls/sys_enter_read`.
fn typed(hook: &str) -> String {
    let name = if hook.contains("sys_exit") { "sys_exit" } else { "sys_enter" };
    format!("tp_btf/{name}")
}

/// The child, which it starts when it is live, is this program, and says so.
fn bpftrace(text: &str, bytes: u32) -> Result<Command, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = on(TRACER, "bpftrace".as_ref());
    // As many groups as the others have.
    command.env("BPFTRACE_MAP_KEYS_MAX", "4096").env("BPFTRACE_STRLEN", bytes.to_string());
    command.args(["-c", &format!("{} hold", this.display()), "-e", text]);
    Ok(command)
}

fn again(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    copy
}

/// What a tracer says of lost rows.
fn lost(said: &str) -> Option<String> {
    let line = said.lines().find(|line| line.to_lowercase().contains("lost") || line.starts_with("losses: "))?;
    (line != "losses: none").then(|| line.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::{Cost, Form, Runs, Sample, TRACEPOINT, settle};

    #[test]
    fn figures_are_net_of_the_empty_program_on_their_hook() {
        let runs =
            |kind, ns: u64| Sample { programs: vec![Runs { kind, count: 110, ns: ns * 110 }], call_ns: ns as f64 };
        let cost = |form| Cost { form, inside: Vec::new(), added: Vec::new(), lost: None, error: None };
        let mut costs = [cost(Form::Ours), cost(Form::Usual)];
        let nothing = Sample { programs: Vec::new(), call_ns: 5.0 };
        let samples = [
            (Form::Nothing, nothing),
            (Form::Empty, runs(TRACEPOINT, 50)),
            (Form::EmptyTyped, runs(26, 40)),
            (Form::Ours, runs(17, 70)),
            (Form::Usual, runs(TRACEPOINT, 110)),
        ];
        settle(&mut costs, &samples, 100).expect("all ran");
        assert_eq!((costs[0].inside.as_slice(), costs[0].added.as_slice()), ([30.0].as_slice(), [65.0].as_slice()));
        assert_eq!(costs[1].inside, [60.0]);
        // A hook that sees two calls for each event.
        settle(&mut costs, &samples, 55).expect("all ran");
        assert_eq!(costs[0].inside, [30.0, 60.0]);
    }
}
