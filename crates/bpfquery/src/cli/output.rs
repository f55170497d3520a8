//! What commands write: stdout, stderr, files.

use crate::cli::{Result, Stop};
use bpfquery_diag::{Failure, render};
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Writes what was asked for.
pub(crate) fn stdout(bytes: &[u8]) -> Result {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Stop::stdout(&error))
}

/// Tells something on stderr, a line or several. If nobody can hear it, that is no failure.
pub(crate) fn tell(text: &str) {
    say(&visible(text));
}

fn say(text: &str) {
    // In one piece, since a child may write there, too.
    let _ = io::stderr().lock().write_all(format!("{}\n", text.trim_end()).as_bytes());
}

/// Tells a failure; `sql` is what its spans point into.
pub(crate) fn failure(failure: &Failure, sql: &str) {
    let text = visible(&render(failure, sql));
    say(&if is_coloured() { colour(&text) } else { text });
}

/// Makes a panic look like every other bug of ours, and end as one.
pub(crate) fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let said = panic.payload_as_str().unwrap_or("a panic");
        failure(&Failure::bug("panic", format!("{said}{place}")), "");
        #[allow(clippy::exit, reason = "a release build would abort, and a signal is not the exit code of a bug")]
        std::process::exit(101);
    }));
}

/// Writes a file whole or not at all: what stood there stays until all is written, and a failure leaves nothing behind.
/// `-` is stdout; what is no regular file (a pipe, `/dev/null`) is written as it is.
pub(crate) fn file(path: &Path, bytes: &[u8]) -> Result {
    if path == Path::new("-") {
        return stdout(bytes);
    }
    let failed = |error: io::Error| Failure::io(format!("write {}", path.display()), error);
    let written = match fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            fs::OpenOptions::new().write(true).open(path).and_then(|mut f| f.write_all(bytes))
        }
        // Renaming onto a symbolic link would replace the link.
        Ok(_) => fs::canonicalize(path).and_then(|path| replace(&path, bytes)),
        Err(_) => replace(path, bytes),
    };
    written.map_err(|error| failed(error).into())
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    let temporary: PathBuf = path.with_file_name(hidden);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // It may not even exist.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Text that a terminal shows and does not obey: names may come from an object or a kernel that nobody here wrote.
fn visible(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if harmless(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// Whether stderr wants colours: a terminal, and no objection (<https://no-color.org>).
fn is_coloured() -> bool {
    let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !objects && !dumb && io::stderr().is_terminal()
}

/// The words before the first colon of each line, and the carets, in colours.
fn colour(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    const RED: &str = "\x1b[1;31m";
    const CYAN: &str = "\x1b[36m";
    const OFF: &str = "\x1b[0m";
    let (code, length) = match line.find(':') {
        _ if line.trim_start().starts_with('|') => (RED, line.trim_end().len()),
        Some(end) if line.starts_with("help:") || line.starts_with("detail:") => (CYAN, end),
        Some(end) if line.starts_with("error") || line.starts_with("unsupported") || line.starts_with("bug") => {
            (RED, end)
        }
        Some(_) | None => return line.to_string(),
    };
    format!("{code}{}{OFF}{}", &line[..length], &line[length..])
}

#[cfg(test)]
mod tests {
    use super::{colour, tell_panics, visible};
    use std::process::Command;

    const PANIC: &str = "BPFQUERY_TEST_PANIC";

    /// Runs itself once more as a process that panics, since a panic ends the process.
    #[test]
    fn a_panic_is_told_as_a_bug() {
        if std::env::var_os(PANIC).is_some() {
            tell_panics();
            panic!("on purpose");
        }
        let name = "cli::output::tests::a_panic_is_told_as_a_bug";
        let mut itself = Command::new(std::env::current_exe().unwrap());
        let output = itself.args(["--exact", name, "--nocapture"]).env(PANIC, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(101));
        let told = String::from_utf8(output.stderr).unwrap();
        let place = format!("bug: panic: on purpose at {}:", file!());
        assert!(told.starts_with(&place), "{told}");
        assert!(
            told.ends_with("help: please report it with the query and the output of `bpfquery doctor`\n"),
            "{told}"
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(visible("é\tb\x1b[2J\r\u{9b}\n"), "é\tb\\u{1b}[2J\\r\\u{9b}\n");
    }

    #[test]
    fn colours() {
        let plain =
            "error[unknown-column]: column \"a:b\" does not exist\n  1 | select a:b\n    |        ^^^\nhelp: x\n";
        let expect = "\x1b[1;31merror[unknown-column]\x1b[0m: column \"a:b\" does not exist\n  1 | select a:b\n\
                      \x1b[1;31m    |        ^^^\x1b[0m\n\x1b[36mhelp\x1b[0m: x\n";
        assert_eq!(colour(plain), expect);
    }
}
