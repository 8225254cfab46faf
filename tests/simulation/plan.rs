//! What a seed fixes before anything happens: two configurations, and what outlives a connection.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::compress::{CertificateCompression, Zlib};
use sealwire::crypto::deterministic::{SeededRng, provider};
use sealwire::crypto::{Aead, AeadKey, CipherSuite, Provider};
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    Answer, Ask, Choice, ClientAuth, ClientConfig, CookieKey, Credential, CryptoError, ExternalPsk,
    Limits, MemoryReplay, MemorySessions, MemoryTickets, MigrationKey, Padding, PskPolicy,
    Question, ServerConfig, TicketKeys, Tickets, Verifier,
};

use super::Sabotage;
use super::pki::{Identity, PKI};
use super::random::Rand;

/// Everything that connections of one seed share.
pub struct World {
    pub seed: u64,
    pub client: Arc<ClientConfig>,
    pub server: Arc<ServerConfig>,
    /// By role: the client's, the server's.
    pub max_fragment: [usize; 2],
    pub migration: [MigrationKey; 2],
    /// Whose post-handshake authentication was offered, so that neither end can be moved or split at will.
    pub post_auth: bool,
    /// Whether a client that shows a certificate later shows one that the server does not trust.
    pub stranger: bool,
    /// Who shows a raw public key: the client, the server.
    pub raw: [bool; 2],
    /// Who the client is, if anybody, and who the server is.
    pub identities: [Option<&'static Identity>; 2],
    /// The server's.
    pub tickets: Option<Arc<dyn Tickets>>,
    /// Whether a handshake without faults succeeds, where that can be told beforehand.
    pub succeeds: Option<bool>,
    pub sabotage: Sabotage,
    pub now: UnixTime,
    text: String,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.text)
    }
}

const SUITES: [CipherSuiteId; 3] = [
    CipherSuiteId::TLS_AES_128_GCM_SHA256,
    CipherSuiteId::TLS_AES_256_GCM_SHA384,
    CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
];

pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("server.test").unwrap()
}

fn one_in(rand: &mut Rand, chances: usize) -> bool {
    rand.below(chances) == 0
}

/// Some of `all`, at least one, in any order.
fn some<T: Clone>(rand: &mut Rand, all: &[T]) -> Vec<T> {
    let mut list = all.to_vec();
    for i in (1..list.len()).rev() {
        list.swap(i, rand.below(i + 1));
    }
    // Mostly all of them: what has nothing in common ends soon.
    let keep = if one_in(rand, 3) { 1 + rand.below(list.len()) } else { list.len() };
    list.truncate(keep);
    list
}

fn groups(rand: &mut Rand) -> Vec<NamedGroup> {
    let mut all = vec![NamedGroup::x25519, NamedGroup::secp256r1];
    if one_in(rand, 8) {
        all.push(NamedGroup::X25519MLKEM768);
    }
    if one_in(rand, 24) {
        all.push(NamedGroup::secp384r1);
    }
    some(rand, &all)
}

fn alpn(rand: &mut Rand) -> Vec<&'static [u8]> {
    match rand.below(3) {
        0 => Vec::new(),
        _ => some(rand, &[&b"h2"[..], b"http/1.1", b"imap"]),
    }
}

/// Full records with a few bytes each would be gigabytes.
fn padding(rand: &mut Rand, max_fragment: usize) -> Padding {
    match rand.below(16) {
        0 => Padding::MultipleOf(u16::try_from(rand.below(600)).unwrap()),
        1 => Padding::MultipleOf(64),
        2 if one_in(rand, 4) && max_fragment >= 1_000 => Padding::Full,
        _ => Padding::None,
    }
}

fn max_fragment(rand: &mut Rand) -> usize {
    match rand.below(12) {
        0 => 1 + rand.below(64),
        1..=3 => 64 + rand.below(1_000),
        _ => 1 << 14,
    }
}

fn ask(rand: &mut Rand) -> Ask {
    let mut bit = || one_in(rand, 6);
    Ask {
        client_hello: bit(),
        credential: bit(),
        signature: bit(),
        verdict: bit(),
        psk: bit(),
        early_data: bit(),
    }
}

