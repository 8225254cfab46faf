//! A peer that says whatever an input wants, under the right keys: they are those that the victim itself has logged.

use std::sync::{Arc, Mutex, PoisonError};

use sealwire::KeyLog;
use sealwire::codepoints::CipherSuiteId;
use sealwire::crypto::{AeadKey, CipherSuite};

use super::cheap::{provider, signature};
use super::world::End;

/// Who is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// A client of ours.
    Client,
    /// A server of ours.
    Server,
}

/// What the victim has logged: labels and secrets.
#[derive(Debug, Default)]
pub struct Log(Mutex<Vec<(String, Vec<u8>)>>);

impl KeyLog for Log {
    fn log(&self, label: &str, _: &[u8; 32], secret: &[u8]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((label.to_owned(), secret.to_vec()));
    }
}

impl Log {
    fn secret(&self, label: &str) -> Option<Vec<u8>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().find(|(known, _)| known == label).map(|(_, secret)| secret.clone())
    }
}

/// Under which key the peer speaks, in the order in which a handshake uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Epoch {
    Plain,
    Early,
    Handshake,
    Application,
}

/// A direction's key.
pub struct Key {
    secret: Vec<u8>,
    pub key: Box<dyn AeadKey>,
    iv: [u8; 12],
    /// The number of the next record.
    pub sequence: u64,
}

impl Key {
    /// The key of this traffic secret.
    pub fn new(suite: &CipherSuite, secret: Vec<u8>) -> Self {
        let key = expand(suite, &secret, "key", suite.aead.key_len());
        let iv = expand(suite, &secret, "iv", 12);
        let key = suite.aead.key(&key).unwrap();
        Self { secret, key, iv: iv.try_into().unwrap(), sequence: 0 }
    }

    /// RFC 9846 §7.2: the next generation.
    pub fn next(&self, suite: &CipherSuite) -> Self {
        Self::new(suite, expand(suite, &self.secret, "traffic upd", suite.hash.output_len()))
    }

    /// The nonce of the next record.
    pub fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        self.sequence += 1;
        nonce
    }
}

/// RFC 9846 §7.1, for outputs of one block.
fn expand(suite: &CipherSuite, secret: &[u8], label: &str, len: usize) -> Vec<u8> {
    let label = [b"tls13 ", label.as_bytes()].concat();
    let info = [&[0, len as u8, label.len() as u8], &label[..], &[0, 1]].concat();
    suite.hash.hmac(secret, &[&info]).expose()[..len].to_vec()
}

/// The peer of one victim.
pub struct Peer {
    victim: Victim,
    pub end: End,
    log: Arc<Log>,
    suite: &'static CipherSuite,
    /// Every message so far, as the victim should have hashed it.
    transcript: Vec<u8>,
    pub epoch: Epoch,
    sealing: Option<Key>,
    /// With which the victim's flight within the handshake is read.
    opening: Option<Key>,
    /// Messages of ours that wait for the end of their record.
    pending: Vec<u8>,
    /// Data that was sent under an application key.
    pub sent: Vec<u8>,
    /// Data that was sent under the key of early data.
    pub sent_early: Vec<u8>,
    /// Whether a Finished that is right was sent under the handshake key.
    pub finished: bool,
    /// Whether a CertificateVerify that is right was sent under the handshake key.
    pub verified: bool,
}

impl Peer {
    /// The peer of `end`, which logs its secrets to `log`.
    pub fn new(victim: Victim, end: End, log: Arc<Log>) -> Self {
        let mut this = Self {
            victim,
            end,
            log,
            suite: super::cheap::short_suite(),
            transcript: Vec::new(),
            epoch: Epoch::Plain,
            sealing: None,
            opening: None,
            pending: Vec::new(),
            sent: Vec::new(),
            sent_early: Vec::new(),
            finished: false,
            verified: false,
        };
        this.listen();
        this
    }

    /// Speaks under the next key, if the victim has it; under the one after the last, if this is the last.
    pub fn advance(&mut self) {
        self.flush();
        let own = if self.victim == Victim::Client { "SERVER" } else { "CLIENT" };
        if self.epoch == Epoch::Application {
            let Some(key) = &self.sealing else { return };
            self.sealing = Some(key.next(self.suite));
            return;
        }
        let (epoch, label) = match self.epoch {
            Epoch::Plain | Epoch::Early => {
                (Epoch::Handshake, format!("{own}_HANDSHAKE_TRAFFIC_SECRET"))
            }
            _ => (Epoch::Application, format!("{own}_TRAFFIC_SECRET_0")),
        };
        self.speak(epoch, &label);
    }

    /// Speaks under the key of early data, if there is one.
    pub fn early(&mut self) {
        self.flush();
        if self.epoch == Epoch::Plain {
            self.speak(Epoch::Early, "CLIENT_EARLY_TRAFFIC_SECRET");
        }
    }

    /// From early data to the handshake.
    fn speak(&mut self, epoch: Epoch, label: &str) {
        if let Some(secret) = self.log.secret(label) {
            self.epoch = epoch;
            self.sealing = Some(Key::new(self.suite, secret));
        }
    }

    /// Adds a handshake message, header included, to the record that comes next.
    pub fn message(&mut self, message: &[u8]) {
        let last = self.epoch == Epoch::Application;
        if message.first() == Some(&15) && self.epoch == Epoch::Handshake {
            self.verified |= message.get(8..) == Some(&self.signature()[..]);
        }
        if message.first() == Some(&20) && self.epoch == Epoch::Handshake {
            self.finished |= message == self.finished_message();
        }
        if !last {
            self.note(message);
        }
        self.pending.extend_from_slice(message);
    }

