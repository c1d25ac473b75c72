//! The feature `tracing`: a span for each call, an event for each decision, and no secret in any.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, SendOptions, VirtualClock},
    external::GetConnection,
    protocol::ServiceRoot,
    types::{AccessToken, ConnectionId},
};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Writes every span and event down in a line.
#[derive(Clone, Default)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "graphfeed"
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = format!("span {}", span.metadata().name());
        span.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_call_is_a_span_and_each_decision_an_event() {
    let statuses = Mutex::new([429, 200].into_iter());
    let transport = |_: http::Request<Bytes>, _: &SendOptions| {
        let status = statuses.lock().unwrap().next().unwrap();
        let response = http::Response::builder().status(status).header("retry-after", "2");
        Ok(response.header("request-id", "r").body(Bytes::from_static(b"{}")).unwrap())
    };
    let client = Client::builder(ServiceRoot::v1(), AccessToken::new("top-secret").unwrap())
        .build(transport, VirtualClock::default());
    let heard = Lines::default();
    let connection = ConnectionId::new("contosohr").unwrap();
    tracing::subscriber::with_default(heard.clone(), || {
        client.send(&GetConnection::new(&connection)).unwrap();
    });
    let lines = heard.lines.lock().unwrap();
    let call = lines[0].split(' ').find_map(|field| field.strip_prefix("call=")).unwrap();
    assert_eq!(
        *lines,
        [
            format!("span call call={call} operation=\"Get connection\""),
            "DEBUG message=token wanted".to_owned(),
            "DEBUG message=token fetched".to_owned(),
            "DEBUG message=attempt number=1".to_owned(),
            "DEBUG message=answer number=1 status=429 request_id=\"r\" after_ms=0".to_owned(),
            "WARN message=throttled lane=Connection wait_ms=2000".to_owned(),
            "DEBUG message=wait wait_ms=2000 reason=Repeat".to_owned(),
            "DEBUG message=attempt number=2".to_owned(),
            "DEBUG message=answer number=2 status=200 request_id=\"r\" after_ms=0".to_owned(),
            "INFO message=done attempts=2 success=true".to_owned(),
        ]
    );
    assert!(!lines.concat().contains("top-secret"));
}
