//! What a request carries: itself, or the requests of a batch; and what each was answered.

use std::time::Duration;

use bytes::Bytes;
use graphfeed_core::protocol::retry_after;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use serde_json::Value;

/// A request by itself, or one of a batch.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is called in its batch; `None` by itself.
    pub id: Option<String>,
    /// The method.
    pub method: String,
    /// The segments of the path below the version.
    pub path: Vec<String>,
    /// The body; null if there is none.
    pub body: Value,
}

/// What a [`Part`] was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartAnswer {
    /// The status.
    pub status: u16,
    /// How long it is told to wait.
    pub wait: Option<Duration>,
}

impl Part {
    /// All that a request carries.
    ///
    /// # Panics
    /// If it is a batch of another shape than documented
    /// ([JSON batching](https://learn.microsoft.com/graph/json-batching)).
    pub fn all(request: &Request<Bytes>) -> Vec<Self> {
        let mut path = segments(request.uri().path());
        path.remove(0);
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if path != ["$batch"] {
            return vec![Self { id: None, method: request.method().to_string(), path, body }];
        }
        let text = |part: &Value, name: &str| part[name].as_str().expect(name).to_owned();
        let parts = body["requests"].as_array().expect("requests").iter().map(|part| Self {
            id: Some(text(part, "id")),
            method: text(part, "method"),
            path: segments(&text(part, "url")),
            body: part["body"].clone(),
        });
        parts.collect()
    }

    /// What it was answered by the answer to its request; `None` if it is missing there.
    pub fn answer(&self, answer: &Response<Bytes>) -> Option<PartAnswer> {
        let whole =
            PartAnswer { status: answer.status().as_u16(), wait: retry_after(answer.headers()) };
        let Some(id) = self.id.as_ref().filter(|_| answer.status().is_success()) else {
            return Some(whole);
        };
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let own = body["responses"].as_array()?.iter().find(|response| {
            response["id"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(id))
        })?;
        let mut headers = HeaderMap::new();
        for (name, value) in own["headers"].as_object().into_iter().flatten() {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let status = u16::try_from(own["status"].as_u64()?).ok()?;
        Some(PartAnswer { status, wait: retry_after(&headers) })
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str, body: &str) -> Vec<Part> {
        let uri = format!("https://graph.microsoft.com/v1.0{path}");
        Part::all(&Request::post(uri).body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
    }

    #[test]
    fn a_request_by_itself_is_its_own_part_and_is_answered_as_a_whole() {
        let parts = parts("/external/connections", r#"{"id":"contosohr"}"#);
        assert_eq!((parts.len(), &*parts[0].method), (1, "POST"));
        assert_eq!(parts[0].path, ["external", "connections"]);
        assert_eq!(parts[0].body["id"], "contosohr");
        let answer = Response::builder().status(429).header("retry-after", "1.5");
        let answer = parts[0].answer(&answer.body(Bytes::new()).unwrap());
        assert_eq!(
            answer.map(|it| (it.status, it.wait)),
            Some((429, Some(Duration::from_millis(1500))))
        );
    }

    #[test]
    fn each_request_of_a_batch_is_a_part_and_answered_by_its_id_or_not_at_all() {
        let parts = parts(
            "/$batch",
            r#"{"requests":[{"id":"a","method":"PUT","url":"/external/connections/c/items/T1","body":{"x":1}},
                {"id":"b","method":"DELETE","url":"/external/connections/c/items/T2"}]}"#,
        );
        assert_eq!(parts.iter().map(|part| &*part.method).collect::<Vec<_>>(), ["PUT", "DELETE"]);
        assert_eq!(parts[1].path[4], "T2");
        assert_eq!((&parts[0].body["x"], &parts[1].body), (&Value::from(1), &Value::Null));
        let answer = Response::new(Bytes::from_static(
            br#"{"responses":[{"id":"A","status":429,"headers":{"Retry-After":"2"}}]}"#,
        ));
        let told = PartAnswer { status: 429, wait: Some(Duration::from_secs(2)) };
        assert_eq!(parts[0].answer(&answer), Some(told));
        assert_eq!(parts[1].answer(&answer), None);
        let refused = Response::builder().status(503).body(Bytes::new()).unwrap();
        assert_eq!(parts[1].answer(&refused), Some(PartAnswer { status: 503, wait: None }));
    }
}
