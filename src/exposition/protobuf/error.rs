//! Why a protobuf body is refused, and the words for it (SPEC 4.2; appendix B, 1, 6-8, 10).

use std::fmt;

use super::wire::Malformed;
use crate::limits::{DETAIL_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::model::quote::Excerpt;

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It ended inside a length or a message.
    UnexpectedEnd,
    /// A length of more than 64 bits.
    LengthOverflow,
    /// A message longer than [`MESSAGE_BYTES_MAX`]; a bound of ours, the original has none.
    TooLong(u64),
    /// A message that is none.
    Malformed,
    /// A family that could not be shown.
    Family {
        /// Its name.
        name: Excerpt,
        /// What is wrong with it.
        fault: FamilyFault,
    },
}

/// What is wrong with a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyFault {
    /// It has no name.
    NoName,
    /// Its name is not UTF-8.
    Name,
    /// Its help text is not UTF-8: no scraper would read the exposition with it.
    Help,
    /// It has a type of this number, which nobody knows.
    Kind(i32),
    /// A metric of a gauge histogram has no histogram.
    NoHistogram,
    /// A native histogram has this schema.
    Schema(i32),
    /// The value of a metric that says more than text can takes so many bytes; a bound of ours, the original has none.
    Detail(usize),
    /// Spans of a native histogram claim other buckets than it has.
    Spans,
    /// Buckets of a native histogram have less than no observation, or all of them more than it counts.
    Counts,
}

impl From<Malformed> for ReadError {
    fn from(_: Malformed) -> Self {
        ReadError::Malformed
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::UnexpectedEnd => f.write_str("unexpected EOF"),
            ReadError::LengthOverflow => f.write_str("proto: variable length integer overflow"),
            ReadError::TooLong(len) => {
                write!(f, "proto: message of {len} bytes is too long, at most {MESSAGE_BYTES_MAX} are read")
            }
            ReadError::Malformed => f.write_str("proto: cannot parse invalid wire-format data"),
            ReadError::Family { name, fault } => match fault {
                FamilyFault::NoName => f.write_str("metric family without a name"),
                FamilyFault::Name => write!(f, "metric family {name}: name is not UTF-8"),
                FamilyFault::Help => write!(f, "metric family {name}: help text is not UTF-8"),
                FamilyFault::Kind(kind) => write!(f, "metric family {name}: unknown type {kind}"),
                FamilyFault::NoHistogram => write!(f, "metric family {name}: gauge histogram without a histogram"),
                FamilyFault::Schema(schema) => {
                    write!(f, "metric family {name}: native histogram with impossible schema {schema}")
                }
                FamilyFault::Detail(bytes) => write!(
                    f,
                    "metric family {name}: a metric takes {bytes} bytes; one with native buckets, exemplars or created \
                     timestamps may take {DETAIL_BYTES_MAX}"
                ),
                FamilyFault::Spans => write!(f, "metric family {name}: native histogram with impossible spans"),
                FamilyFault::Counts => write!(f, "metric family {name}: native histogram with impossible counts"),
            },
        }
    }
}

impl std::error::Error for ReadError {}
