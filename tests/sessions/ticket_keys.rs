//! Keys that tickets are sealed under: they change, are shared, and are forgotten.

use std::sync::Arc;
use std::time::Duration;

use sealwire::crypto::{CryptoError, Provider, Rng};
use sealwire::{Error, Misuse, TicketKeys, Tickets};

use super::support::{now, seeded};
use super::{World, at};

const STATE: &[u8] = b"a state";
const HOUR: Duration = Duration::from_secs(3600);

/// Keys that change every minute and open for `overlap` seconds more.
fn every_minute(seed: u64, overlap: u64) -> TicketKeys {
    let keys = TicketKeys::new(&seeded(seed), now()).unwrap();
    keys.with_rotation(Duration::from_secs(60), Duration::from_secs(overlap), now()).unwrap()
}

fn issue(keys: &TicketKeys, seconds: i64) -> Vec<u8> {
    keys.issue(STATE, at(seconds), HOUR).unwrap()
}

fn opens(keys: &TicketKeys, ticket: &[u8], seconds: i64) -> bool {
    let redeemed = keys.redeem(ticket, at(seconds));
    if let Some(redeemed) = &redeemed {
        assert_eq!(*redeemed.state, STATE);
    }
    redeemed.is_some()
}

/// The moment at which tests begin is this far into its minute.
const INTO: i64 = 20;

#[test]
fn pitfall_27_keys_overlap_and_are_forgotten() {
    for overlap in [60, 120, 600] {
        let keys = every_minute(360, overlap);
        let ticket = issue(&keys, 0);
        let overlap = i64::try_from(overlap).unwrap();
        // Nobody asked in between: the jump is as good as the steps.
        for step in [1, 7, 60] {
            let keys = every_minute(360, u64::try_from(overlap).unwrap());
            assert!(opens(&keys, &ticket, 0), "the seed does not give the same key");
            let mut last = 0;
            for seconds in (0..overlap + 300).step_by(step) {
                if opens(&keys, &ticket, seconds) {
                    last = seconds;
                } else {
                    break;
                }
            }
            // All of the overlap after the key's own minute, and hardly longer.
            let end = 60 - INTO + overlap;
            assert!(last + i64::try_from(step).unwrap() >= end, "{last} s of {end}");
            assert!(last < end + 120, "{last} s of {end}");
        }
        assert!(!opens(&keys, &ticket, overlap + 300));
        // Once forgotten, always forgotten: a clock that is set back brings nothing back.
        assert!(!opens(&keys, &ticket, 0));
    }
}

#[test]
fn pitfall_27_a_clock_that_is_set_back_changes_no_key() {
    let keys = every_minute(361, 120);
    let ticket = issue(&keys, 0);
    for seconds in [-1, -60, -1_000_000] {
        assert!(opens(&keys, &ticket, seconds));
        assert!(opens(&keys, &issue(&keys, seconds), 0));
    }
}

#[test]
fn tickets_under_one_key_differ() {
    let keys = every_minute(362, 120);
    let tickets = [issue(&keys, 0), issue(&keys, 0)];
    // The name of the key is the same, and nothing else.
    assert_eq!(tickets[0][..16], tickets[1][..16]);
    assert_ne!(tickets[0][16..32], tickets[1][16..32]);
    assert!(!super::support::trace::contains(&tickets[0], STATE));
    assert_ne!(issue(&keys, 60)[..16], tickets[0][..16]);
}

#[test]
fn pitfall_50_shared_keys_stay_the_same() {
    let one = every_minute(363, 120);
    let early = issue(&one, 0);
    let two = TicketKeys::import(&seeded(999), &one.export(at(0)).unwrap()).unwrap();
    assert!(opens(&two, &early, 0));
    // One goes step by step, the other sleeps in between.
    for minutes in 1..100 {
        let ticket = issue(&one, minutes * 60);
        if minutes % 13 == 0 || minutes == 99 {
            assert!(opens(&two, &ticket, minutes * 60), "{minutes} min");
            let back = issue(&two, minutes * 60);
            assert!(opens(&one, &back, minutes * 60), "{minutes} min");
            // One that is a little behind still opens what the other one sealed before.
            assert!(opens(&two, &ticket, minutes * 60 + 100));
        }
    }
    assert!(!opens(&one, &early, 99 * 60) && !opens(&two, &early, 99 * 60));
    // What is exported late does not open what was sealed early.
    let late = one.export(at(100 * 60)).unwrap();
    let three = TicketKeys::import(&seeded(5), &late).unwrap();
    assert!(!opens(&three, &early, 0));
    assert!(opens(&three, &issue(&two, 102 * 60), 102 * 60));
    assert!(late.len() <= 21 + 18 + 5 * 40, "{} bytes of keys", late.len());
}

