//! The keys of the web configuration and what their values may be (SPEC 11.3).
//!
//! Reads no file: paths are only put together.

use std::path::{Path, PathBuf};

use super::hash::BcryptHash;
use super::names::{self, Version};
use super::yaml::{self, Node, Pair};
use super::{ConfigError, file_error};
use crate::cli::duration::GoDuration;
use crate::limits::CONFIG_BYTES_MAX;
use crate::model::quote::{Plain, Quoted};

/// Everything that the file says. The default is what an empty one says: no TLS, everybody is let in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebConfig {
    /// Whether and how connections are encrypted.
    pub tls: Option<TlsSettings>,
    /// Headers of every answer: one of a few names, and any value.
    pub headers: Vec<(&'static str, String)>,
    /// Who is let in; everybody if there is nobody.
    pub users: Vec<User>,
    /// How many requests are answered.
    pub rate_limit: Option<RateLimit>,
}

/// Somebody who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What the password is compared with.
    pub hash: BcryptHash,
}

/// A bucket of tokens over all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How often a token is put into it.
    pub interval: GoDuration,
    /// How many it holds.
    pub burst: u64,
}

/// PEM text, or the file with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// It stands in the configuration itself.
    Text(String),
    /// It is in this file.
    File(PathBuf),
}

/// What is asked of a client about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// A certificate, which it need not have and which nobody vouches for.
    Request,
    /// A certificate, which nobody vouches for.
    RequireAny,
    /// A certificate of one of the client CAs, if it has one.
    VerifyIfGiven,
    /// A certificate of one of the client CAs.
    RequireAndVerify,
}

/// `tls_server_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsSettings {
    /// The server's certificate and what leads to its root.
    pub cert: Pem,
    /// The key of it.
    pub key: Pem,
    /// Who vouches for clients.
    pub client_ca: Option<Pem>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Names of which a client's certificate must have one, if there are any.
    pub allowed_sans: Vec<String>,
    /// The oldest version.
    pub min_version: Version,
    /// The newest version.
    pub max_version: Version,
    /// The suites of TLS 1.2; `None` for all.
    pub suites: Option<Vec<&'static str>>,
    /// The curves in order of preference; `None` for all.
    pub curves: Option<Vec<&'static str>>,
}

/// What may be set, and to what; to anything if there is nothing.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// Reads the file.
///
/// # Errors
/// If it cannot be read, is too large or is no UTF-8.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    let bytes = super::watch::read_bounded(path).map_err(|error| ConfigError(file_error("open", path, &error)))?;
    String::from_utf8(bytes).map_err(|_| ConfigError(format!("{}: not UTF-8", path.display())))
}

