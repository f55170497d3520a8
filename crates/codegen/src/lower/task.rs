//! The current thread's name and parent, from `task_struct` without a helper where the kernel lets programs read there.
//!
//! What must hold: two names that are equal as text are one group. Behind its NUL a name may hold what was there before, where it
//! is met while it is being changed (and on kernels before 5.17, 06c5088aeedd, where it is not copied for that). As a key it is
//! copied as it stands, so that a map may hold such a name beside the same with zeros behind it: the reader makes them one group
//! (`names` of bpfquery-exec's groups).
//!
//! Not checked: that the name's place is the running kernel's; a [`bpfquery_catalog::Check`] of the object is.

use super::{Lowerer, rows::offset_of};
use crate::ir::{Access, Value};
use bpfquery_catalog::{self as catalog, Builtin};
use bpfquery_diag::Result;
use bpfquery_isa::Helper;
use bpfquery_plan::{Expr, ExprKind, Field, Stored};

/// TASK_COMM_LEN, include/linux/sched.h.
pub(super) const COMM: u32 = 16;

impl Lowerer<'_> {
    /// The name into `bytes` (a multiple of 8) at `target`. What is behind its NUL is zero if `padded`.
    ///
    /// Linux 6.1 to 6.3 leave what is behind the name as it was (strscpy, kernel/bpf/helpers.c; strscpy_pad again since 6.4,
    /// strncpy before), so that padding is made here.
    pub(super) fn read_comm(&mut self, target: Value, bytes: u32, padded: bool) {
        if !padded && bytes >= COMM && self.copy_comm(target, 0) {
            return;
        }
        if padded {
            self.zero(target, 0, bytes);
        }
        let size = self.build.iconst(i64::from(bytes));
        self.build.call(Helper::GetCurrentComm, &[target, size]);
    }

    /// The name as it stands, to `target + offset`; false where the kernel has no such way.
    fn copy_comm(&mut self, target: Value, offset: i16) -> bool {
        let Some(at) = self.facts.comm else { return false };
        let task = self.build.call(Helper::GetCurrentTaskBtf, &[]);
        let words = [0, 8].map(|word| (word, self.build.load(Access::U64, task, at + word)));
        for (word, value) in words {
            self.build.store(Access::U64, target, offset + word, value);
        }
        true
    }

    /// `current->real_parent->tgid` by plain loads. RCU holds the parent while the program runs (real_parent is one of
    /// BTF_TYPE_SAFE_RCU(struct task_struct), kernel/bpf/verifier.c, Linux 6.2; before that any pointer may be followed).
    pub(super) fn typed_parent(&mut self) -> Option<Value> {
        let (real_parent, tgid) = self.facts.typed_parent?;
        let task = self.build.call(Helper::GetCurrentTaskBtf, &[]);
        let parent = self.build.load(Access::Task, task, real_parent);
        Some(self.build.load(Access::U32, parent, tgid))
    }

    /// Writes a key's field if it is the name and may be copied as it stands.
    pub(super) fn name_as_it_stands(&mut self, field: &Field, expr: &Expr, base: Value) -> Result<bool> {
        if !self.is_comm(field, expr) {
            return Ok(false);
        }
        self.build.set_span(expr.span);
        Ok(self.copy_comm(base, offset_of(field.offset)?))
    }

    fn is_comm(&self, field: &Field, expr: &Expr) -> bool {
        let column = |id| self.column(id).is_ok_and(|c| c.access == catalog::Access::Builtin(Builtin::Comm));
        self.facts.comm.is_some()
            && field.null_bit.is_none()
            && field.stored == (Stored::Text { bytes: COMM })
            && matches!(expr.kind, ExprKind::Column(id) if column(id))
    }
}
