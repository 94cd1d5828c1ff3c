//! The store as plainly as it can be written: maps of maps, a full check of everything on every push. The oracle of
//! the tests and of the `store_ops` fuzz target; never part of the product.

mod feed;
mod shown;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::rc::Rc;

use super::audit::naive::Watches;
use super::staged::RESERVED_NAMES;
use super::{Deflater, GroupKey, GroupView, Mode, PageText, Refusal, Snapshot, Staged, Store, Usage};
use crate::limits::{ERROR_BYTES_MAX, Limit, Limits, Reached};
use crate::model::sample::{BodyShape, Kind, Repeat};
use crate::model::time::Timestamp;

pub use feed::{detail_series, feed, written_values};
pub use shown::whole_member;
use shown::{escaped, gunzipped, own_lines, text, written};

/// Label names and values, in any order.
pub type Labels = Vec<(String, String)>;

/// One step of a run.
#[derive(Clone, Debug)]
pub enum Step {
    /// A push.
    Push(Push),
    /// The body of one of the last pushes again, its values so much larger, to its group or to that of another of them: 0 is
    /// the last one.
    Again {
        /// Whose body it is.
        body: usize,
        /// Whose group, and whether a PUT.
        group: usize,
        /// What is added to each value.
        add: i64,
    },
    /// Deletes a group.
    Delete(Labels),
    /// Deletes all groups.
    Wipe,
    /// The gateway writes its own series of family 0 to 2 of [`OWN`], or has none any more.
    Own(usize, Option<i64>),
}

/// A push: any body that a parser could deliver.
#[derive(Clone, Debug)]
pub struct Push {
    /// The grouping labels, names distinct.
    pub labels: Labels,
    /// Whether it is a PUT.
    pub is_replace: bool,
    /// Whether its first sample has a timestamp.
    pub has_timestamp: bool,
    /// Whether the families' samples take turns instead of following each other.
    pub is_interleaved: bool,
    /// Whether it states whole metrics, so that families without any are there, too. Each metric has a detail then.
    pub is_whole: bool,
    /// Its families, names distinct.
    pub families: Vec<PushedFamily>,
}

/// A family of a push.
#[derive(Clone, Debug)]
pub struct PushedFamily {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its help text.
    pub help: Option<String>,
    /// Its metrics: labels and a value. In histograms and summaries the value is the count and that of one bucket or
    /// quantile, and equal labels name the same metric.
    pub metrics: Vec<(Labels, i64)>,
}

/// The gateway's own families in such runs: name, kind, help, whether pushes must have that help.
pub const OWN: [(&str, Kind, &str, bool); 3] = [
    ("m_own", Kind::Gauge, "Own gauge.", false),
    ("o_summary", Kind::Summary, "Own summary.", true),
    ("zz", Kind::Counter, "Own counter.", false),
];

/// How many of the last pushes may come again.
const PUSHES_KEPT: usize = 4;

type LabelSet = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
struct State {
    groups: BTreeMap<LabelSet, Group>,
    own: [Option<i64>; 3],
}

#[derive(Clone, Debug, Default)]
struct Group {
    families: BTreeMap<String, Family>,
    pushed: Timestamp,
    failed: Timestamp,
}

#[derive(Clone, Debug)]
struct Family {
    kind: Kind,
    help: Option<String>,
    metrics: Vec<(LabelSet, i64)>,
    has_details: bool,
    written: Timestamp,
}

