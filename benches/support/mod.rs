//! What both benchmarks need: certificates, pairs of connections in memory, and ratios of what ran in the same rounds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::crypto::ring;
use sealwire::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sealwire::{
    ClientAuth, ClientConfig, Connection, Credential, Read, ServerConfig, TrustAnchors, Verifier,
};

/// A root that both ends trust, and a chain of leaf and intermediate for each, all with keys on P-256.
pub struct Pki {
    /// The root.
    pub root: CertificateDer<'static>,
    /// The server's, which is `localhost`.
    pub server: Identity,
    /// The client's.
    pub client: Identity,
}

/// A chain and its key.
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Identity {
    /// PKCS#8.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone().into())
    }

    fn credential(&self) -> Arc<Credential> {
        let loaded = Credential::new(&ring::provider(), self.chain.clone(), &self.key());
        Arc::new(loaded.unwrap())
    }
}

impl Pki {
    /// A new one.
    pub fn generate() -> Self {
        let (root, issuer) = authority("root", None);
        let (intermediate, issuer) = authority("intermediate", Some(&issuer));
        let leaf = |name: &str, role| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![role];
            params.use_authority_key_identifier_extension = true;
            let leaf = params.signed_by(&key, &issuer).unwrap();
            let chain = vec![leaf.der().clone(), intermediate.clone()];
            Identity { chain, key: key.serialize_der() }
        };
        Self {
            server: leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth),
            client: leaf("client.example", ExtendedKeyUsagePurpose::ClientAuth),
            root,
        }
    }

    /// Our two configurations, with one suite and one group.
    pub fn configs(
        &self,
        suite: CipherSuiteId,
        group: NamedGroup,
        mutual: bool,
    ) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
        let verifier = || Verifier::new(TrustAnchors::from_certificates([self.root.clone()]));
        let client = ClientConfig::new(ring::provider(), verifier()).unwrap();
        let client = client.with_suites(&[suite]).unwrap().with_groups(&[group]).unwrap();
        let server = ServerConfig::new(ring::provider(), vec![self.server.credential()]).unwrap();
        let server = server.with_suites(&[suite]).unwrap().with_groups(&[group]).unwrap();
        if mutual {
            let server = server.with_client_auth(ClientAuth::Required(verifier()));
            let client = client.with_credentials(vec![self.client.credential()]);
            return (Arc::new(client), Arc::new(server));
        }
        (Arc::new(client), Arc::new(server))
    }
}

fn authority(
    name: &str,
    parent: Option<&Issuer<'static, KeyPair>>,
) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = match parent {
        Some(parent) => params.signed_by(&key, parent),
        None => params.self_signed(&key),
    };
    (certificate.unwrap().der().clone(), Issuer::new(params, key))
}

/// A whole handshake of ours, client and server.
pub fn handshake(
    client_config: &Arc<ClientConfig>,
    server_config: &Arc<ServerConfig>,
    now: UnixTime,
) -> (Connection, Connection) {
    let (mut to_server, mut to_client) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    let name = ServerName::try_from("localhost").unwrap();
    let config = Arc::clone(client_config);
    let mut client = Connection::client(config, name, now, &mut to_server).unwrap();
    let mut server = Connection::server(Arc::clone(server_config));
    while !to_server.is_empty() || !to_client.is_empty() {
        deliver(&mut server, &mut to_server, &mut to_client, now);
        deliver(&mut client, &mut to_client, &mut to_server, now);
    }
    assert!(client.is_connected() && server.is_connected());
    (client, server)
}

fn deliver(to: &mut Connection, input: &mut Vec<u8>, output: &mut Vec<u8>, now: UnixTime) {
    let mut start = 0;
    while let Read::Control { used } = to.read(now, &mut input[start..], output).unwrap() {
        start += used;
    }
    assert_eq!(start, input.len(), "flights are whole");
    input.clear();
    while to.poll_event().is_some() {}
}

/// Whether the program was started to be measured, and not to be listed or tried.
pub fn measures() -> bool {
    std::env::args().any(|arg| arg == "--bench") && !std::env::args().any(|arg| arg == "--list")
}

/// Times of `ours` and `theirs` for one turn, and the ratio. Rounds take turns, so that a drift of the machine meets
/// both; medians are taken.
pub fn compare(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut theirs: impl FnMut() -> Duration,
) -> (Duration, Duration, f64) {
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (mine, other) = (ours(), theirs());
        ratios.push(mine.as_secs_f64() / other.as_secs_f64());
        a.push(mine);
        b.push(other);
    }
    a.sort();
    b.sort();
    ratios.sort_by(f64::total_cmp);
    (a[rounds / 2], b[rounds / 2], ratios[rounds / 2])
}

/// How long `run` takes.
pub fn time<T>(run: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(run());
    start.elapsed()
}
