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

    /// A copy that goes on by itself.
    pub(crate) fn fork(&self) -> Self {
        Self { hash: self.hash, context: self.context.fork() }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crypto::deterministic::{SeededRng, provider};

    fn hex(text: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    }

    fn sha256() -> &'static dyn Hash {
        provider(Arc::new(SeededRng::new(0))).suites[0].hash
    }

    #[test]
    fn it_is_the_hash_of_the_messages_in_their_order() {
        let mut transcript = Transcript::new(sha256(), b"one");
        assert_eq!(transcript.current(), sha256().digest(b"one"));
        transcript.add(b"two");
        // To look at it changes nothing.
        assert_eq!(transcript.current(), sha256().digest(b"onetwo"));
        transcript.add(b"three");
        assert_eq!(transcript.current(), sha256().digest(b"onetwothree"));
    }

    /// RFC 8448 §5: the transcript up to ServerHello, after a HelloRetryRequest.
    #[test]
    fn a_retry_stands_for_the_first_client_hello() {
        let first = hex(
            "010000b00303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f0000061301\
             13031302010000810000000b0009000006736572766572ff01000100000a00080006001d00170018003300\
             260024001d0020e8e8e3f3b93a25ed97a14a7dcacb8a272c6288e585c6484d05262fcad062ad1f002b0003\
             020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d0002\
             0101001c00024001",
        );
        let retry = hex(
            "020000ac0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c0013010000\
             84003300020017002c0074007271dcd04bb88bc3189119398a00000000eefafc76c146b823b096f8aacad3\
             65dd0030953f4edf625636e5f21bb2e23fcc654b1b5b40318d10d137abcbb87574e36e8a1f025f7dfa5d6e\
             50781b5eda4aa15b0c8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf571fb2b7cff0f934b0002b\
             00020304",
        );
        let mut second = hex(
            "010001fc0303b0b1c5a5aa37c5919f2ed1d5c6fff7fcb7849716945a2b8cee9258a346677b6f0000061301\
             13031302010001cd0000000b0009000006736572766572ff01000100000a00080006001d00170018003300\
             4700450017004104a6da7392ec591e17abfd535964b99894d13befb221b3def2ebe3830eac8f0151812677\
             c4d6d2237e85cf01d6910cfb83954e76ba7352830534159897e8065780002b0003020304000d0020001e04\
             0305030603020308040805080604010501060102010402050206020202002c0074007271dcd04bb88bc318\
             9119398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf625636e5f21bb2e23fcc654b1b\
             5b40318d10d137abcbb87574e36e8a1f025f7dfa5d6e50781b5eda4aa15b0c8be778257d16aa3030e9e784\
             1dd9e4c0342267e8ca0caf571fb2b7cff0f934b0002d00020101001c00024001001500af",
        );
        second.resize(second.len() + 0xaf, 0); // padding
        let hello = hex(
            "020000770303bb341d847fd789c47c387172dc0c9bf147fccacb5043d86ca4c598d3ff571b980013010000\
             4f003300450017004104583e054b7a66672ae020ad9d2686fcc85b5ad41a134a0f03ee72b893052bd85b4c\
             8de6776f5b04ac07d83540eab3e3d9c547bc6528c4317d294686093a6cad7d002b00020304",
        );
        let hash = sha256().digest(&first);
        let mut transcript = Transcript::after_retry(sha256(), hash.as_ref(), &retry);
        transcript.add(&second);
        transcript.add(&hello);
        let expected = "8aa8e828ec2f8a884fec95a3139de01c15a3daa7ff5bfc3f4bfcc21b438d7bf8";
        assert_eq!(transcript.current().as_ref(), hex(expected));
    }
}
