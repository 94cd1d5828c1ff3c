//! The parameters behind the `?` of a request: decoding them, and what is wrong with those that cannot be read.
//!
//! Does not know what they are for, but for the errors that name their values.

use std::fmt;

use super::super::route::percent_decode;
use super::search::SearchError;
use crate::limits::QUERY_BYTES_MAX;
use crate::model::quote::Literal;

/// Why a query cannot be answered. `Display` is the body of the 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// It is longer than [`QUERY_BYTES_MAX`].
    TooLong,
    /// A bad escape, or what it stands for is not UTF-8.
    Encoding {
        /// The parameter as sent.
        parameter: String,
    },
    /// There is no such parameter.
    Unknown {
        /// Its name.
        name: String,
        /// Those that there are.
        known: &'static [&'static str],
    },
    /// A parameter is there twice.
    Repeated {
        /// Its name.
        name: &'static str,
    },
    /// There is no such order.
    Sort {
        /// The order.
        value: String,
    },
    /// There is no such state.
    State {
        /// The state.
        value: String,
    },
    /// Not a number, or too large.
    Number {
        /// The name of the parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// The largest.
        max: usize,
    },
    /// The search cannot be read.
    Search(SearchError),
    /// Groups are to be deleted, and the search names all of them.
    Everything,
    /// Groups are to be deleted, and it is not said how many.
    NoCount,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the query is longer than {QUERY_BYTES_MAX} bytes"),
            Self::Encoding { parameter } => write!(f, "parameter {} is not percent-encoded UTF-8", Literal(parameter)),
            Self::Unknown { name, known: [known @ .., last] } => {
                write!(f, "unknown parameter {}; there are {} and {last}", Literal(name), known.join(", "))
            }
            Self::Unknown { name, known: [] } => write!(f, "unknown parameter {}", Literal(name)),
            Self::Repeated { name } => write!(f, "parameter {name} is there more than once"),
            Self::Sort { value } => {
                let value = Literal(value);
                write!(f, "cannot sort by {value}; there are job, pushed, failed and series, and - in front of them")
            }
            Self::State { value } => write!(f, "there is no state {}; there are failing and passing", Literal(value)),
            Self::Number { name, value, max } => write!(f, "{name} {} is not a number from 0 to {max}", Literal(value)),
            Self::Search(error) => error.fmt(f),
            Self::Everything => f.write_str("the search names every group; /api/v1/admin/wipe deletes those"),
            Self::NoCount => f.write_str("expect has to say how many groups the search matches"),
        }
    }
}

impl std::error::Error for QueryError {}

/// Reads a query: the values of the parameters that there are, in the order of `known`.
///
/// # Errors
/// If anything cannot be understood: a client that misspells a parameter must not take all groups for its answer.
pub fn read<const N: usize>(
    query: &[u8],
    known: &'static [&'static str; N],
) -> Result<[Option<String>; N], QueryError> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(QueryError::TooLong);
    }
    let mut values = [const { None }; N];
    for parameter in query.split(|byte| *byte == b'&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = decoded(parameter)?;
        let Some(at) = known.iter().position(|known| *known == name) else {
            return Err(QueryError::Unknown { name, known });
        };
        if values[at].replace(value).is_some() {
            return Err(QueryError::Repeated { name: known[at] });
        }
    }
    Ok(values)
}

/// Name and value of a parameter, percent-decoded, `+` as a blank.
fn decoded(parameter: &[u8]) -> Result<(String, String), QueryError> {
    let (name, value) = match memchr::memchr(b'=', parameter) {
        Some(at) => (&parameter[..at], &parameter[at + 1..]),
        None => (parameter, &b""[..]),
    };
    let text = |encoded: &[u8]| {
        let blanks: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        let mut plain = Vec::new();
        percent_decode(&blanks, &mut plain)?;
        String::from_utf8(plain).ok()
    };
    let bad = || QueryError::Encoding { parameter: String::from_utf8_lossy(parameter).into_owned() };
    Ok((text(name).ok_or_else(bad)?, text(value).ok_or_else(bad)?))
}

/// The number that a parameter has, if it has any.
pub fn number(name: &'static str, value: Option<String>, max: usize) -> Result<Option<usize>, QueryError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.parse() {
        Ok(number) if number <= max && value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(number)),
        _ => Err(QueryError::Number { name, value, max }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::QUOTE_BYTES_MAX;

    #[test]
    fn long_parameters_are_cut() {
        let check = |query: &str, before: &str, quoted: &str| {
            let [sort] = match read(query.as_bytes(), &["sort"]) {
                Ok(values) => values,
                Err(error) => return check_error(&error, before, quoted),
            };
            check_error(&number("sort", sort, 7).expect_err("it is no number"), before, quoted);
        };
        fn check_error(error: &QueryError, before: &str, quoted: &str) {
            let (text, shown) = (error.to_string(), quoted.repeat(QUOTE_BYTES_MAX));
            assert!(text.starts_with(&format!("{before}\"{shown}\"...(10 bytes)")), "{text}");
        }
        let long = "x".repeat(QUOTE_BYTES_MAX + 10);
        check(&long, "unknown parameter ", "x");
        check(&format!("sort={long}"), "sort ", "x");
        check(&format!("sort={}", "%01".repeat(QUOTE_BYTES_MAX + 10)), "sort ", "\\u{1}");
        check(&"%".repeat(QUOTE_BYTES_MAX + 10), "parameter ", "%");
        for error in [QueryError::Sort { value: long.clone() }, QueryError::State { value: long }] {
            assert!(error.to_string().len() < QUOTE_BYTES_MAX + 200, "{error}");
        }
    }
}
