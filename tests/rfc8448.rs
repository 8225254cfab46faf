//! RFC 8448's traces byte for byte, both roles: simple 1-RTT (§3), resumed 0-RTT (§4), HelloRetryRequest (§5), client
//! authentication (§6) and compatibility mode (§7).
//!
//! Randoms and private keys are injected. Messages whose set of extensions is particular to the RFC's implementation are
//! replaced by the published ones: ClientHello on a client; EncryptedExtensions, CertificateRequest and HelloRetryRequest on
//! a server. RSA-PSS signatures have a random salt and their keys are not all known, so that the published ones answer
//! [`Question::Signature`](sealwire::Question::Signature), after they were checked against what was to be signed.
//! Everything else is Sealwire's own: ServerHello, Certificate, Finished, the key schedule, and every record.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "rfc8448/resumed.rs"]
mod resumed;
mod support;

use std::sync::Arc;

use num_bigint::BigUint;
use sealwire::codepoints::{CipherSuiteId, NamedGroup, SignatureScheme};
use sealwire::crypto::{CryptoError, Hash, Provider, SignatureVerifier};
use sealwire::{
    Ask, ClientAuth, ClientConfig, Connection, Credential, MemorySessions, ServerConfig, Verifier,
};
use serde_json::Value;
use support::trace::{Play, chain, contains, randoms, replace, signature};
use support::{Lines, Role, Side, Sink, hex, json, now, scripted, server_name, unhex};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

#[test]
fn simple_1rtt() {
    both_roles("simple_1rtt");
}

#[test]
fn hello_retry_request() {
    both_roles("hello_retry_request");
}

#[test]
fn client_auth() {
    both_roles("client_auth");
}

#[test]
fn compat_mode() {
    both_roles("compat_mode");
}

fn both_roles(id: &str) {
    let trace = Trace::load(id);
    for slowly in [false, true] {
        client(&trace, slowly);
        server(&trace, slowly);
    }
}

/// One trace, as `vectors/rfc8448.json.gz` has it.
struct Trace {
    messages: Vec<(Role, Vec<u8>)>,
    records: Vec<Record>,
    keys: Vec<(Role, NamedGroup, Vec<u8>)>,
    secrets: Value,
}

struct Record {
    sender: Role,
    content_type: String,
    plaintext: Vec<u8>,
    wire: Vec<u8>,
}

impl Trace {
    fn load(id: &str) -> Self {
        let all = json("rfc8448.json.gz");
        let all = all["traces"].as_array().unwrap();
        let trace = all.iter().find(|t| t["id"] == id).unwrap();
        let list = |name: &str| trace[name].as_array().unwrap().iter();
        let group = |name: &Value| match name.as_str().unwrap() {
            "x25519" => NamedGroup::x25519,
            "secp256r1" => NamedGroup::secp256r1,
            other => panic!("group {other}"),
        };
        let record = |r: &Value| Record {
            sender: role(&r["sender"]),
            content_type: r["content_type"].as_str().unwrap().to_owned(),
            plaintext: hex(&r["plaintext"]),
            wire: hex(&r["record"]),
        };
        Self {
            messages: list("messages").map(|m| (role(&m["actor"]), hex(&m["hex"]))).collect(),
            records: list("records").map(record).collect(),
            keys: list("key_pairs")
                .map(|k| (role(&k["actor"]), group(&k["group"]), hex(&k["private"])))
                .collect(),
            secrets: trace["secrets"].clone(),
        }
    }

    /// The messages of one type that `from` sends, in order.
    fn messages(&self, from: Role, kind: u8) -> Vec<Vec<u8>> {
        let fitting = self.messages.iter().filter(|(r, m)| *r == from && m[0] == kind);
        fitting.map(|(_, message)| message.clone()).collect()
    }

    fn private_keys(&self, of: Role) -> Vec<Vec<u8>> {
        self.keys.iter().filter(|k| k.0 == of).map(|k| k.2.clone()).collect()
    }

    /// Draws of a connection: the randoms of its last hello, then its private keys.
    fn draws(&self, of: Role, hello: &[u8]) -> Vec<Vec<u8>> {
        let mut draws = randoms(hello);
        if of == Role::Server {
            // It echoes the client's legacy_session_id.
            draws.truncate(1);
        }
        draws.extend(self.private_keys(of));
        draws
    }

