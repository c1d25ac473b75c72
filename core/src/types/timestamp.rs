//! Points in time as Microsoft Graph writes them.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{OffsetDateTime, UtcDateTime, format_description::well_known::Rfc3339};

use super::fault::{BuildError, Fault, Rule, quote};

/// A point in time (`Edm.DateTimeOffset`), to 100 nanoseconds, in the years 1 to 9999.
///
/// It is read with `T` or `t` before the time, with or without seconds, with any digits of a fraction and
/// with an offset, `Z`, `z` or up to 23:59 hours; a space before the time and a leap second are refused. It is
/// written in UTC with as many digits as it needs, at most seven. Digits finer than 100 nanoseconds are cut off
/// when it is made, so that what is written and read again is equal.
///
/// ```
/// use graphfeed_core::types::Timestamp;
///
/// let start: Timestamp = "2015-02-11T21:54:04.3457274+01:00".parse()?;
/// assert_eq!(start.to_string(), "2015-02-11T20:54:04.3457274Z");
/// assert!("2015-02-11T21:54:04".parse::<Timestamp>().is_err(), "no offset, no instant");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(UtcDateTime);

impl Timestamp {
    /// The instant that many seconds after 1970-01-01T00:00:00Z (before, if negative).
    ///
    /// # Errors
    /// [`Rule::DateTime`] outside the years 1 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, BuildError> {
        Self::from_unix_nanoseconds(i128::from(seconds) * 1_000_000_000)
    }

    /// The instant that many milliseconds after 1970-01-01T00:00:00Z (before, if negative).
    ///
    /// # Errors
    /// [`Rule::DateTime`] outside the years 1 to 9999.
    pub fn from_unix_milliseconds(milliseconds: i64) -> Result<Self, BuildError> {
        Self::from_unix_nanoseconds(i128::from(milliseconds) * 1_000_000)
    }

    /// The instant that many nanoseconds after 1970-01-01T00:00:00Z (before, if negative).
    ///
    /// # Errors
    /// [`Rule::DateTime`] outside the years 1 to 9999.
    pub fn from_unix_nanoseconds(nanoseconds: i128) -> Result<Self, BuildError> {
        nanoseconds
            .checked_sub(nanoseconds.rem_euclid(100))
            .and_then(|cut| UtcDateTime::from_unix_timestamp_nanos(cut).ok())
            .filter(|at| at.year() >= 1)
            .map(Self)
            .ok_or_else(|| out_of_range("this point in time"))
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z, a multiple of 100.
    pub fn as_unix_nanoseconds(self) -> i128 {
        self.0.unix_timestamp_nanos()
    }

    /// The text, without an allocation: the digits and how many of them count.
    fn text(self) -> ([u8; 28], usize) {
        let mut text = *b"0000-00-00T00:00:00.0000000Z";
        let (year, month, day) = self.0.to_calendar_date();
        let mut put = |at: usize, width: usize, mut number: u32| {
            for digit in text[at..at + width].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, year.unsigned_abs());
        put(5, 2, u32::from(u8::from(month)));
        put(8, 2, u32::from(day));
        put(11, 2, u32::from(self.0.hour()));
        put(14, 2, u32::from(self.0.minute()));
        put(17, 2, u32::from(self.0.second()));
        let fraction = self.0.nanosecond() / 100;
        if fraction == 0 {
            text[19] = b'Z';
            return (text, 20);
        }
        put(20, 7, fraction);
        let mut end = 27;
        while text[end - 1] == b'0' {
            end -= 1;
        }
        text[end] = b'Z';
        (text, end + 1)
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = BuildError;

    fn try_from(time: SystemTime) -> Result<Self, BuildError> {
        let signed = |duration: Duration| i128::try_from(duration.as_nanos()).ok();
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => signed(after),
            Err(before) => signed(before.duration()).map(|before| -before),
        }
        .ok_or_else(|| out_of_range("this system time"))
        .and_then(Self::from_unix_nanoseconds)
    }
}

impl FromStr for Timestamp {
    type Err = BuildError;

    /// # Errors
    /// [`Rule::DateTime`] when it is no date of RFC 3339 with `T` and an offset, in the years 1 to 9999, or has
    /// a leap second.
    fn from_str(text: &str) -> Result<Self, BuildError> {
        const FORM: &str = "is no date with an offset; write it like 2026-01-02T03:04:05.678Z";
        let wrong = |why: &str| {
            BuildError::from(Fault::new(Rule::DateTime, "date", format!("{} {why}", quote(text))))
        };
        // RFC 3339 leaves it to the application what separates day and time, and the reader below
        // takes any byte; ISO 8601 has `T` only.
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return Err(wrong(FORM));
        }
        // Of this the reader would make the last nanosecond before it.
        if text.get(16..19) == Some(":60") {
            return Err(wrong("has a leap second, which OData has not; write second 59"));
        }
        let at = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|why| match text.get(..16).zip(text.get(16..)) {
                // OData, unlike RFC 3339, lets the seconds be left out.
                Some((minute, offset)) if !offset.starts_with(':') => {
                    OffsetDateTime::parse(&format!("{minute}:00{offset}"), &Rfc3339)
                }
                _ => Err(why),
            })
            .map_err(|_| wrong(FORM))?;
        Self::from_unix_nanoseconds(at.unix_timestamp_nanos())
    }
}

