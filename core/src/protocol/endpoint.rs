//! The trait that every operation implements, in this crate and outside it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use super::{
    Answer, Call, DecodeError, Error, PathArgs, Query, Reply, Route, ServiceRoot,
    route::is_template,
};
use crate::types::{BuildError, Fault, FaultList, Rule};

/// One operation of Microsoft Graph, with its arguments: a request can be made of it, and the
/// answer to that request read.
///
/// Implement it for what this crate does not have; `client.send` and the machines take any
/// endpoint. Mapping a person to the object id that an acl needs, for instance:
///
/// ```
/// use graphfeed_core::protocol::{Answer, DecodeError, Endpoint, PathArgs, Query, Route};
/// use graphfeed_core::protocol::ServiceRoot;
///
/// struct GetUser<'a> {
///     upn: &'a str,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     id: String,
/// }
///
/// impl Endpoint for GetUser<'_> {
///     type Output = User;
///     const ROUTE: Route = Route::get("Get user", "/users/{upn}");
///
///     fn args(&self, path: &mut PathArgs<'_>) {
///         path.push(self.upn);
///     }
///
///     fn query(&self, query: &mut Query<'_>) {
///         query.push("$select", "id");
///     }
///
///     fn parse(answer: &Answer<'_>) -> Result<User, DecodeError> {
///         answer.json()
///     }
/// }
///
/// let request = GetUser { upn: "jo#ext@contoso.com" }.request(&ServiceRoot::v1())?;
/// assert_eq!(
///     request.uri(),
///     "https://graph.microsoft.com/v1.0/users/jo%23ext%40contoso.com?$select=id",
/// );
/// let answer = http::Response::new(r#"{"id":"e811976d-83df-4cbd-8b9b-5215b18aa874"}"#.into());
/// let user = GetUser::response(&request, answer)?.value;
/// assert_eq!(user.id, "e811976d-83df-4cbd-8b9b-5215b18aa874");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Endpoint {
    /// What a success says. It never borrows from the request.
    type Output;

    /// What the operation is.
    const ROUTE: Route;

    /// The path template: the route's, unless the operation has a second spelling. A spelling
    /// with other segments or other places for arguments is refused by
    /// [`request`](Self::request).
    fn path(&self) -> &'static str {
        Self::ROUTE.path
    }

    /// Gives the arguments of the path, in the order of the template's braces.
    fn args(&self, path: &mut PathArgs<'_>);

    /// Gives the query options, if there are any.
    fn query(&self, query: &mut Query<'_>) {
        let _ = query;
    }

    /// Adds headers beyond `Accept` and `Content-Type`, which are there already.
    fn headers(&self, to: &ServiceRoot, headers: &mut HeaderMap) {
        let _ = (to, headers);
    }

    /// Writes the body as JSON; an endpoint that writes nothing has no body.
    ///
    /// # Errors
    /// When the value cannot be written for this cloud, version or set of limits.
    fn body(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let _ = (to, out);
        Ok(())
    }

    /// Whether the call may be made again when it is not known if the first one arrived.
    fn repeat(&self) -> Repeat {
        Repeat::of(&Self::ROUTE)
    }

    /// Reads the answer to a success, that is, to any status from 200 to 299 or one that the
    /// route [reads](Route::reads) like a success.
    ///
    /// # Errors
    /// When the body is not what the operation answers with.
    fn parse(answer: &Answer<'_>) -> Result<Self::Output, DecodeError>;

    /// Whether the output of a success means that all was done; always, unless said otherwise. A
    /// bulk run counts a call of which it was not as [failed](crate::machine::End::Partly).
    fn is_complete(output: &Self::Output) -> bool {
        let _ = output;
        true
    }

    /// The request, without a token: for whoever sends it by hand.
    ///
    /// # Errors
    /// Every fault that can be seen before sending: version, cloud, path arguments, the value in
    /// the body, and the body's size. Nothing was sent.
    fn request(&self, root: &ServiceRoot) -> Result<http::Request<Bytes>, BuildError> {
        let route = const { &Self::ROUTE };
        let mut faults = FaultList::default();
        check_availability(route, root, &mut faults);

        let mut target = String::with_capacity(route.path.len() + 128);
        root.start_path(&mut target);
        let template = self.path();
        if !is_template_like(template, route.path) {
            let detail = format!("{template:?} has another shape than {:?}", route.path);
            faults.push(Rule::PathSegment, "path", detail);
        }
        let mut path = PathArgs::new(template, &mut target);
        self.args(&mut path);
        faults.append(path.finish());
        self.query(&mut Query::new(&mut target));

        let mut body = Vec::new();
        faults.append(self.body(root, &mut body));
        check_size(body.len(), root, &mut faults);
        faults.finish()?;

        let uri = root.uri(target).map_err(|error| {
            let detail = format!("is no request target: {error}; give a shorter id");
            Fault::new(Rule::PathSegment, "path", detail)
        })?;
        let mut request = http::Request::new(Bytes::from(body));
        *request.method_mut() = route.method();
        *request.uri_mut() = uri;
        let json = HeaderValue::from_static("application/json");
        if !request.body().is_empty() {
            request.headers_mut().insert(header::CONTENT_TYPE, json.clone());
        }
        request.headers_mut().insert(header::ACCEPT, json);
        self.headers(root, request.headers_mut());
        Ok(request)
    }

    /// Reads the answer to a request that [`request`](Self::request) made.
    ///
    /// # Errors
    /// The service's own error for a status outside 200 to 299, or why the body cannot be read.
    fn response(
        request: &http::Request<Bytes>,
        response: http::Response<Bytes>,
    ) -> Result<Reply<Self::Output>, Error> {
        let parse = parse_into::<Self, Self::Output>;
        super::call::read(const { &Self::ROUTE }, parse, request, response)
    }

    /// The request together with the way to read its answer, free of the endpoint's lifetime.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    fn call(&self, root: &ServiceRoot) -> Result<Call<Self::Output>, BuildError> {
        self.call_into(root)
    }

    /// As [`call`](Self::call), with the output turned into `U`, so that calls of several kinds
    /// fit one queue.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    fn call_into<U: From<Self::Output>>(&self, root: &ServiceRoot) -> Result<Call<U>, BuildError> {
        let parse = parse_into::<Self, U>;
        Ok(Call::new(const { &Self::ROUTE }, self.repeat(), parse, self.request(root)?))
    }
}