    /// A credential with the certificate that `of` shows, and the signature that it makes.
    fn credential(&self, of: Role) -> Option<(Arc<Credential>, Vec<u8>)> {
        let chain = chain(self.messages(of, CERTIFICATE).first()?);
        let (scheme, signature) = signature(&self.messages(of, CERTIFICATE_VERIFY)[0]);
        let credential = Credential::external(chain, &[SignatureScheme(scheme)]).unwrap();
        Some((Arc::new(credential), signature))
    }

    /// Plays the part of `role`, record by record.
    fn play(&self, role: Role, mut play: Play) -> Side {
        for record in &self.records {
            if record.sender != role {
                play.feed(&record.wire);
                continue;
            }
            match record.content_type.as_str() {
                "application_data" if play.side.conn.is_connected() => {
                    play.write(&record.plaintext).unwrap();
                }
                "application_data" => {
                    play.side.call(|conn, out| conn.write_early(&record.plaintext, out)).unwrap();
                }
                "alert" => play.side.close().unwrap(),
                "handshake" if record.plaintext[0] == NEW_SESSION_TICKET => {
                    // We send no tickets. Another record takes the sequence number.
                    play.write(b"in place of a ticket").unwrap();
                    play.skip(5 + 20 + 17);
                    continue;
                }
                _ => {}
            }
            play.expect(&record.wire, &format!("{role:?}'s {}", record.content_type));
        }
        play.silent();
        assert!(play.side.closed, "the close was not seen");
        let data: Vec<u8> = self.received_by(role);
        assert_eq!([&play.side.early[..], &play.side.data].concat(), data);
        if let Some((credential, signature)) = self.credential(role) {
            let scheme = credential.schemes()[0];
            let leaf = X509Certificate::from_der(&credential.chain()[0]).unwrap().1;
            let provider = with_small_rsa(scripted(Vec::new()).0);
            let spki = leaf.public_key().raw;
            provider.verify_handshake(scheme, spki, &play.signed, &signature).unwrap();
        }
        play.side
    }

    fn received_by(&self, role: Role) -> Vec<u8> {
        let theirs = self.records.iter().filter(|r| r.sender != role);
        let data = theirs.filter(|r| r.content_type == "application_data");
        data.flat_map(|r| r.plaintext.clone()).collect()
    }

