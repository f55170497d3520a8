//! Names: what a dotted name refers to.
//!
//! What must hold: an exact match comes before one in other case, and a name in double quotes matches exactly or not at all.

use super::side::Side;
use crate::ast::{Ast, Name, On, SelectItem};
use bpfquery_catalog::{Column, Kernel, Miss};
use bpfquery_diag::{Code, Diagnostic, Result, nearest};
use bpfquery_plan::Expr;

/// What names can refer to.
pub(super) struct Scope<'a> {
    pub(super) kernel: &'a dyn Kernel,
    /// One relation, or the two of a join; the columns of the second stand behind those of the first.
    pub(super) sides: Vec<Side<'a>>,
    /// Columns that a join's USING makes one of.
    merged: &'a [Name],
    /// Output names, for help where one is used too early.
    aliases: Vec<&'a str>,
}

/// Columns that every event is to have.
const PLANNED: [&str; 3] = ["kstack", "ustack", "cgroup"];

/// A column and the names of the fields behind it, or what is wrong.
type Found<'n> = std::result::Result<(Expr, &'n [Name]), Box<Diagnostic>>;

impl<'a> Scope<'a> {
    /// The scope of a query: its relations.
    pub(super) fn new(kernel: &'a dyn Kernel, ast: &'a Ast) -> Result<Scope<'a>> {
        let need = super::need::of(ast);
        let first = Side::new(kernel, ast.from.as_ref(), 0, need)?;
        let behind = first.relation.columns.len();
        let mut sides = vec![first];
        if let Some(join) = &ast.join {
            sides.push(Side::new(kernel, Some(&join.from), behind, need)?);
            super::join::check(&sides, join)?;
        }
        let merged = match ast.join.as_ref().map(|join| &join.on) {
            Some(On::Using(names)) => names.as_slice(),
            Some(On::Condition(_)) | None => &[],
        };
        let alias = |item: &'a SelectItem| match item {
            SelectItem::Expr { alias: Some(alias), .. } => Some(alias.text.as_str()),
            SelectItem::Expr { .. } | SelectItem::Star { .. } => None,
        };
        let aliases = ast.items.iter().filter_map(alias).collect();
        Ok(Scope { kernel, sides, merged, aliases })
    }

    /// The column that a dotted name starts with, and the names of fields behind it.
    pub(super) fn resolve<'n>(&self, names: &'n [Name]) -> Result<(Expr, &'n [Name])> {
        let [first, rest @ ..] = names else {
            return Err(bpfquery_diag::Failure::bug("bind", "a column without a name"));
        };
        if let ([second, fields @ ..], Some(side)) = (rest, self.sides.iter().find(|side| side.is_called(first))) {
            // The alias hides a column of its name, unless only the column makes sense.
            let inner = self.inside(side, second, fields);
            if inner.is_ok() || self.sides.iter().all(|side| side.lookup(first, false).is_err()) {
                return inner.map_err(|diagnostic| (*diagnostic).into());
            }
        }
        self.anywhere(first, rest).map_err(|diagnostic| (*diagnostic).into())
    }

    /// Whether it is no column, but what may stand in front of one: `args`, or what a relation is called.
    pub(super) fn is_prefix(&self, names: &[Name]) -> bool {
        let [name] = names else { return false };
        let column = self.sides.iter().any(|side| side.lookup(name, false).is_ok());
        let args = !name.quoted && name.text.eq_ignore_ascii_case("args");
        !column && (args || self.sides.iter().any(|side| side.is_called(name)))
    }

    /// A name without a relation in front, which one of them must know.
    fn anywhere<'n>(&self, first: &Name, rest: &'n [Name]) -> Found<'n> {
        let mut found: Vec<Found<'n>> = self.sides.iter().map(|side| self.inside(side, first, rest)).collect();
        let merged = self.merged.iter().any(|name| name.same(first));
        match found.iter().filter(|found| found.is_ok()).count() {
            // The later one: it is of the row that makes the joined one happen.
            2.. if !merged => Err(self.ambiguous(first, rest)),
            0 if found.len() > 1 => Err(self.in_neither(first, found)),
            0 => found.swap_remove(0),
            _ => {
                found.into_iter().rfind(std::result::Result::is_ok).unwrap_or_else(|| Err(self.ambiguous(first, rest)))
            }
        }
    }

    fn ambiguous(&self, first: &Name, rest: &[Name]) -> Box<Diagnostic> {
        let span = rest.iter().fold(first.span, |all, name| all.to(name.span));
        let name = rest.iter().fold(first.text.clone(), |all, name| format!("{all}.{}", name.text));
        let each = self.sides.iter().filter_map(Side::name).map(|side| format!("{side}.{name}"));
        let fact = format!("column \"{name}\" is ambiguous: both relations have it");
        Box::new(
            Diagnostic::new("ambiguous-name", span, fact)
                .help(format!("write {}", each.collect::<Vec<_>>().join(" or "))),
        )
    }

    /// What the side says that is nearer to knowing the name.
    fn in_neither<'n>(&self, name: &Name, found: Vec<Found<'n>>) -> Box<Diagnostic> {
        let mut wrong: Vec<Box<Diagnostic>> = found.into_iter().filter_map(std::result::Result::err).collect();
        if let Some(at) = wrong.iter().position(|diagnostic| diagnostic.code != Code("unknown-column")) {
            return wrong.swap_remove(at);
        }
        let names: Vec<&str> = self.sides.iter().map(|side| side.relation.name.as_str()).collect();
        let columns = self.sides.iter().flat_map(|side| side.relation.columns.iter().map(|c| c.name.as_str()));
        let known = columns.chain(self.sides.iter().filter_map(Side::name)).chain(["args"]);
        let fact = format!("column \"{}\" exists neither in {}", name.text, names.join(" nor in "));
        let near = nearest(&name.text, known);
        Box::new(self.help(&self.sides[0], Diagnostic::new("unknown-column", name.span, fact), name, near))
    }

    /// A name without the relation in front.
    fn inside<'n>(&self, side: &Side<'a>, first: &Name, rest: &'n [Name]) -> Found<'n> {
        if let ([second, fields @ ..], true) = (rest, !first.quoted && first.text.eq_ignore_ascii_case("args")) {
            let found = side.lookup(second, true);
            // Some events have a column of that name.
            if found.is_ok() || side.lookup(first, false).is_err() {
                let index = found.map_err(|miss| self.unknown(side, second, miss, true))?;
                return Ok((side.column(index, first.span.to(second.span)), fields));
            }
        }
        match side.lookup(first, false) {
            Ok(index) => Ok((side.column(index, first.span), rest)),
            Err(Miss::Unknown { .. }) if !rest.is_empty() => Err(self.no_prefix(side, first)),
            Err(miss) => Err(self.unknown(side, first, miss, false)),
        }
    }

    /// The column at a position of the scope.
    pub(super) fn at(&self, index: usize) -> Option<&Column> {
        let side = self.sides.iter().rfind(|side| side.first <= index)?;
        side.relation.columns.get(index - side.first)
    }

    /// Whether there is a FROM.
    pub(super) fn has_from(&self) -> bool {
        self.sides.iter().any(|side| side.from.is_some())
    }

    fn unknown(&self, side: &Side<'a>, name: &Name, miss: Miss, args_only: bool) -> Box<Diagnostic> {
        let text = &name.text;
        let place = match self.has_from() {
            true => format!(" in {}", side.relation.name),
            false => ": the query has no FROM".to_string(),
        };
        let kind = if args_only { "argument" } else { "column" };
        let unknown = |fact: String| Diagnostic::new("unknown-column", name.span, fact);
        Box::new(match miss {
            Miss::Unknown { .. } if PLANNED.contains(&text.to_ascii_lowercase().as_str()) && !args_only => {
                let diagnostic =
                    Diagnostic::new("unsupported", name.span, format!("column \"{text}\" is not supported yet"));
                match text.eq_ignore_ascii_case("cgroup") {
                    true => diagnostic.help("cgroup_id is its number"),
                    false => diagnostic,
                }
            }
            Miss::Unknown { nearest } => {
                let diagnostic = unknown(format!("{kind} \"{text}\" does not exist{place}"));
                if args_only && side.lookup(name, false).is_ok() {
                    return Box::new(diagnostic.help(format!("it is built in: write it without \"args.\": {text}")));
                }
                self.help(side, diagnostic, name, nearest.as_deref())
            }
            Miss::Ambiguous { names } => {
                Diagnostic::new("ambiguous-name", name.span, format!("\"{text}\" may be any of {}", names.join(", ")))
                    .help(format!("put the one that is meant in double quotes: \"{}\"", names.join("\" or \"")))
            }
            Miss::Absent { why } => {
                Diagnostic::new("absent-column", name.span, format!("{kind} \"{text}\" cannot be read{place}"))
                    .detail(format!("because {why}"))
            }
        })
    }

    /// What was probably meant by a name that no column has.
    fn help(&self, side: &Side<'a>, diagnostic: Diagnostic, name: &Name, near: Option<&str>) -> Diagnostic {
        if self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&name.text)) {
            return diagnostic
                .help("it is an output name: only GROUP BY and ORDER BY know those; repeat its expression");
        }
        if name.text.contains(['\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}']) {
            return diagnostic.help("quotes must be straight: 'text', \"name\"");
        }
        let others = self.sides.iter().filter_map(Side::name).chain(["args"]);
        match near.or_else(|| nearest(&name.text, others)) {
            Some(near) => diagnostic.did_you_mean(Some(near)),
            None if name.quoted => diagnostic.help(format!("texts stand in single quotes: '{}'", name.text)),
            None if self.has_from() => {
                diagnostic.help(format!("`bpfquery describe {}` lists the columns", side.relation.name))
            }
            None => diagnostic.help("say where rows come from: FROM kprobe.vfs_read"),
        }
    }

    /// Nothing is called what stands before a dot.
    fn no_prefix(&self, side: &Side<'a>, name: &Name) -> Box<Diagnostic> {
        let fact = format!("\"{}\" is neither a column of {} nor its name", name.text, side.relation.name);
        let diagnostic = Diagnostic::new("unknown-column", name.span, fact);
        let hidden = side.from.and_then(|from| {
            let alias = from.alias.as_ref()?;
            let own = from.name.parts.last()?;
            own.text.eq_ignore_ascii_case(&name.text).then_some(&alias.text)
        });
        if let Some(alias) = hidden {
            return Box::new(diagnostic.help(format!("the relation is called \"{alias}\" in this query")));
        }
        let columns = side.relation.columns.iter().map(|column: &Column| column.name.as_str());
        let near = nearest(&name.text, columns.chain(side.name()).chain(["args"]));
        Box::new(self.help(side, diagnostic, name, near))
    }
}