/// What has to come of a push.
#[derive(Debug)]
enum Verdict {
    Stored(State),
    NoRoom(Reached),
    Twin,
    Timestamps,
    Inconsistent(#[expect(dead_code, reason = "shown where it is not met")] String),
}

impl Verdict {
    fn is_met(&self, outcome: &Result<(), Refusal>) -> bool {
        match (self, outcome) {
            (Self::NoRoom(reached), Err(Refusal::NoRoom(found))) => reached == found,
            (Self::Stored(_), Ok(()))
            | (Self::Twin, Err(Refusal::Twin(_)))
            | (Self::Timestamps, Err(Refusal::Timestamps))
            | (Self::Inconsistent(_), Err(Refusal::Inconsistent(_))) => true,
            _ => false,
        }
    }
}

/// A store beside its oracle.
#[derive(Debug)]
pub struct Twins {
    /// The real one.
    pub store: Store,
    staged: Staged,
    own: Vec<super::FamilyId>,
    state: State,
    clock: i64,
    /// Snapshots taken on the way, with the text that they had then.
    held: Vec<(Snapshot, String)>,
    deflater: Deflater,
    limits: Limits,
    /// Pushes for which there was no room.
    pub refused: u64,
    /// The last pushes.
    pushed: Vec<Push>,
    /// What bodies say but for their values.
    shapes: Vec<(String, BodyShape)>,
    /// Pushes of which the store took nothing but values.
    pub repeated: u64,
    /// Audits of a store that takes pushes unchecked.
    pub watches: Watches,
}

impl Default for Twins {
    fn default() -> Self {
        Self::new(Store::new())
    }
}

impl Twins {
    /// Twins that take pushes unchecked and compare the audit instead.
    pub fn unchecked() -> Self {
        Self::new(Store::unchecked())
    }

    /// Twins whose groups are large from two pushed families on.
    pub fn large() -> Self {
        let mut store = Store::new();
        store.set_outline_families_max(3);
        store.set_changed_per_step(1);
        Self::new(store)
    }

    /// Twins that may hold so much.
    pub fn limited(limits: Limits) -> Self {
        let mut store = Store::new();
        store.set_limits(limits);
        Self { limits, ..Self::new(store) }
    }

    /// Twins whose pushes are checked in steps of so much, in look-ups.
    pub fn in_steps(step: usize) -> Self {
        let mut store = Store::new();
        store.checked_per_step = step;
        Self::new(store)
    }

    fn new(mut store: Store) -> Self {
        let own = OWN.map(|(name, kind, help, demands_help)| store.declare_own(name, kind, help, demands_help));
        Self {
            store,
            staged: Staged::default(),
            own: own.to_vec(),
            state: State::default(),
            clock: 0,
            held: Vec::new(),
            deflater: Deflater::default(),
            limits: Limits::default(),
            refused: 0,
            pushed: Vec::new(),
            shapes: Vec::new(),
            repeated: 0,
            watches: Watches::default(),
        }
    }

    /// Takes a step with both and compares everything that can be seen; panics where they differ.
    pub fn step(&mut self, step: &Step) {
        self.clock += 1_000_000_007;
        self.store.discard_some();
        match step {
            Step::Push(push) => {
                self.push(push);
                self.pushed.insert(0, push.clone());
                self.pushed.truncate(PUSHES_KEPT);
            }
            Step::Again { body, group, add } => {
                if let (Some(body), Some(group)) = (self.pushed.get(*body), self.pushed.get(*group)) {
                    let Push { labels, is_replace, .. } = group.clone();
                    let mut push = Push { labels, is_replace, ..body.clone() };
                    let metrics = push.families.iter_mut().flat_map(|family| &mut family.metrics);
                    metrics.for_each(|(_, value)| *value += add);
                    self.push(&push);
                }
            }
            Step::Delete(labels) => {
                let set = label_set(labels);
                let found = self.store.delete(&key(&set));
                assert_eq!(found, self.state.groups.remove(&set).is_some(), "delete {labels:?}");
            }
            Step::Wipe => {
                self.store.wipe();
                assert!(self.store.has_discarded());
                self.state.groups.clear();
            }
            Step::Own(at, value) => {
                let lines = value.map(|value| own_lines(*at, value)).unwrap_or_default();
                self.store.set_own(self.own[*at], lines.as_bytes());
                self.state.own[*at] = *value;
            }
        }
        self.compare();
    }

