//! Tickets and what is stored of a connection: opened, read back, resumed from, with any bytes in them.

use std::sync::Arc;
use std::time::Duration;

use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientHelloView, Connection, MemorySessions, MigrationKey, RedeemedTicket, Session,
    SessionStore, TicketKeys, Tickets,
};

use super::cheap::provider;
use super::peer::{Epoch, Victim};
use super::script::{message, peer};
use super::template::{go_on, template};
use super::world::{
    End, Instructions, Options, client, connected, memory, name, now, server, settle, start,
};

const WITH_SESSION: Options = Options(Options::SESSION | Options::EARLY);

/// What the bytes are, and the bytes.
pub fn ticket(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 8 {
        0 => sealed(bytes),
        1 => session(bytes),
        2 => keys(bytes),
        3 => state(bytes),
        4 => message_of_ticket(bytes),
        5 => frozen(bytes),
        6 => any_blob(bytes),
        _ => sealed_again(bytes),
    }
}

/// The bytes of `genuine`, edited as `script` says.
fn edited(genuine: &[u8], script: &[u8]) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    let mut script = Instructions(script);
    while let (Some(at), Some(byte)) = (script.short(), script.byte()) {
        match at % (bytes.len() + 2) {
            at if at < bytes.len() => bytes[at] ^= byte,
            at if at == bytes.len() => bytes.push(byte),
            _ => bytes.truncate(usize::from(byte)),
        }
    }
    bytes
}

/// A ticket that was tampered with is none.
fn sealed(script: &[u8]) {
    let keys = TicketKeys::import(&provider(3), &memory(WITH_SESSION).0).unwrap();
    let genuine = keys.issue(b"state", now(), Duration::from_secs(60)).unwrap();
    let ticket = edited(&genuine, script);
    let redeemed = keys.redeem(&ticket, now());
    assert_eq!(redeemed.is_some(), ticket == genuine);
    assert!(redeemed.is_none_or(|redeemed| *redeemed.state == *b"state"));
    // A fuzzer that watches comparisons gets hold of the genuine one.
    assert!(script == genuine || keys.redeem(script, now()).is_none());
}

/// A stored session, behind the name of its key: read and written alike, and offered, whatever is in it.
fn session(script: &[u8]) {
    let genuine = &memory(WITH_SESSION).1;
    let edits = script.get(1..).unwrap_or_default();
    let bytes = match script.first() {
        Some(0) => [&genuine[..17 + 32], edits].concat(),
        _ => edited(genuine, edits),
    };
    let Ok(session) = Session::from_bytes(&bytes) else { return };
    assert_eq!(*session.to_bytes().unwrap(), bytes);
    let (config, _) = client(WITH_SESSION);
    let sessions = Arc::new(MemorySessions::new(4, 1 << 20));
    let config = config.with_sessions(sessions.clone());
    let usable = session.is_usable(now()) && *session.key() == config.session_key(&name());
    sessions.put(session);
    // One that does not fit into a ClientHello is the application's mistake.
    let Ok(client) = ({
        let mut out = Vec::new();
        let made = Connection::client(Arc::new(config), name(), now(), &mut out);
        made.map(|client| (client, out))
    }) else {
        return;
    };
    let view = ClientHelloView::from_bytes(&client.1[5..]);
    if let Ok(view) = view {
        let offered = view.extensions().iter().any(|(kind, _)| kind.0 == 41);
        assert!(usable || !offered, "an unusable session is offered");
    }
    let mut client = End::new(client.0, client.1);
    let mut server = End::new(Connection::server(Arc::new(server(WITH_SESSION))), Vec::new());
    settle(&mut client, &mut server);
    agree(&client, &server);
}

/// Either both know what happened, or one of them has failed.
fn agree(client: &End, server: &End) {
    if let (Some(one), Some(other)) = (client.exported(), server.exported()) {
        assert_eq!(one, other);
    }
}

/// Exported ticket keys: read or refused; those that are read work.
fn keys(script: &[u8]) {
    let genuine = &memory(WITH_SESSION).0;
    let edits = script.get(1..).unwrap_or_default();
    let bytes = match script.first() {
        Some(0) => [&genuine[..21], edits].concat(),
        _ => edited(genuine, edits),
    };
    let Ok(keys) = TicketKeys::import(&provider(3), &bytes) else { return };
    if let Some(ticket) = keys.issue(b"state", now(), Duration::from_secs(60)) {
        assert_eq!(*keys.redeem(&ticket, now()).unwrap().state, *b"state");
        let again = TicketKeys::import(&provider(3), &keys.export(now()).unwrap()).unwrap();
        assert!(again.redeem(&ticket, now()).is_some(), "keys do not survive their export");
    }
}

/// Redeems every ticket for these bytes.
#[derive(Debug)]
struct Always(Vec<u8>);

impl Tickets for Always {
    fn issue(&self, _: &[u8], _: UnixTime, _: Duration) -> Option<Vec<u8>> {
        Some(vec![1; 20])
    }

    fn redeem(&self, _: &[u8], _: UnixTime) -> Option<RedeemedTicket> {
        Some(RedeemedTicket { state: self.0.clone().into(), shared: false })
    }
}

