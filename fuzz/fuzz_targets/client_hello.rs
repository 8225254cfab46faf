//! A server of ours, and whatever a client says to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire_fuzz::{End, Options, connected, server};

fuzz_target!(|data: &[u8]| {
    let Some((bits, bytes)) = data.split_first() else { return };
    let mut end = End::new(server(Options::from(*bits)), Vec::new());
    // The upper half of the first byte says where the stream is cut.
    let (first, second) = bytes.split_at(bytes.len() * usize::from(bits >> 4) / 15);
    end.take(first);
    end.take(second);
    if let Some(exported) = end.exported() {
        // Then that was what our client says: the seeds hold it, because everything is deterministic.
        let (_, reference) = connected(Options::from(*bits));
        assert_eq!(Some(exported), reference.exported());
    }
    assert!(end.error.is_none() || !end.output.is_empty() || owes_nothing(&end));
});

/// Only a peer's alert goes unanswered.
fn owes_nothing(end: &End) -> bool {
    end.error.as_ref().is_some_and(|error| error.alert().is_none())
}
