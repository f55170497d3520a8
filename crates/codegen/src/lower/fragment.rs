//! The frame of a program: filters, then the output, each fetch as late as it can be.

use super::Lowerer;
use bpfquery_catalog::{Access, Builtin};
use bpfquery_diag::Result;
use bpfquery_plan::{Expr, ExprKind, Output};

impl Lowerer<'_> {
    /// The whole program.
    pub(super) fn fragment(&mut self) -> Result<()> {
        let fragment = self.fragment;
        let filters: Vec<&Expr> = fragment.filter.iter().collect();
        self.prepare_scratch(true);
        self.prefetch(&filters);
        for filter in filters {
            let pass = self.build.block();
            let exit = self.exit;
            self.cond(filter, pass, exit, exit)?;
            self.build.switch_to(pass);
        }
        self.build.set_span(fragment.span);
        self.prepare_scratch(false);
        self.prefetch(&outputs(&fragment.output));
        match &fragment.output {
            Output::Rows { layout, values } => self.rows(layout, values)?,
            Output::Groups { key, keys, state, slots, store, .. } => {
                self.groups(key, keys, state, slots, store)?;
            }
        }
        let exit = self.exit;
        self.build.set_span(fragment.span);
        if !self.build.is_terminated() {
            self.build.jump(exit, &[]);
        }
        self.build.switch_to(exit);
        let zero = self.build.iconst(0);
        self.build.ret(zero);
        Ok(())
    }

    /// Reads the clock if one of these expressions uses it and nobody has read it: an event has one time.
    fn prefetch(&mut self, exprs: &[&Expr]) {
        if self.now.is_none() && exprs.iter().any(|expr| self.uses_clock(expr)) {
            let now = self.build.call(bpfquery_isa::Helper::KtimeGetNs, &[]);
            self.now = Some(now);
        }
    }

    fn uses_clock(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Tumble { .. } => true,
            ExprKind::Column(id) => {
                let access = self.fragment.relation.columns.get(id.0 as usize).map(|column| &column.access);
                matches!(access, Some(Access::Builtin(Builtin::Ts | Builtin::Elapsed)))
            }
            _ => expr.children().into_iter().any(|child| self.uses_clock(child)),
        }
    }
}

fn outputs(output: &Output) -> Vec<&Expr> {
    match output {
        Output::Rows { values, .. } => values.iter().collect(),
        Output::Groups { keys, slots, .. } => {
            keys.iter().chain(slots.iter().flat_map(|slot| slot.filter.iter().chain(&slot.input))).collect()
        }
    }
}
