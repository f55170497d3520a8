//! Lists that are made from the source, or held against it.

use crate::markdown::{Page, Part};
use bpfquery_catalog::Builtin;
use bpfquery_plan::aggregates::{aggregate, aggregate_names};
use bpfquery_plan::functions::{scalar, scalar_names};
use bpfquery_testkit::case::TITLES;
use std::collections::BTreeSet;
use std::path::Path;

/// The page with its lists made anew.
pub(crate) fn made(page: &Page) -> Result<Page, String> {
    let part = |part: &Part| match part {
        Part::Made { name, .. } => Ok(Part::Made { name: name.clone(), body: list(name)? }),
        other => Ok(other.clone()),
    };
    Ok(Page { parts: page.parts.iter().map(part).collect::<Result<_, String>>()? })
}

fn list(name: &str) -> Result<String, String> {
    match name {
        "functions" => {
            let row = |name| scalar(name).map(|f| (f.signature(), f.doc().to_string()));
            Ok(table(["function", "what it gives"], scalar_names().filter_map(row)))
        }
        "aggregates" => {
            let row = |name| aggregate(name).map(|f| (f.signature(), f.doc().to_string()));
            Ok(table(["aggregate", "what it gives"], aggregate_names().filter_map(row)))
        }
        "builtins" => {
            let row = |builtin: &Builtin| (builtin.name(), format!("{}: {}", builtin.ty(), builtin.doc()));
            Ok(table(["column", "type and meaning"], Builtin::ALL.iter().map(row)))
        }
        other => Err(format!("no list is called \"{other}\"")),
    }
}

fn table<'a>(head: [&str; 2], rows: impl Iterator<Item = (&'a str, String)>) -> String {
    let rows: String = rows.map(|(name, text)| format!("| `{name}` | {text} |\n")).collect();
    format!("| {} | {} |\n|---|---|\n{rows}", head[0], head[1])
}

/// Whether the page on dependencies has a row for each, and for nothing else.
pub(crate) fn dependencies(root: &Path) -> Result<(), String> {
    let mut used = BTreeSet::new();
    for manifest in manifests(root)? {
        used.extend(dependencies_of(&read(&manifest)?));
    }
    let page = read(&root.join("docs/dependencies.md"))?;
    let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_string());
    let listed: BTreeSet<String> = page.lines().filter_map(row).collect();
    let differ = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    let (missing, idle) = (differ(&used, &listed), differ(&listed, &used));
    if missing.is_empty() && idle.is_empty() {
        return Ok(());
    }
    Err(format!("not listed: {missing:?}; listed, and no dependency: {idle:?}"))
}

/// Every manifest of the project.
fn manifests(root: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let mut all = vec![root.join("Cargo.toml"), root.join("fuzz/Cargo.toml")];
    for entry in std::fs::read_dir(root.join("crates")).map_err(|error| error.to_string())? {
        all.push(entry.map_err(|error| error.to_string())?.path().join("Cargo.toml"));
    }
    Ok(all)
}

/// The crates of others that a manifest names, of all kinds of dependencies.
fn dependencies_of(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim_matches(['[', ']']).ends_with("dependencies");
        } else if inside && let Some((key, _)) = line.split_once('=') {
            let name = key.split('.').next().unwrap_or(key).trim();
            if !name.is_empty() && !name.starts_with('#') && !name.starts_with("bpfquery") {
                names.insert(name.to_string());
            }
        }
    }
    names
}

/// Whether the page on testing names every directive and every section of a case, and no other.
pub(crate) fn cases(root: &Path) -> Result<(), String> {
    let page = read(&root.join("docs/testing.md"))?;
    let (_, tables) = page.split_once("| directive |").ok_or("there is no table of directives")?;
    let (directives, sections) = tables.split_once("| section |").ok_or("there is no table of sections")?;
    let parser = read(&root.join("crates/testkit/src/case.rs"))?;
    let (_, known) = parser.split_once("match key {").ok_or("case.rs has no match over directives")?;
    let known = known.split("_ =>").next().unwrap_or("");
    let key = |line: &str| Some(line.trim().strip_prefix('"')?.split('"').next()?.to_string());
    same_names("directives", known.lines().filter_map(key).collect(), first_cells(directives))?;
    let titles = TITLES.into_iter().map(str::to_string);
    same_names("sections", titles.collect(), first_cells(sections))
}

/// The names in backquotes in the first cells of a table, whose head has been cut off.
fn first_cells(table: &str) -> BTreeSet<String> {
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    cells.map(str::to_string).collect()
}

fn same_names(what: &str, known: BTreeSet<String>, told: BTreeSet<String>) -> Result<(), String> {
    if known == told { Ok(()) } else { Err(format!("{what} are {known:?}, told are {told:?}")) }
}

/// Whether the page on the architecture has a heading for each crate, in the workspace's order.
pub(crate) fn crates(root: &Path) -> Result<(), String> {
    let workspace = read(&root.join("Cargo.toml"))?;
    let name = |line: &str| Some(line.split_once(" = { path = \"crates/")?.0.to_string());
    let order: Vec<String> = workspace.lines().filter_map(name).collect();
    let page = read(&root.join("docs/architecture.md"))?;
    let heading = |line: &str| Some(line.strip_prefix("### `")?.strip_suffix('`')?.to_string());
    let told: Vec<String> = page.lines().filter_map(heading).collect();
    if order.is_empty() || order != told { Err(format!("crates are {order:?}, told are {told:?}")) } else { Ok(()) }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
