//! The files of the web configuration, followed while the server runs (SPEC 11.3).
//!
//! Looks when it is asked to, and reads only what has changed. What becomes of a change, or of a file that is damaged,
//! is the caller's business.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::tls::{self, Handshake};
use super::web::{self, Pem, TlsSettings, WebConfig};
use super::{ConfigError, file_error};
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_SETTLE_TIME};

/// Reads a file of bounded length.
///
/// # Errors
/// What the system says, and for a file that is longer than `CONFIG_BYTES_MAX`.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(CONFIG_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {CONFIG_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// What is new since the last look.
#[derive(Debug, Default)]
pub struct Changes {
    /// The configuration, or why it cannot be used now.
    pub web: Option<Result<WebConfig, ConfigError>>,
    /// What handshakes are made with, or why it stays what it was.
    pub tls: Option<Result<Handshake, ConfigError>>,
}

/// The files, and what was seen of them.
#[derive(Debug)]
pub struct Watch {
    config: Watched,
    /// What the file's content was, or that it could not be read; so that nothing is reported twice.
    text: Result<String, ConfigError>,
    /// The settings that count; TLS is switched on or off by a restart only.
    settings: Option<TlsSettings>,
    pems: Vec<Watched>,
    /// Of the PEM files that were last tried.
    pems_digest: Result<u64, ConfigError>,
}

impl Watch {
    /// Reads the file and all that it names.
    ///
    /// # Errors
    /// The first field or file that is wrong.
    pub fn open(path: &Path, now: SystemTime) -> Result<(Self, WebConfig, Option<Handshake>), ConfigError> {
        let config = Watched::new(path.to_owned(), now);
        let text = web::read(path)?;
        let web = WebConfig::parse(&text, config.folder())?;
        let pems = web.tls.as_ref().map_or_else(Vec::new, |settings| watched(settings, now));
        let pems_digest = digest(&pems);
        let handshake = web.tls.as_ref().map(tls::load).transpose()?;
        let watch = Self { config, text: Ok(text), settings: web.tls.clone(), pems, pems_digest };
        Ok((watch, web, handshake))
    }

    /// Looks at the files.
    pub fn look(&mut self, now: SystemTime) -> Changes {
        let mut changes = Changes { web: self.look_at_config(now), tls: None };
        let has_new_settings = match &changes.web {
            Some(Ok(web)) if web.tls.is_some() != self.settings.is_some() => {
                let error = "TLS is switched on or off by a restart only (tls_server_config)".to_owned();
                changes.tls = Some(Err(ConfigError(error)));
                return changes;
            }
            Some(Ok(web)) if web.tls != self.settings => {
                self.settings.clone_from(&web.tls);
                self.pems = web.tls.as_ref().map_or_else(Vec::new, |settings| watched(settings, now));
                true
            }
            _ => false,
        };
        changes.tls = self.look_at_pems(has_new_settings, now);
        changes
    }

    fn look_at_config(&mut self, now: SystemTime) -> Option<Result<WebConfig, ConfigError>> {
        if !self.config.may_have_changed(now) {
            return None;
        }
        let text = web::read(&self.config.path);
        if text == self.text || self.is_being_written(&text) {
            return None;
        }
        self.text = text;
        Some(match &self.text {
            Ok(text) => WebConfig::parse(text, self.config.folder()),
            Err(error) => Err(error.clone()),
        })
    }

    /// A file that is written anew is empty for a moment, and an empty one lets everybody in: that is believed only when
    /// it lasts.
    fn is_being_written(&self, text: &Result<String, ConfigError>) -> bool {
        !self.config.is_settled && matches!(text, Ok(text) if text.trim().is_empty())
    }

    fn look_at_pems(&mut self, has_new_settings: bool, now: SystemTime) -> Option<Result<Handshake, ConfigError>> {
        let settings = self.settings.as_ref()?;
        // All are looked at, whatever comes of the first.
        let changed = self.pems.iter_mut().map(|pem| pem.may_have_changed(now)).filter(|changed| *changed).count();
        if changed == 0 && !has_new_settings {
            return None;
        }
        let digest = digest(&self.pems);
        if digest == self.pems_digest && !has_new_settings {
            return None;
        }
        self.pems_digest = digest;
        Some(tls::load(settings))
    }
}

fn watched(settings: &TlsSettings, now: SystemTime) -> Vec<Watched> {
    let pems = [Some(&settings.cert), Some(&settings.key), settings.client_ca.as_ref()];
    let files = pems.into_iter().flatten().filter_map(|pem| match pem {
        Pem::File(path) => Some(path.clone()),
        Pem::Text(_) => None,
    });
    files.map(|path| Watched::new(path, now)).collect()
}

/// Of the content of all files; keys are not kept.
fn digest(files: &[Watched]) -> Result<u64, ConfigError> {
    let mut hasher = DefaultHasher::new();
    for Watched { path, .. } in files {
        let bytes = read_bounded(path).map_err(|error| ConfigError(file_error("open", path, &error)))?;
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Ok(hasher.finish())
}

/// A file and how it looked from outside.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    look: Option<Look>,
    /// Whether it would look different if its content were.
    is_settled: bool,
}

/// What the system tells without reading.
#[derive(Debug, PartialEq)]
struct Look {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Watched {
    fn new(path: PathBuf, now: SystemTime) -> Self {
        let mut watched = Self { path, look: None, is_settled: false };
        watched.may_have_changed(now);
        watched
    }

