//! The detector of early calls: who comes back before the time that an answer told.
//!
//! It knows headers, ids and lanes; routes and faults are not known here.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    str::FromStr,
    time::Duration,
};

use http::{HeaderMap, StatusCode, header};

use crate::{date::Moment, routes::Lane};

/// How many early calls are kept; when there are more, the oldest go, and are still counted.
const KEPT: usize = 10_000;
/// How many calls are remembered that have been told to wait.
const WAITING: usize = 100_000;

/// Which calls are judged early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlyCalls {
    /// [`ByLane`](Self::ByLane) where the program gives the time (a [`Service`](crate::Service),
    /// [`Emulator::with_clock`](crate::Emulator::with_clock)), [`ByCall`](Self::ByCall) where it
    /// is that of the machine.
    #[default]
    ByClock,
    /// A request that has the `client-request-id` of one that was told to wait, before that time.
    ByCall,
    /// Also every other request of a lane (a connection; a user's activities) before the time
    /// that a 429 told one of that lane. Where requests are under way at the same time, one that
    /// was sent before the 429 arrived would be called early.
    ByLane,
}

impl FromStr for EarlyCalls {
    type Err = String;

    /// `clock`, `call` or `lane`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "clock" => Ok(Self::ByClock),
            "call" => Ok(Self::ByCall),
            "lane" => Ok(Self::ByLane),
            _ => Err(format!("{text:?} is not clock, call or lane")),
        }
    }
}

/// A request that came before the time that an answer told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlyCall {
    /// When it came, since the origin.
    pub at: Duration,
    /// Method and path.
    pub request: String,
    /// Its `client-request-id`, if it has one.
    pub client_request_id: Option<String>,
    /// How much too early it came. [`Duration::MAX`] if it should never have come.
    pub early_by: Duration,
    /// Whether the answer was to the same call. If not, it was a 429 to another one of its lane.
    pub same_call: bool,
}

impl fmt::Display for EarlyCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, early_by, same_call, .. } = self;
        let whom = if *same_call { "this call" } else { "another call of its lane" };
        match *early_by {
            Duration::MAX => write!(f, "{request}: early, for {whom} was told to wait for ever"),
            by => write!(f, "{request}: early by {} s, as {whom} was told", by.as_secs_f64()),
        }
    }
}

/// A time in which nobody should come.
#[derive(Clone, Copy, Debug)]
struct Gate {
    /// From when on the client can know: when the answer is there.
    told: Duration,
    until: Duration,
}

#[derive(Debug)]
pub(crate) struct Detector {
    by_lane: bool,
    /// When a call may come again, by its `client-request-id`.
    calls: HashMap<String, Gate>,
    lanes: BTreeMap<Lane, Vec<Gate>>,
    found: VecDeque<EarlyCall>,
    count: u64,
}

impl Detector {
    pub(crate) fn new(mode: EarlyCalls) -> Self {
        Self {
            by_lane: mode != EarlyCalls::ByCall,
            calls: HashMap::new(),
            lanes: BTreeMap::new(),
            found: VecDeque::new(),
            count: 0,
        }
    }

    /// Whether anybody has been told to wait, so that the rest need not be asked.
    pub(crate) fn is_watching(&self) -> bool {
        !self.calls.is_empty() || !self.lanes.is_empty()
    }

    /// A request comes.
    pub(crate) fn arrives(
        &mut self,
        now: Duration,
        id: Option<&str>,
        lane: Option<&Lane>,
        request: impl FnOnce() -> String,
    ) {
        let own = id.and_then(|id| self.calls.get(id)).copied();
        if let (Some(id), Some(own)) = (id, own)
            && own.until <= now
        {
            self.calls.remove(id);
        }
        self.lanes.retain(|_, gates| {
            gates.retain(|gate| gate.until > now);
            !gates.is_empty()
        });
        let shut = |gate: &&Gate| gate.told <= now && gate.until > now;
        let own = own.as_ref().filter(shut).map(|gate| gate.until);
        let lane = lane.and_then(|lane| self.lanes.get(lane));
        let lane = lane.and_then(|gates| gates.iter().filter(shut).map(|gate| gate.until).max());
        let Some(gate) = own.into_iter().chain(lane).max() else { return };
        if self.found.len() == KEPT {
            self.found.pop_front();
        }
        self.count += 1;
        self.found.push_back(EarlyCall {
            at: now,
            request: request(),
            client_request_id: id.map(str::to_owned),
            early_by: if gate == Duration::MAX { gate } else { gate - now },
            same_call: own.is_some(),
        });
    }

