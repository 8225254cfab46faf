//! From flags to configurations: what of a test is known before the connection.

use std::sync::{Arc, Mutex};

use sealwire::codepoints::{CertificateType, NamedGroup, SignatureScheme};
use sealwire::crypto::{Provider, aws_lc, ring};
use sealwire::pki_types::{CertificateDer, TrustAnchor};
use sealwire::{
    Ask, ClientAuth, ClientConfig, Credential, KeyLog, Limits, MemoryReplay, PskPolicy,
    ServerConfig, TicketKeys, TrustAnchors, Verifier,
};

use crate::compression;
use crate::credential::{Owned, certificates, owned, psks};
use crate::failure::Failure;
use crate::flags::{CredentialKind, Flags, Unsupported};
use crate::session::Shared;

/// What BoringSSL offers by default: not P-521.
fn default_groups(provider: &Provider) -> Vec<NamedGroup> {
    let all = provider.groups.iter().map(|group| group.group());
    all.filter(|group| *group != NamedGroup::secp521r1).collect()
}

/// Everything that a connection is made of.
pub(crate) struct Setup {
    pub(crate) provider: Provider,
    pub(crate) role: Role,
    /// Judges the peer's chain by `-trust-cert`.
    pub(crate) verifier: Option<Verifier>,
    /// What the shim can show, most preferred first.
    pub(crate) credentials: Vec<Owned>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) tickets: Arc<TicketKeys>,
    pub(crate) replay: Arc<MemoryReplay>,
}

/// AWS-LC's, or ring's if the environment variable `BOGO_PROVIDER` says `ring`.
pub(crate) fn provider() -> Provider {
    match std::env::var("BOGO_PROVIDER").as_deref() {
        Ok("ring") => ring::provider(),
        _ => aws_lc::provider(),
    }
}

/// Which side the shim is.
pub(crate) enum Role {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

/// What BoringSSL verifies by default: neither Ed25519 nor P-521.
const DEFAULT_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ecdsa_secp256r1_sha256,
    SignatureScheme::rsa_pss_rsae_sha256,
    SignatureScheme::ecdsa_secp384r1_sha384,
    SignatureScheme::rsa_pss_rsae_sha384,
    SignatureScheme::rsa_pss_rsae_sha512,
];

impl Setup {
    pub(crate) fn new(flags: &Flags, shared: &Shared) -> Result<Self, Failure> {
        let provider = provider();
        let credentials = owned(flags)?;
        let shown: Vec<_> = credentials.iter().map(|owned| owned.credential.clone()).collect();
        let trusted = flags.trust_cert.as_ref().filter(|path| !path.is_empty());
        let anchors = trusted.map(|path| certificates(path)).transpose()?;
        let verifier = anchors.map(|list| Verifier::new(TrustAnchors::from_certificates(list)));
        let secrets = Arc::new(Secrets::default());
        let role = match flags.server {
            true => Role::Server(Arc::new(server(flags, &provider, shown, &secrets, shared)?)),
            false => Role::Client(Arc::new(client(flags, &provider, shown, &secrets, shared)?)),
        };
        let (tickets, replay) = (shared.tickets.clone(), shared.replay.clone());
        Ok(Self { provider, role, verifier, credentials, secrets, tickets, replay })
    }
}

impl Setup {
    /// `-curves-flags`: a server's groups, where among those of equal preference the client's order decides.
    pub(crate) fn with_equal_groups(
        &self,
        flags: &Flags,
        theirs: &[NamedGroup],
    ) -> Result<Arc<ServerConfig>, Failure> {
        const EQUAL_TO_NEXT: u16 = 1;
        let Role::Server(config) = &self.role else { return Err(unsupported("-curves-flags")) };
        let ours = groups(flags, &self.provider)?;
        let equal = |at: usize| flags.curves_flags.get(at) == Some(&EQUAL_TO_NEXT);
        let mut ordered = Vec::new();
        let mut rest = &ours[..];
        while !rest.is_empty() {
            let start = ours.len() - rest.len();
            let length = 1 + (start..ours.len()).take_while(|at| equal(*at)).count();
            let (tier, others) = rest.split_at(length.min(rest.len()));
            let preferred = theirs.iter().filter(|group| tier.contains(group));
            ordered.extend(preferred.copied());
            rest = others;
        }
        let config = ServerConfig::clone(config).with_groups(&ordered);
        config.map(Arc::new).map_err(Failure::setup)
    }
}

