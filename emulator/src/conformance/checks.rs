//! The checks as a table: what each sets up, what it sends, and what has to come of it.

use std::{fmt, net::TcpListener, time::Duration};

use bytes::Bytes;
use graphfeed_core::client::{Failure, SendOptions, Sent};
use http::{Method, Response, StatusCode, header};

use super::{Check, Outcome, Sending, Stage, Verdict};

impl Stage {
    /// In the order in which they are run: the first makes what the others need.
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks = vec![
            self.methods(),
            self.statuses(),
            self.html(),
            self.redirects(),
            self.long_bodies(),
            self.body_limit(),
            self.broken_off(),
            self.reset(),
            self.reset_after_commit(),
            self.silence(),
            self.header_bytes(),
            self.path_bytes(),
        ];
        if self.server.is_some() {
            checks.push(self.refused());
            checks.push(self.unknown_host());
            checks.push(self.kept_connections());
        }
        checks
    }

    fn methods(&self) -> Check {
        let base = "/external/connections";
        let connection = r#"{"id":"conformance","name":"Conformance"}"#;
        let schema = r#"{"baseType":"microsoft.graph.externalItem",
            "properties":[{"name":"title","type":"string"}]}"#;
        let options = SendOptions::default;
        Check {
            name: "every method goes out, with a body and without, and its answer comes back",
            faults: vec![],
            requests: vec![
                (self.request(Method::DELETE, &format!("{base}/conformance"), ""), options()),
                (self.request(Method::POST, base, connection), options()),
                (
                    self.request(Method::PATCH, &format!("{base}/conformance/schema"), schema),
                    options(),
                ),
                self.get(&format!("{base}/conformance")),
                self.put(&format!("{base}/conformance/items/a"), ITEM),
                (
                    self.request(Method::DELETE, &format!("{base}/conformance/items/a"), ""),
                    options(),
                ),
            ],
            judge: |_, Outcome { sent, .. }| {
                let statuses = statuses(sent)?;
                match statuses[..] {
                    [202 | 404, 201, 202, 200, 200, 204] => Ok(()),
                    _ => Err(format!("the statuses are {statuses:?}")),
                }
            },
        }
    }

    fn statuses(&self) -> Check {
        Check {
            name: "every status is an answer and keeps its body",
            faults: STATUSES.map(|status| format!("GET connection: {status} times=1")).to_vec(),
            requests: STATUSES.map(|_| self.get("/external/connections/conformance")).to_vec(),
            judge: |_, Outcome { sent, .. }| {
                for (sent, status) in sent.into_iter().zip(STATUSES) {
                    let answer = answer(sent)?;
                    expect("status", answer.status().as_u16(), status)?;
                    let body = String::from_utf8_lossy(answer.body()).into_owned();
                    if !body.contains("\"error\"") {
                        return Err(format!("of a {status} the body {body:?} is left"));
                    }
                }
                Ok(())
            },
        }
    }

    fn html(&self) -> Check {
        Check {
            name: "a page of a gateway comes back as it is",
            faults: vec!["GET connection: html 502 times=1".to_owned()],
            requests: vec![self.get("/external/connections/conformance")],
            judge: |_, Outcome { mut sent, .. }| {
                let answer = answer(sent.remove(0))?;
                expect("status", answer.status(), StatusCode::BAD_GATEWAY)?;
                let body = String::from_utf8_lossy(answer.body()).to_ascii_lowercase();
                if body.contains("<html") { Ok(()) } else { Err(format!("{body:?} is no page")) }
            },
        }
    }

    fn redirects(&self) -> Check {
        let fault = |status| format!("PUT item: {status} header=Location:{{elsewhere}} times=1");
        let item = "/external/connections/conformance/items/moved";
        Check {
            name: "a redirect is an answer and is not followed",
            faults: REDIRECTS.map(fault).to_vec(),
            requests: REDIRECTS.map(|_| self.put(item, ITEM)).to_vec(),
            judge: |stage, Outcome { sent, .. }| {
                for (sent, status) in sent.into_iter().zip(REDIRECTS) {
                    let answer = answer(sent)?;
                    expect("status", answer.status().as_u16(), status)?;
                    let location = answer.headers().get(header::LOCATION);
                    let location = location.and_then(|location| location.to_str().ok());
                    expect("Location", location, Some(stage.elsewhere.url()))?;
                }
                Ok(())
            },
        }
    }

    fn long_bodies(&self) -> Check {
        let item = "/external/connections/conformance/items/long";
        Check {
            name: "bodies of 4 MB go both ways",
            faults: vec![],
            requests: vec![self.put(item, &long_item()), self.get(item)],
            judge: |stage, Outcome { mut sent, .. }| {
                let read = answer(sent.remove(1))?;
                let written = answer(sent.remove(0))?;
                expect("status", written.status(), StatusCode::OK)?;
                let item = stage.emulator.item("conformance", "long");
                let content = item.and_then(|item| item.content);
                let stored = content.map(|content| content.value.len());
                expect("stored length", stored, Some(LONG))?;
                let found =
                    read.body().windows(LONG).any(|window| window.iter().all(|b| *b == b'x'));
                expect("the content comes back whole", found, true)
            },
        }
    }

    fn body_limit(&self) -> Check {
        let (request, options) = self.get("/external/connections/conformance/items/long");
        let limited = options.clone().with_max_body(100_000);
        Check {
            name: "an answer over the limit is given up, for good, and not kept in memory",
            faults: vec![],
            requests: vec![(request.clone(), limited), (request, options.with_max_body(8 << 20))],
            judge: |_, Outcome { mut sent, .. }| {
                answer(sent.remove(1))?;
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), true)?;
                let kept = failure.partial().map_or(0, |answer| answer.body().len());
                expect("at most twice the limit is kept", kept <= 200_000, true)
            },
        }
    }

    fn broken_off(&self) -> Check {
        Check {
            name: "an answer that breaks off may have been carried out, and what came is kept",
            faults: vec!["GET connection: truncated times=1".to_owned()],
            requests: vec![self.get("/external/connections/conformance")],
            judge: |_, Outcome { mut sent, .. }| {
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), false)?;
                let status = failure.partial().map(Response::status);
                expect("status that came", status, Some(StatusCode::OK))
            },
        }
    }

    fn reset(&self) -> Check {
        Check {
            name: "a connection closed without an answer may have carried the request",
            faults: vec!["PUT item: reset times=1".to_owned()],
            requests: vec![self.put("/external/connections/conformance/items/reset", ITEM)],
            judge: |_, Outcome { mut sent, .. }| {
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), false)
            },
        }
    }

    fn reset_after_commit(&self) -> Check {
        Check {
            name: "nothing is repeated by the transport itself",
            faults: vec!["PUT item: stored reset times=1".to_owned()],
            requests: vec![self.put("/external/connections/conformance/items/once", ITEM)],
            judge: |stage, Outcome { mut sent, .. }| {
                let before = failure(sent.remove(0))?.sent();
                expect("sent", before, Sent::Maybe)?;
                let there = stage.emulator.item("conformance", "once").is_some();
                expect("it was stored", there, true)?;
                let left = stage.emulator.faults().iter().map(|(_, struck)| *struck).sum::<u64>();
                expect("attempts that reached the service", left, 1)
            },
        }
    }

    fn silence(&self) -> Check {
        let (request, options) = self.put("/external/connections/conformance/items/slow", ITEM);
        Check {
            name: "silence ends at the time-out, and may have been heard",
            faults: vec!["PUT item: hang 30 times=1".to_owned()],
            requests: vec![(request, options.with_timeout(Duration::from_millis(200)))],
            judge: |_, Outcome { mut sent, .. }| {
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), false)
            },
        }
    }

    fn header_bytes(&self) -> Check {
        let (mut request, options) = self.get("/external/connections/conformance");
        let id = header::HeaderValue::from_static(ODD);
        request.headers_mut().insert("client-request-id", id);
        Check {
            name: "the bytes of headers arrive as they are, both ways",
            faults: vec![],
            requests: vec![(request, options)],
            judge: |_, Outcome { mut sent, .. }| {
                let answer = answer(sent.remove(0))?;
                let id = answer.headers().get("client-request-id");
                expect("client-request-id", id.map(|id| id.as_bytes()), Some(ODD.as_bytes()))
            },
        }
    }

    fn path_bytes(&self) -> Check {
        let activity = format!(
            r#"{{"appActivityId":{},"activitySourceHost":"https://contoso.com",
                "activationUrl":"https://contoso.com/a","visualElements":{{"displayText":"A"}}}}"#,
            serde_json::Value::from(ODD_ID)
        );
        Check {
            name: "the bytes of a path arrive as they are",
            faults: vec![],
            requests: vec![self.put(&format!("/me/activities/{ODD_ID_ESCAPED}"), &activity)],
            judge: |stage, Outcome { mut sent, .. }| {
                let status = answer(sent.remove(0))?.status();
                expect("a status of success", status.is_success(), true)?;
                let stored = stage.emulator.user_activities();
                let ids: Vec<_> = stored.iter().map(|each| each.app_activity_id.as_str()).collect();
                expect("the ids stored", ids.contains(&ODD_ID), true)
            },
        }
    }

    fn refused(&self) -> Check {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let (mut request, options) = self.put("/", ITEM);
        // The port was free a moment ago, and nobody is there now.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_or(1, |address| address.port());
        *request.uri_mut() = format!("{scheme}://localhost:{port}/v1.0/x").parse().expect("a URI");
        Check {
            name: "a refused connection has carried nothing",
            faults: vec![],
            requests: vec![(request, options)],
            judge: not_sent,
        }
    }

    fn unknown_host(&self) -> Check {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let (mut request, options) = self.put("/", ITEM);
        *request.uri_mut() =
            format!("{scheme}://no-such-host.invalid/v1.0/x").parse().expect("a URI");
        Check {
            name: "a host that does not exist has heard nothing",
            faults: vec![],
            requests: vec![(request, options)],
            judge: not_sent,
        }
    }

    fn kept_connections(&self) -> Check {
        let (request, options) = self.get("/external/connections/conformance");
        let fresh = options.clone().with_new_connection(true);
        Check {
            name: "connections are kept, and a new one is made on demand",
            faults: vec![],
            requests: vec![
                (request.clone(), fresh.clone()),
                (request.clone(), options.clone()),
                (request.clone(), options.clone()),
                (request.clone(), fresh),
                (request, options),
            ],
            judge: |_, Outcome { sent, connections }| {
                statuses(sent)?;
                // One for each request that asked, and at most one for the others together.
                match connections {
                    2 | 3 => Ok(()),
                    other => Err(format!("5 requests, 2 of them on new connections, made {other}")),
                }
            },
        }
    }
}

