//! Sorting where it is not what takes the time: one sort of numbers for all types.
//!
//! The sorts of the standard library are made anew for every type and every order, some 6 kB of program each. Paths that
//! every push takes use those; all others this.

use std::cmp::Ordering;

use smallvec::SmallVec;

/// So many items are sorted without the heap: the clauses of an `Accept` header, say.
type Positions = SmallVec<[usize; 16]>;

/// Sorts; equal items stay in their order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut from = positions(items.len(), &|left, right| compare(&items[left], &items[right]));
    // What belongs at a position is swapped to it; what stood there belongs at one that is looked at later in the cycle.
    for start in 0..items.len() {
        let mut at = start;
        while from[at] != start {
            let next = from[at];
            items.swap(at, next);
            from[at] = at;
            at = next;
        }
        from[at] = at;
    }
}

/// Sorts by a key; items with equal ones stay in their order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |left, right| key(left).cmp(&key(right)));
}

/// Where that stands now which belongs at each position.
#[inline(never)]
fn positions(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Positions {
    let mut from: Positions = (0..len).collect();
    from.sort_unstable_by(|left, right| compare(*left, *right).then(left.cmp(right)));
    from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn sorts_as_the_standard_library_does() {
        for seed in 0..500 {
            let mut random = Random::for_test(seed);
            let len = random.below(60);
            let mut sorted: Vec<(u64, String)> =
                (0..len).map(|at| (random.below(1 + seed % 40), at.to_string())).collect();
            let mut expected = sorted.clone();
            expected.sort_by_key(|item| item.0);
            sort_by_key(&mut sorted, |item| item.0);
            assert_eq!(sorted, expected);
            expected.sort_by(|left, right| right.0.cmp(&left.0));
            sort_by(&mut sorted, |left, right| right.0.cmp(&left.0));
            assert_eq!(sorted, expected);
        }
    }
}
