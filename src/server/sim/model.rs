//! What the gateway should hold, as maps, and all that it has held since it was started last.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::number;
use crate::model::time::Timestamp;

/// The groups that are pushed to: their labels, `job` first.
pub const GROUPS: [&[(&str, &str)]; 6] = [
    &[("job", "a")],
    &[("job", "b")],
    &[("job", "a"), ("instance", "i")],
    &[("job", "b"), ("zone", "z")],
    &[("job", "a"), ("zone", "z"), ("instance", "i")],
    &[("job", "c")],
];

/// The families that are pushed.
pub const NAMES: [&str; 4] = ["m_a", "m_b", "m_c", "m_d"];

/// A family as it is pushed to one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// `gauge`, `counter` or `untyped`.
    pub kind: &'static str,
    /// The label `id` and the value of each sample.
    pub samples: Vec<(u64, u64)>,
}

/// A push whose body is fine.
#[derive(Clone, Debug)]
pub struct Push {
    /// To which of [`GROUPS`].
    pub group: usize,
    /// Whether it is a PUT.
    pub is_replace: bool,
    /// Whether a sample has a timestamp, which is refused.
    pub has_timestamp: bool,
    /// By name.
    pub families: BTreeMap<&'static str, Family>,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    families: BTreeMap<&'static str, Family>,
    pushed: Timestamp,
    failed: Timestamp,
}

/// Lines of an exposition, comments aside.
pub type Lines = BTreeSet<String>;

/// The number of a change.
pub type Version = u64;

type Groups = [Option<Group>; GROUPS.len()];

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Model {
    groups: Groups,
    /// What each group was from that change on. The first is what was there at the start.
    history: [Vec<(Version, Option<Group>)>; GROUPS.len()],
    /// The last change.
    pub version: Version,
    /// The last change that somebody was told to be kept.
    pub promised: Version,
}

impl Model {
    /// Makes a push; the status of its answer.
    pub fn push(&mut self, push: &Push, now: Timestamp) -> u16 {
        let mut after = self.groups[push.group].clone().unwrap_or_default();
        if push.is_replace {
            after.families.clear();
        }
        after.families.extend(push.families.iter().map(|(name, family)| (*name, family.clone())));
        after.pushed = now;
        let others = self.groups.iter().enumerate().filter(|(at, _)| *at != push.group);
        let mut others = others.filter_map(|(_, group)| group.as_ref()).flat_map(|group| &group.families);
        let is_mixed = others.any(|(name, family)| after.families.get(name).is_some_and(|own| own.kind != family.kind));
        let has_timestamp = push.has_timestamp && !push.families.is_empty();
        if is_mixed || has_timestamp {
            let mut before = self.groups[push.group].clone().unwrap_or_default();
            before.failed = now;
            self.change(push.group, Some(before));
            return 400;
        }
        self.change(push.group, Some(after));
        200
    }

    /// Deletes a group.
    pub fn delete(&mut self, group: usize) {
        if self.groups[group].is_some() {
            self.change(group, None);
        }
    }

    /// Deletes all groups.
    pub fn wipe(&mut self) {
        self.version += 1;
        for group in 0..GROUPS.len() {
            self.groups[group] = None;
            self.history[group].push((self.version, None));
        }
    }

    fn change(&mut self, group: usize, after: Option<Group>) {
        self.version += 1;
        self.history[group].push((self.version, after.clone()));
        self.groups[group] = after;
    }

    /// What a scrape shows of the groups.
    pub fn lines(&self) -> Lines {
        self.groups.iter().enumerate().flat_map(|(at, group)| group_lines(at, group.as_ref())).collect()
    }

    /// A gateway was started that shows this: each group as it was at some time from what was promised on. The model
    /// goes on from there.
    ///
    /// # Errors
    /// Which group is something else.
    pub fn restart(&mut self, shown: &Lines) -> Result<(), String> {
        let mut left = shown.clone();
        for (at, name) in GROUPS.iter().enumerate() {
            let own: Lines = shown.iter().filter(|line| group_of(line) == Some(at)).cloned().collect();
            left.retain(|line| !own.contains(line));
            let kept = self.history[at].iter().rposition(|(version, _)| *version <= self.promised);
            let allowed = &self.history[at][kept.unwrap_or(0)..];
            let nothing = [(0, None)];
            let allowed =
                if kept.is_none() { nothing.iter().chain(allowed) } else { nothing[..0].iter().chain(allowed) };
            let found = allowed.clone().rev().find(|(_, group)| group_lines(at, group.as_ref()) == own);
            let Some((_, group)) = found.cloned() else {
                let allowed: Vec<_> = allowed.map(|(at, group)| (at, group.as_ref())).collect();
                return Err(format!(
                    "{name:?} is {own:?} behind a start, promised up to {}: {allowed:?}",
                    self.promised
                ));
            };
            self.groups[at].clone_from(&group);
            self.history[at] = vec![(0, group)];
        }
        (self.version, self.promised) = (0, 0);
        if left.is_empty() { Ok(()) } else { Err(format!("nobody has pushed {left:?}")) }
    }
}

/// The lines of an exposition that are pushed ones.
pub fn pushed_lines(text: &str) -> Lines {
    let own = ["#", "pushgateway_", "process_", "promhttp_"];
    text.lines().filter(|line| !own.iter().any(|prefix| line.starts_with(prefix))).map(str::to_owned).collect()
}

/// Every group has these labels, and `instance` at least without a value.
fn labels(group: usize, id: Option<u64>) -> String {
    let mut labels: BTreeMap<&str, String> =
        GROUPS[group].iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    labels.entry("instance").or_default();
    if let Some(id) = id {
        labels.insert("id", id.to_string());
    }
    labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect::<Vec<_>>().join(",")
}

/// Whose line it is.
fn group_of(line: &str) -> Option<usize> {
    let (_, rest) = line.split_once('{')?;
    let (found, _) = rest.split_once('}')?;
    let found = found.strip_prefix("id=\"").and_then(|rest| rest.split_once("\",")).map_or(found, |(_, rest)| rest);
    (0..GROUPS.len()).find(|group| labels(*group, None) == found)
}

fn group_lines(at: usize, group: Option<&Group>) -> Lines {
    let Some(group) = group else { return Lines::new() };
    let mut lines = Lines::new();
    for (name, time) in [("push_time_seconds", group.pushed), ("push_failure_time_seconds", group.failed)] {
        let mut seconds = Vec::new();
        number::write(&mut seconds, time.seconds());
        lines.insert(format!("{name}{{{}}} {}", labels(at, None), String::from_utf8_lossy(&seconds)));
    }
    for (name, family) in &group.families {
        lines.extend(family.samples.iter().map(|(id, value)| format!("{name}{{{}}} {value}", labels(at, Some(*id)))));
    }
    lines
}
