//! Fenced blocks, by what stands behind their opening fence:
//!
//! | fence | what must hold |
//! |---|---|
//! | `sql` | compiles for the small snapshot; what follows is about it |
//! | `sql error` | does not compile |
//! | `text error` | is the message of the `sql error` before it |
//! | `text explain STAGE` | is that stage of the `sql` before it |
//! | `text object` | is the list of the object's sections |
//! | `text checks` | is what the object asks of the kernel that loads it |
//! | `text input` | are events for the `sql` before it, as in cases |
//! | `json rows`, `text losses` | is what the interpreter makes of them |
//! | `console kernel` | its queries compile; its output came from a kernel |
//! | `sh`, `text`, `rust` | nothing |

use crate::markdown::{Block, Page, Part};
use crate::root;
use bpfquery::{Compiled, Options, Stage, Target, compile, explain};
use bpfquery_diag::render;
use bpfquery_testkit::case::{ended, words};
use bpfquery_testkit::check::Snapshots;
use bpfquery_testkit::{input, interp};
use object::{Object, ObjectSection};
use std::fmt::Write;

/// The page with every block as the program makes it.
pub(crate) fn made(page: &Page) -> Result<Page, String> {
    let mut reader =
        Reader { snapshots: Snapshots::new(&root().join("testdata/snapshots")), query: None, events: None };
    let mut parts = Vec::new();
    for part in &page.parts {
        parts.push(match part {
            Part::Block(block) => {
                let body = reader.body(block).map_err(|error| format!("line {}: {error}", block.line))?;
                Part::Block(Block { body: body.unwrap_or_else(|| block.body.clone()), ..block.clone() })
            }
            other => other.clone(),
        });
    }
    Ok(Page { parts })
}

/// What the blocks before the present one said.
struct Reader {
    snapshots: Snapshots,
    query: Option<Query>,
    events: Option<String>,
}

/// A query, and what became of it.
struct Query {
    sql: String,
    compiled: Result<Box<Compiled>, String>,
}

impl Reader {
    /// What the block should hold; `None` for whatever it holds.
    fn body(&mut self, block: &Block) -> Result<Option<String>, String> {
        match block.info.as_str() {
            "sql" | "sql error" => self.queries(block).map(|()| None),
            "text error" => match &self.query()?.compiled {
                Err(message) => Ok(Some(ended(message))),
                Ok(_) => Err("the query before it compiles".to_string()),
            },
            "text object" => Ok(Some(sections(self.compiled()?)?)),
            "text checks" => Ok(Some(checks(self.compiled()?))),
            "text input" => {
                self.events = Some(block.body.clone());
                Ok(None)
            }
            "json rows" => Ok(Some(self.outcome()?.rows)),
            "text losses" => Ok(Some(self.outcome()?.losses)),
            "console kernel" => self.commands(&block.body).map(|()| None),
            "sh" | "text" | "rust" => Ok(None),
            other => match other.strip_prefix("text explain ") {
                Some(name) => self.stage(name).map(Some),
                None => Err(format!("nothing is known about blocks of \"{other}\"")),
            },
        }
    }

    /// Compiles every query of the block; a semicolon at the end of a line ends one.
    fn queries(&mut self, block: &Block) -> Result<(), String> {
        self.events = None;
        for sql in block.body.split_inclusive(";\n").map(str::trim_end).filter(|sql| !sql.is_empty()) {
            let compiled = self.compile(sql)?;
            match (&compiled, block.info == "sql error") {
                (Err(message), false) => return Err(format!("the query does not compile:\n{sql}\n{message}")),
                (Ok(_), true) => return Err(format!("the query compiles, though an error is expected:\n{sql}")),
                (Ok(_), false) | (Err(_), true) => {}
            }
            self.query = Some(Query { sql: sql.to_string(), compiled: compiled.map(Box::new) });
        }
        Ok(())
    }

    fn compile(&mut self, sql: &str) -> Result<Result<Compiled, String>, String> {
        let options = Options { target: Target::Portable, ..Options::default() };
        Ok(compile(sql, self.snapshots.get("small")?, options).map_err(|failure| render(&failure, sql)))
    }

    fn query(&self) -> Result<&Query, String> {
        self.query.as_ref().ok_or_else(|| "no query stands before it".to_string())
    }

    fn compiled(&self) -> Result<&Compiled, String> {
        self.query()?.compiled.as_deref().map_err(|_| "the query before it does not compile".to_string())
    }

    fn stage(&self, name: &str) -> Result<String, String> {
        let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name);
        let stage = stage.ok_or_else(|| format!("there is no stage \"{name}\""))?;
        let sql = &self.query()?.sql;
        let text = explain(self.compiled()?, sql, stage).map_err(|failure| render(&failure, sql))?;
        Ok(ended(&text))
    }

    fn outcome(&mut self) -> Result<interp::Outcome, String> {
        let events = input::parse(self.events.as_deref().unwrap_or(""))?;
        let query = self.query.as_ref().ok_or("no query stands before it")?;
        let compiled = query.compiled.as_deref().map_err(String::clone)?;
        interp::run(compiled, self.snapshots.get("small")?, &events, &interp::Setup::default())
    }

    /// Compiles what stands behind each `-e` of a block's commands.
    fn commands(&mut self, body: &str) -> Result<(), String> {
        for command in commands(body) {
            let words = words(&command)?;
            let queries = words.windows(2).filter(|pair| pair[0] == "-e");
            for sql in queries.map(|pair| pair[1].clone()) {
                self.compile(&sql)?.map_err(|message| format!("the query does not compile:\n{message}"))?;
            }
        }
        Ok(())
    }
}

/// The lines that start with `$ `, each with those that it goes on in: while a quote is open, or behind a backslash.
fn commands(body: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut open = false;
    for line in body.lines() {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push(command.to_string()),
            (None, Some(last)) if open => {
                let _ = write!(last, "\n{line}");
            }
            (None, _) => continue,
        }
        let Some(last) = all.last_mut() else { continue };
        open = last.ends_with('\\') || words(last).is_err();
        if last.ends_with('\\') {
            last.pop();
        }
    }
    all
}

/// The name of each section. Sizes would change with every word of the manifest.
fn sections(compiled: &Compiled) -> Result<String, String> {
    let file = object::File::parse(&*compiled.object).map_err(|error| error.to_string())?;
    let mut text = String::new();
    for section in file.sections() {
        let name = section.name().map_err(|error| error.to_string())?;
        // Names and symbols of the file itself say nothing about the query.
        if !name.is_empty() && !matches!(name, ".symtab" | ".strtab" | ".shstrtab") {
            let _ = writeln!(text, "{name}");
        }
    }
    Ok(text)
}

fn checks(compiled: &Compiled) -> String {
    compiled.checks.iter().fold(String::new(), |mut text, check| {
        let _ = writeln!(text, "{check:?}");
        text
    })
}
