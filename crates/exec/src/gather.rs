//! Rows grouped in user space: what a map of groups is to events, for rows that no kernel sends.
//!
//! What must hold: groups come in the order of their keys, NULL last, so that equal runs print equally; an update is what
//! [`SlotOp`] says. Memory grows with the groups, not with the rows.

use bpfquery_diag::{Failure, Result};
use bpfquery_plan::eval::{eval, passes};
use bpfquery_plan::{BUCKETS, Datum, Expr, Slot, SlotOp};
use std::collections::BTreeMap;

/// Groups so far.
pub(crate) struct Groups<'a> {
    keys: &'a [Expr],
    slots: &'a [Slot],
    params: &'a [Datum],
    /// Keys and states, by bytes that are ordered as the keys are.
    found: BTreeMap<Vec<u8>, Vec<Datum>>,
    /// The bytes of the key under way.
    bytes: Vec<u8>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(keys: &'a [Expr], slots: &'a [Slot], params: &'a [Datum]) -> Groups<'a> {
        Groups { keys, slots, params, found: BTreeMap::new(), bytes: Vec::new() }
    }

    /// Takes in a row that comes so many times.
    pub(crate) fn push(&mut self, row: &[Datum], times: u64) -> Result<()> {
        let keys = self.keys.iter().map(|key| eval(key, row, self.params)).collect::<Result<Vec<Datum>>>()?;
        self.bytes.clear();
        keys.iter().for_each(|key| ordered(key, &mut self.bytes));
        if !self.found.contains_key(&self.bytes) {
            let states = self.slots.iter().map(|slot| nothing(slot.op));
            self.found.insert(self.bytes.clone(), keys.into_iter().chain(states).collect());
        }
        let Some(group) = self.found.get_mut(&self.bytes) else { return Ok(()) };
        for (slot, state) in self.slots.iter().zip(&mut group[self.keys.len()..]) {
            if let Some(filter) = &slot.filter
                && !passes(filter, row, self.params)?
            {
                continue;
            }
            let input = slot.input.as_ref().map(|input| eval(input, row, self.params)).transpose()?;
            if input != Some(Datum::Null) {
                update(slot.op, state, input, times)?;
            }
        }
        Ok(())
    }

    /// Keys and states of all groups; without keys there is one, even of no rows.
    pub(crate) fn take(&mut self) -> Vec<Vec<Datum>> {
        if self.keys.is_empty() && self.found.is_empty() {
            self.found.insert(Vec::new(), self.slots.iter().map(|slot| nothing(slot.op)).collect());
        }
        std::mem::take(&mut self.found).into_values().collect()
    }
}

/// The state of no rows.
fn nothing(op: SlotOp) -> Datum {
    match op {
        SlotOp::Count | SlotOp::Sum => Datum::Int(0),
        SlotOp::Min { .. } | SlotOp::Max { .. } => Datum::Null,
        SlotOp::Histogram => Datum::Histogram(vec![0; BUCKETS as usize]),
    }
}

/// An input that is not NULL; none for a count of rows.
fn update(op: SlotOp, state: &mut Datum, input: Option<Datum>, times: u64) -> Result<()> {
    match (op, &mut *state, input) {
        (SlotOp::Count, Datum::Int(count), _) => *count += i128::from(times),
        (SlotOp::Sum, Datum::Int(sum), Some(Datum::Int(x))) => {
            *sum = sum.wrapping_add(x.wrapping_mul(i128::from(times)));
        }
        (SlotOp::Min { .. } | SlotOp::Max { .. }, Datum::Null, Some(x)) => *state = x,
        (SlotOp::Min { .. }, Datum::Int(least), Some(Datum::Int(x))) => *least = x.min(*least),
        (SlotOp::Max { .. }, Datum::Int(most), Some(Datum::Int(x))) => *most = x.max(*most),
        (SlotOp::Histogram, Datum::Histogram(counts), Some(Datum::Int(bucket))) => {
            let count = usize::try_from(bucket).ok().and_then(|bucket| counts.get_mut(bucket));
            let count = count.ok_or_else(|| Failure::bug("exec", format!("there is no bucket {bucket}")))?;
            *count += times;
        }
        (op, state, input) => return Err(Failure::bug("exec", format!("{op:?} of {input:?} in {state:?}"))),
    }
    Ok(())
}

/// Appends bytes that compare as the values do: NULL last, text byte by byte, a text before those that it is the start of.
fn ordered(datum: &Datum, bytes: &mut Vec<u8>) {
    const SIGN: u64 = 1 << 63;
    match datum {
        Datum::Null => bytes.push(0xff),
        Datum::Bool(truth) => bytes.extend([1, u8::from(*truth)]),
        Datum::Int(x) => {
            bytes.push(1);
            bytes.extend((x.cast_unsigned() ^ (1 << 127)).to_be_bytes());
        }
        Datum::Double(x) => {
            // -0 is 0, and every NaN is one.
            let bits = if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() };
            bytes.push(1);
            bytes.extend((if bits & SIGN == 0 { bits | SIGN } else { !bits }).to_be_bytes());
        }
        Datum::Text(text) => {
            bytes.push(1);
            text.iter().for_each(|byte| if *byte == 0 { bytes.extend([0, 1]) } else { bytes.push(*byte) });
            bytes.extend([0, 0]);
        }
        Datum::Histogram(counts) => {
            bytes.push(1);
            counts.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ordered;
    use bpfquery_plan::Datum;

    #[test]
    fn bytes_are_ordered_as_values_are() {
        let text = |text: &str| Datum::Text(text.as_bytes().to_vec());
        let lists = [
            vec![Datum::Bool(false), Datum::Bool(true), Datum::Null],
            vec![Datum::Int(i128::MIN), Datum::Int(-1), Datum::Int(0), Datum::Int(256), Datum::Int(i128::MAX)],
            vec![text(""), text("\0"), text("a"), text("a\0"), text("ab"), text("b"), Datum::Null],
            [f64::NEG_INFINITY, -1.5, 0.0, 1.5, f64::INFINITY, f64::NAN].map(Datum::Double).to_vec(),
        ];
        for list in lists {
            let bytes = |datum: &Datum| {
                let mut bytes = Vec::new();
                ordered(datum, &mut bytes);
                // Something follows, as in a key of two columns.
                bytes.push(0x80);
                bytes
            };
            let all: Vec<Vec<u8>> = list.iter().map(bytes).collect();
            assert!(all.is_sorted_by(|a, b| a < b), "{list:?}");
        }
    }
}
