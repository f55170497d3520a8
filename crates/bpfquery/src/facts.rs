//! What lowering must know of the kernel for the columns that a fragment uses, and what an object then takes for granted.
//!
//! What must hold: BTF is asked only for what a column needs: a query of other columns does not wait for it.

use crate::Target;
use bpfquery_catalog::{Access, Builtin, Check, Feature, FieldPath, Identity, Kernel, SqlType, TypeRef, VMLINUX, nav};
use bpfquery_codegen::lower::Facts;
use bpfquery_diag::{Result, Unsupported};
use bpfquery_plan::Fragment;

/// The struct of a thread.
const TASK: &str = "task_struct";
/// Since this version bpf_get_current_task_btf lets tracing programs load from `task_struct` (3ca1032ab7ab).
const TYPED_TASK: (u16, u16) = (5, 11);
/// Since this version what stands behind a thread's name is zero (06c5088aeedd).
const PADDED_COMM: (u16, u16) = (5, 17);
/// TASK_COMM_LEN, include/linux/sched.h.
const COMM: u32 = 16;

/// What a fragment needs, and the checks that go with it.
pub(crate) fn facts(fragment: &Fragment, kernel: &dyn Kernel, target: Target) -> Result<(Facts, Vec<Check>)> {
    let mut facts = Facts::default();
    let mut checks = Vec::new();
    let typed = target == Target::This && has_typed_task(kernel.identity());
    if uses(fragment, Builtin::Ppid) {
        let (real_parent, tgid) = (needed(kernel, "real_parent")?, needed(kernel, "tgid")?);
        if typed {
            facts.typed_parent = at(&real_parent).zip(at(&tgid));
            checks.extend([check("real_parent", &real_parent), check("tgid", &tgid)]);
        }
        facts.parent = Some((real_parent, tgid));
    }
    if uses(fragment, Builtin::Comm)
        && typed
        && has_since(kernel.identity(), PADDED_COMM)
        && let Some(comm) = place(kernel, "comm")?.filter(|comm| comm.size == COMM)
    {
        facts.comm = at(&comm);
        checks.push(check("comm", &comm));
    }
    Ok((facts, checks))
}

/// A load's offset; `None` where an instruction has no room for it.
fn at(member: &FieldPath) -> Option<i16> {
    i16::try_from(member.offset).ok()
}

fn check(name: &str, member: &FieldPath) -> Check {
    Check::Member { of: TASK.to_string(), member: name.to_string(), offset: member.offset, size: member.size }
}

fn has_typed_task(identity: &Identity) -> bool {
    has_since(identity, TYPED_TASK) && identity.features.contains(&Feature::Btf)
}

fn has_since(identity: &Identity, version: (u16, u16)) -> bool {
    (identity.version.0, identity.version.1) >= version
}

fn uses(fragment: &Fragment, builtin: Builtin) -> bool {
    let columns = &fragment.relation.columns;
    let is = |at: &usize| columns.get(*at).is_some_and(|column| column.access == Access::Builtin(builtin));
    fragment.columns().iter().any(is)
}

/// A member of `task_struct`; `None` where the kernel's BTF has none of that name.
fn place(kernel: &dyn Kernel, name: &str) -> Result<Option<FieldPath>> {
    let task = SqlType::Struct(TypeRef { object: VMLINUX.to_string(), id: 0, name: TASK.to_string() });
    let found = nav::member(kernel, &task, name)?;
    Ok(found.ok().map(|member| FieldPath::to(&member, format!("{TASK}.{name}"))))
}

fn needed(kernel: &dyn Kernel, name: &str) -> Result<FieldPath> {
    let release = &kernel.identity().release;
    let missing = || Unsupported::new("the column ppid").detail(format!("the BTF of {release} has no {TASK}.{name}"));
    Ok(place(kernel, name)?.ok_or_else(missing)?)
}