impl Setup {
    /// A server's configuration without its pre-shared keys, for a client to which a certificate is shown that comes before
    /// them all.
    pub(crate) fn without_psks(&self, flags: &Flags, index: i32) -> Option<Arc<ServerConfig>> {
        let Role::Server(config) = &self.role else { return None };
        let first = flags.credentials.iter().position(|each| each.kind == CredentialKind::Psk)?;
        let before = usize::try_from(index).is_ok_and(|index| index < first);
        let config = ServerConfig::clone(config);
        before.then(|| Arc::new(config.with_external_psks(Vec::new(), PskPolicy::OrCertificate)))
    }
}

fn client(
    flags: &Flags,
    provider: &Provider,
    credentials: Vec<Arc<Credential>>,
    secrets: &Arc<Secrets>,
    shared: &Shared,
) -> Result<ClientConfig, Failure> {
    let verifier = accepted_types(flags, Verifier::danger_accept_any())?;
    let mut config = ClientConfig::new(provider.clone(), verifier)
        .and_then(|c| c.with_schemes(&schemes(flags, provider)?))
        .map_err(Failure::setup)?
        .with_credentials(credentials)
        .with_server_name(flags.host_name.is_some())
        .with_status_requests(flags.enable_ocsp_stapling, flags.enable_signed_cert_timestamps)
        .with_ask(Ask {
            credential: true,
            signature: flags.r#async,
            verdict: true,
            ..Ask::default()
        })
        .with_limits(limits(flags))
        .with_sessions(shared.sessions.clone())
        .with_early_data(flags.enable_early_data)
        .with_key_log(secrets.clone())
        .with_grease(flags.enable_grease)
        .with_certificate_compression(compression::algorithms(flags))
        .map_err(Failure::setup)?;
    if !flags.available_client_cert_types.is_empty() {
        config = config.with_certificate_types(&types(&flags.available_client_cert_types));
    }
    let psks = psks(flags)?;
    if !psks.is_empty() {
        config = config.with_external_psks(psks, psk_policy(flags));
    }
    let known: Vec<NamedGroup> = match flags.curves.is_empty() {
        true => default_groups(provider),
        false => groups(flags, provider)?,
    };
    config = config.with_groups(&known).map_err(Failure::setup)?;
    // What the server is known to have, in our order.
    let hint = |group: &&NamedGroup| flags.server_supported_groups_hint.contains(&group.0);
    if let Some(best) = known.iter().find(hint) {
        config = config.with_key_shares(&[*best]).map_err(Failure::setup)?;
    } else if let Some(shares) = &flags.key_shares {
        let shares: Vec<_> = shares.iter().map(|id| NamedGroup(*id)).collect();
        config = config.with_key_shares(&shares).map_err(Failure::setup)?;
    }
    if let Some(list) = &flags.advertise_alpn {
        let protocols = prefixed(list).ok_or_else(|| unsupported("-advertise-alpn"))?;
        config = config.with_alpn(&protocols).map_err(Failure::setup)?;
    }
    if let Some(bytes) = flags.max_send_fragment {
        config = config.with_max_fragment(bytes).map_err(Failure::setup)?;
    }
    Ok(config)
}

