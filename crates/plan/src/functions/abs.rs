//! `abs(x)`: without a sign. Unsigned operands are their own absolute value.

use super::{Function, exactly, wrong_type};
use crate::typing::{self, Class, as_value, class};
use crate::{CompareOp, Expr};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Abs;

impl Function for Abs {
    fn name(&self) -> &'static str {
        "abs"
    }

    fn signature(&self) -> &'static str {
        "abs(x)"
    }

    fn doc(&self) -> &'static str {
        "The absolute value of a number. Of the least bigint it is the least bigint again, because arithmetic wraps."
    }

    // abs(x) == CASE WHEN x < 0 THEN -x ELSE x END
    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        let [x] = exactly(self, args, span)?;
        let x = as_value(x);
        match class(&x.ty) {
            Class::Integer if matches!(x.ty.scalar(), Some((_, false))) => return Ok(x),
            Class::Integer | Class::Double | Class::Decimal => {}
            Class::Null => return Ok(typing::coerce(x, &SqlType::I64)),
            _ => return Err(wrong_type(self, &x, "a number")),
        }
        let zero = Expr::int(0, SqlType::I32, span);
        let negative = typing::compare(CompareOp::Lt, x.clone(), zero, span)?;
        let negated = typing::negate(x.clone(), span)?;
        typing::case(vec![(negative, negated)], Some(x), span)
    }
}
