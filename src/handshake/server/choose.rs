//! What a server chooses for a ClientHello (RFC 9846 §4.2.1): suite, group, protocol, and what to authenticate with.

use std::sync::Arc;

use pki_types::ServerName;

use crate::codepoints::{CertificateType, CipherSuiteId, NamedGroup, SignatureScheme};
use crate::config::{ClientAuth, ServerConfig, ServerNamePolicy};
use crate::credential::Credential;
use crate::crypto::CipherSuite;
use crate::decision::Choice;
use crate::error::{Error, NoOverlap, Violation};
use crate::handshake::auth::{Wishes, choose_credential};
use crate::handshake::ensure;
use crate::message::ClientHello;
use crate::retry::Retry;

/// What does not depend on how the server authenticates. After a retry suite and group are fixed.
pub(super) struct Parameters {
    pub(super) suite: &'static CipherSuite,
    /// `None` if a pre-shared key is to stand alone (RFC 9846 §4.3.9).
    pub(super) group: Option<NamedGroup>,
    pub(super) alpn: Option<Vec<u8>>,
}

impl Parameters {
    pub(super) fn choose(
        config: &ServerConfig,
        choice: &Choice,
        hello: &ClientHello<'_>,
        retry: Option<&Retry>,
        psk_alone: bool,
    ) -> Result<Self, Error> {
        let suite = match retry {
            Some(retry) => retry.suite,
            None => choose_suite(config, hello)?,
        };
        let group = match retry {
            Some(retry) => Some(retry.group),
            None if psk_alone => None,
            None => Some(choose_group(config, hello)?),
        };
        let alpn = choose_protocol(choice.alpn.as_ref().unwrap_or(&config.common.alpn), hello)?;
        Ok(Self { suite, group, alpn })
    }
}

/// The certificate that the server shows, and how it signs.
pub(super) struct Identity {
    pub(super) credential: Arc<Credential>,
    pub(super) scheme: SignatureScheme,
    /// Whether the client's name decided.
    pub(super) by_name: bool,
}

impl Identity {
    /// RFC 9846 §4.5.1.2
    pub(super) fn choose(
        config: &ServerConfig,
        all: &[Arc<Credential>],
        choice: &Choice,
        hello: &ClientHello<'_>,
    ) -> Result<Self, Error> {
        // RFC 9846 §9.2 and §4.3.3: whoever wants a certificate says what it verifies.
        ensure(hello.schemes.is_some(), Violation::MissingSignatureAlgorithms)?;
        let types = hello.server_certificate_types.clone();
        let wishes = Wishes {
            types: types.clone().unwrap_or(vec![CertificateType::X509]),
            // RFC 9963 §3: some are for clients alone, whatever a client says that it verifies.
            schemes: { hello.schemes.unwrap_or_default().iter().map(SignatureScheme) }
                .filter(|scheme| scheme.legacy_pkcs1().is_none())
                .collect(),
            certificate_schemes: hello
                .certificate_schemes
                .map(|list| list.iter().map(SignatureScheme).collect()),
            authorities: hello.authorities.iter().map(|name| name.to_vec()).collect(),
            name: hello.dns_name().map(|name| ServerName::DnsName(name.to_owned())),
        };
        let own = choice.credential.as_ref().map(std::slice::from_ref);
        if own.is_none() {
            check_server_name(config, all, hello, &wishes)?;
        }
        let credentials = own.unwrap_or(all);
        if !credentials.iter().any(|c| wishes.types.contains(&c.certificate_type())) {
            // RFC 7250 §4.2, if the client has said what it accepts.
            return Err(types.map_or(NoOverlap::Credential, NoOverlap::CertificateType).into());
        }
        let chosen = choose_credential(&config.common, credentials, &wishes);
        let (credential, scheme, named) =
            chosen.ok_or(NoOverlap::SignatureScheme(wishes.schemes))?;
        // An application that chooses does so in sight of the name.
        let by_name = named || own.is_some() && hello.server_name.is_some();
        Ok(Self { credential, scheme, by_name })
    }
}