/// Reads an answer, and whether it says that all was done, before its type is gone.
fn parse_into<E: Endpoint + ?Sized, U: From<E::Output>>(
    answer: &Answer<'_>,
) -> Result<(U, bool), DecodeError> {
    let output = E::parse(answer)?;
    let complete = E::is_complete(&output);
    Ok((output.into(), complete))
}

/// Whether a call may be made again after an attempt of unknown fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// Once or many times comes to the same: GET, PUT, DELETE.
    Freely,
    /// Only if it is certain that the attempt did not arrive: POST, PATCH.
    OnlyIfUnsent,
}

impl Repeat {
    /// What HTTP says of the route's method.
    pub fn of(route: &Route) -> Self {
        match route.method().is_idempotent() {
            true => Self::Freely,
            false => Self::OnlyIfUnsent,
        }
    }
}

/// Whether a second spelling of a path has the same segments as the first, so that an argument
/// stands in the same place.
fn is_template_like(spelling: &str, path: &str) -> bool {
    let shape = |path: &str| path.split('/').map(|part| part.starts_with('{')).collect::<Vec<_>>();
    spelling == path || (is_template(spelling.as_bytes()) && shape(spelling) == shape(path))
}

/// Refuses a body that is too long.
pub(crate) fn check_size(length: usize, root: &ServiceRoot, faults: &mut FaultList) {
    let limit = root.limits().body;
    if length > limit {
        let detail = format!("is {length} bytes long, {limit} are allowed; shorten it");
        faults.push(Rule::BodySize, "$", detail);
    }
}

/// Refuses what the documents say is not there, before it costs a round trip.
fn check_availability(route: &Route, root: &ServiceRoot, faults: &mut FaultList) {
    if !route.versions.contains(&root.version()) {
        let detail = format!("{} is not in {}; use another version", route.name, root.version());
        faults.push(Rule::Version, "service root", detail);
    }
    if !route.clouds.contains(&root.cloud()) {
        let clouds: Vec<&str> = route.clouds.iter().map(|cloud| cloud.name()).collect();
        let detail =
            format!("{} is not in {}, only in {}", route.name, root.cloud(), clouds.join(", "));
        faults.push(Rule::Cloud, "service root", detail);
    }
}

/// Writes a value as the JSON of a body, for [`Endpoint::body`].
///
/// # Errors
/// [`Rule::MemberType`] when the value refuses to be written as JSON: a map whose keys are no
/// texts, say. No value of this crate does.
pub fn write_json(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), BuildError> {
    serde_json::to_writer(out, value).map_err(not_written)
}

/// Why a value was not written as JSON.
pub(crate) fn not_written(error: serde_json::Error) -> BuildError {
    Fault::new(Rule::MemberType, "$", format!("cannot be written as JSON: {error}")).into()
}
