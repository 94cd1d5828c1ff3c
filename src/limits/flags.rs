//! The bounds that the command line changes: what each is called, its default and range, the text of its refusals, and
//! the values that hold in this process. Who enforces one asks for its value; how it is read is the command line's.

use std::fmt;
use std::time::Duration;

use super::{
    ANSWERED_BYTES_DEFAULT, BODY_BYTES_DEFAULT, BODY_PAUSE_MAX, BODY_RATE_DEFAULT, CONNECTIONS_MAX, DECODED_BYTES_MAX,
    GROUPING_NAMES_DEFAULT, GROUPS_DEFAULT, HEAD_BYTES_LEAST, HEAD_BYTES_MAX, HEAD_BYTES_MOST, HEAD_TIME_MAX,
    IDLE_TIME_MAX, LABEL_NAME_BYTES_DEFAULT, LABEL_VALUE_BYTES_DEFAULT, PUSH_LOOKUPS_DEFAULT, PUSH_SERIES_DEFAULT,
    RECEIVED_BYTES_DEFAULT, RESPONSE_PAUSE_MAX, RESPONSE_RATE_DEFAULT, SERIES_DEFAULT, SERIES_LABELS_DEFAULT,
    STORE_BYTES_DEFAULT,
};

/// A bound that a flag changes, in the order of the flags' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// What answers under way may hold of replaced text, bytes.
    AnsweredBytes,
    /// The body of a push as sent, bytes.
    BodyBytes,
    /// A pause within a body.
    BodyPause,
    /// How fast a body has to come, bytes per second.
    BodyRate,
    /// Connections open at once.
    Connections,
    /// Those of one address.
    ConnectionsPerAddress,
    /// Different sets of label names of groups.
    GroupingNames,
    /// Groups that are stored.
    Groups,
    /// Request line and headers, bytes.
    HeadBytes,
    /// The time in which a head has to arrive.
    HeadTime,
    /// The time between requests.
    IdleTime,
    /// What a compressed body may become, bytes.
    InflatedBytes,
    /// The name of a label, bytes.
    LabelNameBytes,
    /// The value of a label, or the name of a family, bytes.
    LabelValueBytes,
    /// Look-ups of groups with other label names for one push, beyond [`super::LOOKUPS_PER_SERIES`].
    PushLookups,
    /// Series of one push.
    PushSeries,
    /// What requests on their way in may hold, bytes.
    ReceivedBytes,
    /// A pause of a client that reads an answer.
    ResponsePause,
    /// How fast an answer has to be read, bytes per second.
    ResponseRate,
    /// Series that are stored.
    Series,
    /// Labels of one series.
    SeriesLabels,
    /// What is stored, bytes.
    StoreBytes,
}

/// In what a bound is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things, bytes, or bytes per second.
    Whole,
    /// Milliseconds, given as a length of time.
    Time,
}

/// What is known of a bound.
#[derive(Clone, Copy, Debug)]
pub struct LimitRule {
    /// The bound.
    pub limit: Limit,
    /// The name of its flag.
    pub flag: &'static str,
    /// In what it is counted.
    pub unit: Unit,
    /// Its value unless the flag is given; 0 is none.
    pub default: u64,
    /// The values that it may have.
    pub range: (u64, u64),
    /// What it bounds, for the help.
    pub meaning: &'static str,
    /// What a refusal says in front of the value, and behind it.
    refusal: (&'static str, &'static str),
}

/// How many there are.
pub const LIMITS_COUNT: usize = 22;

