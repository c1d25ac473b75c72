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
/// pages would never end. A page may be empty and still have a next one.
///
/// A driver sends each [`call`](Self::call) and hands the page to [`turn`](Self::turn); a client
/// does so in its `pages`.
#[derive(Debug)]
pub struct Pages<T> {
    root: ServiceRoot,
    next: Option<Call<Page<T>>>,
    followed: BTreeSet<Box<str>>,
}

impl<T> Pages<T> {
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
    /// [`Rule::PageLink`] when it is no address or was followed before. Nothing was sent there,
    /// and there is no next call.
    pub fn turn(&mut self, page: &Page<T>) -> Result<(), Error> {
        let Some(call) = self.next.take() else {
            return Ok(());
        };
        let Some(link) = &page.next_link else {
            return Ok(());
        };
        let uri = self.check(link).map_err(|why| Error::build(call.route(), why))?;
        self.followed.insert(link.as_str().into());
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
        if self.followed.contains(link) {
            let detail = format!("{} was followed before; the pages would never end", quote(link));
            return Err(Fault::new(Rule::PageLink, place, detail).into());
        }
        Ok(uri)
    }
}
