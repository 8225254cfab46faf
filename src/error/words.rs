//! Times, distances, numbers and names in words.

use std::fmt;

/// The time from the second to the first, in the largest unit that leaves more than one.
pub(crate) struct Span(pub(crate) i64, pub(crate) i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.saturating_sub(self.1);
        let (count, unit) = match seconds {
            ..=119 => (seconds, "second"),
            120..=7_199 => (seconds / 60, "minute"),
            7_200..=172_799 => (seconds / 3_600, "hour"),
            172_800..=63_071_999 => (seconds / 86_400, "day"),
            _ => (seconds / 31_536_000, "year"),
        };
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

/// Seconds since 1970 as `2026-11-20 19:48:00 UTC`.
pub(crate) struct Date(pub(crate) i64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // The proleptic Gregorian calendar in eras of 400 years, with years that begin in March.
        let z = days.saturating_add(719_468);
        let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let m = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * m + 2) / 5 + 1;
        let month = if m < 10 { m + 3 } else { m - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// `DNS:a, IP:b`, or what it means that there are none.
pub(super) struct Names<'a>(pub(super) &'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(
                "it has no subjectAltName at all, and the common name does not count (RFC 9525 §2)",
            );
        }
        write!(f, "it is for {}", self.0.join(", "))
    }
}

/// So many of these.
pub(super) struct Count(pub(super) usize, pub(super) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_spans() {
        assert_eq!(Date(0).to_string(), "1970-01-01 00:00:00 UTC");
        assert_eq!(Date(1_709_208_000).to_string(), "2024-02-29 12:00:00 UTC");
        assert_eq!(Date(253_402_300_799).to_string(), "9999-12-31 23:59:59 UTC");
        assert_eq!(Date(-631_152_000).to_string(), "1950-01-01 00:00:00 UTC");
        for (seconds, text) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (300, "5 minutes"),
            (7_200, "2 hours"),
            (3 * 86_400 + 5, "3 days"),
            (729 * 86_400, "729 days"),
            (730 * 86_400, "2 years"),
        ] {
            assert_eq!(Span(seconds, 0).to_string(), text);
        }
    }
}
