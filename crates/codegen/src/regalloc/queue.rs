//! A set of small numbers of which the least is taken next.

/// Numbers below a bound, a bit for each.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    words: Vec<u64>,
    /// All words before this one are 0.
    first: usize,
}

impl Queue {
    /// None, of so many.
    pub(super) fn new(bound: usize) -> Queue {
        Queue { words: vec![0; bound.div_ceil(64)], first: 0 }
    }

    /// Adds.
    pub(super) fn insert(&mut self, number: usize) {
        self.words[number / 64] |= 1 << (number % 64);
        self.first = self.first.min(number / 64);
    }

    /// Takes out; says whether it was in.
    pub(super) fn remove(&mut self, number: usize) -> bool {
        let was = self.contains(number);
        self.words[number / 64] &= !(1 << (number % 64));
        was
    }

    /// Whether it is in.
    pub(super) fn contains(&self, number: usize) -> bool {
        self.words[number / 64] >> (number % 64) & 1 == 1
    }

    /// Takes out the least.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let least = self.iter().next();
        self.first = least.map_or(self.words.len(), |least| least / 64);
        self.remove(least?);
        least
    }

    /// All, the least first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let rest = self.words.iter().enumerate().skip(self.first);
        rest.flat_map(|(at, &word)| {
            let bits = std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)));
            bits.take_while(|rest| *rest != 0).map(move |rest| at * 64 + rest.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn the_least_comes_first() {
        let mut queue = Queue::new(200);
        [130, 5, 199, 64, 63].into_iter().for_each(|number| queue.insert(number));
        assert!(queue.remove(64) && !queue.remove(64) && queue.contains(199));
        assert_eq!(queue.pop(), Some(5));
        queue.insert(2);
        assert_eq!(queue.iter().collect::<Vec<_>>(), [2, 63, 130, 199]);
        let all: Vec<usize> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [2, 63, 130, 199]);
        queue.insert(0);
        assert_eq!((queue.pop(), queue.pop()), (Some(0), None));
    }
}
