//! Sorting any number of items in short steps: runs of them are sorted one by one, and merged as they are taken out.

use std::cmp::Ordering;

use super::order;

/// Items of one run: sorting it takes some hundred microseconds.
pub const RUN_ITEMS: usize = 512;

/// Items to be taken out in order, equal ones in the order in which they came. All calls are to be given the same order.
#[derive(Debug)]
pub struct Sorter<T> {
    items: Vec<T>,
    /// How many of them stand in runs that are sorted.
    sorted: usize,
    /// The next item of each run that has any left, as a heap with the lowest first.
    heads: Vec<usize>,
}

impl<T> Default for Sorter<T> {
    fn default() -> Self {
        Self { items: Vec::new(), sorted: 0, heads: Vec::new() }
    }
}

impl<T: Clone> Sorter<T> {
    /// Adds an item. Not to be called once sorting has begun.
    pub fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// The work of sorting a run: how many items have to be looked at.
    pub fn run_items(&self) -> usize {
        self.items.len().min(RUN_ITEMS)
    }

    /// Sorts the next run; whether all are sorted.
    pub fn sort_some(&mut self, compare: impl Fn(&T, &T) -> Ordering) -> bool {
        if self.sorted < self.items.len() {
            let end = self.items.len().min(self.sorted + RUN_ITEMS);
            order::sort_by(&mut self.items[self.sorted..end], &compare);
            self.heads.push(self.sorted);
            self.sorted = end;
            let mut at = self.heads.len() - 1;
            while at > 0 && self.is_before(at, (at - 1) / 2, &compare) {
                self.heads.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
        }
        self.sorted == self.items.len()
    }

    /// Takes out the lowest item that is left, once all are sorted.
    pub fn next(&mut self, compare: impl Fn(&T, &T) -> Ordering) -> Option<T> {
        let place = *self.heads.first()?;
        if (place + 1).is_multiple_of(RUN_ITEMS) || place + 1 == self.items.len() {
            self.heads.swap_remove(0);
        } else {
            self.heads[0] = place + 1;
        }
        let mut at = 0;
        loop {
            let left = 2 * at + 1;
            let Some(mut child) = (left < self.heads.len()).then_some(left) else { break };
            if left + 1 < self.heads.len() && self.is_before(left + 1, left, &compare) {
                child = left + 1;
            }
            if !self.is_before(child, at, &compare) {
                break;
            }
            self.heads.swap(child, at);
            at = child;
        }
        Some(self.items[place].clone())
    }

    /// Forgets all items; keeps memory for one run.
    pub fn clear(&mut self) {
        self.items.clear();
        self.items.shrink_to(RUN_ITEMS);
        self.heads.clear();
        self.heads.shrink_to(1);
        self.sorted = 0;
    }

    /// Memory that it holds, bytes; that of the items themselves only.
    pub fn held_bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>() + self.heads.capacity() * size_of::<usize>()
    }

    fn is_before(&self, left: usize, right: usize, compare: &impl Fn(&T, &T) -> Ordering) -> bool {
        let (left, right) = (self.heads[left], self.heads[right]);
        compare(&self.items[left], &self.items[right]).then(left.cmp(&right)).is_lt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn sorts_as_the_standard_library_does() {
        let mut sorter = Sorter::default();
        for seed in 0..60 {
            let mut random = Random::for_test(seed);
            let edge = random.below(4) as usize * RUN_ITEMS;
            let len = [edge, edge + 1, edge.saturating_sub(1), random.below(3000) as usize][random.index(4)];
            let mut expected: Vec<(u64, usize)> = (0..len).map(|at| (random.below(1 + seed * 9), at)).collect();
            expected.iter().for_each(|item| sorter.push(*item));
            assert_eq!(sorter.run_items(), len.min(RUN_ITEMS));
            let compare = |left: &(u64, usize), right: &(u64, usize)| left.0.cmp(&right.0);
            let mut steps = 1;
            while !sorter.sort_some(compare) {
                steps += 1;
            }
            assert_eq!(steps, len.div_ceil(RUN_ITEMS).max(1));
            let sorted: Vec<_> = std::iter::from_fn(|| sorter.next(compare)).collect();
            expected.sort_by_key(|item| item.0);
            assert_eq!(sorted, expected);
            sorter.clear();
            assert!(sorter.held_bytes() <= RUN_ITEMS * size_of::<(u64, usize)>() + 64);
        }
    }
}
