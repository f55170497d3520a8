//! Fields of kernel structs, read with CO-RE.
//!
//! The same steps as libbpf's BPF_CORE_READ_BITFIELD_PROBED (bpf_core_read.h, libbpf 1.5), less what the field's type on the
//! compiling kernel makes unnecessary: `FIELD_BYTE_SIZE` lets an integer be wider or narrower on another kernel, and the
//! shifts put its sign and its bits in place there. Of an array's element libbpf tells no shifts (bpf_core_calc_field_relo,
//! src/relo_core.c, 1.5): they follow from its size.
//!
//! What is asked for by `FIELD_EXISTS` stands behind a branch on a constant of the loader, so that the verifier does not come to
//! the relocations that a kernel without the field cannot fill in.

use super::{Counter, Lowerer, key};
use crate::ir::{Access, BinOp, Block, Cond, CoreReloc, CoreWhat, Guess, Value};
use bpfquery_catalog::{self as catalog, FieldPath, Presence, Space, SqlType};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::Helper;
use bpfquery_plan::{Expr, ExprKind, Subscript};

/// Where a field is: the way from a struct, and the indices that the run decides.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) base: &'a Expr,
    pub(super) path: &'a FieldPath,
    pub(super) at: &'a [Subscript],
}

impl Lowerer<'_> {
    /// The field as a value in a register, read once on each path.
    pub(super) fn field(&mut self, expr: &Expr, place: &Place<'_>, null: Block) -> Result<Value> {
        let key = key(expr);
        if let Some(value) = self.known(&key) {
            return Ok(value);
        }
        let reader = if space(place.base) == Space::User { Helper::ProbeReadUser } else { Helper::ProbeReadKernel };
        let base = self.way(expr, place, null)?;
        let value = self.read_field(reader, base, place.path, &expr.ty, null)?;
        self.remember(key, value);
        Ok(value)
    }

    /// The address that the way to a field starts from, moved on by the indices; `null` where the kernel has no such field.
    fn way(&mut self, expr: &Expr, place: &Place<'_>, null: Block) -> Result<Value> {
        if place.path.presence != Presence::Sure {
            self.build.set_span(expr.span);
            let exists = self.core(place.path, CoreWhat::Exists, 1);
            let (zero, go_on) = (self.build.iconst(0), self.build.block());
            self.build.branch(Cond::Eq, exists, zero, null, go_on);
            self.build.switch_to(go_on);
        }
        let mut base = self.address(place.base, null)?;
        for subscript in place.at {
            base = self.element(base, subscript, null)?;
        }
        self.build.set_span(expr.span);
        Ok(base)
    }

    /// `base + index * size of an element`; `null` where the array has no such element.
    fn element(&mut self, base: Value, at: &Subscript, null: Block) -> Result<Value> {
        let index = self.scalar(&at.index, null)?;
        let size = self.size(&at.element);
        if let Some(array) = &at.array {
            let all = self.size(array);
            let count = self.build.bin(BinOp::UDiv, all, size);
            let go_on = self.build.block();
            // A negative index is a large one.
            self.build.branch(Cond::Ult, index, count, go_on, null);
            self.build.switch_to(go_on);
        }
        let distance = self.build.bin(BinOp::Mul, index, size);
        Ok(self.build.bin(BinOp::Add, base, distance))
    }

    /// The address of a struct, an array or a text in memory.
    pub(super) fn located(&mut self, expr: &Expr, place: &Place<'_>, null: Block) -> Result<Value> {
        let base = self.way(expr, place, null)?;
        Ok(self.field_address(base, place.path))
    }

    /// The address that a pointer holds, or at which a struct stands.
    pub(super) fn address(&mut self, expr: &Expr, null: Block) -> Result<Value> {
        match (&expr.ty, &expr.kind) {
            (SqlType::Struct(_) | SqlType::Array { .. } | SqlType::Text { .. }, ExprKind::Field { base, path, at }) => {
                self.located(expr, &Place { base, path, at }, null)
            }
            (SqlType::Struct(_), _) => Err(Failure::bug("lower", "a struct that stands nowhere")),
            (SqlType::Pointer { space: Space::Kernel, .. }, ExprKind::Field { base, path, at })
                if space(base) == Space::Kernel =>
            {
                self.hop(expr, &Place { base, path, at }, null)
            }
            _ => self.scalar(expr, null),
        }
    }

    /// A pointer on the way of a chain, 0 where it could not be read: bpf_probe_read_kernel leaves zeroes then
    /// (kernel/trace/bpf_trace.c, Linux 5.10), and reading what is behind 0 fails again (copy_from_kernel_nofault_allowed,
    /// arch/x86/mm/maccess.c). That last fault is counted: one for each value that is NULL by it, as without this.
    fn hop(&mut self, expr: &Expr, place: &Place<'_>, null: Block) -> Result<Value> {
        let exact = key(expr);
        let lenient = format!("hop {exact}");
        if let Some(value) = self.known(&exact).or_else(|| self.known(&lenient)) {
            return Ok(value);
        }
        let base = self.way(expr, place, null)?;
        let (buffer, _) = self.read_word(Helper::ProbeReadKernel, base, place.path, true);
        let value = self.build.load(Access::U64, buffer, 0);
        self.remember(lenient, value);
        Ok(value)
    }

    /// `base + offset of the field`.
    pub(super) fn field_address(&mut self, base: Value, path: &FieldPath) -> Value {
        if path.members.is_empty() && path.presence == Presence::Sure {
            return base;
        }
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
        match path.bits {
            Some(bits) => {
                let left = self.core(path, CoreWhat::LshiftU64, bits.left);
                let right = self.core(path, CoreWhat::RshiftU64, bits.right);
                self.shift_pair(word, left, right, signed)
            }
            None if signed && path.size < 8 && (path.element || path.members.is_empty()) => {
                let size = self.size(path);
                let bits = self.build.bin_imm(BinOp::Shl, size, 3);
                let all = self.build.iconst(64);
                let free = self.build.bin(BinOp::Sub, all, bits);
                self.shift_pair(word, free, free, true)
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
        let size = if pointer { self.build.iconst(8) } else { self.size(path) };
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

    /// How many bytes a way's end takes.
    fn size(&mut self, path: &FieldPath) -> Value {
        match path.members.is_empty() && path.presence == Presence::Sure {
            true if path.root.id == 0 => self.build.iconst(i64::from(path.size)),
            true => self.core(path, CoreWhat::TypeSize, path.size),
            false => self.core(path, CoreWhat::ByteSize, path.size),
        }
    }

    fn core(&mut self, path: &FieldPath, what: CoreWhat, local: u32) -> Value {
        let guess = match path.presence {
            Presence::Sure | Presence::Asked => None,
            Presence::Missing(catalog::Guess::Pointer) => Some(Guess::Pointer),
            Presence::Missing(catalog::Guess::Int { bytes, signed }) => Some(Guess::Int { bytes, signed }),
        };
        self.build.core(CoreReloc {
            what,
            object: path.root.object.clone(),
            root: path.root.id,
            members: path.members.clone(),
            text: path.text.clone(),
            local,
            guess,
        })
    }
}

/// Whose memory a struct stands in: that of the pointer which leads to it.
pub(super) fn space(base: &Expr) -> Space {
    match (&base.ty, &base.kind) {
        (SqlType::Pointer { space, .. }, _) => *space,
        (_, ExprKind::Field { base, .. }) => space(base),
        _ => Space::Kernel,
    }
}
