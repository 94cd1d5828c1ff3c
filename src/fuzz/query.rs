//! Fuzzes the queries of `/api/v1/groups` and `/api/v1/groups/delete`: what is read, found, listed and chosen is what a
//! plain reading of the query says.

use super::check_error;
use crate::app::query::groups::{Selecting, Selection};
use crate::app::query::list::{GroupList, Measure, path};
use crate::app::query::removal::{Choosing, Removal};
use crate::app::query::stream::JsonBody;
use crate::exposition::text::Parser;
use crate::limits::{GROUPS_LISTED_DEFAULT, GROUPS_LISTED_MAX, QUERY_BYTES_MAX, SEARCH_TERMS_MAX};
use crate::model::name::Names;
use crate::model::time::Timestamp;
use crate::store::{GroupView, Mode, Staged, Store};

/// Groups and what is pushed to them, one after the other. Pushes with a timestamp are refused.
const PUSHES: [(&[(&str, &str)], &str); 8] = [
    (&[("instance", "db1.example.com"), ("job", "Import")], "a 1\nb 1\nb{x=\"1\"} 1\n"),
    (&[("instance", "db2.example.com"), ("job", "Import")], "a 1\n"),
    (&[("job", "aaab"), ("x", "aabab*")], "a 1\n"),
    (&[("job", "")], "a 1 1\n"),
    (&[("dc", "FRA 1"), ("job", "c/d"), ("sign", "a=\"b\\*!=")], "a 1\nb 1\n"),
    (&[("city", "Zürich"), ("job", "Προμηθεύς")], "a 1\n"),
    (&[("job", "aaab"), ("x", "aabab*")], "a 1 1\n"),
    (&[("instance", "db1.example.com"), ("job", "Import")], "c 1\n"),
];

/// Reads `data` as the query and lists the groups that it asks for.
///
/// # Panics
/// If the plain reading refuses what is accepted, or the other way round, or lists other groups; and if others are
/// chosen to be deleted than are listed.
pub fn query_string(data: &[u8]) {
    removal(data);
    let plain = Query::read(data);
    match Selection::parse(data) {
        Ok(selection) => {
            let store = store();
            let plain = plain.unwrap_or_else(|| panic!("accepted: {}", data.escape_ascii()));
            let mut list = JsonBody::List(select(&store, selection));
            let mut out = Vec::new();
            while list.write(&store, &mut out) {}
            plain.check(&store, &String::from_utf8(out).expect("JSON is UTF-8"));
        }
        Err(error) => {
            assert!(plain.is_none(), "refused: {}: {error}", data.escape_ascii());
            check_error(error, 1);
        }
    }
}

/// Chooses in the shortest steps.
fn select(store: &Store, selection: Selection) -> GroupList {
    let mut selecting = Selecting::new(selection, Names::Classic);
    loop {
        if let Some(list) = selecting.go_on(store, &mut 1) {
            return list;
        }
    }
}

fn metrics(group: &GroupView<'_>) -> u64 {
    let mut measure = Measure::of_metrics();
    while !measure.go_on(group, &mut 1) {}
    measure.metrics()
}

/// Groups that are chosen to be deleted are those that the list shows for the same search.
fn removal(data: &[u8]) {
    let removal = match Removal::parse(data) {
        Ok(removal) => removal,
        Err(error) => return check_error(error, 1),
    };
    let parts = data.split(|byte| *byte == b'&').filter(|part| !part.starts_with(b"expect"));
    let listed = Selection::parse(&parts.collect::<Vec<_>>().join(&b'&')).map(|selection| {
        let (store, mut out) = (store(), Vec::new());
        let mut list = JsonBody::List(select(&store, selection));
        while list.write(&store, &mut out) {}
        String::from_utf8(out).expect("JSON is UTF-8")
    });
    // A name may be written with escapes; then there is nothing to compare with.
    let Ok(listed) = listed else { return };
    let store = store();
    let mut choosing = Choosing::new(removal);
    while !choosing.go_on(&store, &mut 1) {}
    let matching = match choosing.chosen() {
        Ok((_, keys, matching)) => {
            for group in keys.iter().map(|key| store.group(key).expect("only what is there is chosen")) {
                let path = path(&group, Names::Classic);
                assert!(listed.contains(&format!("\"path\":\"{path}\"")), "{path}: {}", data.escape_ascii());
            }
            matching
        }
        Err(matching) => matching,
    };
    assert!(listed.contains(&format!("\"matching\":{matching},")), "{matching}: {}", data.escape_ascii());
}

