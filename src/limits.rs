//! The budget of a connection: how long a peer may make us work, how much it may make us hold, and how much of that it has
//! used up.
//!
//! Whatever a peer can multiply is counted here and nowhere else. Running out is an error that names the limit
//! ([`Limit`]), and ends the connection.

use crate::error::Limit;

/// How long a peer may make us work, and how much it may make us hold. See each field for its unit and default.
///
/// The defaults stop every flood and let every real peer through. They bound work and memory; time is the caller's: it has
/// the clock and the socket. [`Connection::usage`](crate::Connection::usage) says how far a peer has come, for deadlines
/// and byte budgets of the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one handshake message other than Certificate. Default 65,536.
    pub handshake_message: usize,
    /// Bytes of a Certificate message. Default 131,072.
    pub certificate_message: usize,
    /// Bytes of handshake messages in a whole handshake, before [`Event::Connected`](crate::Event::Connected). Default
    /// 262,144.
    pub handshake_bytes: usize,
    /// Handshake messages in a whole handshake. Default 16; no handshake has more than 7 from one side.
    pub handshake_messages: u32,
    /// Certificates in the peer's chain. Default 16.
    pub chain_length: usize,
    /// Bytes of the certificates in the peer's chain. Default 102,400.
    pub chain_bytes: usize,
    /// Signatures that are checked for one verdict on a chain. Default 32: five times what the most entangled real chains
    /// need, and some milliseconds of work (P-384: some tens).
    pub signatures: u32,
    /// Certificates that are considered as an issuer for one verdict. Default 1,000.
    pub candidates: u32,
    /// Comparisons of a name with a constraint for one verdict. Default 50,000.
    pub name_comparisons: u32,
    /// Bytes of a compressed certificate once it is decompressed (RFC 8879). Default 131,072.
    pub decompressed_certificate: usize,
    /// Bytes of the window that a decoder of compressed certificates keeps. Default 4,194,304, which is what encoders of
    /// Brotli announce as a rule.
    pub decompression_window: usize,
    /// Bytes of records with early data that a server drops when it does not take it (RFC 9846 §4.3.10). Default 65,536:
    /// servers announce 16,384 bytes of data as a rule, which may come in many small records.
    pub skipped_early_data: usize,
    /// Records in a row that carry nothing. Default 32.
    pub empty_records: u32,
    /// change_cipher_spec records in a connection. Default 32.
    pub change_cipher_specs: u32,
    /// user_canceled alerts in a connection. Default 4.
    pub warnings: u32,
    /// KeyUpdates without application data between them. Default 32.
    pub key_updates: u32,
    /// Tickets without application data between them. Default 32. How many are kept is the store's to say.
    pub tickets: u32,
    /// Post-handshake messages other than KeyUpdates and tickets without application data between them. Default 32.
    pub post_handshake: u32,
    /// Received bytes that are held because the rest of a message, or an answer of the application, is missing. Default
    /// 262,144.
    pub buffered_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_message: 1 << 16,
            certificate_message: 1 << 17,
            handshake_bytes: 1 << 18,
            handshake_messages: 16,
            chain_length: 16,
            chain_bytes: 100 << 10,
            signatures: 32,
            candidates: 1_000,
            name_comparisons: 50_000,
            decompressed_certificate: 1 << 17,
            decompression_window: 1 << 22,
            skipped_early_data: 1 << 16,
            empty_records: 32,
            change_cipher_specs: 32,
            warnings: 4,
            key_updates: 32,
            tickets: 32,
            post_handshake: 32,
            buffered_bytes: 1 << 18,
        }
    }
}

