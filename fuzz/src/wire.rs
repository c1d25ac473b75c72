//! A service at the end of a bad line: the emulator, and before it whatever the bytes say.

use std::time::Duration;

use arbitrary::Unstructured;
use bytes::Bytes;
use graphfeed_core::{
    machine::Tick,
    protocol::{Cloud, Failure, ServiceRoot, Version},
};
use graphfeed_emulator::Emulator;
use graphfeed_simulation::Part;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Value, json};

/// Bytes that say what happens. When they are over, all goes well.
pub(crate) struct Tape<'a>(Unstructured<'a>);

impl<'a> Tape<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    /// A number up to this one; zero when the tape is over.
    pub(crate) fn up_to(&mut self, most: u32) -> u32 {
        self.0.int_in_range(0..=most).unwrap_or_default()
    }

    /// Whether it happens, once in so often, which is more than once; never when the tape is over.
    pub(crate) fn once_in(&mut self, often: u32) -> bool {
        self.up_to(often - 1) == often - 1
    }

    /// One of these; the first when the tape is over.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.up_to(all.len() as u32 - 1) as usize]
    }

    /// A time of some milliseconds, of some seconds, or of some minutes; none when the tape is
    /// over.
    pub(crate) fn time(&mut self) -> Duration {
        let unit = self.one_of(&[1, 1, 20, 1000]);
        Duration::from_millis(u64::from(self.up_to(255)) * unit)
    }
}

/// What becomes of one request.
pub(crate) struct Trip {
    /// When something comes back.
    pub(crate) after: Duration,
    /// What it is; `None` if nothing ever comes.
    pub(crate) what: Option<Result<Response<Bytes>, Failure>>,
    /// What of each call in it is known.
    pub(crate) carried: Vec<Carried>,
}

/// What becomes of one call, alone or in a batch.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) part: Part,
    /// The service did it.
    pub(crate) done: bool,
    /// What it is told, if it hears anything: status and wait.
    pub(crate) told: Option<(u16, Duration)>,
}

/// What stands in the way of a call.
enum Fate {
    Well,
    /// It is not carried out.
    Refused,
    /// It is carried out, and something else is answered.
    Stored,
    /// It is carried out or not, and nothing is answered.
    Missing {
        stored: bool,
    },
    /// It is carried out or not, and told as done in part.
    Partly {
        stored: bool,
    },
}

const REFUSALS: [u16; 18] =
    [429, 429, 503, 500, 401, 400, 404, 409, 504, 403, 301, 303, 307, 408, 413, 424, 499, 600];
/// Those that say nothing of what is there.
const HONEST: [u16; 12] = [429, 429, 503, 500, 401, 504, 302, 303, 308, 408, 413, 499];
/// Those behind which it may have been done.
const FAILURES: [u16; 9] = [503, 500, 502, 504, 509, 303, 408, 499, 600];

/// Where answers lead that are not to be believed.
const LINKS: [&str; 8] = [
    "https://elsewhere.example/v1.0/external/connections",
    "http://graph.microsoft.com/v1.0/external/connections",
    "//elsewhere.example/v1.0/operations/1.neu",
    "https://graph.microsoft.com.elsewhere.example/v1.0/operations/1.neu",
    "https://graph.microsoft.com@elsewhere.example/v1.0/operations/..%2f..%2fme",
    "https://graph.microsoft.com/v1.0/../../elsewhere",
    "https://graph.microsoft.com/v1.0/operations/%0d%0aHost:%20elsewhere.example",
    "",
];
/// The headers that lead somewhere.
const LEADING: [&str; 4] = ["location", "operation-location", "content-location", "refresh"];