/// What was exported is shared from then on, on both sides; nothing else is.
#[test]
fn exported_keys_are_shared() {
    let one = every_minute(364, 120);
    let shared = |keys: &TicketKeys| keys.redeem(&issue(keys, 0), at(0)).unwrap().shared;
    assert!(!shared(&one));
    let bytes = one.export(at(0)).unwrap();
    assert!(shared(&one));
    let two = TicketKeys::import(&seeded(1), &bytes).unwrap();
    assert!(shared(&two));
    assert!(shared(&TicketKeys::import(&seeded(1), &two.export(at(0)).unwrap()).unwrap()));
}

/// Keys that are not shared come from the random source each time: who steals one learns nothing about the next.
#[test]
fn keys_of_one_process_are_random() {
    let provider = || seeded(365);
    let rotate = |keys: TicketKeys| keys.with_rotation(HOUR, HOUR, now()).unwrap();
    let one = rotate(TicketKeys::new(&provider(), now()).unwrap());
    let two = TicketKeys::import(&seeded(3), &one.export(at(0)).unwrap()).unwrap();
    let alone = rotate(TicketKeys::new(&provider(), now()).unwrap());
    // The same first key, by the same seed.
    assert!(opens(&two, &alone.issue(STATE, at(0), HOUR).unwrap(), 0));
    assert!(!opens(&two, &alone.issue(STATE, at(3600), HOUR).unwrap(), 3600));
}

struct Broken(Option<u8>);

impl Rng for Broken {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        out.fill(self.0.ok_or(CryptoError)?);
        Ok(())
    }
}

#[test]
fn pitfall_27_no_key_is_zero() {
    let with = |byte| Provider { rng: Arc::new(Broken(byte)), ..seeded(1) };
    for byte in [None, Some(0)] {
        assert!(matches!(TicketKeys::new(&with(byte), now()), Err(Error::Crypto(_))));
    }
    let good = TicketKeys::new(&with(Some(1)), now()).unwrap();
    let mut bytes = good.export(now()).unwrap().to_vec();
    let at = bytes.len() - 32;
    assert_eq!(bytes[at..], [1; 32]);
    bytes[at..].fill(0);
    let result = TicketKeys::import(&seeded(1), &bytes);
    assert!(matches!(result, Err(Error::Misuse(Misuse::Session))));
}

#[test]
fn exported_keys_that_make_no_sense() {
    let provider = seeded(366);
    let bytes = every_minute(366, 120).export(at(0)).unwrap();
    let refused = |bytes: &[u8]| {
        let result = TicketKeys::import(&provider, bytes);
        matches!(result, Err(Error::Misuse(Misuse::Session)))
    };
    let (head, key) = bytes.split_at(bytes.len() - 40);
    let twice = [head, key, key].concat();
    assert!(refused(&twice), "two keys of one period");
    assert!(refused(head), "no key");
    for (at, value) in [(23, 59_u64), (23, 604_801), (31, 604_801), (31, u64::MAX)] {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        assert!(refused(&bytes), "{value} at {at}");
    }
    let mut unknown = bytes.to_vec();
    unknown[21..23].copy_from_slice(&[0x13, 0x99]);
    let result = TicketKeys::import(&provider, &unknown);
    assert!(matches!(result, Err(Error::Misuse(Misuse::NotInProvider(_)))));
    let rotation = |period, overlap| {
        let keys = TicketKeys::new(&provider, now()).unwrap();
        let (period, overlap) = (Duration::from_secs(period), Duration::from_secs(overlap));
        keys.with_rotation(period, overlap, now()).is_ok()
    };
    assert!(rotation(60, 0) && rotation(604_800, 604_800));
    assert!(!rotation(59, 0) && !rotation(604_801, 0) && !rotation(60, 604_801));
}

/// Two servers, of two processes: a client resumes with either.
#[test]
fn servers_that_share_keys_resume_each_others_sessions() {
    let world = World::new(367);
    let keys = TicketKeys::new(&seeded(1), now()).unwrap();
    let import = |bytes: &[u8]| Arc::new(TicketKeys::import(&seeded(2), bytes).unwrap());
    let other = import(&keys.export(now()).unwrap());
    let one = World { server: world.server.clone().with_tickets(Arc::new(keys)), ..world.clone() };
    let two = World { server: world.server.clone().with_tickets(other), ..world };
    assert!(!one.connect(0));
    // In the same period, in the next one, and days later.
    for hours in [1, 11, 23, 100, 101] {
        let days_later = hours == 100;
        assert_eq!(two.connect(hours * 3600), !days_later, "{hours} h");
        assert!(one.connect(hours * 3600 + 1), "{hours} h");
    }
}

#[test]
fn pitfall_26_keys_and_tickets_say_nothing_of_themselves() {
    let keys = every_minute(368, 120);
    let bytes = keys.export(at(0)).unwrap();
    let redeemed = keys.redeem(&issue(&keys, 0), at(0)).unwrap();
    let shown = format!("{keys:?} {redeemed:?}");
    assert!(!shown.contains("97, 32, 115") && !shown.contains("a state"), "{shown}");
    for part in bytes[bytes.len() - 32..].chunks(2) {
        assert!(!shown.contains(&format!("{}, {}", part[0], part[1])), "{shown}");
    }
}