fn server(
    flags: &Flags,
    provider: &Provider,
    credentials: Vec<Arc<Credential>>,
    secrets: &Arc<Secrets>,
    shared: &Shared,
) -> Result<ServerConfig, Failure> {
    let verifier = match &flags.use_client_ca_list {
        Some(list) => Verifier::new(authorities(list)?),
        None => accepted_types(flags, Verifier::danger_accept_any())?,
    };
    // As BoringSSL does: with both flags a certificate is not required.
    let client_auth = match (flags.verify_peer, flags.require_any_client_certificate) {
        (true, _) => ClientAuth::Optional(verifier),
        (false, true) => ClientAuth::Required(verifier),
        (false, false) => ClientAuth::None,
    };
    let mut config = ServerConfig::new(provider.clone(), credentials)
        .and_then(|c| c.with_schemes(&schemes(flags, provider)?))
        .map_err(Failure::setup)?
        .with_client_auth(client_auth)
        .with_ask(Ask {
            client_hello: true,
            signature: flags.r#async,
            verdict: true,
            psk: flags.r#async && !flags.no_ticket,
            early_data: flags.r#async,
            ..Ask::default()
        })
        .with_limits(limits(flags))
        // BoringSSL's server insists on a group, where a test waits for that; it does not mind the protocol that a ticket was
        // for, and always sends change_cipher_spec.
        .with_strict_group_order(flags.expect_hrr || !flags.curves_flags.is_empty())
        .with_tickets_for_any_protocol(true)
        .with_grease(true)
        .with_middlebox_compatibility(true)
        .with_key_log(secrets.clone())
        .with_certificate_compression(compression::algorithms(flags))
        .map_err(Failure::setup)?;
    if !flags.curves.is_empty() {
        config = config.with_groups(&groups(flags, provider)?).map_err(Failure::setup)?;
    }
    if !flags.no_ticket {
        config = config.with_tickets(shared.tickets.clone());
    }
    if flags.enable_early_data {
        config = config.with_early_data(shared.replay.clone(), MAX_EARLY_DATA);
    }
    let psks = psks(flags)?;
    if !psks.is_empty() {
        config = config.with_external_psks(psks, psk_policy(flags));
    }
    if let Some(protocol) = &flags.select_alpn {
        config = config.with_alpn(&[protocol.as_bytes()]).map_err(Failure::setup)?;
    }
    if let Some(bytes) = flags.max_send_fragment {
        config = config.with_max_fragment(bytes).map_err(Failure::setup)?;
    }
    Ok(config)
}

/// `-accepted-peer-cert-types`
fn accepted_types(flags: &Flags, verifier: Verifier) -> Result<Verifier, Failure> {
    match flags.accepted_peer_cert_types.is_empty() {
        true => Ok(verifier),
        false => verifier
            .with_certificate_types(&types(&flags.accepted_peer_cert_types))
            .map_err(Failure::setup),
    }
}

fn types(numbers: &[u8]) -> Vec<CertificateType> {
    numbers.iter().map(|number| CertificateType(*number)).collect()
}

/// What BoringSSL's tickets allow.
const MAX_EARLY_DATA: u32 = 14_336;

/// A server with certificates besides keys, and a client that verifies them, takes either.
fn psk_policy(flags: &Flags) -> PskPolicy {
    match if flags.server { flags.has_certificates() } else { flags.verify_peer } {
        true => PskPolicy::OrCertificate,
        false => PskPolicy::Required,
    }
}

fn limits(flags: &Flags) -> Limits {
    let mut limits = Limits::default();
    // `LargeMessage` has a chain of 51 certificates.
    limits.chain_length = 64;
    // `SkipEarlyData-TooMuchData` sends a byte more.
    limits.skipped_early_data = 16_384;
    if let Some(bytes) = flags.max_cert_list {
        limits.certificate_message = bytes;
    }
    limits
}

