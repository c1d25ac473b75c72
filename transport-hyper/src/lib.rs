//! Sends graphfeed's calls over [hyper](https://docs.rs/hyper), or over any tower `Service` of
//! http requests: without blocking a thread, HTTP/2 where the server offers it.
//!
//! Lives here: the [`AsyncTransport`] over a service, the clock of tokio, and a ready-made
//! [`AsyncClient`](graphfeed_core::client::AsyncClient). Nothing about Microsoft Graph is decided here: statuses are data, redirects
//! are not followed, nothing is repeated.
//!
//! ```no_run
//! use graphfeed_core::external::{Acl, ExternalItem, PutItem};
//! use graphfeed_core::protocol::ServiceRoot;
//! use graphfeed_core::types::{AccessToken, ConnectionId, Guid, ItemId};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let token = AccessToken::new(std::env::var("GRAPH_TOKEN")?)?;
//! let client = graphfeed_hyper::client(ServiceRoot::v1(), token);
//! let item = ExternalItem::builder(ItemId::new("TSP228082938")?)
//!     .acl(Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
//!     .property("title", "Error in the payment gateway")
//!     .build()?;
//! client.send(&PutItem::new(&ConnectionId::new("contosohr")?, &item)).await?;
//! # Ok(())
//! # }
//! ```

mod clock;
mod failure;
mod ready_made;

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use graphfeed_core::client::{AsyncTransport, Failure, SendOptions};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use tower_service::Service;

pub use clock::TokioClock;
pub use failure::BoxError;
pub use ready_made::{ExtraRootsError, HyperClient, client, seed};

use failure::{SendError, classify};

/// An [`AsyncTransport`] over a `Service` of http requests.
///
/// It sends over https only, unless it was made by a constructor with `danger` in its name. Each
/// request takes a clone of the service. Time-outs are tokio's, so requests are sent from within a
/// tokio runtime with its timer, whatever the service.
#[derive(Clone)]
pub struct HyperTransport<S> {
    service: S,
    // The same, but without connections that have carried a request before.
    fresh: Option<S>,
    https_only: bool,
}

impl<S> HyperTransport<S> {
    /// Over the caller's service: its connections, its proxy, its layers, as long as none of
    /// them repeats requests or follows redirects. [`SendOptions::new_connection`] is heeded
    /// only with [`fresh_connections_by`](Self::fresh_connections_by).
    pub fn over(service: S) -> Self {
        Self { service, fresh: None, https_only: true }
    }

    /// As [`over`](Self::over), and over plain http as well, where everyone on the way reads
    /// token and content: for an emulator on this machine.
    pub fn danger_plain_http_over(service: S) -> Self {
        Self { service, fresh: None, https_only: false }
    }

    /// The service for requests that ask for a connection of their own.
    #[must_use]
    pub fn fresh_connections_by(mut self, service: S) -> Self {
        self.fresh = Some(service);
        self
    }
}

impl<S, B> AsyncTransport for HyperTransport<S>
where
    S: Service<http::Request<Full<Bytes>>, Response = http::Response<B>> + Clone + Send + Sync,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: Into<BoxError>,
{
    async fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> Result<http::Response<Bytes>, Failure> {
        let to = request.uri().authority().cloned();
        if self.https_only && request.uri().scheme() != Some(&http::uri::Scheme::HTTPS) {
            let error = "plain http is refused; for an emulator on this machine there is a \
                         constructor with danger in its name";
            return Err(Failure::not_sent(SendError::new(to, error.into())).permanent());
        }
        let service = match &self.fresh {
            Some(fresh) if options.new_connection => fresh.clone(),
            _ => self.service.clone(),
        };
        let mut head = None;
        let mut body = BytesMut::new();
        let exchange = exchange(service, request, options.max_body, &mut head, &mut body);
        // Adding more than this to the time of day is more than some systems can count.
        let timeout = options.timeout.min(Duration::from_secs(86_400 * 365));
        let outcome = tokio::time::timeout(timeout, exchange).await;
        let answer =
            head.map(|head| http::Response::from_parts(head, std::mem::take(&mut body).freeze()));
        let failure = match (outcome, answer) {
            (Ok(Ok(())), Some(answer)) => return Ok(answer),
            (Ok(Ok(())), None) => Failure::maybe_sent("the service gave no answer and no error"),
            (Err(_), None) => Failure::maybe_sent(SendError::new(to, "no answer in time".into())),
            (Err(_), Some(answer)) => {
                let error = SendError::new(to, "no whole answer in time".into());
                Failure::maybe_sent(error).with_partial(answer)
            }
            (Ok(Err(Broken::Before(error))), _) => classify(to, error),
            (Ok(Err(Broken::After { error, permanent })), Some(answer)) => {
                let failure = Failure::maybe_sent(SendError::new(to, error)).with_partial(answer);
                if permanent { failure.permanent() } else { failure }
            }
            (Ok(Err(Broken::After { error, .. })), None) => {
                Failure::maybe_sent(SendError::new(to, error))
            }
        };
        Err(failure)
    }
}

/// Where an exchange broke off.
enum Broken {
    /// Before there was a status.
    Before(BoxError),
    /// In the body.
    After { error: BoxError, permanent: bool },
}

/// Sends the request and reads the answer into `head` and `body`, where it is kept also when it
/// breaks off.
async fn exchange<S, B>(
    mut service: S,
    request: http::Request<Bytes>,
    max_body: usize,
    head: &mut Option<http::response::Parts>,
    body: &mut BytesMut,
) -> Result<(), Broken>
where
    S: Service<http::Request<Full<Bytes>>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let before = |error: S::Error| Broken::Before(error.into());
    std::future::poll_fn(|context| service.poll_ready(context)).await.map_err(before)?;
    let response = service.call(request.map(Full::new)).await.map_err(before)?;
    let (parts, mut rest) = response.into_parts();
    *head = Some(parts);
    while let Some(frame) = rest.frame().await {
        let frame =
            frame.map_err(|error| Broken::After { error: error.into(), permanent: false })?;
        let Ok(data) = frame.into_data() else { continue };
        if body.len() + data.len() > max_body {
            let error = format!("the answer is longer than {max_body} bytes").into();
            return Err(Broken::After { error, permanent: true });
        }
        body.extend_from_slice(&data);
    }
    Ok(())
}

// A service need not be `Debug`.
impl<S> fmt::Debug for HyperTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("https_only", &self.https_only)
            .finish_non_exhaustive()
    }
}
