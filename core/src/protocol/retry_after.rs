//! How long the service asks a caller to wait.

use std::time::Duration;

use http::{HeaderMap, header};
use time::{Duration as Span, OffsetDateTime, format_description::well_known::Rfc2822};

/// The wait that the headers of an answer ask for, if they ask for one that can be read.
///
/// Read are whole and decimal seconds, an HTTP date (measured against the answer's own `Date`,
/// for this crate has no clock), a header sent twice or doubled into one line (the longest
/// counts), and `x-ms-retry-after-ms` in milliseconds. A date that has passed is a wait of zero.
/// Nonsense and negative numbers are nothing; a number too large to count is the longest wait there is.
///
/// ```
/// use std::time::Duration;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("Retry-After", "0.249".parse()?);
/// assert_eq!(graphfeed_core::protocol::retry_after(&headers), Some(Duration::from_millis(249)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let date = headers.get(header::DATE).and_then(|date| http_date(date.to_str().ok()?));
    let seconds = headers
        .get_all(header::RETRY_AFTER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| match until(value.trim(), date) {
            Some(wait) => vec![wait],
            None => value.split(',').filter_map(|part| number(part, 1.0)).collect(),
        });
    let milliseconds = headers
        .get_all("x-ms-retry-after-ms")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').filter_map(|part| number(part, 1e-3)));
    seconds.chain(milliseconds).max()
}

fn number(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    // `f64` also reads `inf`, `nan` and exponents, which no header means.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds = text.parse::<f64>().ok()? * unit;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn until(text: &str, now: Option<OffsetDateTime>) -> Option<Duration> {
    let wait = http_date(text)? - now?;
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

/// RFC 9110's preferred form of a date is one of RFC 2822; the two obsolete ones are not sent by
/// servers of this century. A leap second, which both have, is the second that comes after it.
pub(crate) fn http_date(text: &str) -> Option<OffsetDateTime> {
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    match date.nanosecond() {
        0 => Some(date),
        // Of a leap second the reader makes the last nanosecond before it, and a wait that ends
        // in it would be too short.
        nanos => date.checked_add(Span::SECOND - Span::nanoseconds(nanos.into())),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        retry_after(&map)
    }

    #[test]
    fn every_form_that_has_been_seen_is_read() {
        let date = ("date", "Tue, 15 Nov 1994 08:12:31 GMT");
        for (headers, wait) in [
            (&[("retry-after", "10")][..], Some(Duration::from_secs(10))),
            (&[("retry-after", "0")], Some(Duration::ZERO)),
            (&[("retry-after", "0.249")], Some(Duration::from_millis(249))),
            (&[("retry-after", " 7.5 ")], Some(Duration::from_millis(7500))),
            (&[("retry-after", "5,5")], Some(Duration::from_secs(5))),
            (&[("retry-after", "5, 7")], Some(Duration::from_secs(7))),
            (&[("retry-after", "5"), ("retry-after", "9")], Some(Duration::from_secs(9))),
            (&[("x-ms-retry-after-ms", "1500")], Some(Duration::from_millis(1500))),
            (
                &[("retry-after", "1"), ("x-ms-retry-after-ms", "1500")],
                Some(Duration::from_millis(1500)),
            ),
            (
                &[date, ("retry-after", "Tue, 15 Nov 1994 08:13:01 GMT")],
                Some(Duration::from_secs(30)),
            ),
            (&[date, ("retry-after", "Tue, 15 Nov 1994 08:12:01 GMT")], Some(Duration::ZERO)),
            (
                &[
                    ("date", "Sat, 31 Dec 2016 23:59:30 GMT"),
                    ("retry-after", "Sat, 31 Dec 2016 23:59:60 GMT"),
                ],
                Some(Duration::from_secs(30)),
            ),
            (
                &[
                    ("date", "Sat, 31 Dec 2016 23:59:60 GMT"),
                    ("retry-after", "Sun, 01 Jan 2017 00:00:30 GMT"),
                ],
                Some(Duration::from_secs(30)),
            ),
            (&[date, ("retry-after", "Tue, 15 Nov 1994 08:13:60 GMT")], None),
            (&[("retry-after", "Tue, 15 Nov 1994 08:12:01 GMT")], None),
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "1e3")], None),
            (&[("retry-after", "99999999999999999999999999")], Some(Duration::MAX)),
            (&[], None),
        ] {
            assert_eq!(asked(headers), wait, "{headers:?}");
        }
    }
}
