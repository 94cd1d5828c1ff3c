//! What groups a search names: terms over their labels, all of which have to hold.
//!
//! ```text
//! search  = term { blank term }
//! term    = text                     some label's name or value contains the text, in any case (ASCII)
//!         | name "="  value          the label has the value; a label that is not there is empty
//!         | name "!=" value          it has another one
//!         | name "=~" pattern        it has a value of this form: `*` stands for anything, the rest for itself
//! ```
//! Text, names, values and patterns may be quoted, in whole or in part: `"a b"`; `\"` and `\\` inside quotes stand for
//! `"` and `\`, and a quoted `*` for itself. There are no regular expressions: their cost would be the client's choice,
//! and all other clients would wait for it.

use std::fmt;

use memchr::memmem;
use smallvec::SmallVec;

use crate::limits::SEARCH_TERMS_MAX;
use crate::model::quote::Literal;

/// A search; the default finds every group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    /// Lower case, as far as it is ASCII.
    Text(Vec<u8>),
    Label {
        name: String,
        test: Test,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Is(String),
    IsNot(String),
    /// What stands between the stars.
    Like(Vec<String>),
}

/// Why a search cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchError {
    /// A quote is not closed.
    Quote {
        /// The term, from its start to the end of the search.
        term: String,
    },
    /// A term starts with its operator.
    NoName {
        /// The term.
        term: String,
    },
    /// There are more than [`SEARCH_TERMS_MAX`] terms.
    TooMany,
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quote { term } => write!(f, "search term {}: a quote is not closed", Literal(term)),
            Self::NoName { term } => {
                let term = Literal(term);
                write!(f, "search term {term}: there is no label name in front of the operator; text goes in quotes")
            }
            Self::TooMany => write!(f, "a search has {SEARCH_TERMS_MAX} terms at most"),
        }
    }
}

impl std::error::Error for SearchError {}

impl Search {
    /// Reads a search.
    ///
    /// # Errors
    /// If a term cannot be read, or there are too many.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let mut terms = Vec::new();
        let mut rest = text.trim_start_matches(' ');
        while !rest.is_empty() {
            if terms.len() == SEARCH_TERMS_MAX {
                return Err(SearchError::TooMany);
            }
            let (term, end) = Term::read(rest)?;
            terms.push(term);
            rest = rest[end..].trim_start_matches(' ');
        }
        Ok(Self(terms))
    }

    /// Whether it names every group there may be.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it names the group of these labels.
    pub fn matches<L: AsRef<str>>(&self, labels: impl Iterator<Item = (L, L)> + Clone) -> bool {
        self.0.iter().all(|term| match term {
            Term::Text(text) => {
                let mut texts = labels.clone().flat_map(|(name, value)| [name, value]);
                texts.any(|found| contains_in_any_case(found.as_ref().as_bytes(), text))
            }
            Term::Label { name, test } => {
                let found = labels.clone().find(|(found, _)| found.as_ref() == name);
                test.holds(found.as_ref().map_or("", |(_, value)| value.as_ref()))
            }
        })
    }
}

impl Term {
    /// Reads the term that `text` starts with; where it ends.
    fn read(text: &str) -> Result<(Self, usize), SearchError> {
        let mut reader = Reader { text, at: 0 };
        let left = reader.parts(Until::Operator)?.concat();
        let test = match reader.operator() {
            None => return Ok((Term::Text(left.to_ascii_lowercase().into_bytes()), reader.at)),
            Some("=") => Test::Is(reader.parts(Until::Blank)?.concat()),
            Some("!=") => Test::IsNot(reader.parts(Until::Blank)?.concat()),
            Some(_) => Test::Like(reader.parts(Until::BlankByStars)?),
        };
        if left.is_empty() {
            return Err(SearchError::NoName { term: text[..reader.at].to_owned() });
        }
        Ok((Term::Label { name: left, test }, reader.at))
    }
}

/// Reads one term.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Where a part of a term ends, unless in quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// At a blank or an operator.
    Operator,
    /// At a blank.
    Blank,
    /// At a blank; stars cut it in parts.
    BlankByStars,
}

impl Reader<'_> {
    /// The text up to the end, without its quotes.
    fn parts(&mut self, until: Until) -> Result<Vec<String>, SearchError> {
        let mut parts = vec![String::new()];
        let mut is_quoted = false;
        while let Some(c) = self.text[self.at..].chars().next() {
            let is_end = c == ' ' || (until == Until::Operator && self.operator_here().is_some());
            if is_end && !is_quoted {
                break;
            }
            self.at += c.len_utf8();
            let part = parts.last_mut().expect("there is a part from the start");
            match c {
                '"' => is_quoted = !is_quoted,
                '\\' if is_quoted => part.extend(self.escaped()),
                '*' if !is_quoted && until == Until::BlankByStars => parts.push(String::new()),
                c => part.push(c),
            }
        }
        if is_quoted {
            return Err(SearchError::Quote { term: self.text.to_owned() });
        }
        Ok(parts)
    }

    /// What stands behind a backslash. A backslash at the end leaves the quote open, which is the error to tell.
    fn escaped(&mut self) -> Option<char> {
        let c = self.text[self.at..].chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn operator(&mut self) -> Option<&'static str> {
        let operator = self.operator_here()?;
        self.at += operator.len();
        Some(operator)
    }

    fn operator_here(&self) -> Option<&'static str> {
        ["=~", "!=", "="].into_iter().find(|operator| self.text[self.at..].starts_with(operator))
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Test::Is(expected) => value == expected,
            Test::IsNot(expected) => value != expected,
            Test::Like(parts) => is_like(value, parts),
        }
    }
}

