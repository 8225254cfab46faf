//! The record layer of a connected end, against records under the right keys with anything inside, and under none. A small
//! model says what must come of each; the halves of a split connection must say the same as the whole.

use sealwire::codepoints::CipherSuiteId;
use sealwire::crypto::CipherSuite;
use sealwire::{Connection, DirectionKeys, Error, Limit, Read, Receiver, Violation};

use super::cheap::{provider, rewind};
use super::peer::Key;
use super::world::{Instructions, Options, connected, now};

/// Options, then records.
pub fn record(data: &[u8]) {
    let mut script = Instructions(data);
    let Some(bits) = script.byte() else { return };
    let Both { mut whole, mut half, mut sealer } = Both::new(bits);
    let mut closed = false;
    for _ in 0..40 {
        let Some(instruction) = script.byte() else { return };
        let (record, expected) = sealer.next(instruction, &mut script);
        let mut copy = record.clone();
        // In two pieces, the first of which is no record yet.
        let cut = usize::from(instruction >> 4).min(record.len().saturating_sub(1));
        if !expected.is_raw() && cut > 0 {
            let mut first = record[..cut].to_vec();
            match whole.read(now(), &mut first, &mut Vec::new()) {
                Ok(Read::NeedMore { need }) => assert!(need > cut && need <= record.len()),
                Ok(Read::Closed) => return assert!(closed, "closed by nobody"),
                // Its header may say enough.
                Err(error) => return expected.check(&Err(error)),
                other => panic!("{other:?} of {cut} bytes"),
            }
        }
        let mut record = record;
        let result = outcome(whole.read(now(), &mut record, &mut Vec::new()));
        let other = outcome(half.read(now(), &mut copy));
        assert!(alike(&result, &other), "{result:?}, and a half says {other:?}");
        if matches!(result, Ok(Took::Closed)) {
            return assert!(closed, "closed by nobody");
        }
        closed |= whole.is_peer_closed();
        expected.check(&result);
        let ends = matches!(result, Err(_) | Ok(Took::Closed | Took::Waits));
        if ends {
            return;
        }
        sealer.took();
    }
}

/// What a call did.
#[derive(Debug)]
enum Took {
    Control,
    Data(Vec<u8>),
    Waits,
    Closed,
}

fn alike(one: &Result<Took, Error>, other: &Result<Took, Error>) -> bool {
    match (one, other) {
        (Ok(Took::Data(one)), Ok(Took::Data(other))) => one == other,
        _ => format!("{one:?}") == format!("{other:?}"),
    }
}

fn outcome(read: Result<Read<'_>, Error>) -> Result<Took, Error> {
    Ok(match read? {
        Read::Control { .. } => Took::Control,
        Read::Data { data, .. } => Took::Data(data.to_vec()),
        Read::NeedMore { .. } => Took::Waits,
        Read::Closed => Took::Closed,
        other => panic!("{other:?}"),
    })
}

/// Two victims that are alike, and their peer's keys.
struct Both {
    whole: Connection,
    half: Receiver,
    sealer: Sealer,
}

impl Both {
    fn new(bits: u8) -> Self {
        let run = || {
            rewind();
            let (client, server) = connected(Options::default());
            match bits & 1 {
                0 => (client.connection, server.connection),
                _ => (server.connection, client.connection),
            }
        };
        let ((whole, peer), (half, _)) = (run(), run());
        let (_, half) = half.split().unwrap();
        let keys = peer.into_traffic_keys().unwrap();
        Self { whole, half, sealer: Sealer::new(keys.suite, &keys.sending) }
    }
}

/// What the model says must come of a record.
enum Expected {
    Data(Vec<u8>),
    Nothing,
    Violation(Violation),
    BadMac,
    /// Whatever it is, it is no data.
    NoData,
    /// Bytes that are perhaps not even a record.
    Raw,
}

impl Expected {
    fn is_raw(&self) -> bool {
        matches!(self, Self::Raw)
    }

    fn check(&self, result: &Result<Took, Error>) {
        let right = match (self, result) {
            (Self::Data(expected), Ok(Took::Data(data))) => expected == data,
            (Self::Nothing, Ok(Took::Control)) => true,
            (Self::Nothing, Err(Error::Limit(Limit::EmptyRecords))) => true,
            (Self::Violation(expected), Err(Error::Violation(violation))) => expected == violation,
            (Self::BadMac, Err(Error::BadRecordMac)) => true,
            (Self::NoData | Self::Raw, Ok(Took::Data(_))) => false,
            (Self::NoData | Self::Raw, _) => true,
            _ => false,
        };
        assert!(right, "{result:?}");
    }
}