pub(crate) struct Wire<'a> {
    pub(crate) tape: Tape<'a>,
    pub(crate) emulator: Emulator,
    /// No refusal says of something that it is there, or is not.
    pub(crate) honest: bool,
    /// An answer led elsewhere than the service did.
    pub(crate) misled: bool,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(tape: Tape<'a>, emulator: Emulator) -> Self {
        Self { tape, emulator, honest: false, misled: false }
    }

    /// What becomes of a request that is sent now. If it arrives, it does so at once.
    pub(crate) fn send(&mut self, now: Tick, root: &ServiceRoot, request: &Request<Bytes>) -> Trip {
        let parts = Part::all(request);
        goes_home(root, request);
        parts.iter().for_each(|part| is_there(root, part));
        let after = self.tape.time();
        match self.tape.up_to(19) {
            16 | 17 => self.misleading(now, request, parts, after),
            18 => self.partly(now, request, parts, after),
            1 | 2 if parts[0].id.is_none() => self.alone(now, request, parts, after),
            3 | 4 => self.answered(None, parts, after),
            5 => {
                let failure = Failure::not_sent("refused");
                let permanent = self.tape.once_in(4);
                let failure = if permanent { failure.permanent() } else { failure };
                Trip { after, what: Some(Err(failure)), carried: nothing(parts) }
            }
            6 => self.lost(now, request, parts, after, false),
            7 => self.lost(now, request, parts, after, true),
            1 | 2 | 8..=11 if parts[0].id.is_some() => self.apart(now, request, parts, after),
            _ => self.well(now, request, parts, after),
        }
    }

    fn handle(&self, now: Tick, request: &Request<Bytes>) -> Response<Bytes> {
        self.emulator.handle_at(now.since_origin(), request)
    }

    fn well(&self, now: Tick, request: &Request<Bytes>, parts: Vec<Part>, after: Duration) -> Trip {
        let answer = self.handle(now, request);
        let carried = carried(parts, &answer);
        Trip { after, what: Some(Ok(answer)), carried }
    }

    /// A call by itself: it is refused, or it is done and something else is told.
    fn alone(
        &mut self,
        now: Tick,
        request: &Request<Bytes>,
        parts: Vec<Part>,
        after: Duration,
    ) -> Trip {
        if self.tape.once_in(2) {
            let done = carried(parts, &self.handle(now, request));
            let status = self.tape.one_of(&FAILURES);
            let (answer, wait) = self.refusal(status);
            let told = Some((status, wait));
            let carried = done.into_iter().map(|it| Carried { told, ..it }).collect();
            return Trip { after, what: Some(Ok(answer)), carried };
        }
        let status = self.any_refusal();
        self.answered(Some(status), parts, after)
    }

    /// Nothing is done, and all are told so.
    fn answered(&mut self, status: Option<u16>, parts: Vec<Part>, after: Duration) -> Trip {
        let status = status.unwrap_or_else(|| self.any_refusal());
        let (answer, wait) = self.refusal(status);
        let told = Some((status, wait));
        let carried = nothing(parts).into_iter().map(|it| Carried { told, ..it }).collect();
        Trip { after, what: Some(Ok(answer)), carried }
    }

    fn lost(
        &mut self,
        now: Tick,
        request: &Request<Bytes>,
        parts: Vec<Part>,
        after: Duration,
        stored: bool,
    ) -> Trip {
        let mut carried = match stored {
            true => carried(parts, &self.handle(now, request)),
            false => nothing(parts),
        };
        carried.iter_mut().for_each(|it| it.told = None);
        let what = match self.tape.once_in(2) {
            true => None,
            false => Some(Err(Failure::maybe_sent("reset"))),
        };
        Trip { after, what, carried }
    }

    /// A batch of which each part has a fate of its own.
    fn apart(
        &mut self,
        now: Tick,
        request: &Request<Bytes>,
        parts: Vec<Part>,
        after: Duration,
    ) -> Trip {
        let fates: Vec<Fate> = parts
            .iter()
            .map(|part| match self.tape.up_to(9) {
                1 | 2 => Fate::Refused,
                3 => Fate::Stored,
                4 => Fate::Missing { stored: false },
                5 => Fate::Missing { stored: true },
                6 => Fate::Partly { stored: !is_append(part) || self.tape.once_in(2) },
                _ => Fate::Well,
            })
            .collect();
        let mut body: Value = serde_json::from_slice(request.body()).expect("JSON");
        let requests = body["requests"].as_array_mut().expect("requests");
        let mut stays = fates.iter().map(|fate| match fate {
            Fate::Well | Fate::Stored => true,
            Fate::Refused => false,
            Fate::Missing { stored } | Fate::Partly { stored } => *stored,
        });
        requests.retain(|_| stays.next().unwrap_or_default());
        let mut responses = Vec::new();
        let mut answer = Response::new(Bytes::new());
        if !requests.is_empty() {
            let request = request.clone().map(|_| Bytes::from(body.to_string()));
            answer = self.handle(now, &request);
            let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
            responses = body["responses"].as_array().cloned().unwrap_or_default();
        }
        let mut carried = carried(parts, &answer);
        for (it, fate) in carried.iter_mut().zip(fates) {
            let (id, own) =
                (json!(it.part.id), |response: &Value| response["id"] == json!(it.part.id));
            let status = match fate {
                Fate::Well => continue,
                Fate::Refused => Some(self.any_refusal()),
                Fate::Stored => Some(self.tape.one_of(&FAILURES)),
                Fate::Missing { .. } => None,
                // Elsewhere it is a success like any other, and of a refusal no part was done.
                Fate::Partly { .. } if !is_append(&it.part) && !it.done => continue,
                Fate::Partly { .. } => Some(207),
            };
            responses.retain(|response| !own(response));
            it.told = None;
            if let Some(status) = status {
                let (wait, text) = self.wait(status);
                it.told = Some((status, wait));
                let mut headers = text.map_or(json!({}), |text| json!({ "Retry-After": text }));
                if matches!(status, 300..=399) {
                    headers["Location"] = self.tape.one_of(&LINKS).into();
                }
                let mut own = json!({ "id": id, "status": status, "headers": headers });
                if status == 207 {
                    own["body"] = self.part_of_it(it.done);
                }
                responses.push(own);
            }
        }
        *answer.body_mut() = json!({ "responses": responses }).to_string().into();
        *answer.status_mut() =
            if self.tape.once_in(4) { StatusCode::MULTI_STATUS } else { StatusCode::OK };
        Trip { after, what: Some(Ok(answer)), carried }
    }

    /// It is done, and the answer leads elsewhere.
    fn misleading(
        &mut self,
        now: Tick,
        request: &Request<Bytes>,
        parts: Vec<Part>,
        after: Duration,
    ) -> Trip {
        let mut trip = self.well(now, request, parts, after);
        let link = self.tape.one_of(&LINKS);
        let Some(Ok(answer)) = &mut trip.what else { return trip };
        if !answer.status().is_success() {
            return trip;
        }
        self.misled = true;
        for name in LEADING {
            let value = HeaderValue::from_static(link);
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if let Ok(Value::Object(mut body)) = serde_json::from_slice(answer.body()) {
            for response in
                body.get_mut("responses").and_then(Value::as_array_mut).into_iter().flatten()
            {
                if response["headers"].is_object() {
                    response["headers"]["Location"] = link.into();
                }
            }
            body.insert("@odata.nextLink".to_owned(), link.into());
            *answer.body_mut() = Value::from(body).to_string().into();
        }
        trip
    }

    /// It is done, or of activities it may be that it is not, and the answer says in part.
    fn partly(
        &mut self,
        now: Tick,
        request: &Request<Bytes>,
        parts: Vec<Part>,
        after: Duration,
    ) -> Trip {
        if parts[0].id.is_some() {
            return self.well(now, request, parts, after);
        }
        let mut carried = match !is_append(&parts[0]) || self.tape.once_in(2) {
            true => carried(parts, &self.handle(now, request)),
            false => nothing(parts),
        };
        if !is_append(&carried[0].part) && !carried[0].done {
            return self.answered(None, vec![carried.remove(0).part], after);
        }
        carried[0].told = Some((207, Duration::ZERO));
        let body = self.part_of_it(carried[0].done);
        let mut answer = Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = StatusCode::MULTI_STATUS;
        Trip { after, what: Some(Ok(answer)), carried }
    }

    /// What a 207 says where it was done or not: of activities that they were refused if they
    /// were, or not in words that can be read.
    fn part_of_it(&mut self, done: bool) -> Value {
        let why = json!({ "code": "InvalidRequest", "message": "no" });
        match self.tape.up_to(2) {
            0 if !done => json!({ "value": [{ "type": "viewed", "error": why }] }),
            1 => json!({ "value": [] }),
            _ => json!("half"),
        }
    }

    /// How long to wait, as a number, and as it is written.
    fn wait(&mut self, status: u16) -> (Duration, Option<String>) {
        if !matches!(status, 429 | 503) || !self.tape.once_in(2) {
            return (Duration::ZERO, None);
        }
        let wait = self.tape.time();
        (wait, Some(wait.as_secs_f64().to_string()))
    }

    fn any_refusal(&mut self) -> u16 {
        match self.honest {
            true => self.tape.one_of(&HONEST),
            false => self.tape.one_of(&REFUSALS),
        }
    }

    fn refusal(&mut self, status: u16) -> (Response<Bytes>, Duration) {
        let (wait, text) = self.wait(status);
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
        if answer.status().is_redirection() {
            let link = HeaderValue::from_static(self.tape.one_of(&LINKS));
            answer.headers_mut().insert(header::LOCATION, link);
        }
        if let Some(text) = text {
            match self.tape.once_in(2) {
                true => drop(answer.headers_mut().insert(
                    "x-ms-retry-after-ms",
                    wait.as_millis().to_string().parse().expect("a value"),
                )),
                false => drop(
                    answer
                        .headers_mut()
                        .insert(header::RETRY_AFTER, text.parse().expect("a value")),
                ),
            }
        }
        (answer, wait)
    }
}

