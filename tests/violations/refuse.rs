//! One message of a duel is changed, and the attacked side refuses it.

use sealwire::codepoints::HandshakeType;
use sealwire::{Answer, Connection, Error, Event};

use super::duel::{Configs, Duel, Unit, simple};
use super::support::{Role, now};

/// A message of the attacker: of this type, the how-manyth, from 1.
pub(crate) struct Nth(HandshakeType, u32);

impl From<HandshakeType> for Nth {
    fn from(kind: HandshakeType) -> Self {
        Self(kind, 1)
    }
}

/// The ClientHello that answers a HelloRetryRequest.
pub(crate) const SECOND_CLIENT_HELLO: Nth = Nth(HandshakeType::client_hello, 2);
/// The ServerHello after a HelloRetryRequest, which is one too.
pub(crate) const AFTER_RETRY: Nth = Nth(HandshakeType::server_hello, 2);
/// The HelloRetryRequest.
pub(crate) const RETRY: Nth = Nth(HandshakeType::server_hello, 1);

/// That message of the attacker is replaced by what `change` makes of it; the victim refuses it.
pub(crate) fn refuse_changed(
    attacker: Role,
    configs: Configs,
    message: impl Into<Nth>,
    mut change: impl FnMut(&Unit) -> Vec<Unit>,
    expected: impl Into<Error>,
) {
    let Nth(kind, mut countdown) = message.into();
    let mut duel = Duel::new(attacker, configs);
    duel.run(|unit| {
        countdown = countdown.saturating_sub(unit.is(kind).into());
        match unit.is(kind) && countdown == 0 {
            true => change(&unit),
            false => vec![unit],
        }
    });
    assert_eq!(countdown, 0, "{kind} never came");
    duel.assert_refused(expected);
}

/// The same with one message edited in place.
pub(crate) fn refuse_edited(
    attacker: Role,
    configs: Configs,
    message: impl Into<Nth>,
    mut edit: impl FnMut(&mut Vec<u8>),
    expected: impl Into<Error>,
) {
    let change = |unit: &Unit| {
        let mut message = unit.content.clone();
        edit(&mut message);
        assert_ne!(message, unit.content, "nothing was changed");
        vec![unit.with(message)]
    };
    refuse_changed(attacker, configs, message, change, expected);
}

/// After an honest handshake the victim refuses these records.
pub(crate) fn refuse_after(attacker: Role, units: &[Unit], expected: impl Into<Error>) {
    let mut duel = Duel::connected(attacker, simple());
    duel.inject(units.iter().cloned());
    duel.assert_refused(expected);
}

/// After a fatal error every call returns that same error, and nothing more is sent.
pub(crate) fn assert_dead(dead: &mut Connection, error: &Error) {
    while let Some(event) = dead.poll_event() {
        assert!(!matches!(event, Event::Ask(_)) || dead.waiting_for().is_none());
    }
    let (now, mut out, mut record) = (now(), Vec::new(), [0; 64]);
    let mut valid = *b"\x14\x03\x03\x00\x01\x01";
    let results = [
        dead.read(now, &mut [], &mut out).map(drop),
        dead.read(now, &mut valid, &mut out).map(drop),
        dead.read_eof(),
        dead.write(b"data", &mut out),
        dead.write_early(b"data", &mut out),
        dead.send_ticket(now, &mut out),
        dead.request_client_certificate(&mut out),
        dead.check_freeze(),
        dead.seal(&mut record, 4).map(drop),
        dead.update_keys(true, &mut out),
        dead.answer(now, Answer::UseConfig, &mut out),
        dead.export(b"label", None, &mut [0; 16]),
        dead.close(&mut out),
        dead.close(&mut out),
        dead.read(now, &mut valid, &mut out).map(drop),
    ];
    for (call, result) in results.into_iter().enumerate() {
        let said = result.expect_err("a dead connection works");
        assert_eq!(format!("{said:?}"), format!("{error:?}"), "call {call}");
    }
    dead.flush(&mut out).unwrap();
    assert!(out.is_empty(), "a dead connection speaks");
    assert_eq!(record, [0; 64]);
    assert!(!dead.is_connected() && dead.summary().is_none() && dead.waiting_for().is_none());
}
