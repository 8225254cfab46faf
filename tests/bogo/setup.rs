//! From flags to configurations: what of a test is known before the connection.

use std::fs;
use std::sync::{Arc, Mutex, OnceLock};

use sealwire::codepoints::{NamedGroup, SignatureScheme};
use sealwire::crypto::{CryptoError, Provider, Rng, SigningKey, ring};
use sealwire::pki_types::pem::PemObject;
use sealwire::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use sealwire::{
    Ask, ClientAuth, ClientConfig, Credential, ExternalPsk, KeyLog, Limits, MemoryReplay, PskHash,
    PskPolicy, ServerConfig, TicketKeys, TrustAnchors, Verifier,
};

use crate::failure::Failure;
use crate::flags::{Flags, PskFlags, Unsupported};
use crate::session::Shared;

/// Everything that a connection is made of.
pub(crate) struct Setup {
    pub(crate) provider: Provider,
    pub(crate) role: Role,
    /// Judges the peer's chain by `-trust-cert`.
    pub(crate) verifier: Option<Verifier>,
    /// Makes the signatures that are asked for.
    pub(crate) key: Option<Arc<dyn SigningKey>>,
    /// The server's credential with the response of `-ocsp-response`, and without.
    pub(crate) credential: Option<Arc<Credential>>,
    pub(crate) unstapled: Option<Arc<Credential>>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) tickets: Arc<TicketKeys>,
    pub(crate) replay: Arc<MemoryReplay>,
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
        let mut provider = ring::provider();
        let preferences = flags.signing_prefs.iter().map(|id| SignatureScheme(*id)).collect();
        let _only_once = SIGNING_PREFERENCES.set(preferences);
        provider.load_key = load_key;

        let chain = match &flags.cert_file {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        let pem = flags.key_file.as_ref().map(fs::read).transpose()?;
        let mut key = None;
        let (mut credential, mut unstapled) = (None, None);
        if let Some(pem) = pem {
            let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unsupported("-key-file"))?;
            let loaded = (provider.load_key)(&der).map_err(|_| unsupported("-key-file"))?;
            key = Some(loaded);
            let scts = timestamps(&flags.signed_cert_timestamps)?;
            let new = || Credential::new(&provider, chain.clone(), &der);
            let stapled = new().map_err(Failure::setup)?.with_scts(scts.clone());
            credential = Some(Arc::new(stapled.with_ocsp(flags.ocsp_response.clone())));
            unstapled = Some(Arc::new(new().map_err(Failure::setup)?.with_scts(scts)));
        }
        let trusted = flags.trust_cert.as_ref().filter(|path| !path.is_empty());
        let anchors = trusted.map(|path| certificates(path)).transpose()?;
        let verifier = anchors.map(|list| Verifier::new(TrustAnchors::from_certificates(list)));
        let secrets = Arc::new(Secrets::default());
        let role = match flags.server {
            true => {
                Role::Server(Arc::new(server(flags, &provider, &credential, &secrets, shared)?))
            }
            false => {
                Role::Client(Arc::new(client(flags, &provider, &credential, &secrets, shared)?))
            }
        };
        let (tickets, replay) = (shared.tickets.clone(), shared.replay.clone());
        Ok(Self { provider, role, verifier, key, credential, unstapled, secrets, tickets, replay })
    }
}

