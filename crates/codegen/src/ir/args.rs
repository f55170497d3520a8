//! The arguments of a helper call, in place.
//!
//! What holds: at most five, as the kernel's calling convention has registers for them (r1 to r5,
//! Documentation/bpf/standardization/abi.rst). So an instruction owns no memory, and copying one is copying bytes. Not
//! checked here: that a helper gets as many as it takes; the verifier does.

use super::Value;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// At most five values.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Args {
    len: u8,
    /// Behind `len` all are [`NONE`], so that equal lists are equal.
    values: [Value; Args::MOST],
}

const NONE: Value = Value(u32::MAX);

impl Args {
    /// The registers that arguments are passed in.
    pub const MOST: usize = 5;

    /// These values; more than five do not compile.
    pub fn new<const N: usize>(values: [Value; N]) -> Args {
        const { assert!(N <= Args::MOST, "a helper takes at most five arguments") };
        let mut args = Args::default();
        args.values[..N].copy_from_slice(&values);
        args.len = N as u8;
        args
    }

    /// One more at the end; says whether there was room.
    #[must_use = "a sixth argument is left out"]
    pub fn push(&mut self, value: Value) -> bool {
        let slot = self.values.get_mut(usize::from(self.len));
        let fits = slot.is_some();
        if let Some(slot) = slot {
            *slot = value;
            self.len += 1;
        }
        fits
    }

    /// The last one, taken off.
    pub fn pop(&mut self) -> Option<Value> {
        let last = self.last().copied()?;
        self.len -= 1;
        self.values[usize::from(self.len)] = NONE;
        Some(last)
    }
}

impl Default for Args {
    fn default() -> Args {
        Args { len: 0, values: [NONE; Args::MOST] }
    }
}

impl Deref for Args {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.values[..usize::from(self.len)]
    }
}

impl DerefMut for Args {
    fn deref_mut(&mut self) -> &mut [Value] {
        &mut self.values[..usize::from(self.len)]
    }
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_fit_and_lists_compare_by_what_they_hold() {
        let mut args = Args::new([Value(1), Value(2)]);
        for value in 3..=5 {
            assert!(args.push(Value(value)));
        }
        assert!(!args.push(Value(6)));
        assert_eq!(*args, [Value(1), Value(2), Value(3), Value(4), Value(5)]);
        while args.len() > 2 {
            args.pop();
        }
        assert_eq!(args, Args::new([Value(1), Value(2)]));
    }
}
