//! `/api/v1/groups/delete`: which groups a client wants to be deleted, and how many of them at a time.
//!
//! Chooses them only, in steps; deleting is the application's. No more than a client knows of is ever chosen: it says how
//! many the search found, and nothing is deleted if that has changed. One request deletes a bounded number; whoever wants
//! more of them gone asks again.

use super::groups::{Filter, Walk};
use super::parameters::{self, QueryError};
use crate::limits::{FAMILIES_DELETED_MAX, GROUPS_DELETED_MAX};
use crate::store::{GroupKey, GroupView, Store};

const PARAMETERS: [&str; 3] = ["search", "state", "expect"];

/// Which groups are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    filter: Filter,
    expected: usize,
}

impl Removal {
    /// Reads the query of a request target, what is behind its `?`.
    ///
    /// # Errors
    /// If any parameter cannot be understood or is missing, and if the search finds everything: that is what a wipe
    /// is for.
    pub fn parse(query: &[u8]) -> Result<Self, QueryError> {
        let [search, state, expect] = parameters::read(query, &PARAMETERS)?;
        let filter = Filter::parse(search, state)?;
        if filter.is_empty() {
            return Err(QueryError::Everything);
        }
        let expected = parameters::number("expect", expect, u32::MAX as usize)?.ok_or(QueryError::NoCount)?;
        Ok(Self { filter, expected })
    }

    /// Whether a group that was chosen is still one of those that are meant.
    pub fn still_finds(&self, group: &GroupView<'_>) -> bool {
        self.filter.finds(group)
    }
}

/// Groups to be deleted that are being chosen, the first ones in the order of their keys.
#[derive(Debug)]
pub struct Choosing {
    removal: Removal,
    walk: Walk,
    keys: Vec<GroupKey>,
    key_bytes: usize,
    families: usize,
    matching: usize,
}

impl Choosing {
    /// Begins.
    pub fn new(removal: Removal) -> Self {
        Self { removal, walk: Walk::default(), keys: Vec::new(), key_bytes: 0, families: 0, matching: 0 }
    }

    /// Goes on as far as `left` allows; whether that is the end.
    pub fn go_on(&mut self, store: &Store, left: &mut usize) -> bool {
        while *left > 0 {
            let Some(group) = self.walk.next(store, left) else { return true };
            if !self.removal.filter.finds(&group) {
                continue;
            }
            self.matching += 1;
            if self.keys.len() < GROUPS_DELETED_MAX && self.families < FAMILIES_DELETED_MAX {
                self.families += group.holding_count();
                self.key_bytes += group.key().as_bytes().len();
                self.keys.push(group.key().clone());
            }
        }
        false
    }

    /// What comes of it at the end: the groups to be deleted, and how many matching ones are left then.
    ///
    /// # Errors
    /// The number of groups that the search finds, if the client expects another one.
    pub fn chosen(self) -> Result<(Removal, Vec<GroupKey>, usize), usize> {
        if self.matching != self.removal.expected {
            return Err(self.matching);
        }
        Ok((self.removal, self.keys, self.matching))
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        self.key_bytes + self.keys.capacity() * size_of::<GroupKey>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups::tests::{push, store};
    use super::*;

    /// The values of the first labels of the chosen groups, and how many are left.
    fn chosen(store: &Store, query: &str) -> (Vec<String>, usize) {
        let removal = Removal::parse(query.as_bytes()).unwrap_or_else(|error| panic!("{query}: {error}"));
        match choose(store, removal) {
            Ok((_, keys, matching)) => {
                let left = matching - keys.len();
                (keys.iter().map(|key| key.labels().next().unwrap().1.into_owned()).collect(), left)
            }
            Err(matching) => (vec!["unexpected".to_owned()], matching),
        }
    }

    /// In the shortest steps.
    fn choose(store: &Store, removal: Removal) -> Result<(Removal, Vec<GroupKey>, usize), usize> {
        let mut choosing = Choosing::new(removal);
        while !choosing.go_on(store, &mut 1) {}
        choosing.chosen()
    }

    #[test]
    fn what_the_search_finds_is_chosen_if_it_is_as_many_as_expected() {
        let check = |query: &str, groups: &[&str], left: usize| {
            assert_eq!(
                chosen(&store(), query),
                (groups.iter().map(|name| (*name).to_owned()).collect(), left),
                "{query}"
            );
        };
        check("search=job%3Da&expect=1", &["a"], 0);
        check("search=job%3D~*&expect=3", &["i2", "a", "c/d"], 0);
        check("state=failing&expect=1", &["a"], 0);
        check("search=none&expect=0", &[], 0);
        check("search=job%3D~*&expect=2", &["unexpected"], 3);
        check("search=none&expect=1", &["unexpected"], 0);
        check("search=job%3Da&state=passing&expect=1", &["unexpected"], 0);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |query: &str, expected: &str| {
            assert_eq!(Removal::parse(query.as_bytes()).unwrap_err().to_string(), expected, "{query}");
        };
        let everything = "the search names every group; /api/v1/admin/wipe deletes those";
        check("", everything);
        check("search=+&state=&expect=3", everything);
        check("search=a", "expect has to say how many groups the search matches");
        check("search=a&expect=", "expect has to say how many groups the search matches");
        check("search=a&expect=-1", "expect \"-1\" is not a number from 0 to 4294967295");
        check("search=a&limit=1", "unknown parameter \"limit\"; there are search, state and expect");
        check("search=a&state=bad&expect=1", "there is no state \"bad\"; there are failing and passing");
        check("search=\"&expect=1", "search term \"\\\"\": a quote is not closed");
    }

    #[test]
    fn many_groups_go_in_bounded_steps() {
        let mut store = Store::new();
        let many = GROUPS_DELETED_MAX + GROUPS_DELETED_MAX / 2;
        for number in 0..many {
            push(&mut store, &[("job", &format!("j{number}"))], &[("x", 1)], 1);
        }
        push(&mut store, &[("job", "other")], &[("x", 1)], 1);
        let mut steps = Vec::new();
        let mut left = many;
        while left > 0 {
            let removal = Removal::parse(format!("search=job%3D~j*&expect={left}").as_bytes()).unwrap();
            let (_, keys, matching) = choose(&store, removal).expect("the count is right");
            keys.iter().for_each(|key| assert!(store.delete(key)));
            steps.push(keys.len());
            left = matching - keys.len();
        }
        assert_eq!(steps, [GROUPS_DELETED_MAX, GROUPS_DELETED_MAX / 2]);
        assert_eq!(store.group_count(), 1);
        store.verify();
    }

    #[test]
    fn a_group_of_many_families_is_a_step_of_its_own() {
        let mut store = Store::new();
        let names: Vec<String> = (0..FAMILIES_DELETED_MAX).map(|number| format!("f{number}")).collect();
        let families: Vec<_> = names.iter().map(|name| (&**name, 1)).collect();
        push(&mut store, &[("job", "a")], &families, 1);
        push(&mut store, &[("job", "b")], &[("x", 1)], 1);
        assert_eq!(chosen(&store, "search=job%3D~*&expect=2"), (vec!["a".to_owned()], 1));
    }
}