/// Makes records under a key.
struct Sealer {
    suite: &'static CipherSuite,
    key: Key,
    last: Vec<u8>,
    /// Handshake bytes of which the victim waits for the rest.
    partial: Vec<u8>,
    /// What was in the last record, if it was of the handshake.
    handshake: Vec<u8>,
}

impl Sealer {
    fn new(suite: CipherSuiteId, keys: &DirectionKeys) -> Self {
        let suite = provider(0).suite(suite).unwrap();
        let mut key = Key::new(suite, keys.secret.expose().to_vec());
        key.sequence = keys.sequence;
        Self { suite, key, last: Vec::new(), partial: Vec::new(), handshake: Vec::new() }
    }

    fn next(&mut self, instruction: u8, script: &mut Instructions<'_>) -> (Vec<u8>, Expected) {
        match instruction & 7 {
            0 => {
                let kind = script.byte().unwrap_or(23);
                let (len, padding) = (size(script), size(script));
                self.seal(kind, &vec![instruction | 1; len], padding)
            }
            1 => {
                let (kind, len) = (script.byte().unwrap_or(23), script.byte().unwrap_or(1));
                let content = script.bytes(usize::from(len)).to_vec();
                self.seal(kind, &content, usize::from(instruction >> 3))
            }
            2 => {
                let len = script.byte().unwrap_or(1);
                (script.bytes(usize::from(len)).to_vec(), Expected::Raw)
            }
            3 => {
                let (mut record, _) = self.seal(23, &[instruction; 20], 3);
                let at = 5 + script.short().unwrap_or(0) % (record.len() - 5);
                record[at] ^= script.byte().unwrap_or(1).max(1);
                (record, Expected::BadMac)
            }
            4 if !self.last.is_empty() => (self.last.clone(), Expected::BadMac),
            5 => {
                // As long as it can be, or a byte longer.
                let padding = usize::from(instruction >> 3 & 1);
                self.seal(23, &[instruction; 1 << 14], padding)
            }
            _ => self.seal(23, &[instruction; 40], 0),
        }
    }

    fn seal(&mut self, kind: u8, content: &[u8], padding: usize) -> (Vec<u8>, Expected) {
        let mut body = [content, &[kind], &vec![0; padding]].concat();
        let expected = self.expected(&body);
        self.handshake = match split(&body) {
            Some((22, content)) => content.to_vec(),
            _ => Vec::new(),
        };
        let len = ((body.len() + 16) as u16).to_be_bytes();
        let header = [23, 3, 3, len[0], len[1]];
        let nonce = self.key.nonce();
        let tag = self.key.key.seal(nonce, &header, &mut body).unwrap();
        let record = [&header[..], &body, &tag].concat();
        self.last.clone_from(&record);
        (record, expected)
    }

    /// RFC 9846 §5.1, §5.2, §5.4, in other words than the library's.
    fn expected(&self, inner: &[u8]) -> Expected {
        if inner.len() + 16 > (1 << 14) + 256 {
            return Expected::Violation(Violation::RecordOverflow);
        }
        if inner.len() > (1 << 14) + 1 {
            return Expected::Violation(Violation::PlaintextOverflow);
        }
        let Some((kind, content)) = split(inner) else {
            return Expected::Violation(Violation::NoContentType);
        };
        match (kind, content) {
            _ if !self.partial.is_empty() && kind != 22 => {
                Expected::Violation(Violation::InterleavedHandshake)
            }
            (23, []) => Expected::Nothing,
            (23, _) => Expected::Data(content.to_vec()),
            (21 | 22, []) => Expected::Violation(Violation::EmptyFragment),
            (20, _) => Expected::Violation(Violation::BadChangeCipherSpec),
            (21, [_, _]) | (22, _) => Expected::NoData,
            (21, _) => Expected::Violation(Violation::AlertNotAlone),
            _ => Expected::Violation(Violation::UnexpectedRecord),
        }
    }

    /// The victim took the last record: after a KeyUpdate the next key counts.
    fn took(&mut self) {
        self.partial.append(&mut self.handshake);
        while let [kind, a, b, c, ..] = self.partial[..] {
            let len = 4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
            if self.partial.len() < len {
                return;
            }
            self.partial.drain(..len);
            if kind == 24 {
                self.key = self.key.next(self.suite);
            }
        }
    }
}

/// RFC 9846 §5.4: type and content, from the last byte that is not zero.
fn split(inner: &[u8]) -> Option<(u8, &[u8])> {
    let last = inner.iter().rposition(|byte| *byte != 0)?;
    Some((inner[last], &inner[..last]))
}

/// A length: small, or at one of the bounds.
fn size(script: &mut Instructions<'_>) -> usize {
    match script.byte().unwrap_or(1) {
        small @ 0..=219 => usize::from(small),
        large @ 220..=239 => (1 << 14) + usize::from(large) - 230,
        larger => (1 << 14) + usize::from(larger),
    }
}
