//! Moments as text: RFC 3339, and seconds since 1970.

/// Seconds since 1970, from that number or from RFC 3339 text. Fractions of a second are cut off.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().or_else(|| read(text).and_then(|s| u64::try_from(s).ok()));
    seconds.ok_or_else(|| {
        "a time is 2026-11-25T10:00:00Z, 2026-11-25T11:00:00+01:00, 2026-11-25, or seconds since 1970"
            .to_owned()
    })
}

/// RFC 3339 §5.6, and a date alone, which means its beginning in UTC.
fn read(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let whole = match time.split_once('.') {
        Some((whole, fraction)) => {
            let digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
            digits.then_some(whole)?
        }
        None => time,
    };
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, offset) => {
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            let offset = (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)?;
            if sign == "+" { offset } else { -offset }
        }
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let sound = (1..=days_in_month).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !sound {
        return None;
    }
    // Days since 1970-01-01, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let days = 365 * y + leaps + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second - offset)
}

/// `N` numbers of these many digits, with `between` between them.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut out = [0; N];
    for (out, digits) in out.iter_mut().zip(digits) {
        let part = parts.next()?;
        let sound = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        *out = sound.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(out)
}

/// Seconds since 1970 as RFC 3339 text in UTC.
pub(crate) fn rfc3339(seconds: i64) -> Option<String> {
    let time = x509_parser::time::ASN1Time::from_timestamp(seconds).ok()?.to_datetime();
    let (hour, minute, second) = time.to_hms();
    Some(format!("{}T{hour:02}:{minute:02}:{second:02}Z", time.date()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        for (text, seconds) in [
            ("0", 0),
            ("1764064800", 1_764_064_800),
            ("2025-11-25T10:00:00Z", 1_764_064_800),
            ("2025-11-25t11:30:00.999+01:30", 1_764_064_800),
            ("2025-11-25 05:00:00-05:00", 1_764_064_800),
            ("2024-02-29", 1_709_164_800),
            ("1970-01-01T00:00:00z", 0),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        assert_eq!(rfc3339(1_764_064_800).as_deref(), Some("2025-11-25T10:00:00Z"));
        assert_eq!(rfc3339(-1).as_deref(), Some("1969-12-31T23:59:59Z"));
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "-1",
            "now",
            "2025-11-25T10:00:00",
            "2025-11-25T10:00Z",
            "2025-13-01",
            "2025-02-29",
            "2025-11-25T24:00:00Z",
            "2025-11-25T10:00:00.Z",
            "2025-11-25T10:00:00+1:00",
            "1969-12-31T23:59:59Z",
            "20251125T100000Z",
            "2025-11-25T10:00:00Zx",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
