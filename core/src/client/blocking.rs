//! The blocking client: an endpoint in, its output back.

use std::fmt;

use http::header;

use super::{SendOptions, Transport};
use crate::{
    protocol::{Call, Endpoint, Error, Reply, ServiceRoot},
    types::{AccessToken, BuildError, Fault, Rule},
};

/// Sends endpoints over a [`Transport`], one attempt each, on the caller's thread.
///
/// The token goes to the [`ServiceRoot`] and nowhere else: a call that was made for another root
/// is refused before it is sent.
///
/// ```
/// use bytes::Bytes;
/// use graphfeed_core::client::{Client, SendOptions};
/// use graphfeed_core::external::{ConnectionState, GetConnection};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId};
///
/// let transport = |request: http::Request<Bytes>, _: &SendOptions| {
///     assert_eq!(request.headers()["Authorization"], "Bearer secret");
///     Ok(http::Response::new(r#"{"id":"contosohr","state":"ready"}"#.into()))
/// };
/// let client = Client::new(transport, ServiceRoot::v1(), AccessToken::new("secret")?);
/// let connection = client.send(&GetConnection::new(&ConnectionId::new("contosohr")?))?;
/// assert_eq!(connection.state, Some(ConnectionState::Ready));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Client<T> {
    transport: T,
    root: ServiceRoot,
    token: AccessToken,
    options: SendOptions,
}

impl<T: Transport> Client<T> {
    /// A client for one service root, with a token for it.
    pub fn new(transport: T, root: ServiceRoot, token: AccessToken) -> Self {
        Self { transport, root, token, options: SendOptions::default() }
    }

    /// The same client with other options for each request.
    #[must_use]
    pub fn with_options(mut self, options: SendOptions) -> Self {
        self.options = options;
        self
    }

    /// Where it sends to.
    pub fn root(&self) -> &ServiceRoot {
        &self.root
    }

    /// Makes one call and gives back what the operation answers with.
    ///
    /// # Errors
    /// An [`Error`], which tells the cause and whether the service may have carried out the call
    /// nevertheless ([`Error::applied`]).
    pub fn send<E: Endpoint>(&self, endpoint: &E) -> Result<E::Output, Error> {
        self.reply(endpoint).map(|reply| reply.value)
    }

    /// As [`send`](Self::send), with status, headers and raw body of the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn reply<E: Endpoint>(&self, endpoint: &E) -> Result<Reply<E::Output>, Error> {
        let route = const { &E::ROUTE };
        self.reply_to(&endpoint.call(&self.root).map_err(|why| Error::build(route, why))?)
    }

    /// Makes a call that was built before.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Rule::OtherRoot`] when the call was built for another root
    /// than this client's.
    pub fn reply_to<U>(&self, call: &Call<U>) -> Result<Reply<U>, Error> {
        if !call.is_for(&self.root) {
            let detail = format!("the call goes elsewhere than to {}; build it anew", self.root);
            let why = BuildError::from(Fault::new(Rule::OtherRoot, "service root", detail));
            return Err(Error::build(call.route(), why));
        }
        let mut request = call.request().clone();
        request.headers_mut().insert(header::AUTHORIZATION, self.token.header());
        match self.transport.send(request, &self.options) {
            Ok(response) => call.response(response),
            Err(failure) => Err(Error::transport(call.route(), failure)),
        }
    }
}

// The transport need not be `Debug`, and the token shows nothing.
impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("root", &self.root.to_string())
            .field("token", &self.token)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