/// RFC 7250 §4.2: what the client is to show: the first of ours that it has, too. `None` if it is not to be asked, now
/// (`now` says whether there are certificates in this handshake) or later.
pub(super) fn choose_client_type(
    client_auth: &ClientAuth,
    hello: &ClientHello<'_>,
    now: bool,
) -> Result<Option<CertificateType>, Error> {
    let (verifier, now) = match client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::OnRequest(verifier) => (verifier, false),
        ClientAuth::Optional(verifier) | ClientAuth::Required(verifier) => (verifier, now),
    };
    if !now && !hello.post_handshake_auth {
        return Ok(None);
    }
    let required = matches!(client_auth, ClientAuth::Required(_));
    let said = hello.client_certificate_types.is_some();
    let offered = hello.client_certificate_types.clone().unwrap_or(vec![CertificateType::X509]);
    match verifier.certificate_types().iter().find(|ours| offered.contains(ours)) {
        Some(common) => Ok(Some(*common)),
        None if now && (required || said) => Err(NoOverlap::CertificateType(offered).into()),
        // Who says nothing of its types may have nothing to show, and need not.
        None => Ok(None),
    }
}

/// Ours decide, but a client that prefers ChaCha20 to all of them has no fast AES, and gets it.
fn choose_suite(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
) -> Result<&'static CipherSuite, Error> {
    let common = &config.common;
    let first = hello.suites.iter().find_map(|id| common.suite(CipherSuiteId(id)));
    if let Some(suite) = first
        && suite.id == CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256
    {
        return Ok(suite);
    }
    let ours = common.suites.iter().copied();
    let offered = |suite: &&CipherSuite| hello.suites.iter().any(|id| id == suite.id.0);
    let offers = || hello.suites.iter().map(CipherSuiteId).collect();
    Ok({ ours }.find(offered).ok_or_else(|| NoOverlap::CipherSuite(offers()))?)
}

/// A post-quantum group if there is a common one, whatever it costs; beyond that, our order among those for which there
/// is a share already, and only then a group that costs another round trip. Under a strict order shares do not count.
fn choose_group(config: &ServerConfig, hello: &ClientHello<'_>) -> Result<NamedGroup, Error> {
    let offered: Vec<NamedGroup> =
        hello.groups.unwrap_or_default().iter().map(NamedGroup).collect();
    let common: Vec<NamedGroup> =
        config.common.groups.iter().filter(|group| offered.contains(group)).copied().collect();
    let quantum = common.iter().any(|group| group.is_post_quantum());
    let eligible = || common.iter().copied().filter(|group| group.is_post_quantum() == quantum);
    let cheap = |group: &NamedGroup| !config.strict_groups && hello.share_for(*group).is_some();
    let shared = eligible().find(cheap);
    Ok(shared.or(eligible().next()).ok_or(NoOverlap::Group(offered))?)
}

/// RFC 7301 §3.2: our order decides. Without a list on one side there is no ALPN.
fn choose_protocol(ours: &[Vec<u8>], hello: &ClientHello<'_>) -> Result<Option<Vec<u8>>, Error> {
    match &hello.alpn {
        Some(theirs) if !ours.is_empty() => {
            let chosen = ours.iter().find(|name| theirs.contains(&name.as_slice()));
            Ok(Some(chosen.ok_or(NoOverlap::Alpn)?.clone()))
        }
        _ => Ok(None),
    }
}

/// RFC 6066 §3: what the configuration says about names that are not there, or that it has no credential for.
fn check_server_name(
    config: &ServerConfig,
    credentials: &[Arc<Credential>],
    hello: &ClientHello<'_>,
    wishes: &Wishes,
) -> Result<(), Error> {
    if credentials.is_empty() {
        return Err(NoOverlap::Credential.into());
    }
    match (config.server_name, hello.server_name) {
        // RFC 9846 §9.2
        (ServerNamePolicy::Require, None) => Err(Violation::MissingServerName.into()),
        (ServerNamePolicy::Require | ServerNamePolicy::Match, Some(_)) => {
            let named = |name| credentials.iter().any(|c| c.is_for(name));
            ensure(wishes.name.as_ref().is_some_and(named), Violation::UnrecognizedName)
        }
        _ => Ok(()),
    }
}
