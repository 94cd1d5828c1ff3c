//! Log lines (SPEC 13): levels, logfmt and JSON, and a cap on how many bytes a flood may write.
//!
//! A [`Logger`] is a value that is handed down; there is no global one. It never fails: a line that cannot be written
//! is lost. Whatever a value holds, it stays one line of printable text. Decides nothing about what is worth a line.

use std::fmt::{self, Write as _};
use std::io;
use std::panic::Location;

use crate::limits::{LOG_BURST_BYTES_MAX, LOG_BYTES_PER_SECOND_MAX, LOG_VALUE_BYTES_MAX};
use crate::model::cut::Bounded;
use crate::model::quote::write_quoted;
use crate::model::time::Timestamp;

/// How severe a line is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Of use to somebody who looks for a fault.
    Debug,
    /// The normal course of things.
    Info,
    /// Something is odd, and may need a look.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The level of this lower-case name, as `--log.level` takes it.
    pub fn named(name: &str) -> Option<Self> {
        [Level::Debug, Level::Info, Level::Warn, Level::Error].into_iter().find(|level| level.name() == name)
    }

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// The form of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    Logfmt,
    /// One object a line.
    Json,
}

impl Format {
    /// The format of this name, as `--log.format` takes it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "logfmt" => Some(Format::Logfmt),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// A value of a line; its type shows in JSON.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A text.
    Str(&'a str),
    /// A text made when the line is written: an error, say.
    Shown(&'a dyn fmt::Display),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
}

impl Value<'_> {
    const fn is_text(self) -> bool {
        matches!(self, Value::Str(_) | Value::Shown(_))
    }
}

/// Writes log lines.
pub struct Logger {
    least: Level,
    format: Format,
    clock: Box<dyn FnMut() -> Timestamp + Send>,
    sink: Box<dyn io::Write + Send>,
    budget: Budget,
    /// The line under construction, and a text value before quoting; kept for their capacity.
    line: String,
    text: String,
}

impl Logger {
    /// A logger that writes lines of `least` severity and above to stderr, with the system's time.
    pub fn stderr(least: Level, format: Format) -> Self {
        let clock = || Timestamp::from_system(std::time::SystemTime::now());
        Self::new(least, format, Box::new(clock), Box::new(io::stderr()))
    }

    /// A logger with a clock and a sink of the caller's. Each line is one write; the sink's errors are ignored.
    pub fn new(
        least: Level,
        format: Format,
        clock: Box<dyn FnMut() -> Timestamp + Send>,
        sink: Box<dyn io::Write + Send>,
    ) -> Self {
        Self { least, format, clock, sink, budget: Budget::default(), line: String::new(), text: String::new() }
    }

    /// Whether lines of this level are written; worth asking before an expensive value is made.
    #[inline]
    pub fn is_enabled(&self, level: Level) -> bool {
        level >= self.least
    }

    /// Writes a line at debug level.
    #[inline]
    #[track_caller]
    pub fn debug(&mut self, message: &str, rest: &[(&'static str, Value<'_>)]) {
        self.log(Level::Debug, message, rest);
    }

    /// Writes a line at info level.
    #[inline]
    #[track_caller]
    pub fn info(&mut self, message: &str, rest: &[(&'static str, Value<'_>)]) {
        self.log(Level::Info, message, rest);
    }

    /// Writes a line at warn level.
    #[inline]
    #[track_caller]
    pub fn warn(&mut self, message: &str, rest: &[(&'static str, Value<'_>)]) {
        self.log(Level::Warn, message, rest);
    }

    /// Writes a line at error level.
    #[inline]
    #[track_caller]
    pub fn error(&mut self, message: &str, rest: &[(&'static str, Value<'_>)]) {
        self.log(Level::Error, message, rest);
    }

    /// Writes a line at a level known only at run time. A level that is not enabled costs a comparison.
    #[inline]
    #[track_caller]
    pub fn log(&mut self, level: Level, message: &str, rest: &[(&'static str, Value<'_>)]) {
        if self.is_enabled(level) {
            self.emit(level, Location::caller(), message, rest);
        }
    }

