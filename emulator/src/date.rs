//! Dates as Graph writes and reads them: a strict reader of ISO 8601 and the four ways to write.
//!
//! The calendar arithmetic is our own, so that it shares nothing with the core's. No clock here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds since 1970.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// The days of the week as HTTP writes them, beginning with that of 1970-01-01.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A point in time: whole seconds since 1970, and nanoseconds past them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Moment {
    seconds: i64,
    nanos: u32,
}

/// Why a text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DateFault {
    /// A date, were it not for the missing offset; the moment it names in UTC.
    NoOffset(Moment),
    /// Not a date, and what is wrong with it.
    Malformed(&'static str),
}

impl Moment {
    /// `now` after `origin`, kept within the years 1 to 9999.
    pub(crate) fn after(origin: SystemTime, now: Duration) -> Self {
        let (seconds, nanos) = match origin.duration_since(UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(LAST), after.subsec_nanos()),
            Err(before) => {
                (i64::try_from(before.duration().as_secs()).map_or(FIRST, |seconds| -seconds), 0)
            }
        };
        let carry = u64::from(nanos) + u64::from(now.subsec_nanos());
        let later = i64::try_from(now.as_secs()).unwrap_or(LAST);
        let seconds = seconds.saturating_add(later).saturating_add((carry / 1_000_000_000) as i64);
        Self { seconds: seconds.clamp(FIRST, LAST), nanos: (carry % 1_000_000_000) as u32 }
    }

    /// `days` later.
    pub(crate) fn plus_days(self, days: i64) -> Self {
        Self {
            seconds: self.seconds.saturating_add(days.saturating_mul(DAY)).clamp(FIRST, LAST),
            ..self
        }
    }

    /// So many seconds later, or earlier, rounded up to a whole second.
    pub(crate) fn ahead(self, seconds: f64) -> Self {
        let exact = f64::from(self.nanos) / 1e9 + seconds;
        let whole = exact.ceil().clamp(FIRST as f64, LAST as f64) as i64;
        Self { seconds: self.seconds.saturating_add(whole).clamp(FIRST, LAST), nanos: 0 }
    }

    /// How long ago `earlier` was; zero if it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let nanos =
            |moment: Self| i128::from(moment.seconds) * 1_000_000_000 + i128::from(moment.nanos);
        let between = (nanos(self) - nanos(earlier)).max(0);
        let seconds = u64::try_from(between / 1_000_000_000).unwrap_or(u64::MAX);
        Duration::new(seconds, (between % 1_000_000_000) as u32)
    }

    /// Whole seconds since 1970.
    pub(crate) fn unix(self) -> i64 {
        self.seconds
    }

    /// Whole seconds from `earlier` to `self`; negative if it is later.
    pub(crate) fn seconds_since(self, earlier: Self) -> i64 {
        let borrow = i64::from(self.nanos < earlier.nanos);
        self.seconds - earlier.seconds - borrow
    }

    /// What answers show of it: whole milliseconds.
    pub(crate) fn millis(self) -> Self {
        Self { nanos: self.nanos / 1_000_000 * 1_000_000, ..self }
    }

    /// As answers write it: milliseconds, trailing zeros cut, `Z`.
    pub(crate) fn graph(self) -> String {
        self.millis().exact()
    }

    /// To the last digit, trailing zeros cut, `Z`.
    pub(crate) fn exact(self) -> String {
        let fraction = format!(".{:09}", self.nanos);
        format!("{}{}Z", self.bare(), fraction.trim_end_matches(['0', '.']))
    }

    /// As `innerError.date` writes it: whole seconds, no zone.
    pub(crate) fn bare(self) -> String {
        let (year, month, day) = civil(self.seconds.div_euclid(DAY));
        let (hour, minute, second) = self.clock();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// As the `Date` header writes it (RFC 9110, IMF-fixdate).
    pub(crate) fn http(self) -> String {
        let days = self.seconds.div_euclid(DAY);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = self.clock();
        let weekday = DAYS[days.rem_euclid(7) as usize];
        let month = MONTHS[(month - 1) as usize % 12];
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// As the identity platform writes it: whole seconds, a space, `Z`.
    pub(crate) fn platform(self) -> String {
        self.bare().replace('T', " ") + "Z"
    }

    /// Reads what [`http`](Self::http) writes, whatever it says of the day of the week.
    pub(crate) fn read_http(text: &str) -> Option<Self> {
        let (weekday, rest) = text.split_once(", ")?;
        if !DAYS.contains(&weekday) || rest.len() != "15 Nov 1994 08:12:31 GMT".len() {
            return None;
        }
        let mut rest = Rest(rest.as_bytes());
        let day = rest.number(2)?;
        let (_, name, after) = rest.0.split_at_checked(1).and_then(|(space, rest)| {
            let (name, after) = rest.split_at_checked(3)?;
            (space == b" ").then_some((space, name, after))
        })?;
        let month = MONTHS.iter().position(|month| month.as_bytes() == name)? as i64 + 1;
        let mut rest = Rest(after);
        let mut part =
            |before: u8, digits: usize| rest.take(before).then(|| rest.number(digits)).flatten();
        let (year, hour) = (part(b' ', 4)?, part(b' ', 2)?);
        let (minute, second) = (part(b':', 2)?, part(b':', 2)?);
        let is_day = year > 0 && (1..=days_in(year, month)).contains(&day);
        // RFC 9110 has leap seconds; they are at the end of a month, and count as the second after.
        let is_last = day == days_in(year, month) && (hour, minute) == (23, 59);
        let seconds = if is_last { 60 } else { 59 };
        if !is_day || hour > 23 || minute > 59 || second > seconds || rest.0 != b" GMT" {
            return None;
        }
        let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        Some(Self { seconds, nanos: 0 })
    }

    fn clock(self) -> (i64, i64, i64) {
        let second = self.seconds.rem_euclid(DAY);
        (second / 3600, second / 60 % 60, second % 60)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.exact()
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        read(&text).map_err(|_| format!("{text:?} is no date"))
    }
}

/// Reads `YYYY-MM-DDThh:mm[:ss[.fraction]]` and an offset, `Z` or `+hh:mm`.
///
/// `Edm.DateTimeOffset` of OData 4, the type in Microsoft's metadata: the offset is mandatory, seconds need not be
/// there, a fraction may have any number of digits.
///
/// # Errors
/// [`DateFault::NoOffset`] if only the offset is missing, else [`DateFault::Malformed`].
pub(crate) fn read(text: &str) -> Result<Moment, DateFault> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4).ok_or(SHAPE)?;
    rest.expect(b'-')?;
    let month = rest.number(2).ok_or(SHAPE)?;
    rest.expect(b'-')?;
    let day = rest.number(2).ok_or(SHAPE)?;
    let is_day = year > 0 && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if rest.0.is_empty() && is_day {
        return Err(DateFault::Malformed("it has no time; append T00:00:00Z for midnight in UTC"));
    }
    rest.expect(b'T')?;
    let hour = rest.number(2).ok_or(SHAPE)?;
    rest.expect(b':')?;
    let minute = rest.number(2).ok_or(SHAPE)?;
    let (mut second, mut nanos) = (0, 0);
    if rest.take(b':') {
        second = rest.number(2).ok_or(SHAPE)?;
        if rest.take(b'.') {
            nanos = rest.fraction().ok_or(SHAPE)?;
        }
    }
    if year == 0 {
        return Err(DateFault::Malformed("years are 0001 to 9999"));
    }
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return Err(DateFault::Malformed("there is no such day"));
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(DateFault::Malformed("there is no such time of day"));
    }
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    let moment = Moment { seconds, nanos };
    if rest.0.is_empty() {
        return Err(DateFault::NoOffset(moment));
    }
    let offset = if rest.take(b'Z') {
        0
    } else {
        let sign = match rest.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(SHAPE),
        };
        let hours = rest.number(2).ok_or(SHAPE)?;
        rest.expect(b':')?;
        let minutes = rest.number(2).ok_or(SHAPE)?;
        if minutes > 59 || hours * 60 + minutes > 14 * 60 {
            return Err(DateFault::Malformed("an offset is -14:00 to +14:00"));
        }
        sign * (hours * 3600 + minutes * 60)
    };
    if !rest.0.is_empty() {
        return Err(SHAPE);
    }
    let seconds = seconds - offset;
    if !(FIRST..=LAST).contains(&seconds) {
        return Err(DateFault::Malformed("years are 0001 to 9999, in UTC too"));
    }
    Ok(Moment { seconds, nanos })
}

