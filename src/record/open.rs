//! Receiving records: framing, decryption in place, and what may come when (RFC 9846 §5).

use super::{
    AEAD_STACK, DirectionKey, DirectionSecret, HEADER_LEN, MAX_CIPHERTEXT, MAX_PLAINTEXT, ReadState,
};
use crate::codepoints::{Alert, ContentType};
use crate::crypto::CipherSuite;
use crate::error::{Error, Limit, Violation};
use crate::limits::{Budget, Limits};
use crate::secret::{Secret, wipe_stack};

/// What was at the front of the input.
pub(crate) enum Incoming<'b> {
    /// Less than a record; `need` bytes are the least that could be one.
    NeedMore { need: usize },
    /// A record that is spent: change_cipher_spec.
    Nothing { used: usize },
    /// Bytes of the handshake stream, never none.
    Handshake { used: usize, data: &'b [u8] },
    /// One alert.
    Alert { used: usize, alert: Alert },
    /// Application data, perhaps none.
    Data { used: usize, data: &'b mut [u8] },
    /// Early data, perhaps none.
    EarlyData { used: usize, data: &'b mut [u8] },
}

/// RFC 9846 §5: when an unprotected change_cipher_spec is dropped, and when it is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeCipherSpecRule {
    /// Between the first ClientHello and the peer's Finished.
    Dropped,
    /// Before and after.
    Refused,
}

/// The receiving direction.
pub(crate) struct ReadSide {
    key: Option<DirectionKey>,
    /// Handshake bytes that do not make a message yet, or that wait for an answer of the application.
    pub(crate) partial: Vec<u8>,
    pub(crate) change_cipher_spec: ChangeCipherSpecRule,
    /// How many bytes of early data may still come, while records are under the early key.
    early_data: Option<usize>,
    /// How many bytes of early data may still be dropped, while it is to be dropped.
    skippable: Option<usize>,
}

impl ReadSide {
    pub(crate) fn new(change_cipher_spec: ChangeCipherSpecRule) -> Self {
        Self {
            key: None,
            partial: Vec::new(),
            change_cipher_spec,
            early_data: None,
            skippable: None,
        }
    }

    /// From now on records are protected with the key that `secret` gives.
    pub(crate) fn set_key(
        &mut self,
        suite: &'static CipherSuite,
        secret: Secret,
    ) -> Result<(), Error> {
        self.key = Some(DirectionKey::new(suite, secret)?);
        self.early_data = None;
        Ok(())
    }

    /// From now on up to `max` bytes of early data come, under the key that `secret` gives (RFC 9846 §4.3.10).
    pub(crate) fn set_early_key(
        &mut self,
        suite: &'static CipherSuite,
        secret: Secret,
        max: usize,
    ) -> Result<(), Error> {
        self.set_key(suite, secret)?;
        self.early_data = Some(max);
        Ok(())
    }

    /// RFC 9846 §4.7.3: the peer's next record is under its next key.
    pub(crate) fn update_key(&mut self) -> Result<(), Error> {
        if let Some(key) = &mut self.key {
            *key = key.next()?;
        }
        Ok(())
    }

    /// Forgets the key.
    pub(crate) fn forget(&mut self) {
        self.key = None;
        self.partial = Vec::new();
    }

    /// The traffic secret of the present key.
    pub(crate) fn traffic_secret(&self) -> Option<&Secret> {
        self.key.as_ref().map(|key| &key.secret)
    }

    /// Gives the key away.
    pub(crate) fn into_secret(self) -> Option<DirectionSecret> {
        self.key.map(DirectionSecret::from)
    }

    /// Gives everything away that is no configuration, after the handshake. `None` without a key.
    pub(crate) fn into_state(self) -> Option<ReadState> {
        Some(ReadState { key: self.key.map(DirectionSecret::from)?, partial: self.partial })
    }

    /// Goes on where another left off, after the handshake.
    pub(crate) fn from_state(state: ReadState) -> Result<Self, Error> {
        let mut this = Self::new(ChangeCipherSpecRule::Refused);
        this.key = Some(state.key.into_key()?);
        this.partial = state.partial;
        Ok(this)
    }

    /// Takes at most one record from the front of `input`, at the expense of `budget`.
    pub(crate) fn next<'b>(
        &mut self,
        input: &'b mut [u8],
        budget: &mut Budget,
    ) -> Result<Incoming<'b>, Error> {
        // What cannot be a record is refused at its first byte, rather than waited for.
        if input.first().is_some_and(|kind| ContentType(*kind).name().is_none()) {
            return Err(match self.key {
                None => Violation::NotTls.into(),
                Some(_) => Violation::UnexpectedRecord.into(),
            });
        }
        let Some(header) = input.first_chunk::<HEADER_LEN>().copied() else {
            return Ok(Incoming::NeedMore { need: HEADER_LEN });
        };
        let [kind, _, _, high, low] = header; // RFC 9846 §5.1: the version is ignored.
        let (kind, len) = (ContentType(kind), usize::from(u16::from_be_bytes([high, low])));
        self.check_header(kind, len)?;
        let used = HEADER_LEN + len;
        let Some(body) = input.get_mut(HEADER_LEN..used) else {
            return Ok(Incoming::NeedMore { need: used });
        };

        if kind == ContentType::change_cipher_spec {
            self.on_change_cipher_spec(body, budget)?;
            return Ok(Incoming::Nothing { used });
        }
        let opened = match &mut self.key {
            Some(key) if kind == ContentType::application_data => open(key, header, body),
            None if kind == ContentType::application_data => Err(Error::BadRecordMac),
            _ => Ok((kind, body)),
        };
        if !matches!(opened, Ok((ContentType::application_data, _))) {
            // The AEAD may have left its key on the stack (ring's ChaCha20 does), and what comes of such a record, an error
            // too, is moved to the heap, unused parts and all. Data is not, and is not kept waiting.
            wipe_stack::<AEAD_STACK>();
        }
        match opened {
            Ok((kind, body)) => {
                self.skippable = None;
                self.sort(kind, used, body, budget)
            }
            Err(Error::BadRecordMac) if self.skippable.is_some() => {
                self.skip(used, budget)?;
                Ok(Incoming::Nothing { used })
            }
            Err(error) => Err(error),
        }
    }

    /// RFC 9846 §4.3.10: the client has sent early data that nobody takes. Until the first record that opens, or the second
    /// ClientHello, what does not open is dropped.
    pub(crate) fn skip_early_data(&mut self, limits: &Limits, at_least: usize) {
        self.skippable = Some(limits.skipped_early_data.max(at_least));
    }

    /// Counts the header too: empty records are not for nothing.
    fn skip(&mut self, len: usize, budget: &mut Budget) -> Result<(), Error> {
        let skipped = &mut budget.used.skipped_early_data;
        *skipped = skipped.saturating_add(len);
        self.skippable = self.skippable.and_then(|left| left.checked_sub(len));
        match self.skippable {
            Some(_) => Ok(()),
            None => Err(Limit::SkippedEarlyData.into()),
        }
    }

    /// What can be refused before the whole record is there.
    fn check_header(&self, kind: ContentType, len: usize) -> Result<(), Error> {
        let max = match (&self.key, kind) {
            // RFC 9846 §5.1: application data is always protected.
            (None, ContentType::application_data) if self.skippable.is_none() => {
                return Err(Violation::UnexpectedRecord.into());
            }
            (_, ContentType::application_data) => MAX_CIPHERTEXT,
            (_, ContentType::change_cipher_spec) => MAX_PLAINTEXT,
            (None, ContentType::handshake | ContentType::alert) => MAX_PLAINTEXT,
            // A peer that failed before it had keys says so in clear. Once it has used its keys, that is over.
            (Some(key), ContentType::alert) if key.seq == 0 && self.is_in_handshake() => {
                MAX_PLAINTEXT
            }
            (Some(_), ContentType::handshake | ContentType::alert) => {
                return Err(Violation::UnprotectedRecord.into());
            }
            _ => return Err(Violation::UnexpectedRecord.into()),
        };
        match len <= max {
            true => Ok(()),
            false => Err(Violation::RecordOverflow.into()),
        }
    }

    fn is_in_handshake(&self) -> bool {
        self.change_cipher_spec == ChangeCipherSpecRule::Dropped
    }

    /// RFC 9846 §5: dropped between the first ClientHello and the peer's Finished, if it is the byte 1.
    fn on_change_cipher_spec(&self, body: &[u8], budget: &mut Budget) -> Result<(), Error> {
        if body != [1] {
            return Err(Violation::BadChangeCipherSpec.into());
        }
        if self.change_cipher_spec == ChangeCipherSpecRule::Refused {
            return Err(Violation::UnexpectedChangeCipherSpec.into());
        }
        self.check_no_partial()?;
        Ok(budget.change_cipher_spec()?)
    }

    /// RFC 9846 §5.1: a handshake message that is split has no other record inside.
    fn check_no_partial(&self) -> Result<(), Error> {
        match self.partial.is_empty() {
            true => Ok(()),
            false => Err(Violation::InterleavedHandshake.into()),
        }
    }

    /// A record's content, decrypted if it was protected.
    fn sort<'b>(
        &mut self,
        kind: ContentType,
        used: usize,
        body: &'b mut [u8],
        budget: &mut Budget,
    ) -> Result<Incoming<'b>, Error> {
        if kind != ContentType::handshake {
            self.check_no_partial()?;
        }
        if body.is_empty() {
            return self.on_empty(kind, used, body, budget);
        }
        budget.full_record();
        match kind {
            ContentType::handshake => Ok(Incoming::Handshake { used, data: body }),
            ContentType::application_data => self.on_data(used, body),
            // RFC 9846 §5.1: exactly one alert. Its level says nothing (RFC 9846 §6).
            ContentType::alert => match *body {
                [_, description] => Ok(Incoming::Alert { used, alert: Alert(description) }),
                _ => Err(Violation::AlertNotAlone.into()),
            },
            ContentType::change_cipher_spec => Err(Violation::BadChangeCipherSpec.into()),
            _ => Err(Violation::UnexpectedRecord.into()),
        }
    }

    /// RFC 9846 §5.1: only application data may be empty, and we do not take that for ever.
    fn on_empty<'b>(
        &mut self,
        kind: ContentType,
        used: usize,
        data: &'b mut [u8],
        budget: &mut Budget,
    ) -> Result<Incoming<'b>, Error> {
        match kind {
            ContentType::application_data => {}
            ContentType::handshake | ContentType::alert => {
                return Err(Violation::EmptyFragment.into());
            }
            ContentType::change_cipher_spec => return Err(Violation::BadChangeCipherSpec.into()),
            _ => return Err(Violation::UnexpectedRecord.into()),
        }
        budget.empty_record()?;
        self.on_data(used, data)
    }

    /// Tells early data from that after the handshake, and counts it (RFC 9846 §4.7.1).
    fn on_data<'b>(&mut self, used: usize, data: &'b mut [u8]) -> Result<Incoming<'b>, Error> {
        let Some(left) = self.early_data else { return Ok(Incoming::Data { used, data }) };
        let left = left.checked_sub(data.len()).ok_or(Violation::TooMuchEarlyData)?;
        self.early_data = Some(left);
        Ok(Incoming::EarlyData { used, data })
    }
}

