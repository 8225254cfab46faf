//! A client of ours against a scripted server, and a server of ours against a scripted client. The script says each message
//! honestly or changed, in any order, under any key, in any record.

use std::sync::Arc;

use sealwire::Connection;

use super::cheap::rewind;
use super::peer::{Epoch, Log, Peer, Victim};
use super::template::{fitting, go_on, template};
use super::world::{End, Instructions, Options, client, now, server, start};

/// A client of ours.
pub fn scripted_server(data: &[u8]) {
    run(Victim::Client, data);
}

/// A server of ours.
pub fn scripted_client(data: &[u8]) {
    run(Victim::Server, data);
}

/// The victim of these options, and its peer.
pub fn peer(victim: Victim, options: Options) -> Peer {
    let log = Arc::new(Log::default());
    let end = match victim {
        Victim::Client => {
            let config = client(options).0.with_key_log(log.clone());
            rewind();
            let (connection, hello) = start(config);
            End::new(connection, hello)
        }
        Victim::Server => {
            let config = server(options).with_key_log(log.clone());
            rewind();
            End::new(Connection::server(Arc::new(config)), Vec::new())
        }
    };
    Peer::new(victim, end, log)
}

/// Whether the victim of these options is connected after an honest script.
pub fn connects(victim: Victim, options: Options) -> bool {
    let messages = template(victim, options);
    let mut peer = peer(victim, options);
    go_on(&mut peer, messages, 0);
    check(&peer, victim);
    peer.end.connected
}

fn run(victim: Victim, data: &[u8]) {
    let mut script = Instructions(data);
    let options = Options(script.byte().unwrap_or(0));
    let messages = template(victim, options);
    let mut peer = peer(victim, options);
    for _ in 0..200 {
        let Some(instruction) = script.byte() else { break };
        step(&mut peer, messages, instruction, &mut script);
    }
    peer.flush();
    check(&peer, victim);
}

fn step(peer: &mut Peer, messages: &[Vec<u8>], instruction: u8, script: &mut Instructions<'_>) {
    let n = usize::from(instruction >> 4);
    let template = || messages[n % messages.len().max(1)].clone();
    match instruction & 15 {
        0 => peer.message(&fitting(peer, &template())),
        1 => {
            let mut message = fitting(peer, &template());
            let at = script.short().unwrap_or(4) % message.len();
            message[at] ^= script.byte().unwrap_or(1);
            peer.message(&message);
        }
        2 => {
            let message = spliced(fitting(peer, &template()), script);
            peer.message(&message);
        }
        3 => {
            let kind = script.byte().unwrap_or(0);
            let len = script.short().unwrap_or(0);
            let body = script.bytes(len).to_vec();
            peer.message(&message(kind, &body));
        }
        4 => {
            let bytes = script.bytes(n).to_vec();
            peer.message(&bytes);
        }
        5 => peer.flush(),
        6 => peer.advance(),
        7 => {
            let (kind, len) = (script.byte().unwrap_or(22), script.byte().unwrap_or(0));
            let content = script.bytes(usize::from(len)).to_vec();
            peer.record(kind, &content, n * 16);
        }
        8 => {
            let len = script.byte().unwrap_or(0);
            let bytes = script.bytes(usize::from(len)).to_vec();
            peer.raw(&bytes);
        }
        9 => peer.record(23, &vec![instruction; n * 100], 0),
        10 => peer.early(),
        11 => act(peer, n),
        12 => peer.record(21, &[2, script.byte().unwrap_or(0)], 0),
        13 if peer.epoch == Epoch::Application => {
            peer.message(&[24, 0, 0, 1, n as u8]);
            peer.advance();
        }
        13 | 14 => peer.raw(&[20, 3, 3, 0, 1, 1]),
        _ => go_on(peer, messages, n),
    }
}

/// Another body: some of it replaced by bytes of the script.
fn spliced(old: Vec<u8>, script: &mut Instructions<'_>) -> Vec<u8> {
    let mut body = old[4.min(old.len())..].to_vec();
    let from = script.short().unwrap_or(0) % (body.len() + 1);
    let to = (from + usize::from(script.byte().unwrap_or(0))).min(body.len());
    let len = script.byte().unwrap_or(0);
    body.splice(from..to, script.bytes(usize::from(len)).iter().copied());
    message(old[0], &body)
}

/// A message with its header.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&[kind], &len[1..], body].concat()
}

/// The victim does something of its own.
fn act(peer: &mut Peer, n: usize) {
    let End { connection, output, .. } = &mut peer.end;
    // What makes no sense now is refused, and changes nothing.
    let done = match n {
        0 => connection.write(&[n as u8; 50], output),
        1 | 2 => connection.update_keys(n == 2, output),
        3 => return peer.end.close(),
        4 => connection.send_ticket(now(), output),
        5 => connection.request_client_certificate(output),
        6 => connection.write_early(&[n as u8; 50], output),
        _ => connection.flush(output),
    };
    let alive = peer.end.error.is_none();
    assert!(alive || done.is_err() || n > 6, "it works after an error");
}

/// Whoever is connected has seen a Finished that is right, and a CertificateVerify for each certificate; and what came is
/// what was sent.
fn check(peer: &Peer, victim: Victim) {
    let end = &peer.end;
    assert!(peer.sent.starts_with(&end.received), "data that nobody has sent");
    assert!(peer.sent_early.starts_with(&end.early), "early data that nobody has sent");
    if !end.connected {
        return;
    }
    assert!(peer.finished, "connected without Finished");
    let Some(summary) = end.connection.summary() else { return };
    let by_key = summary.resumed || summary.external_psk.is_some();
    assert!(
        by_key || peer.verified || (victim == Victim::Server && summary.peer_chain.is_empty()),
        "a certificate without CertificateVerify"
    );
    let late = end.events.iter().any(|event| event.starts_with("ClientAnswered"));
    assert!(victim == Victim::Client || !late, "nobody has answered");
}