/// How much of its [`Limits`] a peer has used so far. Each field counts what the limit of the same name bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Bytes of handshake messages, until the handshake was complete.
    pub handshake_bytes: usize,
    /// Handshake messages, until the handshake was complete.
    pub handshake_messages: u32,
    /// Certificates in the peer's last chain.
    pub chain_length: usize,
    /// Bytes of the certificates in the peer's last chain.
    pub chain_bytes: usize,
    /// Signatures that were checked for the last verdict.
    pub signatures: u32,
    /// Certificates that were considered as an issuer for the last verdict.
    pub candidates: u32,
    /// Comparisons of names with constraints for the last verdict.
    pub name_comparisons: u32,
    /// Bytes of records with early data that were dropped.
    pub skipped_early_data: usize,
    /// Records that carried nothing, since the last that did.
    pub empty_records: u32,
    /// change_cipher_spec records.
    pub change_cipher_specs: u32,
    /// user_canceled alerts.
    pub warnings: u32,
    /// KeyUpdates since the last application data.
    pub key_updates: u32,
    /// Tickets since the last application data.
    pub tickets: u32,
    /// Other messages after the handshake, since the last application data.
    pub post_handshake: u32,
    /// Received bytes that are held at this moment.
    pub buffered_bytes: usize,
}

/// Limits, and how far they are used up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    pub(crate) used: Usage,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, used: Usage::default() }
    }

    /// Bytes of the handshake have come.
    pub(crate) fn handshake_bytes(&mut self, bytes: usize) -> Result<(), Limit> {
        let (used, most) = (&mut self.used.handshake_bytes, self.limits.handshake_bytes);
        add_bytes(used, bytes, most, Limit::HandshakeBytes)
    }

    /// A message of the handshake is whole.
    pub(crate) fn handshake_message(&mut self) -> Result<(), Limit> {
        let (used, most) = (&mut self.used.handshake_messages, self.limits.handshake_messages);
        add(used, 1, most, Limit::HandshakeMessages)
    }

    /// The peer has shown a chain.
    pub(crate) fn chain(&mut self, certificates: usize, bytes: usize) -> Result<(), Limit> {
        self.used.chain_length = 0;
        self.used.chain_bytes = 0;
        let (used, most) = (&mut self.used.chain_length, self.limits.chain_length);
        add_bytes(used, certificates, most, Limit::ChainLength)?;
        let (used, most) = (&mut self.used.chain_bytes, self.limits.chain_bytes);
        add_bytes(used, bytes, most, Limit::ChainBytes)
    }

    /// A chain is about to be judged.
    pub(crate) fn start_verdict(&mut self) {
        self.used.signatures = 0;
        self.used.candidates = 0;
        self.used.name_comparisons = 0;
    }

    /// A signature on a certificate is about to be checked.
    pub(crate) fn signature(&mut self) -> Result<(), Limit> {
        add(&mut self.used.signatures, 1, self.limits.signatures, Limit::Signatures)
    }

    /// A certificate is about to be considered as an issuer.
    pub(crate) fn candidate(&mut self) -> Result<(), Limit> {
        add(&mut self.used.candidates, 1, self.limits.candidates, Limit::Candidates)
    }

    /// A name is about to be compared with a constraint, at a cost of `units`.
    pub(crate) fn comparison(&mut self, units: usize) -> Result<(), Limit> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let (used, most) = (&mut self.used.name_comparisons, self.limits.name_comparisons);
        add(used, units, most, Limit::NameComparisons)
    }

    /// A record has come that carries nothing.
    pub(crate) fn empty_record(&mut self) -> Result<(), Limit> {
        add(&mut self.used.empty_records, 1, self.limits.empty_records, Limit::EmptyRecords)
    }

    /// A record has come that carries something.
    pub(crate) fn full_record(&mut self) {
        self.used.empty_records = 0;
    }

    /// change_cipher_spec has come.
    pub(crate) fn change_cipher_spec(&mut self) -> Result<(), Limit> {
        let (used, most) = (&mut self.used.change_cipher_specs, self.limits.change_cipher_specs);
        add(used, 1, most, Limit::ChangeCipherSpecs)
    }

    /// user_canceled has come.
    pub(crate) fn warning(&mut self) -> Result<(), Limit> {
        add(&mut self.used.warnings, 1, self.limits.warnings, Limit::Warnings)
    }

    /// KeyUpdate has come.
    pub(crate) fn key_update(&mut self) -> Result<(), Limit> {
        add(&mut self.used.key_updates, 1, self.limits.key_updates, Limit::KeyUpdates)
    }

    /// A ticket has come.
    pub(crate) fn ticket(&mut self) -> Result<(), Limit> {
        add(&mut self.used.tickets, 1, self.limits.tickets, Limit::Tickets)
    }

    /// Another message has come after the handshake.
    pub(crate) fn post_handshake(&mut self) -> Result<(), Limit> {
        add(&mut self.used.post_handshake, 1, self.limits.post_handshake, Limit::PostHandshake)
    }

    /// Application data has come: whoever sends it is not just keeping us busy.
    pub(crate) fn data(&mut self) {
        self.used.key_updates = 0;
        self.used.tickets = 0;
        self.used.post_handshake = 0;
    }

    /// So many received bytes are held.
    pub(crate) fn buffered(&self, bytes: usize) -> Result<(), Limit> {
        match bytes <= self.limits.buffered_bytes {
            true => Ok(()),
            false => Err(Limit::BufferedBytes),
        }
    }
}

