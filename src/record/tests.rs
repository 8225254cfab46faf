//! Both directions against each other, and against the record of RFC 8448.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;

use super::seal::MAX_UPDATES;
use super::*;
use crate::codepoints::Alert;
use crate::config::{Padding, ServerConfig};
use crate::crypto::deterministic::{SeededRng, provider};
use crate::error::{Limit, Misuse, Violation};
use crate::limits::Budget;
use crate::output::FixedOutput;

fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn suites() -> &'static [&'static CipherSuite] {
    provider(Arc::new(SeededRng::new(0))).suites
}

fn config() -> ServerConfig {
    ServerConfig::new(provider(Arc::new(SeededRng::new(0))), Vec::new()).unwrap()
}

fn secret(suite: &CipherSuite) -> Secret {
    Secret::from_slice(&vec![7; suite.hash.output_len()]).unwrap()
}

fn writer(config: &ServerConfig, suite: &'static CipherSuite) -> WriteSide {
    let mut writer = WriteSide::new(&config.common);
    writer.set_key(suite, secret(suite)).unwrap();
    writer
}

impl ReadSide {
    /// The first record, at no expense.
    fn take<'b>(&mut self, input: &'b mut [u8]) -> Result<Incoming<'b>, Error> {
        self.next(input, &mut Budget::default())
    }
}

fn reader(suite: &'static CipherSuite) -> ReadSide {
    let mut reader = ReadSide::new(ChangeCipherSpecRule::Refused);
    reader.set_key(suite, secret(suite)).unwrap();
    reader
}

/// Opens everything in `wire`, new keys included. Returns the data, and how many records and KeyUpdates there were.
fn open_all(reader: &mut ReadSide, wire: &mut [u8]) -> (Vec<u8>, usize, usize) {
    let (mut at, mut all, mut records, mut updates) = (0, Vec::new(), 0, 0);
    while at < wire.len() {
        let mut update = false;
        match reader.take(&mut wire[at..]).unwrap() {
            Incoming::Data { used, data } => {
                all.extend_from_slice(data);
                records += 1;
                at += used;
            }
            Incoming::Handshake { used, data } => {
                assert!(matches!(data, [24, 0, 0, 1, 0 | 1]), "{data:?}");
                update = true;
                at += used;
            }
            _ => panic!("neither data nor KeyUpdate"),
        }
        if update {
            updates += 1;
            reader.update_key().unwrap();
        }
    }
    (all, records, updates)
}

/// RFC 8448 §3: the client's application_traffic_secret_0.
const CLIENT_SECRET: &str = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";

