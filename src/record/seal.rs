//! Sending records: fragments, padding, protection, and new keys in time (RFC 9846 §5, §4.7.3).

use super::{
    AEAD_STACK, DirectionKey, DirectionSecret, HEADER_LEN, MAX_PLAINTEXT, OVERHEAD, WriteState,
    header,
};
use crate::codepoints::{Alert, ContentType};
use crate::config::{Common, Padding};
use crate::crypto::CipherSuite;
use crate::error::{Error, Limit, Misuse};
use crate::message::write_key_update;
use crate::output::Output;
use crate::secret::{Secret, wipe_stack};

/// The sending direction.
///
/// Protocol messages are collected in `pending`, which leaves with the next output that has room for all of it.
/// Application data goes straight into the output, behind what is pending.
pub(crate) struct WriteSide {
    key: Option<DirectionKey>,
    /// Records that have not left yet.
    pending: Vec<u8>,
    /// Handshake messages that are not in records yet: messages of one flight share records.
    flight: Vec<u8>,
    padding: Padding,
    max_fragment: usize,
    /// After this many records the key is updated (RFC 9846 §5.5).
    record_limit: u64,
    /// How often the key was updated.
    pub(super) updates: u64,
    /// The peer has asked for a new key, and gets it before the next application data (RFC 9846 §4.7.3).
    update_owed: bool,
    /// We have asked the peer, and it has not answered yet (RFC 9846 §4.7.3).
    update_awaited: bool,
    /// change_cipher_spec goes before the next record (RFC 9846 Appendix E.4).
    pub(crate) change_cipher_spec_owed: bool,
    /// Nothing was received yet, so that records carry the version of an initial ClientHello (RFC 9846 §5.1).
    pub(crate) initial: bool,
    closed: bool,
}

impl WriteSide {
    pub(crate) fn new(common: &Common) -> Self {
        Self {
            key: None,
            pending: Vec::new(),
            flight: Vec::new(),
            padding: common.padding,
            max_fragment: common.max_fragment,
            record_limit: common.record_limit,
            updates: 0,
            update_owed: false,
            update_awaited: false,
            change_cipher_spec_owed: false,
            initial: false,
            closed: false,
        }
    }

    /// From now on goes by another configuration. It comes before any key.
    pub(crate) fn set_policy(&mut self, common: &Common) {
        self.padding = common.padding;
        self.max_fragment = common.max_fragment;
        self.record_limit = common.record_limit;
    }

