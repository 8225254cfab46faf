//! What an honest peer says, message by message: everything is deterministic, so that it fits the victim of the same
//! options, until something is changed.

use std::sync::{Arc, Mutex, OnceLock};

use sealwire::Connection;
use sealwire::crypto::deterministic::MessageHook;

use super::cheap::rewind;
use super::peer::{Epoch, Peer, Victim};
use super::world::{End, Options, client, server, start};

/// The handshake messages of the victim's peer, headers included, in order.
pub fn template(victim: Victim, options: Options) -> &'static [Vec<u8>] {
    static ALL: [[OnceLock<Vec<Vec<u8>>>; 256]; 2] =
        [const { [const { OnceLock::new() }; 256] }; 2];
    let side = usize::from(victim == Victim::Server);
    ALL[side][usize::from(options.0)].get_or_init(|| record(victim, options))
}

fn record(victim: Victim, options: Options) -> Vec<Vec<u8>> {
    let said = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
    let log = Arc::clone(&said);
    let hook = MessageHook(Arc::new(move |_, message| {
        let mut log = log.lock().unwrap();
        // A server writes its HelloRetryRequest twice.
        if !log.contains(message) {
            log.push(message.clone());
        }
    }));
    let (client_config, _) = client(options);
    rewind();
    let server_config = server(options);
    let (client_config, server_config) = match victim {
        Victim::Client => (client_config, server_config.with_message_hook(hook)),
        Victim::Server => (client_config.with_message_hook(hook), server_config),
    };
    let (client, hello) = start(client_config);
    let mut client = End::new(client, hello);
    let mut server = End::new(Connection::server(Arc::new(server_config)), Vec::new());
    let mut hellos = Vec::new();
    while !client.output.is_empty() || !server.output.is_empty() {
        let flight = std::mem::take(&mut client.output);
        hellos.extend(clear(&flight));
        server.take(&flight);
        let flight = std::mem::take(&mut server.output);
        client.take(&flight);
    }
    rewind();
    let said = said.lock().unwrap().clone();
    // The hook sees a ClientHello without its binders. Tickets come after the handshake.
    let mut hellos = hellos.into_iter();
    let mut honest = |message: Vec<u8>| match message[0] {
        1 => hellos.next(),
        4 => None,
        _ => Some(message),
    };
    said.into_iter().filter_map(&mut honest).collect()
}

/// The handshake messages that stand in clear, one a record.
fn clear(mut flight: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let [kind, _, _, a, b, tail @ ..] = flight {
        let (body, rest) = tail.split_at(usize::from(*a) << 8 | usize::from(*b));
        if *kind == 22 {
            all.push(body.to_vec());
        }
        flight = rest;
    }
    all
}

/// The message as it should be said now: a CertificateVerify and a Finished fit whatever went before.
pub fn fitting(peer: &Peer, message: &[u8]) -> Vec<u8> {
    match message[0] {
        15 => {
            let signature = peer.signature();
            let len = signature.len() as u8;
            [&[15, 0, 0, len + 4], &message[4..6], &[0, len], &signature].concat()
        }
        20 => peer.finished_message(),
        _ => message.to_vec(),
    }
}

/// Says everything from message `first` on as an honest peer would.
pub fn go_on(peer: &mut Peer, messages: &[Vec<u8>], first: usize) {
    for message in messages.iter().skip(first) {
        let is_hello = matches!(message[0], 1 | 2);
        match (is_hello, message[0]) {
            (false, 5) => peer.early(),
            (false, _) if peer.epoch == Epoch::Plain => peer.advance(),
            _ => {}
        }
        let message = fitting(peer, message);
        peer.message(&message);
        match message[0] {
            1 | 2 => peer.flush(),
            // EndOfEarlyData is under the key of early data, and is the last of that.
            5 | 20 => peer.advance(),
            _ => {}
        }
    }
}
