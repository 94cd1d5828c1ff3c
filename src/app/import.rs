//! Groups of the original's persistence file on their way into the store: one push for each time at which something of
//! a group was pushed, and the times themselves.
//!
//! What the store cannot hold is left out and named; whatever else the group has is kept. Files are read by `persist`.

use std::fmt;

use crate::exposition::protobuf::{ReadError, Reader};
use crate::exposition::wire::write_varint;
use crate::limits::{LABELS_QUOTED_BYTES_MAX, Limit, Limits, Reached};
use crate::model::cut::bounded;
use crate::model::order;
use crate::model::quote::{Excerpt, Plain, Quoted};
use crate::model::sample::{FamilyIx, Kind, Metric, MetricBounds, MetricValue, WholeSink};
use crate::model::time::Timestamp;
use crate::persist::gob::{ForeignFamily, ForeignGroup, ForeignLabel};
use crate::store::{GroupKey, Mode, PushTime, RESERVED_NAMES, Refusal, Staged, Store};

/// The label that every group has.
const JOB: &str = "job";

/// Something of a group that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The labels of the group, as they are shown: `{job="j"}`.
    pub group: Box<str>,
    /// The name of the family; none if it is the whole group.
    pub family: Option<Excerpt>,
    /// Why.
    pub reason: Reason,
}

