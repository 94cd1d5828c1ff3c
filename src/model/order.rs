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
    merge_sort(&mut from, &mut Positions::from_elem(0, len), compare);
    from
}

/// Sorts by merging sorted halves; `spare` has at least as much room. The sorts of the standard library choose among
/// four algorithms, which is more program than all callers of this together.
fn merge_sort(from: &mut [usize], spare: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering) {
    let middle = from.len() / 2;
    if middle == 0 {
        return;
    }
    merge_sort(&mut from[..middle], spare, compare);
    merge_sort(&mut from[middle..], spare, compare);
    if compare(from[middle - 1], from[middle]).is_le() {
        return;
    }
    let spare = &mut spare[..from.len()];
    spare.copy_from_slice(from);
    let (mut left, mut right) = (0, middle);
    for place in from {
        let is_left_next = right == spare.len() || (left < middle && compare(spare[left], spare[right]).is_le());
        let next = if is_left_next { &mut left } else { &mut right };
        *place = spare[*next];
        *next += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

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
            expected.sort_by_key(|item| Reverse(item.0));
            sort_by(&mut sorted, |left, right| right.0.cmp(&left.0));
            assert_eq!(sorted, expected);
        }
    }
}