    /// Holds a snapshot of now, to see later that nothing changed it; lets go of the oldest of three. Compresses it,
    /// so that changes behind it meet pages that have runs and others that have none.
    pub fn hold(&mut self) {
        let mut snapshot = Snapshot::default();
        self.store.snapshot(&mut snapshot);
        let text = text(&snapshot);
        for page in snapshot.pieces() {
            self.deflater.compress(page);
        }
        assert!(gunzipped(&snapshot) == text, "the compressed form differs");
        self.held.push((snapshot, text));
        if self.held.len() > 3 {
            self.held.remove(0);
        }
    }

    /// Goes on with a new store: `keep` puts each group that it is shown back into it. Compares everything.
    pub fn restart(&mut self, keep: &mut dyn FnMut(&Store, &GroupView<'_>, &mut Store)) {
        let mut twins = Self::new(if self.store.is_checked() { Store::new() } else { Store::unchecked() });
        for group in self.store.groups_after(None) {
            keep(&self.store, &group, &mut twins.store);
        }
        for (at, value) in self.state.own.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))) {
            twins.store.set_own(self.own[at], own_lines(at, value).as_bytes());
        }
        self.store = twins.store;
        self.watches = Watches::default();
        self.compare();
    }

    /// A push that is made step by step, and what comes between the steps: other pushes and deletions, as far as they do
    /// not have to wait. The outcome has to be what it should be at one of the moments between beginning and end.
    pub fn interleave(&mut self, push: &Push, between: &mut dyn FnMut() -> Option<Step>) {
        self.clock += 1_000_000_007;
        let at = Timestamp(self.clock);
        feed(&mut self.staged, push);
        let staged = std::mem::take(&mut self.staged);
        self.store.begin_push(staged, if push.is_replace { Mode::Replace } else { Mode::Merge }, at);
        let mut states = vec![self.state.clone()];
        let pushed = loop {
            if let Some(pushed) = self.store.change_some() {
                break pushed.expect("it is a push");
            }
            if let Some(step) = between().filter(|_| self.store.is_change_open()) {
                self.step_between(&step);
                states.push(self.state.clone());
            }
        };
        self.staged = pushed.staged;
        let verdicts: Vec<_> = states.iter().map(|state| self.verdict(state, push, at)).collect();
        let outcome = &pushed.outcome;
        assert!(verdicts.iter().any(|verdict| verdict.is_met(outcome)), "{outcome:?}, wanted {verdicts:?}: {push:?}");
        match outcome {
            Ok(()) => self.state = self.state.after(push, at),
            Err(Refusal::NoRoom(_) | Refusal::Twin(_)) => {}
            Err(_) => self.state.groups.entry(label_set(&push.labels)).or_default().failed = at,
        }
        if self.store.is_checked() {
            assert_eq!(self.state.check(), Ok(()), "two pushes that do not agree were both taken: {push:?}");
        }
        self.compare();
    }

    fn step_between(&mut self, step: &Step) {
        self.clock += 1_000_000_007;
        let at = Timestamp(self.clock);
        match step {
            Step::Push(push) => {
                feed(&mut self.staged, push);
                let mode = if push.is_replace { Mode::Replace } else { Mode::Merge };
                if self.store.must_wait(&self.staged) {
                    return;
                }
                if let Some(outcome) = self.store.try_push(&mut self.staged, mode, at) {
                    self.judge(push, &outcome, at);
                }
            }
            Step::Delete(labels) => {
                let set = label_set(labels);
                let key = key(&set);
                if !self.store.is_group_changing(&key) && !self.store.is_long_to_delete(&key) {
                    assert_eq!(self.store.delete(&key), self.state.groups.remove(&set).is_some(), "delete {labels:?}");
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, push: &Push) {
        let at = Timestamp(self.clock);
        let outcome = self.push_to_store(push, at);
        self.judge(push, &outcome, at);
    }

    fn judge(&mut self, push: &Push, outcome: &Result<(), Refusal>, at: Timestamp) {
        if let Err(refusal) = outcome {
            assert!(refusal.to_string().len() <= ERROR_BYTES_MAX, "{push:?}");
        }
        let verdict = self.verdict(&self.state, push, at);
        assert!(verdict.is_met(outcome), "{outcome:?}, wanted {verdict:?}: {push:?} on {:?}", self.state);
        match verdict {
            Verdict::Stored(after) => self.state = after,
            Verdict::NoRoom(_) => self.refused += 1, // What is compared next is that nothing has changed.
            Verdict::Twin => {}
            Verdict::Timestamps | Verdict::Inconsistent(_) => {
                self.state.groups.entry(label_set(&push.labels)).or_default().failed = at;
            }
        }
    }

    fn verdict(&self, state: &State, push: &Push, at: Timestamp) -> Verdict {
        let set = label_set(&push.labels);
        let is_new = !state.groups.contains_key(&set);
        let after = state.after(push, at);
        if let Some(limit) = after.exceeded(state, &self.limits) {
            return Verdict::NoRoom(self.limits.reached(limit));
        }
        let is_checked = self.store.is_checked();
        if is_checked && is_new && state.groups.keys().any(|other| with_instance(other) == with_instance(&set)) {
            return Verdict::Twin;
        }
        if push.has_timestamp && push.families.iter().any(|family| !family.metrics.is_empty()) {
            return Verdict::Timestamps;
        }
        match if is_checked { after.check() } else { push.check_writable() } {
            Ok(()) => Verdict::Stored(after),
            Err(reason) => Verdict::Inconsistent(reason),
        }
    }

    fn push_to_store(&mut self, push: &Push, at: Timestamp) -> Result<(), Refusal> {
        let shape = push.shape().map(|known| match self.shapes.iter().find(|(text, _)| *text == known) {
            Some((_, shape)) => *shape,
            None => {
                self.shapes.push((known, BodyShape::unused()));
                self.shapes.last().expect("one was just added").1
            }
        });
        if let Some(shape) = shape {
            let (text, ends) = written_values(push);
            if self.store.repeat(&key(&label_set(&push.labels)), Repeat { shape, text: &text, ends: &ends }, at) {
                self.repeated += 1;
                return Ok(());
            }
        }
        feed(&mut self.staged, push);
        self.staged.set_shape(shape);
        let mode = if push.is_replace { Mode::Replace } else { Mode::Merge };
        self.store.push(&mut self.staged, mode, at)
    }

    fn compare(&mut self) {
        self.store.verify();
        let verdict = self.state.check();
        let is_consistent =
            if self.store.is_checked() { self.store.audit().is_empty() } else { self.watches.step(&mut self.store) };
        assert_eq!(is_consistent, verdict.is_ok(), "{verdict:?}");
        if verdict.is_ok() {
            let mut snapshot = Snapshot::default();
            self.store.snapshot(&mut snapshot);
            self.state.compare(&text(&snapshot));
            self.compare_details();
        }
        self.compare_times();
        assert_eq!(self.store.group_count(), self.state.groups.len());
        assert_eq!(Usage { bytes: 0, ..self.store.usage() }, self.state.usage());
        let mut stored = Snapshot::default();
        self.store.snapshot(&mut stored);
        let is_stored = |page: &Rc<PageText>| stored.pieces().iter().any(|stored| Rc::ptr_eq(page, stored));
        let held = self.held.iter().flat_map(|(snapshot, _)| snapshot.pieces());
        let replaced: BTreeMap<_, _> =
            held.filter(|page| !is_stored(page)).map(|page| (Rc::as_ptr(page), page.len())).collect();
        if !self.store.has_discarded() {
            let counted = self.store.replaced_bytes();
            let is_held = counted > 0 && !self.store.audits.holds_text();
            assert!(counted >= replaced.values().sum(), "{counted} {replaced:?}");
            assert!(!is_held || !replaced.is_empty(), "{counted} {replaced:?}");
        }
        for (snapshot, then) in &self.held {
            assert_eq!(text(snapshot), *then, "a snapshot changed");
            snapshot.pieces().iter().for_each(|page| page.verify());
        }
    }
}

impl Twins {
    fn compare_times(&self) {
        for (labels, group) in &self.state.groups {
            let found = self.store.group(&key(labels)).expect("both have the same groups");
            assert_eq!((found.pushed(), found.failed()), (group.pushed, group.failed), "{labels:?}");
            let families = found.families();
            let found = families.iter().map(|family| (family.name(), family.written()));
            let found: BTreeMap<_, _> = found.filter(|(name, _)| !RESERVED_NAMES.contains(name)).collect();
            let expected: BTreeMap<_, _> =
                group.families.iter().map(|(name, family)| (&**name, family.written)).collect();
            assert_eq!(found, expected, "{labels:?}");
        }
    }

    fn compare_details(&self) {
        for group in self.state.groups.values() {
            for (name, family) in &group.families {
                for (labels, value) in &family.metrics {
                    let detail = family.has_details.then(|| value.to_string());
                    let found = self.store.details.find(name, &written(labels));
                    assert_eq!(found, detail.as_deref().map(str::as_bytes), "{name} {labels:?}");
                }
            }
        }
        let mut families = self.state.groups.values().flat_map(|group| group.families.values());
        let is_kept =
            |family: &Family| (family.has_details && !family.metrics.is_empty()) || family.kind == Kind::GaugeHistogram;
        let is_any_kept = families.any(is_kept);
        assert_eq!(self.store.details.is_empty(), !is_any_kept);
    }
}

impl Push {
    /// What the body says but for its values, if it is one that may be recognized.
    fn shape(&self) -> Option<String> {
        let mut push = Self { labels: Labels::new(), is_replace: false, ..self.clone() };
        push.families.iter_mut().flat_map(|family| &mut family.metrics).for_each(|(_, value)| *value = 0);
        (!self.is_whole && !self.has_timestamp).then(|| format!("{push:?}"))
    }

    /// What even an unchecked store refuses: metrics of a whole body that cannot be written as lines.
    fn check_writable(&self) -> Result<(), String> {
        let is_reserved = |family: &&PushedFamily| RESERVED_NAMES.contains(&&*family.name);
        let mut metrics = self.families.iter().filter(|family| !is_reserved(family)).flat_map(|family| &family.metrics);
        match metrics.find(|(labels, _)| labels.iter().any(|(name, _)| name.starts_with("__"))) {
            Some((labels, _)) if self.is_whole => Err(format!("reserved label in {labels:?}")),
            _ => Ok(()),
        }
    }
}

impl State {
    /// What is there when a push is applied.
    fn after(&self, push: &Push, at: Timestamp) -> Self {
        let set = label_set(&push.labels);
        let mut after = self.clone();
        let group = after.groups.entry(set.clone()).or_default();
        group.pushed = at;
        if push.is_replace {
            group.families.clear();
        }
        for family in push.families.iter().filter(|family| push.is_whole || !family.metrics.is_empty()) {
            if !RESERVED_NAMES.contains(&&*family.name) {
                let merged = Family { has_details: push.is_whole, written: at, ..merged(family, &set) };
                group.families.insert(family.name.clone(), merged);
            }
        }
        after
    }

    fn usage(&self) -> Usage {
        let names = |set: &LabelSet| set.keys().cloned().collect::<Vec<_>>();
        let lines = |family: &Family| {
            let of_one = match family.kind {
                Kind::Histogram | Kind::GaugeHistogram => 4,
                Kind::Summary => 3,
                _ => 1,
            };
            let of_detail = |(_, value): &(LabelSet, i64)| detail_series(family.kind, value.to_string().as_bytes());
            let beside_lines = if family.has_details { family.metrics.iter().map(of_detail).sum() } else { 0 };
            family.metrics.len() as u64 * of_one + beside_lines
        };
        let series = |group: &Group| group.families.values().map(lines).sum::<u64>() + 2;
        Usage {
            groups: self.groups.len() as u64,
            shapes: self.groups.keys().map(names).collect::<BTreeSet<_>>().len() as u64,
            series: self.groups.values().map(series).sum(),
            bytes: 0,
        }
    }

    /// The bound that this is beyond, and further than it was.
    fn exceeded(&self, before: &Self, limits: &Limits) -> Option<Limit> {
        let (now, then) = (self.usage(), before.usage());
        let counts = [
            (Limit::Groups, now.groups, then.groups),
            (Limit::GroupingNames, now.shapes, then.shapes),
            (Limit::Series, now.series, then.series),
        ];
        counts.into_iter().find(|(limit, now, then)| now > then && *now > limits.most(*limit)).map(|count| count.0)
    }

    /// The full check: everything that is stored against everything else.
    fn check(&self) -> Result<(), String> {
        let mut kinds: BTreeMap<&str, Kind> = OWN.iter().map(|(name, kind, _, _)| (*name, *kind)).collect();
        let mut series: HashSet<(&str, &LabelSet)> = HashSet::new();
        let mut times: HashSet<LabelSet> = HashSet::new();
        for (labels, group) in &self.groups {
            if !times.insert(with_instance(labels)) {
                return Err(format!("push times of {labels:?}"));
            }
            for (name, family) in &group.families {
                if *kinds.entry(name).or_insert(family.kind) != family.kind {
                    return Err(format!("kind of {name}"));
                }
                family.check(name, labels)?;
                if OWN.iter().any(|own| own.3 && own.0 == *name && family.help.as_deref() != Some(own.2)) {
                    return Err(format!("help of {name}"));
                }
                if let Some((labels, _)) = family.metrics.iter().find(|(labels, _)| !series.insert((name, labels))) {
                    return Err(format!("duplicate {name} {labels:?}"));
                }
            }
        }
        for (name, kind) in &kinds {
            let suffixes: &[&str] = match kind {
                Kind::Histogram | Kind::GaugeHistogram => &["_count", "_sum", "_bucket"],
                Kind::Summary => &["_count", "_sum"],
                _ => &[],
            };
            if let Some(suffix) = suffixes.iter().find(|suffix| kinds.contains_key(&*format!("{name}{suffix}"))) {
                return Err(format!("collision of {name} and {name}{suffix}"));
            }
        }
        Ok(())
    }

    /// Compares a whole exposition with what it should be; panics where it differs.
    fn compare(&self, text: &str) {
        let mut families: BTreeMap<String, (Kind, BTreeSet<Option<String>>, String)> = BTreeMap::new();
        let mut add = |name: &str, kind: Kind, help: Option<String>, lines: &str| {
            let family = families.entry(name.to_owned()).or_insert((kind, BTreeSet::new(), String::new()));
            family.1.insert(help);
            family.2.push_str(lines);
        };
        for (at, value) in self.own.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))) {
            let (name, kind, help, _) = OWN[at];
            add(name, kind, Some(help.to_owned()), &own_lines(at, value));
        }
        for (labels, group) in &self.groups {
            for (at, time) in [group.pushed, group.failed].into_iter().enumerate() {
                let name = RESERVED_NAMES[at];
                let mut seconds = Vec::new();
                crate::model::number::write(&mut seconds, time.seconds());
                let seconds = String::from_utf8(seconds).expect("numbers are text");
                let what = ["succeeded", "failed"][at];
                let help = format!("Last Unix time when changing this group in the Pushgateway {what}.");
                let line = format!("{name}{{{}}} {seconds}\n", written(&with_instance(labels)));
                add(name, Kind::Gauge, Some(help), &line);
            }
            for (name, family) in group.families.iter().filter(|(_, family)| !family.metrics.is_empty()) {
                add(name, family.kind, family.help.clone(), &family.lines(name));
            }
        }
        let mut rest = text;
        for (name, (kind, mut helps, lines)) in families {
            if let Some((_, _, help, _)) = OWN.iter().find(|own| own.0 == name) {
                helps = BTreeSet::from([Some((*help).to_owned())]);
            } else if helps.len() > 1 {
                helps.remove(&None);
            }
            let kind = kind.text_name();
            let headers = helps.into_iter().map(|help| match help {
                Some(help) => format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
                None => format!("# TYPE {name} {kind}\n"),
            });
            let mut headers = headers.collect::<Vec<_>>().into_iter();
            rest = headers
                .find_map(|header| rest.strip_prefix(&*header))
                .unwrap_or_else(|| panic!("header of {name}: {rest}"));
            rest = rest.strip_prefix(&*lines).unwrap_or_else(|| panic!("wanted {lines}\n\ngot {rest}"));
        }
        assert_eq!(rest, "");
    }
}