/// What `identity` shows of itself.
fn show(identity: &Identity, provider: &Provider, raw: bool) -> Arc<Credential> {
    if raw { identity.raw(provider) } else { identity.credential(provider) }
}

fn compression(on: bool) -> Vec<Arc<dyn CertificateCompression>> {
    if on { vec![Arc::new(Zlib)] } else { Vec::new() }
}

impl World {
    pub fn new(seed: u64, rand: &mut Rand, sabotage: Sabotage) -> Self {
        let sloppy = sabotage == Sabotage::AcceptAnyTag;
        let new_provider = |number: u64| {
            let rng = SeededRng::new(seed.wrapping_mul(2).wrapping_add(number));
            let provider = provider(Arc::new(rng));
            Provider { suites: if sloppy { *SLOPPY } else { provider.suites }, ..provider }
        };
        let providers = [new_provider(0), new_provider(1)];
        let now = UnixTime::since_unix_epoch(Duration::from_secs(
            1_790_000_000 + u64::try_from(rand.below(1 << 20)).unwrap(),
        ));
        let suites = [some(rand, &SUITES), some(rand, &SUITES)];
        let groups = [groups(rand), groups(rand)];
        let alpn = [alpn(rand), alpn(rand)];
        let max_fragment = [max_fragment(rand), max_fragment(rand)];
        let trusted = !one_in(rand, 24);
        let raw = [one_in(rand, 10), one_in(rand, 10)];
        let compressed = [one_in(rand, 4), one_in(rand, 4)];
        let server_kind = rand.below(2);

        // The client.
        let verifier = match raw[1] {
            false => Verifier::new(PKI.anchors(!trusted)),
            true => {
                let known = if trusted { &PKI.servers[server_kind] } else { &PKI.stranger };
                Verifier::raw_public_keys([known.spki()]).unwrap()
            }
        };
        let client = ClientConfig::new(providers[0].clone(), verifier).unwrap();
        let client = client.with_suites(&suites[0]).unwrap();
        let client = client.with_groups(&groups[0]).unwrap();
        let shares = 1 + rand.below(groups[0].len());
        let client = client.with_key_shares(&groups[0][..shares.min(2)]).unwrap();
        let client =
            client.with_alpn(&alpn[0]).unwrap().with_padding(padding(rand, max_fragment[0]));
        let client = client.with_max_fragment(max_fragment[0]).unwrap().with_ask(ask(rand));
        let client = client.with_middlebox_compatibility(!one_in(rand, 3));
        let mut client = client.with_server_name(!one_in(rand, 8));
        if one_in(rand, 6) {
            client = client.with_key_update_after(2 + rand.next() % 20);
        }
        let identity = match rand.below(6) {
            0 => None,
            1 if one_in(rand, 3) => Some(&PKI.stranger),
            n => Some(&PKI.clients[n % 2]),
        };
        if let Some(identity) = identity {
            client = client.with_credentials(vec![show(identity, &providers[0], raw[0])]);
        }
        client = client.with_certificate_compression(compression(compressed[0])).unwrap();
        let post_auth = one_in(rand, 8);
        client = client.with_post_handshake_auth(post_auth);
        let resumes = !one_in(rand, 6);
        if resumes {
            client = client.with_sessions(Arc::new(MemorySessions::new(8, 1 << 20)));
            client = client.with_early_data(!one_in(rand, 3));
        }

        // The server.
        let credential = show(&PKI.servers[server_kind], &providers[1], raw[1]);
        let server = ServerConfig::new(providers[1].clone(), vec![credential]).unwrap();
        let server = server.with_suites(&suites[1]).unwrap();
        let server = server.with_groups(&groups[1]).unwrap();
        let server =
            server.with_alpn(&alpn[1]).unwrap().with_padding(padding(rand, max_fragment[1]));
        let server = server.with_max_fragment(max_fragment[1]).unwrap();
        // Early data that is not taken may come in very small records, or very long ones.
        let mut limits = Limits::default();
        limits.skipped_early_data = 1 << 24;
        let mut server = server.with_limits(limits).with_ask(ask(rand));
        if one_in(rand, 6) {
            server = server.with_key_update_after(2 + rand.next() % 20);
        }
        server = server.with_certificate_compression(compression(compressed[1])).unwrap();
        let clients = || match raw[0] {
            false => Verifier::new(PKI.anchors(false)),
            true => Verifier::raw_public_keys(PKI.clients.each_ref().map(Identity::spki)).unwrap(),
        };
        let (auth, demand) = match rand.below(6) {
            0 => (ClientAuth::Required(clients()), 2),
            1 => (ClientAuth::Optional(clients()), 1),
            2 => (ClientAuth::OnRequest(clients()), 0),
            _ => (ClientAuth::None, 0),
        };
        server = server.with_client_auth(auth);
        if one_in(rand, 4) {
            let key = CookieKey::generate(&providers[1]).unwrap();
            server = server.with_stateless_retry(Arc::new(key));
        }
        let psk = one_in(rand, 8);
        if psk {
            let policy = |rand: &mut Rand| match one_in(rand, 2) {
                true => PskPolicy::OrCertificate,
                false => PskPolicy::Required,
            };
            let key = |byte| Arc::new(ExternalPsk::new(b"name", &[byte; 32]).unwrap());
            let other = if one_in(rand, 6) { 2 } else { 1 };
            client = client.with_external_psks(vec![key(1)], policy(rand));
            server = server.with_external_psks(vec![key(other)], policy(rand));
        }

        // What would go wrong by itself.
        let common = |a: &[CipherSuiteId], b: &[CipherSuiteId]| a.iter().any(|x| b.contains(x));
        let known = identity.is_some_and(|identity| !std::ptr::eq(identity, &PKI.stranger));
        let protocols =
            alpn[0].is_empty() || alpn[1].is_empty() || alpn[0].iter().any(|p| alpn[1].contains(p));
        let authenticated = match demand {
            2 => known,
            1 => known || identity.is_none(),
            _ => true,
        };
        let succeeds = trusted
            && authenticated
            && protocols
            && common(&suites[0], &suites[1])
            && groups[0].iter().any(|g| groups[1].contains(g));

        // The same key twice, neither of which knows what the other has thawed.
        let migration = [1, 1].map(|byte| MigrationKey::new(&providers[1], &[byte; 32]).unwrap());
        let text = format!(
            "suites {suites:?} groups {groups:?} alpn {alpn:?} trusted {trusted} demand {demand} \
             psk {psk} raw {raw:?} compressed {compressed:?} fragments {max_fragment:?} succeeds {succeeds}"
        );
        let mut this = Self {
            seed,
            client: Arc::new(client),
            server: Arc::new(server),
            max_fragment,
            migration,
            post_auth,
            stranger: post_auth && identity.is_some() && !known,
            raw,
            identities: [identity, Some(&PKI.servers[server_kind])],
            tickets: None,
            succeeds: (!psk).then_some(succeeds),
            sabotage,
            now,
            text,
        };
        this.start_server(rand);
        this
    }

