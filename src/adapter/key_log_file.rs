//! A key log in a file, as packet analysers read it (draft-ietf-tls-keylogfile-05).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::key_log::KeyLog;

/// Appends the secrets of connections to a file in the SSLKEYLOGFILE format, a line each
/// (draft-ietf-tls-keylogfile-05 §2). Give it to
/// [`ClientConfig::with_key_log`](crate::ClientConfig::with_key_log) or its twin of the server.
///
/// Whoever reads that file reads the traffic. No environment variable opens one: the program names the file.
pub struct KeyLogFile {
    file: File,
}

impl KeyLogFile {
    /// Opens `path` to append to it. A file that is not there is created, on Unix readable and writable by its owner
    /// only (mode 0600); the mode of a file that is there stays as it is.
    ///
    /// # Errors
    /// Whatever the operating system says to opening the file.
    pub fn append(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: options.open(path)? })
    }
}

impl KeyLog for KeyLogFile {
    /// Writes one line, at once and in one piece, so that connections on several threads do not mix theirs. A line that
    /// cannot be written is left out: a full disk must not end a connection.
    fn log(&self, label: &str, client_random: &[u8; 32], secret: &[u8]) {
        let line = line(label, client_random, secret);
        let _left_out = (&self.file).write_all(&line);
    }
}

impl fmt::Debug for KeyLogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogFile(..)")
    }
}

/// `LABEL <client_random> <secret>`, in hexadecimal (draft-ietf-tls-keylogfile-05 §2). The room is taken beforehand: a
/// buffer that grows would leave copies of the secret behind.
fn line(label: &str, client_random: &[u8; 32], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = label.len() + 2 * client_random.len() + 2 * secret.len() + 3;
    let mut line = Zeroizing::new(Vec::with_capacity(length));
    line.extend_from_slice(label.as_bytes());
    line.push(b' ');
    push_hex(&mut line, client_random);
    line.push(b' ');
    push_hex(&mut line, secret);
    line.push(b'\n');
    line
}

fn push_hex(line: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    for byte in bytes {
        line.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_label_random_and_secret() {
        let line = line("EXPORTER_SECRET", &[0xa0; 32], &[0x00, 0x9f, 0xff]);
        let expected = format!("EXPORTER_SECRET {} 009fff\n", "a0".repeat(32));
        assert_eq!(std::str::from_utf8(&line).unwrap(), expected);
        assert_eq!(line.capacity(), line.len(), "it must not have grown");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_for_its_owner_and_an_old_one_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let name = format!("sealwire-keylog-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _absent = std::fs::remove_file(&path);
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;

        KeyLogFile::append(&path).unwrap().log("ONE", &[1; 32], &[2; 32]);
        assert_eq!(mode(), 0o600);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        KeyLogFile::append(&path).unwrap().log("TWO", &[3; 32], &[4; 48]);
        assert_eq!(mode(), 0o640);

        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let labels: Vec<_> = text.lines().map(|l| l.split(' ').next().unwrap()).collect();
        assert_eq!(labels, ["ONE", "TWO"]);
    }

    #[test]
    fn debug_prints_nothing_of_it() {
        let path = std::env::temp_dir().join(format!("sealwire-keylog-d-{}", std::process::id()));
        let log = KeyLogFile::append(&path).unwrap();
        assert_eq!(format!("{log:?}"), "KeyLogFile(..)");
        std::fs::remove_file(path).unwrap();
    }
}
