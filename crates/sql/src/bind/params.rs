//! Parameters: `$1` and `:name`, typed by what stands beside them.
//!
//! What must hold: all places of one parameter have one type, that of its first; where nothing says, it is `bigint`.

use super::Binder;
use bpfquery_catalog::{DEFAULT_TEXT, Pointee, SqlType};
use bpfquery_diag::Span;
use bpfquery_plan::{Expr, ExprKind, Param, ParamId};

/// The parameters so far.
#[derive(Default)]
pub(super) struct Params {
    /// Name, and type as soon as it is known.
    list: Vec<(String, Option<SqlType>)>,
}

impl Params {
    /// A place of a parameter; of type NULL until [`Params::settle`] says otherwise.
    pub(super) fn at(&mut self, name: &str, span: Span) -> Expr {
        let index = self.list.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.list.push((name.to_string(), None));
            self.list.len() - 1
        });
        let ty = self.list[index].1.clone().unwrap_or(SqlType::Null);
        let id = ParamId(u32::try_from(index).unwrap_or(u32::MAX));
        Expr::new(ExprKind::Param(id), ty, span)
    }

    /// Gives a parameter without a type one that goes with `beside`.
    pub(super) fn settle(&mut self, expr: &mut Expr, beside: &SqlType) {
        if let (ExprKind::Param(ParamId(index)), SqlType::Null) = (&expr.kind, &expr.ty)
            && let Some((_, known)) = self.list.get_mut(*index as usize)
        {
            expr.ty = known.get_or_insert_with(|| type_beside(beside)).clone();
        }
    }

    /// All of them, in order of first appearance.
    pub(super) fn done(self) -> Vec<Param> {
        self.list.into_iter().map(|(name, ty)| Param { name, ty: ty.unwrap_or(SqlType::I64) }).collect()
    }
}

/// A type that every value which `ty` has can be given in.
fn type_beside(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::Int { bits: 64, signed: false } => SqlType::U64,
        SqlType::Pointer { to: Pointee::Char, .. } | SqlType::Text { .. } => SqlType::Text { width: DEFAULT_TEXT },
        SqlType::Pointer { .. } => SqlType::U64,
        SqlType::Bool | SqlType::Timestamp | SqlType::Interval | SqlType::Double => ty.clone(),
        SqlType::Int { .. }
        | SqlType::Enum(_)
        | SqlType::Decimal
        | SqlType::Histogram { .. }
        | SqlType::Struct(_)
        | SqlType::Array { .. }
        | SqlType::Null => SqlType::I64,
    }
}

impl Binder<'_> {
    /// Types the parameters among operands that must be of one type.
    pub(super) fn settle(&mut self, operands: &mut [Expr]) {
        let beside = operands.iter().find(|e| e.ty != SqlType::Null).map_or(SqlType::I64, |e| e.ty.clone());
        for operand in operands {
            self.params.settle(operand, &beside);
        }
    }
}
