//! How long an answer asks to wait, in whatever form it says so.

use std::time::Duration;

use graphfeed_core::protocol::retry_after;
use http::HeaderMap;

use crate::errors::head;

/// Lines of headers.
pub fn run(data: &[u8]) {
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
