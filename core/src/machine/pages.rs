//! From page to page of a collection.

use std::collections::BTreeSet;

use http::Uri;

use crate::{
    protocol::{Call, Error, Page, ServiceRoot},
    types::{BuildError, Fault, Rule, quote},
};

/// Follows `@odata.nextLink` from page to page.
///
/// A link is taken byte for byte: it is opaque, and escaping it again would break it. It is
/// followed only under the service root, for a token goes with it, and never twice, for then the
/// pages would never end. For the same reason no more than [`MOST_LINKS`](Self::MOST_LINKS) are
/// followed. A page may be empty and still have a next one.
///
/// A driver sends each [`call`](Self::call) and hands the page to [`turn`](Self::turn); a client
/// does so in its `pages`.
#[derive(Debug)]
pub struct Pages<T> {
    root: ServiceRoot,
    next: Option<Call<Page<T>>>,
    // Digests, so that what is kept does not grow with the length of a link.
    followed: BTreeSet<[u8; 32]>,
}

impl<T> Pages<T> {
    /// How many links are followed at most. It bounds what a list that goes on for ever can cost,
    /// a few megabytes here; that no list of the service is as long is assumed.
    pub const MOST_LINKS: usize = 100_000;

    /// Begins with the call for the first page.
    pub fn new(first: Call<Page<T>>, root: &ServiceRoot) -> Self {
        Self { root: root.clone(), next: Some(first), followed: BTreeSet::new() }
    }

    /// The call for the next page; `None` after the last.
    pub fn call(&self) -> Option<&Call<Page<T>>> {
        self.next.as_ref()
    }

    /// The page has come; the next call is for the one it links to.
    ///
    /// # Errors
    /// [`Rule::OtherRoot`] when the link leads elsewhere than under the service root,
    /// [`Rule::PageLink`] when it is no address, was followed before, or comes after
    /// [`MOST_LINKS`](Self::MOST_LINKS) others. Nothing was sent there, and there is no next call.
    pub fn turn(&mut self, page: &Page<T>) -> Result<(), Error> {
        let Some(call) = self.next.take() else {
            return Ok(());
        };
        let Some(link) = &page.next_link else {
            return Ok(());
        };
        let uri = self.check(link).map_err(|why| Error::build(call.route(), why))?;
        self.followed.insert(digest(link));
        self.next = Some(call.to(uri));
        Ok(())
    }

    fn check(&self, link: &str) -> Result<Uri, BuildError> {
        let place = "$['@odata.nextLink']";
        let uri: Uri = link.parse().map_err(|_| {
            let detail = format!("{} is no address; the pages end here", quote(link));
            Fault::new(Rule::PageLink, place, detail)
        })?;
        if !self.root.trusts(&uri) {
            let detail = format!(
                "{} is not under {}, and no token goes there; the pages end here",
                quote(link),
                self.root
            );
            return Err(Fault::new(Rule::OtherRoot, place, detail).into());
        }
        if self.followed.contains(&digest(link)) {
            let detail = format!("{} was followed before; the pages would never end", quote(link));
            return Err(Fault::new(Rule::PageLink, place, detail).into());
        }
        if self.followed.len() == Self::MOST_LINKS {
            let detail = format!(
                "{} comes after {} others; the pages end here, so ask for fewer or larger ones",
                quote(link),
                Self::MOST_LINKS
            );
            return Err(Fault::new(Rule::PageLink, place, detail).into());
        }
        Ok(uri)
    }
}

fn digest(link: &str) -> [u8; 32] {
    hmac_sha256::Hash::hash(link.as_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;

    use super::*;
    use crate::{activity::ListActivities, protocol::Endpoint};

    #[test]
    fn a_list_that_goes_on_for_ever_ends_with_an_error() {
        let root = ServiceRoot::v1();
        let first = ListActivities::new().call(&root).unwrap();
        let empty = Response::new(Bytes::from_static(br#"{"value":[]}"#));
        let mut page = first.response(empty).unwrap().value;
        let mut pages = Pages::new(first, &root);
        for number in 0..Pages::<()>::MOST_LINKS {
            page.next_link = Some(format!("{root}/me/activities?$skiptoken={number}"));
            pages.turn(&page).unwrap();
            assert!(pages.call().is_some());
        }
        page.next_link = Some(format!("{root}/me/activities?$skiptoken=more"));
        let why = pages.turn(&page).unwrap_err().to_string();
        assert!(why.contains("comes after 100000 others"), "{why}");
        assert!(pages.call().is_none());
    }
}