fn client(
    flags: &Flags,
    provider: &Provider,
    credential: &Option<Arc<Credential>>,
    secrets: &Arc<Secrets>,
    shared: &Shared,
) -> Result<ClientConfig, Failure> {
    let everything = ClientConfig::new(provider.clone(), Verifier::danger_accept_any());
    let mut config = everything
        .and_then(|c| c.with_schemes(&schemes(flags, provider)?))
        .map_err(Failure::setup)?
        .with_credentials(credential.iter().cloned().collect::<Vec<_>>())
        .with_server_name(flags.host_name.is_some())
        .with_status_requests(flags.enable_ocsp_stapling, flags.enable_signed_cert_timestamps)
        .with_ask(Ask { signature: flags.r#async, verdict: true, ..Ask::default() })
        .with_limits(limits(flags))
        .with_sessions(shared.sessions.clone())
        .with_early_data(flags.enable_early_data)
        .with_key_log(secrets.clone());
    let psks = psks(flags)?;
    if !psks.is_empty() {
        config = config.with_external_psks(psks, psk_policy(flags));
    }
    if !flags.curves.is_empty() {
        config = config.with_groups(&groups(flags, provider)?).map_err(Failure::setup)?;
    }
    let known: Vec<NamedGroup> = match flags.curves.is_empty() {
        true => provider.groups.iter().map(|group| group.group()).collect(),
        false => groups(flags, provider)?,
    };
    let hint = flags.server_supported_groups_hint.iter().map(|id| NamedGroup(*id));
    if let Some(best) = { hint }.find(|group| known.contains(group)) {
        config = config.with_key_shares(&[best]).map_err(Failure::setup)?;
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
    credential: &Option<Arc<Credential>>,
    secrets: &Arc<Secrets>,
    shared: &Shared,
) -> Result<ServerConfig, Failure> {
    let credentials: Vec<_> = credential.iter().cloned().collect();
    let verifier = match &flags.use_client_ca_list {
        Some(list) => Verifier::new(authorities(list)?),
        None => Verifier::danger_accept_any(),
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
        })
        .with_limits(limits(flags))
        .with_key_log(secrets.clone());
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

/// What BoringSSL's tickets allow.
const MAX_EARLY_DATA: u32 = 14_336;

/// `-new-psk-credential`
fn psks(flags: &Flags) -> Result<Vec<Arc<ExternalPsk>>, Failure> {
    let one = |psk: &PskFlags| {
        let hash = if psk.sha384 { PskHash::Sha384 } else { PskHash::Sha256 };
        let new = ExternalPsk::new(&psk.identity, &psk.key)?.with_hash(hash);
        new.with_context(&psk.context).map(Arc::new)
    };
    flags.psks.iter().map(one).collect::<Result<_, _>>().map_err(Failure::setup)
}

/// A server with certificates besides keys, and a client that verifies them, takes either.
fn psk_policy(flags: &Flags) -> PskPolicy {
    match if flags.server { flags.cert_file.is_some() } else { flags.verify_peer } {
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
    let wanted: Vec<_> = wanted.filter(|s| s.is_for_handshake() && !is_legacy(*s)).collect();
    match wanted.is_empty() {
        true => Ok(DEFAULT_SCHEMES.iter().copied().filter(available).collect()),
        false => Ok(wanted),
    }
}

/// `rsa_pkcs1_sha256_legacy` of draft-ietf-tls-tls13-pkcs1, and BoringSSL's own `rsa_pkcs1_md5_sha1`.
fn is_legacy(scheme: SignatureScheme) -> bool {
    [0x0420, 0xff01].contains(&scheme.0)
}

/// `-use-client-ca-list`: DER names in hexadecimal, separated by commas.
fn authorities(list: &str) -> Result<TrustAnchors, Failure> {
    let names = list.split(',').filter(|name| !name.is_empty() && *name != "<EMPTY>");
    let mut anchors = Vec::new();
    for name in names {
        let bytes = hex(name).ok_or_else(|| unsupported("-use-client-ca-list"))?;
        // A name without a key: nothing is verified with it. The SEQUENCE's header is not part of this type.
        let contents = bytes.get(2..).unwrap_or_default().to_vec();
        anchors.push(TrustAnchor {
            subject: contents.into(),
            subject_public_key_info: vec![].into(),
            name_constraints: None,
        });
    }
    Ok(TrustAnchors::from_anchors(anchors))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = fs::read(path)?;
    let list = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>();
    list.map_err(|_| unsupported("certificates that are not PEM"))
}

/// The certificates that `-expect-peer-cert-file` names.
pub(crate) fn expected_chain(path: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    certificates(path)
}

/// A `SignedCertificateTimestampList` as it is in the extension (RFC 6962 §3.3).
fn timestamps(list: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let Some((length, mut rest)) = list.split_first_chunk::<2>() else {
        return Ok(Vec::new());
    };
    let bad = || Failure::Expected("malformed -signed-cert-timestamps".into());
    if usize::from(u16::from_be_bytes(*length)) != rest.len() || rest.is_empty() {
        return Err(bad());
    }
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (one, tail) = tail.split_at_checked(length).ok_or_else(bad)?;
        all.push(one.to_vec());
        rest = tail;
    }
    Ok(all)
}

/// The same list from its parts, to be compared with what a test expects.
pub(crate) fn timestamp_list(scts: &[Vec<u8>]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    let list: Vec<u8> = scts.iter().flat_map(|s| [&length(s)[..], s].concat()).collect();
    [&length(&list)[..], &list].concat()
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

/// `-signing-prefs`, for [`load_key`], which takes no more than the key.
static SIGNING_PREFERENCES: OnceLock<Vec<SignatureScheme>> = OnceLock::new();

/// Loads a key that claims to sign with `-signing-prefs`, the forbidden ones among them too.
fn load_key(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, CryptoError> {
    let key = (ring::provider().load_key)(der)?;
    let preferences = SIGNING_PREFERENCES.get().filter(|list| !list.is_empty());
    let Some(preferences) = preferences else {
        return Ok(key);
    };
    let claimed = |s: &SignatureScheme| key.schemes().contains(s) || !s.is_for_handshake();
    let schemes: Vec<_> = preferences.iter().copied().filter(claimed).collect();
    match schemes.is_empty() {
        true => Err(CryptoError),
        false => Ok(Arc::new(PreferringKey { key, schemes })),
    }
}

/// A key with preferences.
struct PreferringKey {
    key: Arc<dyn SigningKey>,
    schemes: Vec<SignatureScheme>,
}

impl SigningKey for PreferringKey {
    fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    fn spki(&self) -> &[u8] {
        self.key.spki()
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, CryptoError> {
        self.key.sign(scheme, message, rng)
    }
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
