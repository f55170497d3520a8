//! `compile` writes a whole object or nothing.

use crate::ends::exit_code;
use crate::lab::{Check, Lab, Verdict, ensure, passed};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The checks of this file.
pub(crate) const CHECKS: &[Check] =
    &[("files/wrong-query", wrong_query), ("files/full", full), ("files/nowhere", nowhere)];

const RIGHT: &str = "select comm, count(*), hist(cpu) from sched_switch group by comm";
const WRONG: &str = "select comn from sched_switch";

fn compile(lab: &Lab, sql: &str, to: &Path) -> Result<i32, String> {
    exit_code(Command::new(&lab.bin).args(["compile", "-e", sql, "-o"]).arg(to).stderr(Stdio::null()))
}

/// A directory of its own, empty.
fn directory(lab: &Lab) -> Result<PathBuf, String> {
    let dir = lab.path("objects");
    fs::create_dir(&dir).map_err(|error| error.to_string())?;
    Ok(dir)
}

fn names(dir: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(dir).map_err(|error| error.to_string())?.filter_map(Result::ok);
    Ok(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

fn expect(code: i32, expect: i32, what: &str) -> Result<(), String> {
    ensure(code == expect, || format!("{what}: exit code {code} instead of {expect}"))
}

fn wrong_query(lab: &Lab) -> Verdict {
    let dir = directory(lab)?;
    let object = dir.join("q.bpf.o");
    expect(compile(lab, WRONG, &object)?, 2, "a wrong query")?;
    ensure(names(&dir)?.is_empty(), || format!("a wrong query left {:?}", names(&dir)))?;
    expect(compile(lab, RIGHT, &object)?, 0, "a right query")?;
    let bytes = fs::read(&object).map_err(|error| error.to_string())?;
    expect(compile(lab, WRONG, &object)?, 2, "a wrong query")?;
    ensure(fs::read(&object).ok() == Some(bytes), || "a wrong query changed the object that was there".to_string())?;
    ensure(names(&dir)? == ["q.bpf.o"], || format!("left: {:?}", names(&dir)))?;
    passed("exit code 2, no file; what was there stays as it was")
}

/// A file system with room for half an object.
fn full(lab: &Lab) -> Verdict {
    let dir = directory(lab)?;
    let page = Some("size=4096,nr_inodes=16");
    mount(Some("tmpfs"), &dir, Some("tmpfs"), MsFlags::empty(), page).map_err(|error| format!("tmpfs: {error}"))?;
    let compiled = compile(lab, RIGHT, &dir.join("q.bpf.o")).and_then(|code| Ok((code, names(&dir)?)));
    umount2(&dir, MntFlags::empty()).map_err(|error| format!("umount: {error}"))?;
    let (code, left) = compiled?;
    expect(code, 1, "a full file system")?;
    ensure(left.is_empty(), || format!("a full file system has {left:?}"))?;
    expect(compile(lab, RIGHT, Path::new("/dev/full"))?, 1, "/dev/full")?;
    passed("exit code 1, no file; /dev/full: exit code 1")
}

fn nowhere(lab: &Lab) -> Verdict {
    let dir = directory(lab)?;
    expect(compile(lab, RIGHT, &dir.join("none/q.bpf.o"))?, 1, "no such directory")?;
    expect(compile(lab, RIGHT, &dir)?, 1, "a directory")?;
    ensure(names(&dir)?.is_empty(), || format!("left: {:?}", names(&dir)))?;
    passed("no such directory and a directory: exit code 1, no file")
}
