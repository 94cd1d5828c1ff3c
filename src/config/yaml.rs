//! YAML text to a tree of nodes that know their lines, so that a message can say where the trouble is.
//!
//! Owns the bounds of what is read and the forms of simple values. Knows no key of the configuration.

use std::collections::HashMap;
use std::rc::Rc;

use pushgateway_yaml::{Event, Events, ScalarStyle};

use super::ConfigError;
use crate::limits::CONFIG_DEPTH_MAX;
use crate::model::quote::Literal;

/// A part of a document.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    /// The line that it starts in, from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What a node is. Aliases are the node that they stand for, so that no text can grow by them.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// A text; `is_plain` if it stood there without quotes and may be something else than a text.
    Scalar {
        text: String,
        is_plain: bool,
    },
    List(Vec<Rc<Node>>),
    /// Keys and values in their order.
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

/// A key of a map and its value.
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    /// The line that the key stands in.
    pub(super) line: usize,
    pub(super) value: &'a Node,
}

/// Reads a text with one document; `None` if there is nothing in it.
///
/// # Errors
/// What is wrong with the YAML, and in which line.
pub(super) fn parse(text: &str) -> Result<Option<Rc<Node>>, ConfigError> {
    let mut builder = Builder::default();
    let mut events = Events::new(text);
    while let Some((line, event)) = events.next().map_err(|(line, reason)| at(line, &reason))? {
        builder.take(line, event)?;
    }
    Ok(builder.root)
}

fn at(line: usize, what: &str) -> ConfigError {
    ConfigError(format!("yaml: line {line}: {what}"))
}

/// The tree under construction.
#[derive(Default)]
struct Builder {
    root: Option<Rc<Node>>,
    documents: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
}

/// A list or map whose end has not been seen.
struct Open {
    line: usize,
    anchor: usize,
    items: Vec<Rc<Node>>,
    is_map: bool,
}

impl Builder {
    fn take(&mut self, line: usize, event: Event<'_>) -> Result<(), ConfigError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 { Err(at(line, "more than one document")) } else { Ok(()) }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else { return Err(at(line, "unknown anchor")) };
                let node = Rc::clone(node);
                self.add(node);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                self.finish(anchor, Node { line, kind: Kind::Scalar { text: text.into_owned(), is_plain } });
                Ok(())
            }
            Event::SequenceStart(anchor, _) => self.open(line, anchor, false),
            Event::MappingStart(anchor, _) => self.open(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.close(open);
                }
                Ok(())
            }
        }
    }

    fn open(&mut self, line: usize, anchor: usize, is_map: bool) -> Result<(), ConfigError> {
        if self.open.len() == CONFIG_DEPTH_MAX {
            return Err(at(line, "too many lists and maps inside each other"));
        }
        self.open.push(Open { line, anchor, items: Vec::new(), is_map });
        Ok(())
    }

    fn close(&mut self, open: Open) {
        let kind = if open.is_map {
            // Keys and values come in turn; the parser makes up a value that is left out.
            let mut items = open.items.into_iter();
            Kind::Map(std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect())
        } else {
            Kind::List(open.items)
        };
        self.finish(open.anchor, Node { line: open.line, kind });
    }

    fn finish(&mut self, anchor: usize, node: Node) {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.add(node);
    }

    fn add(&mut self, node: Rc<Node>) {
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
    }
}

impl Node {
    /// Whether nothing stands there: then the default counts, as in the original.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, is_plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// A text; numbers and switches are taken as they are written.
    pub(super) fn text(&self, key: &str) -> Result<&str, ConfigError> {
        match &self.kind {
            _ if self.is_null() => Ok(""),
            Kind::Scalar { text, .. } => Ok(text),
            _ => Err(self.wrong(key, "a text")),
        }
    }