/// Whether it adds something each time it is done.
fn is_append(part: &Part) -> bool {
    part.path.last().is_some_and(|last| last == "addActivities")
}

fn nothing(parts: Vec<Part>) -> Vec<Carried> {
    parts.into_iter().map(|part| Carried { part, done: false, told: None }).collect()
}

/// What the emulator did, by its own answer.
fn carried(parts: Vec<Part>, answer: &Response<Bytes>) -> Vec<Carried> {
    let each = parts.into_iter().map(|part| {
        let told = part.answer(answer).map(|it| (it.status, it.wait.unwrap_or_default()));
        let done = told.is_some_and(|(status, _)| (200..300).contains(&status));
        Carried { part, done, told }
    });
    each.collect()
}

/// A token goes to the service root and nowhere else, and no body is longer than the service takes.
fn goes_home(root: &ServiceRoot, request: &Request<Bytes>) {
    let uri = request.uri();
    let host = match root.cloud() {
        Cloud::Global => "graph.microsoft.com",
        Cloud::UsGovL4 => "graph.microsoft.us",
        other => panic!("nobody calls {other}"),
    };
    assert_eq!(
        (uri.scheme_str(), uri.authority().map(|it| it.as_str())),
        (Some("https"), Some(host))
    );
    assert!(uri.path().starts_with(&format!("/{}/", root.version())), "{uri}");
    assert!(uri.path().split('/').all(|segment| !matches!(segment, "." | "..")), "{uri}");
    let (length, longest) = (request.body().len(), root.limits().body);
    assert!(length <= longest, "{length} bytes to a service that takes {longest}");
}

/// The version and the cloud have such a call, by their documents.
fn is_there(root: &ServiceRoot, part: &Part) {
    let path: Vec<&str> = part.path.iter().map(String::as_str).collect();
    let is_there = match (&*part.method, &path[..]) {
        ("PATCH", ["external", "connections", _, "items", _]) => root.version() == Version::V1,
        (_, ["external", "connections", _, "quota"]) => root.version() == Version::Beta,
        (_, ["external", "connections", ..]) => root.cloud() != Cloud::China,
        (_, ["me", "activities", ..]) => root.cloud() == Cloud::Global,
        _ => false,
    };
    assert!(is_there, "{} has no {} {path:?}", root, part.method);
    let is_labelled = !part.body["informationProtectionLabel"].is_null();
    assert!(!is_labelled || root.cloud() == Cloud::Global, "{root} has no labels");
}