    fn check_secrets(&self, log: &Lines) {
        let names = [
            ("tls13 c hs traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
            ("tls13 s hs traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET"),
            ("tls13 c ap traffic", "CLIENT_TRAFFIC_SECRET_0"),
            ("tls13 s ap traffic", "SERVER_TRAFFIC_SECRET_0"),
            ("tls13 exp master", "EXPORTER_SECRET"),
        ];
        let early = ("tls13 c e traffic", "CLIENT_EARLY_TRAFFIC_SECRET");
        let has_early = self.secrets.get(early.0).is_some();
        for (published, label) in names.into_iter().chain(has_early.then_some(early)) {
            assert_eq!(log.secret(label), hex(&self.secrets[published]), "{label}");
        }
        let random = randoms(&self.messages(Role::Client, CLIENT_HELLO)[0]).remove(0);
        assert!(log.all().iter().all(|line| line.1[..] == random));
    }
}

fn role(name: &Value) -> Role {
    match name.as_str().unwrap() {
        "client" => Role::Client,
        "server" => Role::Server,
        other => panic!("role {other}"),
    }
}

/// Returns what the client keeps.
fn client(trace: &Trace, slowly: bool) -> Arc<MemorySessions> {
    let hellos = trace.messages(Role::Client, CLIENT_HELLO);
    let (provider, rng) = scripted(trace.draws(Role::Client, &hellos[0]));
    let (hook, natives) = replace(hellos.clone());
    let log = Lines::new();
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
    let credential = trace.credential(Role::Client);
    let sessions = Arc::new(MemorySessions::default());
    let config =
        ClientConfig::new(with_small_rsa(provider), Verifier::danger_accept_any()).unwrap();
    let config = config
        .with_groups(&groups)
        .unwrap()
        .with_key_shares(&groups[..1])
        .unwrap()
        .with_credentials(credential.iter().map(|(c, _)| Arc::clone(c)).collect::<Vec<_>>())
        .with_middlebox_compatibility(randoms(&hellos[0]).len() == 2)
        .with_ask(Ask { verdict: true, ..Ask::default() })
        .with_message_hook(hook)
        .with_sessions(sessions.clone())
        .with_key_log(log.clone());
    let mut wire = Vec::new();
    let conn = Connection::client(Arc::new(config), server_name(), now(), &mut wire).unwrap();
    let signature = credential.map(|(_, signature)| signature).unwrap_or_default();
    let side = Side::new(conn, wire, Sink::Vec);
    let side = trace.play(Role::Client, Play::new(side, signature, slowly));

    trace.check_secrets(&log);
    assert_eq!(rng.remaining(), 0, "not every draw was made");
    let natives = natives.lock().unwrap();
    assert_eq!(natives.len(), hellos.len());
    for (native, published) in natives.iter().zip(&hellos) {
        // What was replaced had the same randoms and key share, and the cookie that it had to have.
        assert_eq!(randoms(native), randoms(published));
        for kind in [KEY_SHARE, COOKIE] {
            assert_eq!(extension(native, kind), extension(published, kind));
        }
    }
    let summary = side.conn.summary().unwrap();
    assert_eq!(summary.suite, CipherSuiteId::TLS_AES_128_GCM_SHA256);
    assert_eq!(summary.retried, hellos.len() == 2);
    assert_eq!(summary.peer_chain, chain(&trace.messages(Role::Server, CERTIFICATE)[0]));
    sessions
}

fn server(trace: &Trace, slowly: bool) {
    let hellos = trace.messages(Role::Server, SERVER_HELLO);
    let hello = hellos.last().unwrap();
    let (provider, rng) = scripted(trace.draws(Role::Server, hello));
    let mut replaced = trace.messages(Role::Server, ENCRYPTED_EXTENSIONS);
    replaced.extend(trace.messages(Role::Server, CERTIFICATE_REQUEST));
    replaced.extend_from_slice(&hellos[..hellos.len() - 1]);
    let (hook, natives) = replace(replaced.clone());
    let log = Lines::new();
    let (credential, signature) = trace.credential(Role::Server).unwrap();
    let group = trace.keys.iter().find(|k| k.0 == Role::Server).unwrap().1;
    let config = ServerConfig::new(with_small_rsa(provider), vec![credential]).unwrap();
    let config = config
        .with_groups(&[group])
        .unwrap()
        .with_ask(Ask { verdict: true, ..Ask::default() })
        .with_message_hook(hook)
        .with_key_log(log.clone());
    let with_client = !trace.messages(Role::Client, CERTIFICATE).is_empty();
    let auth = match with_client {
        true => ClientAuth::Required(Verifier::danger_accept_any()),
        false => ClientAuth::None,
    };
    let conn = Connection::server(Arc::new(config.with_client_auth(auth)));
    let side = Side::new(conn, Vec::new(), Sink::Vec);
    let side = trace.play(Role::Server, Play::new(side, signature, slowly));

    trace.check_secrets(&log);
    assert_eq!(rng.remaining(), 0, "not every draw was made");
    assert_eq!(natives.lock().unwrap().len(), replaced.len());
    let summary = side.conn.summary().unwrap();
    assert_eq!(summary.group, Some(group));
    assert_eq!(summary.retried, hellos.len() == 2);
    assert_eq!(summary.peer_chain.is_empty(), !with_client);
}

/// The body of an extension of a ClientHello.
fn extension(hello: &[u8], wanted: [u8; 2]) -> Option<Vec<u8>> {
    let pair = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
    let mut at = 39 + usize::from(hello[38]);
    at += 2 + pair(at);
    at += 1 + usize::from(hello[at]) + 2;
    while at < hello.len() {
        let len = pair(at + 2);
        if hello[at..at + 2] == wanted {
            return Some(hello[at + 4..at + 4 + len].to_vec());
        }
        at += 4 + len;
    }
    None
}

/// `provider` with a verifier for the traces' keys, which have 1024 bits: half of what Sealwire accepts.
fn with_small_rsa(provider: Provider) -> Provider {
    let hash = provider.suite(CipherSuiteId::TLS_AES_128_GCM_SHA256).unwrap().hash;
    let small: &'static dyn SignatureVerifier = Box::leak(Box::new(SmallRsa { hash }));
    let others = provider.verifiers.iter().copied().filter(|v| v.scheme() != small.scheme());
    let verifiers: Vec<_> = std::iter::once(small).chain(others).collect();
    Provider { verifiers: Box::leak(verifiers.into_boxed_slice()), ..provider }
}

/// RSASSA-PSS with SHA-256 and a salt of 32 bytes (RFC 8017 §8.1.2), for keys of any size.
struct SmallRsa {
    hash: &'static dyn Hash,
}

impl SignatureVerifier for SmallRsa {
    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::rsa_pss_rsae_sha256
    }

