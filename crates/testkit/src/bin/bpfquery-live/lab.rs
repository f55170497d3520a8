//! Where the checks work: the programs, a directory of their own, and waiting.

use crate::Cli;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A check's name, and the check.
pub(crate) type Check = (&'static str, fn(&Lab) -> Verdict);

/// What a check says.
pub(crate) type Verdict = Result<Outcome, String>;

/// How a check ends that does not fail.
pub(crate) enum Outcome {
    /// With these figures.
    Passed(String),
    /// Not run, because of this.
    Skipped(String),
}

/// A check that passes with these figures.
pub(crate) fn passed(figures: impl Into<String>) -> Verdict {
    Ok(Outcome::Passed(figures.into()))
}

/// The error text unless the condition holds.
pub(crate) fn ensure(holds: bool, error: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(error()) }
}

/// The programs and a directory, which goes with it.
pub(crate) struct Lab {
    /// bpfquery.
    pub(crate) bin: PathBuf,
    workloads: PathBuf,
    snapshots: PathBuf,
    objects: Option<PathBuf>,
    bpftool: PathBuf,
    /// Calls that each process of a load makes.
    pub(crate) calls: u64,
    dir: PathBuf,
    files: AtomicU32,
}

impl Lab {
    pub(crate) fn new(cli: &Cli) -> Result<Lab, String> {
        let dir = std::env::temp_dir().join(format!("bpfquery-live-{}", std::process::id()));
        fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Lab {
            bin: cli.bin.clone(),
            workloads: cli.workloads.clone(),
            snapshots: cli.snapshots.clone(),
            objects: cli.objects.clone(),
            bpftool: cli.bpftool.clone(),
            calls: cli.calls,
            dir,
            files: AtomicU32::new(0),
        })
    }

    /// A path of its own in the directory, ending in `name`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}-{name}", self.files.fetch_add(1, Ordering::Relaxed)))
    }

    /// A file of its own with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// A load program.
    pub(crate) fn workload(&self, name: &str) -> PathBuf {
        self.workloads.join(name)
    }

    /// The pinned kernels of Debian, by series, the oldest first.
    pub(crate) fn snapshots(&self) -> Result<Vec<(String, PathBuf)>, String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.snapshots).map_err(|error| format!("{}: {error}", self.snapshots.display()))? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some(series) = name.strip_prefix("linux-").and_then(|name| name.strip_suffix(".snap")) {
                found.push((series.to_string(), path));
            }
        }
        let version = |series: &str| series.split('.').map(|n| n.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
        found.sort_by_key(|(series, _)| version(series));
        Ok(found)
    }

    /// Objects from other machines, by name.
    pub(crate) fn objects(&self) -> Result<Vec<PathBuf>, String> {
        let Some(dir) = &self.objects else { return Ok(Vec::new()) };
        let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut objects: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        objects.sort();
        ensure(!objects.is_empty(), || format!("{}: no objects", dir.display()))?;
        Ok(objects)
    }

    /// bpftool's standard output, as JSON.
    pub(crate) fn bpftool_json(&self, args: &[&str]) -> Result<serde_json::Value, String> {
        let args: Vec<&str> = ["-j"].iter().chain(args).copied().collect();
        let text = self.bpftool(&args)?;
        serde_json::from_str(&text).map_err(|error| format!("bpftool {args:?}: {error}: {text}"))
    }

    /// bpftool's standard output.
    pub(crate) fn bpftool(&self, args: &[&str]) -> Result<String, String> {
        let output = output(Command::new(&self.bpftool).args(args))?;
        ensure(output.status.success(), || {
            let said = [&output.stdout[..], &output.stderr].concat();
            format!("bpftool {args:?}: {}", String::from_utf8_lossy(&said))
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Compiles for a target; the object's path.
    pub(crate) fn compile(&self, sql: &Path, target: &str) -> Result<PathBuf, String> {
        let object = self.path("q.bpf.o");
        let mut command = Command::new(&self.bin);
        let output = output(command.arg("compile").arg(sql).arg("-o").arg(&object).args(["--target", target]))?;
        ensure(output.status.success(), || {
            format!("compile --target {target}: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok(object)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What cannot be removed lies in the directory of temporary files.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Runs a program to its end, without input.
pub(crate) fn output(command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))
}

/// Where a program is, if it is anywhere.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Asks until there is an answer, for half a minute: test machines are slow.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>, String>) -> Result<T, String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure(Instant::now() < deadline, || format!("{what}: not within 30 s"))?;
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A file's text.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|error| format!("{}: {error}", path.display()))
}
