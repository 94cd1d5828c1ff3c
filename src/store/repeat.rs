//! Pushes that say what their group holds already, but for the values, as nearly all pushes to a group do.
//!
//! A group remembers the shape of the body that said what it holds. What a body of that shape would change is values,
//! where they stand: nothing has to be checked, since whether a store is consistent does not depend on values, and nothing
//! else has to be looked up or written.

use super::check::Resolved;
use super::entry::{Entry, GroupId};
use super::key::GroupKey;
use super::line::write_with_values;
use super::staged::Staged;
use super::{EntryText, Store};
use crate::limits::Limit;
use crate::model::number;
use crate::model::sample::{FamilyIx, Repeat};
use crate::model::time::Timestamp;

/// Longest text of a push time, bytes.
const TIME_BYTES_MAX: usize = 24;

impl Store {
    /// Takes a push, PUT or POST, to a group that holds what a body of that shape says, and nothing else; `false`, and
    /// nothing changes, if that is not so or not known, or if the store is nearly full.
    pub fn repeat(&mut self, key: &GroupKey, body: Repeat<'_>, at: Timestamp) -> bool {
        let Some(id) = self.catalog.find_group(key) else { return false };
        let bytes = self.usage().bytes.saturating_add((body.text.len() + TIME_BYTES_MAX) as u64);
        if !self.is_repeated(id, body) || bytes > self.limits.most(Limit::StoreBytes) {
            return false;
        }
        let group = self.catalog.group_mut(id);
        group.pushed = at;
        let places = group.places.len();
        self.pages.warm(self.catalog.group(id).places.iter().filter_map(|place| place.home()));
        let mut values = body.values();
        for at in 2..places {
            self.write_values(id, at, &mut values);
        }
        let mut time = std::mem::take(&mut self.text);
        time.clear();
        number::write(&mut time, at.seconds());
        self.write_values(id, 0, &mut std::iter::once(&*time));
        self.text = time;
        true
    }

    fn is_repeated(&self, id: GroupId, body: Repeat<'_>) -> bool {
        let group = self.catalog.group(id);
        group.body == Some(body.shape) && group.is_usually_written() && !self.catalog.outline(id).has_quoted_names
    }

