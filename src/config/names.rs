//! What Go calls versions, cipher suites and curves, and which of them there are here (SPEC 11.3).
//!
//! The TLS library has suites with authenticated encryption only, and no P-521; a name that Go knows and it does not is
//! refused with words of its own, so that nobody believes the name was mistyped.

use super::ConfigError;
use crate::model::quote::Plain;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

/// The suites of TLS 1.2 that may be chosen, by the names that Go and the standard have for them.
const SUITES_OF_TLS12: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Those of TLS 1.3, which are always on, as in Go.
const SUITES_OF_TLS13: [&str; 3] = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Those that Go counts as secure and that are not here.
const SUITES_MISSING: [&str; 4] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];

const CURVES: [&str; 3] = ["CurveP256", "CurveP384", "X25519"];

fn error(message: String) -> ConfigError {
    ConfigError(message)
}

/// The version of this name.
///
/// # Errors
/// For a name that is none, and for the versions that are not safe any more.
pub fn version(name: &str) -> Result<Version, ConfigError> {
    match name {
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        "TLS10" | "TLS11" => Err(error(format!("TLS version {name} is not supported: there are TLS12 and TLS13"))),
        _ => Err(error(format!("unknown TLS version: {}", Plain(name.as_bytes())))),
    }
}

/// A suite of this name: itself for one of TLS 1.2, `None` for one of TLS 1.3.
///
/// # Errors
/// For a name that is none, and for suites that are not here.
pub fn suite(name: &str) -> Result<Option<&'static str>, ConfigError> {
    if let Some(known) = SUITES_OF_TLS12.iter().find(|known| **known == name) {
        return Ok(Some(known));
    }
    if SUITES_OF_TLS13.contains(&name) {
        return Ok(None);
    }
    Err(error(if SUITES_MISSING.contains(&name) {
        format!("cipher {name} is not supported: there are suites with GCM and ChaCha20-Poly1305 only")
    } else {
        format!("unknown cipher: {}", Plain(name.as_bytes()))
    }))
}

/// The curve of this name.
///
/// # Errors
/// For a name that is none, and for `CurveP521`, which is not here.
pub fn curve(name: &str) -> Result<&'static str, ConfigError> {
    match CURVES.iter().find(|known| **known == name) {
        Some(known) => Ok(known),
        None if name == "CurveP521" => {
            Err(error(format!("curve {name} is not supported: there are {}", CURVES.join(", "))))
        }
        None => Err(error(format!("unknown curve: {}", Plain(name.as_bytes())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_missing_or_unknown() {
        let says =
            |outcome: Result<(), ConfigError>| outcome.map_or_else(|error| error.to_string(), |()| String::new());
        for (name, expected) in [
            ("TLS12", ""),
            ("TLS13", ""),
            ("TLS10", "TLS version TLS10 is not supported: there are TLS12 and TLS13"),
            ("TLS11", "TLS version TLS11 is not supported: there are TLS12 and TLS13"),
            ("TLS14", "unknown TLS version: TLS14"),
            ("tls12", "unknown TLS version: tls12"),
        ] {
            assert_eq!(says(version(name).map(drop)), expected);
        }
        for (name, expected) in [
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ""),
            ("TLS_AES_128_GCM_SHA256", ""),
            (
                "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
                "cipher TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA is not supported: there are suites with GCM and \
                 ChaCha20-Poly1305 only",
            ),
            ("TLS_RSA_WITH_RC4_128_SHA", "unknown cipher: TLS_RSA_WITH_RC4_128_SHA"),
            ("", "unknown cipher: "),
        ] {
            assert_eq!(says(suite(name).map(drop)), expected);
        }
        for (name, expected) in [
            ("CurveP256", ""),
            ("CurveP384", ""),
            ("X25519", ""),
            ("CurveP521", "curve CurveP521 is not supported: there are CurveP256, CurveP384, X25519"),
            ("P-256", "unknown curve: P-256"),
        ] {
            assert_eq!(says(curve(name).map(drop)), expected);
        }
    }
}