fn out_of_range(what: &str) -> BuildError {
    Fault::new(
        Rule::DateTime,
        "date",
        format!("{what} is outside the years 1 to 9999; give a date within them"),
    )
    .into()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, end) = self.text();
        f.pad(std::str::from_utf8(&text[..end]).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (text, end) = self.text();
        serializer.serialize_str(std::str::from_utf8(&text[..end]).expect("digits are ASCII"))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date with an offset")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_of_the_documents_is_read_and_the_instant_survives() {
        for (read, written) in [
            ("2021-04-06T18:04:31.033Z", "2021-04-06T18:04:31.033Z"),
            ("2015-02-11T20:54:04.3457274+00:00", "2015-02-11T20:54:04.3457274Z"),
            ("2022-04-11T16:25:34.3202005Z", "2022-04-11T16:25:34.3202005Z"),
            ("2018-02-26T20:28:22.14Z", "2018-02-26T20:28:22.14Z"),
            ("2018-02-26T20:28:22Z", "2018-02-26T20:28:22Z"),
            ("2018-02-26T20:28:22.000Z", "2018-02-26T20:28:22Z"),
            ("2018-02-26T00:28:22-09:30", "2018-02-26T09:58:22Z"),
            ("2018-02-26T00:28-09:30", "2018-02-26T09:58:00Z"),
            ("2018-02-26T20:28Z", "2018-02-26T20:28:00Z"),
            ("2018-02-26T20:28:22.123456789Z", "2018-02-26T20:28:22.1234567Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"),
        ] {
            assert_eq!(at(read).to_string(), written, "{read}");
            assert_eq!(at(written), at(read));
        }
    }

    #[test]
    fn a_date_that_is_no_instant_is_refused() {
        for wrong in [
            "",
            "2018-02-26",
            "2018-02-26T20:28:22",
            "2018-02-30T20:28:22Z",
            "2018-02-26T20:28",
            "2018-02-26T20Z",
            "26.02.2018 20:28",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            let refused = wrong.parse::<Timestamp>().unwrap_err();
            assert_eq!(refused.faults()[0].rule, Rule::DateTime, "{wrong}");
        }
    }

    #[test]
    fn nothing_but_a_t_stands_between_day_and_time() {
        assert_eq!(at("2026-01-02t03:04:05z"), at("2026-01-02T03:04:05Z"));
        assert_eq!(at("2026-01-02t03:04+01:00"), at("2026-01-02T02:04:00Z"));
        for between in (0..=127).map(char::from).chain(['ä', '\u{2003}']) {
            for rest in ["03:04:05Z", "03:04Z", "03:04:05.678+01:00"] {
                let text = format!("2026-01-02{between}{rest}");
                let is_read = text.parse::<Timestamp>().is_ok();
                assert_eq!(is_read, matches!(between, 'T' | 't'), "{text:?}");
            }
        }
    }

    #[test]
    fn a_leap_second_is_refused_and_said_to_be_one() {
        for text in [
            "2016-12-31T23:59:60Z",
            "2016-12-31t23:59:60.5z",
            "2017-01-01T00:59:60+01:00",
            "2026-01-02T03:04:60Z",
        ] {
            let refused = text.parse::<Timestamp>().unwrap_err();
            assert_eq!(refused.faults()[0].rule, Rule::DateTime, "{text}");
            assert!(refused.to_string().contains("leap second"), "{refused}");
        }
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        for nanoseconds in [i128::MIN, i128::MIN + 1, i128::MAX] {
            assert!(Timestamp::from_unix_nanoseconds(nanoseconds).is_err());
        }
        for seconds in [i64::MIN, i64::MAX, -62_135_596_801, 253_402_300_800] {
            assert!(Timestamp::from_unix_seconds(seconds).is_err(), "{seconds}");
        }
        assert!(Timestamp::from_unix_seconds(-62_135_596_800).is_ok());
        assert!(Timestamp::from_unix_milliseconds(i64::MAX).is_err());
    }

    #[test]
    fn times_of_a_file_system_are_cut_to_100_nanoseconds_downwards() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(
            Timestamp::try_from(before).unwrap().to_string(),
            "1969-12-31T23:59:59.9999999Z"
        );
        let after = SystemTime::UNIX_EPOCH + Duration::new(1, 199);
        assert_eq!(Timestamp::try_from(after).unwrap().to_string(), "1970-01-01T00:00:01.0000001Z");
    }
}