    /// Writes other values to the lines of an entry, by the place of its family in the outline.
    fn write_values<'v>(&mut self, group: GroupId, at: usize, values: &mut impl Iterator<Item = &'v [u8]>) {
        let (held, home) = self.catalog.holding_at(group, at);
        let (entry, home) = (Entry { family: held.family, group }, home.expect("what a body says has lines"));
        self.joined.clear();
        write_with_values(&mut self.joined, self.pages.shared_text(entry, home), values);
        self.pages.put_at(&mut self.catalog, entry, Some(home), EntryText::Shared(&self.joined));
        self.mark_values(entry.family);
    }

    /// A push was applied: remembers its shape if the group holds that and nothing else, in its order.
    pub(super) fn note_body(&mut self, group: GroupId, staged: &Staged, resolved: &[Resolved]) {
        let is_in_order = || resolved.iter().zip(0..).all(|(resolved, ix)| resolved.ix == FamilyIx(ix));
        let held = &self.catalog.outline(group).held;
        let is_all = held.len() == resolved.len() + 2;
        let body = staged.plain_shape().filter(|_| is_all && is_in_order());
        self.catalog.group_mut(group).body = body;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{BodyShape, Kind};
    use crate::random::Random;
    use crate::store::Mode;
    use crate::store::naive::{Push, PushedFamily, Step, Twins, feed};

    fn plain_push(random: &mut Random) -> Push {
        let names: Vec<_> = ["a", "b", "c", "zz"].into_iter().filter(|_| random.one_in(2)).collect();
        let mut families: Vec<_> = names
            .into_iter()
            .map(|name| PushedFamily {
                name: name.to_owned(),
                kind: if name == "zz" { Kind::Counter } else { Kind::Gauge },
                help: random.one_in(3).then(|| "help".to_owned()),
                metrics: (0..1 + random.below(3))
                    .map(|at| (vec![("x".to_owned(), at.to_string())], at as i64))
                    .collect(),
            })
            .collect();
        if random.one_in(3) {
            random.shuffle(&mut families);
        }
        Push {
            labels: vec![("job".to_owned(), random.pick(&["j", "k"]).to_owned())],
            is_replace: random.one_in(2),
            has_timestamp: random.one_in(10),
            is_interleaved: random.one_in(3),
            is_whole: false,
            families,
        }
    }

    /// Groups few and plain enough that most of what comes again can be taken.
    #[test]
    fn repeated_pushes_are_as_good_as_whole_ones() {
        let mut repeated = 0;
        for seed in 0..20 {
            let mut random = Random::for_test(seed);
            let mut twins = if seed % 4 == 0 { Twins::unchecked() } else { Twins::default() };
            for _ in 0..300 {
                twins.step(&match random.below(20) {
                    0 => Step::Delete(plain_push(&mut random).labels),
                    1..=5 => Step::Push(plain_push(&mut random)),
                    _ => {
                        let [body, group] =
                            [6, 3].map(|chance| if random.one_in(chance) { random.index(4) } else { 0 });
                        Step::Again { body, group, add: [0, 1, 1000, 100_000][random.index(4)] }
                    }
                });
            }
            repeated += twins.repeated;
        }
        assert!(repeated > 500, "{repeated}");
    }

    /// A push of a family to the group `j`, with one metric that has this label.
    fn push_of(family: &str, label: &str, is_replace: bool, has_timestamp: bool) -> Push {
        let metrics = vec![(vec![(label.to_owned(), "1".to_owned())], 1)];
        Push {
            labels: vec![("job".to_owned(), "j".to_owned())],
            is_replace,
            has_timestamp,
            is_interleaved: false,
            is_whole: false,
            families: vec![PushedFamily { name: family.to_owned(), kind: Kind::Gauge, help: None, metrics }],
        }
    }

    /// All at the same time, so that times do not tell that there is more.
    #[test]
    fn a_group_that_holds_more_is_not_repeated() {
        let (mut store, mut staged, shape) = (Store::new(), Staged::default(), BodyShape::unused());
        let key = GroupKey::new([("job", "j")]);
        for (family, is_replace, expected) in [("a", false, true), ("b", false, false), ("b", true, true)] {
            feed(&mut staged, &push_of(family, "x", is_replace, false));
            staged.set_shape(Some(shape));
            let mode = if is_replace { Mode::Replace } else { Mode::Merge };
            store.push(&mut staged, mode, Timestamp(1)).expect("nothing is wrong with it");
            let again = Repeat { shape, text: b"2", ends: &[1] };
            assert_eq!(store.repeat(&key, again, Timestamp(1)), expected, "{family}");
        }
        store.verify();
    }

    /// Its families may stand in another order than those of the group, and then values cannot be told apart by their places.
    #[test]
    fn a_push_that_was_made_in_steps_is_repeated_if_it_has_the_order_of_its_group() {
        for (names, expected) in [(["a", "b"], true), (["b", "a"], false)] {
            let (mut store, mut staged, shape) = (Store::new(), Staged::default(), BodyShape::unused());
            for name in ["a", "b"] {
                let labels = vec![("job".to_owned(), "other".to_owned())];
                feed(&mut staged, &Push { labels, ..push_of(name, "x", false, false) });
                store.push(&mut staged, Mode::Merge, Timestamp(1)).expect("nothing is wrong with it");
            }
            let families = names.map(|name| push_of(name, "x", true, false).families).concat();
            feed(&mut staged, &Push { families, ..push_of("a", "x", true, false) });
            staged.set_shape(Some(shape));
            store.begin_push(staged, Mode::Replace, Timestamp(1));
            let pushed = std::iter::repeat_with(|| store.change_some()).flatten().next().flatten();
            assert_eq!(pushed.expect("it is a push").outcome, Ok(()));
            let again = Repeat { shape, text: b"23", ends: &[1, 2] };
            assert_eq!(store.repeat(&GroupKey::new([("job", "j")]), again, Timestamp(2)), expected, "{names:?}");
            store.verify();
        }
    }

    #[test]
    fn what_a_refused_push_left_is_cleared_by_a_whole_one() {
        let (mut store, mut staged, shape) = (Store::new(), Staged::default(), BodyShape::unused());
        let push = |label, has_timestamp| push_of("a", label, true, has_timestamp);
        let mut whole = |store: &mut Store, push: &Push, shape| {
            feed(&mut staged, push);
            staged.set_shape(shape);
            store.push(&mut staged, Mode::Replace, Timestamp(1)).is_ok()
        };
        let key = GroupKey::new([("job", "j")]);
        let again = |store: &mut Store| store.repeat(&key, Repeat { shape, text: b"2", ends: &[1] }, Timestamp(2));
        assert!(!again(&mut store), "there is no such group");
        assert!(whole(&mut store, &push("x", false), Some(shape)));
        assert!(again(&mut store));
        assert!(!whole(&mut store, &push("x.y", true), None));
        assert!(store.has_quoted_names());
        assert!(!again(&mut store), "a whole push would say that there are no quoted names");
        assert!(whole(&mut store, &push("x", false), Some(shape)));
        assert!(!store.has_quoted_names());
        assert!(again(&mut store));
        store.set_limits(crate::limits::Limits::default().with(Limit::StoreBytes, store.usage().bytes));
        assert!(!again(&mut store), "there may be no room");
        store.verify();
    }
}
