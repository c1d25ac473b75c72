//! Faults that are scripted: which requests they strike, when, and what happens to those.
//!
//! Plain data with a text form (`text.rs`); `script.rs` counts requests and says which are struck,
//! and the service does what is said here. No time and no state is known in this file.

mod script;
mod text;

use std::time::Duration;

pub(crate) use script::{Asked, Script};
pub use text::FaultError;

/// A fault that is scripted for some requests.
///
/// It says which requests are meant, which of those it strikes (all, if nothing is said), and
/// what happens to a request that is struck: one of its [`Effect`]s, by chance if there are
/// several. A request that it does not strike is served as if it were not there.
///
/// ```
/// use graphfeed_emulator::Fault;
///
/// // The next three items are refused, and the client told to wait for a second and a half.
/// let throttled = Fault::on("PUT item")?.answer(429).retry_after("1.5").times(3);
/// assert_eq!(throttled, "PUT item: 429 retry-after=1.5 times=3".parse()?);
///
/// // One request in ten is stored and answered with a 500, or its connection is closed.
/// let shaky = Fault::on("*")?.answer(500).stored().reset().chance(0.1);
/// assert_eq!(shaky.to_string(), "*: stored 500 | reset chance=0.1");
/// # Ok::<(), graphfeed_emulator::FaultError>(())
/// ```
///
/// # As text
///
/// For the command line, the control path and [`Emulator::script`](crate::Emulator::script):
/// `REQUESTS: EFFECT [| EFFECT]...`, where `REQUESTS` is
///
/// - `*`: every request to Microsoft Graph (not one for a token);
/// - `PUT item`, `PUT *`, `item`: by method and resource, by either. Resources are `connection`,
///   `connections` (the list), `quota`, `schema`, `operation`, `item`, `addActivities`, `group`,
///   `member`, `activity`, `activities` (the list), `recent`, `historyItem`, `batch`, and `token`,
///   `devicecode`, `msi`, `imds` of the identity platform;
/// - `PUT /external/connections/contosohr/items/{item}`: by method and path below the version. A
///   segment in braces stands for any;
///
/// and `EFFECT` is one of
///
/// - `429`: answered with this status, 200 to 599, and not carried out;
/// - `html 502`: answered with an HTML page, as a gateway would, and not carried out;
/// - `reset`: the connection is closed without an answer, and nothing is carried out;
/// - `hang`, `hang 30`: no answer at all until the client gives up or this many seconds (120) are
///   over; nothing is carried out;
/// - each of these behind `stored`, `stored 500`: first it is carried out;
/// - `truncated`: carried out, and the answer breaks off before the length it announces;
/// - `no-responses`, `unknown-id`: carried out, and if it is a batch, its answer has no response
///   at all, or one with an id that no request has in place of one that belongs there;
/// - `pass`: served as always. It makes sense with `latency`.
///
/// Behind an effect, and for that effect:
///
/// - `retry-after=VALUE`: a header `Retry-After` with this value, whatever it is: `7`, `1.5`,
///   `5,5`, `soon`, `-5`. `date:30` is the HTTP date that many seconds ahead, `ms:1500` the header
///   `x-ms-retry-after-ms`. May be given more than once. Without it there is none;
/// - `code=CODE`: `error.code` of the answer, instead of the usual one of its status;
/// - `header=NAME:VALUE`: one more header of the answer. May be given more than once;
/// - `latency=SECONDS`: everything that happens does so this much later.
///
/// Anywhere behind the colon, and for the whole fault:
///
/// - `times=N`: it strikes N times, and is done then. Without it there is no end;
/// - `every=N`: it strikes each Nth request of those that are meant;
/// - `from=N`: it strikes the Nth for the first time, then all or each `every`th. The Nth of
///   `every`, or the first, if nothing is said;
/// - `chance=P`: each time it could strike, it does with this probability, by the seed;
/// - `within=SECONDS`: only requests to a connection that was created less than this before
///   (`PATCH schema: 400 within=20`).
///
/// A batch can be struck as a whole (`POST batch`), and each request in it for itself (`PUT item`);
/// `*` strikes both. What would leave a request of a batch without a whole answer does so to its
/// part of the batch: with `reset` it is missing, with `truncated` it is a 502, and with `hang` a
/// 504.
///
/// Of several faults the first to strike a request has it, and those behind do not count it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fault {
    /// Which requests are meant.
    pub requests: Requests,
    /// What happens to one that is struck: one of these by chance, and nothing if there is none.
    pub effects: Vec<Effect>,
    /// The request to strike first, of those that are meant, counted from 1. None: the first, or
    /// the first that [`every`](Self::every) names.
    pub from: Option<u64>,
    /// Each how manieth request to strike; 1 is each.
    pub every: u64,
    /// How often to strike. None: without end.
    pub times: Option<u64>,
    /// How probable it is to strike when it could, 0 to 1.
    pub chance: f64,
    /// Strike only what goes to a connection that was created less than this before.
    pub within: Option<Duration>,
}

/// Some requests, by what they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requests {
    /// Every request but those for tokens.
    All,
    /// By method, by resource, or by both.
    #[non_exhaustive]
    Named {
        /// The method, in upper case. None: any.
        method: Option<String>,
        /// The resource, as in [`Fault`]'s text form. None: any of Microsoft Graph.
        resource: Option<&'static str>,
    },
    /// By the path below the version.
    #[non_exhaustive]
    Path {
        /// The method, in upper case. None: any.
        method: Option<String>,
        /// The segments, decoded. None: any segment.
        segments: Vec<Option<String>>,
    },
}

