//! What the command line says of TLS, turned into configurations.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sealwire::adapter::key_log_file::KeyLogFile;
use sealwire::codepoints::NamedGroup;
use sealwire::crypto::Provider;
use sealwire::crypto::ring;
use sealwire::pki_types::CertificateDer;
use sealwire::{
    ClientConfig, Credential, Error, ExternalPsk, PskPolicy, ServerConfig, TrustAnchors,
};
use zeroize::Zeroizing;

use crate::failure::{Failure, Status};
use crate::pem::{has_certificate, instead_of_certificates, is_der_certificate};

/// What client and server have in common.
#[derive(Debug, Default, Args)]
pub(crate) struct TlsOptions {
    /// Application protocols, most preferred first, separated by commas or given repeatedly
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// Only these cipher suites, by their IANA names, most preferred first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) suites: Vec<String>,
    /// Only these key exchange groups, by their IANA names, most preferred first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) groups: Vec<String>,
    /// Append the secrets of connections to this file, for a packet analyser. Whoever reads it reads the traffic
    #[arg(long, value_name = "FILE")]
    pub(crate) keylog: Option<PathBuf>,
    /// Authenticate with this key, of 16 to 80 random bytes, that both ends have, in place of certificates (imported as RFC
    /// 9258 has it, with the roles `client` and `server`). Other users of this computer can see command lines
    #[arg(long, value_name = "IDENTITY:HEX")]
    pub(crate) psk: Option<String>,
}

/// The two configurations have these setters under the same names, and no trait in common.
macro_rules! apply {
    ($options:expr, $config:expr) => {{
        let (options, mut config) = ($options, $config);
        let alpn: Vec<_> = options.alpn.iter().map(|name| name.as_bytes()).collect();
        if !alpn.is_empty() {
            config = config.with_alpn(&alpn)?;
        }
        if !options.suites.is_empty() {
            let known: Vec<_> = config.provider().suites.iter().map(|suite| suite.id).collect();
            config = config.with_suites(&named("cipher suite", &options.suites, &known)?)?;
        }
        if !options.groups.is_empty() {
            let groups = named_groups(config.provider(), &options.groups)?;
            config = config.with_groups(&groups)?;
        }
        if let Some(path) = &options.keylog {
            let log = KeyLogFile::append(path);
            let log =
                log.map_err(|e| Failure::io(&format!("cannot open {}", path.display()), &e))?;
            config = config.with_key_log(Arc::new(log));
        }
        if let Some(text) = &options.psk {
            config = config.with_external_psks(vec![psk(text)?], PskPolicy::Required);
        }
        Ok(config)
    }};
}

impl TlsOptions {
    /// `config`, narrowed to what the options say.
    pub(crate) fn client(&self, config: ClientConfig) -> Result<ClientConfig, Failure> {
        apply!(self, config)
    }

    /// `config`, narrowed to what the options say.
    pub(crate) fn server(&self, config: ServerConfig) -> Result<ServerConfig, Failure> {
        apply!(self, config)
    }
}

/// The key of `--psk`.
fn psk(text: &str) -> Result<Arc<ExternalPsk>, Failure> {
    let bad = || Failure::usage("--psk is IDENTITY:HEX, with 16 to 80 bytes in hexadecimal");
    let (identity, digits) = text.rsplit_once(':').ok_or_else(bad)?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let digits: Option<Vec<u8>> = digits.as_bytes().iter().map(digit).collect();
    let digits = Zeroizing::new(digits.filter(|d| d.len().is_multiple_of(2)).ok_or_else(bad)?);
    let mut key = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        if let [high, low] = pair {
            key.push(high << 4 | low);
        }
    }
    let psk = ExternalPsk::new(identity.as_bytes(), &key).map_err(|_| bad())?;
    Ok(Arc::new(psk.with_roles(b"client", b"server").map_err(|_| bad())?))
}

/// The cryptography of the tool.
pub(crate) fn provider() -> Provider {
    ring::provider()
}

/// The groups with these names.
pub(crate) fn named_groups(
    provider: &Provider,
    names: &[String],
) -> Result<Vec<NamedGroup>, Failure> {
    let known: Vec<_> = provider.groups.iter().map(|group| group.group()).collect();
    named("group", names, &known)
}

/// The code points with these names; upper and lower case are the same.
fn named<T: Display + Copy>(what: &str, names: &[String], known: &[T]) -> Result<Vec<T>, Failure> {
    let find = |name: &String| {
        let found = known.iter().find(|k| k.to_string().eq_ignore_ascii_case(name.trim()));
        found.copied().ok_or_else(|| {
            let all: Vec<_> = known.iter().map(T::to_string).collect();
            Failure::usage(format!(
                "there is no {what} {name:?} here; there are {}",
                all.join(", ")
            ))
        })
    };
    names.iter().map(find).collect()
}

/// A certificate chain and its key from PEM files.
pub(crate) fn credential(
    provider: &Provider,
    chain: &Path,
    key: &Path,
) -> Result<Arc<Credential>, Failure> {
    let (chain_pem, key_pem) = (read(chain)?, read(key)?);
    let loaded = Credential::from_pem(provider, &chain_pem, &key_pem);
    let what = |error: Error| {
        Failure::usage(format!("{} with {}: {error}", chain.display(), key.display()))
            .hint("Both are PEM: the chain with the leaf first, and an unencrypted PKCS#8, SEC1 or PKCS#1 key that belongs to the leaf.")
    };
    Ok(Arc::new(loaded.map_err(what)?))
}

/// The root certificates of a PEM file, or the one that it is as DER.
pub(crate) fn anchors_from(path: &Path) -> Result<TrustAnchors, Failure> {
    let bytes = read(path)?;
    if is_der_certificate(&bytes) {
        return Ok(TrustAnchors::from_certificates([CertificateDer::from(bytes)]));
    }
    TrustAnchors::from_pem(&bytes).map_err(|error| {
        let name = path.display();
        match has_certificate(&bytes) {
            true => Failure::usage(format!("{name}: {error}")),
            false => {
                let (what, hint) = instead_of_certificates(&bytes);
                Failure::usage(format!("{name}: {what}")).hint(hint)
            }
        }
    })
}

/// The root certificates of the operating system.
pub(crate) fn system_anchors() -> Result<TrustAnchors, Failure> {
    let loaded = TrustAnchors::system();
    loaded.map_err(|error| {
        Failure::new(Status::Io, format!("the system's root certificates: {error}"))
            .hint("Name a PEM file with --ca FILE, or trust Mozilla's roots with --mozilla.")
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::io(&format!("cannot read {}", path.display()), &e))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sealwire::codepoints::CipherSuiteId;

    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_others_say_what_there_is() {
        let known = [CipherSuiteId::TLS_AES_128_GCM_SHA256, CipherSuiteId::TLS_AES_256_GCM_SHA384];
        let found = named("suite", &["tls_aes_256_gcm_sha384".into()], &known).unwrap();
        assert_eq!(found, [CipherSuiteId::TLS_AES_256_GCM_SHA384]);
        let error = named("suite", &["RC4".into()], &known).unwrap_err();
        assert_eq!(error.status, Status::Usage);
        assert!(error.to_string().contains("TLS_AES_128_GCM_SHA256"));
    }
}
