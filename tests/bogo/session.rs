//! What the connections of one test have in common: sessions, ticket keys, and the memory of early data.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire::pki_types::UnixTime;
use sealwire::{MemoryReplay, Session, SessionKey, SessionStore, TicketKeys};

use crate::clock::now;
use crate::failure::Failure;
use crate::setup::provider;

/// Common to all connections.
pub(crate) struct Shared {
    pub(crate) sessions: Arc<LastSession>,
    pub(crate) tickets: Arc<TicketKeys>,
    pub(crate) replay: Arc<MemoryReplay>,
}

impl Shared {
    pub(crate) fn new() -> Result<Self, Failure> {
        // It accepts nothing until it has run for a while.
        let warm = now().as_secs().saturating_sub(3600);
        let started = UnixTime::since_unix_epoch(Duration::from_secs(warm));
        Ok(Self {
            sessions: Arc::default(),
            tickets: Arc::new(TicketKeys::new(&provider(), now())?),
            replay: Arc::new(MemoryReplay::new(100, started).with_window(60)),
        })
    }
}

/// As the suite expects: the newest session is the one that is offered.
#[derive(Debug, Default)]
pub(crate) struct LastSession {
    inner: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    session: Option<Session>,
    /// The bytes of early data that each session since the start of the connection allows.
    new: Vec<u32>,
}

impl LastSession {
    /// A new connection begins.
    pub(crate) fn start(&self) {
        self.with(|kept| kept.new.clear());
    }

    /// How much early data the sessions of this connection allow.
    pub(crate) fn new_sessions(&self) -> Vec<u32> {
        self.with(|kept| kept.new.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl SessionStore for LastSession {
    fn put(&self, session: Session) {
        self.with(|kept| {
            kept.new.push(session.max_early_data());
            kept.session = Some(session);
        });
    }

    fn take(&self, key: &SessionKey, now: UnixTime) -> Option<Session> {
        self.with(|kept| kept.session.take())
            .filter(|session| session.key() == key && session.is_usable(now))
    }
}