    #[cold]
    fn emit(&mut self, level: Level, at: &Location<'_>, message: &str, rest: &[(&'static str, Value<'_>)]) {
        let now = (self.clock)();
        if self.budget.is_spent(now) {
            self.budget.dropped += 1;
            return;
        }
        let dropped = std::mem::take(&mut self.budget.dropped);
        if dropped > 0 && self.is_enabled(Level::Warn) {
            let count = Value::Int(i64::try_from(dropped).unwrap_or(i64::MAX));
            self.write(
                now,
                Level::Warn,
                Location::caller(),
                "log lines dropped: too many at once",
                &[("count", count)],
            );
        }
        self.write(now, level, at, message, rest);
    }

    fn write(
        &mut self,
        now: Timestamp,
        level: Level,
        at: &Location<'_>,
        message: &str,
        rest: &[(&'static str, Value<'_>)],
    ) {
        let caller =
            fmt::from_fn(|f| write!(f, "{}:{}", at.file().rsplit(['/', '\\']).next().unwrap_or(""), at.line()));
        let first = [
            ("ts", Value::Shown(&now.rfc3339_millis())),
            ("level", Value::Str(level.name())),
            ("caller", Value::Shown(&caller)),
            ("msg", Value::Str(message)),
        ];
        self.line.clear();
        for (index, (key, value)) in first.iter().chain(rest).enumerate() {
            match self.format {
                Format::Logfmt => push_logfmt(&mut self.line, &mut self.text, index, key, *value),
                Format::Json => push_json(&mut self.line, &mut self.text, index, key, *value),
            }
        }
        self.line.push_str(if self.format == Format::Json { "}\n" } else { "\n" });
        self.budget.spend(self.line.len());
        // A closed or full stderr must not take the server down, and there is nowhere to tell.
        let _ = self.sink.write_all(self.line.as_bytes());
    }
}

/// Bytes that may still be written: a bucket that is filled at a constant rate.
struct Budget {
    left: u64,
    filled_at: Timestamp,
    /// Lines not written since the last one that was.
    dropped: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: LOG_BURST_BYTES_MAX, filled_at: Timestamp(i64::MIN), dropped: 0 }
    }
}

impl Budget {
    fn is_spent(&mut self, now: Timestamp) -> bool {
        let seconds = now.unix().saturating_sub(self.filled_at.unix());
        // Whole seconds only, or a clock asked often would round every refill away. A clock set back starts anew.
        if seconds != 0 {
            self.filled_at = now;
            let refill = LOG_BYTES_PER_SECOND_MAX.saturating_mul(u64::try_from(seconds).unwrap_or(0));
            self.left = self.left.saturating_add(refill).min(LOG_BURST_BYTES_MAX);
        }
        self.left == 0
    }

    fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
    }
}

fn push_logfmt(line: &mut String, text: &mut String, index: usize, key: &str, value: Value<'_>) {
    if index > 0 {
        line.push(' ');
    }
    line.push_str(key);
    line.push('=');
    show(text, value);
    if value.is_text() && needs_quotes(text) {
        // Writing to a string does not fail.
        let _ = write_quoted(line, text.as_bytes());
    } else {
        line.push_str(text);
    }
}

fn push_json(line: &mut String, text: &mut String, index: usize, key: &str, value: Value<'_>) {
    append(line, format_args!("{}\"{key}\":", if index == 0 { '{' } else { ',' }));
    show(text, value);
    if value.is_text() {
        push_json_string(line, text);
    } else {
        line.push_str(text);
    }
}

