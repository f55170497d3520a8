//! The command line's words. Their doc comments are the help texts.

use bpfquery::Stage;
use bpfquery_catalog::parse_duration;
use bpfquery_sink::Format;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// SQL queries on the running Linux kernel, compiled straight to BPF.
#[derive(Debug, Parser)]
#[command(name = "bpfquery", version, max_term_width = 100, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bpfquery run -e 'select pid, comm, str(args.filename) from tracepoint.syscalls.sys_enter_openat'
  bpfquery run --for 10s -e 'select comm, count(*) from sched_switch group by comm'
  bpfquery compile -e 'select pid, cpu from kprobe.do_nanosleep' -o q.bpf.o
  bpfquery list 'kprobe.vfs_*'
  bpfquery describe tracepoint.sched.sched_switch

Rows go to stdout, everything else to stderr.

Exit codes:
  0    done, or nobody reads the rows any more
  1    a file, a pipe or a command failed
  2    the query or the usage is wrong
  3    this kernel, or these privileges, cannot do it
  4    --strict, and something was lost or may have been
  101  a mistake in bpfquery";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a query and print its rows
    Run(Own<RunArgs>),
    /// Compile a query into an object that any BPF loader takes
    Compile(Own<CompileArgs>),
    /// Show what becomes of a query, stage by stage
    Explain(Own<ExplainArgs>),
    /// Write down all that compiling may know of this kernel
    Snapshot(Own<SnapshotArgs>),
    /// List the relations that this kernel has
    List(Own<ListArgs>),
    /// Show the columns of a relation
    Describe(Own<DescribeArgs>),
    /// Tell what this kernel and these privileges allow, and how to get the rest
    Doctor,
    /// Print a script that completes the command line in a shell
    Completions {
        /// Whose script
        shell: clap_complete::Shell,
    },
}

/// A command's own words, which are only made up if they are asked for: those of all commands take as long as a query's text.
#[derive(Debug)]
pub(crate) struct Own<T>(pub(crate) T);

impl<T: FromArgMatches> FromArgMatches for Own<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Own<T>, clap::Error> {
        T::from_arg_matches(matches).map(Own)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Own<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| described(command, T::augment_args))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(|command| described(command, T::augment_args_for_update))
    }
}

/// With its words, and still described as before: groups of words bring descriptions of their own.
fn described(command: clap::Command, with_words: fn(clap::Command) -> clap::Command) -> clap::Command {
    let about = command.get_about().cloned().unwrap_or_default();
    with_words(command).about(about).long_about(None)
}

/// Where SQL comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Source {
    /// A file with the query; `-` is stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The query itself
    #[arg(short = 'e', long = "expression", value_name = "SQL")]
    pub(crate) sql: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
FILE may be SQL or an object that `bpfquery compile` made.
The query ends by Ctrl-C, SIGTERM, --for, LIMIT, or the end of the command of -c.

