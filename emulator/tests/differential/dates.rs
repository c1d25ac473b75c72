//! Dates as their documents let them be written, read by neither the core nor the emulator.

/// A date: 100 nanoseconds since the year 1, and whether OData lets it be written like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) instant: i64,
    pub(crate) is_odata: bool,
}

/// Reads a date of OData, and beyond these what RFC 3339 has and ISO 8601, too: small letters, and
/// an offset of more than 14 hours.
pub(crate) fn read(text: &str) -> Option<Date> {
    let upper = text.to_ascii_uppercase();
    let (minutes, rest) = upper.split_at_checked(16)?;
    if !is_like(minutes, "0000-00-00T00:00") {
        return None;
    }
    let part = |from: usize, to: usize| minutes[from..to].parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute) = (part(11, 13)?, part(14, 16)?);
    let (second, ticks, zone) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (second, rest) = rest.split_at_checked(2).filter(|(it, _)| is_like(it, "00"))?;
            let (ticks, zone) = fraction(rest)?;
            (second.parse().ok()?, ticks, zone)
        }
        None => (0, 0, rest),
    };
    let offset = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        (sign @ ("+" | "-"), zone) if is_like(zone, "00:00") => {
            let (hours, minutes): (i64, i64) = (zone[..2].parse().ok()?, zone[3..].parse().ok()?);
            let offset = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if sign == "-" { -offset } else { offset })?
        }
        _ => return None,
    };
    let is_time = hour < 24 && minute < 60 && second < 60;
    let before: i64 = (1..month).map(|month| days_in(year, month)).sum();
    if !is_time || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let days = until(year) + before + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    let is_odata = text == upper && offset.abs() <= 14 * 60;
    let is_within = year > 0 && (0..until(10_000) * 86_400).contains(&seconds);
    is_within.then_some(Date { instant: seconds * 10_000_000 + ticks, is_odata })
}

/// Whether digits stand where the other has digits, and the same elsewhere.
fn is_like(text: &str, other: &str) -> bool {
    let is_same = |(one, other): (u8, u8)| one == other || (one.is_ascii_digit() && other == b'0');
    text.len() == other.len() && text.bytes().zip(other.bytes()).all(is_same)
}

/// The fraction of a second that there may be, and what comes after it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|it: char| !it.is_ascii_digit())?;
    let (digits, zone) = rest.split_at(end);
    let ticks = format!("{digits:0<7}")[..7].parse().ok()?;
    (end > 0).then_some((ticks, zone))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days of the years from 1 until this one.
fn until(year: i64) -> i64 {
    let whole = year - 1;
    whole * 365 + whole.div_euclid(4) - whole.div_euclid(100) + whole.div_euclid(400)
}

#[test]
fn a_date_is_read_as_its_documents_say() {
    let odata = |instant| Some(Date { instant, is_odata: true });
    assert_eq!(read("0001-01-01T00:00:00Z"), odata(0));
    assert_eq!(read("0001-01-02T00:01+00:01"), odata(864_000_000_000));
    assert_eq!(read("9999-12-31T23:59:59.9999999Z"), odata(3_155_378_975_999_999_999));
    assert_eq!(read("2024-02-29T23:59:59.12345678+14:00").map(|it| it.is_odata), Some(true));
    for text in ["2026-01-02t03:04:05Z", "2026-01-02T03:04:05z", "2026-01-02T03:04:05-14:01"] {
        assert_eq!(read(text).map(|it| it.is_odata), Some(false), "{text}");
    }
    for text in ["2026-01-02 03:04:05Z", "2026-01-02903:04:05Z", "2026-01-02T03:04:60Z"] {
        assert_eq!(read(text), None, "{text}");
    }
}