fn store() -> Store {
    let (mut store, mut parser, mut staged) = (Store::new(), Parser::new(), Staged::default());
    for (time, (labels, body)) in (1..).zip(PUSHES) {
        parser.reset(Names::Classic);
        staged.begin(labels.iter().copied());
        let read = parser.feed(body.as_bytes(), &mut staged).and_then(|()| parser.finish(&mut staged));
        assert_eq!(read, Ok(()), "{body}");
        staged.seal();
        // Those that are refused are there to be sorted by that.
        let _ = store.push(&mut staged, Mode::Merge, Timestamp(time));
    }
    store
}

/// A query, read without haste.
struct Query {
    terms: Vec<Term>,
    state: String,
    sort: String,
    offset: usize,
    limit: usize,
}

impl Query {
    /// `None` if it is to be refused.
    fn read(data: &[u8]) -> Option<Query> {
        let mut given: Vec<(String, String)> = Vec::new();
        for parameter in data.split(|byte| *byte == b'&').filter(|parameter| !parameter.is_empty()) {
            let mut sides = parameter.splitn(2, |byte| *byte == b'=');
            let name = decoded(sides.next()?)?;
            if given.iter().any(|(other, _)| *other == name) {
                return None;
            }
            given.push((name, decoded(sides.next().unwrap_or_default())?));
        }
        let mut take = |name| {
            let at = given.iter().position(|(given, _)| given == name);
            at.map(|at| given.swap_remove(at).1).unwrap_or_default()
        };
        let query = Query {
            terms: terms(&take("search"))?,
            state: take("state"),
            sort: take("sort"),
            offset: number(&take("offset"), 0, u32::MAX as usize)?,
            limit: number(&take("limit"), GROUPS_LISTED_DEFAULT, GROUPS_LISTED_MAX)?,
        };
        let orders = ["", "job", "-job", "pushed", "-pushed", "failed", "-failed", "series", "-series"];
        let states = ["", "failing", "passing"];
        let is_known = given.is_empty() && orders.contains(&&*query.sort) && states.contains(&&*query.state);
        (is_known && data.len() <= QUERY_BYTES_MAX).then_some(query)
    }

    /// The answer has what is asked for.
    fn check(&self, store: &Store, answer: &str) {
        let all: Vec<GroupView<'_>> = store.groups_after(None).collect();
        let mut found: Vec<&GroupView<'_>> =
            all.iter().filter(|group| self.terms.iter().all(|term| term.finds(group))).collect();
        found.retain(|group| match &*self.state {
            "failing" => !group.last_push_successful(),
            "passing" => group.last_push_successful(),
            _ => true,
        });
        let series: u64 = found.iter().map(|group| metrics(group)).sum();
        let failing = found.iter().filter(|group| group.failed() > group.pushed()).count();
        let counts = format!("\"groups\":{},\"matching\":{},\"series\":{series}", all.len(), found.len());
        let totals = format!("{{\"failing\":{failing},{counts}}}");
        let order = self.sort.trim_start_matches('-');
        let rank = |group: &GroupView<'_>| match order {
            "pushed" => i128::from(group.pushed().0),
            "failed" => i128::from(group.failed().0),
            "series" => i128::from(metrics(group)),
            _ => all.iter().position(|other| other.id() == group.id()).expect("it is one of them") as i128,
        };
        let sign = if self.sort.starts_with('-') { -1 } else { 1 };
        found.sort_by_key(|group| sign * rank(group));
        let expected = found.iter().skip(self.offset).take(self.limit).map(|group| path(group, Names::Classic));
        let paths = answer.split("\"path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
        assert!(answer.contains(&totals), "{totals}: {answer}");
        assert_eq!(expected.collect::<Vec<_>>(), paths.collect::<Vec<_>>(), "{answer}");
    }
}

fn number(text: &str, default: usize, max: usize) -> Option<usize> {
    match text.trim_start_matches('0') {
        _ if !text.bytes().all(|byte| byte.is_ascii_digit()) => None,
        "" => Some(if text.is_empty() { default } else { 0 }),
        digits => digits.parse().ok().filter(|number| *number <= max),
    }
}

