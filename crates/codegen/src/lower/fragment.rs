//! The frame of a program: filters, then the output, each fetch as late as it can be.

use super::Lowerer;
use super::hold::Row;
use bpfquery_catalog::{Access, Builtin, Hook};
use bpfquery_diag::Result;
use bpfquery_plan::{Expr, ExprKind, Output};

impl Lowerer<'_> {
    /// The whole program.
    pub(super) fn fragment(&mut self) -> Result<()> {
        let fragment = self.fragment;
        if let Some(matched) = &fragment.matched {
            self.filters(&matched.before)?;
            self.begin_step();
            // The row's time is that of its event, before what the join itself takes.
            self.prefetch(&fragment.exprs());
            self.prepare_tallies();
            self.take(matched)?;
        }
        self.filters(&fragment.filter)?;
        self.build.set_span(fragment.span);
        self.begin_step();
        match &fragment.output {
            // It reads the clock itself, as late as it can.
            Output::Hold { .. } => self.prepare_tallies(),
            Output::Rows { .. } | Output::Groups { .. } => self.prefetch(&outputs(&fragment.output)),
        }
        match &fragment.output {
            Output::Hold { store, layout, state, values, holds } => {
                let row = Row { layout, state: *state, values };
                self.hold(*store, row, holds)?;
            }
            Output::Rows { layout, values } => self.rows(layout, values)?,
            Output::Groups { key, keys, state, slots, store, .. } => {
                self.groups(key, keys, state, slots, store)?;
            }
        }
        self.end();
        Ok(())
    }

    /// The conditions, in order; a row for which one is not true goes no further.
    fn filters(&mut self, filters: &[Expr]) -> Result<()> {
        for filter in filters {
            self.begin_step();
            self.prefetch(&[filter]);
            let pass = self.build.block();
            let exit = self.exit;
            self.cond(filter, pass, exit, exit)?;
            self.build.switch_to(pass);
        }
        Ok(())
    }

    /// The way out.
    fn end(&mut self) {
        self.build.set_span(self.fragment.span);
        self.release();
        let exit = self.exit;
        if !self.build.is_terminated() {
            self.build.jump(exit, &[]);
        }
        self.build.switch_to(exit);
        let verdict = self.build.iconst(verdict(&self.fragment.relation.hook));
        self.build.ret(verdict);
    }

    /// Reads the clock if one of these expressions uses it and nobody has read it: an event has one time.
    pub(super) fn prefetch(&mut self, exprs: &[&Expr]) {
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

/// What the program returns. Behind a perf tracepoint 0 would take the event from everybody else's perf events, on all CPUs: it is
/// let through (perf_trace_run_bpf_submit, kernel/events/core.c, and perf_syscall_enter, kernel/trace/trace_syscalls.c, Linux 5.10
/// to 6.18). A kprobe's event and a tick of the clock are our own, and nobody looks at what the others return.
fn verdict(hook: &Hook) -> i64 {
    i64::from(matches!(hook, Hook::Tracepoint { .. }))
}

fn outputs(output: &Output) -> Vec<&Expr> {
    match output {
        Output::Hold { values, holds, .. } => holds.iter().chain(values).collect(),
        Output::Rows { values, .. } => values.iter().collect(),
        Output::Groups { keys, slots, .. } => {
            keys.iter().chain(slots.iter().flat_map(|slot| slot.filter.iter().chain(&slot.input))).collect()
        }
    }
}
