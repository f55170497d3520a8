//! What must not be there: dependencies and words that a crate may not have.
//!
//! Not checked: what the lints of the workspace check already, and what code reaches through another crate's functions.

use crate::root;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who may depend on the crates of others that decide what a crate is about. Development dependencies are free.
const OWNERS: [(&str, &[&str]); 7] = [
    ("sqlparser", &["sql"]),
    ("libbpf-rs", &["runtime", "testkit"]),
    ("libbpf-sys", &["runtime"]),
    ("object", &["object"]),
    ("clap", &["bpfquery", "testkit"]),
    ("arrow-schema", &["exec", "runtime", "sink", "bpfquery", "testkit"]),
    ("arrow-array", &["exec", "runtime", "sink", "bpfquery", "testkit"]),
];

/// The crates that compile: their result depends on their arguments alone.
const PURE: [&str; 9] = ["diag", "isa", "btf", "catalog", "plan", "sql", "codegen", "object", "exec"];

/// Ways to files, clocks and the environment.
const IMPURE: [&str; 8] =
    ["std::fs", "std::env", "std::net", "std::process", "SystemTime", "Instant", "\"/sys", "\"/proc"];

#[test]
fn crates_depend_upwards_only() {
    let order = order();
    assert!(order.len() > 10, "{order:?}");
    for (place, name) in order.iter().enumerate() {
        for dependency in dependencies(name).keys().filter_map(|key| own(key)) {
            let above = order.iter().position(|other| *other == dependency);
            assert!(above.is_some_and(|above| above < place), "{name} depends on {dependency}, which is not above it");
        }
    }
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    for name in order() {
        for (dependency, owners) in OWNERS {
            let uses = dependencies(&name).contains_key(dependency);
            assert!(!uses || owners.contains(&name.as_str()), "{name} depends on {dependency}");
        }
    }
    for (path, text) in sources("sql") {
        let public = |line: &&str| {
            line.trim_start().starts_with("pub ") && ["sp::", "sqlparser"].iter().any(|n| line.contains(n))
        };
        assert_eq!(text.lines().find(public), None, "{}", path.display());
    }
}

#[test]
fn unsafe_is_allowed_in_one_place() {
    for name in order() {
        let manifest = read(&root().join("crates").join(&name).join("Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has lints of its own");
        for (path, text) in sources(&name) {
            let allowed = text.contains("allow(unsafe_code") || text.contains("expect(unsafe_code");
            assert!(!allowed || name == "runtime", "{} allows unsafe code", path.display());
        }
    }
}

#[test]
fn only_lower_sees_a_plan() {
    let below = sources("codegen").into_iter().filter(|(path, _)| !path.to_string_lossy().contains("/src/lower/"));
    for (path, text) in below {
        assert!(!text.contains("bpfquery_plan"), "{} names a plan", path.display());
    }
}

#[test]
fn compiling_is_pure() {
    for name in PURE {
        for (path, text) in sources(name) {
            // Words in documentation are free.
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let word = IMPURE.iter().find(|word| line.contains(**word));
                assert_eq!(word, None, "{}: {line}", path.display());
            }
        }
    }
}

/// The directories of the crates, in the workspace's order.
fn order() -> Vec<String> {
    let workspace = read(&root().join("Cargo.toml"));
    let directory = |line: &str| {
        let (_, path) = line.split_once(" = { path = \"crates/")?;
        Some(path.split('"').next()?.to_string())
    };
    workspace.lines().filter_map(directory).collect()
}

/// The directory of one of the project's own crates.
fn own(package: &str) -> Option<String> {
    match package.strip_prefix("bpfquery") {
        Some("") => Some("bpfquery".to_string()),
        Some(rest) => Some(rest.trim_start_matches('-').to_string()),
        None => None,
    }
}

/// The lines under `[dependencies]`, by name.
fn dependencies(name: &str) -> BTreeMap<String, String> {
    let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
    let section = manifest.split_once("[dependencies]\n").map_or("", |(_, rest)| rest);
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let pair = |line: &str| {
        let (key, value) = line.split_once('=')?;
        Some((key.trim().trim_end_matches(".workspace").to_string(), value.to_string()))
    };
    lines.filter_map(pair).collect()
}

/// Every source file of a crate, tests left out.
fn sources(name: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left = vec![root().join("crates").join(name).join("src")];
    while let Some(directory) = left.pop() {
        let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        for path in entries.map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", directory.display())).path())
        {
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), read(&path)));
            }
        }
    }
    assert!(!found.is_empty(), "{name} has no sources");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
