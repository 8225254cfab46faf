//! Resumed 0-RTT (RFC 8448 §4).
//!
//! The client resumes with what it kept of the trace of §3. The server's ticket is not ours, so that a store stands in for
//! it, which hands out the state of a session of ours with the published key in it. The binder is computed, and not copied:
//! the published ClientHello comes with zeros in its place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    ClientConfig, Connection, EarlyData, MemoryReplay, RedeemedTicket, ServerConfig, Session,
    SessionStore, Tickets, Verifier,
};

use super::support::session::Parts;
use super::support::trace::{Play, contains, randoms, replace};
use super::support::{
    Calls, Kind, Lines, Pair, Role, Side, Sink, Transport, hex, later, now, pki, scripted, seeded,
    server_name,
};
use super::{
    CLIENT_HELLO, ENCRYPTED_EXTENSIONS, KEY_SHARE, NEW_SESSION_TICKET, SERVER_HELLO, Trace,
    extension, with_small_rsa,
};

#[test]
fn resumed_0rtt() {
    let (first, second) = (Trace::load("simple_1rtt"), Trace::load("resumed_0rtt"));
    let ticket = first.messages(Role::Server, NEW_SESSION_TICKET).remove(0);
    for slowly in [false, true] {
        let sessions = super::client(&first, slowly);
        assert_eq!(sessions.len(), 1);
        let session = sessions.drain().remove(0);
        let parts = Parts::of(&session);
        assert_eq!(parts.psk, hex(&second.secrets["psk"]));
        assert!(contains(&ticket, &parts.ticket));
        resuming_client(&second, &parts, slowly);
        resuming_server(&second, &parts, slowly);
    }
}

fn resuming_client(trace: &Trace, session: &Parts, slowly: bool) {
    let hello = trace.messages(Role::Client, CLIENT_HELLO).remove(0);
    let (provider, rng) = scripted(trace.draws(Role::Client, &hello));
    let mut without_binder = hello.clone();
    let binder = hello.len() - 32;
    without_binder[binder..].fill(0);
    let (hook, natives) = replace(vec![without_binder]);
    let log = Lines::new();
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
    let store = Arc::new(sealwire::MemorySessions::default());
    let config = ClientConfig::new(with_small_rsa(provider), Verifier::danger_accept_any());
    let config = config
        .unwrap()
        .with_groups(&groups)
        .unwrap()
        .with_key_shares(&groups[..1])
        .unwrap()
        .with_middlebox_compatibility(false)
        .with_sessions(store.clone())
        .with_early_data(true)
        .with_message_hook(hook)
        .with_key_log(log.clone());
    // It was kept by a configuration that asks for verdicts, as this one does not; and the certificate in the trace has
    // expired since, which ends a session, too.
    assert!(!session.build().is_usable(now()) && session.chain_expiry < now().as_secs());
    let key = *config.session_key(&server_name()).as_bytes();
    store.put(Parts { key, chain_expiry: u64::MAX, ..session.clone() }.build());
    let mut wire = Vec::new();
    let conn = Connection::client(Arc::new(config), server_name(), now(), &mut wire).unwrap();
    assert_eq!(conn.early_data_left(), Some(1024));
    let side = Side::new(conn, wire, Sink::Vec);
    let side = trace.play(Role::Client, Play::new(side, Vec::new(), slowly));

    trace.check_secrets(&log);
    assert_eq!(rng.remaining(), 0, "not every draw was made");
    let native = natives.lock().unwrap().remove(0);
    assert_eq!(randoms(&native), randoms(&hello));
    assert_eq!(extension(&native, KEY_SHARE), extension(&hello, KEY_SHARE));
    assert!(contains(&native, &session.ticket) && contains(&hello, &session.ticket));
    let summary = side.conn.summary().unwrap();
    assert!(summary.resumed && summary.early_data == EarlyData::Accepted);
}

/// Remembers what the last ticket was issued for, and says that every ticket was issued for that.
#[derive(Debug, Default)]
struct Last(Mutex<Vec<u8>>);

impl Tickets for Last {
    fn issue(&self, state: &[u8], _: UnixTime, _: Duration) -> Option<Vec<u8>> {
        *self.0.lock().unwrap() = state.to_vec();
        Some(b"ticket".to_vec())
    }

    fn redeem(&self, _: &[u8], _: UnixTime) -> Option<RedeemedTicket> {
        Some(RedeemedTicket { state: self.0.lock().unwrap().clone().into(), shared: false })
    }
}

fn resuming_server(trace: &Trace, session: &Parts, slowly: bool) {
    let hello = trace.messages(Role::Server, SERVER_HELLO).remove(0);
    let tickets = Arc::new(Last::default());
    let aes = [CipherSuiteId::TLS_AES_128_GCM_SHA256];
    let config = |provider: sealwire::crypto::Provider, count: u8| {
        let credential = pki().server(Kind::P256).credential(&provider);
        ServerConfig::new(provider, vec![credential])
            .unwrap()
            .with_groups(&[NamedGroup::x25519])
            .unwrap()
            .with_suites(&aes)
            .unwrap()
            .with_tickets(tickets.clone())
            .with_ticket_policy(count, 7200)
            .unwrap()
            .with_early_data(Arc::new(MemoryReplay::new(10, later(-100))), 1024)
    };
    // A session of ours, for the name in the trace.
    let client = ClientConfig::new(seeded(5), Verifier::danger_accept_any()).unwrap();
    let client = client.with_sessions(Arc::new(sealwire::MemorySessions::default()));
    let name = ServerName::try_from("server").unwrap();
    let client = Calls::PLAIN.client(&Arc::new(client), name, None);
    Pair::of(client, Calls::PLAIN.server(config(seeded(6), 1)), Transport::Glued).connect();
    // Version and suite stand before the key, and the number that hides the age behind it.
    let mut state = tickets.0.lock().unwrap().clone();
    assert_eq!(state[..4], [5, 0x13, 0x01, 32]);
    state[4..36].copy_from_slice(&session.psk);
    state[36..40].copy_from_slice(&session.age_add.to_be_bytes());
    *tickets.0.lock().unwrap() = state;

    let (provider, rng) = scripted(trace.draws(Role::Server, &hello));
    let (hook, natives) = replace(trace.messages(Role::Server, ENCRYPTED_EXTENSIONS));
    let log = Lines::new();
    let config = config(provider, 0).with_message_hook(hook).with_key_log(log.clone());
    let side = Side::new(Connection::server(Arc::new(config)), Vec::new(), Sink::Vec);
    let side = trace.play(Role::Server, Play::new(side, Vec::new(), slowly));

    trace.check_secrets(&log);
    assert_eq!(rng.remaining(), 0, "not every draw was made");
    assert_eq!(natives.lock().unwrap().len(), 1);
    assert_eq!(side.early, b"ABCDEF");
    let summary = side.conn.summary().unwrap();
    assert!(summary.resumed && summary.early_data == EarlyData::Accepted);
}

/// A session from the trace is one that can be written down and read again.
#[test]
fn the_session_of_the_trace_survives_storage() {
    let sessions = super::client(&Trace::load("simple_1rtt"), false);
    let session = sessions.drain().remove(0);
    let again = Session::from_bytes(&session.to_bytes().unwrap()).unwrap();
    assert_eq!(Parts::of(&session), Parts::of(&again));
    assert_eq!(Parts::of(&session), Parts::of(&Parts::of(&session).build()));
}