    /// Moves everything that is pending into `out`, or nothing.
    pub(crate) fn flush(&mut self, out: &mut dyn Output) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if !out.reserve(self.pending.len()) {
            return Err(Error::OutputTooSmall { need: self.pending.len() });
        }
        out.append(&self.pending);
        self.pending = Vec::new();
        Ok(())
    }

    /// Adds a handshake message to the flight.
    pub(crate) fn queue_message(&mut self, message: &[u8]) {
        self.flight.extend_from_slice(message);
    }

    /// Puts the flight into records.
    pub(crate) fn end_flight(&mut self) -> Result<(), Error> {
        let flight = std::mem::take(&mut self.flight);
        for fragment in flight.chunks(self.max_fragment) {
            self.queue_record(ContentType::handshake, fragment)?;
        }
        Ok(())
    }

    /// RFC 9846 Appendix E.4: looks like TLS 1.2 to middleboxes.
    pub(crate) fn queue_change_cipher_spec(&mut self) -> Result<(), Error> {
        self.end_flight()?;
        self.push_change_cipher_spec()
    }

    fn push_change_cipher_spec(&mut self) -> Result<(), Error> {
        self.pending.extend(header(ContentType::change_cipher_spec, 3, 1)?);
        self.pending.push(1);
        Ok(())
    }

    /// Queues an alert, behind the flight. close_notify is a warning, the others are fatal (RFC 9846 §6).
    pub(crate) fn queue_alert(&mut self, alert: Alert) -> Result<(), Error> {
        let warning = matches!(alert, Alert::close_notify | Alert::user_canceled);
        let level = if warning { 1 } else { 2 };
        self.end_flight()?;
        self.queue_record(ContentType::alert, &[level, alert.0])
    }

    /// Queues a fatal alert. The flight before it, which is only half there, is dropped.
    pub(crate) fn abort(&mut self, alert: Alert) -> Result<(), Error> {
        self.flight = Vec::new();
        self.queue_alert(alert)
    }

    /// Queues one record, protected if there is a key.
    fn queue_record(&mut self, kind: ContentType, content: &[u8]) -> Result<(), Error> {
        if std::mem::take(&mut self.change_cipher_spec_owed) {
            self.push_change_cipher_spec()?;
        }
        let Some(key) = &mut self.key else {
            let minor_version = if self.initial { 1 } else { 3 };
            self.pending.extend(header(kind, minor_version, content.len())?);
            self.pending.extend_from_slice(content);
            return Ok(());
        };
        let padding = padding_for(self.padding, content.len());
        let sealed = seal_into(key, kind, content, padding, &mut self.pending);
        // As with records that are opened: what happens next may be moved to the heap.
        wipe_stack::<AEAD_STACK>();
        sealed
    }

    /// From now on records are protected with the key that `secret` gives. The flight so far is under the old one.
    pub(crate) fn set_key(
        &mut self,
        suite: &'static CipherSuite,
        secret: Secret,
    ) -> Result<(), Error> {
        self.end_flight()?;
        self.record_limit = self.record_limit.min(suite.aead.record_limit());
        self.key = Some(DirectionKey::new(suite, secret)?);
        Ok(())
    }

    /// RFC 9846 §4.2.2: HelloRetryRequest has come, and the second ClientHello is in clear again.
    pub(crate) fn drop_key(&mut self) {
        self.key = None;
    }

    /// Seals early data, all of it or none. There is no KeyUpdate for it, so a key that would be used up is refused
    /// (RFC 9846 §5.5).
    pub(crate) fn write_early(
        &mut self,
        plaintext: &[u8],
        out: &mut dyn Output,
    ) -> Result<(), Error> {
        let record = |len: usize| HEADER_LEN + len + padding_for(self.padding, len) + OVERHEAD;
        let records: usize =
            plaintext.chunks(self.max_fragment).map(|part| record(part.len())).sum();
        let count = plaintext.len().div_ceil(self.max_fragment);
        let seq = self.key.as_ref().map_or(0, |key| key.seq);
        let end = u64::try_from(count).ok().and_then(|count| seq.checked_add(count));
        if end.is_none_or(|end| self.is_used_up(end)) {
            return Err(Misuse::EarlyDataTooLong.into());
        }
        let need = self.pending.len() + records;
        if !out.reserve(need) {
            return Err(Error::OutputTooSmall { need });
        }
        self.flush(out)?;
        for fragment in plaintext.chunks(self.max_fragment) {
            let padding = padding_for(self.padding, fragment.len());
            let key = self.key.as_mut().ok_or(Misuse::NoEarlyData)?;
            seal_into(key, ContentType::application_data, fragment, padding, out)?;
        }
        Ok(())
    }

    /// Forgets the key and whatever was not in a record yet.
    pub(crate) fn forget(&mut self) {
        self.key = None;
        self.flight = Vec::new();
    }

    /// Whether nothing is pending or owed.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.flight.is_empty() && !self.update_owed
    }

    /// The traffic secret of the present key.
    pub(crate) fn traffic_secret(&self) -> Option<&Secret> {
        self.key.as_ref().map(|key| &key.secret)
    }

    /// Gives the key away.
    pub(crate) fn into_secret(self) -> Option<DirectionSecret> {
        self.key.map(DirectionSecret::from)
    }

    /// Whether everything has left. A key that is owed may still be.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.flight.is_empty()
    }

    /// Gives everything away that is no configuration. Nothing is pending; `None` without a key.
    pub(crate) fn into_state(self) -> Option<WriteState> {
        Some(WriteState {
            key: self.key.map(DirectionSecret::from)?,
            updates: self.updates,
            update_owed: self.update_owed,
            update_awaited: self.update_awaited,
            closed: self.closed,
        })
    }

    /// Goes on where another left off.
    pub(crate) fn from_state(common: &Common, state: WriteState) -> Result<Self, Error> {
        let mut this = Self::new(common);
        this.record_limit = this.record_limit.min(state.key.suite.aead.record_limit());
        this.key = Some(state.key.into_key()?);
        this.updates = state.updates;
        this.update_owed = state.update_owed;
        this.update_awaited = state.update_awaited;
        this.closed = state.closed;
        Ok(this)
    }

    /// Sends close_notify, once.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        if !self.closed {
            self.queue_alert(Alert::close_notify)?;
            self.closed = true;
        }
        Ok(())
    }

    /// Whether close_notify was sent.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// RFC 9846 §4.7.3: the peer has changed its key, and may want us to change ours. However often it asks before we
    /// send, one new key answers.
    pub(crate) fn on_peer_update(&mut self, requested: bool) {
        self.update_owed |= requested;
        self.update_awaited = false;
    }

    /// Sends KeyUpdate and changes the key. The peer is asked for the same only if it does not owe it already
    /// (RFC 9846 §4.7.3).
    pub(crate) fn update_key(&mut self, ask_peer: bool) -> Result<(), Error> {
        let key = self.key.as_ref().ok_or(Misuse::NotConnected)?;
        // RFC 9846 §4.7.3: senders stop at 2^48 - 1.
        if self.updates >= MAX_UPDATES {
            return Err(Limit::KeyExhausted.into());
        }
        let next = key.next()?;
        let ask = ask_peer && !self.update_awaited;
        self.queue_record(ContentType::handshake, &write_key_update(ask)?)?;
        self.update_awaited |= ask;
        self.update_owed = false;
        self.updates += 1;
        self.key = Some(next);
        Ok(())
    }

    /// Whether the key has only its own KeyUpdate left (RFC 9846 §5.5).
    fn is_used_up(&self, seq: u64) -> bool {
        seq.saturating_add(1) >= self.record_limit
    }

    /// Before application data: the new key that the peer asked for, or that the present one needs.
    fn update_if_due(&mut self) -> Result<(), Error> {
        let seq = self.key.as_ref().map_or(0, |key| key.seq);
        // RFC 9846 §4.7.3: a request that cannot be met any more is ignored.
        let owed = self.update_owed && self.updates < MAX_UPDATES;
        if owed || self.is_used_up(seq) {
            self.update_key(false)?;
        }
        Ok(())
    }

    /// Seals `plaintext` into as many records as it needs, all of them or none.
    pub(crate) fn write(&mut self, plaintext: &[u8], out: &mut dyn Output) -> Result<(), Error> {
        self.check_open()?;
        let need = self.written_len(plaintext.len());
        if !out.reserve(need) {
            return Err(Error::OutputTooSmall { need });
        }
        self.update_if_due()?;
        self.flush(out)?;
        for fragment in plaintext.chunks(self.max_fragment) {
            self.update_if_due()?;
            self.flush(out)?;
            let padding = padding_for(self.padding, fragment.len());
            let key = self.key.as_mut().ok_or(Misuse::NotConnected)?;
            seal_into(key, ContentType::application_data, fragment, padding, out)?;
        }
        Ok(())
    }

    /// How long [`WriteSide::write`]'s output for `len` bytes is: what is pending, new keys and records.
    pub(super) fn written_len(&self, len: usize) -> usize {
        let record =
            |content: usize| HEADER_LEN + content + padding_for(self.padding, content) + OVERHEAD;
        let mut seq = self.key.as_ref().map_or(0, |key| key.seq);
        let mut total = self.pending.len();
        if self.update_owed {
            total += record(KEY_UPDATE_LEN);
            seq = 0;
        }
        let mut left = len;
        loop {
            if self.is_used_up(seq) {
                total += record(KEY_UPDATE_LEN);
                seq = 0;
            }
            let fragment = left.min(self.max_fragment);
            if fragment > 0 {
                total += record(fragment);
                seq += 1;
            }
            left -= fragment;
            // The key that the last record has used up is changed by the next call.
            if left == 0 {
                return total;
            }
        }
    }

    /// Seals `len` bytes of application data where they lie: `record` is the header's room, the data, and room for the
    /// content type, padding and tag. Returns the record's length.
    pub(crate) fn seal(&mut self, record: &mut [u8], len: usize) -> Result<usize, Error> {
        self.check_open()?;
        if len > self.max_fragment {
            return Err(Misuse::RecordTooLong.into());
        }
        let padding = padding_for(self.padding, len);
        let total = HEADER_LEN + len + padding + OVERHEAD;
        let record = record.get_mut(..total).ok_or(Misuse::RecordBuffer)?;
        self.update_if_due()?;
        if !self.pending.is_empty() {
            return Err(Misuse::OutputWaiting.into());
        }
        let (head, rest) = record.split_at_mut(HEADER_LEN);
        head.copy_from_slice(&header(ContentType::application_data, 3, total - HEADER_LEN)?);
        let (inner, tag) = rest.split_at_mut(len + padding + 1);
        let trailer = inner.iter_mut().skip(len);
        let kind = std::iter::once(ContentType::application_data.0).chain(std::iter::repeat(0));
        trailer.zip(kind).for_each(|(to, from)| *to = from);
        let key = self.key.as_mut().ok_or(Misuse::NotConnected)?;
        tag.copy_from_slice(&key.traffic.key.seal(key.nonce(), head, inner)?);
        key.seq += 1;
        Ok(total)
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.closed {
            true => Err(Misuse::Closed.into()),
            false => Ok(()),
        }
    }
}

