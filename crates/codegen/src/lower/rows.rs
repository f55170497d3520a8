//! Rows through the ring buffer: reserved, filled in place, submitted.

use super::groups::fills;
use super::{Counter, Lowerer};
use crate::ir::{Access, BinOp, MapData, MapKind, Type, Value};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::{Helper, Purpose};
use bpfquery_plan::{Expr, Field, Layout, Stored};

/// Bytes of the ring buffer: a power of two, so large that 50 ms of a million rows a second fit.
const RING_BYTES: u32 = 16 << 20;
/// BPF_RB_NO_WAKEUP, include/uapi/linux/bpf.h: the reader polls, so that no event pays for waking it.
const NO_WAKEUP: i64 = 1;

impl Lowerer<'_> {
    /// Sends one row.
    pub(super) fn rows(&mut self, layout: &Layout, values: &[Expr]) -> Result<()> {
        let map = self.build.map(MapData {
            name: "rows".to_string(),
            kind: MapKind::RingBuffer,
            key_size: 0,
            value_size: 0,
            max_entries: RING_BYTES,
        });
        let ring = self.build.map_addr(map);
        let size = self.build.iconst(i64::from(layout.size));
        let flags = self.build.iconst(0);
        let reserved = self.build.call(Helper::RingbufReserve, &[ring, size, flags]);
        let exit = self.exit;
        let full = self.counted(Counter::RowsLost, exit);
        let record = self.build.non_null(reserved, full, &[]);
        self.fill(layout, values, record, false)?;
        self.build.set_span(self.fragment.span);
        let flags = self.build.iconst(NO_WAKEUP);
        self.build.call(Helper::RingbufSubmit, &[record, flags]);
        Ok(())
    }

    /// Writes values to the fields of a layout at `base`. With `padded`, as a key, texts have zeros behind them, a field that is NULL
    /// is zero, and so is what the layout leaves over.
    pub(super) fn fill(&mut self, layout: &Layout, values: &[Expr], base: Value, padded: bool) -> Result<()> {
        if let (Some((offset, bytes)), false, true) = (layout.nulls, padded, has_one_nullable(layout)) {
            return self.fill_with_one_nullable(layout, values, base, offset_of(offset)?, bytes);
        }
        let mut nulls = self.build.iconst(0);
        for (field, expr) in layout.fields.iter().zip(values) {
            nulls = match field.null_bit {
                None => {
                    // The plan says that it is never NULL: this block is never entered.
                    let never = self.exit;
                    let wide = if padded { fills(layout, field, expr) } else { None };
                    self.field_value(field, wide, expr, base, padded, never)?;
                    nulls
                }
                Some(bit) => self.nullable_field(field, bit, expr, base, padded, nulls)?,
            };
        }
        if let Some((offset, bytes)) = layout.nulls {
            let access = Access::of_bytes(bytes).ok_or_else(|| Failure::bug("lower", "null bits"))?;
            self.build.set_span(self.fragment.span);
            self.store_nulls(access, base, offset_of(offset)?, nulls);
        }
        Ok(())
    }

    /// Its null bit is stored as 0 before, and again where it turns out to be 1: the usual way keeps no register for it.
    fn fill_with_one_nullable(
        &mut self,
        layout: &Layout,
        values: &[Expr],
        base: Value,
        nulls: i16,
        bytes: u32,
    ) -> Result<()> {
        let access = Access::of_bytes(bytes).ok_or_else(|| Failure::bug("lower", "null bits"))?;
        let zero = self.build.iconst(0);
        self.store_nulls(access, base, nulls, zero);
        for (field, expr) in layout.fields.iter().zip(values) {
            let Some(bit) = field.null_bit else {
                let never = self.exit;
                self.field_value(field, None, expr, base, false, never)?;
                continue;
            };
            let (null, join) = (self.build.block(), self.build.block());
            self.field_value(field, None, expr, base, false, null)?;
            self.build.jump(join, &[]);
            self.build.switch_to(null);
            let bits = self.build.iconst(1 << bit);
            self.store_nulls(access, base, nulls, bits);
            self.build.jump(join, &[]);
            self.build.switch_to(join);
        }
        Ok(())
    }

    fn store_nulls(&mut self, access: Access, base: Value, at: i16, bits: Value) {
        let before = self.build.set_purpose(Purpose::Nulls);
        self.build.store(access, base, at, bits);
        self.build.set_purpose(before);
    }

    fn nullable_field(
        &mut self,
        field: &Field,
        bit: u32,
        expr: &Expr,
        base: Value,
        padded: bool,
        nulls: Value,
    ) -> Result<Value> {
        let (null, join) = (self.build.block(), self.build.block());
        let merged = self.build.param(join, Type::Int);
        self.field_value(field, None, expr, base, padded, null)?;
        self.build.jump(join, &[nulls]);
        self.build.switch_to(null);
        if let (true, Stored::Int { bytes, .. }) = (padded, field.stored) {
            let zero = self.build.iconst(0);
            let access = Access::of_bytes(bytes).ok_or_else(|| Failure::bug("lower", "field width"))?;
            self.build.store(access, base, offset_of(field.offset)?, zero);
        }
        let before = self.build.set_purpose(Purpose::Nulls);
        let with_bit = self.build.bin_imm(BinOp::Or, nulls, 1 << bit);
        self.build.set_purpose(before);
        self.build.jump(join, &[with_bit]);
        self.build.switch_to(join);
        Ok(merged)
    }

    /// Writes one value, an integer in as many bytes as it has or `wide` ones.
    fn field_value(
        &mut self,
        field: &Field,
        wide: Option<u32>,
        expr: &Expr,
        base: Value,
        padded: bool,
        null: crate::ir::Block,
    ) -> Result<()> {
        match field.stored {
            Stored::Text { bytes } => {
                if self.keying && self.name_as_it_stands(field, expr, base)? {
                    return Ok(());
                }
                // Where it may be NULL, its bytes were zeroed before.
                let padded = padded && field.null_bit.is_none();
                self.text_into(expr, base, field.offset, bytes, padded, null)
            }
            Stored::Int { bytes, .. } => {
                let bytes = wide.unwrap_or(bytes);
                let access = Access::of_bytes(bytes).ok_or_else(|| Failure::bug("lower", "field width"))?;
                let value = self.scalar(expr, null)?;
                self.build.set_span(expr.span);
                self.build.store(access, base, offset_of(field.offset)?, value);
                Ok(())
            }
            Stored::Wide | Stored::Buckets => Err(Failure::bug("lower", "an aggregate's state in a row")),
        }
    }
}

fn has_one_nullable(layout: &Layout) -> bool {
    layout.fields.iter().filter(|field| field.null_bit.is_some()).count() == 1
}

/// A layout's offset as an instruction's.
pub(super) fn offset_of(offset: u32) -> Result<i16> {
    i16::try_from(offset).map_err(|_| Failure::bug("lower", format!("offset {offset} is beyond 32767")))
}
