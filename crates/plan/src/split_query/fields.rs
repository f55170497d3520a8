//! The fields of the record that the kernel sends: each expression once.

use crate::{ColumnId, Expr, ExprKind, Layout, Seen, Stored, mark};
use bpfquery_catalog::{Access, Relation, SqlType};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};

/// Fields by position, as the user half's expressions name them.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) names: Vec<String>,
    pub(super) values: Vec<Expr>,
    /// Whether constants are sent too: where they are what the query is about.
    pub(super) send_constants: bool,
    /// Where each of them is.
    pub(super) seen: Seen,
}

impl Fields {
    /// The expression over the record: what the kernel can compute becomes a field, the rest is computed from fields.
    pub(super) fn cut(&mut self, expr: &Expr, name: &str, relation: &Relation) -> Result<Expr> {
        let constant = !expr.any(&reads);
        if constant && (!self.send_constants || expr.ty == SqlType::Null) {
            return Ok(expr.clone());
        }
        if !expr.needs_user_space() && Stored::of(&expr.ty).is_some() {
            return Ok(self.field(expr, name, relation));
        }
        let mut copy = expr.clone();
        for child in copy.children_mut() {
            *child = self.cut(child, name, relation)?;
        }
        if reads(&copy) && !matches!(copy.kind, ExprKind::Column(_)) {
            return Err(Failure::bug("split", format!("{:?} of type {} in user space", copy.kind, copy.ty)));
        }
        Ok(copy)
    }

    fn field(&mut self, expr: &Expr, name: &str, relation: &Relation) -> Expr {
        let mark = mark((), [Some(expr)]);
        let at = self.seen.find(mark, |at| self.values[at].same(expr)).unwrap_or_else(|| {
            self.seen.note(mark, self.values.len());
            let name = match &expr.kind {
                ExprKind::Column(id) => relation.columns.get(id.0 as usize).map_or(name, |c| &c.name),
                _ => name,
            };
            self.names.push(name.to_string());
            self.values.push(expr.clone());
            self.values.len() - 1
        });
        column(at, &expr.ty, expr.span)
    }

    /// A name that is better than the first one that was given.
    pub(super) fn rename(&mut self, at: usize, name: &str) {
        if let Some(slot) = self.names.get_mut(at) {
            *slot = name.to_string();
        }
    }

    /// A record has a field: a row of constants only is sent as its bare existence.
    pub(super) fn or_existence(&mut self, span: Span) {
        if self.values.is_empty() {
            self.names.push("row".to_string());
            self.values.push(Expr::bool(true, span));
        }
    }

    /// The record's layout.
    pub(super) fn layout(&self, nullable: &[bool]) -> Result<Layout> {
        layout(self.names.iter().zip(&self.values), nullable)
    }
}

/// Lays out named kernel expressions as a record; `nullable` is over the relation's columns.
pub(super) fn layout<'a>(fields: impl Iterator<Item = (&'a String, &'a Expr)>, nullable: &[bool]) -> Result<Layout> {
    Ok(Layout::new(stored(fields, nullable)?))
}

/// The same as a hash's key.
pub(super) fn key<'a>(fields: impl Iterator<Item = (&'a String, &'a Expr)>, nullable: &[bool]) -> Result<Layout> {
    Ok(Layout::key(stored(fields, nullable)?))
}

fn stored<'a>(
    fields: impl Iterator<Item = (&'a String, &'a Expr)>,
    nullable: &[bool],
) -> Result<Vec<(String, Stored, bool)>> {
    let mut may_be_null = 0;
    let stored = fields.map(|(name, expr)| {
        let stored = Stored::of(&expr.ty)
            .ok_or_else(|| Failure::bug("split", format!("\"{name}\" of type {} in the kernel", expr.ty)))?;
        let null = expr.nullable_over(nullable);
        may_be_null += u32::from(null);
        if may_be_null > NULL_BITS { Err(too_many(expr)) } else { Ok((name.clone(), stored, null)) }
    });
    stored.collect()
}

/// Null bits are one word.
const NULL_BITS: u32 = 64;

fn too_many(expr: &Expr) -> Failure {
    Diagnostic::new("too-large", expr.span, format!("more than {NULL_BITS} columns may be NULL"))
        .help("COALESCE(x, 0) is never NULL")
        .into()
}

/// Fails where a layout is larger than the kernel takes.
pub(super) fn fits(layout: &Layout, most: u32, what: &str, span: Span) -> Result<()> {
    if layout.size <= most {
        return Ok(());
    }
    Err(Diagnostic::new("too-large", span, format!("{what} takes {} bytes, and the kernel allows {most}", layout.size))
        .help("give texts less room: str(x, 64)")
        .into())
}

/// The column at a position.
pub(super) fn column(at: usize, ty: &SqlType, span: Span) -> Expr {
    // A query's text is bounded to far fewer columns than 2^32.
    Expr::new(ExprKind::Column(ColumnId(u32::try_from(at).unwrap_or(u32::MAX))), ty.clone(), span)
}

/// Whether these are the columns of the row, in order and all of them: then projecting them changes nothing.
pub(super) fn is_identity(exprs: &[Expr], columns: usize) -> bool {
    let is = |(at, e): (usize, &Expr)| matches!(e.kind, ExprKind::Column(ColumnId(id)) if id as usize == at);
    exprs.len() == columns && exprs.iter().enumerate().all(is)
}

/// Whether text may have lost its end where it was read: comparing it is then the kernel's, which knows.
pub(super) fn may_be_cut(expr: &Expr, relation: &Relation) -> bool {
    expr.ty.is_text()
        && expr.any_text(&|e| match &e.kind {
            ExprKind::ReadText(_) => true,
            ExprKind::Column(id) => {
                relation.columns.get(id.0 as usize).is_some_and(|c| matches!(c.access, Access::DataLocation { .. }))
            }
            _ => shortens(e),
        })
}

/// Whether this node gives a text less room than it has.
pub(super) fn shortens(expr: &Expr) -> bool {
    match (&expr.kind, &expr.ty) {
        (ExprKind::Cast(operand), SqlType::Text { width }) => {
            matches!(operand.ty, SqlType::Text { width: whole } if whole > *width)
        }
        _ => false,
    }
}

/// Whether this node itself depends on the row.
fn reads(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Column(_) | ExprKind::Field { .. } | ExprKind::ReadText(_) | ExprKind::Tumble { .. })
}