/// RFC 9846 §5.2: decrypts `body` where it lies, and finds the content type behind the content.
fn open<'b>(
    key: &mut DirectionKey,
    header: [u8; HEADER_LEN],
    body: &'b mut [u8],
) -> Result<(ContentType, &'b mut [u8]), Error> {
    let nonce = key.nonce();
    let len = key.traffic.key.open(nonce, &header, body).map_err(|_| Error::BadRecordMac)?;
    key.seq += 1; // It cannot wrap: 2^64 records take longer than there is time.
    let inner = body.get_mut(..len).ok_or(Error::BadRecordMac)?;
    // RFC 9846 §5.4: type and padding included.
    if inner.len() > MAX_PLAINTEXT + 1 {
        return Err(Violation::PlaintextOverflow.into());
    }
    let (kind, content_len) = unpad(inner).ok_or(Violation::NoContentType)?;
    let content = inner.get_mut(..content_len).ok_or(Violation::NoContentType)?;
    Ok((kind, content))
}

/// RFC 9846 §5.4: the content type is the last byte that is not zero; what is before it is the content.
///
/// Without padding it is the last byte. With padding the whole record is looked at, whatever is in it, so that the time
/// taken does not tell how much of it was padding.
fn unpad(inner: &[u8]) -> Option<(ContentType, usize)> {
    let (last, rest) = inner.split_last()?;
    if *last != 0 {
        return Some((ContentType(*last), rest.len()));
    }
    // Positions count from 1, so that 0 means that there is none.
    let (mut end, mut kind) = (0_u32, 0_u8);
    for (position, byte) in (1_u32..).zip(inner) {
        let found = u32::from(std::hint::black_box(*byte) != 0);
        let mask = found.wrapping_neg();
        end = (end & !mask) | (position & mask);
        let [mask, ..] = mask.to_le_bytes();
        kind = (kind & !mask) | (byte & mask);
    }
    let content_len = usize::try_from(end).ok()?.checked_sub(1)?;
    Some((ContentType(kind), content_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_taken_off() {
        let data = ContentType::application_data;
        assert_eq!(unpad(&[1, 2, 3, 23]), Some((data, 3)));
        assert_eq!(unpad(&[1, 2, 3, 23, 0, 0]), Some((data, 3)));
        assert_eq!(unpad(&[0, 0, 23, 0]), Some((data, 2)));
        assert_eq!(unpad(&[23, 0]), Some((data, 0)));
        assert_eq!(unpad(&[0, 0, 0]), None);
        assert_eq!(unpad(&[]), None);
    }
}