Examples:
  bpfquery run -e 'select pid, comm, cpu from sched_switch limit 10'
  bpfquery run -c 'dd if=/dev/zero of=/dev/null bs=10240 count=10' \\
    -e 'select hist(retval) from kretprobe.vfs_read where pid = :cpid'
  bpfquery run --param user=1000 --format json \\
    -e 'select pid, comm from sched_process_exec where uid = :user'
  bpfquery run --strict --for 1min q.bpf.o")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: Source,
    /// How rows look
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = formats())]
    pub(crate) format: Format,
    /// End after this time: `500ms`, `10s`, `1min 30s`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Start this command once the query is live, and end with it; its process id is the parameter `:cpid`
    #[arg(short = 'c', long = "command", value_name = "COMMAND", value_parser = words)]
    pub(crate) command: Option<Words>,
    /// Only events of this process (a thread group)
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pid: Option<u32>,
    /// Set a parameter: `:name` in the query; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) params: Vec<(String, String)>,
    /// Make room for so many groups in a hash; where they are slots of an array there is room for all
    #[arg(long, value_name = "N", value_parser = groups())]
    pub(crate) max_groups: Option<u32>,
    /// Fail with exit code 4 if anything was lost, or may have been
    #[arg(long)]
    pub(crate) strict: bool,
    /// Attach to each relation as it is named, not to a cheaper hook of the same events; for comparisons
    #[arg(long, hide = true)]
    pub(crate) keep_hook: bool,
    /// Tell on stderr how long each step of the start took
    #[arg(long)]
    pub(crate) timings: bool,
    /// Tell more on stderr, what the loader says among it
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bpfquery compile q.sql -o q.bpf.o
  bpfquery compile --target 5.10.snap -o q.bpf.o \\
    -e 'select comm, count(*) from sched_switch group by comm'")]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The object; `-` is stdout
    #[arg(short = 'o', long = "output", value_name = "OUT.bpf.o")]
    pub(crate) output: PathBuf,
    /// For which kernels: all from 5.10 on that have the probe (`portable`), the running one (`this`), or that of a
    /// snapshot
    #[arg(long, value_name = "this|portable|FILE.snap", default_value = "portable")]
    pub(crate) target: Target,
    /// Attach to each relation as it is named, not to a cheaper hook of the same events; for comparisons
    #[arg(long, hide = true)]
    pub(crate) keep_hook: bool,
    /// Make room for so many groups, as for run
    #[arg(long, value_name = "N", value_parser = groups())]
    pub(crate) max_groups: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bpfquery explain -e 'select comm, count(*) from sched_switch group by comm'
  bpfquery explain --analyze --for 2s -e 'select comm, count(*) from sched_switch group by comm'
  bpfquery explain --stage all --target k.snap q.sql")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) source: Source,
    /// At which stage to stop; `all` shows one after the other. Without, the plan and the memory that its maps take
    #[arg(long, value_name = "STAGE", value_parser = stages())]
    pub(crate) stage: Option<Stages>,
    /// Run the query, and tell what its programs and maps cost instead of its rows
    #[arg(long, conflicts_with_all = ["stage", "target"])]
    pub(crate) analyze: bool,
    /// End --analyze after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, requires = "analyze")]
    pub(crate) duration: Option<Duration>,
    /// Start this command once the query is live, and end with it, as for run
    #[arg(short = 'c', long = "command", value_name = "COMMAND", value_parser = words, requires = "analyze")]
    pub(crate) command: Option<Words>,
    /// Set a parameter, as for run
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter, requires = "analyze")]
    pub(crate) params: Vec<(String, String)>,
    /// Make room for so many groups, as for run
    #[arg(long, value_name = "N", value_parser = groups())]
    pub(crate) max_groups: Option<u32>,
    /// For which kernels, as for compile
    #[arg(long, value_name = "this|portable|FILE.snap", default_value = "this")]
    pub(crate) target: Target,
    /// Only events of this process, as for run
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pid: Option<u32>,
    /// Attach to each relation as it is named, not to a cheaper hook of the same events; for comparisons
    #[arg(long, hide = true)]
    pub(crate) keep_hook: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A selection has a line for each thing to keep:
  function vfs_read
  type task_struct
  event syscalls.sys_*_openat
  depth 1
  feature kprobe

Examples:
  bpfquery snapshot -o k.snap
  bpfquery snapshot --only selection.txt -o small.snap")]
