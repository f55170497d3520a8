//! What is compiled before anything is measured: the C programs by clang, their loader by gcc.
//!
//! What must hold: clang warns of nothing; a program that is missing is no error.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directories of sources and of what is made of them.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// `testdata/bench`.
    pub(crate) from: PathBuf,
    /// Where it goes.
    pub(crate) into: PathBuf,
}

impl Made {
    /// Makes `vmlinux.h` of the running kernel and the loader.
    pub(crate) fn new(from: &Path, into: &Path, bpftool: &Path) -> Result<Made, String> {
        std::fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
        let made = Made { from: from.to_path_buf(), into: into.to_path_buf() };
        let types =
            output(Command::new(bpftool).args(["btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"]))?;
        let header = into.join("vmlinux.h");
        std::fs::write(&header, types).map_err(|error| format!("{}: {error}", header.display()))?;
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-o"]).arg(made.loader());
        output(gcc.arg(from.join("loader.c")).arg("-lbpf"))?;
        Ok(made)
    }

    /// The loader of the C programs.
    pub(crate) fn loader(&self) -> PathBuf {
        self.into.join("loader")
    }

    /// The object of `SOURCE.c`, if there is one.
    pub(crate) fn object(&self, source: &str) -> Result<Option<PathBuf>, String> {
        let path = self.from.join(format!("{source}.c"));
        if !path.exists() {
            return Ok(None);
        }
        let object = self.into.join(format!("{}.o", source.trim_start_matches("../").replace('/', ".")));
        self.clang(&path, &object, &[]).map(|()| Some(object))
    }

    /// The object of a program that does nothing, on each of these hooks (`tp/raw_syscalls/sys_enter`).
    pub(crate) fn empty(&self, name: &str, hooks: &[String]) -> Result<PathBuf, String> {
        let object = self.into.join(format!("{name}.o"));
        let define = |(name, hook): (&str, &String)| format!("-D{name}=\"{hook}\"");
        let defines: Vec<String> = ["ENTER", "EXIT"].into_iter().zip(hooks).map(define).collect();
        self.clang(&self.from.join("empty.c"), &object, &defines).map(|()| object)
    }

    fn clang(&self, source: &Path, object: &Path, defines: &[String]) -> Result<(), String> {
        let mut clang = Command::new("clang");
        // CO-RE's records come with debug information; v3 is what bpftool and libbpf-tools ask for.
        clang.args(["-g", "-O2", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86"]);
        clang
            .args(defines)
            .arg("-I")
            .arg(&self.from)
            .arg("-I")
            .arg(&self.into)
            .arg("-c")
            .arg(source)
            .arg("-o")
            .arg(object);
        output(&mut clang).map(drop)
    }
}

/// What a command prints.
///
/// # Errors
/// One that does not start, or fails; with what it said.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {}: {}", output.status, said.trim()))
}
