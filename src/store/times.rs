//! The push times of a group that comes from elsewhere than a push.

use super::Store;
use super::entry::{FamilyId, GroupId};
use super::key::GroupKey;
use super::line::Overlay;
use crate::model::time::Timestamp;

/// One of the two push times of a group: what its series says, and when that was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushTime {
    /// When a push was last accepted, or refused; zero if none was.
    pub value: Timestamp,
    /// The time of the push that wrote this: one that was refused may have written that none was accepted yet.
    pub written: Timestamp,
}

impl Store {
    /// Sets when pushes to a group were last accepted and refused; whether there is such a group.
    pub fn set_times(&mut self, key: &GroupKey, pushed: PushTime, failed: PushTime) -> bool {
        let Some(group) = self.catalog.find_group(key) else { return false };
        self.write_times(group, pushed, failed);
        true
    }

    /// The same for a group that is known to be there.
    pub(super) fn write_times(&mut self, id: GroupId, pushed: PushTime, failed: PushTime) {
        self.catalog.set_push_times(id, pushed, failed);
        let group = self.catalog.group(id);
        let mut overlay = Overlay::default();
        overlay.assign(&group.key);
        for (family, time) in [(FamilyId::PUSH_TIME, pushed), (FamilyId::FAILURE_TIME, failed)] {
            self.write_time(id, family, overlay.own_labels(), time.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mode, Staged};

    const LABELS: [(&str, &str); 2] = [("job", "j"), ("q", "\"\n")];

    #[test]
    fn times_are_shown_and_told() {
        let mut store = Store::new();
        let key = GroupKey::new(LABELS);
        let (pushed, failed) = (
            PushTime { value: Timestamp(1_500_000_000), written: Timestamp(1_500_000_000) },
            PushTime { value: Timestamp(0), written: Timestamp(7) },
        );
        assert!(!store.set_times(&key, pushed, failed), "there is no such group");
        assert_eq!(store.bytes(), 0);
        let mut staged = Staged::default();
        staged.begin(LABELS.into_iter());
        staged.seal();
        store.push(&mut staged, Mode::Merge, Timestamp(9)).expect("an empty push");
        for (pushed, failed, is_successful) in [(pushed, failed, true), (failed, pushed, false)] {
            assert!(store.set_times(&key, pushed, failed));
            store.verify();
            let group = store.group(&key).expect("it was pushed");
            assert_eq!((group.pushed(), group.failed()), (pushed.value, failed.value));
            assert_eq!(group.last_push_successful(), is_successful);
            let families = group.families();
            let told: Vec<_> = families.iter().map(|family| (family.name(), family.written())).collect();
            let expected = [("push_failure_time_seconds", failed.written), ("push_time_seconds", pushed.written)];
            assert_eq!(told, expected);
            let mut snapshot = crate::store::Snapshot::default();
            store.snapshot(&mut snapshot);
            let text: Vec<u8> = snapshot.pieces().iter().flat_map(|piece| piece.iter().copied()).collect();
            let text = String::from_utf8(text).expect("the exposition is text");
            for (name, time) in [("push_time_seconds", pushed), ("push_failure_time_seconds", failed)] {
                let line = format!("{name}{{instance=\"\",job=\"j\",q=\"\\\"\\n\"}} {}\n", time.value.seconds());
                assert!(text.contains(&line), "{line}{text}");
            }
        }
    }
}