    /// An answer goes out, which is there at `told`. Whoever comes before that cannot know it.
    pub(crate) fn answers(
        &mut self,
        (now, told): (Duration, Duration),
        moment: Moment,
        id: Option<&str>,
        lane: impl FnOnce() -> Option<Lane>,
        (status, headers): (StatusCode, &HeaderMap),
    ) {
        if !status.is_client_error() && !status.is_server_error() {
            if let Some(id) = id {
                self.calls.remove(id);
            }
            return;
        }
        let wait = wait(headers, moment).filter(|wait| !wait.is_zero());
        let gate = wait.map(|wait| Gate { told, until: now.saturating_add(wait) });
        if let Some(id) = id {
            self.calls.remove(id);
            if let Some(gate) = gate {
                if self.calls.len() >= WAITING {
                    self.calls.retain(|_, gate| gate.until > now);
                }
                if self.calls.len() < WAITING {
                    self.calls.insert(id.to_owned(), gate);
                }
            }
        }
        if self.by_lane
            && status == StatusCode::TOO_MANY_REQUESTS
            && let (Some(gate), Some(lane)) = (gate, lane())
        {
            let gates = self.lanes.entry(lane).or_default();
            // Of those that are known, the last to open is enough.
            let known = gates.iter().filter(|gate| gate.told <= now).map(|gate| gate.until).max();
            gates.retain(|gate| gate.told > now);
            gates.extend(known.map(|until| Gate { told: now, until }));
            gates.push(gate);
        }
    }

    /// The latest early calls, oldest first.
    pub(crate) fn found(&self) -> impl Iterator<Item = &EarlyCall> {
        self.found.iter()
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

/// The wait that an answer tells: the longest of all that can be read in it. Nonsense and
/// negative numbers tell none.
pub(crate) fn wait(headers: &HeaderMap, now: Moment) -> Option<Duration> {
    let texts = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| Some(value.to_str().ok()?.trim().to_owned())).collect()
    };
    let mut waits = Vec::new();
    for text in texts(header::RETRY_AFTER.as_str()) {
        match Moment::read_http(&text) {
            Some(date) => waits.push(date.since(now)),
            None => waits.extend(text.split(',').filter_map(|part| number(part, 1.0))),
        }
    }
    for text in texts("x-ms-retry-after-ms") {
        waits.extend(text.split(',').filter_map(|part| number(part, 0.001)));
    }
    waits.into_iter().max()
}

