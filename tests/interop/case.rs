//! What is tried with every peer: the cases, what each has to negotiate, and the run of one.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use sealwire::codepoints::{CipherSuiteId, NamedGroup, ProtocolVersion};
use sealwire::{ClientAuth, ClientConfig, CookieKey, ServerConfig, Summary, Verifier};

use crate::child::{Context, Peer};
use crate::driver::{Driver, Ending};
use crate::pki::{Key, Pki, provider};

/// How much goes each way.
pub(crate) const MEBIBYTE: usize = 1 << 20;

/// Why the server has to send a HelloRetryRequest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It has not.
    No,
    /// The client's first key share is for another group.
    OtherShare,
    /// The client sends no key share. Only ours can.
    NoShare,
    /// As `OtherShare`, and the server wants its cookie back. Only ours does.
    Cookie,
}

/// One line of the matrix. Both ends authenticate in every one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) suite: CipherSuiteId,
    pub(crate) group: NamedGroup,
    pub(crate) retry: Retry,
    /// What the leaf certificates of both ends hold.
    pub(crate) key: Key,
    /// Whether we change our key half-way, and ask the peer to.
    pub(crate) update: bool,
}

/// The cases differ from this one.
pub(crate) const PLAIN: Case = Case {
    suite: CipherSuiteId::TLS_AES_128_GCM_SHA256,
    group: NamedGroup::x25519,
    retry: Retry::No,
    key: Key::P256,
    update: false,
};

/// The table: `matrix!` says which peers can do which.
const CASES: &[(&str, Case)] = &[
    ("aes_128_gcm", PLAIN),
    ("aes_256_gcm", Case { suite: CipherSuiteId::TLS_AES_256_GCM_SHA384, ..PLAIN }),
    ("chacha20_poly1305", Case { suite: CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256, ..PLAIN }),
    ("secp256r1", Case { group: NamedGroup::secp256r1, ..PLAIN }),
    ("secp384r1", Case { group: NamedGroup::secp384r1, ..PLAIN }),
    ("x25519mlkem768", Case { group: NamedGroup::X25519MLKEM768, ..PLAIN }),
    #[cfg(feature = "aws-lc")]
    ("secp521r1", Case { group: NamedGroup::secp521r1, ..PLAIN }),
    #[cfg(feature = "aws-lc")]
    ("secp256r1mlkem768", Case { group: NamedGroup::SecP256r1MLKEM768, ..PLAIN }),
    #[cfg(feature = "aws-lc")]
    ("secp384r1mlkem1024", Case { group: NamedGroup::SecP384r1MLKEM1024, ..PLAIN }),
    #[cfg(feature = "aws-lc")]
    (
        "retry_to_secp384r1mlkem1024",
        Case { group: NamedGroup::SecP384r1MLKEM1024, retry: Retry::OtherShare, ..PLAIN },
    ),
    ("p384_key", Case { key: Key::P384, ..PLAIN }),
    ("ed25519_key", Case { key: Key::Ed25519, ..PLAIN }),
    ("rsa_key", Case { key: Key::Rsa, ..PLAIN }),
    ("retry_other_share", Case { retry: Retry::OtherShare, ..PLAIN }),
    ("retry_no_share", Case { retry: Retry::NoShare, ..PLAIN }),
    (
        // The first ClientHello enters the transcript as its hash (RFC 9846 §4.1), here the longer one.
        "retry_to_secp384r1",
        Case {
            suite: CipherSuiteId::TLS_AES_256_GCM_SHA384,
            group: NamedGroup::secp384r1,
            retry: Retry::OtherShare,
            ..PLAIN
        },
    ),
    (
        "retry_to_x25519mlkem768",
        Case { group: NamedGroup::X25519MLKEM768, retry: Retry::OtherShare, ..PLAIN },
    ),
    ("cookie", Case { retry: Retry::Cookie, ..PLAIN }),
    ("cookie_to_secp384r1", Case { group: NamedGroup::secp384r1, retry: Retry::Cookie, ..PLAIN }),
    ("key_update", Case { update: true, ..PLAIN }),
    (
        "key_update_aes_256_gcm",
        Case { suite: CipherSuiteId::TLS_AES_256_GCM_SHA384, update: true, ..PLAIN },
    ),
];

/// The case of that name.
pub(crate) fn named(name: &str) -> &'static Case {
    let found = CASES.iter().find(|(n, _)| *n == name);
    &found.unwrap_or_else(|| panic!("no case {name}")).1
}

impl Case {
    /// A group that is in common, but not the one to be used: a retry's first key share is for it.
    pub(crate) fn decoy(&self) -> NamedGroup {
        if self.group == NamedGroup::x25519 { NamedGroup::secp256r1 } else { NamedGroup::x25519 }
    }

    /// The peer's groups as a client: the first gets the key share.
    pub(crate) fn client_groups(&self) -> Vec<NamedGroup> {
        match self.retry {
            Retry::No => vec![self.group],
            _ => vec![self.decoy(), self.group],
        }
    }

