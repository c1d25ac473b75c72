//! What a transport is: one request out, one answer in.
//!
//! Lives here: the [`Transport`] trait and what a driver asks of it ([`SendOptions`]). Nothing
//! of Microsoft Graph is known here.

use std::time::Duration;

use bytes::Bytes;

use crate::protocol::Failure;
#[cfg(doc)]
use crate::protocol::Sent;

/// Sends one HTTP request and brings back one answer, blocking the thread meanwhile.
///
/// An implementation decides nothing: every status is an answer, a redirect is not followed,
/// nothing is repeated, and the body is read whole or not at all. A closure of the same shape
/// is a transport, which makes tests short:
///
/// ```
/// use bytes::Bytes;
/// use graphfeed_core::client::{SendOptions, Transport};
///
/// let empty = |_: http::Request<Bytes>, _: &SendOptions| Ok(http::Response::new(Bytes::new()));
/// let answer = empty.send(http::Request::new(Bytes::new()), &SendOptions::default())?;
/// assert_eq!(answer.status(), 200);
/// # Ok::<(), graphfeed_core::client::Failure>(())
/// ```
pub trait Transport {
    /// Sends `request` and waits for the answer, at most [`SendOptions::timeout`].
    ///
    /// # Errors
    /// A [`Failure`] when no complete answer arrived. A status such as 404 or 503 is an answer.
    fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> Result<http::Response<Bytes>, Failure>;
}

/// Sends one HTTP request and brings back one answer, in a future.
///
/// The contract is that of [`Transport`]. A closure that gives a future is a transport, too.
pub trait AsyncTransport {
    /// Sends `request`; the future is ready with the answer.
    ///
    /// # Errors
    /// A [`Failure`] when no complete answer arrived. A status such as 404 or 503 is an answer.
    fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> impl Future<Output = Result<http::Response<Bytes>, Failure>> + Send;
}

impl<F, R> AsyncTransport for F
where
    F: Fn(http::Request<Bytes>, &SendOptions) -> R,
    R: Future<Output = Result<http::Response<Bytes>, Failure>> + Send,
{
    fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> impl Future<Output = Result<http::Response<Bytes>, Failure>> + Send {
        self(request, options)
    }
}

impl<F> Transport for F
where
    F: Fn(http::Request<Bytes>, &SendOptions) -> Result<http::Response<Bytes>, Failure>,
{
    fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> Result<http::Response<Bytes>, Failure> {
        self(request, options)
    }
}

/// What the driver asks of a transport for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// The longest the whole exchange may take: connecting, sending and reading the answer.
    /// 100 seconds by default.
    pub timeout: Duration,
    /// Whether to use a connection that has carried no request before. False by default.
    pub new_connection: bool,
    /// The longest answer body that is read, in bytes. 16 MiB by default. A longer one is a
    /// [`Failure`] with [`Sent::Maybe`], for the request itself did arrive.
    pub max_body: usize,
}

impl SendOptions {
    /// Other than the default [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Other than the default [`new_connection`](Self::new_connection).
    #[must_use]
    pub fn with_new_connection(mut self, new: bool) -> Self {
        self.new_connection = new;
        self
    }

    /// Other than the default [`max_body`](Self::max_body).
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(100), new_connection: false, max_body: 16 << 20 }
    }
}
