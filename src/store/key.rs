//! Grouping keys: the identity and the order of groups (SPEC 2.7).
//!
//! A key is one byte string that compares as the list of its label pairs does: names and values in turn, each ended
//! by a zero byte, a zero byte inside written as `00 FF` (no UTF-8 text holds an FF, so the two cannot be confused).

use std::borrow::Cow;

use memchr::memchr;
use smallvec::SmallVec;

const END: u8 = 0;
const ZERO_FOLLOWS: u8 = 0xff;

/// The labels that name a group, sorted by name, in comparable form. The empty key stands for the gateway itself. Those
/// of a usual job and instance stand in it, without the heap: every group has one.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey(SmallVec<[u8; 32]>);

impl Clone for GroupKey {
    /// Takes no more memory than it needs: a copy is nearly always kept.
    fn clone(&self) -> Self {
        Self(SmallVec::from_slice(&self.0))
    }
}

impl GroupKey {
    /// The key of these labels, which must be sorted by name, names distinct.
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut key = Self::default();
        key.extend(labels);
        key
    }

    /// The key whose comparable form this is; `None` if it is that of no key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut texts = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut text = Vec::new();
            loop {
                let end = memchr(END, rest)?;
                text.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                let Some(behind) = rest.strip_prefix(&[ZERO_FOLLOWS]) else { break };
                text.push(END);
                rest = behind;
            }
            texts.push(String::from_utf8(text).ok()?);
        }
        let labels = texts.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1]));
        let is_sorted = labels.clone().is_sorted_by(|left, right| left.0 < right.0);
        (is_sorted && texts.len().is_multiple_of(2) && !texts.is_empty()).then(|| Self::new(labels))
    }

    /// Forgets all labels, keeping the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends labels behind those that are there; all together must be sorted by name.
    pub fn extend<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (name, value) in labels {
            self.push_text(name);
            self.push_text(value);
        }
    }

    /// The comparable form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The label pairs, sorted by name.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.0 }
    }

    /// Whether it has the same names as another key.
    pub fn has_names_of(&self, other: &Self) -> bool {
        self.labels().map(|(name, _)| name).eq(other.labels().map(|(name, _)| name))
    }

    /// Whether every name that it has in common with another key has the same value in both: if not, no series can be
    /// in both groups.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let value_of = |wanted: &str| other.labels().find(|(name, _)| name == wanted).map(|(_, value)| value);
        self.labels().all(|(name, value)| value_of(&name).is_none_or(|other| other == value))
    }

    /// The other key whose push times would be the same series: with `instance=""` added where there is no
    /// `instance`, or left out where it is empty (SPEC appendix B, 3).
    pub fn instance_twin(&self) -> Option<Self> {
        let instance = self.labels().find(|(name, _)| name == "instance");
        match instance {
            Some((_, value)) if !value.is_empty() => None,
            Some(_) => {
                let mut twin = Self::default();
                let kept: Vec<_> = self.labels().filter(|(name, _)| name != "instance").collect();
                twin.extend(kept.iter().map(|(name, value)| (&**name, &**value)));
                Some(twin)
            }
            None => {
                let mut all: Vec<_> = self.labels().collect();
                let at = all.partition_point(|(name, _)| &**name < "instance");
                all.insert(at, (Cow::Borrowed("instance"), Cow::Borrowed("")));
                Some(Self::new(all.iter().map(|(name, value)| (&**name, &**value))))
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some(zero) = memchr(END, rest) {
            self.0.extend_from_slice(&rest[..=zero]);
            self.0.push(ZERO_FOLLOWS);
            rest = &rest[zero + 1..];
        }
        self.0.extend_from_slice(rest);
        self.0.push(END);
    }
}

/// The label pairs of a key.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Labels<'a> {
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let mut end = memchr(END, self.rest)?;
        let mut zeros = 0;
        while self.rest.get(end + 1) == Some(&ZERO_FOLLOWS) {
            zeros += 1;
            end += 2 + memchr(END, &self.rest[end + 2..]).expect("every text of a key has its end");
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        if zeros == 0 {
            return Some(Cow::Borrowed(utf8(text)));
        }
        let plain = text.iter().copied().filter(|byte| *byte != ZERO_FOLLOWS).collect();
        Some(Cow::Owned(String::from_utf8(plain).expect("keys are made of UTF-8 text")))
    }
}

fn utf8(text: &[u8]) -> &str {
    str::from_utf8(text).expect("keys are made of UTF-8 text")
}

impl<'a> Iterator for Labels<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.text()?;
        let value = self.text().expect("a key holds a value for every name");
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back() {
        let check = |labels: &[(&str, &str)]| {
            let key = GroupKey::new(labels.iter().copied());
            let back: Vec<_> = key.labels().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
            let expected: Vec<_> = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(back, expected);
            assert_eq!(GroupKey::from_bytes(key.as_bytes()), (!labels.is_empty()).then_some(key));
        };
        check(&[]);
        check(&[("job", "j")]);
        check(&[("a", ""), ("job", "é日")]);
        check(&[("a", "\0"), ("b", "x\0\0y"), ("job", "\0\0")]);
    }

    #[test]
    fn other_bytes_are_no_key() {
        for bytes in [&b"job"[..], b"job\0", b"job\0j", b"job\0j\0a\0b\0", b"j\0\xff\0", b"\xc3\0j\0", b"a\0b\0a\0c\0"]
        {
            assert_eq!(GroupKey::from_bytes(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn keys_compare_as_their_labels_do() {
        let values = ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "aa", "ab", "é", "\u{10ffff}"];
        let mut all = Vec::new();
        for first in values {
            all.push(vec![("a", first)]);
            all.extend(values.iter().map(|second| vec![("a", first), ("b", *second)]));
        }
        for (left, right) in all.iter().flat_map(|left| all.iter().map(move |right| (left, right))) {
            let keys = (GroupKey::new(left.iter().copied()), GroupKey::new(right.iter().copied()));
            assert_eq!(keys.0.cmp(&keys.1), left.cmp(right), "{left:?} {right:?}");
        }
    }

    #[test]
    fn twins_differ_by_the_empty_instance() {
        let check = |labels: &[(&str, &str)], twin: Option<&[(&str, &str)]>| {
            let twin = twin.map(|labels| GroupKey::new(labels.iter().copied()));
            assert_eq!(GroupKey::new(labels.iter().copied()).instance_twin(), twin);
        };
        check(&[("job", "j")], Some(&[("instance", ""), ("job", "j")]));
        check(&[("instance", ""), ("job", "j")], Some(&[("job", "j")]));
        check(&[("instance", "i"), ("job", "j")], None);
        check(&[("a", "b"), ("job", "j")], Some(&[("a", "b"), ("instance", ""), ("job", "j")]));
    }
}
