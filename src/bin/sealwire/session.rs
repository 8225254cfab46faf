//! Sessions in a file, for `sealwire connect`, and the keys of tickets in one, for `sealwire serve`.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sealwire::crypto::Provider;
use sealwire::pki_types::UnixTime;
use sealwire::{Session, SessionKey, SessionStore, TicketKeys};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The first bytes of a file of sessions; the last one is its version. What follows are sessions, each with its length in
/// four bytes, the oldest first.
const MAGIC: &[u8] = b"sealwire sessions\x01";
/// More are forgotten, the oldest first.
const MAX_SESSIONS: usize = 64;
/// A file that is longer is none of ours.
const MAX_FILE: u64 = 64 << 20;

/// Sessions in a file that only its owner can read. It is written anew before a session is used, so that none is used
/// twice. For one process at a time.
#[derive(Debug)]
pub(crate) struct SessionFile {
    path: PathBuf,
    inner: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: Vec<Session>,
    /// Why the file could not be written.
    error: Option<io::Error>,
}

impl SessionFile {
    /// Reads the file. One that is not there has no sessions.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = |e: &io::Error| Failure::io(&format!("cannot read {}", path.display()), e);
        let sessions = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Some(Vec::new()),
            Err(error) => return Err(cannot(&error)),
            Ok(metadata) if metadata.len() > MAX_FILE => None,
            Ok(_) => parse(&Zeroizing::new(fs::read(path).map_err(|e| cannot(&e))?)),
        };
        let sessions = sessions.ok_or_else(|| {
            Failure::usage(format!(
                "{} is no file of sessions, or of another version",
                path.display()
            ))
            .hint(
                "--session FILE is written anew each time: name another file, or delete that one.",
            )
        })?;
        let inner = Mutex::new(Kept { sessions, error: None });
        Ok(Self { path: path.to_owned(), inner })
    }

    /// Why sessions could not be kept, if so.
    pub(crate) fn take_error(&self) -> Option<Failure> {
        let error = self.kept().error.take()?;
        Some(Failure::io(&format!("cannot write {}", self.path.display()), &error))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, kept: &mut Kept) -> bool {
        let written = serialise(&kept.sessions).and_then(|bytes| replace(&self.path, &bytes));
        match written {
            Ok(()) => true,
            Err(error) => {
                kept.error = Some(error);
                false
            }
        }
    }
}

impl SessionStore for SessionFile {
    fn put(&self, session: Session) {
        let mut kept = self.kept();
        kept.sessions.push(session);
        let excess = kept.sessions.len().saturating_sub(MAX_SESSIONS);
        kept.sessions.drain(..excess);
        self.save(&mut kept);
    }

    fn take(&self, key: &SessionKey, now: UnixTime) -> Option<Session> {
        let mut kept = self.kept();
        kept.sessions.retain(|session| session.is_usable(now));
        let at = kept.sessions.iter().rposition(|session| session.key() == key)?;
        let session = kept.sessions.remove(at);
        // What is still in the file could be used again.
        self.save(&mut kept).then_some(session)
    }
}

fn parse(mut bytes: &[u8]) -> Option<Vec<Session>> {
    bytes = bytes.strip_prefix(MAGIC)?;
    let mut sessions = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (session, rest) = rest.split_at_checked(length)?;
        sessions.push(Session::from_bytes(session).ok()?);
        bytes = rest;
    }
    Some(sessions)
}

fn serialise(sessions: &[Session]) -> io::Result<Zeroizing<Vec<u8>>> {
    let all: Result<Vec<_>, _> = sessions.iter().map(Session::to_bytes).collect();
    let all = all.map_err(io::Error::other)?;
    let total: usize = all.iter().map(|session| session.len() + 4).sum();
    // The room is taken beforehand: a buffer that grows would leave copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + total));
    bytes.extend_from_slice(MAGIC);
    for session in all {
        let length = u32::try_from(session.len()).map_err(io::Error::other)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&session);
    }
    Ok(bytes)
}

/// A new file beside `path`, for its owner alone, with this in it.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(beside)
}

/// Puts `bytes` in place of what is there, whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::rename(write_beside(path, bytes)?, path)
}

/// The ticket keys in the file at `path`. Whoever comes first makes them; however many start at once, all have the same.
pub(crate) fn shared_ticket_keys(
    provider: &Provider,
    path: &Path,
    now: UnixTime,
) -> Result<TicketKeys, Failure> {
    let io = |e: &io::Error| Failure::io(&format!("ticket keys in {}", path.display()), e);
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let bytes = TicketKeys::new(provider, now)?.export(now)?;
            let beside = write_beside(path, &bytes).map_err(|e| io(&e))?;
            // Unlike a renaming, a link leaves alone what somebody else has put there meanwhile.
            let linked = fs::hard_link(&beside, path);
            fs::remove_file(&beside).map_err(|e| io(&e))?;
            match linked {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(&error)),
                _ => {}
            }
        }
        Err(error) => return Err(io(&error)),
        Ok(metadata) if metadata.len() > MAX_FILE => {
            return Err(Failure::usage(format!("{} holds no ticket keys", path.display())));
        }
        Ok(_) => {}
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(|e| io(&e))?);
    TicketKeys::import(provider, &bytes).map_err(|_| {
        Failure::usage(format!("{} holds no ticket keys, or of another version", path.display()))
            .hint("Servers make the file themselves if it is not there.")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_sessions_is_left_alone() {
        let path = std::env::temp_dir().join(format!("sealwire-sessions-{}", std::process::id()));
        for text in
            [&b"my only copy"[..], b"sealwire sessions\x02", b"sealwire sessions\x01\0\0\0\x01x"]
        {
            fs::write(&path, text).unwrap();
            assert!(SessionFile::open(&path).is_err());
            assert_eq!(fs::read(&path).unwrap(), text);
        }
        fs::write(&path, MAGIC).unwrap();
        assert!(SessionFile::open(&path).unwrap().kept().sessions.is_empty());
        fs::remove_file(path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn ticket_keys_are_made_once_and_for_their_owner() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("sealwire-keys-{}", std::process::id()));
        let _absent = fs::remove_file(&path);
        let provider = crate::options::provider();
        let now = UnixTime::now();
        shared_ticket_keys(&provider, &path, now).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = shared_ticket_keys(&provider, &path, now).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(*again.export(now).unwrap(), first);
        fs::write(&path, b"x").unwrap();
        assert!(shared_ticket_keys(&provider, &path, now).is_err());
        fs::remove_file(path).unwrap();
    }
}
