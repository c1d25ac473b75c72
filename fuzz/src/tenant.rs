//! An emulator in process, with a connection that takes items of each type of property.

use std::time::Duration;

use bytes::Bytes;
use graphfeed_emulator::{Emulator, Options};
use http::{Request, Response};

pub(crate) const CONNECTIONS: &str = "/v1.0/external/connections";
pub(crate) const CONNECTION: &str = "contosohr";

/// The types of properties.
pub(crate) const KINDS: [&str; 11] = [
    "string",
    "int64",
    "double",
    "boolean",
    "dateTime",
    "stringCollection",
    "int64Collection",
    "doubleCollection",
    "dateTimeCollection",
    "principal",
    "principalCollection",
];

/// The schema of properties with these names and types.
pub(crate) fn schema(properties: impl IntoIterator<Item = (String, String)>) -> String {
    let each = properties.into_iter().map(|(name, kind)| {
        let name = serde_json::Value::from(name);
        format!(r#"{{"name":{name},"type":"{kind}"}}"#)
    });
    let each: Vec<_> = each.collect();
    format!(r#"{{"baseType":"microsoft.graph.externalItem","properties":[{}]}}"#, each.join(","))
}

/// The schema with three properties of each type: `string0`, `string1`, `string2`, and so on.
pub(crate) fn schema_of_all() -> String {
    let names = KINDS.iter().flat_map(|kind| (0..3).map(move |nth| format!("{kind}{nth}")));
    schema(names.map(|name| (name.clone(), name[..name.len() - 1].to_owned())))
}

/// A service at the time zero that has the connection, with this schema.
pub(crate) fn with_schema(mut options: Options, schema: &str) -> Emulator {
    options.behaviour.schema_delay = Duration::ZERO;
    let emulator = Emulator::with_clock(options, || Duration::ZERO);
    let named = format!(r#"{{"id":"{CONNECTION}","name":"Contoso HR"}}"#);
    let answer = send(&emulator, "POST", CONNECTIONS, &named);
    assert_eq!(answer.status(), 201, "{answer:?}");
    let answer = send(&emulator, "PATCH", &format!("{CONNECTIONS}/{CONNECTION}/schema"), schema);
    assert_eq!(answer.status(), 202, "{answer:?}");
    emulator.take_reports();
    emulator
}

/// What is answered to a request at the time zero.
pub(crate) fn send(emulator: &Emulator, method: &str, target: &str, body: &str) -> Response<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", "application/json")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .expect("a request");
    carry(emulator, request)
}

/// What is answered to a request of ours, which lacks its token.
pub(crate) fn carry(emulator: &Emulator, mut request: Request<Bytes>) -> Response<Bytes> {
    request.headers_mut().insert("authorization", "Bearer any".parse().expect("a value"));
    emulator.handle(&request)
}