/// What happens to a request that is struck.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Effect {
    /// How it ends.
    pub end: End,
    /// Whether it is carried out before.
    pub stored: bool,
    /// The headers of the answer that say when to come back.
    pub retry_after: Vec<RetryAfter>,
    /// `error.code` of the answer. None: the usual one.
    pub code: Option<String>,
    /// More headers of the answer, by name and value. What is no header is left out.
    pub headers: Vec<(String, String)>,
    /// How much later everything happens.
    pub latency: Duration,
}

/// How a request that is struck ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// With an answer in the usual shape and with this status.
    Status(u16),
    /// With an HTML page with this status, as from a gateway.
    Html(u16),
    /// With a closed connection and no answer.
    Reset,
    /// With the true answer, broken off before the length it announces.
    Truncated,
    /// With nothing, for so long; then with a closed connection.
    Hang(Duration),
    /// As if it had not been struck; but if it is a batch, no response is in the answer.
    NoResponses,
    /// As if it had not been struck; but if it is a batch, one response has an id that no request
    /// has.
    UnknownId,
    /// As if it had not been struck.
    Pass,
}

/// One header that says when to come back.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// `Retry-After` with this value, whatever it is.
    Value(String),
    /// `Retry-After` with the HTTP date this many seconds ahead, rounded up to a whole second.
    Date(f64),
    /// `x-ms-retry-after-ms` with this value, whatever it is.
    Milliseconds(String),
}

/// How long a request hangs if nothing is said: longer than most clients wait.
const HANG: Duration = Duration::from_secs(120);

impl Fault {
    /// A fault for these requests, in the words of the [text form](Self#as-text), without an
    /// effect yet.
    ///
    /// # Errors
    /// No request is asked for in these words.
    pub fn on(requests: &str) -> Result<Self, FaultError> {
        Ok(Self::new(text::requests(requests)?))
    }

    fn new(requests: Requests) -> Self {
        Self {
            requests,
            effects: Vec::new(),
            from: None,
            every: 1,
            times: None,
            chance: 1.0,
            within: None,
        }
    }

    fn effect(mut self, end: End) -> Self {
        self.effects.push(Effect::new(end));
        self
    }

    /// Changes the latest effect; if there is none yet, the request is served as always.
    fn latest(mut self, change: impl FnOnce(&mut Effect)) -> Self {
        if self.effects.is_empty() {
            self.effects.push(Effect::new(End::Pass));
        }
        if let Some(effect) = self.effects.last_mut() {
            change(effect);
        }
        self
    }

    /// One more effect: an answer with this status. What is no status of an answer is 500.
    #[must_use]
    pub fn answer(self, status: u16) -> Self {
        self.effect(End::Status(status))
    }

    /// One more effect: an HTML page with this status.
    #[must_use]
    pub fn html(self, status: u16) -> Self {
        self.effect(End::Html(status))
    }

    /// One more effect: the connection is closed without an answer.
    #[must_use]
    pub fn reset(self) -> Self {
        self.effect(End::Reset)
    }

    /// One more effect: the request is carried out, and its answer breaks off.
    #[must_use]
    pub fn truncated(self) -> Self {
        self.effect(End::Truncated)
    }

    /// One more effect: no answer for two minutes.
    #[must_use]
    pub fn hang(self) -> Self {
        self.effect(End::Hang(HANG))
    }

    /// One more effect: none.
    #[must_use]
    pub fn pass(self) -> Self {
        self.effect(End::Pass)
    }

    /// The latest effect comes after the request was carried out.
    #[must_use]
    pub fn stored(self) -> Self {
        self.latest(|effect| effect.stored = true)
    }

    /// The answer of the latest effect has this header: `7`, `1.5`, `5,5`, `date:30`, `ms:1500`
    /// or anything else, as in the [text form](Self#as-text). May be called more than once.
    #[must_use]
    pub fn retry_after(self, value: &str) -> Self {
        self.latest(|effect| effect.retry_after.push(RetryAfter::of(value)))
    }

    /// The answer of the latest effect has this `error.code`.
    #[must_use]
    pub fn code(self, code: &str) -> Self {
        self.latest(|effect| effect.code = Some(code.to_owned()))
    }

    /// The answer of the latest effect has one more header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.latest(|effect| effect.headers.push((name.to_owned(), value.to_owned())))
    }

    /// The latest effect happens this much later.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        self.latest(|effect| effect.latency = latency)
    }

    /// It strikes so often, and is done then.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// It strikes this request first, counted from 1.
    #[must_use]
    pub fn from(mut self, first: u64) -> Self {
        self.from = Some(first);
        self
    }

    /// It strikes each of so many.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.every = every.max(1);
        self
    }

    /// It strikes with this probability.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    /// It strikes only what goes to a connection that was created less than this before.
    #[must_use]
    pub fn within(mut self, age: Duration) -> Self {
        self.within = Some(age);
        self
    }
}

impl End {
    /// Whether it is there instead of what the service would do.
    fn is_instead(&self) -> bool {
        match self {
            Self::Status(_) | Self::Html(_) | Self::Reset | Self::Hang(_) => true,
            Self::Truncated | Self::NoResponses | Self::UnknownId | Self::Pass => false,
        }
    }
}

impl Effect {
    fn new(end: End) -> Self {
        Self {
            end,
            stored: false,
            retry_after: Vec::new(),
            code: None,
            headers: Vec::new(),
            latency: Duration::ZERO,
        }
    }

    /// Whether the request is carried out.
    pub(crate) fn is_carried_out(&self) -> bool {
        self.stored || !self.end.is_instead()
    }
}