/// All of them, sorted by flag.
pub const LIMITS: [LimitRule; LIMITS_COUNT] = [
    rule(
        Limit::AnsweredBytes,
        "limit.answered-bytes",
        ANSWERED_BYTES_DEFAULT,
        "bytes that slow readers may hold of text that was replaced since, or twice the store if that is more",
        ("clients that read slowly hold more than ", " bytes"),
    ),
    rule(
        Limit::BodyBytes,
        "limit.body-bytes",
        BODY_BYTES_DEFAULT,
        "bytes of a push as sent",
        ("the body is longer than ", " bytes"),
    ),
    time(Limit::BodyPause, "limit.body-pause", BODY_PAUSE_MAX, "longest pause within a body", "the body paused for "),
    rule(
        Limit::BodyRate,
        "limit.body-rate",
        BODY_RATE_DEFAULT,
        "bytes per second, on the average of five minutes, that a body has to come with",
        ("the body came with less than ", " bytes per second"),
    ),
    LimitRule {
        range: (1, 1 << 20),
        ..rule(
            Limit::Connections,
            "limit.connections",
            CONNECTIONS_MAX as u64,
            "connections open at once; others wait",
            ("there are ", " connections"),
        )
    },
    rule(
        Limit::ConnectionsPerAddress,
        "limit.connections-per-address",
        0,
        "connections open at once from one address",
        ("there are ", " connections from your address"),
    ),
    rule(
        Limit::GroupingNames,
        "limit.grouping-names",
        GROUPING_NAMES_DEFAULT,
        "different sets of label names that groups have",
        ("the store has no room for a group with these label names: groups may have ", " different sets of them"),
    ),
    rule(
        Limit::Groups,
        "limit.groups",
        GROUPS_DEFAULT,
        "groups that are stored",
        ("the store has no room for another group: it may hold ", ""),
    ),
    LimitRule {
        range: (HEAD_BYTES_LEAST as u64, HEAD_BYTES_MOST as u64),
        ..rule(
            Limit::HeadBytes,
            "limit.head-bytes",
            HEAD_BYTES_MAX as u64,
            "bytes of request line and headers",
            ("more than ", " bytes"),
        )
    },
    time(Limit::HeadTime, "limit.head-time", HEAD_TIME_MAX, "time in which a head has to arrive", "the head took "),
    time(Limit::IdleTime, "limit.idle-time", IDLE_TIME_MAX, "time between requests of a connection", "idle for "),
    rule(
        Limit::InflatedBytes,
        "limit.inflated-bytes",
        DECODED_BYTES_MAX,
        "bytes that a compressed push may become",
        ("the body decompresses to more than ", " bytes"),
    ),
    rule(
        Limit::LabelNameBytes,
        "limit.label-name-bytes",
        LABEL_NAME_BYTES_DEFAULT,
        "bytes of a label's name",
        ("a label's name is longer than ", " bytes"),
    ),
    rule(
        Limit::LabelValueBytes,
        "limit.label-value-bytes",
        LABEL_VALUE_BYTES_DEFAULT,
        "bytes of a label's value, of a metric's name, and of a help text",
        ("a label's value, a metric's name or a help text is longer than ", " bytes"),
    ),
    rule(
        Limit::PushLookups,
        "limit.push-lookups",
        PUSH_LOOKUPS_DEFAULT,
        "look-ups of groups with other label names for one push, beyond 16 for each of its series",
        ("the push takes more than ", " look-ups of groups with other label names"),
    ),
    rule(
        Limit::PushSeries,
        "limit.push-series",
        PUSH_SERIES_DEFAULT,
        "series of one push; each bucket and quantile is one",
        ("the push has more than ", " series"),
    ),
    rule(
        Limit::ReceivedBytes,
        "limit.received-bytes",
        RECEIVED_BYTES_DEFAULT,
        "bytes that all requests on their way in may hold",
        ("requests on their way in hold more than ", " bytes, and this one took the longest"),
    ),
    time(
        Limit::ResponsePause,
        "limit.response-pause",
        RESPONSE_PAUSE_MAX,
        "longest time in which a client reads nothing of its answer",
        "nothing was read for ",
    ),
    rule(
        Limit::ResponseRate,
        "limit.response-rate",
        RESPONSE_RATE_DEFAULT,
        "bytes per second, on the average of five minutes, that an answer has to be read with",
        ("the answer was read with less than ", " bytes per second"),
    ),
    rule(
        Limit::Series,
        "limit.series",
        SERIES_DEFAULT,
        "series that are stored",
        ("the store has no room for these series: it may hold ", ""),
    ),
    rule(
        Limit::SeriesLabels,
        "limit.series-labels",
        SERIES_LABELS_DEFAULT,
        "labels of a series, those of its group included",
        ("a series has more than ", " labels"),
    ),
    rule(
        Limit::StoreBytes,
        "limit.store-bytes",
        STORE_BYTES_DEFAULT,
        "bytes that are stored: the exposition, and what is kept beside it",
        ("the store has no room for this push: it may hold ", " bytes"),
    ),
];

const fn rule(
    limit: Limit,
    flag: &'static str,
    default: u64,
    meaning: &'static str,
    refusal: (&'static str, &'static str),
) -> LimitRule {
    LimitRule { limit, flag, unit: Unit::Whole, default, range: (0, i64::MAX as u64), meaning, refusal }
}

const fn time(
    limit: Limit,
    flag: &'static str,
    default: Duration,
    meaning: &'static str,
    refusal: &'static str,
) -> LimitRule {
    LimitRule { unit: Unit::Time, ..rule(limit, flag, default.as_millis() as u64, meaning, (refusal, "")) }
}

