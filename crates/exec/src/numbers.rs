//! A column of numbers.

use crate::run::{NullBit, Run};
use arrow_array::builder::NullBufferBuilder;
use arrow_array::{ArrowPrimitiveType, PrimitiveArray};
use arrow_schema::DataType;

/// Builds a column of numbers. What stands where a value is NULL has no meaning.
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    ty: DataType,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// An empty column; `ty` is of `T`'s kind, but may have a time zone or a precision of its own.
    pub(crate) fn new(ty: DataType) -> Numbers<T> {
        Numbers { values: Vec::new(), nulls: NullBufferBuilder::new(0), ty }
    }

    pub(crate) fn append_null(&mut self) {
        self.values.push(T::Native::default());
        self.nulls.append_null();
    }

    pub(crate) fn append_value(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    /// Appends a value of each record, whether it is NULL or not, in one go.
    pub(crate) fn append_run(&mut self, run: Run<'_>, null: Option<NullBit>, values: impl Iterator<Item = T::Native>) {
        self.values.extend(values);
        match null {
            None => self.nulls.append_n_non_nulls(run.len()),
            Some(null) => run.records().for_each(|record| self.nulls.append(!null.is_set(record))),
        }
    }

    /// The column so far; the builder starts anew, with as much room.
    pub(crate) fn finish(&mut self) -> PrimitiveArray<T> {
        let room = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, room);
        PrimitiveArray::new(values.into(), self.nulls.finish()).with_data_type(self.ty.clone())
    }
}