    fn certificate_algorithms(&self) -> &'static [&'static [u8]] {
        &[]
    }

    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let key = SubjectPublicKeyInfo::from_der(spki).map_err(|_| CryptoError)?.1;
        let Ok(PublicKey::RSA(key)) = key.parsed() else { return Err(CryptoError) };
        let modulus = BigUint::from_bytes_be(key.modulus);
        let exponent = BigUint::from_bytes_be(key.exponent);
        let power = BigUint::from_bytes_be(signature).modpow(&exponent, &modulus).to_bytes_be();
        let bits = usize::try_from(modulus.bits()).unwrap() - 1;
        let mut encoded = vec![0; bits.div_ceil(8).checked_sub(power.len()).ok_or(CryptoError)?];
        encoded.extend(power);
        self.is_pss(&encoded, bits, message).then_some(()).ok_or(CryptoError)
    }
}

impl SmallRsa {
    /// RFC 8017 §9.1.2
    fn is_pss(&self, encoded: &[u8], bits: usize, message: &[u8]) -> bool {
        let Some((rest, [0xbc])) = encoded.split_last_chunk::<1>() else { return false };
        let (masked, digest) = rest.split_at(rest.len() - 32);
        let mut block: Vec<u8> =
            (0..).flat_map(|i| self.mask(digest, i)).zip(masked).map(|(a, b)| a ^ b).collect();
        block[0] &= 0xff >> (8 * encoded.len() - bits);
        let (padding, salt) = block.split_at(block.len() - 32);
        let mut salted = vec![0; 8];
        salted.extend_from_slice(self.hash.digest(message).as_ref());
        salted.extend_from_slice(salt);
        let (one, zeros) = padding.split_last().unwrap();
        *one == 1 && zeros.iter().all(|z| *z == 0) && self.hash.digest(&salted).as_ref() == digest
    }

    /// Block `i` of MGF1 (RFC 8017 §B.2.1).
    fn mask(&self, seed: &[u8], i: u32) -> Vec<u8> {
        self.hash.digest(&[seed, &i.to_be_bytes()].concat()).as_ref().to_vec()
    }
}

/// The verifier above would let everything pass if it were wrong in the right way.
#[test]
fn the_small_verifier_verifies() {
    let trace = Trace::load("simple_1rtt");
    let leaf = chain(&trace.messages(Role::Server, CERTIFICATE)[0]).remove(0);
    let leaf = X509Certificate::from_der(&leaf).unwrap().1.public_key().raw.to_vec();
    let (_, mut signature) = signature(&trace.messages(Role::Server, CERTIFICATE_VERIFY)[0]);
    // RFC 9846 §4.5.2: the transcript up to Certificate, hashed.
    let provider = with_small_rsa(scripted(Vec::new()).0);
    let hash = provider.suite(CipherSuiteId::TLS_AES_128_GCM_SHA256).unwrap().hash;
    let transcript: Vec<u8> = trace.messages[..4].iter().flat_map(|m| m.1.clone()).collect();
    let mut message = vec![0x20; 64];
    message.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
    message.extend_from_slice(hash.digest(&transcript).as_ref());
    let scheme = SignatureScheme::rsa_pss_rsae_sha256;
    let verify = |m: &[u8], s: &[u8]| provider.verify_handshake(scheme, &leaf, m, s);
    assert!(contains(&trace.messages[2].1, &unhex("08000024")));
    verify(&message, &signature).unwrap();
    assert!(verify(&message[1..], &signature).is_err());
    signature[127] ^= 1;
    assert!(verify(&message, &signature).is_err());
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const NEW_SESSION_TICKET: u8 = 4;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;
const CERTIFICATE_VERIFY: u8 = 15;
const COOKIE: [u8; 2] = [0, 44];
const KEY_SHARE: [u8; 2] = [0, 51];
