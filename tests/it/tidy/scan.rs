//! Reads Rust source as far as the house rules need it: what is code, where functions and test items stand.
//!
//! It is not a parser: it knows comments, literals and brackets, and expects source that compiles.

use std::ops::Range;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function<'a> {
    pub name: &'a str,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// From the `fn` to the closing brace.
    pub lines: usize,
}

/// The source with comments and literals blanked out and items under `#[cfg(test)]` as well.
/// Every byte keeps its place.
pub fn production(source: &str) -> String {
    let code = code(source);
    let mut bytes = code.clone().into_bytes();
    for range in test_items(&code) {
        blank(&mut bytes[range]);
    }
    String::from_utf8(bytes).expect("whole characters are blanked")
}

/// The source with the insides of comments and literals blanked out. Every byte keeps its place.
pub fn code(source: &str) -> String {
    let mut bytes = source.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let length = inert(&source[at..], source[..at].bytes().next_back());
        blank(&mut bytes[at..at + length]);
        // Whatever is code is skipped character by character: every turn moves on.
        at += if length > 0 { length } else { source[at..].chars().next().map_or(1, char::len_utf8) };
    }
    String::from_utf8(bytes).expect("whole characters are blanked")
}

/// The items under `#[cfg(test)]`, from the attribute to the closing brace or semicolon.
pub fn test_items(code: &str) -> Vec<Range<usize>> {
    let starts = code.match_indices("#[cfg(test)]").map(|(at, attribute)| (at, at + attribute.len()));
    starts.map(|(start, after)| start..item_end(code, after)).collect()
}

/// Every function with a body, nested ones too.
pub fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name = identifier(code[at + 2..].trim_start());
        let end = item_end(code, at);
        if !name.is_empty() && code[..end].ends_with('}') {
            let lines = code[at..end].matches('\n').count() + 1;
            found.push(Function { name, line: line_of(code, at), lines });
        }
    }
    found
}

/// The modules named behind a path root such as `crate`, also in a group, each with its position.
pub fn imports<'a>(code: &'a str, root: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for at in words(code, root) {
        let Some(path) = code[at + root.len()..].strip_prefix("::") else { continue };
        match path.strip_prefix('{') {
            None => found.push((at, identifier(path))),
            Some(group) => found.extend(group_heads(group).into_iter().map(|head| (at, head))),
        }
    }
    found
}

/// The line of a position, from 1.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Where a word stands that is not part of a longer one.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let inside = |byte: Option<u8>| byte.is_some_and(is_word);
    let found = code.match_indices(word).map(|(at, _)| at);
    found
        .filter(|&at| !inside(code[..at].bytes().next_back()) && !inside(code[at + word.len()..].bytes().next()))
        .collect()
}

/// The first identifier of every path in a group `{a, b::{c, d}}` whose opening brace is already gone.
fn group_heads(group: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    let (mut depth, mut fresh) = (0, true);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            b',' if depth == 0 => fresh = true,
            byte if is_word(byte) && fresh => {
                heads.push(identifier(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

/// The end of the item that starts here: behind its semicolon, or behind the brace that closes its body.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (offset, byte) in code[start..].bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(byte, b';' | b'}') {
            return start + offset + 1;
        }
        if depth < 0 {
            return start + offset;
        }
    }
    code.len()
}

/// The length of the comment or literal that starts here; 0 if code does.
fn inert(rest: &str, before: Option<u8>) -> usize {
    let glued = before.is_some_and(is_word);
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if rest.starts_with('"') {
        quoted(rest, '"')
    } else if rest.starts_with('\'') {
        character(rest)
    } else if glued {
        0
    } else {
        raw_string(rest).unwrap_or(0)
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let two = &rest.as_bytes()[at..(at + 2).min(rest.len())];
        match two {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

/// A literal between quotes, with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

/// A raw string with its prefix.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"')))?;
    let hashes = rest[prefix.len()..].find('"')?;
    let open = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(rest[open..].find(&close).map_or(rest.len(), |at| open + at + close.len()))
}

fn identifier(text: &str) -> &str {
    &text[..text.bytes().position(|byte| !is_word(byte)).unwrap_or(text.len())]
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with runs of blanks squeezed into one; the length must stay.
    #[track_caller]
    fn check_code(source: &str, expected: &str) {
        let code = code(source);
        assert_eq!(code.len(), source.len(), "{source}");
        assert_eq!(code.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "), expected, "{source}");
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        check_code("a // {é\nb", "a \nb");
        check_code("a /* { /* } */ */ b", "a b");
        check_code(r#"f("}\"{", 'x', '{', '\'', b'"')"#, "f( , , , , b )");
        check_code("&'a str, x::<'_>('}')", "&'a str, x::<'_>( )");
        check_code("r#\"a \"}\" b\"# + br\"\\\" + xr", "+ + xr");
        check_code("\"a\nb\"", "\n");
        check_code("c \"never closed", "c");
    }

    #[test]
    fn functions_are_measured() {
        let source = "fn a() {}\ntrait T { fn b(&self) -> [u8; 2]; }\npub fn c<'x>(\n    f: fn(&'x str) -> u8,\n) -> [u8; 2] {\n    \
                      fn d() {\n    }\n    \"}\"\n}\n";
        let found: Vec<(String, usize, usize)> =
            functions(&code(source)).iter().map(|f| (f.name.to_owned(), f.line, f.lines)).collect();
        assert_eq!(found, [("a".to_owned(), 1, 1), ("c".to_owned(), 3, 7), ("d".to_owned(), 6, 2)]);
    }

    #[test]
    fn test_items_are_not_production() {
        let source = "a\n#[cfg(test)]\nmod tests { fn x() {} }\nb\n#[cfg(test)]\nmod y;\nc";
        let kept: Vec<String> = production(source).split_whitespace().map(str::to_owned).collect();
        assert_eq!(kept, ["a", "b", "c"]);
        assert_eq!(test_items(&code(source)).len(), 2);
    }

    #[test]
    fn imports_are_found_in_paths_and_groups() {
        let source = "use crate::a::X; // crate::no\nfn f() { crate::b() }\nuse crate::{\n c, d::{e, f}, g as h,\n};\nmycrate::z";
        let code = code(source);
        let names: Vec<(usize, &str)> =
            imports(&code, "crate").into_iter().map(|(at, name)| (line_of(&code, at), name)).collect();
        assert_eq!(names, [(1, "a"), (2, "b"), (3, "c"), (3, "d"), (3, "g")]);
    }
}