/// RFC 9846 §4.7.3
pub(crate) const MAX_UPDATES: u64 = (1 << 48) - 1;

/// A KeyUpdate message: header and one byte.
const KEY_UPDATE_LEN: usize = 5;

/// How many zeros follow `content` bytes and their type (RFC 9846 §5.4).
fn padding_for(policy: Padding, content: usize) -> usize {
    let inner = content + 1;
    let padded = match policy {
        Padding::None => inner,
        Padding::MultipleOf(n) => inner.next_multiple_of(usize::from(n).max(1)),
        Padding::Full => MAX_PLAINTEXT + 1,
    };
    padded.min(MAX_PLAINTEXT + 1).saturating_sub(inner)
}

/// RFC 9846 §5.2: appends one protected record to `out`, which has room for it. The content is copied once, into its
/// place, and encrypted there.
fn seal_into(
    key: &mut DirectionKey,
    kind: ContentType,
    content: &[u8],
    padding: usize,
    out: &mut dyn Output,
) -> Result<(), Error> {
    let inner_len = content.len() + 1 + padding;
    let head = header(ContentType::application_data, 3, inner_len + OVERHEAD - 1)?;
    out.append(&head);
    let start = out.filled().len();
    out.append(content);
    out.append(&[kind.0]);
    let mut zeros = padding;
    while zeros > 0 {
        let some = zeros.min(ZEROS.len());
        out.append(ZEROS.get(..some).unwrap_or_default());
        zeros -= some;
    }
    let inner = out.filled().get_mut(start..).ok_or(Misuse::RecordBuffer)?;
    let tag = key.traffic.key.seal(key.nonce(), &head, inner)?;
    out.append(&tag);
    key.seq += 1;
    Ok(())
}

const ZEROS: &[u8] = &[0; 256];
