//! `bpfquery run`

use crate::cli::args::RunArgs;
use crate::cli::input::{self, Input};
use crate::cli::params::{check_process, command_pid, may_want_command_pid, values};
use crate::cli::timings::Timings;
use crate::cli::{Result, Stop, listing, output};
use arrow_array::RecordBatch;
use bpfquery::{Target, compile};
use bpfquery_catalog::Hook;
use bpfquery_diag::{Diagnostic, Failure};
use bpfquery_exec::arrow_schema;
use bpfquery_host::Live;
use bpfquery_object::Manifest;
use bpfquery_plan::Source;
use bpfquery_runtime::{Command, Ended, Flow, Options, PartialWindow, Receiver, Report, Session};
use bpfquery_sink::{Emission, Sink};
use std::io;

pub(crate) fn run(args: &RunArgs) -> Result {
    let mut timings = Timings::start();
    let input = input::input(&args.source)?;
    let command = args.command.as_ref().map(|words| command(&words.0, &input)).transpose()?;
    timings.done("command");
    let kernel = Live::new().mapping(bpfquery_runtime::map);
    let (object, compiled_here) = match input {
        Input::Sql(sql) => {
            let options = bpfquery::Options {
                target: Target::This,
                pid: args.pid,
                keep_hook: args.keep_hook,
                max_groups: args.max_groups,
            };
            let compiled = compile(&sql, &kernel, options).map_err(|failure| Stop::Failed(failure, sql.clone()))?;
            if !compiled.needs_kernel() {
                if args.command.is_some() {
                    return Err(usage("-c starts a command while events come, and information_schema has none").into());
                }
                return listing::run(args, &compiled, &kernel).map_err(|stop| stop.within(&sql));
            }
            (compiled.object, true)
        }
        Input::Object(_) if args.pid.is_some() => return Err(usage("-p works on SQL, and this is an object").into()),
        Input::Object(object) => (object, false),
    };
    timings.done("compile");
    let manifest = Session::manifest_of(&object)?;
    let opened = open(args, command.as_ref(), &kernel, &object, &manifest, compiled_here);
    timings.done("load and attach");
    if args.timings {
        output::tell(&timings.to_string());
    }
    match opened.and_then(|session| follow(args, command, session, &manifest)) {
        // What fails from here on points into the query that the object was made of.
        Err(Stop::Failed(failure, _)) => Err(Stop::Failed(failure, manifest.sql)),
        ended => ended,
    }
}

/// The command of -c. A process now, while there is little memory that forking would have to share; or none before the query is
/// live, if the query cannot ask for its id.
fn command(words: &[String], input: &Input) -> Result<Command> {
    Ok(match input {
        Input::Sql(sql) if !may_want_command_pid(sql) => Command::later(words)?,
        Input::Sql(_) | Input::Object(_) => Command::spawn(words)?,
    })
}

fn open(
    args: &RunArgs,
    command: Option<&Command>,
    kernel: &Live,
    object: &[u8],
    manifest: &Manifest,
    compiled_here: bool,
) -> Result<Session> {
    check_process(args.pid, &manifest.params)?;
    let mut given = args.params.clone();
    given.extend(command.and_then(command_pid));
    let params = values(&manifest.params, &given)?;
    let (max_groups, verbose) = (args.max_groups, args.verbose);
    let options = Options { params, max_groups, verbose, compiled_here, drop_privileges: true, analyze: false };
    Ok(Session::open_as(object, manifest.clone(), kernel, &options)?)
}

fn follow(args: &RunArgs, command: Option<Command>, session: Session, manifest: &Manifest) -> Result {
    let stop = bpfquery_runtime::Stop { after: args.duration, command, signals: true };
    let mut printer = Printer::new(args, manifest);
    let report = session.run(stop, &mut printer)?;
    printer.end(&report, args.strict)
}

/// `attached 1 program: kprobe.do_nanosleep`; nothing where nothing is.
fn attached(manifest: &Manifest) -> Option<String> {
    if is_once(manifest) {
        return None;
    }
    let hooks: Vec<String> = manifest.programs.iter().map(|program| program.hook.to_string()).collect();
    let plural = if hooks.len() == 1 { "" } else { "s" };
    Some(format!("attached {} program{plural}: {}", hooks.len(), hooks.join(", ")))
}

fn usage(message: &str) -> Failure {
    Diagnostic {
        code: bpfquery_diag::Code("usage"),
        message: message.to_string(),
        span: None,
        details: Vec::new(),
        helps: Vec::new(),
    }
    .into()
}

/// Prints rows as they come.
struct Printer {
    sink: Box<dyn Sink>,
    /// What to tell once the query is live.
    attached: Option<String>,
    closed: bool,
}

impl Printer {
    fn new(args: &RunArgs, manifest: &Manifest) -> Printer {
        let schema = arrow_schema(&manifest.user.output);
        let sink = args.format.sink(&schema, emission(manifest), Box::new(io::stdout()));
        Printer { sink, attached: attached(manifest), closed: false }
    }

    /// Notes a closed pipe, which is no failure.
    fn written(&mut self, result: io::Result<()>) -> std::result::Result<Flow, Failure> {
        match result {
            Ok(()) => Ok(Flow::Continue),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(Flow::Stop)
            }
            Err(error) => Err(Failure::io("write to stdout", error)),
        }
    }

    /// Ends the output and tells what was lost.
    fn end(mut self, report: &Report, strict: bool) -> Result {
        if !self.closed {
            let finished = self.sink.finish();
            self.written(finished)?;
        }
        if self.closed {
            return Err(Stop::Closed);
        }
        if let Ended::Command(code) = report.ended
            && code != 0
        {
            output::tell(&format!("note: the command ended with exit code {code}"));
        }
        output::tell(&report.to_string());
        if strict && !report.is_lossless() { Err(Stop::Lost) } else { Ok(()) }
    }
}

impl Receiver for Printer {
    fn rows(&mut self, batch: RecordBatch) -> std::result::Result<Flow, Failure> {
        let written = self.sink.batch(&batch);
        self.written(written)
    }

    fn live(&mut self) {
        self.attached.iter().for_each(|line| output::tell(line));
    }

    fn partial_window(&mut self, window: PartialWindow) {
        output::tell(&format!("note: {window}"));
    }
}

/// What a batch of this query is.
fn emission(manifest: &Manifest) -> Emission {
    match &manifest.user.source {
        Source::Rows { .. } if is_once(manifest) => Emission::Whole,
        Source::Rows { .. } => Emission::Rows,
        Source::Groups { window: Some(_), .. } => Emission::Windows,
        Source::Groups { window: None, .. } | Source::Listing { .. } => Emission::Whole,
    }
}

/// Whether it is a query without FROM: it runs once, and is attached to nothing.
fn is_once(manifest: &Manifest) -> bool {
    manifest.programs.iter().all(|program| program.hook == Hook::Once)
}
