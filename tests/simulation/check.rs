//! What must be true once a connection is over, whatever happened to it.
//!
//! While it goes on, [`End::read`](super::end::End::read) sees to it that no byte is lost, repeated, or invented.

use sealwire::{EarlyData, Error, Summary};

use super::Outcome;
use super::end::{Body, CLIENT, End, SERVER};
use super::round::{Fault, Round};
use super::trace::Trace;

pub fn all(round: &Round<'_>, trace: &mut Trace, outcome: &mut Outcome) {
    let [client, server] = &round.ends;
    for end in &round.ends {
        trace.number(end.got as u64);
        trace.number(end.consumed as u64);
        trace.add(&end.exporter.unwrap_or_default());
        trace.add(format!("{:?}", end.error).as_bytes());
        trace.note(|| {
            format!(
                "{}: connected {}, got {} of {}, early {} of {}, closed {} ({:?}), error {:?}",
                end.name(),
                end.exporter.is_some(),
                end.got,
                round.ends[1 - end.role].sent.len(),
                end.early_got,
                round.ends[1 - end.role].early_sent.len(),
                end.closed,
                end.ended,
                end.error
            )
        });
    }
    agreement(client, server);
    for end in [CLIENT, SERVER] {
        endings(&round.ends[end], &round.ends[1 - end]);
        scars(round, end);
    }
    match (round.fault, round.refused) {
        (Fault::None, false) => undisturbed(round),
        (Fault::None, true) => both_know(client, server),
        _ => {}
    }
    count(round, outcome);
}

/// Both ends that think that they are connected are connected to each other.
fn agreement(client: &End, server: &End) {
    // RFC 9846 §4.5.3: the client's Finished comes after it knows the server.
    if server.exporter.is_some() {
        assert!(client.exporter.is_some(), "the server is connected, and the client never was");
    }
    if let (Some(theirs), Some(ours)) = (&client.summary, &server.summary) {
        assert_eq!(client.exporter, server.exporter, "different secrets");
        let seen = |s: &Summary| {
            let alpn = s.alpn.clone();
            (s.suite, s.group, alpn, s.resumed, s.external_psk.clone(), s.retried)
        };
        assert_eq!(seen(theirs), seen(ours), "different connections");
        assert_eq!(theirs.own_scheme.is_some(), ours.peer_scheme.is_some());
        assert_eq!(theirs.peer_scheme, ours.own_scheme);
        // After a retry a server sees no early data in the second ClientHello.
        if !ours.retried {
            assert_eq!(theirs.early_data, ours.early_data, "different views of early data");
        }
    }
    if client.early_answer == Some(false) {
        assert_eq!(server.early_got, 0, "early data was rejected, and taken");
    }
    if let Some(summary) = &client.summary
        && summary.early_data != EarlyData::Accepted
    {
        assert_eq!(server.early_got, 0, "early data was not accepted, and taken");
    }
    // It was all there before the handshake went on.
    if server.summary.as_ref().is_some_and(|s| s.early_data == EarlyData::Accepted) {
        assert_eq!(server.early_got, client.early_sent.len(), "early data is missing");
    }
}

/// A clean end means that everything is there, and any other is told.
fn endings(this: &End, peer: &End) {
    if matches!(this.body, Body::Dead) {
        return;
    }
    if this.closed {
        assert!(peer.close_sent, "{} saw an end that was never sent", this.name());
        assert_eq!(this.got, peer.sent.len(), "{}: data is missing at the end", this.name());
        assert!(this.error.is_none(), "{} failed after the end: {:?}", this.name(), this.error);
        assert_eq!(this.ended, Some(Ok(())));
    } else {
        assert!(
            this.error.is_some() || matches!(this.ended, Some(Err(_))),
            "{} does not know that its peer is gone",
            this.name()
        );
    }
    if this.error.is_none() && this.exporter.is_some() {
        assert_eq!(this.export(), this.exporter, "the exporter has changed");
    }
}

/// Nothing that somebody tampered with was accepted, nor anything behind it.
fn scars(round: &Round<'_>, end: usize) {
    let (this, wire) = (&round.ends[end], &round.wires[1 - end]);
    let Some(scar) = wire.scar.filter(|scar| scar.protected) else { return };
    // A server drops what it cannot read while it waits for the end of early data.
    let under_keys = match end {
        CLIENT => true,
        _ => this.connected_at.is_some_and(|at| at <= scar.position),
    };
    assert!(
        !under_keys || this.consumed <= scar.position,
        "{} accepted a record that somebody tampered with: {scar:?}",
        this.name()
    );
}

/// Nothing went wrong on the way, and nobody said no: either both are content, or both know why not.
fn undisturbed(round: &Round<'_>) {
    let [client, server] = &round.ends;
    let connected = client.exporter.is_some() && server.exporter.is_some();
    if let Some(succeeds) = round.world.succeeds {
        let errors = (&client.error, &server.error);
        assert_eq!(connected, succeeds, "the handshake ends otherwise than it should: {errors:?}");
    }
    let failed = round.ends.iter().any(|end| end.error.is_some());
    if !connected || (round.world.stranger && failed) {
        return both_know(client, server);
    }
    for end in &round.ends {
        assert!(end.error.is_none(), "{} failed for nothing: {:?}", end.name(), end.error);
        assert!(end.closed, "{} was not closed", end.name());
    }
    if client.early_answer == Some(true) {
        assert_eq!(server.early_got, client.early_sent.len());
    }
}

/// Who fails tells the other, unless the other was done.
fn both_know(client: &End, server: &End) {
    let told = |this: &End, peer: &End| match (&this.error, &peer.error) {
        (Some(Error::PeerAlert(alert)), Some(error)) => {
            // RFC 9846 §6.1: whoever gives up says user_canceled, and then closes.
            error.alert() == Some(*alert) || *alert == sealwire::codepoints::Alert::close_notify
        }
        _ => false,
    };
    let both = client.error.is_some() && server.error.is_some();
    // RFC 9846 §6.1: after its close_notify an end says nothing more, whatever becomes of it.
    let ended = |this: &End, peer: &End| this.close_sent && peer.closed;
    let done = !both && (ended(client, server) || ended(server, client));
    assert!(
        done || told(client, server) || told(server, client),
        "one failed, and the other does not know why: {:?} and {:?}",
        client.error,
        server.error
    );
}

fn count(round: &Round<'_>, outcome: &mut Outcome) {
    let [client, server] = &round.ends;
    let both = [&client.summary, &server.summary];
    outcome.connected += usize::from(both.iter().all(|summary| summary.is_some()));
    let resumed = server.summary.as_ref().is_some_and(|summary| summary.resumed);
    outcome.resumed += usize::from(resumed);
    let raw = both.iter().any(|s| s.as_ref().is_some_and(|s| s.peer_raw_public_key.is_some()));
    outcome.raw += usize::from(raw);
    let early = server.summary.as_ref().map(|summary| summary.early_data);
    outcome.early += usize::from(early == Some(EarlyData::Accepted));
    let hurt = round.wires.iter().any(|wire| wire.scar.is_some())
        || matches!(round.fault, Fault::Lost(_) | Fault::Killed(..));
    outcome.faults += usize::from(hurt);
    let noticed = round.ends.iter().any(|end| end.error.is_some() || !end.closed);
    outcome.noticed += usize::from(hurt && noticed);
    outcome.bytes += client.got + server.got;
}
