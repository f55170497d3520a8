//! `str(x [, width])`: the text at an address.

use super::{Function, wrong_count, wrong_type};
use crate::typing::coerce;
use crate::{Datum, Expr, ExprKind};
use bpfquery_catalog::{DEFAULT_TEXT, Pointee, SqlType};
use bpfquery_diag::{Diagnostic, Span};

pub(super) struct Str;

/// The widest buffer: a record of one text must fit the scratch memory of a program.
const WIDEST: u32 = 1024;

impl Function for Str {
    fn name(&self) -> &'static str {
        "str"
    }

    fn signature(&self) -> &'static str {
        "str(x [, width])"
    }

    fn doc(&self) -> &'static str {
        "The NUL-ended text at the address x, in a buffer of width bytes, its NUL among them (a constant from 2 to 1024; 256 if left \
         out). What does not fit is cut. An address that cannot be read is NULL. Text itself is only given the width."
    }

    fn bind(&self, args: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
        let given = args.len();
        let mut args = args.into_iter();
        let (Some(x), width, None) = (args.next(), args.next(), args.next()) else {
            return Err(wrong_count(self, given, span));
        };
        let width = width.map(|w| self.width(&w)).transpose()?;
        // `char *` may have been read already where it was named; the width is then that read's.
        let (x, width) = match x {
            Expr { kind: ExprKind::ReadText(address), ty: SqlType::Text { width: old }, .. } => {
                (*address, width.or(Some(old)))
            }
            x => (x, width),
        };
        self.read(x, width, span)
    }
}

impl Str {
    fn read(&self, x: Expr, width: Option<u32>, span: Span) -> Result<Expr, Diagnostic> {
        let ty = SqlType::Text { width: width.unwrap_or(DEFAULT_TEXT) };
        match &x.ty {
            SqlType::Text { .. } if width.is_none() => Ok(x),
            SqlType::Text { .. } | SqlType::Null => Ok(coerce(x, &ty)),
            SqlType::Pointer { to: Pointee::Struct(_), .. } => Err(wrong_type(self, &x, "text or the address of text")
                .help("name a member of the struct: str(p -> member)")),
            SqlType::Int { bits: ..64, .. } => {
                Err(wrong_type(self, &x, "text or the address of text").detail("an address has 64 bits"))
            }
            SqlType::Pointer { .. } | SqlType::Int { .. } => Ok(Expr::new(ExprKind::ReadText(Box::new(x)), ty, span)),
            SqlType::Bool
            | SqlType::Timestamp
            | SqlType::Interval
            | SqlType::Enum(_)
            | SqlType::Struct(_)
            | SqlType::Array { .. }
            | SqlType::Double
            | SqlType::Decimal
            | SqlType::Histogram { .. } => Err(wrong_type(self, &x, "text or the address of text")),
        }
    }

    fn width(&self, width: &Expr) -> Result<u32, Diagnostic> {
        match &width.kind {
            ExprKind::Literal(Datum::Int(n)) => {
                u32::try_from(*n).ok().filter(|n| (2..=WIDEST).contains(n)).ok_or_else(|| {
                    Diagnostic::new("invalid-width", width.span, format!("{n} is not a width of text"))
                        .help(format!("a width is 2 to {WIDEST} bytes, the closing NUL among them"))
                })
            }
            _ => Err(Diagnostic::new("invalid-width", width.span, "the width of text must be an integer constant")
                .help(format!("it is called as {}", self.signature()))),
        }
    }
}