    /// Our client.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        let pki = Pki::shared();
        let provider = provider();
        let credential = pki.client(self.key).credential(&provider);
        let config = ClientConfig::new(provider, Verifier::new(pki.anchors())).unwrap();
        let config = config.with_credentials(vec![credential]);
        let config = config.with_suites(&[self.suite]).unwrap();
        let config = config.with_groups(&self.client_groups()).unwrap();
        let config = match self.retry {
            Retry::No => config,
            Retry::OtherShare | Retry::Cookie => config.with_key_shares(&[self.decoy()]).unwrap(),
            Retry::NoShare => config.with_key_shares(&[]).unwrap(),
        };
        Arc::new(config)
    }

    /// Our server.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let pki = Pki::shared();
        let provider = provider();
        let credential = pki.server(self.key).credential(&provider);
        let config = ServerConfig::new(provider, vec![credential]).unwrap();
        let config = config.with_client_auth(ClientAuth::Required(Verifier::new(pki.anchors())));
        let config = config.with_suites(&[self.suite]).unwrap();
        let config = config.with_groups(&[self.group]).unwrap();
        Arc::new(match self.retry {
            Retry::Cookie => config.with_stateless_retry(cookie_key()),
            _ => config,
        })
    }

    /// What has to come out.
    pub(crate) fn check(&self, summary: &Summary) {
        assert_eq!(summary.version, ProtocolVersion::TLSv1_3);
        assert_eq!(summary.suite, self.suite);
        assert_eq!(summary.group, Some(self.group));
        assert_eq!(summary.is_post_quantum(), self.group.is_post_quantum());
        assert_eq!(summary.retried, self.retry != Retry::No);
        assert!(!summary.resumed);
        assert_eq!(summary.peer_chain.len(), 2, "leaf and intermediate");
        for scheme in [summary.own_scheme, summary.peer_scheme] {
            let scheme = scheme.expect("both ends sign");
            assert!(self.key.makes(scheme), "{scheme} by a key of {:?}", self.key);
        }
    }
}

/// The peer, once the connection stands.
pub(crate) enum FarEnd {
    /// Sends what it is fed, prints what it gets, and answers our close_notify.
    Program(Peer),
    /// The same, but it is the one that ends the connection, when its input ends.
    Ender(Peer),
    /// Sends back what it gets.
    Echo(#[expect(dead_code, reason = "it runs as long as it is held")] Peer),
    /// A thread of this process that gets [`MEBIBYTE`] bytes of [`payload`] 1, then sends as many of payload 2.
    Thread(JoinHandle<()>),
}

/// The peer's client with our server.
pub(crate) fn accept(case: &Case, context: &Context, far: FarEnd, stream: TcpStream) {
    let driver = Driver::server(case.server_config(), stream, context.deadline);
    converse(case, context, far, driver);
}

/// Our client with the peer's server.
pub(crate) fn connect(case: &Case, context: &Context, far: FarEnd, stream: TcpStream) {
    let driver = Driver::client(case.client_config(), stream, context.deadline).unwrap();
    converse(case, context, far, driver);
}

/// A handshake, 1 MiB each way, and the end, which is clean on both sides.
fn converse(case: &Case, context: &Context, mut far: FarEnd, mut driver: Driver) {
    driver.handshake().unwrap();
    case.check(driver.summary());

    let (to_peer, from_peer) = (payload(1, MEBIBYTE), payload(2, MEBIBYTE));
    if let FarEnd::Program(peer) | FarEnd::Ender(peer) = &mut far {
        // OpenSSL answers a KeyUpdate when it has something to say: the second half comes after it.
        let first = if case.update { MEBIBYTE / 2 } else { MEBIBYTE };
        peer.feed(from_peer[..first].to_vec());
        driver.send_all(&to_peer, case.update).unwrap();
        peer.stdout.wait_for(context.deadline, first);
        peer.feed(from_peer[first..].to_vec());
        same(&peer.stdout.wait_for(context.deadline, MEBIBYTE), &to_peer);
    } else {
        driver.send_all(&to_peer, case.update).unwrap();
    }
    let expected = if matches!(far, FarEnd::Echo(_)) { &to_peer } else { &from_peer };
    same(driver.receive(MEBIBYTE).unwrap(), expected);
    if case.update {
        driver.wait_for_key_updates(1).unwrap();
    }

    if let FarEnd::Ender(peer) = &mut far {
        peer.end_input();
        assert_eq!(driver.wait_for_end().unwrap(), Ending::Clean);
    }
    assert_eq!(driver.close().unwrap(), Ending::Clean);
    assert_eq!(driver.key_updates() > 0, case.update);
    if let FarEnd::Thread(thread) = far {
        thread.join().expect("the peer's thread");
    }
}

/// Compares without printing a mebibyte.
pub(crate) fn same(got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len());
    let differs = got.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(differs, None, "the data is damaged");
}

/// `len` bytes that depend on `seed`: lines of hexadecimal digits, because gnutls-serv echoes text only.
pub(crate) fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"0123456789abcdef"[(state >> 60) as usize]
    };
    (1..=len).map(|i| if i % 64 == 0 { b'\n' } else { next() }).collect()
}

fn cookie_key() -> Arc<CookieKey> {
    let provider = provider();
    Arc::new(CookieKey::generate(&provider).unwrap())
}
