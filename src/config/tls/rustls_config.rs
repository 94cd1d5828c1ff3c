//! Settings to what rustls takes.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use super::super::names::Version;
use super::super::watch::read_bounded;
use super::super::web::{Pem, TlsSettings};
use super::super::{ConfigError, file_error};
use super::{Handshake, client};
use crate::model::quote::Plain;

/// Reads certificate, key and client CA, and puts together what handshakes are made with.
///
/// # Errors
/// The field that is wrong, and its file.
pub fn load(settings: &TlsSettings) -> Result<Handshake, ConfigError> {
    let certs = certificates("cert", &settings.cert)?;
    let key = private_key(&settings.key)?;
    let provider = Arc::new(provider(settings));
    let verifier = client::verifier(settings, &provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(settings))
        .map_err(|error| ConfigError(format!("min_version, max_version or cipher_suites: {error}")))?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(certs, key)
        .map_err(|error| ConfigError(format!("failed to load X509KeyPair from cert and key: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates of a field.
pub(super) fn certificates(field: &str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let (text, name) = content(field, pem)?;
    let certs: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match certs {
        Ok(certs) if certs.is_empty() => Err(ConfigError(format!("no certificate in {name}"))),
        Ok(certs) => Ok(certs),
        Err(error) => Err(ConfigError(format!("cannot read the certificates in {name}: {error}"))),
    }
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let (text, name) = content("key", pem)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => ConfigError(format!("no private key without a passphrase in {name}")),
        error => ConfigError(format!("cannot read the private key in {name}: {error}")),
    })
}

/// The PEM text of a field, and what the field is called.
fn content(field: &str, pem: &Pem) -> Result<(Vec<u8>, String), ConfigError> {
    match pem {
        Pem::Text(text) => Ok((text.clone().into_bytes(), field.to_owned())),
        Pem::File(path) => {
            let name = format!("{field}_file ({})", Plain(path.as_os_str().as_encoded_bytes()));
            let unreadable =
                |error| ConfigError(format!("failed to read {name}: {}", file_error("open", path, &error)));
            Ok((read_bounded(path).map_err(unreadable)?, name))
        }
    }
}

/// ring's algorithms, as far as the settings allow them.
fn provider(settings: &TlsSettings) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if let Some(chosen) = &settings.suites {
        provider.cipher_suites.retain(|suite| match suite {
            SupportedCipherSuite::Tls13(_) => true,
            // The standard's names, which Go uses, too.
            SupportedCipherSuite::Tls12(_) => chosen.contains(&&*format!("{:?}", suite.suite())),
        });
    }
    if let Some(chosen) = &settings.curves {
        provider.kx_groups = chosen.iter().map(|curve| group(curve)).collect();
    }
    provider
}

fn group(curve: &str) -> &'static dyn SupportedKxGroup {
    match curve {
        "CurveP256" => ring::kx_group::SECP256R1,
        "CurveP384" => ring::kx_group::SECP384R1,
        "X25519" => ring::kx_group::X25519,
        _ => unreachable!("names of curves are checked"),
    }
}

fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    let has_suites_of_12 = settings.suites.as_ref().is_none_or(|suites| !suites.is_empty());
    let mut versions = Vec::new();
    if settings.max_version == Version::Tls13 {
        versions.push(&rustls::version::TLS13);
    }
    if settings.min_version == Version::Tls12 && has_suites_of_12 {
        versions.push(&rustls::version::TLS12);
    }
    versions
}