fn push_json_string(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\u{8}' => line.push_str("\\b"),
            '\u{c}' => line.push_str("\\f"),
            // JSON asks for the first 32 only; the others would reach a terminal or break a line there.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                append(line, format_args!("\\u{:04x}", u32::from(c)));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

/// Leaves the value in `text`, cut at the bound.
fn show(text: &mut String, value: Value<'_>) {
    text.clear();
    let mut bounded = Bounded::new(text, LOG_VALUE_BYTES_MAX);
    // The only error is that the rest does not fit, which is what the bound is for.
    let _ = match value {
        Value::Str(value) => bounded.write_str(value),
        Value::Shown(value) => write!(bounded, "{value}"),
        Value::Int(value) => write!(bounded, "{value}"),
        Value::Bool(value) => write!(bounded, "{value}"),
    };
}

fn append(out: &mut String, arguments: fmt::Arguments<'_>) {
    // Fails only if a `Display` does; then what it wrote stands.
    let _ = out.write_fmt(arguments);
}

fn needs_quotes(text: &str) -> bool {
    let is_odd = |c: char| match c {
        ' ' | '=' | '"' => true,
        c if c.is_ascii() => c.is_ascii_control(),
        c => c.is_control() || c.is_whitespace() || c.escape_debug().next() == Some('\\'),
    };
    text.is_empty() || text.chars().any(is_odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A sink that remembers each write.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl io::Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Writes {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    const NOW: Timestamp = Timestamp(1_795_395_294_179_915_000);

    fn logger(least: Level, format: Format) -> (Logger, Writes) {
        let writes = Writes::default();
        (Logger::new(least, format, Box::new(|| NOW), Box::new(writes.clone())), writes)
    }

    #[test]
    fn logfmt_and_json_lines() {
        let check = |message: &str, rest: &[(&'static str, Value<'_>)], logfmt: &str, json: &str| {
            for (format, expected) in [(Format::Logfmt, logfmt), (Format::Json, json)] {
                let (mut logger, writes) = logger(Level::Info, format);
                logger.info(message, rest);
                let here = format!("log.rs:{}", line!() - 1);
                assert_eq!(writes.take(), [expected.replace("HERE", &here) + "\n"]);
            }
        };
        check(
            "Listening on",
            &[("address", Value::Str("[::]:9091"))],
            r#"ts=2026-11-23T00:54:54.179Z level=info caller=HERE msg="Listening on" address=[::]:9091"#,
            r#"{"ts":"2026-11-23T00:54:54.179Z","level":"info","caller":"HERE","msg":"Listening on","address":"[::]:9091"}"#,
        );
        check(
            "x",
            &[("http2", Value::Bool(false)), ("burst", Value::Int(-5)), ("err", Value::Shown(&"a b"))],
            r#"ts=2026-11-23T00:54:54.179Z level=info caller=HERE msg=x http2=false burst=-5 err="a b""#,
            r#"{"ts":"2026-11-23T00:54:54.179Z","level":"info","caller":"HERE","msg":"x","http2":false,"burst":-5,"err":"a b"}"#,
        );
    }

    #[test]
    fn values_are_quoted_where_needed() {
        let check = |value: &str, logfmt: &str, json: &str| {
            let (mut line, mut text) = (String::new(), String::new());
            push_logfmt(&mut line, &mut text, 0, "k", Value::Str(value));
            assert_eq!(line, format!("k={logfmt}"));
            line.clear();
            push_json(&mut line, &mut text, 0, "k", Value::Str(value));
            assert_eq!(line, format!("{{\"k\":{json}"));
            let read: serde_json::Value = serde_json::from_str(&(line + "}")).unwrap();
            assert_eq!(read["k"], value);
        };
        check("", r#""""#, r#""""#);
        check("plain", "plain", r#""plain""#);
        check("a b", r#""a b""#, r#""a b""#);
        check("a=b", r#""a=b""#, r#""a=b""#);
        check("\"", r#""\"""#, r#""\"""#);
        check(r"a\b", r"a\b", r#""a\\b""#);
        check("1\n2\r\t", r#""1\n2\r\t""#, r#""1\n2\r\t""#);
        check("\u{8}\u{c}\u{0}", r#""\b\f\x00""#, r#""\b\f\u0000""#);
        check("\u{1b}[31m\u{7f}", r#""\x1b[31m\x7f""#, r#""\u001b[31m\u007f""#);
        check("\u{85}\u{a0}", r#""\u0085\u00a0""#, "\"\\u0085\u{a0}\"");
        check("\u{2028}", r#""\u2028""#, r#""\u2028""#);
        check("é日😊", "é日😊", "\"é日😊\"");
    }

    #[test]
    fn no_value_breaks_out_of_its_line() {
        for byte in 0..=0x2ff_u32 {
            let c = char::from_u32(byte).unwrap();
            for format in [Format::Logfmt, Format::Json] {
                let (mut logger, writes) = logger(Level::Info, format);
                logger.error(&c.to_string(), &[("err", Value::Str(&format!("x{c}level=info")))]);
                let lines = writes.take();
                assert_eq!(lines.len(), 1);
                let line = lines[0].strip_suffix('\n').unwrap();
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn levels() {
        for least in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
            assert_eq!(Level::named(least.name()), Some(least));
            let (mut logger, writes) = logger(least, Format::Logfmt);
            logger.debug("m", &[]);
            logger.info("m", &[]);
            logger.warn("m", &[]);
            logger.error("m", &[]);
            let lines = writes.take();
            assert_eq!(lines.len(), 4 - least as usize);
            assert!(lines[0].contains(&format!(" level={} ", least.name())), "{lines:?}");
        }
        assert_eq!((Level::named("INFO"), Format::named("text")), (None, None));
    }

    #[test]
    fn long_values_are_cut() {
        let check = |value: &str, kept: usize| {
            let mut text = String::new();
            for shown in [Value::Str(value), Value::Shown(&format_args!("{value}{value}"))] {
                show(&mut text, shown);
                assert_eq!(text, format!("{}...", &value[..kept]));
            }
            show(&mut text, Value::Str(&value[..value.floor_char_boundary(LOG_VALUE_BYTES_MAX)]));
            assert!(!text.ends_with("..."), "it fits");
        };
        check(&"x".repeat(LOG_VALUE_BYTES_MAX + 1), LOG_VALUE_BYTES_MAX - 3);
        check(&"日".repeat(LOG_VALUE_BYTES_MAX), (LOG_VALUE_BYTES_MAX - 3) / 3 * 3);
    }

    /// Whatever is logged, a line has a bound: that of its values, escaped.
    #[test]
    fn long_lines_are_cut() {
        let huge = "\x01".repeat(1 << 20);
        for format in [Format::Logfmt, Format::Json] {
            let (mut logger, writes) = logger(Level::Info, format);
            logger.error(&huge, &[("err", Value::Str(&huge)), ("url", Value::Shown(&huge))]);
            let lines = writes.take();
            assert_eq!(lines.len(), 1);
            assert!(lines[0].len() < 3 * 6 * LOG_VALUE_BYTES_MAX + 200, "{}", lines[0].len());
        }
    }

    #[test]
    fn a_flood_is_capped_and_counted() {
        let writes = Writes::default();
        let now = Arc::new(Mutex::new(NOW));
        let clock = Arc::clone(&now);
        let sink = Box::new(writes.clone());
        let mut logger = Logger::new(Level::Info, Format::Logfmt, Box::new(move || *clock.lock().unwrap()), sink);
        let flood = 100_000;
        for _ in 0..flood {
            logger.error("bad push", &[]);
        }
        let lines = writes.take();
        let bytes: usize = lines.iter().map(String::len).sum();
        assert!(bytes as u64 <= LOG_BURST_BYTES_MAX + 100 && bytes as u64 > LOG_BURST_BYTES_MAX - 100, "{bytes}");
        logger.info("still too early", &[]);
        now.lock().unwrap().0 += 1_000_000_000;
        logger.info("welcome", &[]);
        let after = writes.take();
        let count = flood + 1 - lines.len();
        assert!(
            after[0].ends_with(&format!("msg=\"log lines dropped: too many at once\" count={count}\n")),
            "{after:?}"
        );
        assert!(after[1].ends_with("msg=welcome\n"));
        assert_eq!(after.len(), 2);
    }

    #[test]
    fn a_sink_that_fails_is_no_concern() {
        struct Closed;
        impl io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        Logger::new(Level::Info, Format::Json, Box::new(|| NOW), Box::new(Closed)).info("m", &[]);
    }
}
