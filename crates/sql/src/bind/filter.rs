//! WHERE and HAVING.

use super::{Binder, Place};
use crate::ast::Expr;
use bpfquery_diag::Result;
use bpfquery_plan as plan;

impl Binder<'_> {
    /// WHERE: a boolean over the relation's columns.
    pub(super) fn filter(&mut self, filter: Option<&Expr>) -> Result<Option<plan::Expr>> {
        self.place = Place::Where;
        filter.map(|filter| self.condition(filter, "WHERE")).transpose()
    }

    /// HAVING: a boolean over groups.
    pub(super) fn having(&mut self, having: Option<&Expr>) -> Result<Option<plan::Expr>> {
        self.place = Place::Having;
        having.map(|having| self.condition(having, "HAVING")).transpose()
    }
}