impl Family {
    fn check(&self, name: &str, grouping: &LabelSet) -> Result<(), String> {
        let word = match self.kind {
            Kind::Summary => "quantile",
            Kind::Histogram | Kind::GaugeHistogram => "le",
            _ => "",
        };
        if grouping.contains_key(word) && !self.metrics.is_empty() {
            return Err(format!("{word} on {name}"));
        }
        match self.metrics.iter().find(|(labels, _)| labels.keys().any(|label| label.starts_with("__"))) {
            Some(_) => Err(format!("reserved label on {name}")),
            None => Ok(()),
        }
    }

    fn lines(&self, name: &str) -> String {
        let mut out = String::new();
        for (labels, value) in &self.metrics {
            let labels = written(labels);
            let _ = match self.kind {
                Kind::Histogram | Kind::GaugeHistogram => writeln!(
                    out,
                    "{name}_bucket{{{labels},le=\"1\"}} {value}\n{name}_bucket{{{labels},le=\"+Inf\"}} {value}\n\
                     {name}_sum{{{labels}}} 0\n{name}_count{{{labels}}} {value}"
                ),
                Kind::Summary => writeln!(
                    out,
                    "{name}{{{labels},quantile=\"0.5\"}} {value}\n{name}_sum{{{labels}}} 0\n{name}_count{{{labels}}} {value}"
                ),
                _ => writeln!(out, "{name}{{{labels}}} {value}"),
            };
        }
        out
    }
}

