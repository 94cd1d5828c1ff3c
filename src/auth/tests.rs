//! Who is let in, what that costs, and what a flood can do.

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::limits::COMPARISONS_QUEUED_MAX;

/// A hash of `secret`.
const SECRET: &str = "$2b$04$sc11KmUW4ojDSQ3fwjBPQuVsi9D56m9ZFFK07rM03Q/5uln6XrF0K";

fn hash_of(password: &str, cost: u32) -> BcryptHash {
    let salt = *b"0123456789abcdef";
    let mut terminated = password.as_bytes().to_vec();
    terminated.push(0);
    terminated.truncate(72);
    let digest = bcrypt::bcrypt(cost, salt, &terminated)[..23].try_into().expect("23 bytes");
    BcryptHash { text: format!("{cost} {digest:?}"), cost, salt, digest }
}

fn user(name: &str, hash: BcryptHash) -> User {
    User { name: name.to_owned(), hash }
}

struct Door {
    auth: Authenticator,
    woken: Receiver<()>,
}

impl Door {
    fn new(users: &[User]) -> Self {
        let (wake, woken) = mpsc::channel();
        let mut auth = Authenticator::new(Box::new(move || wake.send(()).unwrap_or_default()));
        auth.set_users(users);
        Self { auth, woken }
    }

    fn bob() -> Self {
        Self::new(&[user("bob", BcryptHash::parse(SECRET).expect("a hash"))])
    }

    fn ask(&mut self, user: &str, password: &str) -> Check {
        let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        self.auth.check(Some(value.as_bytes()))
    }

    /// Asks until it is known.
    #[track_caller]
    fn verdict(&mut self, user: &str, password: &str) -> bool {
        loop {
            match self.ask(user, password) {
                Check::Granted => return true,
                Check::Denied => return false,
                Check::Busy => self.wait(),
                Check::Wait(_) => self.wait(),
            }
        }
    }

    #[track_caller]
    fn wait(&mut self) {
        self.woken.recv_timeout(Duration::from_secs(20)).expect("an outcome comes");
        assert!(self.auth.collect().is_some());
    }
}

#[test]
fn without_users_everybody_is_let_in() {
    let mut door = Door::new(&[]);
    assert!(door.auth.is_open());
    assert_eq!(door.auth.check(None), Check::Granted);
    assert_eq!(door.ask("x", "y"), Check::Granted);
    assert_eq!(door.auth.comparisons(), 0);
}

#[test]
fn the_right_password_and_no_other() {
    let mut door = Door::bob();
    assert_eq!(door.auth.check(None), Check::Denied);
    assert_eq!(door.auth.check(Some(b"Basic !")), Check::Denied);
    assert_eq!(door.auth.comparisons(), 0, "nothing to compare");
    for (name, password, expected) in [
        ("bob", "secret", true),
        ("bob", "Secret", false),
        ("bob", "secre", false),
        ("bob", "secret\0", false),
        ("bob", "", false),
        ("Bob", "secret", false),
        ("", "secret", false),
    ] {
        assert_eq!(door.verdict(name, password), expected, "{name}:{password:?}");
    }
}

#[test]
fn passwords_count_up_to_72_bytes() {
    for length in [71, 72, 73, 100] {
        let password = "x".repeat(length);
        let mut door = Door::new(&[user("bob", hash_of(&password, 4))]);
        assert!(door.verdict("bob", &password), "{length}");
        assert_eq!(door.verdict("bob", &"x".repeat(length + 1)), length >= 72, "{length}");
        assert!(!door.verdict("bob", &"x".repeat(length.min(72) - 1)), "{length}");
    }
}

#[test]
fn each_pair_is_compared_once() {
    let mut door = Door::bob();
    for _ in 0..3 {
        assert!(door.verdict("bob", "secret"));
        assert!(!door.verdict("bob", "wrong"));
        assert!(!door.verdict("eve", "secret"));
    }
    assert_eq!(door.auth.comparisons(), 3);
    // Those who come meanwhile wait for the same comparison.
    let Check::Wait(first) = door.ask("bob", "new") else { panic!("it is not known yet") };
    assert_eq!(door.ask("bob", "new"), Check::Wait(first));
    assert_eq!(door.auth.comparisons(), 4);
}

