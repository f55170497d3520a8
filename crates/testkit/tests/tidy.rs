//! Rules of the tree that no compiler holds.
//!
//! Not checked: that comments are true, and that prose is plain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates in reading order: each may depend on those before it only.
const ORDER: [&str; 14] = [
    "bpfquery-diag",
    "bpfquery-isa",
    "bpfquery-btf",
    "bpfquery-catalog",
    "bpfquery-plan",
    "bpfquery-sql",
    "bpfquery-codegen",
    "bpfquery-object",
    "bpfquery-exec",
    "bpfquery-host",
    "bpfquery-runtime",
    "bpfquery-sink",
    "bpfquery",
    "bpfquery-testkit",
];

/// Code that is longer is several things.
const MOST_LINES: usize = 700;

#[test]
fn each_crate_depends_on_those_before_it() {
    let mut wrong = Vec::new();
    let packages = packages();
    let known: BTreeSet<&str> = ORDER.into();
    let found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(found, known, "the crates of the workspace");
    for (at, name) in ORDER.iter().enumerate() {
        for dependency in &packages[*name] {
            match ORDER.iter().position(|other| other == dependency) {
                Some(other) if other >= at => wrong.push(format!("{name} depends on {dependency}")),
                _ => {}
            }
            if dependency == "sqlparser" && *name != "bpfquery-sql" {
                wrong.push(format!("{name} depends on sqlparser, whose types stay in bpfquery-sql"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each crate of the workspace with what it depends on, tests' dependencies too.
fn packages() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let dependencies =
        |package: &serde_json::Value| list(&package["dependencies"]).iter().map(|d| text(&d["name"])).collect();
    list(&metadata["packages"]).iter().map(|package| (text(&package["name"]), dependencies(package))).collect()
}

#[test]
fn sources_keep_the_house_rules() {
    let mut wrong = Vec::new();
    for (path, text) in files(&["crates", "fuzz"], &["rs"]) {
        let mut say = |what: &str| wrong.push(format!("{}: {what}", path.display()));
        if !text.starts_with("//!") && !path.ends_with("build.rs") {
            say("does not open with what must hold (//!)");
        }
        if text.lines().count() > MOST_LINES {
            say(&format!("has {} lines, more than {MOST_LINES}", text.lines().count()));
        }
        for (number, line) in text.lines().enumerate() {
            // Spelt in halves, so that this file keeps its own rules.
            for banned in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ign", "ore")] {
                if line.contains(banned) {
                    wrong.push(format!("{}:{}: {banned}", path.display(), number + 1));
                }
            }
            let code = line.split("//").next().unwrap_or("");
            let unsafe_code = [concat!("unsa", "fe {"), concat!("unsa", "fe fn"), concat!("unsa", "fe impl")];
            if unsafe_code.iter().any(|text| code.contains(text)) && !path.starts_with("crates/runtime") {
                wrong.push(format!("{}:{}: only crates/runtime is unsafe", path.display(), number + 1));
            }
            if code.contains(concat!("sqlparser", "::")) && !path.starts_with("crates/sql") {
                wrong.push(format!("{}:{}: sqlparser outside crates/sql", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_line_ends_in_blanks() {
    let kinds = ["rs", "toml", "md", "sh", "c", "h", "case", "txt", "ir", "yml"];
    let mut wrong = Vec::new();
    for (path, text) in files(&["crates", "docs", "scripts", "testdata", "fuzz", ".ci"], &kinds) {
        let ends = text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t', '\r']));
        wrong.extend(ends.map(|(number, _)| format!("{}:{}", path.display(), number + 1)));
        if !text.is_empty() && !text.ends_with('\n') {
            wrong.push(format!("{}: the last line has no end", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_code_has_a_case() {
    let mut used = BTreeMap::new();
    for (path, text) in files(&["crates"], &["rs"]) {
        if path.components().any(|part| part.as_os_str() == "tests") || path.starts_with("crates/diag") {
            continue;
        }
        let code = text.split(concat!("#[cfg(", "test)]")).next().unwrap_or("");
        for call in code.split("Diagnostic::new(").skip(1) {
            if let Some(name) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                used.insert(name.to_string(), path.clone());
            }
        }
    }
    assert!(used.len() > 10, "the codes were not found: {used:?}");
    let cases = files(&["testdata/cases"], &["case"]);
    // What a case cannot show (a query of a mebibyte, a kernel that refuses a probe) a test of a crate names.
    let tests = files(&["crates"], &["rs"]);
    let tested = |code: &str| {
        let names = [format!("\"{code}\""), format!("error[{code}]")];
        let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
        tests.iter().any(|(path, text)| is_test(path) && names.iter().any(|name| text.contains(name)))
    };
    let told = |code: &str| cases.iter().any(|(_, text)| text.contains(&format!("\nerror[{code}]: "))) || tested(code);
    let missing = used.iter().filter(|(code, _)| !told(code));
    let missing: Vec<String> = missing.map(|(code, path)| format!("{code} ({})", path.display())).collect();
    assert!(missing.is_empty(), "no case shows these errors: {}", missing.join(", "));
}

/// The files of these kinds below these directories, by their path from the tree's root.
fn files(below: &[&str], kinds: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in below {
        collect(&root().join(dir), kinds, &mut found);
    }
    found.sort();
    found
}

fn collect(dir: &Path, kinds: &[&str], found: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            let built = path.ends_with("target") || path.ends_with("corpus") || path.ends_with("artifacts");
            if !built {
                collect(&path, kinds, found);
            }
        } else if path.extension().is_some_and(|extension| kinds.iter().any(|kind| extension == *kind))
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let name = path.strip_prefix(root()).unwrap_or(&path).to_path_buf();
            found.push((name, text));
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}
