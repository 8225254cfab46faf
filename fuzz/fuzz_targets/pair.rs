//! A client and a server, and somebody between them who edits their flights.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire_fuzz::{End, Instructions, Options, client, server};

fuzz_target!(|data: &[u8]| {
    let mut script = Instructions(data);
    let options = Options::from(script.byte().unwrap_or(0));
    let (client, hello) = client(options);
    let mut client = End::new(client, hello);
    let mut server = End::new(server(options), Vec::new());
    let mut sent = [false; 2];
    for _ in 0..12 {
        say(&mut client, &mut sent[0], b"from the client");
        server.take(&edit(&mut client, &mut script));
        say(&mut server, &mut sent[1], b"from the server");
        client.take(&edit(&mut server, &mut script));
    }
    assert!(b"from the server".starts_with(&client.received));
    assert!(b"from the client".starts_with(&server.received));
    // A server is connected only after the client was, and with that client.
    assert!(!server.connected || client.connected);
    if let (Some(one), Some(other)) = (client.exported(), server.exported()) {
        assert_eq!(one, other);
    }
});

/// Data, once there is somebody to send it to.
fn say(end: &mut End, sent: &mut bool, data: &[u8]) {
    if end.connected && end.error.is_none() && !*sent {
        *sent = true;
        let _ = end.connection.write(data, &mut end.output);
    }
}

/// What `from` has said, after the next instruction.
fn edit(from: &mut End, script: &mut Instructions<'_>) -> Vec<u8> {
    let mut flight = std::mem::take(&mut from.output);
    if flight.is_empty() {
        return flight;
    }
    let Some(instruction) = script.byte() else { return flight };
    for _ in 0..instruction >> 4 {
        let at = script.short().unwrap_or(0) % flight.len().max(1);
        match instruction & 15 {
            0..=4 if !flight.is_empty() => flight[at] ^= script.byte().unwrap_or(1),
            5 => flight.truncate(at),
            6 => drop(flight.drain(..at)),
            7 => flight
                .splice(at..at, (0..script.byte().unwrap_or(0)).map_while(|_| script.byte()))
                .for_each(drop),
            8 => flight.extend_from_within(at..),
            // The rest comes later, with the next flight.
            9 => from.output = flight.split_off(at),
            10 => {
                let end = flight.len().min(at + script.short().unwrap_or(0));
                drop(flight.drain(at..end));
            }
            _ => {}
        }
    }
    flight
}
