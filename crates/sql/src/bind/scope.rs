//! Names: what a dotted name refers to.
//!
//! What must hold: an exact match comes before one in other case, and a name in double quotes matches exactly or not at all.

use super::{Shared, column_id};
use crate::ast::{Ast, From, Name, SelectItem};
use bpfquery_catalog::{Column, Kernel, Miss, Relation, relation};
use bpfquery_diag::{Diagnostic, Result, Span, nearest};
use bpfquery_plan::{Expr, ExprKind};
use std::sync::Arc;

/// What names can refer to.
pub(super) struct Scope<'a> {
    pub(super) kernel: &'a dyn Kernel,
    pub(super) relation: Shared,
    from: Option<&'a From>,
    /// Output names, for help where one is used too early.
    aliases: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    /// The scope of a query: its one relation.
    pub(super) fn new(kernel: &'a dyn Kernel, ast: &'a Ast) -> Result<Scope<'a>> {
        let found = match &ast.from {
            Some(from) => relation(kernel, &from.name)?,
            None => Relation::once(),
        };
        let alias = |item: &'a SelectItem| match item {
            SelectItem::Expr { alias: Some(alias), .. } => Some(alias.text.as_str()),
            SelectItem::Expr { .. } | SelectItem::Star { .. } => None,
        };
        let aliases = ast.items.iter().filter_map(alias).collect();
        Ok(Scope { kernel, relation: Arc::new(found), from: ast.from.as_ref(), aliases })
    }

    /// The column that a dotted name starts with, and the names of fields behind it.
    pub(super) fn resolve<'n>(&self, names: &'n [Name]) -> Result<(Expr, &'n [Name])> {
        let [first, rest @ ..] = names else {
            return Err(bpfquery_diag::Failure::bug("bind", "a column without a name"));
        };
        if let ([second, fields @ ..], true) = (rest, self.is_relation(first)) {
            // The alias hides a column of its name, unless only the column makes sense.
            let inner = self.inside(second, fields);
            if inner.is_ok() || self.lookup(first, false).is_err() {
                return inner.map_err(|diagnostic| (*diagnostic).into());
            }
        }
        self.inside(first, rest).map_err(|diagnostic| (*diagnostic).into())
    }

    /// A name without the relation in front.
    fn inside<'n>(&self, first: &Name, rest: &'n [Name]) -> std::result::Result<(Expr, &'n [Name]), Box<Diagnostic>> {
        if let ([second, fields @ ..], true) = (rest, !first.quoted && first.text.eq_ignore_ascii_case("args")) {
            let found = self.lookup(second, true);
            // Some events have a column of that name.
            if found.is_ok() || self.lookup(first, false).is_err() {
                let index = found.map_err(|miss| self.unknown(second, miss, true))?;
                return Ok((self.column(index, first.span.to(second.span)), fields));
            }
        }
        match self.lookup(first, false) {
            Ok(index) => Ok((self.column(index, first.span), rest)),
            Err(Miss::Unknown { .. }) if !rest.is_empty() => Err(self.no_prefix(first)),
            Err(miss) => Err(self.unknown(first, miss, false)),
        }
    }

    /// The column at an index, at a place.
    pub(super) fn column(&self, index: usize, span: Span) -> Expr {
        let ty = self.relation.columns[index].ty.clone();
        Expr::new(ExprKind::Column(column_id(index)), ty, span)
    }

    fn lookup(&self, name: &Name, args_only: bool) -> std::result::Result<usize, Miss> {
        let index = self.relation.column(&name.text, args_only)?;
        let found = &self.relation.columns[index].name;
        match name.quoted && *found != name.text {
            true => Err(Miss::Unknown { nearest: Some(found.clone()) }),
            false => Ok(index),
        }
    }

    /// Whether the name is the relation's: its alias, or else the last part of its own name.
    pub(super) fn is_relation(&self, name: &Name) -> bool {
        self.relation_name().is_some_and(|own| match name.quoted {
            true => own == name.text,
            false => own.eq_ignore_ascii_case(&name.text),
        })
    }

    /// What columns can be qualified with.
    pub(super) fn relation_name(&self) -> Option<&'a str> {
        let from = self.from?;
        let own = from.name.parts.last().map(|part| part.text.as_str());
        from.alias.as_ref().map(|alias| alias.text.as_str()).or(own)
    }

    /// Whether there is a FROM.
    pub(super) fn has_from(&self) -> bool {
        self.from.is_some()
    }

    fn unknown(&self, name: &Name, miss: Miss, args_only: bool) -> Box<Diagnostic> {
        let text = &name.text;
        let place = match self.has_from() {
            true => format!(" in {}", self.relation.name),
            false => ": the query has no FROM".to_string(),
        };
        let kind = if args_only { "argument" } else { "column" };
        let unknown = |fact: String| Diagnostic::new("unknown-column", name.span, fact);
        Box::new(match miss {
            Miss::Unknown { nearest } => {
                let diagnostic = unknown(format!("{kind} \"{text}\" does not exist{place}"));
                if args_only && self.lookup(name, false).is_ok() {
                    return Box::new(diagnostic.help(format!("it is built in: write it without \"args.\": {text}")));
                }
                self.help(diagnostic, name, nearest.as_deref())
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
    fn help(&self, diagnostic: Diagnostic, name: &Name, near: Option<&str>) -> Diagnostic {
        if self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&name.text)) {
            return diagnostic
                .help("it is an output name: only GROUP BY and ORDER BY know those; repeat its expression");
        }
        if name.text.contains(['\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}']) {
            return diagnostic.help("quotes must be straight: 'text', \"name\"");
        }
        let others = self.relation_name().into_iter().chain(["args"]);
        match near.or_else(|| nearest(&name.text, others)) {
            Some(near) => diagnostic.did_you_mean(Some(near)),
            None if name.quoted => diagnostic.help(format!("texts stand in single quotes: '{}'", name.text)),
            None if self.has_from() => {
                diagnostic.help(format!("`bpfquery describe {}` lists the columns", self.relation.name))
            }
            None => diagnostic.help("say where rows come from: FROM kprobe.vfs_read"),
        }
    }

    /// Nothing is called what stands before a dot.
    fn no_prefix(&self, name: &Name) -> Box<Diagnostic> {
        let fact = format!("\"{}\" is neither a column of {} nor its name", name.text, self.relation.name);
        let diagnostic = Diagnostic::new("unknown-column", name.span, fact);
        let hidden = self.from.and_then(|from| {
            let alias = from.alias.as_ref()?;
            let own = from.name.parts.last()?;
            own.text.eq_ignore_ascii_case(&name.text).then_some(&alias.text)
        });
        if let Some(alias) = hidden {
            return Box::new(diagnostic.help(format!("the relation is called \"{alias}\" in this query")));
        }
        let columns = self.relation.columns.iter().map(|column: &Column| column.name.as_str());
        let near = nearest(&name.text, columns.chain(self.relation_name()).chain(["args"]));
        Box::new(self.help(diagnostic, name, near))
    }
}