fn add(used: &mut u32, units: u32, most: u32, limit: Limit) -> Result<(), Limit> {
    *used = used.saturating_add(units);
    if *used <= most { Ok(()) } else { Err(limit) }
}

fn add_bytes(used: &mut usize, bytes: usize, most: usize, limit: Limit) -> Result<(), Limit> {
    *used = used.saturating_add(bytes);
    if *used <= most { Ok(()) } else { Err(limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_is_final() {
        let limits =
            Limits { signatures: 1, candidates: 0, name_comparisons: 5, ..Limits::default() };
        let mut budget = Budget::new(limits);
        assert_eq!(budget.signature(), Ok(()));
        assert_eq!(budget.signature(), Err(Limit::Signatures));
        assert_eq!(budget.signature(), Err(Limit::Signatures));
        assert_eq!(budget.candidate(), Err(Limit::Candidates));
        assert_eq!(budget.comparison(5), Ok(()));
        assert_eq!(budget.comparison(usize::MAX), Err(Limit::NameComparisons));
        assert_eq!(budget.comparison(0), Err(Limit::NameComparisons));
        budget.start_verdict();
        assert_eq!(budget.signature(), Ok(()));
        assert_eq!(budget.comparison(5), Ok(()));
    }

    #[test]
    fn what_starts_again_and_what_does_not() {
        let mut budget = Budget::default();
        for _ in 0..32 {
            budget
                .key_update()
                .and(budget.ticket())
                .and(budget.post_handshake())
                .unwrap_or_default();
        }
        assert_eq!(budget.key_update(), Err(Limit::KeyUpdates));
        assert_eq!(budget.ticket(), Err(Limit::Tickets));
        assert_eq!(budget.post_handshake(), Err(Limit::PostHandshake));
        budget.data();
        assert_eq!(budget.key_update(), Ok(()));
        assert_eq!(budget.ticket(), Ok(()));
        assert_eq!(budget.post_handshake(), Ok(()));
        // The chain is that of the last Certificate; a second one is not added to it.
        assert_eq!(budget.chain(16, 102_400), Ok(()));
        assert_eq!(budget.chain(16, 102_401), Err(Limit::ChainBytes));
        assert_eq!(budget.chain(17, 1), Err(Limit::ChainLength));
        assert_eq!(budget.buffered(1 << 18), Ok(()));
        assert_eq!(budget.buffered((1 << 18) + 1), Err(Limit::BufferedBytes));
        assert_eq!(budget.buffered(0), Ok(()));
    }
}
