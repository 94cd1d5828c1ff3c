//! Why pushes are refused, and the texts of that.

use std::fmt;

use super::problem::Problems;
use crate::limits::{FAILURE_REASON_BYTES_MAX, Reached};
use crate::model::cut::bounded;

/// Why a push was refused (SPEC 5.4). Shown as the answer's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A sample has a timestamp.
    Timestamps,
    /// The result would be inconsistent.
    Inconsistent(Problems),
    /// The group's push times would be the same series as those of a group that differs only by an empty
    /// `instance`; no group was created (SPEC appendix B, 3).
    Twin(Problems),
    /// There is no room for it, or it would cost too much to check it; nothing at all was changed.
    NoRoom(Reached),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Refusal::NoRoom(reached) = self {
            return reached.fmt(f);
        }
        f.write_str("pushed metrics are invalid or inconsistent with existing metrics: ")?;
        self.detail().fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// What is wrong, without the words that all refusals begin with.
    pub fn detail(&self) -> &dyn fmt::Display {
        match self {
            Refusal::NoRoom(reached) => reached,
            Refusal::Timestamps => &"pushed metrics must not have timestamps",
            Refusal::Inconsistent(problems) | Refusal::Twin(problems) => problems,
        }
    }

    /// The same, as short as a group keeps it.
    pub(super) fn reason(&self) -> Box<str> {
        bounded(self.detail(), FAILURE_REASON_BYTES_MAX).into_boxed_str()
    }
}
