//! The flags of limits: their rules, values and help, made from the list of all limits. Enforces none.

use super::UsageError;
use super::duration::GoDuration;
use super::flags::{Rule, Takes};
use crate::limits::{LIMITS, LIMITS_COUNT, Limit, LimitRule, Limits, Unit};

/// All flags for limits, sorted by name.
pub(super) const RULES: [Rule; LIMITS_COUNT] = {
    const EMPTY: Rule = rule(&LIMITS[0]);
    let mut rules = [EMPTY; LIMITS_COUNT];
    let mut at = 0;
    while at < LIMITS_COUNT {
        rules[at] = rule(&LIMITS[at]);
        at += 1;
    }
    rules
};

const fn rule(limit: &LimitRule) -> Rule {
    Rule { name: limit.flag, takes: Takes::Limit(limit.limit) }
}

/// The column in which argh puts texts, and where it ends its lines.
const HELP_COLUMN: usize = 20;
const HELP_WIDTH: usize = 80;

/// Reads the value of a limit.
pub(super) fn parse(limit: Limit, text: &str) -> Result<u64, UsageError> {
    let LimitRule { flag, unit, range: (least, most), .. } = *limit.rule();
    let value = match unit {
        Unit::Time => u64::try_from(text.parse::<GoDuration>()?.to_std().as_millis()).unwrap_or(u64::MAX),
        Unit::Whole => {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse().unwrap_or(u64::MAX)).ok_or_else(|| not_whole(flag, text))?
        }
    };
    if value < least || value > most {
        return Err(UsageError(format!("flag '{flag}' has to be from {least} to {most}, got '{text}'")));
    }
    Ok(value)
}

fn not_whole(flag: &str, text: &str) -> UsageError {
    UsageError(format!("flag '{flag}' takes a whole number, got '{text}'"))
}

/// The value as the API lists it.
pub(super) fn shown(limits: &Limits, limit: Limit) -> String {
    let value = limits.given(limit);
    match limit.rule().unit {
        Unit::Whole => value.to_string(),
        Unit::Time => GoDuration(i64::try_from(value.saturating_mul(1_000_000)).unwrap_or(i64::MAX)).to_string(),
    }
}

/// The part of the usage that lists them, in argh's form.
pub(super) fn usage() -> String {
    let mut out = String::from("Limits (0 is none, where that is allowed):\n");
    for LimitRule { limit, flag, meaning, .. } in &LIMITS {
        out.push_str(&format!("  --{flag}"));
        let text = format!("{meaning} (default {})", shown(&Limits::default(), *limit));
        let mut column = HELP_WIDTH;
        for word in text.split(' ') {
            if column + 1 + word.len() > HELP_WIDTH {
                out.push_str(&format!("\n{:HELP_COLUMN$}", ""));
                column = HELP_COLUMN;
            } else {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += word.len();
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_their_unit() {
        let check = |limit: Limit, text: &str, value: u64, listed: &str| {
            assert_eq!(parse(limit, text), Ok(value), "{text}");
            assert_eq!(shown(&Limits::default().with(limit, value), limit), listed);
        };
        check(Limit::Groups, "0", 0, "0");
        check(Limit::Groups, "12", 12, "12");
        check(Limit::StoreBytes, "1099511627776", 1 << 40, "1099511627776");
        check(Limit::HeadTime, "1m30s", 90_000, "1m30s");
        check(Limit::HeadTime, "250ms", 250, "250ms");
        check(Limit::IdleTime, "0", 0, "0s");
        check(Limit::IdleTime, "-1s", 0, "0s");
    }

    #[test]
    fn what_is_no_value_is_refused_with_the_flag() {
        let check = |limit: Limit, text: &str, message: &str| {
            assert_eq!(parse(limit, text), Err(UsageError(message.to_owned())), "{text}");
        };
        check(Limit::Groups, "", "flag 'limit.groups' takes a whole number, got ''");
        check(Limit::Groups, "1k", "flag 'limit.groups' takes a whole number, got '1k'");
        check(Limit::Groups, "-1", "flag 'limit.groups' takes a whole number, got '-1'");
        let most = i64::MAX;
        let huge = "99999999999999999999";
        check(Limit::Groups, huge, &format!("flag 'limit.groups' has to be from 0 to {most}, got '{huge}'"));
        check(Limit::Connections, "0", "flag 'limit.connections' has to be from 1 to 1048576, got '0'");
        check(Limit::HeadBytes, "0", "flag 'limit.head-bytes' has to be from 1024 to 67108864, got '0'");
        check(Limit::HeadTime, "5", "time: missing unit in duration \"5\"");
    }

    #[test]
    fn the_usage_keeps_its_columns() {
        let usage = usage();
        assert!(usage.lines().all(|line| line.len() <= HELP_WIDTH), "{usage}");
        assert!(
            usage.contains("\n  --limit.groups\n                    groups that are stored (default 1000000)\n"),
            "{usage}"
        );
        assert!(usage.contains("(default 15m0s)"), "{usage}");
    }
}