/// A pushed family as it is stored: labels merged with the grouping labels.
fn merged(family: &PushedFamily, grouping: &LabelSet) -> Family {
    let mut metrics: Vec<(LabelSet, i64)> = Vec::new();
    let mut raw: BTreeMap<LabelSet, usize> = BTreeMap::new();
    for (labels, value) in &family.metrics {
        let written = label_set(labels);
        let is_compound = family.kind.is_histogram() || family.kind == Kind::Summary;
        if let Some(at) = raw.get(&written).copied().filter(|_| is_compound) {
            // A further bucket or quantile is kept beside the first; runs avoid that by giving the same value.
            metrics[at].1 = *value;
            continue;
        }
        let mut set = written.clone();
        set.extend(grouping.clone());
        raw.insert(written, metrics.len());
        metrics.push((with_instance(&set), *value));
    }
    let (help, written) = (family.help.clone(), Timestamp::default());
    Family { kind: family.kind, help, metrics, has_details: false, written }
}

fn label_set(labels: &Labels) -> LabelSet {
    labels.iter().cloned().collect()
}

fn with_instance(labels: &LabelSet) -> LabelSet {
    let mut labels = labels.clone();
    labels.entry("instance".to_owned()).or_default();
    labels
}

fn key(labels: &LabelSet) -> GroupKey {
    GroupKey::new(labels.iter().map(|(name, value)| (&**name, &**value)))
}
