//! The feature `tracing`: a span for each call, an event for each decision, and no secret in any.

use std::{
    fmt::{self, Write as _},
    future::ready,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{AsyncClient, Client, SendOptions, VirtualClock},
    external::GetConnection,
    machine::IngestSettings,
    protocol::{Endpoint, ServiceRoot},
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

#[test]
fn calls_of_a_run_have_a_span_each_however_they_take_turns() {
    // Each goes again a little later, and meanwhile the others go.
    let statuses = Mutex::new([503, 503, 503, 200, 200, 200].into_iter());
    let transport = move |_: http::Request<Bytes>, _: &SendOptions| {
        let status = statuses.lock().unwrap().next().unwrap();
        let response = http::Response::builder().status(status);
        ready(Ok(response.body(Bytes::from_static(b"{}")).unwrap()))
    };
    let client = AsyncClient::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .build_async(transport, VirtualClock::default());
    let connection = ConnectionId::new("contosohr").unwrap();
    let calls = [0, 1, 2].map(|key| (key, GetConnection::new(&connection).call(client.root())));
    let heard = Lines::default();
    tracing::subscriber::with_default(heard.clone(), || {
        let run = client.ingest(IngestSettings::default());
        pollster::block_on(run.run(Calls(calls.into_iter()), |_| {}));
    });
    let lines = heard.lines.lock().unwrap();
    let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("span call"), count("INFO message=done")), (3, 3), "{lines:#?}");
    let last_span = lines.iter().rposition(|line| line.starts_with("span call"));
    let first_done = lines.iter().position(|line| line.starts_with("INFO message=done"));
    assert!(last_span < first_done, "they take turns: {lines:#?}");
}

/// Calls as a stream.
struct Calls<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Calls<I> {
    type Item = I::Item;

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}