    /// Sends what was said so far, as one record if it fits.
    pub fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for fragment in pending.chunks(1 << 14) {
            self.record(22, fragment, 0);
        }
    }

    /// Sends a record of this type, protected if there is a key, and padded then.
    pub fn record(&mut self, kind: u8, content: &[u8], padding: usize) {
        let record = match &mut self.sealing {
            None => {
                let len = (content.len() as u16).to_be_bytes();
                [&[kind, 3, 3], &len[..], content].concat()
            }
            Some(key) => {
                let mut body = [content, &[kind], &vec![0; padding]].concat();
                let len = ((body.len() + 16) as u16).to_be_bytes();
                let header = [23, 3, 3, len[0], len[1]];
                let nonce = key.nonce();
                let tag = key.key.seal(nonce, &header, &mut body).unwrap();
                [&header[..], &body, &tag].concat()
            }
        };
        // RFC 9846 §5.4: the last byte that is not zero is the type, wherever it comes from.
        let inner = [content, &[kind]].concat();
        let last = inner.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        match self.epoch {
            Epoch::Application if inner[last] == 23 => self.sent.extend_from_slice(&inner[..last]),
            Epoch::Early if inner[last] == 23 => self.sent_early.extend_from_slice(&inner[..last]),
            _ => {}
        }
        self.raw(&record);
    }

    /// Gives the victim these bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        if self.end.error.is_none() {
            self.end.take(bytes);
        }
        self.listen();
    }

    /// The signature that a CertificateVerify after everything so far should have.
    pub fn signature(&self) -> Vec<u8> {
        let side = if self.victim == Victim::Client { "server" } else { "client" };
        let context = format!("TLS 1.3, {side} CertificateVerify");
        let hash = self.suite.hash.digest(&self.transcript);
        let signed = [&[0x20; 64], context.as_bytes(), &[0], hash.as_ref()].concat();
        signature(super::world::spki(self.victim), &signed)
    }

    /// The Finished that should come after everything so far.
    pub fn finished_message(&self) -> Vec<u8> {
        let own = if self.victim == Victim::Client { "SERVER" } else { "CLIENT" };
        let secret = self.log.secret(&format!("{own}_HANDSHAKE_TRAFFIC_SECRET"));
        let len = self.suite.hash.output_len();
        let key = expand(self.suite, &secret.unwrap_or_default(), "finished", len);
        let hash = self.suite.hash.digest(&self.transcript);
        let mac = self.suite.hash.hmac(&key, &[hash.as_ref()]);
        [&[20, 0, 0, len as u8], mac.expose()].concat()
    }

    /// Adds a message to the transcript.
    fn note(&mut self, message: &[u8]) {
        if message.first() == Some(&2) {
            self.take_suite(message);
            // RFC 9846 §4.2.3: a HelloRetryRequest; RFC 9846 §4.5.1: what stands for the first ClientHello.
            if message.get(6..10) == Some(&[0xcf, 0x21, 0xad, 0x74]) {
                let hash = self.suite.hash.digest(&self.transcript);
                let len = hash.as_ref().len() as u8;
                self.transcript = [&[254, 0, 0, len], hash.as_ref()].concat();
            }
        }
        self.transcript.extend_from_slice(message);
    }

    /// Takes the suite that a ServerHello names.
    fn take_suite(&mut self, hello: &[u8]) {
        let session_len = usize::from(hello.get(38).copied().unwrap_or_default());
        if let Some(&[a, b]) = hello.get(39 + session_len..41 + session_len)
            && let Some(suite) = provider(3).suite(CipherSuiteId(u16::from_be_bytes([a, b])))
        {
            self.suite = suite;
        }
    }

    /// Hears what the victim has said within the handshake, for the transcript.
    fn listen(&mut self) {
        let said = std::mem::take(&mut self.end.output);
        let mut rest = &said[..];
        while let [kind, _, _, a, b, tail @ ..] = rest {
            let len = usize::from(*a) << 8 | usize::from(*b);
            let Some((body, after)) = tail.split_at_checked(len) else { return };
            self.hear(*kind, &rest[..5], body);
            rest = after;
        }
    }

    fn hear(&mut self, kind: u8, header: &[u8], body: &[u8]) {
        // A client's own flight comes after the server's Finished, and nothing of ours depends on it.
        if kind == 22 {
            self.note_all(body);
        } else if kind == 23 && self.victim == Victim::Server && !self.finished {
            let label = "SERVER_HANDSHAKE_TRAFFIC_SECRET";
            if self.opening.is_none() {
                self.opening = self.log.secret(label).map(|secret| Key::new(self.suite, secret));
            }
            let Some(key) = &mut self.opening else { return };
            let (mut body, nonce) = (body.to_vec(), key.nonce());
            // Under the application key nothing is needed any more.
            let Ok(len) = key.key.open(nonce, header, &mut body) else { return };
            let len = body[..len].iter().rposition(|byte| *byte != 0).unwrap_or(0);
            if body.get(len) == Some(&22) {
                self.note_all(&body[..len]);
            }
        }
    }

    /// Adds messages that stand one behind the other. Ours begin and end with records.
    fn note_all(&mut self, mut messages: &[u8]) {
        while let [_, a, b, c, ..] = *messages {
            let len = 4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
            let (message, rest) = messages.split_at(len.min(messages.len()));
            self.note(message);
            messages = rest;
        }
    }
}