    /// A switch, in all the words that YAML 1.1 has for one.
    pub(super) fn switch(&self, key: &str) -> Result<bool, ConfigError> {
        let Kind::Scalar { text, is_plain: true } = &self.kind else { return Err(self.wrong(key, "true or false")) };
        match &**text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Ok(true),
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Ok(false),
            _ => Err(self.wrong(key, "true or false")),
        }
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self, key: &str) -> Result<u64, ConfigError> {
        let wrong = || self.wrong(key, "a whole number");
        let Kind::Scalar { text, is_plain: true } = &self.kind else { return Err(wrong()) };
        text.parse().map_err(|_| wrong())
    }

    /// The items of a list.
    pub(super) fn list(&self, key: &str) -> Result<&[Rc<Node>], ConfigError> {
        match &self.kind {
            _ if self.is_null() => Ok(&[]),
            Kind::List(items) => Ok(items),
            _ => Err(self.wrong(key, "a list")),
        }
    }

    /// The pairs of a map whose keys are texts, none of them twice.
    pub(super) fn map(&self, key: &str) -> Result<Vec<Pair<'_>>, ConfigError> {
        let pairs = match &self.kind {
            _ if self.is_null() => return Ok(Vec::new()),
            Kind::Map(pairs) => pairs,
            _ => return Err(self.wrong(key, "a map")),
        };
        let mut seen: HashMap<&str, usize> = HashMap::with_capacity(pairs.len());
        let mut texts = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let text = name.text(key)?;
            if let Some(line) = seen.insert(text, name.line) {
                return Err(at(name.line, &format!("key {} is already set in line {line}", Literal(text))));
            }
            texts.push(Pair { key: text, line: name.line, value });
        }
        Ok(texts)
    }

    fn wrong(&self, key: &str, wanted: &str) -> ConfigError {
        at(self.line, &format!("{key} has to be {wanted}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Rc<Node> {
        parse(text).expect("it is YAML").expect("there is something")
    }

    #[test]
    fn trees_know_their_lines() {
        let root = node("# comment\na: 1\nb:\n  - x\n  - 'y'\n");
        let pairs = root.map("").expect("a map");
        assert_eq!(pairs.iter().map(|pair| (pair.key, pair.line)).collect::<Vec<_>>(), [("a", 2), ("b", 3)]);
        assert_eq!((pairs[0].value.line, pairs[0].value.text("a")), (2, Ok("1")));
        let items = pairs[1].value.list("b").expect("a list");
        assert_eq!((items[1].line, items[1].text("b")), (5, Ok("y")));
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", "\n", "# only a comment\n", "---\n", "~", "null"] {
            assert!(parse(text).expect("it is YAML").is_none_or(|node| node.is_null()), "{text:?}");
        }
        assert!(!node("'null'").is_null() && !node("\"\"").is_null());
    }

    #[test]
    fn aliases_are_the_node_itself() {
        let root = node("a: &x [1, 2]\nb: *x\n");
        let pairs = root.map("").expect("a map");
        assert!(std::ptr::eq(pairs[0].value, pairs[1].value));
        // Nine levels of nine aliases: hundreds of millions of nodes if they were copied.
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert_eq!(node(&bomb).map("").map(|pairs| pairs.len()), Ok(9));
    }

    #[test]
    fn values_have_their_forms() {
        for (text, expected) in [("yes", Some(true)), ("Off", Some(false)), ("'yes'", None), ("1", None), ("[]", None)]
        {
            assert_eq!(node(text).switch("k").ok(), expected, "{text}");
        }
        for (text, expected) in [("0", Some(0)), ("17", Some(17)), ("-1", None), ("1.5", None), ("'1'", None)] {
            assert_eq!(node(text).number("k").ok(), expected, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let check = |text: &str, expected: &str| {
            let outcome = parse(text).and_then(|node| node.expect("something").map("it").map(drop));
            let message = outcome.expect_err(text).to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
        };
        check("a: 1\nb: [1\n", "yaml: line ");
        check("a: 1\n\tb: 1\n", "yaml: line 1: ");
        check("a: *x\n", "yaml: line 1: ");
        check("a: 1\n---\nb: 1\n", "yaml: line 2: more than one document");
        check("a: 1\nb: 1\na: 2\n", "yaml: line 3: key \"a\" is already set in line 1");
        check("- 1\n", "yaml: line 1: it has to be a map");
        check("? [1]\n: 2\n", "yaml: line 1: it has to be a text");
        check(&"[".repeat(100), "yaml: line 1: too many lists and maps");
    }
}