    /// A server process begins: it has new tickets, and a new memory of first flights.
    fn start_server(&mut self, rand: &mut Rand) {
        let mut server = (*self.server).clone();
        let provider = server.provider().clone();
        let tickets: Option<Arc<dyn Tickets>> = match rand.below(6) {
            0 => None,
            1 => Some(Arc::new(MemoryTickets::new(&provider, 8, 1 << 20))),
            _ => Some(Arc::new(TicketKeys::new(&provider, self.now).unwrap())),
        };
        self.tickets.clone_from(&tickets);
        if let Some(tickets) = tickets {
            let (count, lifetime) = (rand.below(4), 100 + rand.below(100_000));
            let (count, lifetime) =
                (u8::try_from(count).unwrap(), u32::try_from(lifetime).unwrap());
            server = server.with_tickets(tickets).with_ticket_policy(count, lifetime).unwrap();
        }
        if !one_in(rand, 6) {
            // Mostly one that has been there for a while.
            let started = self.now.as_secs() - if one_in(rand, 4) { 0 } else { 1_000 };
            let started = UnixTime::since_unix_epoch(Duration::from_secs(started));
            let most = u32::try_from(rand.below(40_000)).unwrap();
            server = server.with_early_data(Arc::new(MemoryReplay::new(100, started)), most);
        }
        self.server = Arc::new(server);
    }

