//! `a.b` and `a -> b`: fields of structs, through pointers and without.

use super::Binder;
use crate::ast::Name;
use bpfquery_catalog::nav::{self, Wrong};
use bpfquery_catalog::{FieldPath, Pointee, Presence, SqlType};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};
use bpfquery_plan::{Expr, ExprKind, Subscript};

impl Binder<'_> {
    /// The field `name` of `base`; embedded structs on the way make one path, so that one read reaches its end.
    pub(super) fn field(&self, base: Expr, name: &Name) -> Result<Expr> {
        let span = base.span.to(name.span);
        let member = match nav::member(self.scope.kernel, &base.ty, &name.text)? {
            Ok(member) if name.quoted && member.name != name.text => {
                let wrong = Wrong::Unknown { in_struct: member.base.name.clone(), nearest: Some(member.name) };
                return Err(refuse(wrong, &base, name));
            }
            Ok(member) => member,
            Err(wrong) => {
                return self.missing(&base, name, span)?.ok_or_else(|| refuse(wrong, &base, name));
            }
        };
        let ty = member.ty.clone();
        let presence = if self.may_miss { Presence::Asked } else { Presence::Sure };
        let path = FieldPath { presence, ..FieldPath::to(&member, member.name.clone()) };
        Ok(match base {
            Expr { kind: ExprKind::Field { base: inner, path: outer, at }, ty: SqlType::Struct(_), .. } => {
                field(*inner, outer.then(&path).ok_or_else(|| too_wide(name))?, at, ty, span)
            }
            base if member.base.name.is_empty() => return Err(refuse(Wrong::Nameless, &base, name)),
            base => field(base, path, Vec::new(), ty, span),
        })
    }

    /// Field after field.
    pub(super) fn fields(&self, base: Expr, names: &[Name]) -> Result<Expr> {
        names.iter().try_fold(base, |base, name| self.field(base, name))
    }
}

fn field(base: Expr, path: FieldPath, at: Vec<Subscript>, ty: SqlType, span: Span) -> Expr {
    Expr::new(ExprKind::Field { base: Box::new(base), path: Box::new(path), at }, ty, span)
}

fn refuse(wrong: Wrong, base: &Expr, name: &Name) -> Failure {
    let text = &name.text;
    match wrong {
        Wrong::NoStruct => {
            let fact = format!("there is no \"{text}\" in a value of type {}", base.ty);
            let diagnostic = Diagnostic::new("no-struct", name.span, fact);
            match &base.ty {
                SqlType::Pointer { to: Pointee::Char, .. } | SqlType::Text { .. } => {
                    diagnostic.help("text has no fields")
                }
                SqlType::Pointer { to: Pointee::Value(_), .. } => diagnostic.help("x[0] is what it points at"),
                _ => diagnostic.help("\".\" and \"->\" follow structs and pointers to structs"),
            }
        }
        Wrong::Undefined { name: tag } => {
            let fact = format!("struct {tag} is not defined in this kernel's BTF, so \"{text}\" cannot be found in it");
            Diagnostic::new("undefined-struct", name.span, fact)
        }
        Wrong::Unknown { in_struct, nearest } => {
            let tag = if in_struct.is_empty() { "this struct".to_string() } else { format!("struct {in_struct}") };
            Diagnostic::new("unknown-field", name.span, format!("{tag} has no field \"{text}\""))
                .did_you_mean(nearest.as_deref())
        }
        Wrong::Nameless => {
            let fact =
                format!("\"{text}\" stands in a struct without a name, which another kernel's cannot be found by");
            Diagnostic::new("unsupported", name.span, fact)
        }
        Wrong::WideBitfield => return too_wide(name),
    }
    .into()
}

fn too_wide(name: &Name) -> Failure {
    Diagnostic::new("unsupported", name.span, format!("bitfield \"{}\" spans more than 8 bytes", name.text)).into()
}