const SHAPE: DateFault =
    DateFault::Malformed("it is not of the form 2026-01-02T03:04:05.678Z or ...+01:00");

/// What is left of the text.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn first(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.0.first() == Some(&byte);
        if there {
            self.0 = &self.0[1..];
        }
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), DateFault> {
        if self.take(byte) { Ok(()) } else { Err(SHAPE) }
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        head.iter().try_fold(0, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
        })
    }

    /// The digits after the point as nanoseconds; what is finer is cut.
    fn fraction(&mut self) -> Option<u32> {
        let mut nanos = 0;
        let mut unit = 100_000_000;
        let mut digits = 0;
        while let Some(digit) = self.0.first().filter(|byte| byte.is_ascii_digit()) {
            nanos += u32::from(digit - b'0') * unit;
            unit /= 10;
            digits += 1;
            self.0 = &self.0[1..];
        }
        (digits > 0).then_some(nanos)
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counting years from March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 1
        - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: u32) -> Moment {
        Moment { seconds, nanos }
    }

    #[test]
    fn what_the_documents_show_is_read_to_the_nanosecond() {
        let known = [
            ("2021-04-06T18:04:31.033Z", at(1_617_732_271, 33_000_000)),
            ("2015-02-11T20:54:04.3457274+00:00", at(1_423_688_044, 345_727_400)),
            ("2018-02-26T20:28:22.14Z", at(1_519_676_902, 140_000_000)),
            ("2000-02-29T23:59:59-01:30", at(951_874_199, 0)),
            ("1969-12-31T23:59:59Z", at(-1, 0)),
            ("0001-01-01T00:00:00Z", at(FIRST, 0)),
            ("9999-12-31T23:59:59.999999999999Z", at(LAST, 999_999_999)),
            ("2026-01-02T03:04Z", at(1_767_323_040, 0)),
        ];
        for (text, moment) in known {
            assert_eq!(read(text), Ok(moment), "{text}");
        }
    }

    #[test]
    fn a_missing_offset_is_told_apart() {
        assert_eq!(read("1970-01-01T00:00:01"), Err(DateFault::NoOffset(at(1, 0))));
    }

    #[test]
    fn a_day_without_a_time_is_told_what_to_append() {
        let why = "it has no time; append T00:00:00Z for midnight in UTC";
        assert_eq!(read("2026-01-02"), Err(DateFault::Malformed(why)));
        for other in ["2026-02-29", "2026-13-02", "0000-01-01", "2026-01-02Z", "2026-01-"] {
            assert_ne!(read(other), Err(DateFault::Malformed(why)), "{other}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026",
            "2026-01-02",
            "2026-01-02 03:04:05Z",
            "2026-01-02t03:04:05Z",
            "2026-01-02903:04:05Z",
            "2026-01-02X03:04:05Z",
            "2026-1-2T03:04:05Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T23:60:00Z",
            "2026-01-02T23:59:60Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05Zx",
            "2026-01-02T03:04:05+1:00",
            "2026-01-02T03:04:05+15:00",
            "2026-01-02T03:04:05+00",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "２026-01-02T03:04:05Z",
            "06/04/2021",
        ] {
            assert!(matches!(read(text), Err(DateFault::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_survives_the_way_there_and_back() {
        let mut day = days(1, 1, 1);
        for year in 1..=9999 {
            for month in 1..=12 {
                for of_month in [1, days_in(year, month)] {
                    assert_eq!(civil(days(year, month, of_month)), (year, month, of_month));
                }
                assert_eq!(days(year, month, 1), day);
                day += days_in(year, month);
            }
        }
    }

    #[test]
    fn each_way_to_write() {
        let moment = at(1_519_676_902, 140_000_000);
        assert_eq!(moment.graph(), "2018-02-26T20:28:22.14Z");
        assert_eq!(moment.bare(), "2018-02-26T20:28:22");
        assert_eq!(moment.http(), "Mon, 26 Feb 2018 20:28:22 GMT");
        assert_eq!(at(60, 999_999).graph(), "1970-01-01T00:01:00Z");
        let later = moment.plus_days(30);
        assert_eq!(later.graph(), "2018-03-28T20:28:22.14Z");
        assert_eq!(later.seconds_since(moment), 30 * DAY);
        assert_eq!(at(2, 0).seconds_since(at(0, 1)), 1);
    }

    #[test]
    fn what_http_writes_it_reads_back() {
        for seconds in [FIRST, -1, 0, 1, 784_887_151, 1_767_225_600, LAST] {
            let moment = at(seconds, 0);
            assert_eq!(Moment::read_http(&moment.http()), Some(moment));
        }
        let leap = Moment::read_http("Sat, 31 Dec 2016 23:59:60 GMT");
        assert_eq!(leap, Moment::read_http("Sun, 01 Jan 2017 00:00:00 GMT"));
        for text in [
            "",
            "1.5",
            "Fri, 30 Dec 2016 23:59:60 GMT",
            "Sat, 31 Dec 2016 23:58:60 GMT",
            "Tue, 15 Nov 1994 08:12:31",
            "Tue, 15 Nov 1994 08:12:31 UTC",
            "Tue, 31 Feb 1994 08:12:31 GMT",
            "Tue, 15 nov 1994 08:12:31 GMT",
            "Tue, 15 Nov 1994 24:12:31 GMT",
            "Tue, 15 Nov 0000 08:12:31 GMT",
            "Tue,15 Nov 1994 08:12:31 GMT ",
            "Noday, 15 Nov 1994 08:12:31 GMT",
        ] {
            assert_eq!(Moment::read_http(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_ahead_is_a_whole_second_and_never_too_soon() {
        assert_eq!(at(10, 0).ahead(5.0), at(15, 0));
        assert_eq!(at(10, 1).ahead(5.0), at(16, 0));
        assert_eq!(at(10, 500_000_000).ahead(0.5), at(11, 0));
        assert_eq!(at(10, 0).ahead(-30.0), at(-20, 0));
        assert_eq!(at(10, 0).ahead(1e300), at(LAST, 0));
        assert_eq!(at(16, 0).since(at(10, 500_000_000)), Duration::from_millis(5_500));
        assert_eq!(at(10, 0).since(at(16, 0)), Duration::ZERO);
        assert_eq!(at(1_767_225_600, 0).platform(), "2026-01-01 00:00:00Z");
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let moment = Moment::after(UNIX_EPOCH, Duration::MAX).plus_days(i64::MAX);
        assert_eq!(moment.graph(), "9999-12-31T23:59:59.999Z");
    }
}
