//! The words of the command line by the rules of the original's parser, kingpin (SPEC 11.1): what is a flag, what is
//! its value, where flags end, what an `@FILE` stands for.
//!
//! Does not look at values: a setting is a known flag and a text.
//!
//! ```text
//! word      "--" ─────────▶ flags end, every further word is a value
//!           "--name=value"  flag, then a value that no flag before it can take
//!           "-xyz"          the short flags x, y, z
//!           "@FILE"         the lines of FILE, read as words in its place
//!           else            value: of the flag before it if that takes one, else unexpected
//! ```

use std::io;

use super::flags::{Rule, Takes, rules};
use super::help::Text;
use super::{UsageError, quoted};
use crate::limits::ARGUMENT_FILES_MAX;

/// A flag that is set, and to what; `true` or `false` for one that takes no value.
pub(super) struct Setting {
    pub(super) rule: &'static Rule,
    pub(super) value: String,
}

/// What is to be printed instead of serving.
pub(super) enum Information {
    Version,
    Text(Text),
}

/// What stands on the command line, up to the first error.
#[derive(Default)]
pub(super) struct Read {
    pub(super) settings: Vec<Setting>,
    /// The first of the flags that print something, `--help` aside.
    pub(super) information: Option<Information>,
    pub(super) help: bool,
    pub(super) failure: Option<UsageError>,
}

/// Reads all words, left to right.
pub(super) fn read(mut words: Vec<String>, read_file: &mut dyn FnMut(&str) -> io::Result<String>) -> Read {
    words.reverse();
    let mut tokens = Tokens { words, glued: None, flags_ended: false, files: 0, read_file };
    let mut read = Read::default();
    if let Err(failure) = read.fill(&mut tokens) {
        read.failure = Some(failure);
    }
    read
}

impl Read {
    fn fill(&mut self, tokens: &mut Tokens<'_>) -> Result<(), UsageError> {
        while let Some(token) = tokens.take()? {
            match token {
                Token::Short(name) if name == "h" => self.help = true,
                Token::Short(name) => return Err(UsageError(format!("unknown short flag '-{name}'"))),
                Token::Value(word) => return Err(UsageError(format!("unexpected {word}"))),
                Token::Long(name) => self.long(&name, tokens)?,
            }
        }
        Ok(())
    }

    fn long(&mut self, name: &str, tokens: &mut Tokens<'_>) -> Result<(), UsageError> {
        let unknown = || UsageError(format!("unknown long flag '--{name}'"));
        let (positive, stated) = match name.strip_prefix("no-") {
            Some(rest) => (rest, "false"),
            None => (name, "true"),
        };
        match positive {
            "help" => self.help = true,
            "version" => self.inform(Information::Version),
            "help-long" => self.inform(Information::Text(Text::Usage)),
            "help-man" => self.inform(Information::Text(Text::Man)),
            "completion-script-bash" => self.inform(Information::Text(Text::Bash)),
            "completion-script-zsh" => self.inform(Information::Text(Text::Zsh)),
            _ => {
                let rule = rules().find(|rule| rule.name == positive).ok_or_else(unknown)?;
                let value = match rule.takes {
                    Takes::Nothing => stated.to_owned(),
                    Takes::Value(_) | Takes::Limit(_) if stated == "false" => return Err(unknown()),
                    Takes::Value(_) | Takes::Limit(_) => tokens.value_of(name)?,
                };
                self.settings.push(Setting { rule, value });
            }
        }
        Ok(())
    }

    fn inform(&mut self, information: Information) {
        self.information.get_or_insert(information);
    }
}

enum Token {
    Long(String),
    Short(String),
    Value(String),
}

struct Tokens<'a> {
    /// What is still to be read, the next word last.
    words: Vec<String>,
    /// The part behind the `=` of the word read last.
    glued: Option<String>,
    flags_ended: bool,
    /// Files read so far: a file that names itself must not be read for ever.
    files: usize,
    read_file: &'a mut dyn FnMut(&str) -> io::Result<String>,
}

impl Tokens<'_> {
    fn take(&mut self) -> Result<Option<Token>, UsageError> {
        if let Some(value) = self.glued.take() {
            return Ok(Some(Token::Value(value)));
        }
        while let Some(word) = self.words.pop() {
            if self.flags_ended {
                return Ok(Some(Token::Value(word)));
            }
            if word == "--" {
                self.flags_ended = true;
            } else if let Some(file) = word.strip_prefix('@') {
                self.expand(file)?;
            } else {
                return Ok(Some(self.token(word)));
            }
        }
        Ok(None)
    }

    /// A word that is neither `--` nor `@FILE`, where flags have not ended.
    fn token(&mut self, word: String) -> Token {
        if let Some(long) = word.strip_prefix("--") {
            let Some((name, value)) = long.split_once('=') else { return Token::Long(long.to_owned()) };
            self.glued = Some(value.to_owned());
            return Token::Long(name.to_owned());
        }
        let Some(shorts) = word.strip_prefix('-') else { return Token::Value(word) };
        let first_bytes = shorts.chars().next().map_or(0, char::len_utf8);
        let (first, rest) = shorts.split_at(first_bytes);
        if !rest.is_empty() {
            self.words.push(format!("-{rest}"));
        }
        Token::Short(first.to_owned())
    }

    fn value_of(&mut self, flag: &str) -> Result<String, UsageError> {
        match self.take() {
            Ok(Some(Token::Value(value))) => Ok(value),
            // A file that cannot be read is no value either; the original does not say why in this place.
            _ => Err(UsageError(format!("expected argument for flag '--{flag}'"))),
        }
    }

    fn expand(&mut self, file: &str) -> Result<(), UsageError> {
        if file.is_empty() {
            return Err(UsageError("expected @ file to expand arguments from".to_owned()));
        }
        self.files += 1;
        if self.files > ARGUMENT_FILES_MAX {
            return Err(UsageError(format!("more than {ARGUMENT_FILES_MAX} arguments files")));
        }
        let content = (self.read_file)(file).map_err(|error| file_error(file, &error))?;
        let lines = content.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        self.words.extend(lines.rev().map(str::to_owned));
        Ok(())
    }
}

/// Go names the operation that failed; opening a directory works there, only reading it does not.
fn file_error(file: &str, error: &io::Error) -> UsageError {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(reason, _)| reason);
    let first_bytes = text.chars().next().map_or(0, char::len_utf8);
    let reason = text[..first_bytes].to_ascii_lowercase() + &text[first_bytes..];
    UsageError(match error.kind() {
        io::ErrorKind::IsADirectory | io::ErrorKind::InvalidData => {
            format!("failed to read arguments from {}: read {file}: {reason}", quoted(file))
        }
        _ => format!("failed to open arguments file {}: open {file}: {reason}", quoted(file)),
    })
}
