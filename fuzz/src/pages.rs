//! From page to page: a link is followed under the service root only, byte for byte, and never
//! twice.

use std::collections::BTreeSet;

use bytes::Bytes;
use graphfeed_core::{
    activity::ListActivities,
    machine::Pages,
    protocol::{Endpoint, ServiceRoot},
};
use http::Response;
use serde_json::json;

/// A link in each line, of which those that begin with `+` stand behind an address of the service.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let root = ServiceRoot::v1();
    let first = ListActivities::new().call(&root).expect("a call");
    let mut pages = Pages::new(first, &root);
    let mut followed = BTreeSet::new();
    let links = text.lines().map(|line| match line.strip_prefix('+') {
        Some(rest) => format!("https://graph.microsoft.com/v1.0/me/activities?{rest}"),
        None => line.to_owned(),
    });
    for link in links {
        let call = pages.call().expect("there is a next one").clone();
        let body = Bytes::from(json!({ "value": [], "@odata.nextLink": link }).to_string());
        let page = call.response(Response::new(body)).expect("a page").value;
        assert_eq!(page.next_link.as_deref(), Some(&*link));
        match pages.turn(&page) {
            Ok(()) => {
                let uri = pages.call().expect("the next one").request().uri().clone();
                assert!(followed.insert(link.clone()), "{link} is followed twice");
                assert!(root.trusts(&uri), "{link} leads elsewhere: {uri}");
                assert_eq!(uri.scheme_str(), Some("https"));
                let authority = uri.authority().expect("a host").as_str();
                let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
                assert!(host.eq_ignore_ascii_case("graph.microsoft.com"), "{uri}");
                assert!(port.is_empty() || port.parse() == Ok(443), "{uri}");
                let written = uri.path_and_query().map_or("", |it| it.as_str());
                let sent = link.split('#').next().unwrap_or_default();
                assert!(sent.ends_with(written) || written == "/", "{link} became {uri}");
            }
            Err(why) => {
                assert!(!why.to_string().is_empty());
                assert!(pages.call().is_none(), "there is no next one");
                return;
            }
        }
    }
}
