//! One relation of a query: what it is called, its columns, and the plan that reads it.

use super::column_id;
use crate::ast::{From, Name};
use bpfquery_catalog::{Kernel, Miss, Need, Relation, Syscall, relation_for, syscall};
use bpfquery_diag::{Result, Span};
use bpfquery_plan::{Expr, ExprKind, Plan};
use std::sync::Arc;

/// A relation in the scope of a query.
pub(super) struct Side<'a> {
    /// Its columns, by name. Those of a system call are made of two relations'.
    pub(super) relation: Arc<Relation>,
    /// The two events of a system call.
    pub(super) syscall: Option<Syscall>,
    /// The position of its first column in the scope.
    pub(super) first: usize,
    /// Where it stands; `None` for a query without FROM.
    pub(super) from: Option<&'a From>,
}

impl<'a> Side<'a> {
    /// The relation behind FROM or JOIN, whose columns stand from `first` on; those of `need` at least.
    pub(super) fn new(kernel: &dyn Kernel, from: Option<&'a From>, first: usize, need: Need) -> Result<Side<'a>> {
        let Some(from) = from else {
            return Ok(Side { relation: Arc::new(Relation::once()), syscall: None, first, from: None });
        };
        let syscall = syscall(kernel, &from.name)?;
        let relation = match &syscall {
            Some(syscall) => syscall.relation.clone(),
            None => relation_for(kernel, &from.name, need)?,
        };
        Ok(Side { relation: Arc::new(relation), syscall, first, from: Some(from) })
    }

    /// The plan of its rows; `whole` is the query's place.
    pub(super) fn scan(&self, whole: Span) -> Result<Plan> {
        let span = self.from.map_or(whole, |from| from.span);
        match &self.syscall {
            Some(syscall) => super::join::syscall(syscall, span),
            None => Ok(scan(self.relation.clone(), span)),
        }
    }

    /// What its columns can be qualified with: its alias, or else the last part of its own name.
    pub(super) fn name(&self) -> Option<&'a str> {
        let from = self.from?;
        let own = from.name.parts.last().map(|part| part.text.as_str());
        from.alias.as_ref().map(|alias| alias.text.as_str()).or(own)
    }

    /// Whether the name is its own.
    pub(super) fn is_called(&self, name: &Name) -> bool {
        self.name().is_some_and(|own| match name.quoted {
            true => own == name.text,
            false => own.eq_ignore_ascii_case(&name.text),
        })
    }

    /// The column of that name, by its index in the relation.
    pub(super) fn lookup(&self, name: &Name, args_only: bool) -> std::result::Result<usize, Miss> {
        let index = self.relation.column(&name.text, args_only)?;
        let found = &self.relation.columns[index].name;
        match name.quoted && *found != name.text {
            true => Err(Miss::Unknown { nearest: Some(found.clone()) }),
            false => Ok(index),
        }
    }

    /// The column at an index of the relation, at a place.
    pub(super) fn column(&self, index: usize, span: Span) -> Expr {
        let ty = self.relation.columns[index].ty.clone();
        Expr::new(ExprKind::Column(column_id(self.first + index)), ty, span)
    }
}

/// All of a relation.
pub(super) fn scan(relation: Arc<Relation>, span: Span) -> Plan {
    let used = (0..relation.columns.len()).map(column_id).collect();
    Plan::Scan { relation, used, span }
}
