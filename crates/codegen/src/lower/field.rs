//! Fields of kernel structs, read with CO-RE.
//!
//! The same steps as libbpf's BPF_CORE_READ_BITFIELD_PROBED (bpf_core_read.h, libbpf 1.5), less what the field's type on the
//! compiling kernel makes unnecessary: `FIELD_BYTE_SIZE` lets an integer be wider or narrower on another kernel, and the
//! shifts put its sign and its bits in place there.

use super::{Counter, Lowerer, key};
use crate::ir::{Access, BinOp, Block, Cond, CoreReloc, CoreWhat, Value};
use bpfquery_catalog::{FieldPath, Space, SqlType};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::Helper;
use bpfquery_plan::Expr;

impl Lowerer<'_> {
    /// `base->path` as a value in a register, read once on each path.
    pub(super) fn field(&mut self, expr: &Expr, base: &Expr, path: &FieldPath, null: Block) -> Result<Value> {
        let key = key(expr);
        if let Some(value) = self.known(&key) {
            return Ok(value);
        }
        let reader = if space(base) == Space::User { Helper::ProbeReadUser } else { Helper::ProbeReadKernel };
        let base = self.address(base, null)?;
        self.build.set_span(expr.span);
        let value = self.read_field(reader, base, path, &expr.ty, null)?;
        self.remember(key, value);
        Ok(value)
    }

    /// The address that a pointer holds, or at which a struct stands.
    pub(super) fn address(&mut self, expr: &Expr, null: Block) -> Result<Value> {
        match (&expr.ty, &expr.kind) {
            (
                SqlType::Struct(_) | SqlType::Array { .. } | SqlType::Text { .. },
                bpfquery_plan::ExprKind::Field { base, path },
            ) => {
                let base = self.address(base, null)?;
                self.build.set_span(expr.span);
                Ok(self.field_address(base, path))
            }
            (SqlType::Struct(_), _) => Err(Failure::bug("lower", "a struct that stands nowhere")),
            (SqlType::Pointer { space: Space::Kernel, .. }, bpfquery_plan::ExprKind::Field { base, path })
                if space(base) == Space::Kernel =>
            {
                self.hop(expr, base, path, null)
            }
            _ => self.scalar(expr, null),
        }
    }

    /// A pointer on the way of a chain, 0 where it could not be read: bpf_probe_read_kernel leaves zeroes then
    /// (kernel/trace/bpf_trace.c, Linux 5.10), and reading what is behind 0 fails again (copy_from_kernel_nofault_allowed,
    /// arch/x86/mm/maccess.c). That last fault is counted: one for each value that is NULL by it, as without this.
    fn hop(&mut self, expr: &Expr, base: &Expr, path: &FieldPath, null: Block) -> Result<Value> {
        let exact = key(expr);
        let lenient = format!("hop {exact}");
        if let Some(value) = self.known(&exact).or_else(|| self.known(&lenient)) {
            return Ok(value);
        }
        let base = self.address(base, null)?;
        self.build.set_span(expr.span);
        let (buffer, _) = self.read_word(Helper::ProbeReadKernel, base, path, true);
        let value = self.build.load(Access::U64, buffer, 0);
        self.remember(lenient, value);
        Ok(value)
    }

    /// `base + offset of the field`.
    pub(super) fn field_address(&mut self, base: Value, path: &FieldPath) -> Value {
        let offset = self.core(path, CoreWhat::ByteOffset, path.offset);
        self.build.bin(BinOp::Add, base, offset)
    }

    /// Reads a scalar field of the struct at address `base`, which is in the memory that the helper reads.
    pub(super) fn read_field(
        &mut self,
        reader: Helper,
        base: Value,
        path: &FieldPath,
        ty: &SqlType,
        null: Block,
    ) -> Result<Value> {
        let Some((_, signed)) = ty.scalar() else {
            return Err(Failure::bug("lower", format!("field {} as {ty}", path.text)));
        };
        let (buffer, failed) = self.read_word(reader, base, path, matches!(ty, SqlType::Pointer { .. }));
        self.check_fault(failed, null);
        Ok(self.field_of_word(buffer, path, signed))
    }

    /// The same of a struct that the kernel itself has just read from, so that the read cannot fail; if it did, the helper would
    /// leave 0 (bpf_probe_read_kernel_common, kernel/trace/bpf_trace.c).
    pub(super) fn read_sure_field(&mut self, base: Value, path: &FieldPath, ty: &SqlType) -> Result<Value> {
        let Some((_, signed)) = ty.scalar() else {
            return Err(Failure::bug("lower", format!("field {} as {ty}", path.text)));
        };
        let pointer = matches!(ty, SqlType::Pointer { .. });
        let (buffer, _) = self.read_word(Helper::ProbeReadKernel, base, path, pointer);
        Ok(self.field_of_word(buffer, path, signed))
    }

    /// The field's value in the word that was read.
    fn field_of_word(&mut self, buffer: Value, path: &FieldPath, signed: bool) -> Value {
        let word = self.build.load(Access::U64, buffer, 0);
        match path.shifts {
            Some((left, right)) => {
                let left = self.core(path, CoreWhat::LshiftU64, left);
                let right = self.core(path, CoreWhat::RshiftU64, right);
                self.shift_pair(word, left, right, signed)
            }
            None if signed && path.size < 8 => {
                let shift = 64 - 8 * path.size;
                let left = self.core(path, CoreWhat::LshiftU64, shift);
                let right = self.core(path, CoreWhat::RshiftU64, shift);
                self.shift_pair(word, left, right, true)
            }
            None => word,
        }
    }

    /// Reads a field's bytes into a word; the second value is negative if that failed.
    fn read_word(&mut self, reader: Helper, base: Value, path: &FieldPath, pointer: bool) -> (Value, Value) {
        let buffer = self.word_buffer();
        if !pointer && path.size < 8 {
            let zero = self.build.iconst(0);
            self.build.store(Access::U64, buffer, 0, zero);
        }
        let size = if pointer { self.build.iconst(8) } else { self.core(path, CoreWhat::ByteSize, path.size) };
        let address = self.field_address(base, path);
        let failed = self.build.call(reader, &[buffer, size, address]);
        (buffer, failed)
    }

    fn shift_pair(&mut self, word: Value, left: Value, right: Value, signed: bool) -> Value {
        let top = self.build.bin(BinOp::Shl, word, left);
        self.build.bin(if signed { BinOp::Ashr } else { BinOp::Lshr }, top, right)
    }

    /// Goes to `null`, counted, if a probe read returned an error; goes on otherwise.
    pub(super) fn check_fault(&mut self, failed: Value, null: Block) {
        let fault = self.counted(Counter::ReadFaults, null);
        let go_on = self.build.block();
        let zero = self.build.iconst(0);
        self.build.branch(Cond::Slt, failed, zero, fault, go_on);
        self.build.switch_to(go_on);
    }

    fn core(&mut self, path: &FieldPath, what: CoreWhat, local: u32) -> Value {
        self.build.core(CoreReloc {
            what,
            object: path.root.object.clone(),
            root: path.root.id,
            members: path.members.clone(),
            text: path.text.clone(),
            local,
        })
    }
}

/// Whose memory a struct stands in: that of the pointer which leads to it.
pub(super) fn space(base: &Expr) -> Space {
    match (&base.ty, &base.kind) {
        (SqlType::Pointer { space, .. }, _) => *space,
        (_, bpfquery_plan::ExprKind::Field { base, .. }) => space(base),
        _ => Space::Kernel,
    }
}
