//! Certificates for tests: an authority that signs, and peers that are signed by it.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use crate::tools::Scratch;

/// Somebody who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The certificate that others trust.
    pub file: PathBuf,
}

/// A certificate and its key.
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Makes one of this name; its files go into the folder.
    pub fn new(folder: &Scratch, name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key can be made");
        let cert = params.self_signed(&key).expect("a certificate can be made");
        let file = folder.file(&format!("{name}.pem"), cert.pem());
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// Signs a certificate for the gateway under the names that it has on loopback; `name` tells it from others.
    pub fn server(&self, folder: &Scratch, name: &str) -> Identity {
        let names = vec![SanType::DnsName(ia5("localhost")), SanType::IpAddress([127, 0, 0, 1].into())];
        self.sign(folder, name, names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Signs a certificate for a client.
    pub fn client(&self, folder: &Scratch, name: &str, names: Vec<SanType>) -> Identity {
        self.sign(folder, name, names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, folder: &Scratch, name: &str, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = names;
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key can be made");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        Identity {
            cert: folder.file(&format!("{name}-cert.pem"), cert.pem()),
            key: folder.file(&format!("{name}-key.pem"), key.serialize_pem()),
        }
    }
}

/// A text as certificates have it.
pub fn ia5(text: &str) -> rcgen::string::Ia5String {
    text.try_into().expect("ASCII")
}
