//! A client and a server, and somebody between them who reorders, cuts, flips, repeats, reflects and injects.

use sealwire::{EarlyData, Summary};

use super::world::{End, Instructions, Options, ends};

/// Options, then what is done to each flight.
pub fn pair(data: &[u8]) {
    let mut script = Instructions(data);
    let options = Options(script.byte().unwrap_or(0));
    let (mut client, mut server) = ends(options);
    let mut sent = [Vec::new(), Vec::new()];
    let mut early = Vec::new();
    if client.connection.early_data_left().is_some() {
        early.extend_from_slice(b"early");
        client.connection.write_early(&early, &mut client.output).unwrap();
    }
    let mut past = Vec::new();
    for round in 0..16 {
        say(&mut client, &mut sent[0], round);
        let flight = edit(&mut client, &mut past, &mut script);
        server.take(&flight);
        say(&mut server, &mut sent[1], round);
        let flight = edit(&mut server, &mut past, &mut script);
        client.take(&flight);
    }
    for (end, sent) in [(&mut client, &sent[1]), (&mut server, &sent[0])] {
        assert!(sent.starts_with(&end.received), "data that nobody has sent");
        // A clean end is not a truncation.
        assert!(!end.closed || end.received.len() == sent.len(), "a close before the end");
        assert_eq!(end.connection.read_eof().is_ok(), end.error.is_none() && end.closed);
    }
    assert!(early.starts_with(&server.early));
    // A server is connected only after the client was, and with that client.
    assert!(!server.connected || client.connected);
    if let (Some(one), Some(other)) = (client.exported(), server.exported()) {
        assert_eq!(one, other);
        // A server that answers early data can export before it is connected.
        assert!(client.connected);
        if !server.connected {
            return;
        }
        let (one, other) = (client.connection.summary(), server.connection.summary());
        let of = |summary: Option<&Summary>| {
            // After a retry a server does not know what the first ClientHello offered.
            let early = |s: &Summary| s.early_data == EarlyData::Accepted;
            summary.map(|s| (s.suite, s.group, s.alpn.clone(), s.resumed, s.retried, early(s)))
        };
        assert_eq!(of(one), of(other));
    }
}

/// A little of everything, once there is somebody to say it to.
fn say(end: &mut End, sent: &mut Vec<u8>, round: u8) {
    let can = end.connected && end.error.is_none() && !end.closing;
    if !can {
        return;
    }
    match round {
        14.. => end.close(),
        _ if round % 5 == 4 => {
            // Past a limit it says so; nothing else can go wrong here.
            let _ = end.connection.update_keys(round.is_multiple_of(2), &mut end.output);
        }
        _ => {
            let data = [round; 30];
            if end.connection.write(&data, &mut end.output).is_ok() {
                sent.extend_from_slice(&data);
            }
        }
    }
}

/// What `from` has said, after the next instructions. `past` is everything that was ever said by either.
fn edit(from: &mut End, past: &mut Vec<u8>, script: &mut Instructions<'_>) -> Vec<u8> {
    let mut flight = std::mem::take(&mut from.output);
    past.extend_from_slice(&flight);
    let Some(instruction) = script.byte() else { return flight };
    for _ in 0..instruction >> 4 {
        let at = script.short().unwrap_or(0) % (flight.len() + 1);
        match instruction & 15 {
            0..=2 if at < flight.len() => flight[at] ^= script.byte().unwrap_or(1),
            3 => swap_records(&mut flight, at),
            4 => repeat_record(&mut flight, at),
            5 => flight.truncate(at),
            6 => drop(flight.drain(..at)),
            7 => {
                let len = script.byte().unwrap_or(0);
                flight.splice(at..at, script.bytes(usize::from(len)).iter().copied());
            }
            8 => flight.extend_from_within(at..),
            // The rest comes later, with the next flight.
            9 => {
                let later = flight.split_off(at);
                from.output.splice(0..0, later);
            }
            10 => {
                let end = flight.len().min(at + script.short().unwrap_or(0));
                drop(flight.drain(at..end));
            }
            // A replay, or a reflection.
            11 => {
                let start = script.short().unwrap_or(0) % (past.len() + 1);
                let len = script.short().unwrap_or(0).min(past.len() - start);
                flight.splice(at..at, past[start..start + len].iter().copied());
            }
            _ => {}
        }
    }
    flight
}

/// Where each record of `flight` begins, and its end: as far as it is made of records.
fn boundaries(flight: &[u8]) -> Vec<usize> {
    let mut all = vec![0];
    while let Some([_, _, _, a, b]) = flight[all[all.len() - 1]..].first_chunk() {
        let next = all[all.len() - 1] + 5 + (usize::from(*a) << 8 | usize::from(*b));
        if next > flight.len() {
            break;
        }
        all.push(next);
    }
    all
}

fn swap_records(flight: &mut [u8], which: usize) {
    let all = boundaries(flight);
    if all.len() > 2 {
        let first = which % (all.len() - 2);
        let middle = all[first + 1] - all[first];
        flight[all[first]..all[first + 2]].rotate_left(middle);
    }
}

fn repeat_record(flight: &mut Vec<u8>, which: usize) {
    let all = boundaries(flight);
    if all.len() > 1 {
        let first = which % (all.len() - 1);
        let record = flight[all[first]..all[first + 1]].to_vec();
        flight.splice(all[first]..all[first], record);
    }
}
