//! Playing a published handshake against one connection.

use std::sync::{Arc, Mutex};

use sealwire::codepoints::HandshakeType;
use sealwire::crypto::deterministic::MessageHook;
use sealwire::pki_types::CertificateDer;
use sealwire::{Answer, Error, Question};

use super::pair::Side;

/// One connection that plays its part of a trace.
pub struct Play {
    pub side: Side,
    /// How much of its wire was compared.
    compared: usize,
    /// What a question for a signature is answered with.
    signature: Vec<u8>,
    /// The bytes that were to be signed.
    pub signed: Vec<u8>,
    /// Whether bytes arrive one at a time.
    slowly: bool,
}

impl Play {
    pub fn new(side: Side, signature: Vec<u8>, slowly: bool) -> Self {
        Self { side, compared: 0, signature, signed: Vec::new(), slowly }
    }

    /// The peer sends `bytes`; whatever is asked is answered as the trace has it.
    pub fn feed(&mut self, bytes: &[u8]) {
        let now = super::now();
        for piece in bytes.chunks(if self.slowly { 1 } else { bytes.len().max(1) }) {
            self.side.inbox.extend_from_slice(piece);
            self.side.drain(now);
            while let Some(question) = &self.side.question {
                let answer = match question {
                    Question::Verdict(_) => Answer::Accept,
                    Question::Signature(request) => {
                        self.signed.clone_from(&request.message);
                        Answer::Signature(self.signature.clone())
                    }
                    other => panic!("asks {other:?}"),
                };
                self.side.answer(now, &answer).unwrap();
                self.side.drain(now);
            }
        }
        assert!(self.side.error.is_none(), "{:?}", self.side.error);
        assert!(self.side.inbox.is_empty(), "{} bytes were not read", self.side.inbox.len());
    }

    /// The next bytes on the wire are these.
    pub fn expect(&mut self, bytes: &[u8], what: &str) {
        let rest = &self.side.wire[self.compared..];
        let len = bytes.len().min(rest.len());
        assert_eq!(encode(&rest[..len]), encode(bytes), "{what}");
        self.compared += len;
    }

    /// The next bytes on the wire, whatever they are.
    pub fn skip(&mut self, len: usize) -> Vec<u8> {
        let skipped = self.side.wire[self.compared..][..len].to_vec();
        self.compared += len;
        skipped
    }

    /// There is nothing more on the wire.
    pub fn silent(&self) {
        let rest = &self.side.wire[self.compared..];
        assert!(rest.is_empty(), "more was sent: {}", encode(rest));
    }

    pub fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.side.write(data)
    }
}

/// So that a difference can be read.
fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The messages that a hook has replaced, as they were before.
pub type Natives = Arc<Mutex<Vec<Vec<u8>>>>;

/// Replaces outgoing messages by these, each the first of its type that is not replaced yet, and remembers what it
/// replaced. The same message again gets the same replacement: a server writes its HelloRetryRequest twice.
pub fn replace(messages: Vec<Vec<u8>>) -> (MessageHook, Natives) {
    let natives = Natives::default();
    let (left, log) = (Mutex::new((messages, Vec::new())), Arc::clone(&natives));
    let hook = move |kind: HandshakeType, message: &mut Vec<u8>| {
        let (left, done) = &mut *left.lock().unwrap();
        let mut log = log.lock().unwrap();
        if let Some(before) = log.iter().position(|native| native == message) {
            message.clone_from(&done[before]);
        } else if let Some(at) = left.iter().position(|m| m[0] == kind.0) {
            done.push(left.remove(at));
            log.push(std::mem::replace(message, done[done.len() - 1].clone()));
        }
    };
    (MessageHook(Arc::new(hook)), natives)
}

/// The certificates of a Certificate message.
pub fn chain(message: &[u8]) -> Vec<CertificateDer<'static>> {
    assert_eq!((message[0], message[4]), (11, 0), "no Certificate without context");
    let mut rest = &message[8..];
    let mut chain = Vec::new();
    while !rest.is_empty() {
        let len = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        chain.push(CertificateDer::from(rest[3..3 + len].to_vec()));
        assert_eq!(rest[3 + len..5 + len], [0, 0], "extensions in a Certificate");
        rest = &rest[5 + len..];
    }
    chain
}

/// The scheme's number and the signature of a CertificateVerify message.
pub fn signature(message: &[u8]) -> (u16, Vec<u8>) {
    assert_eq!(message[0], 15, "no CertificateVerify");
    (u16::from_be_bytes([message[4], message[5]]), message[8..].to_vec())
}

/// The random and the `legacy_session_id` of a ClientHello or ServerHello.
pub fn randoms(message: &[u8]) -> Vec<Vec<u8>> {
    let session = &message[39..39 + usize::from(message[38])];
    let mut all = vec![message[6..38].to_vec()];
    if !session.is_empty() {
        all.push(session.to_vec());
    }
    all
}

/// Whether `part` stands in `whole`.
pub fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|w| w == part)
}