/// `-curves`
fn groups(flags: &Flags, provider: &Provider) -> Result<Vec<NamedGroup>, Failure> {
    let groups: Vec<_> = flags.curves.iter().map(|id| NamedGroup(*id)).collect();
    match groups.iter().find(|group| provider.group(**group).is_none()) {
        Some(missing) => Err(unsupported(&format!("-curves {missing}"))),
        None => Ok(groups),
    }
}

/// `-verify-prefs`. What TLS 1.3 does not allow cannot be configured; it must be refused all the same.
fn schemes(flags: &Flags, provider: &Provider) -> Result<Vec<SignatureScheme>, sealwire::Error> {
    let available =
        |scheme: &SignatureScheme| provider.verifiers.iter().any(|v| v.scheme() == *scheme);
    let wanted = flags.verify_prefs.iter().map(|id| SignatureScheme(*id));
    let wanted: Vec<_> = wanted.filter(|scheme| is_allowed(flags, *scheme)).collect();
    match wanted.is_empty() {
        true => Ok(DEFAULT_SCHEMES.iter().copied().filter(available).collect()),
        false => Ok(wanted),
    }
}

/// Not BoringSSL's own `rsa_pkcs1_md5_sha1`; and what a client alone may sign with, on a server only.
fn is_allowed(flags: &Flags, scheme: SignatureScheme) -> bool {
    match scheme {
        SignatureScheme::rsa_pkcs1_sha256_legacy => flags.server,
        SignatureScheme(0xff01) => false,
        _ => scheme.is_for_handshake(),
    }
}

/// `-use-client-ca-list`
fn authorities(list: &str) -> Result<TrustAnchors, Failure> {
    let name = |bytes: Vec<u8>| {
        // A name without a key: nothing is verified with it. The SEQUENCE's header is not part of this type.
        let contents = bytes.get(2..).unwrap_or_default().to_vec();
        TrustAnchor {
            subject: contents.into(),
            subject_public_key_info: vec![].into(),
            name_constraints: None,
        }
    };
    Ok(TrustAnchors::from_anchors(names(list)?.into_iter().map(name)))
}

/// DER names in hexadecimal, separated by commas.
pub(crate) fn names(list: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let names = list.split(',').filter(|name| !name.is_empty() && *name != "<EMPTY>");
    names.map(|name| hex(name).ok_or_else(|| unsupported("a list of authorities"))).collect()
}

/// The certificates that `-expect-peer-cert-file` names.
pub(crate) fn expected_chain(path: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    certificates(path)
}

/// Byte strings, each with its length before it in two bytes.
pub(crate) fn prefixed16(mut list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = list.split_first_chunk::<2>() {
        let (one, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        all.push(one.to_vec());
        list = rest;
    }
    list.is_empty().then_some(all)
}

/// Protocol names, each with its length before it.
pub(crate) fn prefixed(mut list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut names = Vec::new();
    while let Some((length, rest)) = list.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        names.push(name);
        list = rest;
    }
    Some(names)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn unsupported(what: &str) -> Failure {
    Failure::Unsupported(Unsupported(what.to_owned()))
}

/// The traffic secrets of the connection, for `-export-traffic-secrets`.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    client: Mutex<Vec<u8>>,
    server: Mutex<Vec<u8>>,
}

impl Secrets {
    /// The secret of what the shim reads, and of what it writes.
    pub(crate) fn read_and_write(&self, server: bool) -> (Vec<u8>, Vec<u8>) {
        let copy = |of: &Mutex<Vec<u8>>| of.lock().map(|secret| secret.clone()).unwrap_or_default();
        match server {
            true => (copy(&self.client), copy(&self.server)),
            false => (copy(&self.server), copy(&self.client)),
        }
    }
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8; 32], secret: &[u8]) {
        let slot = match label {
            "CLIENT_TRAFFIC_SECRET_0" => &self.client,
            "SERVER_TRAFFIC_SECRET_0" => &self.server,
            _ => return,
        };
        if let Ok(mut slot) = slot.lock() {
            *slot = secret.to_vec();
        }
    }
}