/// Whether the value is the parts in order, with anything between them. Taking each part where it is found first
/// leaves most to those behind it, so nothing has to be tried twice.
fn is_like(value: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else { return parts.iter().all(|part| value == part) };
    let Some(mut rest) = value.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}

/// Whether a text contains a part that is in lower case. Takes a time that grows with their sum, whatever they are: both are
/// a client's, and a short text is looked through without the heap.
fn contains_in_any_case(text: &[u8], part: &[u8]) -> bool {
    let mut lower: SmallVec<[u8; 128]> = SmallVec::from_slice(text);
    lower.make_ascii_lowercase();
    memmem::find(&lower, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::QUOTE_BYTES_MAX;

    const GROUP: [(&str, &str); 4] =
        [("dc", "FRA 1"), ("instance", "db1.example.com"), ("job", "Import"), ("sign", "a=\"b\\*")];

    #[test]
    fn terms_hold_or_not() {
        let check = |search: &str, expected: bool| {
            let read = Search::parse(search).unwrap_or_else(|error| panic!("{search}: {error}"));
            assert_eq!(read.matches(GROUP.into_iter()), expected, "{search}");
        };
        for search in [
            "",
            "  ",
            "\"\"",
            "imp",
            "IMPORT",
            "inst",
            "db1 imp",
            "\"fra 1\"",
            "fra\" 1\"",
            "\"a=\"",
            "a\"=\\\"b\\\\\"",
            "a!b!=c",
            "job=Import",
            "job=\"Import\"",
            "\"job\"=Import",
            "dc=\"FRA 1\"",
            "dc=FRA\" \"1",
            "job!=import",
            "job!=",
            "none=",
            "none=\"\"",
            "none!=x",
            "none=~*",
            "none=~",
            "sign=a=\"\\\"b\\\\\"*",
            "job=~Import",
            "job=~*",
            "job=~Imp*",
            "job=~*port",
            "job=~*mp*",
            "job=~I*p*t",
            "job=~**",
            "instance=~db*.example.com",
            "instance=~\"db1\"*\"com\"",
            "sign=~*\"*\"",
            "dc=~\"FRA \"*",
            "job=Import dc=~F* exam",
        ] {
            check(search, true);
        }
        for search in [
            "import1",
            "example fra2",
            "fra\"  \"1",
            "job=import",
            "job=",
            "job!=Import",
            "none=x",
            "none!=",
            "none!=\"\"",
            "job=Imp*",
            "job=~imp*",
            "job=~Imp",
            "job=~*Imp",
            "job=~I*I*",
            "job=~Import*t",
            "job=~*x*",
            "job=~\"*\"",
            "job=Import none",
            "instance=~*.*.*.*",
            "dc=~FRA*2",
        ] {
            check(search, false);
        }
    }

    #[test]
    fn the_bad_term_is_named() {
        let check = |search: &str, expected: &str| {
            assert_eq!(Search::parse(search).unwrap_err().to_string(), expected);
        };
        check("ok \"a b", r#"search term "\"a b": a quote is not closed"#);
        check("job=\"a\\\"", r#"search term "job=\"a\\\"": a quote is not closed"#);
        check("\"\\", r#"search term "\"\\": a quote is not closed"#);
        let no_name = |term: &str| {
            format!("search term {term:?}: there is no label name in front of the operator; text goes in quotes")
        };
        check("a =b c", &no_name("=b"));
        check("!=b", &no_name("!=b"));
        check("\"\"=~b", &no_name("\"\"=~b"));
        let long = "=".repeat(2 * QUOTE_BYTES_MAX);
        let cut = no_name(&long[..QUOTE_BYTES_MAX]).replace("\":", &format!("\"...({QUOTE_BYTES_MAX} bytes):"));
        check(&long, &cut);
        assert!(Search::parse(&"a ".repeat(SEARCH_TERMS_MAX)).is_ok());
        check(&"a ".repeat(SEARCH_TERMS_MAX + 1), "a search has 16 terms at most");
    }

    #[test]
    fn likeness_is_that_of_a_naive_matcher() {
        fn naive(value: &str, pattern: &str) -> bool {
            match pattern.chars().next() {
                None => value.is_empty(),
                Some('*') => (0..=value.len()).any(|at| naive(&value[at..], &pattern[1..])),
                Some(c) => value.strip_prefix(c).is_some_and(|rest| naive(rest, &pattern[1..])),
            }
        }
        let texts = |alphabet: &'static str| {
            let longer = |text: String| alphabet.chars().map(move |c| format!("{text}{c}"));
            let mut all = vec![String::new()];
            for _ in 0..4 {
                all.extend(all.clone().into_iter().flat_map(longer));
            }
            all
        };
        for pattern in texts("ab*") {
            let parts: Vec<String> = pattern.split('*').map(str::to_owned).collect();
            for value in texts("ab") {
                assert_eq!(is_like(&value, &parts), naive(&value, &pattern), "{value} {pattern}");
            }
        }
    }
}
