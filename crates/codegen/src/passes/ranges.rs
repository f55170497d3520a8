//! Ranges of one number, signed and unsigned, narrowed by comparisons with constants.
//!
//! What holds: a number that satisfies all the comparisons is in both ranges. A hole in the middle is not kept.

use crate::ir::Cond;

/// What a number may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranges {
    unsigned: (u64, u64),
    signed: (i64, i64),
}

impl Ranges {
    /// One number.
    pub(super) fn of(number: i64) -> Ranges {
        Ranges { unsigned: (number as u64, number as u64), signed: (number, number) }
    }

    /// Any number of so many low bits.
    pub(super) fn of_bits(bits: u8) -> Ranges {
        match bits {
            64.. => Ranges { unsigned: (0, u64::MAX), signed: (i64::MIN, i64::MAX) },
            _ => Ranges { unsigned: (0, (1 << bits) - 1), signed: (0, ((1_u64 << bits) - 1) as i64) },
        }
    }

    /// `self cond number` holds.
    pub(super) fn narrow(&mut self, cond: Cond, number: i64) {
        let n = number as u64;
        let (unsigned, signed) = (&mut self.unsigned, &mut self.signed);
        match cond {
            Cond::Eq => *self = Ranges::of(number),
            Cond::Ne => self.exclude(number),
            Cond::Ult => unsigned.1 = unsigned.1.min(n.saturating_sub(1)),
            Cond::Ule => unsigned.1 = unsigned.1.min(n),
            Cond::Ugt => unsigned.0 = unsigned.0.max(n.saturating_add(1)),
            Cond::Uge => unsigned.0 = unsigned.0.max(n),
            Cond::Slt => signed.1 = signed.1.min(number.saturating_sub(1)),
            Cond::Sle => signed.1 = signed.1.min(number),
            Cond::Sgt => signed.0 = signed.0.max(number.saturating_add(1)),
            Cond::Sge => signed.0 = signed.0.max(number),
        }
        self.share();
    }

    fn exclude(&mut self, number: i64) {
        let n = number as u64;
        if self.unsigned.0 == n {
            self.unsigned.0 = n.saturating_add(1);
        }
        if self.unsigned.1 == n {
            self.unsigned.1 = n.saturating_sub(1);
        }
        if self.signed.0 == number {
            self.signed.0 = number.saturating_add(1);
        }
        if self.signed.1 == number {
            self.signed.1 = number.saturating_sub(1);
        }
    }

    /// Where all numbers have one sign bit, both orders are one.
    fn share(&mut self) {
        if self.unsigned.1 <= i64::MAX as u64 || self.unsigned.0 > i64::MAX as u64 {
            self.signed.0 = self.signed.0.max(self.unsigned.0 as i64);
            self.signed.1 = self.signed.1.min(self.unsigned.1 as i64);
        }
        if self.signed.0 >= 0 || self.signed.1 < 0 {
            self.unsigned.0 = self.unsigned.0.max(self.signed.0 as u64);
            self.unsigned.1 = self.unsigned.1.min(self.signed.1 as u64);
        }
    }

    /// Whether `self cond number` is known. Where no number is left the block never runs, and either answer is right.
    pub(super) fn decide(&self, cond: Cond, number: i64) -> Option<bool> {
        let n = number as u64;
        let (low, high) = self.unsigned;
        let (bottom, top) = self.signed;
        let below = |yes: bool, no: bool| match (yes, no) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        match cond {
            Cond::Eq => below(low == n && high == n, n < low || n > high || number < bottom || number > top),
            Cond::Ne => self.decide(Cond::Eq, number).map(|equal| !equal),
            Cond::Ult => below(high < n, low >= n),
            Cond::Ule => below(high <= n, low > n),
            Cond::Ugt => below(low > n, high <= n),
            Cond::Uge => below(low >= n, high < n),
            Cond::Slt => below(top < number, bottom >= number),
            Cond::Sle => below(top <= number, bottom > number),
            Cond::Sgt => below(bottom > number, top <= number),
            Cond::Sge => below(bottom >= number, top < number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONDS: [Cond; 10] =
        [Cond::Eq, Cond::Ne, Cond::Ult, Cond::Ule, Cond::Ugt, Cond::Uge, Cond::Slt, Cond::Sle, Cond::Sgt, Cond::Sge];

    fn holds(cond: Cond, a: i64, b: i64) -> bool {
        let (x, y) = (a as u64, b as u64);
        match cond {
            Cond::Eq => a == b,
            Cond::Ne => a != b,
            Cond::Ult => x < y,
            Cond::Ule => x <= y,
            Cond::Ugt => x > y,
            Cond::Uge => x >= y,
            Cond::Slt => a < b,
            Cond::Sle => a <= b,
            Cond::Sgt => a > b,
            Cond::Sge => a >= b,
        }
    }

    /// Whatever two comparisons leave, what is said of a third is true of each number that is left.
    #[test]
    fn decisions_are_true_of_every_number_left() {
        let numbers = [i64::MIN, i64::MIN + 1, -3, -2, -1, 0, 1, 2, 3, i64::MAX - 1, i64::MAX];
        let mut decided = 0;
        for first in CONDS {
            for second in CONDS {
                for asked in CONDS {
                    for (at, &c) in numbers.iter().enumerate() {
                        for (&d, &e) in numbers.iter().zip(numbers[at..].iter().chain(&numbers)) {
                            let mut ranges = Ranges::of_bits(64);
                            ranges.narrow(first, c);
                            ranges.narrow(second, d);
                            let Some(answer) = ranges.decide(asked, e) else { continue };
                            decided += 1;
                            for &x in numbers.iter().filter(|&&x| holds(first, x, c) && holds(second, x, d)) {
                                assert_eq!(
                                    holds(asked, x, e),
                                    answer,
                                    "{x}: {first:?} {c}, {second:?} {d}, {asked:?} {e}"
                                );
                            }
                        }
                    }
                }
            }
        }
        assert!(decided > 10_000, "only {decided} decisions");
    }
}
