//! Groups that come back from where they were kept: they were checked and written out when they were pushed, and are
//! put in their places as they are.

use super::Store;
use super::check::Resolved;
use super::detail::StagedDetails;
use super::entry::{Entry, EntryText, FamilyId};
use super::key::GroupKey;
use super::line::metric_lines;
use super::outline::Content;
use super::staged::{LineNote, RESERVED_NAMES};
use super::times::PushTime;
use crate::model::order;
use crate::model::sample::{Detail, FamilyIx, Kind};
use crate::model::time::Timestamp;

/// A group as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup<'a> {
    /// Its labels.
    pub key: GroupKey,
    /// When a push was last accepted.
    pub pushed: PushTime,
    /// When a push was last refused.
    pub failed: PushTime,
    /// Why that push was refused, if any was.
    pub failure: Option<&'a str>,
    /// Whether names in its lines may be quoted.
    pub has_quoted_names: bool,
    /// What was pushed to it; names distinct, the push times left out.
    pub families: Vec<StoredFamily<'a>>,
}

/// A family of such a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFamily<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// The help text pushed with it.
    pub help: Option<&'a [u8]>,
    /// Whether that help text is the one that was shown.
    pub is_help_shown: bool,
    /// How many metrics its lines are.
    pub metrics: u32,
    /// When it was pushed.
    pub written: Timestamp,
    /// What its lines do not show, in order of lines.
    pub notes: Vec<LineNote>,
    /// What its metrics say beyond their lines, with their label sets.
    pub details: Vec<(&'a [u8], Detail<'a>)>,
    /// Its lines; nothing if it has no metrics.
    pub text: &'a [u8],
}

impl Store {
    /// Puts a group back. It is not checked; `false`, and nothing changes, if the group or one of its families is there
    /// already.
    pub fn restore(&mut self, group: &StoredGroup<'_>) -> bool {
        let mut names: Vec<_> = group.families.iter().map(|family| family.name).chain(RESERVED_NAMES).collect();
        order::sort_by_key(&mut names, |name| *name);
        if self.catalog.find_group(&group.key).is_some() || names.windows(2).any(|pair| pair[0] == pair[1]) {
            return false;
        }
        self.restored = group.families.iter().map(|family| family.written).fold(self.restored, Timestamp::max);
        let id = self.catalog.add_group(group.key.clone(), Timestamp::default());
        self.set_quoted_names(id, group.has_quoted_names);
        let mut resolved = Vec::with_capacity(group.families.len());
        for (at, family) in group.families.iter().enumerate() {
            let found = self.catalog.find_family(family.name);
            let family = found.unwrap_or_else(|| self.catalog.add_family(family.name, family.kind));
            resolved.push(Resolved { id: family, ix: FamilyIx(at as u32) });
        }
        let times = [FamilyId::PUSH_TIME, FamilyId::FAILURE_TIME];
        let pushed = resolved.iter().map(|family| (family.id, group.families[family.ix.0 as usize].kind));
        let held: Vec<_> = times.map(|family| (family, Kind::Gauge)).into_iter().chain(pushed).collect();
        self.catalog.add_holdings(id, &held);
        self.write_times(id, group.pushed, group.failed);
        let written = resolved.iter().map(|family| (family.id, group.families[family.ix.0 as usize].written));
        self.catalog.set_written(id, written, group.failure);
        for Resolved { id: family, ix } in resolved {
            self.restore_family(Entry { family, group: id }, &group.families[ix.0 as usize]);
        }
        self.catalog.share_outline(id);
        held.iter().for_each(|(family, _)| self.mark(*family));
        true
    }

    fn restore_family(&mut self, entry: Entry, family: &StoredFamily<'_>) {
        let StoredFamily { kind, help, metrics, text, .. } = *family;
        if text.is_empty() {
            self.write_empty(entry, kind, help);
        } else {
            let lines = memchr::memchr_iter(b'\n', text).count() as u32;
            let header_changes = self.note_family(entry, Content { kind, metrics, lines }, help)
                | (family.is_help_shown && self.insist_on_help(entry));
            self.write_family(entry, EntryText::Shared(text), header_changes);
        }
        if !family.notes.is_empty() {
            self.notes.insert(entry, family.notes.as_slice().into());
        }
        let mut staged = StagedDetails::default();
        // Readers find details by going along the lines.
        let mut lines = metric_lines(std::iter::once(text), family.name, kind);
        for (labels, detail) in &family.details {
            if lines.any(|(_, found)| found == *labels) {
                staged.add(FamilyIx(0), labels, *detail);
            }
        }
        self.details.replace(&self.catalog, entry, (&staged, FamilyIx(0), kind), self.pages.replaced());
    }
}

impl Store {
    /// Shows the help text that a group has for a family; whether another one was shown.
    fn insist_on_help(&mut self, entry: Entry) -> bool {
        let help = self.catalog.held(entry).and_then(|held| held.help.clone());
        let family = self.catalog.family_mut(entry.family);
        let changes = family.own.is_none() && family.help != help;
        if changes {
            family.help = help;
        }
        changes
    }
}
