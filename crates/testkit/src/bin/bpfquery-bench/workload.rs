//! A workload: `testdata/bench/NAME.sql` with its directives, and beside it `NAME.usual.c`, `NAME.best.c`, `NAME.bt`.
//!
//! What must hold: a directive that is not known is an error; a file that is missing is a form that cannot say it.

use bpfquery_testkit::case::words;
use std::path::Path;

/// One line of the first table.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// The file's name without its extension.
    pub(crate) name: String,
    /// What the tables call it.
    pub(crate) title: String,
    /// The query.
    pub(crate) sql: String,
    /// The program for bpftrace, if it can say it.
    pub(crate) bpftrace: Option<String>,
    /// What `beat` is told: call, rate, number.
    pub(crate) load: Vec<String>,
    /// The tracepoints that the C in its usual form is attached to.
    pub(crate) hooks: Vec<String>,
    /// The longest text that bpftrace may read, in bytes: of its stack of 512.
    pub(crate) text: u32,
    /// What must be reached.
    pub(crate) target: Target,
    row: u32,
}

/// The most that a workload may have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    /// Of the time in the program: its ratio to C in its usual form.
    pub(crate) ratio: Option<f64>,
    /// The same of what a call takes longer, with statistics off.
    pub(crate) added: Option<f64>,
    /// Of the time in the program: ns above C in its best form.
    pub(crate) above_best: Option<f64>,
}

/// All of a directory, in the tables' order.
///
/// # Errors
/// A directory or a file that cannot be read or understood.
pub(crate) fn read_all(dir: &Path) -> Result<Vec<Workload>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut workloads = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            workloads.push(read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    workloads.sort_by(|a, b| (a.row, &a.name).cmp(&(b.row, &b.name)));
    Ok(workloads)
}

fn read(path: &Path) -> Result<Workload, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let head = text.lines().take_while(|line| line.starts_with("--")).count();
    let mut workload = Workload {
        name: path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        title: String::new(),
        sql: text.lines().skip(head).collect::<Vec<_>>().join("\n"),
        bpftrace: std::fs::read_to_string(path.with_extension("bt")).ok(),
        load: Vec::new(),
        hooks: Vec::new(),
        text: 200,
        target: Target::default(),
        row: 0,
    };
    for line in text.lines().take(head) {
        let directive = line.trim_start_matches("--").split_once(':');
        let (key, value) = directive.ok_or_else(|| format!("no directive: {line}"))?;
        workload.set(key.trim(), value.trim())?;
    }
    if workload.load.len() == 3 && (1..=2).contains(&workload.hooks.len()) {
        Ok(workload)
    } else {
        Err("a load has a call, a rate and a number, and there are one or two hooks".to_string())
    }
}

impl Workload {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || value.parse::<f64>().map_err(|error| format!("{key}: {error}"));
        match key {
            "row" => self.row = value.parse().map_err(|error| format!("{key}: {error}"))?,
            "text" => self.text = value.parse().map_err(|error| format!("{key}: {error}"))?,
            "title" => self.title = value.to_string(),
            "load" => self.load = words(value)?,
            "hooks" => self.hooks = words(value)?,
            "at most" => self.target.ratio = Some(number()?),
            "added at most" => self.target.added = Some(number()?),
            "above best at most" => self.target.above_best = Some(number()?),
            _ => return Err(format!("no directive is called \"{key}\"")),
        }
        Ok(())
    }

    /// The calls that a load makes, those to get warm among them.
    pub(crate) fn calls(&self) -> Result<u64, String> {
        let number: u64 = self.load[2].parse().map_err(|error| format!("{}: {error}", self.load[2]))?;
        Ok(number + number / 10)
    }
}