pub(crate) struct SnapshotArgs {
    /// The snapshot; `-` is stdout
    #[arg(short = 'o', long = "output", value_name = "FILE.snap")]
    pub(crate) output: PathBuf,
    /// Keep only what this file selects, and the types that it needs; `-` is stdin
    #[arg(long, value_name = "SELECTION")]
    pub(crate) only: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
In a GLOB `*` is any text and `?` any one character.

Examples:
  bpfquery list 'kprobe.vfs_*'
  bpfquery list 'sched_*'
  bpfquery list --format json '*tcp*' | jq -r .relation")]
pub(crate) struct ListArgs {
    /// Which ones; without a dot it is tried on the last part of names, too
    #[arg(value_name = "GLOB", default_value = "*")]
    pub(crate) pattern: String,
    /// With kind and module, as rows are shown; without, a name on each line
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Option<Format>,
    /// Which kernel: the running one, or that of a snapshot
    #[arg(long, value_name = "this|FILE.snap", default_value = "this")]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bpfquery describe kprobe.vfs_read
  bpfquery describe sched_switch
  bpfquery describe 'interval(1s)'")]
pub(crate) struct DescribeArgs {
    /// Its name, as after FROM
    #[arg(value_name = "RELATION")]
    pub(crate) relation: String,
    /// Which kernel: the running one, or that of a snapshot
    #[arg(long, value_name = "this|FILE.snap", default_value = "this")]
    pub(crate) target: Target,
}

/// For which kernels, and where the knowledge of them comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The running kernel alone.
    This,
    /// All kernels that have the probe, by what the running one says of it.
    Portable,
    /// The kernel of a snapshot.
    Snapshot(PathBuf),
}

impl From<String> for Target {
    fn from(text: String) -> Target {
        match text.as_str() {
            "this" => Target::This,
            "portable" => Target::Portable,
            _ => Target::Snapshot(PathBuf::from(text)),
        }
    }
}

/// Stages to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stages {
    /// One, bare.
    One(Stage),
    /// Each under its name.
    All,
}

/// A command's program and arguments.
#[derive(Clone, Debug)]
pub(crate) struct Words(pub(crate) Vec<String>);

fn formats() -> impl TypedValueParser<Value = Format> {
    // The parser lets only these names through; `none` is for benchmarks.
    let all = || Format::ALL.into_iter().chain([Format::None]);
    let named = move |name: String| all().find(|format| format.name() == name).unwrap_or_default();
    let hidden = |format: Format| PossibleValue::new(format.name()).hide(format == Format::None);
    PossibleValuesParser::new(all().map(hidden)).map(named)
}

fn stages() -> impl TypedValueParser<Value = Stages> {
    let named = |name: String| Stage::ALL.into_iter().find(|stage| stage.name() == name);
    let names = Stage::ALL.map(Stage::name).into_iter().chain(["all"]);
    PossibleValuesParser::new(names).map(move |name| named(name).map_or(Stages::All, Stages::One))
}

/// A hash of more entries has more buckets than the kernel takes on any machine (htab_map_alloc, kernel/bpf/hashtab.c, Linux 5.10).
fn groups() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=1 << 28)
}

fn duration(text: &str) -> Result<Duration, String> {
    let ns = parse_duration(text).and_then(|ns| u64::try_from(ns).ok());
    ns.map(Duration::from_nanos).ok_or_else(|| "a duration is a number and a unit: 500ms, 10s, 1min 30s".to_string())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.trim_start_matches([':', '$']).to_string(), value.to_string()))
        }
        _ => Err("a parameter is NAME=VALUE".to_string()),
    }
}

/// Words as a shell would split them; nothing is expanded.
fn words(text: &str) -> Result<Words, String> {
    match shlex::split(text) {
        Some(words) if !words.is_empty() => Ok(Words(words)),
        Some(_) => Err("the command is empty".to_string()),
        None => Err("a quote is not closed".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn commands_are_described_by_their_own_words() {
        let about = |command: &clap::Command| command.get_about().map(ToString::to_string);
        let (before, mut built) = (Cli::command(), Cli::command());
        built.build();
        for command in before.get_subcommands() {
            assert!(about(command).is_some(), "{}", command.get_name());
            assert_eq!(built.find_subcommand(command.get_name()).and_then(about), about(command));
        }
        assert!(
            built.find_subcommand("run").is_some_and(|run| run.get_arguments().any(|word| word.get_id() == "strict"))
        );
    }
}