impl Limit {
    /// What is known of it.
    pub fn rule(self) -> &'static LimitRule {
        &LIMITS[self as usize]
    }

    /// Its name in the own metrics: that of the flag without what all flags have in common.
    pub fn name(self) -> &'static str {
        self.rule().flag.trim_start_matches("limit.")
    }

    /// The status of an answer that refuses something for it: what is wrong with the request itself is 413, and 503 what
    /// may be right at another time.
    pub const fn status(self) -> u16 {
        match self {
            Self::HeadBytes => 431,
            Self::ConnectionsPerAddress => 429,
            Self::HeadTime | Self::BodyPause | Self::BodyRate => 408,
            Self::Groups
            | Self::GroupingNames
            | Self::Series
            | Self::StoreBytes
            | Self::ReceivedBytes
            | Self::AnsweredBytes
            | Self::Connections
            | Self::ResponsePause
            | Self::ResponseRate
            | Self::IdleTime => 503,
            Self::BodyBytes
            | Self::InflatedBytes
            | Self::PushLookups
            | Self::PushSeries
            | Self::SeriesLabels
            | Self::LabelNameBytes
            | Self::LabelValueBytes => 413,
        }
    }
}

/// The values that hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits([u64; LIMITS_COUNT]);

impl Default for Limits {
    fn default() -> Self {
        Self(LIMITS.map(|rule| rule.default))
    }
}

impl Limits {
    /// The value as it was given; 0 is none.
    pub fn given(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }

    /// The most that is allowed.
    pub fn most(&self, limit: Limit) -> u64 {
        match self.given(limit) {
            0 => u64::MAX,
            value => value,
        }
    }

    /// The most that is allowed, of what is counted in memory.
    pub fn most_bytes(&self, limit: Limit) -> usize {
        usize::try_from(self.most(limit)).unwrap_or(usize::MAX)
    }

    /// The longest time that is allowed; `None` if there is no bound.
    pub fn time(&self, limit: Limit) -> Option<Duration> {
        Some(self.given(limit)).filter(|value| *value > 0).map(Duration::from_millis)
    }

    /// Changes a value; 0 is none.
    pub fn set(&mut self, limit: Limit, value: u64) {
        self.0[limit as usize] = value;
    }

    /// The same with another value.
    pub fn with(mut self, limit: Limit, value: u64) -> Self {
        self.set(limit, value);
        self
    }

    /// What to say when more than allowed is asked for.
    pub fn reached(&self, limit: Limit) -> Reached {
        Reached { limit, value: self.given(limit) }
    }

    /// The first of these, each with a number, of which the number is more than allowed.
    ///
    /// # Errors
    /// That one.
    pub fn check<const N: usize>(&self, numbers: [(Limit, u64); N]) -> Result<(), Reached> {
        match numbers.into_iter().find(|(limit, number)| *number > self.most(*limit)) {
            Some((limit, _)) => Err(self.reached(limit)),
            None => Ok(()),
        }
    }
}

/// More was asked for than a bound allows. Shown as the text of the answer, which names the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The bound.
    pub limit: Limit,
    /// Its value.
    pub value: u64,
}

impl Reached {
    /// The value as its flag takes it.
    fn shown(self) -> String {
        match self.limit.rule().unit {
            Unit::Whole => self.value.to_string(),
            Unit::Time if self.value.is_multiple_of(1000) => format!("{}s", self.value / 1000),
            Unit::Time => format!("{}ms", self.value),
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LimitRule { refusal: (front, behind), flag, .. } = self.limit.rule();
        let value = self.shown();
        write!(f, "{front}{value}{behind} (--{flag}={value})")
    }
}

impl std::error::Error for Reached {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_in_its_place_and_its_default_in_its_range() {
        for (at, rule) in LIMITS.iter().enumerate() {
            assert_eq!(rule.limit as usize, at, "{}", rule.flag);
            assert!(rule.default >= rule.range.0 && rule.default <= rule.range.1, "{}", rule.flag);
            assert!((400..=503).contains(&rule.limit.status()), "{}", rule.flag);
        }
        assert!(LIMITS.is_sorted_by(|left, right| left.flag < right.flag));
    }

    #[test]
    fn refusals_name_the_limit_its_value_and_the_flag() {
        let limits = Limits::default().with(Limit::PushSeries, 5).with(Limit::BodyPause, 1500);
        let check = |limit: Limit, expected: &str| assert_eq!(limits.reached(limit).to_string(), expected);
        check(Limit::PushSeries, "the push has more than 5 series (--limit.push-series=5)");
        check(Limit::BodyPause, "the body paused for 1500ms (--limit.body-pause=1500ms)");
        check(Limit::HeadTime, "the head took 60s (--limit.head-time=60s)");
        assert_eq!(Limit::HeadTime.name(), "head-time");
    }

    #[test]
    fn zero_is_none() {
        let limits = Limits::default().with(Limit::Groups, 0).with(Limit::Series, 2).with(Limit::IdleTime, 0);
        assert_eq!(limits.check([(Limit::Groups, u64::MAX), (Limit::Series, 2)]), Ok(()));
        assert_eq!(limits.check([(Limit::Groups, 9), (Limit::Series, 3)]), Err(limits.reached(Limit::Series)));
        assert_eq!((limits.time(Limit::IdleTime), limits.time(Limit::HeadTime)), (None, Some(HEAD_TIME_MAX)));
    }
}
