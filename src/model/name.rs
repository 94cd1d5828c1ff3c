//! What a metric name and a label name may be (SPEC 3.7).

/// Which names are valid: the classic characters, or any UTF-8 (`--push.enable-utf8-names`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Names {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*` for metrics, the same without colons for labels.
    #[default]
    Classic,
    /// Any non-empty valid UTF-8.
    Utf8,
}

/// For each byte whether names may consist of it.
type Bytes = [bool; 256];

/// Which bytes a classic label name consists of. Every name of a push is looked at, and a table is read faster than
/// ranges are compared.
const LABEL_BYTES: Bytes = {
    let mut is_classic = [false; 256];
    let mut byte = 0;
    while byte < is_classic.len() {
        is_classic[byte] = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_');
        byte += 1;
    }
    is_classic
};

/// Which bytes a classic metric name consists of.
const METRIC_BYTES: Bytes = {
    let mut is_classic = LABEL_BYTES;
    is_classic[b':' as usize] = true;
    is_classic
};

#[inline]
fn is_classic(name: &[u8], bytes: &Bytes) -> bool {
    let is = |byte: u8| bytes[usize::from(byte)];
    let (fours, rest) = name.as_chunks();
    name.first().is_some_and(|first| !first.is_ascii_digit())
        && fours.iter().all(|&[a, b, c, d]| is(a) & is(b) & is(c) & is(d))
        && rest.iter().all(|&byte| is(byte))
}

/// Whether `name` is a metric name of the classic form `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_classic_metric_name(name: &[u8]) -> bool {
    is_classic(name, &METRIC_BYTES)
}

/// Whether `name` is a label name of the classic form `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_classic_label_name(name: &[u8]) -> bool {
    is_classic(name, &LABEL_BYTES)
}

impl Names {
    /// Whether `name` is a valid metric name under this scheme.
    pub fn allows_metric(self, name: &[u8]) -> bool {
        match self {
            Names::Classic => is_classic_metric_name(name),
            Names::Utf8 => !name.is_empty() && str::from_utf8(name).is_ok(),
        }
    }

    /// Whether `name` is a valid label name under this scheme.
    pub fn allows_label(self, name: &[u8]) -> bool {
        match self {
            Names::Classic => is_classic_label_name(name),
            Names::Utf8 => !name.is_empty() && str::from_utf8(name).is_ok(),
        }
    }
}