/// Why a group or a family is not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A label of the group is not UTF-8 (SPEC appendix B, 2).
    Label,
    /// A label of the group has a reserved name (SPEC appendix B, 4).
    LabelName,
    /// The group has no job, or an empty one.
    NoJob,
    /// There is such a group already.
    Repeated,
    /// The family calls itself otherwise than the group does.
    OtherName,
    /// The family cannot be read, or not be shown (SPEC appendix B, 6-8, 10).
    Unreadable(ReadError),
    /// Its help text is not UTF-8; the family is taken over without.
    Help,
    /// The store refuses it: what is there would be inconsistent with it.
    Refused(Refusal),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.group)?;
        if let Some(family) = &self.family {
            write!(f, ", family {family}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Label => f.write_str("a label is not UTF-8"),
            Reason::LabelName => f.write_str("a label has a reserved name"),
            Reason::NoJob => f.write_str("there is no job"),
            Reason::Repeated => f.write_str("there is such a group already"),
            Reason::OtherName => f.write_str("the family has another name inside"),
            Reason::Unreadable(error) => error.fmt(f),
            Reason::Help => f.write_str("the help text is not UTF-8; the rest of the family is taken over"),
            Reason::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {}

impl From<ReadError> for Reason {
    fn from(error: ReadError) -> Self {
        Reason::Unreadable(error)
    }
}

impl From<Reached> for Reason {
    fn from(reached: Reached) -> Self {
        Reason::Refused(Refusal::NoRoom(reached))
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Reason::Refused(refusal)
    }
}

/// Puts groups into a store. Reused from group to group for its working memory.
#[derive(Debug, Default)]
pub struct Importer {
    reader: Reader,
    staged: Staged,
    /// Working memory: the length of one message.
    length: Vec<u8>,
}

impl Importer {
    /// Puts all groups of a file into a store, as [`Importer::import`] does each; what could not be taken over.
    ///
    /// Groups without families come last. The original keeps such a group of a push that it refused because the group
    /// itself must not be (SPEC appendix B, 3), and it must not take the place of the one that it was refused for.
    pub fn import_all(&mut self, store: &mut Store, groups: &[ForeignGroup<'_>]) -> Vec<ImportError> {
        let is_empty = |group: &&ForeignGroup<'_>| group.families.iter().all(is_own);
        let (empty, full): (Vec<_>, Vec<_>) = groups.iter().partition(is_empty);
        full.into_iter().chain(empty).flat_map(|group| self.import(store, group)).collect()
    }

    /// Puts a group into the store, which must not have it yet, as pushes at the times at which its families were pushed
    /// would; what could not be taken over. The names of the gateway's own families have to be declared before.
    pub fn import(&mut self, store: &mut Store, group: &ForeignGroup<'_>) -> Vec<ImportError> {
        let error = |family: Option<&ForeignFamily<'_>>, reason| ImportError {
            group: shown(&group.labels),
            family: family.map(|family| family.name.into()),
            reason,
        };
        self.staged.set_limits(bounds(store.limits()));
        let labels = match self.create(store, group) {
            Ok(labels) => labels,
            Err(reason) => return vec![error(None, reason)],
        };
        let mut errors = Vec::new();
        let (own, mut families): (Vec<&ForeignFamily<'_>>, Vec<_>) =
            group.families.iter().partition(|family| is_own(family));
        order::sort_by_key(&mut families, |family| family.written);
        for families in families.chunk_by(|left, right| left.written == right.written) {
            if let Ok(without_help) = self.push(store, &labels, families) {
                errors.extend(without_help.into_iter().map(|family| error(Some(family), Reason::Help)));
                continue;
            }
            // One by one, they show which of them is at fault, and the others stay.
            for family in families {
                match self.push(store, &labels, &[family]) {
                    Ok(without_help) => {
                        errors.extend(without_help.into_iter().map(|family| error(Some(family), Reason::Help)));
                    }
                    Err(reason) => errors.push(error(Some(family), reason)),
                }
            }
        }
        let last = families.last().map(|family| family.written).unwrap_or_default();
        let mut times = [PushTime { value: last, written: last }, PushTime::default()];
        for family in own {
            let which = usize::from(family.name != RESERVED_NAMES[0].as_bytes());
            match self.time(family) {
                Ok(time) => times[which] = time,
                Err(reason) => errors.push(error(Some(family), reason)),
            }
        }
        store.set_times(&GroupKey::new(labels), times[0], times[1]);
        errors
    }

    /// Makes the group, still empty; its labels.
    fn create<'a>(&mut self, store: &mut Store, group: &ForeignGroup<'a>) -> Result<Vec<(&'a str, &'a str)>, Reason> {
        let text = |bytes: &'a [u8]| str::from_utf8(bytes).map_err(|_| Reason::Label);
        let labels = group.labels.iter().map(|(name, value)| Ok((text(name)?, text(value)?)));
        let labels: Vec<_> = labels.collect::<Result<_, Reason>>()?;
        if labels.iter().any(|(name, _)| name.starts_with("__")) {
            return Err(Reason::LabelName);
        }
        if !labels.iter().any(|(name, value)| *name == JOB && !value.is_empty()) {
            return Err(Reason::NoJob);
        }
        if store.group(&GroupKey::new(labels.iter().copied())).is_some() {
            return Err(Reason::Repeated);
        }
        self.push(store, &labels, &[])?;
        Ok(labels)
    }

    /// Pushes these families, which were pushed at the same time; those that have to do without their help text.
    fn push<'f, 'a>(
        &mut self,
        store: &mut Store,
        labels: &[(&str, &str)],
        families: &[&'f ForeignFamily<'a>],
    ) -> Result<Vec<&'f ForeignFamily<'a>>, Reason> {
        let mut without_help = Vec::new();
        let Self { reader, staged, length } = self;
        reader.reset();
        staged.begin(labels.iter().copied());
        for family in families {
            let mut sink = Named { staged, name: family.name, is_other: false, is_without_help: false };
            feed(reader, length, family.message, &mut sink)?;
            if sink.is_other {
                return Err(Reason::OtherName);
            }
            if sink.is_without_help {
                without_help.push(*family);
            }
            staged.check_bounds()?;
        }
        staged.seal();
        staged.check_bounds()?;
        let written = families.first().map(|family| family.written).unwrap_or_default();
        store.push(staged, Mode::Merge, written)?;
        Ok(without_help)
    }

    /// Reads one of the two families of push times. A value that is not the time of the push came with a push,
    /// which the original once let through.
    fn time(&mut self, family: &ForeignFamily<'_>) -> Result<PushTime, Reason> {
        self.reader.reset();
        let mut sink = FirstValue(None);
        feed(&mut self.reader, &mut self.length, family.message, &mut sink)?;
        let written = family.written;
        let seconds = sink.0.unwrap_or_default();
        let value = if seconds == written.seconds() { written } else { Timestamp((seconds * 1e9) as i64) };
        Ok(PushTime { value, written })
    }
}

/// What a push of a group may be like: it was accepted once, so that it only has to fit into the store.
fn bounds(stored: &Limits) -> Limits {
    let others =
        [Limit::PushSeries, Limit::ReceivedBytes, Limit::SeriesLabels, Limit::LabelNameBytes, Limit::LabelValueBytes];
    others.into_iter().fold(*stored, |limits, limit| limits.with(limit, 0))
}

/// Whether it is one of the families that the gateway itself keeps in every group.
fn is_own(family: &ForeignFamily<'_>) -> bool {
    RESERVED_NAMES.iter().any(|name| name.as_bytes() == family.name)
}

/// The labels of a group, as many as a message may show.
fn shown(labels: &[ForeignLabel<'_>]) -> Box<str> {
    let pairs = fmt::from_fn(|f| {
        labels.iter().enumerate().try_for_each(|(at, (name, value))| {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", Plain(name), Quoted(value))
        })
    });
    format!("{{{}}}", bounded(pairs, LABELS_QUOTED_BYTES_MAX)).into()
}

/// Feeds a message behind its length; `length` is working memory.
fn feed<S: WholeSink>(
    reader: &mut Reader,
    length: &mut Vec<u8>,
    message: &[u8],
    sink: &mut S,
) -> Result<(), ReadError> {
    length.clear();
    write_varint(length, message.len() as u64);
    reader.feed(length, sink)?;
    reader.feed(message, sink)?;
    reader.finish()
}

/// Stages a family, and sees whether it has the name that is expected.
struct Named<'a> {
    staged: &'a mut Staged,
    name: &'a [u8],
    is_other: bool,
    is_without_help: bool,
}

impl WholeSink for Named<'_> {
    fn whole_family(&mut self, family: FamilyIx, name: &str, kind: Kind, help: Option<&[u8]>) {
        self.is_other |= name.as_bytes() != self.name;
        self.staged.whole_family(family, name, kind, help);
    }

    fn metric(&mut self, metric: Metric<'_>) {
        self.staged.metric(metric);
    }

    fn goes_without_help(&mut self) -> bool {
        self.is_without_help = true;
        true
    }

    fn bounds(&self) -> MetricBounds {
        self.staged.bounds()
    }

    fn is_refused(&self) -> bool {
        self.staged.is_refused()
    }
}

/// Keeps the value of the first metric.
struct FirstValue(Option<f64>);

impl WholeSink for FirstValue {
    fn whole_family(&mut self, _: FamilyIx, _: &str, _: Kind, _: Option<&[u8]>) {}

    /// The help text that is shown is the gateway's own.
    fn goes_without_help(&mut self) -> bool {
        true
    }

    fn metric(&mut self, metric: Metric<'_>) {
        if let MetricValue::Number(value) = metric.value {
            self.0.get_or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests;