#[test]
fn the_close_notify_of_rfc_8448() {
    let secret = || Secret::from_slice(&hex(CLIENT_SECRET)).unwrap();
    let mut writer = WriteSide::new(&config().common);
    writer.set_key(suites()[0], secret()).unwrap();
    let mut out = Vec::new();
    writer.write(b"the first record", &mut out).unwrap();
    out.clear();
    writer.close().unwrap();
    writer.flush(&mut out).unwrap();
    assert_eq!(out, hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"));
}

#[test]
fn a_nonce_is_the_iv_and_the_number() {
    let secret = Secret::from_slice(&hex(CLIENT_SECRET)).unwrap();
    let mut key = DirectionKey::new(suites()[0], secret).unwrap();
    // RFC 8448 §3
    assert_eq!(key.nonce().to_vec(), hex("5b78923dee08579033e523d9"));
    key.seq = 1;
    assert_eq!(key.nonce().to_vec(), hex("5b78923dee08579033e523d8"));
    key.seq = 0x0102_0304_0506_0708;
    assert_eq!(key.nonce().to_vec(), hex("5b78923def0a549436e324d1"));
    key.seq = u64::MAX;
    assert_eq!(key.nonce().to_vec(), hex("5b78923d11f7a86fcc1adc26"));
}

#[test]
fn written_len_is_what_is_written() {
    let paddings =
        [Padding::None, Padding::MultipleOf(0), Padding::MultipleOf(16), Padding::MultipleOf(999)];
    for padding in paddings {
        for fragment in [1, 2, 5, 64] {
            for limit in [2, 3, 5, u64::MAX] {
                for owed in [false, true] {
                    let config = config().with_padding(padding).with_max_fragment(fragment);
                    let config = config.unwrap().with_key_update_after(limit);
                    for len in 0..=3 * fragment + 1 {
                        check_written_len(&config, len, owed);
                    }
                }
            }
        }
    }
    for padding in [Padding::None, Padding::Full, Padding::MultipleOf(4096)] {
        let config = config().with_padding(padding).with_key_update_after(3);
        for len in [0, 1, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 100_000] {
            check_written_len(&config, len, true);
        }
    }
}

fn check_written_len(config: &ServerConfig, len: usize, owed: bool) {
    let suite = suites()[0];
    let mut writer = writer(config, suite);
    if owed {
        writer.queue_alert(Alert::user_canceled).unwrap(); // something is pending
        writer.on_peer_update(true);
    }
    let need = writer.written_len(len);
    let data: Vec<u8> = (0..=255).cycle().take(len).collect();

    // One byte less, and nothing happens.
    let mut small = vec![0; need.saturating_sub(1)];
    if need > 0 {
        let mut out = FixedOutput::new(&mut small);
        match writer.write(&data, &mut out) {
            Err(Error::OutputTooSmall { need: said }) => assert_eq!(said, need),
            other => panic!("{other:?}"),
        }
        assert!(out.is_empty());
    }
    let mut exact = vec![0; need];
    let mut out = FixedOutput::new(&mut exact);
    writer.write(&data, &mut out).unwrap();
    assert_eq!(out.len(), need, "{len} {owed} {config:?}");

    let mut reader = reader(suite);
    let mut at = 0;
    if owed {
        let Incoming::Alert { used, alert } = reader.take(&mut exact).unwrap() else { panic!() };
        assert_eq!(alert, Alert::user_canceled);
        at = used;
    }
    let (read, ..) = open_all(&mut reader, &mut exact[at..]);
    assert_eq!(read, data);
}

#[test]
fn a_key_is_changed_before_its_limit() {
    for suite in suites() {
        let config = config().with_key_update_after(4).with_max_fragment(10).unwrap();
        let mut writer = writer(&config, suite);
        let mut wire = Vec::new();
        writer.write(&[1; 95], &mut wire).unwrap();
        // Three records of data and the KeyUpdate to each key: the tenth record is the first of the fourth key.
        let mut reader = reader(suite);
        assert_eq!(open_all(&mut reader, &mut wire), (vec![1; 95], 10, 3));
        // In place it is the same, but that the KeyUpdate has to be flushed first.
        let mut record = [0; 64];
        for _ in 0..2 {
            writer.seal(&mut record, 4).unwrap();
        }
        assert!(matches!(writer.seal(&mut record, 4), Err(Error::Misuse(Misuse::OutputWaiting))));
        writer.flush(&mut wire).unwrap();
        writer.seal(&mut record, 4).unwrap();
    }
}

#[test]
fn the_last_generation_has_no_next() {
    let mut writer = writer(&config().with_key_update_after(3), suites()[0]);
    let mut out = Vec::new();
    writer.updates = MAX_UPDATES - 1;
    writer.update_key(true).unwrap();
    for _ in 0..2 {
        let error = writer.update_key(false).unwrap_err();
        assert!(matches!(error, Error::Limit(Limit::KeyExhausted)));
        assert_eq!(error.alert(), Some(Alert::internal_error));
    }
    // RFC 9846 §4.7.3: the peer's request is ignored, and data goes on to the key's limit.
    writer.on_peer_update(true);
    writer.write(b"data", &mut out).unwrap();
    writer.write(b"data", &mut out).unwrap();
    let error = writer.write(b"data", &mut out).unwrap_err();
    assert!(matches!(error, Error::Limit(Limit::KeyExhausted)));
    assert_eq!(open_all(&mut reader(suites()[0]), &mut out), (b"datadata".to_vec(), 2, 1));
}

#[test]
fn the_peer_is_asked_once() {
    let mut writer = writer(&config(), suites()[0]);
    let mut asked = || {
        let mut out = Vec::new();
        writer.update_key(true).unwrap();
        writer.flush(&mut out).unwrap();
        out
    };
    let (mut first, mut second) = (asked(), asked());
    writer.on_peer_update(false);
    let mut third = Vec::new();
    writer.update_key(true).unwrap();
    writer.flush(&mut third).unwrap();
    let mut reader = reader(suites()[0]);
    for (wire, request) in [(&mut first, 1), (&mut second, 0), (&mut third, 1)] {
        let Incoming::Handshake { data, .. } = reader.take(wire).unwrap() else { panic!() };
        assert_eq!(data, [24, 0, 0, 1, request]);
        reader.update_key().unwrap();
    }
}

#[test]
fn sealed_in_place_is_the_same_as_written() {
    for padding in [Padding::None, Padding::MultipleOf(64), Padding::Full] {
        let config = config().with_padding(padding);
        for len in [0, 1, 62, 63, 64, 65, 16_383, 16_384] {
            let (mut one, mut two) = (writer(&config, suites()[0]), writer(&config, suites()[0]));
            let mut record = vec![0xaa; MAX_CIPHERTEXT + HEADER_LEN];
            record[HEADER_LEN..HEADER_LEN + len].fill(1);
            let sealed = one.seal(&mut record, len).unwrap();
            assert!(record[sealed..].iter().all(|b| *b == 0xaa), "beyond the record");
            let mut out = Vec::new();
            two.write(&vec![1; len], &mut out).unwrap();
            if len > 0 {
                assert_eq!(record[..sealed], out);
            }
            let mut reader = reader(suites()[0]);
            assert_eq!(open_all(&mut reader, &mut record[..sealed]), (vec![1; len], 1, 0));
        }
    }
}

#[test]
fn alerts_have_the_level_that_they_must_have() {
    for (alert, level) in [
        (Alert::close_notify, 1),
        (Alert::user_canceled, 1),
        (Alert::internal_error, 2),
        (Alert::unrecognized_name, 2),
        (Alert(200), 2),
    ] {
        let mut writer = WriteSide::new(&config().common);
        let mut out = Vec::new();
        writer.queue_message(b"half a flight");
        writer.abort(alert).unwrap();
        writer.flush(&mut out).unwrap();
        assert_eq!(out, [21, 3, 3, 0, 2, level, alert.0]);
    }
}

#[test]
fn a_record_is_awaited_whole() {
    let mut wire = Vec::new();
    writer(&config(), suites()[0]).write(b"some data", &mut wire).unwrap();
    let whole = wire.len();
    for len in 0..whole {
        let mut part = wire[..len].to_vec();
        let mut reader = reader(suites()[0]);
        let Incoming::NeedMore { need } = reader.take(&mut part).unwrap() else { panic!() };
        assert_eq!(need, if len < HEADER_LEN { HEADER_LEN } else { whole });
        assert_eq!(part, wire[..len], "something was changed");
        assert_eq!(open_all(&mut reader, &mut wire.clone()).0, b"some data");
    }
}

#[test]
fn a_changed_record_does_not_open() {
    for suite in suites() {
        let mut wire = Vec::new();
        writer(&config(), suite).write(b"some data", &mut wire).unwrap();
        // The version is authenticated too, though it is ignored otherwise.
        for at in (1..3).chain(HEADER_LEN..wire.len()) {
            for bit in 0..8 {
                let mut changed = wire.clone();
                changed[at] ^= 1 << bit;
                let result = reader(suite).take(&mut changed).map(drop);
                assert!(matches!(result, Err(Error::BadRecordMac)), "{at}");
            }
        }
        // Cut, with a length that says so; less than a tag is no better.
        for len in 0..wire.len() - HEADER_LEN {
            let mut cut = wire[..HEADER_LEN + len].to_vec();
            cut[4] = u8::try_from(len).unwrap();
            let result = reader(suite).take(&mut cut).map(drop);
            assert!(matches!(result, Err(Error::BadRecordMac)), "{len}");
        }
        // Twice, and out of order.
        let mut reader = reader(suite);
        open_all(&mut reader, &mut wire.clone());
        assert!(matches!(reader.take(&mut wire), Err(Error::BadRecordMac)));
    }
}

#[test]
fn a_record_of_the_next_key_comes_too_early() {
    let mut writer = writer(&config(), suites()[0]);
    let (mut update, mut data) = (Vec::new(), Vec::new());
    writer.update_key(false).unwrap();
    writer.flush(&mut update).unwrap();
    writer.write(b"data", &mut data).unwrap();
    assert!(matches!(reader(suites()[0]).take(&mut data.clone()), Err(Error::BadRecordMac)));
    let mut reader = reader(suites()[0]);
    open_all(&mut reader, &mut update);
    assert_eq!(open_all(&mut reader, &mut data).0, b"data");
}

#[test]
fn a_forgotten_key_opens_and_seals_nothing() {
    let mut wire = Vec::new();
    let mut writer = writer(&config(), suites()[0]);
    writer.write(b"data", &mut wire).unwrap();
    writer.forget();
    assert!(matches!(writer.write(b"data", &mut wire), Err(Error::Misuse(Misuse::NotConnected))));
    let mut reader = reader(suites()[0]);
    reader.forget();
    let result = reader.take(&mut wire).map(drop);
    assert!(matches!(result, Err(Error::Violation(Violation::UnexpectedRecord))));
}