/// What a ticket was issued for, as somebody else's store gives it back.
fn state(script: &[u8]) {
    let keys = TicketKeys::import(&provider(3), &memory(WITH_SESSION).0).unwrap();
    let (config, sessions) = client(WITH_SESSION);
    let session = sessions.take(&config.session_key(&name()), now()).unwrap();
    let stored = session.to_bytes().unwrap().to_vec();
    sessions.put(session);
    // RFC 9846 does not say what is in a ticket; this one is behind magic, key, suite and PSK of the stored form.
    let psk_len = usize::from(stored[17 + 32 + 2]);
    let at = 17 + 32 + 2 + 1 + psk_len;
    let len = usize::from(stored[at]) << 8 | usize::from(stored[at + 1]);
    let genuine = keys.redeem(&stored[at + 2..at + 2 + len], now()).unwrap();
    let edits = script.get(1..).unwrap_or_default();
    let state = match script.first() {
        Some(0) => edits.to_vec(),
        _ => edited(&genuine.state, edits),
    };
    let server = server(WITH_SESSION).with_tickets(Arc::new(Always(state)));
    let (client, hello) = start(config);
    let mut client = End::new(client, hello);
    let mut server = End::new(Connection::server(Arc::new(server)), Vec::new());
    settle(&mut client, &mut server);
    agree(&client, &server);
}

/// A NewSessionTicket's body: kept or refused, and the connection goes on if it is kept.
fn message_of_ticket(body: &[u8]) {
    let mut peer = peer(Victim::Client, Options(Options::SESSION));
    go_on(&mut peer, template(Victim::Client, Options(Options::SESSION)), 0);
    assert!(peer.end.connected && peer.epoch == Epoch::Application);
    peer.message(&message(4, body));
    peer.flush();
    peer.record(23, b"data", 0);
    assert_eq!(peer.end.error.is_none(), peer.end.received == b"data");
}

/// A frozen connection that was changed is none, and one that was not goes on.
fn frozen(script: &[u8]) {
    let (client, mut server) = connected(Options(Options::SESSION));
    let config = Arc::new(super::world::client(Options(Options::SESSION)).0);
    let key = MigrationKey::new(&provider(3), &[3; 32]).unwrap();
    let genuine = client.connection.freeze(&key).unwrap();
    let blob = edited(&genuine, script);
    let thawed = Connection::thaw_client(&config, &key, &blob);
    assert_eq!(thawed.is_ok(), blob == genuine);
    let Ok(mut thawed) = thawed else { return };
    thawed.write(b"from the cold", &mut server.input).unwrap();
    server.take(&[]);
    assert_eq!(server.received, b"from the cold");
    assert!(Connection::thaw_client(&config, &key, &blob).is_err(), "thawed twice");
}

/// A frozen connection that whoever has the key has changed: refused, or one that works or fails like any other.
fn sealed_again(script: &[u8]) {
    let options = Options(Options::SESSION);
    let (client, mut server) = connected(options);
    let config = Arc::new(super::world::client(options).0);
    let key = MigrationKey::new(&provider(3), &[3; 32]).unwrap();
    let blob = client.connection.freeze(&key).unwrap();
    // Magic and version, suite, and salt, as `src/migrate` writes them.
    let (head, body) = blob.split_at(HEAD);
    let (suite, salt) = head[head.len() - 34..].split_first_chunk::<2>().unwrap();
    let provider = provider(3);
    let suite = provider.suites.iter().find(|s| s.id.0 == u16::from_be_bytes(*suite)).unwrap();
    let derived = |label: &[u8]| suite.hash.hmac(&[3; 32], &[label, salt]);
    let aead = suite.aead.key(&derived(b"sealwire migration key").expose()[..32]).unwrap();
    let nonce = derived(b"sealwire migration nonce");
    let nonce = *nonce.expose().first_chunk().unwrap();
    let mut body = body.to_vec();
    let len = aead.open(nonce, head, &mut body).unwrap();
    let mut changed = edited(&body[..len], script);
    let intact = changed == body[..len];
    let tag = aead.seal(nonce, head, &mut changed).unwrap();
    let blob = [head, &changed, &tag].concat();
    let Ok(mut thawed) = Connection::thaw_client(&config, &key, &blob) else {
        return assert!(!intact);
    };
    let written = thawed.write(b"from the cold", &mut server.input);
    server.take(&[]);
    assert!(!intact || (written.is_ok() && server.received == b"from the cold"));
    assert!(b"from the cold".starts_with(&server.received));
    let mut client = End::new(thawed, Vec::new());
    client.connected = true;
    // What was changed may be whether it has closed its side.
    client.closing = !intact;
    if server.error.is_none() {
        server.connection.write(b"back", &mut server.output).unwrap();
    }
    settle(&mut client, &mut server);
    assert!(b"back".starts_with(&client.received));
}

/// How long what stands in front of the sealed part is.
const HEAD: usize = b"sealwire connection".len() + 1 + 2 + 32;

/// Bytes that were never any of these.
fn any_blob(bytes: &[u8]) {
    let key = MigrationKey::new(&provider(3), &[3; 32]).unwrap();
    let options = Options(Options::SESSION);
    assert!(Connection::thaw_client(&Arc::new(client(options).0), &key, bytes).is_err());
    assert!(Connection::thaw_server(&Arc::new(server(options)), &key, bytes).is_err());
    if let Ok(session) = Session::from_bytes(bytes) {
        assert_eq!(*session.to_bytes().unwrap(), bytes);
    }
    let _either = TicketKeys::import(&provider(3), bytes);
}