/// The names of users cannot be found out: a stranger costs a comparison, of the highest cost that there is.
#[test]
fn strangers_cost_a_comparison() {
    let mut door = Door::new(&[user("a", hash_of("a", 4)), user("b", hash_of("b", 6)), user("c", hash_of("c", 5))]);
    assert_eq!(door.auth.stranger.as_ref().map(|hash| hash.cost), Some(6));
    for (count, (name, password)) in (1..).zip([("a", "x"), ("nobody", "x"), ("nobody", "b"), ("b", "x")]) {
        assert!(!door.verdict(name, password), "{name}:{password}");
        assert_eq!(door.auth.comparisons(), count, "{name}:{password}");
    }
}

/// The password of somebody whose hash stands in for strangers lets no stranger in.
#[test]
fn strangers_do_not_get_in_with_the_hash_they_are_compared_with() {
    let mut door = Door::bob();
    assert!(!door.verdict("eve", "secret"));
    assert!(door.verdict("bob", "secret"));
    assert!(!door.verdict("eve", "secret"));
}

/// Pairs that are the same when put behind each other (CVE-2022-46146): what is remembered of one says nothing about
/// the other.
#[test]
fn what_is_remembered_cannot_be_poisoned() {
    let hash = BcryptHash::parse(SECRET).expect("a hash");
    let mut door = Door::new(&[user("bob", hash.clone()), user("b", hash.clone())]);
    assert!(door.verdict("bob", "secret"));
    for (name, password) in [
        ("b", "obsecret"),
        ("bobs", "ecret"),
        ("bob", "secret\0"),
        ("bo", "bsecret"),
        ("", "bobsecret"),
        ("b", &*format!("ob{SECRET}secret")),
        (&*format!("bob{SECRET}"), "secret"),
        (&*format!("bob{SECRET}secret"), ""),
    ] {
        assert!(!door.verdict(name, password), "{name}:{password:?}");
        assert!(door.verdict("bob", "secret"));
    }
}

#[test]
fn users_change_at_once() {
    let mut door = Door::bob();
    assert!(door.verdict("bob", "secret"));
    door.auth.set_users(&[user("bob", hash_of("changed", 4))]);
    assert!(!door.verdict("bob", "secret"));
    assert!(door.verdict("bob", "changed"));
    door.auth.set_users(&[user("eve", hash_of("changed", 4))]);
    assert!(!door.verdict("bob", "changed"));
    // A comparison that was under way counts for the user that it was made for.
    let Check::Wait(_) = door.ask("eve", "changed") else { panic!("it is not known yet") };
    door.auth.set_users(&[user("eve", hash_of("other", 4))]);
    assert!(!door.verdict("eve", "changed"));
}

#[test]
fn floods_are_bounded_and_take_nothing_from_others() {
    let mut door = Door::bob();
    assert!(door.verdict("bob", "secret"));
    let mut busy = 0;
    for number in 0..COMPARISONS_QUEUED_MAX * 20 {
        match door.ask("bob", &format!("guess {number}")) {
            Check::Wait(_) => {}
            Check::Busy => busy += 1,
            check => panic!("{check:?}"),
        }
        assert!(door.auth.under_way.len() <= COMPARISONS_QUEUED_MAX * 20 - busy);
        assert_eq!(door.ask("bob", "secret"), Check::Granted, "who is known waits for nobody");
    }
    assert!(busy > 0);
    while !door.auth.under_way.is_empty() {
        door.wait();
    }
    // More wrong passwords than are remembered.
    for number in 0..DENIALS_CACHED_MAX + 10 {
        assert!(!door.verdict("bob", &format!("wrong {number}")));
    }
    let before = door.auth.comparisons();
    assert!(door.verdict("bob", "secret"));
    assert_eq!(door.auth.comparisons(), before);
}