fn decoded(encoded: &[u8]) -> Option<String> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let (mut plain, mut bytes) = (Vec::new(), encoded.iter().copied());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

/// A character of a term. Quotes stand for nothing, but they part an operator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Bare(char),
    Quoted(char),
    Quote,
}

/// A term: what is in front of its operator, the operator, and what is behind it.
struct Term {
    left: String,
    operator: &'static str,
    right: Vec<Mark>,
}

fn terms(search: &str) -> Option<Vec<Term>> {
    let mut marks = Vec::new();
    let mut chars = search.chars();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        marks.push(match c {
            '"' => Mark::Quote,
            '\\' if is_quoted => Mark::Quoted(chars.next()?),
            c if is_quoted => Mark::Quoted(c),
            c => Mark::Bare(c),
        });
        is_quoted ^= c == '"';
    }
    let terms = marks.split(|mark| *mark == Mark::Bare(' ')).filter(|term| !term.is_empty());
    let terms: Vec<Term> = terms.map(Term::read).collect::<Option<_>>()?;
    (!is_quoted && terms.len() <= SEARCH_TERMS_MAX).then_some(terms)
}

impl Term {
    fn read(marks: &[Mark]) -> Option<Term> {
        for at in 0..marks.len() {
            for operator in ["=~", "!=", "="] {
                let behind = at + operator.len();
                if marks.get(at..behind).is_some_and(|here| here.iter().copied().eq(operator.chars().map(Mark::Bare))) {
                    let left = text(&marks[..at]);
                    return (!left.is_empty()).then(|| Term { left, operator, right: marks[behind..].to_vec() });
                }
            }
        }
        Some(Term { left: text(marks), operator: "", right: Vec::new() })
    }

    fn finds(&self, group: &GroupView<'_>) -> bool {
        let labels: Vec<(String, String)> = group.labels().map(|(name, value)| (name.into(), value.into())).collect();
        let value = labels.iter().find(|(name, _)| *name == self.left).map_or("", |(_, value)| value);
        let lower = self.left.to_ascii_lowercase();
        match self.operator {
            "=" => value == text(&self.right),
            "!=" => value != text(&self.right),
            "=~" => is_like(value, &self.right),
            _ => labels.iter().any(|(name, value)| {
                name.to_ascii_lowercase().contains(&lower) || value.to_ascii_lowercase().contains(&lower)
            }),
        }
    }
}

fn text(marks: &[Mark]) -> String {
    let chars = marks.iter().filter_map(|mark| match mark {
        Mark::Bare(c) | Mark::Quoted(c) => Some(*c),
        Mark::Quote => None,
    });
    chars.collect()
}

/// Follows every way at once: after each mark, in front of which characters of the value it may have ended.
fn is_like(value: &str, pattern: &[Mark]) -> bool {
    let chars: Vec<char> = value.chars().collect();
    let mut ends = vec![false; chars.len() + 1];
    ends[0] = true;
    for mark in pattern {
        ends = match mark {
            Mark::Quote => continue,
            Mark::Bare('*') => (0..ends.len()).map(|at| ends[..=at].contains(&true)).collect(),
            Mark::Bare(c) | Mark::Quoted(c) => {
                (0..ends.len()).map(|at| at > 0 && ends[at - 1] && chars[at - 1] == *c).collect()
            }
        };
    }
    ends[chars.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn seeds_pass() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/query_string");
        let seeds = std::fs::read_dir(seeds).unwrap();
        let count = seeds.map(|seed| query_string(&std::fs::read(seed.unwrap().path()).unwrap())).count();
        assert!(count >= 12, "{count} seeds");
    }

    #[test]
    fn random_searches_pass() {
        const PIECES: [&str; 30] = [
            "a",
            "b",
            "aab",
            "*",
            "*",
            "\"",
            "\"",
            "\\",
            "=",
            "=~",
            "!=",
            "!",
            "~",
            "+",
            "+",
            "job",
            "x",
            "none",
            "job=",
            "job=~",
            "x=~",
            "instance=~db",
            "Import",
            "FRA",
            "%22",
            "%25",
            "&sort=-series",
            "&limit=2",
            "&offset=1",
            "ü",
        ];
        let mut random = Random::new(1);
        for _ in 0..5_000 {
            let pieces = (0..random.below(10)).map(|_| PIECES[random.below(30) as usize]).collect::<String>();
            query_string(format!("search={pieces}").as_bytes());
        }
    }
}