    /// What the application of this end says to a question, if not that the configuration knows: the same, said by itself.
    pub fn answer(&self, end: usize, question: &Question, rand: &mut Rand) -> Answer {
        let provider = [self.client.provider(), self.server.provider()][end];
        let shown = |identity| show(identity, provider, self.raw[end]);
        match (question, rand.below(3)) {
            (_, 0) => Answer::UseConfig,
            (Question::ClientHello(_), 1) => {
                Answer::Choose(Choice::default().with_config(Arc::clone(&self.server)))
            }
            (Question::ClientHello(_), _) => {
                let own = shown(self.identities[end].unwrap());
                Answer::Choose(Choice::default().with_credential(own))
            }
            (Question::Credential(_), _) => Answer::Credential(self.identities[end].map(shown)),
            (Question::Signature(request), _) => {
                Answer::Signature(self.identities[end].unwrap().sign(provider, request))
            }
            // Only where the configuration would, too.
            (Question::Verdict(_), _) if self.succeeds == Some(true) && !self.stranger => {
                Answer::Accept
            }
            (Question::Psk(_), 1) if self.succeeds.is_some() => Answer::NoPsk,
            (Question::Psk(identities), _) if self.succeeds.is_some() => self.redeem(identities),
            (Question::EarlyData(_), 1) => Answer::Decline,
            _ => Answer::UseConfig,
        }
    }

    /// The first identity that is a ticket of ours.
    fn redeem(&self, identities: &[Vec<u8>]) -> Answer {
        let Some(tickets) = &self.tickets else { return Answer::NoPsk };
        let mut redeemed = identities
            .iter()
            .enumerate()
            .filter_map(|(i, t)| Some((i, tickets.redeem(t, self.now)?)));
        match redeemed.next() {
            Some((index, ticket)) => Answer::Ticket(index, Arc::new(ticket)),
            None => Answer::NoPsk,
        }
    }

    /// Time passes, and the server may be started again.
    pub fn next_round(&mut self, number: usize, rand: &mut Rand) {
        if number == 0 {
            return;
        }
        let seconds = [rand.below(3), rand.below(12), rand.below(100_000)][rand.below(3)];
        self.advance(u64::try_from(seconds).unwrap());
        if one_in(rand, 6) {
            self.start_server(rand);
        }
    }

    fn advance(&mut self, seconds: u64) {
        self.now = UnixTime::since_unix_epoch(Duration::from_secs(self.now.as_secs() + seconds));
    }
}

/// The real suites with an AEAD whose tags nobody checks.
static SLOPPY: LazyLock<&'static [&'static CipherSuite]> = LazyLock::new(|| {
    let real = provider(Arc::new(SeededRng::new(0))).suites;
    let sloppy = real.iter().map(|suite| {
        let aead: &'static dyn Aead = Box::leak(Box::new(Sloppy(suite.aead.key_len())));
        &*Box::leak(Box::new(CipherSuite { id: suite.id, hash: suite.hash, aead }))
    });
    Vec::leak(sloppy.collect())
});

struct Sloppy(usize);

impl Aead for Sloppy {
    fn key_len(&self) -> usize {
        self.0
    }

    fn record_limit(&self) -> u64 {
        u64::MAX
    }

    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Ok(Box::new(SloppyKey(key.to_vec())))
    }
}

struct SloppyKey(Vec<u8>);

impl SloppyKey {
    fn apply(&self, nonce: [u8; 12], bytes: &mut [u8]) {
        let stream = self.0.iter().zip(nonce.iter().cycle()).map(|(k, n)| k ^ n).cycle();
        bytes.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
}

impl AeadKey for SloppyKey {
    fn seal(&self, nonce: [u8; 12], _: &[u8], in_out: &mut [u8]) -> Result<[u8; 16], CryptoError> {
        self.apply(nonce, in_out);
        Ok([7; 16])
    }

    fn open(&self, nonce: [u8; 12], _: &[u8], in_out: &mut [u8]) -> Result<usize, CryptoError> {
        let len = in_out.len().checked_sub(16).ok_or(CryptoError)?;
        self.apply(nonce, &mut in_out[..len]);
        Ok(len)
    }
}