pub(super) const ITEM: &str = r#"{"acl":[{"accessType":"grant","type":"everyone","value":"everyone"}],"properties":{"title":"t"}}"#;

const STATUSES: [u16; 17] =
    [400, 401, 402, 403, 404, 409, 412, 413, 422, 423, 429, 500, 501, 503, 504, 507, 509];

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Short of the limit of a body by what an item has besides its content.
const LONG: usize = 3_999_000;

fn long_item() -> String {
    let item = ITEM.strip_suffix('}').unwrap_or(ITEM);
    format!(r#"{item},"content":{{"type":"text","value":"{}"}}}}"#, "x".repeat(LONG))
}

/// Everything that a header value of visible ASCII may hold, and a tab and spaces inside.
const ODD: &str = "a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\tz  z";

const ODD_ID: &str = "/a?b#c%d e+f&g=h;i:j@k,l$m!n'o(p)q*r~s.t-u_v\u{e4}\u{1f980}";
const ODD_ID_ESCAPED: &str =
    "%2Fa%3Fb%23c%25d%20e%2Bf%26g%3Dh%3Bi%3Aj%40k%2Cl%24m!n'o(p)q*r~s.t-u_v%C3%A4%F0%9F%A6%80";

fn answer(sent: Sending) -> Result<Response<Bytes>, String> {
    sent.map_err(|failure| {
        let why = std::error::Error::source(&failure);
        format!("{failure}: {}", why.map(ToString::to_string).unwrap_or_default())
    })
}

fn failure(sent: Sending) -> Result<Failure, String> {
    match sent {
        Ok(answer) => Err(format!("it is taken for an answer, {}", answer.status())),
        Err(failure) => Ok(failure),
    }
}

fn statuses(sent: Vec<Sending>) -> Result<Vec<u16>, String> {
    sent.into_iter().map(|sent| answer(sent).map(|answer| answer.status().as_u16())).collect()
}

fn not_sent(_: &Stage, Outcome { mut sent, .. }: Outcome) -> Verdict {
    let failure = failure(sent.remove(0))?;
    expect("sent", failure.sent(), Sent::No)?;
    expect("permanent", failure.is_permanent(), false)
}

pub(super) fn distrusts(sent: Sending) -> Vec<(&'static str, String)> {
    let judge = |sent| {
        let failure = failure(sent)?;
        expect("sent", failure.sent(), Sent::No)?;
        expect("permanent", failure.is_permanent(), true)
    };
    let name = "a certificate that it does not know ends a request for good, before it is sent";
    judge(sent).err().map(|why| (name, why)).into_iter().collect()
}

fn expect<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Verdict {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?}, not {expected:?}")),
    }
}
