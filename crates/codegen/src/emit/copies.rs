//! Copies that happen at once, put in an order.

use super::mach::VReg;

/// Copies one after the other that do what `moves` (destination, source) do at once.
///
/// Destinations are distinct. A cycle is opened through `scratch`, one for all: each cycle is closed before the next.
pub(super) fn sequence(moves: &[(VReg, VReg)], scratch: VReg) -> Vec<(VReg, VReg)> {
    let mut pending: Vec<(VReg, VReg)> = moves.iter().copied().filter(|(dst, src)| dst != src).collect();
    let mut ordered = Vec::new();
    while !pending.is_empty() {
        // A destination that nobody still reads may be written.
        let free = pending.iter().position(|&(dst, _)| pending.iter().all(|&(_, src)| src != dst));
        match free {
            Some(at) => ordered.push(pending.remove(at)),
            None => {
                // Only cycles are left: keep one register's old value aside, so that it may be written.
                let kept = pending[0].0;
                ordered.push((scratch, kept));
                pending.iter_mut().filter(|(_, src)| *src == kept).for_each(|(_, src)| *src = scratch);
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Runs the copies on registers that hold their own names.
    fn check(moves: &[(u32, u32)]) {
        let moves: Vec<_> = moves.iter().map(|&(dst, src)| (VReg(dst), VReg(src))).collect();
        let mut held: BTreeMap<VReg, VReg> = BTreeMap::new();
        for (dst, src) in sequence(&moves, VReg(99)) {
            let value = held.get(&src).copied().unwrap_or(src);
            held.insert(dst, value);
        }
        for (dst, src) in moves {
            assert_eq!(held.get(&dst).copied().unwrap_or(dst), src, "{dst:?}");
        }
    }

    #[test]
    fn every_destination_gets_the_old_value_of_its_source() {
        check(&[]);
        check(&[(1, 1)]);
        check(&[(1, 2), (2, 3), (3, 4)]);
        check(&[(3, 4), (2, 3), (1, 2)]);
        check(&[(1, 2), (2, 1)]);
        check(&[(1, 2), (2, 3), (3, 1)]);
        check(&[(1, 2), (2, 1), (3, 4), (4, 3), (5, 1), (6, 3)]);
        check(&[(1, 5), (2, 5), (3, 5), (5, 1)]);
    }

    #[test]
    fn all_maps_of_four_registers() {
        for code in 0..256_u32 {
            let moves: Vec<_> = (0..4).map(|dst| (dst, code >> (2 * dst) & 3)).collect();
            check(&moves);
        }
    }
}
