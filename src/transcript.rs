//! The transcript hash (RFC 9846 §4.1).

use crate::codepoints::HandshakeType;
use crate::crypto::{Hash, HashContext, HashValue};

/// The running hash of every handshake message.
pub(crate) struct Transcript {
    hash: &'static dyn Hash,
    context: Box<dyn HashContext>,
}

impl Transcript {
    /// Begins with the first ClientHello.
    pub(crate) fn new(hash: &'static dyn Hash, client_hello: &[u8]) -> Self {
        let mut this = Self { hash, context: hash.start() };
        this.add(client_hello);
        this
    }

    /// RFC 9846 §4.1: a retried handshake begins with `message_hash`, which stands for the first ClientHello, and the
    /// HelloRetryRequest.
    pub(crate) fn after_retry(
        hash: &'static dyn Hash,
        client_hello_hash: &[u8],
        hello_retry_request: &[u8],
    ) -> Self {
        let mut this = Self { hash, context: hash.start() };
        let len = u8::try_from(client_hello_hash.len()).unwrap_or(u8::MAX);
        this.add(&[HandshakeType::message_hash.0, 0, 0, len]);
        this.add(client_hello_hash);
        this.add(hello_retry_request);
        this
    }

    /// Adds a whole message, header included.
    pub(crate) fn add(&mut self, message: &[u8]) {
        self.context.update(message);
    }

    /// The hash of everything so far.
    pub(crate) fn current(&self) -> HashValue {
        self.context.current()
    }

    /// The hash function.
    pub(crate) fn algorithm(&self) -> &'static dyn Hash {
        self.hash
    }
}