    /// What paths in the file are relative to.
    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Whether the content may be another one than at the last look.
    fn may_have_changed(&mut self, now: SystemTime) -> bool {
        let look = fs::metadata(&self.path).ok().map(|metadata| Look {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            inode: inode(&metadata),
        });
        let was_settled = self.is_settled;
        let modified = look.as_ref().and_then(|look| look.modified);
        let age = modified.and_then(|modified| now.duration_since(modified).ok());
        // A time in the future says nothing; the next change will still show.
        self.is_settled = age.is_none_or(|age| age >= CONFIG_SETTLE_TIME);
        let is_same = look == self.look;
        self.look = look;
        !is_same || !was_settled
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const USERS: &str = "basic_auth_users:\n  bob: $2b$04$sc11KmUW4ojDSQ3fwjBPQuVsi9D56m9ZFFK07rM03Q/5uln6XrF0K\n";
    const HEADERS: &str = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";

    /// A folder that is gone when the test is.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("pushgateway-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder can be made");
            Self(folder)
        }

        /// Writes the file and gives it an age.
        fn write(&self, text: &str, age: Duration) {
            let path = self.path();
            fs::write(&path, text).expect("a file can be written");
            let file = File::options().append(true).open(path).expect("it is there");
            file.set_modified(SystemTime::now() - age).expect("times can be set");
        }

        fn path(&self) -> PathBuf {
            self.0.join("web.yml")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const OLD: Duration = Duration::from_secs(60);
    const YOUNG: Duration = Duration::from_millis(500);

    #[track_caller]
    fn open(folder: &Folder) -> Watch {
        Watch::open(&folder.path(), SystemTime::now()).expect("the file is good").0
    }

    fn users(changes: &Changes) -> Option<Result<usize, String>> {
        let web = changes.web.as_ref()?;
        Some(web.as_ref().map(|web| web.users.len()).map_err(|error| error.0.clone()))
    }

    #[test]
    fn changes_are_seen_once() {
        let folder = Folder::new("changes");
        folder.write(USERS, OLD);
        let mut watch = open(&folder);
        assert_eq!(users(&watch.look(SystemTime::now())), None);
        folder.write(HEADERS, OLD / 2);
        assert_eq!(users(&watch.look(SystemTime::now())), Some(Ok(0)));
        assert_eq!(users(&watch.look(SystemTime::now())), None);
        // Rewritten with the same content.
        folder.write(HEADERS, OLD / 3);
        assert_eq!(users(&watch.look(SystemTime::now())), None);
    }

    #[test]
    fn a_young_file_is_read_again() {
        let folder = Folder::new("young");
        folder.write("rate_limit: {burst: 1}\n", YOUNG);
        let time = SystemTime::now() - YOUNG;
        let set = || File::options().append(true).open(folder.path()).and_then(|file| file.set_modified(time));
        set().expect("times can be set");
        let mut watch = open(&folder);
        // The same length, time and file.
        fs::write(folder.path(), "rate_limit: {burst: x}\n").expect("a file can be written");
        set().expect("times can be set");
        let error = users(&watch.look(SystemTime::now())).expect("something is new").expect_err("x is no number");
        assert_eq!(error, "yaml: line 1: burst has to be a whole number");
    }

    #[test]
    fn a_damaged_or_missing_file_is_reported_once_and_can_recover() {
        let folder = Folder::new("damaged");
        folder.write(USERS, OLD);
        let mut watch = open(&folder);
        folder.write("basic_auth_users: [", OLD / 2);
        assert!(users(&watch.look(SystemTime::now())).expect("something is new").is_err());
        assert_eq!(users(&watch.look(SystemTime::now())), None);
        fs::remove_file(folder.path()).expect("it is there");
        let error = users(&watch.look(SystemTime::now())).expect("something is new").expect_err("it is gone");
        assert!(error.starts_with("open ") && error.ends_with("web.yml: no such file or directory"), "{error}");
        assert_eq!(users(&watch.look(SystemTime::now())), None);
        folder.write(USERS, OLD);
        assert_eq!(users(&watch.look(SystemTime::now())), Some(Ok(1)));
    }

    #[test]
    fn an_empty_file_counts_when_it_lasts() {
        let folder = Folder::new("empty");
        folder.write(USERS, OLD);
        let mut watch = open(&folder);
        folder.write("", YOUNG);
        assert_eq!(users(&watch.look(SystemTime::now())), None);
        assert_eq!(users(&watch.look(SystemTime::now())), None);
        assert_eq!(users(&watch.look(SystemTime::now() + CONFIG_SETTLE_TIME)), Some(Ok(0)));
        folder.write(USERS, OLD);
        watch.look(SystemTime::now());
        folder.write("# nobody\n", OLD);
        assert_eq!(users(&watch.look(SystemTime::now())), Some(Ok(0)));
    }

    #[test]
    fn files_are_bounded() {
        let folder = Folder::new("large");
        folder.write(&"#".repeat(CONFIG_BYTES_MAX), OLD);
        assert!(Watch::open(&folder.path(), SystemTime::now()).is_ok());
        folder.write(&"#".repeat(CONFIG_BYTES_MAX + 1), OLD);
        let error = Watch::open(&folder.path(), SystemTime::now()).expect_err("it is too long");
        assert!(error.0.ends_with("web.yml: longer than 1048576 bytes"), "{error}");
    }
}
