//! Fuzzes what reads the web configuration, and the names in a client's certificate.

use std::path::Path;

use super::check_error;
use crate::config::web::{ClientAuth, WebConfig};
use crate::limits::CONFIG_BYTES_MAX;

/// Names that a certificate may have.
#[cfg(feature = "tls")]
const NAMES: [&str; 4] = ["x", "10.0.0.1", "::1", ""];

/// Reads `data` as a configuration, and as a certificate of a client.
///
/// # Panics
/// If what is accepted breaks a rule, or what is said about the rest does not fit into one line of a log.
pub fn web_config(data: &[u8]) {
    #[cfg(feature = "tls")]
    {
        use crate::config::tls::san::has_one_of;
        let names = NAMES.map(str::to_owned);
        let found = names.iter().any(|name| has_one_of(data, std::slice::from_ref(name)));
        assert_eq!(has_one_of(data, &names), found, "names are looked for one by one");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.len() > CONFIG_BYTES_MAX {
        return;
    }
    match WebConfig::parse(text, Path::new("/folder")) {
        Ok(config) => check(&config),
        Err(error) => check_error(error, 3),
    }
}

fn check(config: &WebConfig) {
    for (name, value) in &config.headers {
        assert!(!value.contains(['\r', '\n', '\0']), "{name}: {value:?}");
    }
    for user in &config.users {
        assert!((4..=31).contains(&user.hash.cost) && user.hash.text.len() == 60, "{user:?}");
    }
    assert!(config.rate_limit.is_none_or(|limit| limit.interval.0 > 0));
    let Some(tls) = &config.tls else { return };
    assert!(tls.min_version <= tls.max_version);
    if tls.client_auth == ClientAuth::None {
        assert!(tls.client_ca.is_none() && tls.allowed_sans.is_empty());
    }
    assert!(tls.suites.as_ref().is_none_or(|suites| suites.iter().all(|suite| suite.starts_with("TLS_ECDHE_"))));
    assert!(tls.curves.as_ref().is_none_or(|curves| !curves.is_empty()));
}
