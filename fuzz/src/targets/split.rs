//! The same bytes in pieces and whole: nothing may depend on how a transport cuts them.

use std::sync::Arc;

use sealwire::Connection;

use super::cheap::rewind;
use super::peer::Victim;
use super::template::template;
use super::world::{End, Instructions, Options, client, server, start};

/// Options and victim; a schedule with its length in front; the bytes. Without any bytes the victim gets an honest hello.
pub fn split(data: &[u8]) {
    let mut script = Instructions(data);
    let (Some(options), Some(bits)) = (script.byte(), script.byte()) else { return };
    let victim = if bits & 1 == 0 { Victim::Client } else { Victim::Server };
    let options = Options(options);
    let schedule = script.bytes(usize::from(bits >> 1 & 31));
    let mut stream = Vec::new();
    if bits & 0x40 != 0 {
        stream.extend(super::hello::records(&template(victim, options)[0], 0));
    }
    stream.extend_from_slice(script.0);

    let mut whole = fresh(victim, options);
    whole.take(&stream);
    let mut pieces = fresh(victim, options);
    let mut rest = &stream[..];
    for len in schedule.iter().cycle().take(2000) {
        let (piece, after) = rest.split_at(usize::from(*len).min(rest.len()));
        pieces.take(piece);
        rest = after;
    }
    pieces.take(rest);

    let text = |end: &End| end.error.as_ref().map(ToString::to_string);
    assert_eq!(text(&pieces), text(&whole));
    assert_eq!(pieces.output, whole.output);
    assert_eq!(pieces.events, whole.events);
    assert_eq!(pieces.received, whole.received);
    assert_eq!(pieces.early, whole.early);
    assert_eq!(pieces.connected, whole.connected);
    assert_eq!(pieces.closed, whole.closed);
    assert_eq!(pieces.exported(), whole.exported());
    if whole.error.is_none() && !whole.closed {
        assert_eq!(pieces.input, whole.input, "other bytes are left");
    }
}

fn fresh(victim: Victim, options: Options) -> End {
    let (config, _) = client(options);
    rewind();
    match victim {
        Victim::Client => {
            let (connection, hello) = start(config);
            End::new(connection, hello)
        }
        Victim::Server => End::new(Connection::server(Arc::new(server(options))), Vec::new()),
    }
}
