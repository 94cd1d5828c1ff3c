//! The labels of a metric as an escaping shows them: each name once, and one that scrapers take.
//!
//! Different names may be the same when they are escaped. A scraper that finds a name twice takes nothing of the whole
//! exposition, so such labels become one, with their values behind each other, as OpenTelemetry has it done.

use std::borrow::Cow;

use memchr::memmem;

use crate::exposition::format::Escaping;
use crate::model::line::label_pairs;
use crate::model::order;

/// What stands between values that have become one.
const SEPARATOR: &str = ";";

/// Hands on the labels of a set as written: names as the escaping shows them, and values as written, so with escapes.
pub fn for_each(labels: &str, escaping: Escaping, mut write: impl FnMut(&[u8], &str)) {
    if !may_have_quotes(labels) {
        return label_pairs(labels).for_each(|(name, value)| write(name.as_bytes(), value));
    }
    let mut shown: Vec<(Vec<u8>, Cow<'_, str>)> = Vec::new();
    for (quoted, value) in label_pairs(labels) {
        let mut name = Vec::with_capacity(quoted.len());
        escaping.write_label(&mut name, quoted);
        shown.push((name, Cow::Borrowed(value)));
    }
    join(&mut shown);
    shown.iter().for_each(|(name, value)| write(name, value));
}

/// Whether a name of the set may be in quotes; a value that ends with a comma looks like it.
fn may_have_quotes(labels: &str) -> bool {
    labels.starts_with('"') || memmem::find(labels.as_bytes(), b",\"").is_some()
}

/// Makes one label of those with the same name, in the place of the first.
fn join(labels: &mut Vec<(Vec<u8>, Cow<'_, str>)>) {
    let mut sorted: Vec<usize> = (0..labels.len()).collect();
    order::sort_by_key(&mut sorted, |at| &labels[*at].0);
    let (mut first, mut has_repeats) = (0, false);
    for pair in sorted.windows(2) {
        if labels[pair[0]].0 != labels[pair[1]].0 {
            continue;
        }
        if !has_repeats || labels[first].0 != labels[pair[1]].0 {
            first = pair[0];
        }
        has_repeats = true;
        let value = std::mem::take(&mut labels[pair[1]].1);
        let joined = labels[first].1.to_mut();
        joined.push_str(SEPARATOR);
        joined.push_str(&value);
    }
    if has_repeats {
        let mut is_first = vec![true; labels.len()];
        for pair in sorted.windows(2) {
            is_first[pair[1]] = labels[pair[0]].0 != labels[pair[1]].0;
        }
        let mut is_first = is_first.into_iter();
        labels.retain(|_| is_first.next().expect("there is one for each label"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_one_name_become_one() {
        let check = |labels: &str, escaping: Escaping, expected: &str| {
            let mut text = String::new();
            for_each(labels, escaping, |name, value| text += &format!("{}={value} ", str::from_utf8(name).unwrap()));
            assert_eq!(text.trim_end(), expected, "{labels}");
        };
        let underscores = Escaping::Underscores;
        check("", underscores, "");
        check(r#"a="1",b="2""#, underscores, "a=1 b=2");
        check(r#"a=",",b="""#, underscores, "a=, b=");
        check(r#""a b"="1","a.b"="2",a_b="3",c="4""#, underscores, "a_b=1;2;3 c=4");
        check(r#""a b"="1","a.b"="2",a_b="3",c="4""#, Escaping::AllowUtf8, "a b=1 a.b=2 a_b=3 c=4");
        check(r#""a b"="1","a.b"="2",a_b="3",c="4""#, Escaping::Dots, "a__b=1 a_dot_b=2 a_b=3 c=4");
        check(r#""a b"="1","a-b"="2",U__a_20_b="3",c="4""#, Escaping::Values, "U__a_20_b=1;3 U__a_2d_b=2 c=4");
        check(r#""1"="a\\","2"="",A="x",_="\"","a.b"="1",a_b="2""#, underscores, r#"_=a\\;;\" A=x a_b=1;2"#);
        check(r#""._name__"="1",exported___name__="2""#, underscores, "exported___name__=1;2");
    }
}
