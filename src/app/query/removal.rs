//! `/api/v1/groups/delete`: which groups a client wants to be deleted, and how many of them at a time.
//!
//! Chooses them only; deleting is the application's. No more than a client knows of is ever chosen: it says how many
//! the search found, and nothing is deleted if that has changed. One request deletes a bounded number, as all other
//! clients wait for it; whoever wants more of them gone asks again.

use super::groups::Filter;
use super::parameters::{self, QueryError};
use crate::limits::{FAMILIES_DELETED_MAX, GROUPS_DELETED_MAX};
use crate::store::{GroupKey, Store};

const PARAMETERS: [&str; 3] = ["search", "state", "expect"];

/// Which groups are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    filter: Filter,
    expected: usize,
}

/// What a removal comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// These groups are to be deleted now, and so many matching ones are left then.
    Groups {
        /// The keys of the groups.
        keys: Vec<GroupKey>,
        /// How many the search still finds without them.
        left: usize,
    },
    /// The search finds another number of groups than the client expects.
    Unexpected {
        /// The number.
        matching: usize,
    },
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

    /// Chooses the groups, the first ones in the order of their keys.
    pub fn choose(&self, store: &Store) -> Chosen {
        let (mut keys, mut families, mut matching) = (Vec::new(), 0, 0);
        for group in store.groups().filter(|group| self.filter.finds(group)) {
            matching += 1;
            if keys.len() < GROUPS_DELETED_MAX && families < FAMILIES_DELETED_MAX {
                families += group.holding_count();
                keys.push(group.key().clone());
            }
        }
        if matching == self.expected {
            Chosen::Groups { left: matching - keys.len(), keys }
        } else {
            Chosen::Unexpected { matching }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups::tests::{push, store};
    use super::*;

    /// The values of the first labels of the chosen groups, and how many are left.
    fn chosen(store: &Store, query: &str) -> (Vec<String>, usize) {
        let removal = Removal::parse(query.as_bytes()).unwrap_or_else(|error| panic!("{query}: {error}"));
        match removal.choose(store) {
            Chosen::Groups { keys, left } => {
                (keys.iter().map(|key| key.labels().next().unwrap().1.into_owned()).collect(), left)
            }
            Chosen::Unexpected { matching } => (vec!["unexpected".to_owned()], matching),
        }
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
            let Chosen::Groups { keys, left: rest } = removal.choose(&store) else { panic!("the count is right") };
            keys.iter().for_each(|key| assert!(store.delete(key)));
            steps.push(keys.len());
            left = rest;
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
