//! Headers: which help text and kind of a family is shown, and the entry that shows them (SPEC 7.4).

use super::Store;
use super::entry::{Entry, EntryText, FamilyId};
use super::outline::Help;
use crate::model::escape::write_header;

impl Store {
    /// Takes over the help that a group pushed with a family; whether the one shown changes. The one shown is always
    /// that of some group, if any has one.
    pub(super) fn update_help(&mut self, entry: Entry, help: Option<&[u8]>) -> bool {
        let (held, home) = self.catalog.holding(entry).expect("only families that are held are changed");
        if home.is_none() {
            self.catalog.set_help(entry, None);
            if help.is_none() {
                return false;
            }
        } else if held.help.as_ref().map(Help::text) == help {
            return false;
        }
        let family = self.catalog.family(entry.family);
        let is_own = family.own.is_some();
        let shown = family.help.clone().filter(|shown| Some(shown.text()) == help);
        let pushed = shown.or_else(|| help.map(|help| self.catalog.help(help)));
        self.catalog.set_help(entry, pushed.clone());
        if is_own {
            return false;
        }
        let family = self.catalog.family_mut(entry.family);
        if family.help.is_none() {
            family.help = pushed;
            return family.help.is_some();
        }
        drop(pushed);
        self.repair_help(entry.family)
    }

    /// Chooses another help text for a family if no group has the one that is shown; whether it did.
    fn repair_help(&mut self, id: FamilyId) -> bool {
        let family = self.catalog.family(id);
        let is_lost = family.own.is_none() && family.help.as_ref().is_some_and(Help::is_alone);
        if is_lost {
            let mut groups = self.pages.groups_of(&self.catalog, id);
            let help_of = |group| self.catalog.held(Entry { family: id, group })?.help.clone();
            let found = groups.find_map(|group| Some((group, help_of(group)?)));
            drop(groups);
            if let Some((group, _)) = &found {
                self.restated.push(self.catalog.group(*group).key.clone());
            }
            self.catalog.family_mut(id).help = found.map(|(_, help)| help);
        }
        is_lost
    }

    /// Some group shows nothing of a family any more: takes its header away, or writes it anew if its kind changes or
    /// its help text was that of the group.
    pub(super) fn repair_header(&mut self, id: FamilyId, kind_changes: bool) {
        let family = self.catalog.family_mut(id);
        if family.shown > 0 {
            if self.repair_help(id) || kind_changes {
                self.show_header(id);
            }
            return;
        }
        if family.own.is_none() {
            family.help = None;
        }
        if family.header.is_some() {
            self.pages.remove(&mut self.catalog, Entry::header(id));
        }
    }

    pub(super) fn show_header_if_new(&mut self, id: FamilyId) {
        if self.catalog.family(id).header.is_none() {
            self.show_header(id);
        }
    }

    /// Writes `# HELP` and `# TYPE` of a family (SPEC 7.4).
    pub(super) fn show_header(&mut self, id: FamilyId) {
        let Self { catalog, text, .. } = self;
        let family = catalog.family(id);
        text.clear();
        write_header(text, &family.name, family.kind, family.help.as_ref().map(Help::text));
        self.pages.put(&mut self.catalog, Entry::header(id), EntryText::Shared(&self.text));
    }
}