/// Digits with at most one point among them; too large a number is for ever.
fn number(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let points = text.bytes().filter(|byte| *byte == b'.').count();
    if digits == 0 || points > 1 || digits + points != text.len() {
        return None;
    }
    let seconds = text.parse::<f64>().ok()? * unit;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn moment() -> Moment {
        Moment::read_http("Tue, 15 Nov 1994 08:12:31 GMT").expect("a date")
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            let value = HeaderValue::from_str(value).expect("a value");
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    #[test]
    fn every_form_of_a_wait_is_read() {
        const FOREVER: Duration = Duration::MAX;
        let millis = |millis| Some(Duration::from_millis(millis));
        for (all, told) in [
            (&[][..], None),
            (&[("retry-after", "7")], millis(7_000)),
            (&[("retry-after", "0")], millis(0)),
            (&[("retry-after", "0.249")], millis(249)),
            (&[("retry-after", "5,5")], millis(5_000)),
            (&[("retry-after", "5, 9")], millis(9_000)),
            (&[("retry-after", "5"), ("retry-after", "3")], millis(5_000)),
            (&[("retry-after", "Tue, 15 Nov 1994 08:13:01 GMT")], millis(30_000)),
            (&[("retry-after", "Tue, 15 Nov 1994 08:12:01 GMT")], millis(0)),
            (&[("x-ms-retry-after-ms", "1500")], millis(1_500)),
            (&[("x-ms-retry-after-ms", "1500"), ("retry-after", "1")], millis(1_500)),
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "1e3")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", ".")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "99999999999999999999")], Some(FOREVER)),
        ] {
            assert_eq!(wait(&headers(all), moment()), told, "{all:?}");
        }
    }

    #[test]
    fn a_call_is_early_until_its_own_time_and_others_of_its_lane_with_it() {
        let second = Duration::from_secs;
        let lane = Lane::Connection("contosohr".to_owned());
        let mut detector = Detector::new(EarlyCalls::ByLane);
        let told = headers(&[("retry-after", "10")]);
        let answer = (StatusCode::TOO_MANY_REQUESTS, &told);
        detector.answers(
            (second(1), second(1)),
            moment(),
            Some("a"),
            || Some(lane.clone()),
            answer,
        );
        let mut judge = |now, id, lane: Option<&Lane>| {
            let before = detector.count();
            detector.arrives(now, id, lane, || "PUT".to_owned());
            let last = detector.found().last();
            last.filter(|_| detector.count() > before).map(|e| (e.early_by, e.same_call))
        };
        assert_eq!(judge(second(3), Some("a"), Some(&lane)), Some((second(8), true)));
        assert_eq!(judge(second(4), Some("b"), Some(&lane)), Some((second(7), false)));
        assert_eq!(judge(second(4), None, Some(&lane)), Some((second(7), false)));
        assert_eq!(judge(second(4), Some("b"), Some(&Lane::Groups)), None);
        assert_eq!(judge(second(5), Some("a"), None), Some((second(6), true)));
        assert_eq!(judge(second(11), Some("a"), Some(&lane)), None);
        assert_eq!(judge(second(11), Some("a"), Some(&lane)), None);
        assert!(!detector.is_watching());
    }

    #[test]
    fn who_cannot_know_yet_is_not_early() {
        let second = Duration::from_secs;
        let lane = Lane::Connection("contosohr".to_owned());
        let mut detector = Detector::new(EarlyCalls::ByLane);
        let refuse = |detector: &mut Detector, now, told, seconds: &str| {
            let headers = headers(&[("retry-after", seconds)]);
            let answer = (StatusCode::TOO_MANY_REQUESTS, &headers);
            let now = (second(now), second(told));
            detector.answers(now, moment(), Some("a"), || Some(lane.clone()), answer);
        };
        refuse(&mut detector, 0, 5, "10");
        refuse(&mut detector, 1, 2, "3");
        refuse(&mut detector, 1, 9, "20");
        let mut early_by = |now| {
            let before = detector.count();
            detector.arrives(second(now), Some("b"), Some(&lane), String::new);
            let last = detector.found().last().filter(|_| detector.count() > before);
            last.map(|early| early.early_by.as_secs())
        };
        let expected =
            [(1, None), (2, Some(2)), (3, Some(1)), (4, None), (5, Some(5)), (8, Some(2))];
        for (now, expected) in
            expected.into_iter().chain([(9, Some(12)), (20, Some(1)), (21, None)])
        {
            assert_eq!(early_by(now), expected, "{now}");
        }
    }

    #[test]
    fn only_a_429_holds_others_and_a_later_answer_lifts_a_wait() {
        let mut detector = Detector::new(EarlyCalls::ByLane);
        let told = headers(&[("retry-after", "10")]);
        let lane = || Some(Lane::Groups);
        let now = (Duration::ZERO, Duration::ZERO);
        let busy = (StatusCode::SERVICE_UNAVAILABLE, &told);
        detector.answers(now, moment(), Some("a"), lane, busy);
        detector.arrives(now.0, Some("b"), Some(&Lane::Groups), String::new);
        assert_eq!(detector.count(), 0);
        detector.arrives(now.0, Some("a"), Some(&Lane::Groups), String::new);
        assert_eq!(detector.count(), 1);
        let empty = HeaderMap::new();
        detector.answers(now, moment(), Some("a"), lane, (StatusCode::OK, &empty));
        detector.arrives(now.0, Some("a"), Some(&Lane::Groups), String::new);
        assert_eq!(detector.count(), 1);

        let mut by_call = Detector::new(EarlyCalls::ByCall);
        let throttled = (StatusCode::TOO_MANY_REQUESTS, &told);
        by_call.answers(now, moment(), Some("a"), lane, throttled);
        by_call.arrives(now.0, Some("b"), Some(&Lane::Groups), String::new);
        assert_eq!(by_call.count(), 0);
    }

    #[test]
    fn who_was_told_to_wait_for_ever_is_always_early() {
        let mut detector = Detector::new(EarlyCalls::ByCall);
        let told = headers(&[("retry-after", "99999999999999999999")]);
        let answer = (StatusCode::SERVICE_UNAVAILABLE, &told);
        let now = Duration::from_secs(1);
        detector.answers((now, now), moment(), Some("a"), || None, answer);
        detector.arrives(Duration::from_secs(1 << 40), Some("a"), None, String::new);
        assert_eq!(detector.found().next().map(|early| early.early_by), Some(Duration::MAX));
    }
}
