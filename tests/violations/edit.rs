//! Taking handshake messages apart, and putting them together again with right lengths around wrong contents.

use sealwire::codepoints::{ExtensionType, HandshakeType};

/// A message that ends with a block of extensions.
pub(crate) struct Parts {
    kind: u8,
    /// The body up to the length of the extensions.
    pub(crate) head: Vec<u8>,
    pub(crate) extensions: Vec<(ExtensionType, Vec<u8>)>,
}

impl Parts {
    pub(crate) fn of(message: &[u8]) -> Self {
        let body = &message[4..];
        let after = |at: usize, width: usize| {
            let len = body[at..at + width].iter().fold(0, |n, b| n << 8 | usize::from(*b));
            at + width + len
        };
        let block = match HandshakeType(message[0]) {
            HandshakeType::client_hello => after(after(after(34, 1), 2), 1),
            HandshakeType::server_hello => after(34, 1) + 3,
            HandshakeType::encrypted_extensions => 0,
            HandshakeType::certificate_request => after(0, 1),
            kind => panic!("{kind} has no extensions"),
        };
        assert_eq!(after(block, 2), body.len());
        let (head, mut rest) = (body[..block].to_vec(), &body[block + 2..]);
        let mut extensions = Vec::new();
        while let [a, b, c, d, tail @ ..] = rest {
            let kind = ExtensionType(u16::from_be_bytes([*a, *b]));
            let (data, tail) = tail.split_at(usize::from(u16::from_be_bytes([*c, *d])));
            extensions.push((kind, data.to_vec()));
            rest = tail;
        }
        Self { kind: message[0], head, extensions }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let block = extension_block(&self.extensions);
        message(HandshakeType(self.kind), &[&self.head[..], &block].concat())
    }

    /// Adds an extension at the end.
    pub(crate) fn add(&mut self, kind: ExtensionType, data: &[u8]) {
        self.extensions.push((kind, data.to_vec()));
    }

    /// Takes an extension away, which must be there.
    pub(crate) fn remove(&mut self, kind: ExtensionType) {
        let before = self.extensions.len();
        self.extensions.retain(|(k, _)| *k != kind);
        assert_eq!(self.extensions.len(), before - 1, "{kind} is not there");
    }

    /// The data of an extension, which must be there.
    pub(crate) fn data(&mut self, kind: ExtensionType) -> &mut Vec<u8> {
        let found = self.extensions.iter_mut().find(|(k, _)| *k == kind);
        found.map(|(_, data)| data).unwrap_or_else(|| panic!("{kind} is not there"))
    }

    /// Sets the data of an extension, which may be there.
    pub(crate) fn set(&mut self, kind: ExtensionType, data: &[u8]) {
        match self.extensions.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, old)) => *old = data.to_vec(),
            None => self.add(kind, data),
        }
    }
}

/// `bytes` with their length in front.
pub(crate) fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// `bytes` with their length in front.
pub(crate) fn vec24(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[1..], bytes].concat()
}

pub(crate) fn extension_block(extensions: &[(ExtensionType, Vec<u8>)]) -> Vec<u8> {
    let one = |(kind, data): &(ExtensionType, Vec<u8>)| {
        [kind.0.to_be_bytes().to_vec(), vec16(data)].concat()
    };
    vec16(&extensions.iter().flat_map(one).collect::<Vec<u8>>())
}

/// A handshake message.
pub(crate) fn message(kind: HandshakeType, body: &[u8]) -> Vec<u8> {
    [vec![kind.0], vec24(body)].concat()
}

/// Edits the parts of a message in place.
pub(crate) fn parts(edit: impl Fn(&mut Parts)) -> impl Fn(&mut Vec<u8>) {
    move |message| {
        let mut parts = Parts::of(message);
        edit(&mut parts);
        *message = parts.build();
    }
}

/// A certificate and its extensions, without their length.
type Entry = (Vec<u8>, Vec<u8>);

/// Takes a Certificate apart: its context, and each certificate with its extensions.
pub(crate) fn certificate_parts(message: &[u8]) -> (Vec<u8>, Vec<Entry>) {
    let body = &message[4..];
    let (context, rest) = body[1..].split_at(body[0].into());
    let (mut rest, mut entries) = (&rest[3..], Vec::new());
    while !rest.is_empty() {
        let len = rest[..3].iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let (der, tail) = rest[3..].split_at(len);
        let len = usize::from(u16::from_be_bytes([tail[0], tail[1]]));
        let (extensions, tail) = tail[2..].split_at(len);
        entries.push((der.to_vec(), extensions.to_vec()));
        rest = tail;
    }
    (context.to_vec(), entries)
}

/// A Certificate with this context and these entries, extensions without their length.
pub(crate) fn certificate(context: &[u8], entries: &[Entry]) -> Vec<u8> {
    let one = |(der, extensions): &Entry| [vec24(der), vec16(extensions)].concat();
    let list: Vec<u8> = entries.iter().flat_map(one).collect();
    let context_len = [u8::try_from(context.len()).unwrap()];
    message(HandshakeType::certificate, &[&context_len, context, &vec24(&list)].concat())
}

/// Gives the leaf of a Certificate these extensions.
pub(crate) fn leaf_extensions(
    extensions: &[(ExtensionType, Vec<u8>)],
) -> impl Fn(&mut Vec<u8>) + use<> {
    let block = extension_block(extensions)[2..].to_vec();
    move |message| {
        let (context, mut entries) = certificate_parts(message);
        entries[0].1.clone_from(&block);
        *message = certificate(&context, &entries);
    }
}

/// A NewSessionTicket with these extensions.
pub(crate) fn ticket(extensions: &[(ExtensionType, Vec<u8>)]) -> Vec<u8> {
    let fixed = [0, 0, 0x1c, 0x20, 1, 2, 3, 4, 1, 0];
    let body = [&fixed[..], &vec16(b"ticket"), &extension_block(extensions)].concat();
    message(HandshakeType::new_session_ticket, &body)
}

/// A CompressedCertificate that claims to stand for `len` bytes (RFC 8879 §4).
pub(crate) fn compressed_certificate(algorithm: u16, len: usize, compressed: &[u8]) -> Vec<u8> {
    let len = &u32::try_from(len).unwrap().to_be_bytes()[1..];
    let body = [&algorithm.to_be_bytes()[..], len, &vec24(compressed)].concat();
    message(HandshakeType::compressed_certificate, &body)
}

pub(crate) fn key_update(request: u8) -> Vec<u8> {
    message(HandshakeType::key_update, &[request])
}