impl WebConfig {
    /// Reads the file's text; `folder` is what paths in it are relative to.
    ///
    /// # Errors
    /// The first field that is wrong, by its name and mostly its line.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        assert!(text.len() <= CONFIG_BYTES_MAX, "files are read with a bound");
        let mut config = Self::default();
        let Some(root) = yaml::parse(text)? else { return Ok(config) };
        fields(&root, "the configuration", &mut |key, value| {
            match key {
                "tls_server_config" => config.tls = tls(value, folder)?,
                "http_server_config" => config.headers = http(value)?,
                "rate_limit" => config.rate_limit = rate_limit(value)?,
                "basic_auth_users" => config.users = users(value)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(config)
    }
}

/// Hands out the fields of a section; `take` tells whether it knows the key.
fn fields(
    node: &Node,
    section: &str,
    take: &mut dyn FnMut(&str, &Node) -> Result<bool, ConfigError>,
) -> Result<(), ConfigError> {
    for Pair { key, line, value } in node.map(section)? {
        if !take(key, value)? {
            let key = Plain(key.as_bytes());
            return Err(ConfigError(format!("yaml: line {line}: field {key} not found in {section}")));
        }
    }
    Ok(())
}

/// A message about a value, and where that stands.
fn placed(error: &ConfigError, key: &str, node: &Node) -> ConfigError {
    ConfigError(format!("{error} ({key}, line {})", node.line))
}

fn http(node: &Node) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let mut headers = Vec::new();
    fields(node, "http_server_config", &mut |key, value| {
        match key {
            // Accepted, and HTTP/1.1 is spoken alone.
            "http2" => drop(value.is_null() || value.switch(key)?),
            "headers" => headers = header_values(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(headers)
}

fn header_values(node: &Node) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let mut headers = Vec::new();
    for Pair { key: name, value, .. } in node.map("headers")? {
        let quoted = Quoted(name.as_bytes());
        let Some((known, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            return Err(ConfigError(format!("HTTP header {quoted} can not be configured")));
        };
        let text = value.text(name)?;
        if !values.is_empty() && !values.contains(&text) {
            let expected: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
            let (expected, got) = (expected.join(" "), Quoted(text.as_bytes()));
            return Err(ConfigError(format!(
                "invalid value for {name}. Expected one of: [{expected}], but got: {got}"
            )));
        }
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(ConfigError(format!("invalid value for {name}: control character in line {}", value.line)));
        }
        headers.push((*known, text.to_owned()));
    }
    Ok(headers)
}

fn rate_limit(node: &Node) -> Result<Option<RateLimit>, ConfigError> {
    let mut limit = RateLimit { interval: GoDuration(0), burst: 0 };
    fields(node, "rate_limit", &mut |key, value| {
        match key {
            "interval" if !value.is_null() => {
                let parsed = value.text(key)?.parse();
                limit.interval = parsed.map_err(|error| placed(&ConfigError(format!("{error}")), key, value))?;
            }
            "burst" if !value.is_null() => limit.burst = value.number(key)?,
            "interval" | "burst" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Some(limit).filter(|limit| limit.interval > GoDuration(0)))
}

fn users(node: &Node) -> Result<Vec<User>, ConfigError> {
    let mut users = Vec::new();
    for Pair { key: name, value, .. } in node.map("basic_auth_users")? {
        let hash = BcryptHash::parse(value.text("basic_auth_users")?);
        let hash = hash.map_err(|error| placed(&error, "basic_auth_users", value))?;
        users.push(User { name: name.to_owned(), hash });
    }
    Ok(users)
}

/// The section as it is written.
#[derive(Default)]
struct TlsFields {
    cert: Option<Pem>,
    key: Option<Pem>,
    client_ca: Option<Pem>,
    client_auth: Option<ClientAuth>,
    allowed_sans: Vec<String>,
    min_version: Option<Version>,
    max_version: Option<Version>,
    suites: Option<Vec<&'static str>>,
    curves: Option<Vec<&'static str>>,
}

fn tls(node: &Node, folder: &Path) -> Result<Option<TlsSettings>, ConfigError> {
    let mut read = TlsFields::default();
    fields(node, "tls_server_config", &mut |key, value| read.take(key, value, folder))?;
    if read.cert.is_none() && read.key.is_none() && read.client_ca.is_none() && read.client_auth.is_none() {
        return Ok(None);
    }
    read.checked().map(Some)
}

impl TlsFields {
    fn take(&mut self, key: &str, value: &Node, folder: &Path) -> Result<bool, ConfigError> {
        match key {
            "cert" => text_to(&mut self.cert, value.text(key)?),
            "key" => text_to(&mut self.key, value.text(key)?),
            "client_ca" => text_to(&mut self.client_ca, value.text(key)?),
            "cert_file" => file_to(&mut self.cert, value.text(key)?, folder),
            "key_file" => file_to(&mut self.key, value.text(key)?, folder),
            "client_ca_file" => file_to(&mut self.client_ca, value.text(key)?, folder),
            "client_auth_type" => self.client_auth = client_auth(value.text(key)?)?,
            "client_allowed_sans" => self.allowed_sans = texts(value, key)?,
            "min_version" => self.min_version = version(value, key)?,
            "max_version" => self.max_version = version(value, key)?,
            "cipher_suites" => {
                let all = named(value, key, names::suite)?;
                // An empty list is the default, as in Go; one with suites of TLS 1.3 alone is not.
                self.suites = (!all.is_empty()).then(|| all.into_iter().flatten().collect());
            }
            "curve_preferences" => {
                let all = named(value, key, names::curve)?;
                self.curves = (!all.is_empty()).then_some(all);
            }
            "prefer_server_cipher_suites" => drop(value.is_null() || value.switch(key)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn checked(self) -> Result<TlsSettings, ConfigError> {
        let wrong = |message: &str| Err(ConfigError(message.to_owned()));
        let Some(cert) = self.cert else { return wrong("missing one of cert or cert_file") };
        let Some(key) = self.key else { return wrong("missing one of key or key_file") };
        let client_auth = self.client_auth.unwrap_or_default();
        if client_auth == ClientAuth::None && self.client_ca.is_some() {
            return wrong("client CA's have been configured without a Client Auth Policy");
        }
        if client_auth == ClientAuth::None && !self.allowed_sans.is_empty() {
            return wrong("client_allowed_sans have been configured without a Client Auth Policy");
        }
        if matches!(client_auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify) && self.client_ca.is_none() {
            return wrong("missing one of client_ca or client_ca_file for this client_auth_type");
        }
        let min_version = self.min_version.unwrap_or(Version::Tls12);
        let max_version = self.max_version.unwrap_or(Version::Tls13);
        if min_version > max_version {
            return wrong("min_version is above max_version");
        }
        if max_version == Version::Tls12 && self.suites.as_ref().is_some_and(Vec::is_empty) {
            return wrong("cipher_suites has none of TLS12, which is the max_version");
        }
        Ok(TlsSettings {
            cert,
            key,
            client_ca: self.client_ca,
            client_auth,
            allowed_sans: self.allowed_sans,
            min_version,
            max_version,
            suites: self.suites,
            curves: self.curves,
        })
    }
}

/// A file, if there is one, wins over a text.
fn text_to(pem: &mut Option<Pem>, text: &str) {
    if !text.is_empty() && !matches!(pem, Some(Pem::File(_))) {
        *pem = Some(Pem::Text(text.to_owned()));
    }
}

fn file_to(pem: &mut Option<Pem>, path: &str, folder: &Path) {
    if !path.is_empty() {
        *pem = Some(Pem::File(folder.join(path)));
    }
}

fn client_auth(name: &str) -> Result<Option<ClientAuth>, ConfigError> {
    Ok(Some(match name {
        "" => return Ok(None),
        "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        _ => return Err(ConfigError(format!("invalid ClientAuth: {}", Plain(name.as_bytes())))),
    }))
}

fn version(node: &Node, key: &str) -> Result<Option<Version>, ConfigError> {
    match node.text(key)? {
        "" => Ok(None),
        name => names::version(name).map(Some).map_err(|error| placed(&error, key, node)),
    }
}

fn texts(node: &Node, key: &str) -> Result<Vec<String>, ConfigError> {
    node.list(key)?.iter().map(|item| item.text(key).map(str::to_owned)).collect()
}

fn named<T>(node: &Node, key: &str, known: fn(&str) -> Result<T, ConfigError>) -> Result<Vec<T>, ConfigError> {
    let items = node.list(key)?.iter();
    items.map(|item| known(item.text(key)?).map_err(|error| placed(&error, key, item))).collect()
}

#[cfg(test)]
mod tests;
