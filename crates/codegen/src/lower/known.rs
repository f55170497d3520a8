//! What has been read, so that it is not read again.
//!
//! What must hold: a value is known where every way passes the place that made it; there it is not NULL. Equal reads are known
//! by their text: the expression without its places in the query.

use super::Lowerer;
use crate::ir::{Block, Value};
use bpfquery_plan::Expr;
use std::collections::BTreeMap;

/// Values of reads and the blocks that made them, by the read's text.
#[derive(Default)]
pub(super) struct Known {
    made: BTreeMap<String, Vec<(Block, Value)>>,
}

/// How many places of one read are looked at: a read is repeated near its first place, and compiling stays linear.
const NEAR: usize = 8;

impl Lowerer<'_> {
    /// The value of a read that was made on every way here.
    pub(super) fn known(&mut self, key: &str) -> Option<Value> {
        let made = self.known.made.get(key)?.iter().rev().take(NEAR);
        made.copied().find(|(at, _)| self.build.is_behind(*at)).map(|(_, value)| value)
    }

    /// The read was made here.
    pub(super) fn remember(&mut self, key: String, value: Value) {
        let here = self.build.current();
        self.known.made.entry(key).or_default().push((here, value));
    }
}

/// The text by which equal reads are known as equal: the expression without its places.
pub(super) fn key(expr: &Expr) -> String {
    fn strip(expr: &mut Expr) {
        expr.span = bpfquery_diag::Span::default();
        expr.children_mut().into_iter().for_each(strip);
    }
    let mut bare = expr.clone();
    strip(&mut bare);
    format!("{bare:?}")
}
