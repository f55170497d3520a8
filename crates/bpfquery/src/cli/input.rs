//! What commands read: queries, objects, snapshots.

use crate::cli::args::{Source, Target};
use bpfquery_catalog::{Kernel, Snapshot};
use bpfquery_diag::{Failure, Result};
use bpfquery_host::Live;
use std::io::Read;
use std::path::Path;

/// What an ELF file starts with.
const ELF: &[u8] = b"\x7fELF";

/// A query to run.
pub(crate) enum Input {
    /// Its text.
    Sql(String),
    /// Its object.
    Object(Vec<u8>),
}

/// Reads a query or an object, whichever it is.
pub(crate) fn input(source: &Source) -> Result<Input> {
    let (name, bytes) = match (&source.sql, &source.file) {
        (Some(sql), _) => return Ok(Input::Sql(sql.clone())),
        (None, Some(file)) => (file.display().to_string(), read(file)?),
        (None, None) => return Err(Failure::bug("arguments", "neither a file nor a query")),
    };
    if bytes.starts_with(ELF) {
        return Ok(Input::Object(bytes));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::io(format!("read {name}"), "it is not UTF-8"))?;
    Ok(Input::Sql(text))
}

/// Reads a query's text.
pub(crate) fn sql(source: &Source) -> Result<String> {
    match input(source)? {
        Input::Sql(text) => Ok(text),
        Input::Object(_) => Err(Failure::io("read the query", "it is an object, compiled already")),
    }
}

/// The kernel that a target says, looked into lazily, and what to compile for it.
pub(crate) fn kernel(target: &Target) -> Result<(Box<dyn Kernel>, bpfquery::Target)> {
    let live = || Box::new(Live::new().mapping(bpfquery_runtime::map));
    Ok(match target {
        Target::This => (live(), bpfquery::Target::This),
        Target::Portable => (live(), bpfquery::Target::Portable),
        Target::Snapshot(file) => (Box::new(Snapshot::from_bytes(&read(file)?)?), bpfquery::Target::This),
    })
}

/// All of a file's bytes; `-` is stdin.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().lock().read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    match read {
        Ok(_) => Ok(bytes),
        // Whoever forgets -e gives SQL for a name.
        Err(error) if file.to_string_lossy().contains(char::is_whitespace) => {
            Err(Failure::io(format!("read {}", file.display()), format!("{error}\nhelp: SQL itself stands behind -e")))
        }
        Err(error) => Err(Failure::io(format!("read {}", file.display()), error)),
    }
}
