//! `a[i]`: elements of arrays and of what pointers lead to. The first is 0, as in C.
//!
//! What must hold: an index that the run decides is compared with the array's length on the kernel that runs; a constant one is asked
//! for by CO-RE. Not checked: what stands behind a pointer, or in a flexible array; their lengths are not known.

use super::Binder;
use bpfquery_catalog::nav::{self, Elements};
use bpfquery_catalog::{FieldPath, Guess, Presence, Space, SqlType};
use bpfquery_diag::{Diagnostic, Result, Span};
use bpfquery_plan::{Datum, Expr, ExprKind, Subscript};

impl Binder<'_> {
    /// `base[index]`.
    pub(super) fn element(&self, base: Expr, index: Expr, span: Span) -> Result<Expr> {
        if !index.ty.is_integer() {
            let fact = format!("an index is an integer, not {}", index.ty);
            return Err(Diagnostic::new("type-mismatch", index.span, fact).into());
        }
        match base {
            Expr { kind: ExprKind::Field { base: inner, path, at }, ty, span: here }
                if matches!(ty, SqlType::Array { .. } | SqlType::Text { .. }) =>
            {
                let space = space(&inner);
                let Some(elements) = nav::elements(self.scope.kernel, &path, space)? else {
                    return Err(refuse(&ty, here));
                };
                let array = elements.len.map(|_| *path);
                Ok(subscript(*inner, elements, array, at, index, span))
            }
            Expr { ty: SqlType::Pointer { ref to, .. }, .. } => match nav::pointed_elements(self.scope.kernel, to)? {
                Some(elements) => Ok(subscript(base, elements, None, Vec::new(), index, span)),
                None => Err(refuse(&base.ty, base.span)),
            },
            other => Err(refuse(&other.ty, other.span)),
        }
    }
}

/// One element. An index that the array has on this kernel is a step of the path; any other moves its start.
fn subscript(
    base: Expr,
    elements: Elements,
    array: Option<FieldPath>,
    mut at: Vec<Subscript>,
    index: Expr,
    span: Span,
) -> Expr {
    let Elements { ty, first, len } = elements;
    let constant = match index.kind {
        ExprKind::Literal(Datum::Int(index)) => {
            u32::try_from(index).ok().filter(|index| len.is_some_and(|len| *index < len))
        }
        _ => None,
    };
    let stem = first.text.trim_end_matches("[0]").to_string();
    let path = match constant {
        Some(index) => constant_step(FieldPath { text: format!("{stem}[{index}]"), ..first }, index),
        None => {
            at.push(Subscript { index, element: first.clone(), array });
            FieldPath { text: format!("{stem}[]"), ..first }
        }
    };
    Expr::new(ExprKind::Field { base: Box::new(base), path: Box::new(path), at }, ty, span)
}

/// The path with its last step, which leads to element 0, changed to a constant index; another kernel's array may be shorter.
fn constant_step(mut path: FieldPath, index: u32) -> FieldPath {
    if let Some(last) = path.members.last_mut() {
        *last = index;
    }
    path.offset = path.offset.saturating_add(path.size.saturating_mul(index));
    path.presence = path.presence.max(Presence::Asked);
    path
}

/// A field of this type, as CO-RE is told of it where it is not there.
pub(super) fn guess(bytes: u32, ty: &SqlType) -> Guess {
    match ty {
        SqlType::Pointer { .. } => Guess::Pointer,
        _ => Guess::Int { bytes, signed: ty.scalar().is_some_and(|(_, signed)| signed) },
    }
}

/// Whose memory an array stands in: that of the pointer which leads to it.
pub(super) fn space(base: &Expr) -> Space {
    match (&base.ty, &base.kind) {
        (SqlType::Pointer { space, .. }, _) => *space,
        (_, ExprKind::Field { base, .. }) => space(base),
        _ => Space::Kernel,
    }
}

fn refuse(ty: &SqlType, span: Span) -> bpfquery_diag::Failure {
    let diagnostic = Diagnostic::new("no-array", span, format!("a value of type {ty} has no elements"));
    match ty {
        SqlType::Pointer { .. } => diagnostic.help("cast it to what it points at: CAST(x AS \"struct sock\")"),
        SqlType::Array { .. } => diagnostic.help("elements of arrays in kernel structs can be read"),
        _ => diagnostic.help("arrays and pointers have elements"),
    }
    .into()
}
