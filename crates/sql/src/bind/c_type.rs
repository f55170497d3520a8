//! `CAST(x AS "struct sock")`: a type of the kernel, in double quotes, as C names it.
//!
//! What must hold: the type is defined in the kernel's BTF. Not checked: that what stands at the address is of that type.

use super::Binder;
use bpfquery_catalog::{Pointee, Space, SqlType, nav};
use bpfquery_diag::{Diagnostic, Result, Span};
use bpfquery_plan::{Expr, ExprKind, typing};

impl Binder<'_> {
    /// The operand as the address of a struct, or as an enumeration or integer that the kernel names.
    pub(super) fn cast_to_c(&mut self, mut operand: Expr, name: &str, at: Span, span: Span) -> Result<Expr> {
        let kernel = self.scope.kernel;
        let Some(found) = nav::named_type(kernel, name)? else {
            let near = nav::nearest_type(kernel, name)?;
            let fact = format!("type \"{name}\" is not defined in this kernel's BTF");
            let diagnostic = Diagnostic::new("unknown-type", at, fact);
            return Err(match near {
                Some(_) => diagnostic.did_you_mean(near.as_deref()),
                None => diagnostic.help("write it as in C: \"struct sock\", \"union sigval\", \"enum sock_type\""),
            }
            .into());
        };
        self.params.settle(&mut operand, &SqlType::U64);
        let SqlType::Struct(of) = found else { return Ok(typing::cast(operand, &found, span)?) };
        let to = |space| SqlType::Pointer { space, to: Pointee::Struct(of.clone()) };
        match &operand.ty {
            SqlType::Pointer { space, .. } => {
                let ty = to(*space);
                Ok(Expr::new(ExprKind::Cast(Box::new(operand)), ty, span))
            }
            // The struct around one that is its first member has the same address.
            SqlType::Struct(_) | SqlType::Array { .. } => {
                let ty = to(super::element::space(&operand));
                Ok(Expr::new(ExprKind::Cast(Box::new(operand)), ty, span))
            }
            _ => Ok(typing::cast(operand, &to(Space::Kernel), span)?),
        }
    }
}
