//! Calendar forms of a time: RFC 3339 for logs and JSON, RFC 9110's IMF-fixdate for `Date`. UTC only; reads no clock.

use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time as nanoseconds since the Unix epoch; good until the year 2262.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time of a system clock reading, to the microsecond; times before the epoch count as the epoch.
    ///
    /// It is the middle of the microsecond: as seconds it always has 17 digits then (up to 2038, when doubles get coarser),
    /// so that a line that tells the time of a push is as long as the one before, and nothing behind it has to be moved.
    pub fn from_system(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let nanos = since.as_micros().saturating_mul(1000).saturating_add(500);
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Seconds since the epoch with fraction, rounded as Go rounds them (nanoseconds over 1e9 in doubles).
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Whole seconds since the epoch.
    pub const fn unix(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    const fn subsecond_nanos(self) -> i64 {
        self.0.rem_euclid(1_000_000_000)
    }

    /// RFC 3339 with milliseconds, as log lines carry it (SPEC 13).
    pub fn rfc3339_millis(self) -> impl fmt::Display {
        fmt::from_fn(move |f| write!(f, "{}.{:03}Z", self.civil(), self.subsecond_nanos() / 1_000_000))
    }

    /// RFC 3339 with up to nine fraction digits, trailing zeros dropped, as the JSON API carries it (SPEC 8.2).
    pub fn rfc3339_nanos(self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let nanos = self.subsecond_nanos();
            write!(f, "{}", self.civil())?;
            if nanos != 0 {
                let digits = format!("{nanos:09}");
                write!(f, ".{}", digits.trim_end_matches('0'))?;
            }
            f.write_str("Z")
        })
    }

    /// IMF-fixdate, as the `Date` header carries it (RFC 9110, 5.6.7).
    pub fn http_date(self) -> impl fmt::Display {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        fmt::from_fn(move |f| {
            let Civil { year, month, day, hour, minute, second } = self.civil();
            let weekday = DAYS[self.unix().div_euclid(SECONDS_PER_DAY).rem_euclid(7) as usize];
            let month = MONTHS[month as usize - 1];
            write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
        })
    }

    fn civil(self) -> Civil {
        let seconds = self.unix();
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        Civil {
            year,
            month,
            day,
            hour: second_of_day / 3600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
        }
    }
}

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years start in March here, so that the leap day is the last
/// of its year and months follow a linear rule.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::model::number;
    use crate::random::Random;

    #[test]
    fn calendar_forms() {
        let check = |nanos: i64, millis: &str, full: &str, http: &str| {
            let time = Timestamp(nanos);
            assert_eq!(time.rfc3339_millis().to_string(), millis);
            assert_eq!(time.rfc3339_nanos().to_string(), full);
            assert_eq!(time.http_date().to_string(), http);
        };
        check(0, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT");
        check(
            951_782_400_000_000_001,
            "2000-02-29T00:00:00.000Z",
            "2000-02-29T00:00:00.000000001Z",
            "Tue, 29 Feb 2000 00:00:00 GMT",
        );
        check(
            1_795_395_294_179_915_000,
            "2026-11-23T00:54:54.179Z",
            "2026-11-23T00:54:54.179915Z",
            "Mon, 23 Nov 2026 00:54:54 GMT",
        );
        check(
            1_735_689_599_999_000_000,
            "2024-12-31T23:59:59.999Z",
            "2024-12-31T23:59:59.999Z",
            "Tue, 31 Dec 2024 23:59:59 GMT",
        );
    }

    #[test]
    fn readings_are_told_to_the_microsecond_and_in_as_many_digits() {
        let (mut random, mut text) = (Random::for_test(12), Vec::new());
        for _ in 0..10_000 {
            // From 2020 to 2037.
            let nanos = 1_577_836_800_000_000_000 + random.below(550_000_000_000_000_000);
            let time = Timestamp::from_system(UNIX_EPOCH + Duration::from_nanos(nanos));
            assert!(time.0.abs_diff(nanos as i64) <= 500, "{nanos}");
            text.clear();
            number::write(&mut text, time.seconds());
            assert_eq!(text.len(), "1.7644304001234567e+09".len(), "{nanos}");
        }
        assert_eq!(Timestamp::from_system(UNIX_EPOCH - Duration::from_secs(1)), Timestamp(500));
    }
}
