//! What a handshake is made with: certificate, key, versions, suites, curves, and what is asked of clients (SPEC 11.3).
//!
//! Reads the files that the settings name; opens no connection. Without the cargo feature `tls` there are no settings
//! that can be used.

#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod rustls_config;
#[cfg(feature = "tls")]
pub(crate) mod san;

#[cfg(feature = "tls")]
pub use rustls_config::load;

/// Everything that handshakes share.
#[cfg(feature = "tls")]
pub type Handshake = std::sync::Arc<rustls::ServerConfig>;

/// There are no handshakes in this build.
#[cfg(not(feature = "tls"))]
pub type Handshake = std::convert::Infallible;

/// Refuses: this build has no TLS.
///
/// # Errors
/// Always.
#[cfg(not(feature = "tls"))]
pub fn load(_: &super::web::TlsSettings) -> Result<Handshake, super::ConfigError> {
    Err(super::ConfigError("tls_server_config: this build has no TLS (cargo feature \"tls\")".to_owned()))
}
