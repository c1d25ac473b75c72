//! One call: a request and the way to read its answer, with the endpoint's type erased.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{
    Answer, DecodeError, Error, Lane, Repeat, Route, ServiceError, ServiceRoot,
    service_error::{CLIENT_REQUEST_ID, REQUEST_ID, header_text},
};

/// Gives the value, and whether it says that all was done.
type Parse<T> = fn(&Answer<'_>) -> Result<(T, bool), DecodeError>;

/// Several lanes, each with its key.
pub(super) type Lanes = Arc<[(Lane, Box<str>)]>;

/// A request and the way to read its answer.
///
/// It owns everything it needs, is cheap to clone, and can be sent as often as
/// [`repeat`](Self::repeat) allows. It carries no token: whoever sends it adds one.
pub struct Call<T> {
    route: &'static Route,
    repeat: Repeat,
    parse: Parse<T>,
    request: Arc<http::Request<Bytes>>,
    // Where in its path the key of its lane stands.
    lane_key: Range<usize>,
    // Those of its parts, where it is a batch.
    lanes: Option<Lanes>,
}

impl<T> Call<T> {
    pub(super) fn new(
        route: &'static Route,
        repeat: Repeat,
        parse: Parse<T>,
        request: http::Request<Bytes>,
    ) -> Self {
        let lane_key = lane_key(route, request.uri().path()).unwrap_or_default();
        Self { route, repeat, parse, request: Arc::new(request), lane_key, lanes: None }
    }

    /// The operation.
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// Whether it may be made again after an attempt of unknown fate.
    pub fn repeat(&self) -> Repeat {
        self.repeat
    }

    /// The request, without a token.
    pub fn request(&self) -> &http::Request<Bytes> {
        &self.request
    }

    /// The same call at another address: the next page of what it asked for.
    pub(crate) fn to(&self, uri: http::Uri) -> Self {
        let mut request = (*self.request).clone();
        let lane_key = lane_key(self.route, uri.path()).unwrap_or_default();
        *request.uri_mut() = uri;
        Self { request: Arc::new(request), lane_key, ..self.clone() }
    }

    /// Whether the request goes to `root`, so that a token for that root may go with it.
    pub fn is_for(&self, root: &ServiceRoot) -> bool {
        root.trusts(self.request.uri())
    }

    /// Which calls it is throttled together with: the lane of its route, and for
    /// [`Lane::Connection`] the connection, as its path writes it.
    pub fn lane(&self) -> (Lane, &str) {
        (self.route.lane, &self.request.uri().path()[self.lane_key.clone()])
    }

    /// The same call, throttled together with all these.
    pub(super) fn in_lanes(self, lanes: Lanes) -> Self {
        Self { lanes: Some(lanes), ..self }
    }

    /// Every lane that it is throttled in: its own, or those of its parts where it is a batch.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (Lane, &str)> + Clone {
        let own = self.lanes.is_none().then(|| self.lane());
        let of_parts = self.lanes.iter().flat_map(|lanes| lanes.iter());
        own.into_iter().chain(of_parts.map(|(lane, key)| (*lane, &**key)))
    }

    /// The same call, of whose answer only status, headers and body are wanted, so that calls of
    /// several kinds fit one queue. Whether it was [complete](Reply::complete) is not asked then;
    /// [`Endpoint::call_into`](super::Endpoint::call_into) keeps that, and the value.
    pub fn untyped(&self) -> Call<()> {
        Call {
            route: self.route,
            repeat: self.repeat,
            parse: |_| Ok(((), true)),
            request: Arc::clone(&self.request),
            lane_key: self.lane_key.clone(),
            lanes: self.lanes.clone(),
        }
    }

    /// Whether both have one and the same request.
    pub(crate) fn is_same<U>(&self, other: &Call<U>) -> bool {
        Arc::ptr_eq(&self.request, &other.request)
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// The service's own error for a status outside 200 to 299, or why the body cannot be read.
    pub fn response(&self, response: http::Response<Bytes>) -> Result<Reply<T>, Error> {
        read(self.route, self.parse, &self.request, response)
    }
}

// Derived, these would ask the same of `T`.
impl<T> Clone for Call<T> {
    fn clone(&self) -> Self {
        Self {
            route: self.route,
            repeat: self.repeat,
            parse: self.parse,
            request: Arc::clone(&self.request),
            lane_key: self.lane_key.clone(),
            lanes: self.lanes.clone(),
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("route", &self.route.name)
            .field("uri", self.request.uri())
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
    }
}

/// Where the key of the route's lane stands in a path that it has made: nowhere but for
/// [`Lane::Connection`].
///
/// Expanding a template never changes its number of segments, so the first argument has the same
/// place, counted from the end.
fn lane_key(route: &Route, path: &str) -> Option<Range<usize>> {
    let from_braces = match route.lane {
        Lane::Connection => route.path.split_once('{')?.1,
        _ => return None,
    };
    let mut end = path.len();
    for _ in from_braces.matches('/') {
        end = path[..end].rfind('/')?;
    }
    Some(path[..end].rfind('/')? + 1..end)
}

/// What a successful call brought back.
#[derive(Clone, Debug)]
#[must_use = "its value may be a partial success"]
#[non_exhaustive]
pub struct Reply<T> {
    /// What the operation answers with.
    pub value: T,
    /// Whether all of what was asked for was done; if not, the value says what was.
    pub complete: bool,
    /// The status, from 200 to 299 or one that the route reads like a success.
    pub status: StatusCode,
    /// Every header of the answer.
    pub headers: HeaderMap,
    /// The body as it arrived.
    pub raw: Bytes,
}

impl<T> Reply<T> {
    /// The answer as it came, to be read once more as something else.
    pub(crate) fn to_response(&self) -> http::Response<Bytes> {
        let mut response = http::Response::new(self.raw.clone());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// The service's id of this request, which its support asks for.
    pub fn request_id(&self) -> Option<&str> {
        header_text(&self.headers, REQUEST_ID)
    }

    /// The caller's id of this request, as the service gives it back.
    pub fn client_request_id(&self) -> Option<&str> {
        header_text(&self.headers, CLIENT_REQUEST_ID)
    }
}

/// Reads an answer by its status: a value, the service's error, or why it cannot be read.
pub(super) fn read<T>(
    route: &'static Route,
    parse: Parse<T>,
    request: &http::Request<Bytes>,
    response: http::Response<Bytes>,
) -> Result<Reply<T>, Error> {
    let status = response.status();
    if !status.is_success() && !route.reads.contains(&status.as_u16()) {
        return Err(Error::service(route, ServiceError::read(response)));
    }
    match parse(&Answer::new(request, &response)) {
        Ok((value, complete)) => {
            let (parts, raw) = response.into_parts();
            Ok(Reply { value, complete, status: parts.status, headers: parts.headers, raw })
        }
        Err(why) => Err(Error::unreadable(route, why, response)),
    }
}
