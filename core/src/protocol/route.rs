//! What an operation is, as data: the tables of the documents, one [`Route`] each.
//!
//! A driver reads the lane here, a refusal the versions and clouds, an explanation of a 403 the
//! permissions, and the README's table all of it.

use http::Method;

use super::{Cloud, Version};

/// One operation of the service.
///
/// Made in a `const` by the constructor named after its method; what is not said stays at its
/// default: both versions, every cloud, no known permission, lane [`Lane::None`].
///
/// ```
/// use graphfeed_core::protocol::{Permission, Permissions, Route};
///
/// const GET_USER: Route = Route::get("Get user", "/users/{upn}").permissions(Permissions {
///     delegated_work: Permission::least(&["User.ReadBasic.All"], &["User.Read.All"]),
///     delegated_personal: Permission::NONE,
///     application: Permission::least(&["User.ReadBasic.All"], &["User.Read.All"]),
/// });
/// assert_eq!(GET_USER.method(), "GET");
/// assert_eq!(GET_USER.path, "/users/{upn}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// What the documents call it, such as `Create or replace item`.
    pub name: &'static str,
    // `http::Method` has something to drop, which a const cannot hand on.
    verb: Verb,
    /// The path below the version, its arguments in braces.
    pub path: &'static str,
    /// The versions that have it.
    pub versions: &'static [Version],
    /// The clouds that have it.
    pub clouds: &'static [Cloud],
    /// What a token must allow, where that is known.
    pub permissions: Option<Permissions>,
    /// Which calls share a throttling limit with it.
    pub lane: Lane,
    /// The statuses that the documents give for success.
    pub success: &'static [u16],
    /// Statuses outside 200 to 299 that are no errors for a caller, and are read like a success:
    /// the 404 of something that was to be deleted.
    pub reads: &'static [u16],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Which calls are throttled together: a 429 to one holds back the others of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lane {
    /// No lane is known; the call stands for itself.
    None,
    /// One external connection, the first argument of the path: its settings, schema and items.
    Connection,
    /// The administration of external groups.
    Groups,
    /// The signed-in user's activities.
    SignedInUser,
}

/// The permissions of an operation, by the kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// A user with a work or school account.
    pub delegated_work: Permission,
    /// A user with a personal Microsoft account.
    pub delegated_personal: Permission,
    /// An application without a user.
    pub application: Permission,
}

/// The permissions that one kind of token can have for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The least privileged one; several where the documents name several as least.
    pub least: &'static [&'static str],
    /// Those that allow more than is needed.
    pub higher: &'static [&'static str],
}

impl Permission {
    /// The operation is not supported for this kind of token.
    pub const NONE: Self = Self { least: &[], higher: &[] };

    /// Least privileged first, then the higher ones.
    pub const fn least(least: &'static [&'static str], higher: &'static [&'static str]) -> Self {
        Self { least, higher }
    }

    /// Whether this kind of token can be used at all.
    pub const fn is_supported(&self) -> bool {
        !self.least.is_empty()
    }
}

impl Route {
    const fn new(name: &'static str, verb: Verb, path: &'static str) -> Self {
        assert!(is_template(path.as_bytes()), "a path is like /segment/{{argument}}");
        Self {
            name,
            verb,
            path,
            versions: Version::ALL,
            clouds: Cloud::ALL,
            permissions: None,
            lane: Lane::None,
            success: &[200],
            reads: &[],
        }
    }

    /// A GET. The path starts with a slash; `{argument}` stands for a whole segment. Anything
    /// else does not compile in a `const`.
    pub const fn get(name: &'static str, path: &'static str) -> Self {
        Self::new(name, Verb::Get, path)
    }

    /// A POST.
    pub const fn post(name: &'static str, path: &'static str) -> Self {
        Self::new(name, Verb::Post, path)
    }

    /// A PUT.
    pub const fn put(name: &'static str, path: &'static str) -> Self {
        Self::new(name, Verb::Put, path)
    }

    /// A PATCH.
    pub const fn patch(name: &'static str, path: &'static str) -> Self {
        Self::new(name, Verb::Patch, path)
    }

    /// A DELETE.
    pub const fn delete(name: &'static str, path: &'static str) -> Self {
        Self::new(name, Verb::Delete, path)
    }

    /// Only these versions have it.
    #[must_use]
    pub const fn versions(mut self, versions: &'static [Version]) -> Self {
        self.versions = versions;
        self
    }

    /// Only these clouds have it.
    #[must_use]
    pub const fn clouds(mut self, clouds: &'static [Cloud]) -> Self {
        self.clouds = clouds;
        self
    }

    /// What a token must allow.
    #[must_use]
    pub const fn permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = Some(permissions);
        self
    }

    /// Which calls share a throttling limit with it.
    #[must_use]
    pub const fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// The statuses that the documents give for success; 200 alone if nothing is said.
    #[must_use]
    pub const fn success(mut self, success: &'static [u16]) -> Self {
        self.success = success;
        self
    }

    /// Statuses outside 200 to 299 that are read like a success.
    #[must_use]
    pub const fn reads(mut self, reads: &'static [u16]) -> Self {
        self.reads = reads;
        self
    }

    /// The HTTP method.
    pub const fn method(&self) -> Method {
        match self.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        }
    }

    /// Whether it changes anything in the service.
    pub const fn writes(&self) -> bool {
        !matches!(self.verb, Verb::Get)
    }
}

/// Braces stand for a whole segment and are never empty, so that expanding a template cannot
/// change its number of segments.
pub(super) const fn is_template(path: &[u8]) -> bool {
    if path.is_empty() || path[0] != b'/' {
        return false;
    }
    let mut at = 0;
    while at < path.len() {
        match path[at] {
            b'{' => {
                if path[at - 1] != b'/' {
                    return false;
                }
                let start = at + 1;
                while at < path.len() && path[at] != b'}' {
                    if path[at] == b'/' {
                        return false;
                    }
                    at += 1;
                }
                let closed = at < path.len() && at > start;
                if !closed || (at + 1 < path.len() && path[at + 1] != b'/') {
                    return false;
                }
            }
            b'}' | b'?' | b'#' | b'%' => return false,
            // A dot segment, or an empty one.
            b'/' if at + 1 < path.len() && (path[at + 1] == b'.' || path[at + 1] == b'/') => {
                return false;
            }
            byte if !byte.is_ascii_graphic() => return false,
            _ => {}
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_whole_segments_in_braces() {
        for good in ["/a", "/a/{b}", "/a/{b}/c", "/{a}/{b}", "/a/$batch"] {
            assert!(is_template(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "a", "/a/{}", "/a/{b", "/a/b}", "/a/{b}c", "/a/x{b}", "/{a/b}", "/a?b", "/a/../b",
            "/a//b", "/a b",
        ] {
            assert!(!is_template(bad.as_bytes()), "{bad}");
        }
    }
}
