//! Tokens: how their text is made, and what this emulator remembers of each.
//!
//! A token has the shape of a JWT so that a client can read its roles; its signature is noise,
//! for the emulator knows its own tokens by their text.

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{authorization::Application, date::Moment, ids::Ids};

/// How many tokens are remembered; when there are more, those go that have expired.
const KEPT: usize = 10_000;

/// What a token stands for.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    pub(crate) tenant: String,
    /// The object id of the user. None: the application by itself.
    pub(crate) user: Option<String>,
    /// Roles of an application, scopes of a user.
    pub(crate) permissions: Vec<String>,
    /// Which service it is for.
    pub(super) resource: String,
    /// The claims that its request asked for.
    pub(super) claims: Option<Value>,
}

pub(crate) struct Known {
    pub(crate) grant: Grant,
    pub(crate) expires: Duration,
    pub(crate) revoked: bool,
}

/// The tokens that were issued, by their text. It has no `Debug`, for that is what is secret.
#[derive(Default)]
pub(crate) struct Tokens {
    known: HashMap<String, Known>,
    issued: u64,
}

impl Grant {
    /// Whether it has these claims, by the request that it comes from.
    pub(crate) fn has(&self, claims: &Value) -> bool {
        self.claims.as_ref().is_some_and(|have| includes(have, claims))
    }

    /// The application by itself.
    pub(super) fn of_application(application: &Application, resource: &str) -> Self {
        Self {
            client_id: application.client_id.clone(),
            tenant: application.tenant.clone(),
            user: None,
            permissions: application.roles.clone(),
            resource: resource.to_owned(),
            claims: None,
        }
    }
}

impl Tokens {
    /// Makes a token that lives from `now` on.
    pub(super) fn issue(
        &mut self,
        grant: Grant,
        life: Duration,
        (now, moment): (Duration, Moment),
        ids: &mut Ids,
    ) -> String {
        let expires = now.saturating_add(life);
        let text = unsigned(&grant, life, moment, ids);
        if self.known.len() >= KEPT {
            self.known.retain(|_, known| known.expires > now);
        }
        self.issued += 1;
        self.known.insert(text.clone(), Known { grant, expires, revoked: false });
        text
    }

    pub(crate) fn find(&self, text: &str) -> Option<&Known> {
        self.known.get(text)
    }

    /// How many were ever issued.
    pub(crate) fn issued(&self) -> u64 {
        self.issued
    }

    pub(crate) fn revoke(&mut self) {
        self.known.values_mut().for_each(|known| known.revoked = true);
    }
}

pub(super) fn unsigned(grant: &Grant, life: Duration, now: Moment, ids: &mut Ids) -> String {
    let issued = now.unix();
    let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    let Grant { client_id, tenant, user, permissions, resource, .. } = grant;
    let mut payload = json!({
        "aud": resource,
        "iss": format!("https://sts.windows.net/{tenant}/"),
        "iat": issued,
        "nbf": issued,
        "exp": issued.saturating_add(life),
        "appid": client_id,
        "tid": tenant,
        "uti": ids.guid(),
        "ver": "1.0",
    });
    let object = object_id(client_id);
    payload["oid"] = json!(user.as_ref().unwrap_or(&object));
    payload["sub"] = payload["oid"].clone();
    match user {
        Some(_) => {
            payload["idtyp"] = json!("user");
            payload["scp"] = json!(permissions.join(" "));
        }
        None => {
            payload["idtyp"] = json!("app");
            payload["roles"] = json!(permissions);
        }
    }
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "graphfeed-emulator"});
    let part = |value: &[u8]| URL_SAFE_NO_PAD.encode(value);
    let noise: String = (0..4).map(|_| ids.guid()).collect();
    format!(
        "{}.{}.{}",
        part(header.to_string().as_bytes()),
        part(payload.to_string().as_bytes()),
        part(noise.as_bytes()),
    )
}

/// A made-up object id of an application, always the same.
fn object_id(client_id: &str) -> String {
    let seed = client_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Ids::new(seed).guid()
}

/// The claims of a JWT, whoever signed it.
pub(super) fn claims_of(jwt: &str) -> Option<Value> {
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, payload, signature] = parts[..] else { return None };
    let read = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    URL_SAFE_NO_PAD.decode(signature).ok().filter(|signature| !signature.is_empty())?;
    read(header)?.get("alg")?.as_str()?;
    read(payload).filter(Value::is_object)
}

/// Whether all that is `wanted` is in `have`, at any depth.
fn includes(have: &Value, wanted: &Value) -> bool {
    match (have, wanted) {
        (Value::Object(have), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| have.get(name).is_some_and(|have| includes(have, wanted))),
        (have, wanted) => have == wanted,
    }
}
