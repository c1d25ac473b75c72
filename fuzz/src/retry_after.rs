//! How long an answer asks to wait, in whatever form it says so.

use std::time::Duration;

use graphfeed_core::protocol::retry_after;
use http::HeaderMap;

use crate::{errors::head, wire::Tape};

/// Lines of headers; and what waits are written in each form.
pub fn run(data: &[u8]) {
    is_as_written(&mut Tape::new(data));
    let (headers, _) = head(data);
    let asked = retry_after(&headers);
    let names = ["retry-after", "x-ms-retry-after-ms"];
    if names.iter().all(|name| !headers.contains_key(*name)) {
        assert_eq!(asked, None);
    }
    // Whole seconds are what they say, whatever stands beside them.
    for value in headers.get_all("retry-after").iter().filter_map(|value| value.to_str().ok()) {
        let digits = value.trim();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let least = digits
                .parse::<u32>()
                .map_or(Duration::from_secs(u32::MAX.into()), |it| Duration::from_secs(it.into()));
            assert!(asked.is_some_and(|asked| asked >= least), "{digits} is {asked:?}");
        }
    }
    // No other header has a say but the date, and of two waits the longer counts.
    let mut own = HeaderMap::new();
    for name in names.into_iter().chain(["date"]) {
        for value in headers.get_all(name) {
            own.append(name, value.clone());
        }
    }
    assert_eq!(retry_after(&own), asked);
    own.append("retry-after", "7".parse().expect("a value"));
    let seven = Duration::from_secs(7);
    assert_eq!(retry_after(&own), Some(asked.unwrap_or_default().max(seven)));
}

/// A wait is the one that was written, in whatever form, and of several the longest.
fn is_as_written(tape: &mut Tape<'_>) {
    const MOST: u32 = 1_000_000_000;
    let mut headers = HeaderMap::new();
    let now = tape.up_to(u32::MAX);
    headers.insert("date", imf_date(now).parse().expect("a value"));
    let mut longest = Duration::ZERO;
    for _ in 0..1 + tape.up_to(2) {
        let milliseconds = tape.up_to(MOST);
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let exact = Duration::from_millis(milliseconds.into());
        let other = tape.up_to(MOST / 1000);
        let of = |seconds: u32| Duration::from_secs(seconds.into());
        let (name, text, wait) = match tape.up_to(4) {
            0 => ("retry-after", format!("{seconds}"), of(seconds)),
            1 => ("retry-after", format!("{seconds}.{rest:03}"), exact),
            2 => ("retry-after", format!("{seconds}, {other}"), of(seconds.max(other))),
            3 => ("x-ms-retry-after-ms", format!("{milliseconds}"), exact),
            _ => {
                // Some are soon, and some were long ago.
                let until = match tape.once_in(2) {
                    true => now.saturating_add(other),
                    false => tape.up_to(u32::MAX),
                };
                ("retry-after", imf_date(until), of(until.saturating_sub(now)))
            }
        };
        headers.append(name, text.parse().expect("a value"));
        longest = longest.max(wait);
    }
    assert_eq!(retry_after(&headers), Some(longest), "{headers:?}");
}

/// So many seconds after the beginning of 1970, in the form that HTTP prefers.
fn imf_date(seconds: u32) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [(&str, u32); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let (day, time) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut left) = (1970, day);
    let is_leap = |year: u32| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while left >= 365 + u32::from(is_leap(year)) {
        left -= 365 + u32::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let length = |month: usize| MONTHS[month].1 + u32::from(month == 1 && is_leap(year));
    while left >= length(month) {
        left -= length(month);
        month += 1;
    }
    format!(
        "{}, {:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[day as usize % 7],
        left + 1,
        MONTHS[month].0,
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}
