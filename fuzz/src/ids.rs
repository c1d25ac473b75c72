//! Ids, keys and addresses: what is taken is one segment of a path and is given back, and what is
//! refused is refused in words.

use bytes::Bytes;
use graphfeed_core::{
    activity::{DeleteActivity, PutActivity, UserActivity, VisualInfo},
    external::{Acl, ExternalItem, GetConnection, GetGroup, GetOperation, PutItem},
    machine::identity::{Authority, Tenant},
    protocol::{Cloud, Endpoint, ServiceRoot, Version},
    types::{
        AccessToken, AppActivityId, BuildError, ConnectionId, ExternalGroupId, Guid, ItemId,
        OperationId, Timestamp, TokenClaims, UserActivityId,
    },
};
use graphfeed_emulator::{Emulator, Options};
use http::{Request, Uri};

use crate::tenant::{self, CONNECTION};

thread_local! {
    static TENANT: (Emulator, Vec<u8>) = {
        let emulator = tenant::with_schema(Options::default(), &tenant::schema([("title".to_owned(), "string".to_owned())]));
        let saved = emulator.save();
        (emulator, saved)
    };
}

/// A text, to be any of them.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    addresses(text);
    others(text);
    TENANT.with(|(emulator, empty)| {
        emulator.restore(empty).expect("what was saved");
        items(text, emulator);
        activities(text, emulator);
    });
    let root = &ServiceRoot::v1();
    if let Some(id) = taken(ConnectionId::new(text)) {
        assert_eq!(id.as_str(), text);
        segments(&GetConnection::new(&id).request(root).expect("a request"), 4);
    }
    let connection = &ConnectionId::new(CONNECTION).expect("an id");
    if let Some(id) = taken(ExternalGroupId::new(text)) {
        segments(&GetGroup::new(connection, &id).request(root).expect("a request"), 6);
    }
    if let Some(id) = taken(OperationId::new(text)) {
        segments(&GetOperation::new(connection, &id).request(root).expect("a request"), 6);
    }
    if let Some(id) = taken(UserActivityId::new(text)) {
        segments(&DeleteActivity::new(&id).request(root).expect("a request"), 4);
    }
}

/// A refusal says something and is bounded, whatever it is about.
fn taken<T>(read: Result<T, BuildError>) -> Option<T> {
    if let Err(why) = &read {
        let text = why.to_string();
        assert!(!text.is_empty() && text.len() < 2_000, "{text}");
    }
    read.ok()
}

fn segments(request: &Request<Bytes>, count: usize) {
    let path = request.uri().path();
    assert_eq!(path.split('/').skip(1).count(), count, "{path}");
    assert_eq!(request.uri().query(), None, "{path}");
    assert!(path.split('/').all(|segment| !matches!(segment, "." | "..")), "{path}");
}

fn items(text: &str, emulator: &Emulator) {
    let id = ItemId::from_key(text);
    match id.key() {
        Some(key) => assert_eq!(key, text),
        None => assert!(text.len() > 93, "{text}"),
    }
    // A key that differs has another id.
    for other in [format!("{text}a"), text.to_uppercase(), id.as_str().to_owned()] {
        let same = ItemId::from_key(&other) == id;
        assert_eq!(same, other == text, "{text:?} and {other:?}");
    }
    let ids = [Some(id), taken(ItemId::new(text)), taken(ItemId::existing(text))];
    for id in ids.into_iter().flatten() {
        let item = ExternalItem::builder(id.clone()).acl(Acl::everyone(Guid::from(7)));
        let item = item.property("title", "t").build().expect("an item");
        let connection = ConnectionId::new(CONNECTION).expect("an id");
        let request = PutItem::new(&connection, &item).request(&ServiceRoot::v1());
        let request = request.expect("a request");
        segments(&request, 6);
        assert_eq!(tenant::carry(emulator, request).status(), 200);
        assert!(emulator.item(CONNECTION, id.as_str()).is_some(), "{id}");
    }
}

fn activities(text: &str, emulator: &Emulator) {
    let Some(id) = taken(AppActivityId::new(text)) else { return };
    let activity = UserActivity::builder(id)
        .activity_source_host("https://contoso.com")
        .activation_url("https://contoso.com/a")
        .visual_elements(VisualInfo::new("A"))
        .build()
        .expect("an activity");
    let request = PutActivity::new(&activity).request(&ServiceRoot::v1()).expect("a request");
    segments(&request, 4);
    let answer = tenant::carry(emulator, request);
    assert_eq!(answer.status(), 201, "{answer:?}");
    assert_eq!(emulator.user_activities()[0].app_activity_id, text);
}

/// Where a token may go.
fn addresses(text: &str) {
    if let Ok(uri) = text.parse::<Uri>()
        && ServiceRoot::v1().trusts(&uri)
    {
        let authority = uri.authority().expect("a host").as_str();
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        assert_eq!(uri.scheme_str(), Some("https"));
        assert!(host.eq_ignore_ascii_case("graph.microsoft.com"), "{uri}");
        assert!(port.is_empty() || port.parse() == Ok(443), "{uri}");
        let path = uri.path().to_ascii_lowercase().replace("%2e", ".");
        assert!(path.split(['/', '\\']).all(|segment| !matches!(segment, "." | "..")), "{uri}");
    }
    for root in [
        taken(ServiceRoot::https(text, Cloud::Global, Version::V1)),
        taken(ServiceRoot::danger_plain_http(text, Cloud::China, Version::Beta)),
    ]
    .into_iter()
    .flatten()
    {
        let address: Uri = root.to_string().parse().expect("an address");
        let authority = address.authority().expect("a host").as_str();
        assert!(!authority.contains('@') && address.query().is_none(), "{root}");
        if root.cloud() == Cloud::Global {
            assert!(root.to_string().starts_with("https://"), "{root}");
            let id = ConnectionId::new(CONNECTION).expect("an id");
            let request = GetConnection::new(&id).request(&root).expect("a request");
            assert!(root.trusts(request.uri()), "{root}");
            assert!(
                !root.trusts(&"https://elsewhere.example/v1.0/a".parse().expect("an address"))
                    || text.contains("elsewhere")
            );
        }
    }
    if let Some(tenant) = taken(Tenant::new(text)) {
        let authority = Authority::new(Cloud::Global, tenant);
        let url: Uri = authority.token_url().parse().expect("an address");
        assert_eq!(url.host(), Some("login.microsoftonline.com"));
        assert_eq!(url.path().split('/').count(), 5, "{url}");
    }
    if let Some(authority) = taken(Authority::https(text, Tenant::common())) {
        assert!(
            authority.token_url().parse::<Uri>().is_ok_and(|it| it.scheme_str() == Some("https")),
            "{authority}"
        );
    }
}

fn others(text: &str) {
    if let Some(guid) = taken(Guid::new(text)) {
        assert_eq!(guid.to_string(), text.to_lowercase());
        assert_eq!(guid.to_string().parse::<Guid>().expect("a GUID"), guid);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        let written = at.to_string();
        assert_eq!(written.parse::<Timestamp>().expect("a date"), at, "{text} is {written}");
        assert_eq!(Timestamp::from_unix_nanoseconds(at.as_unix_nanoseconds()).expect("a date"), at);
    }
    if let Some(token) = taken(AccessToken::new(text)) {
        let _ = TokenClaims::read(&token);
        let shown = AccessToken::new("another").map(|it| format!("{it:?}"));
        assert_eq!(Ok(format!("{token:?}")), shown, "a token is shown");
    }
}
