//! What a token may do: whether it is good, whether it is of the kind and has the permission that
//! a route needs, and whose connections it reaches.
//!
//! Sources: the permission tables of the operations (`access.rs`); manage-connections for the
//! owner of a connection; the pages on continuous access evaluation for the claims challenge.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header;

use crate::{
    access::Access,
    findings::Refusal,
    identity::{Grant, Platform},
    json::Json,
    model::Connection,
    routes::Route,
    rules::Rule,
};

/// On whose behalf a call is carried out.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) client_id: String,
    /// None: the application by itself.
    pub(super) user: Option<String>,
    /// Whether its permission reaches the connections of other applications.
    reaches_all: bool,
}

impl Caller {
    /// Whether it may see and change a connection: its own, one whose `authorizedAppIds` has it,
    /// or any, if its permission ends in `.All`.
    pub(super) fn reaches(&self, connection: &Connection) -> bool {
        let own = |id: &str| id.eq_ignore_ascii_case(&self.client_id);
        self.reaches_all
            || connection.owner.as_deref().is_some_and(own)
            || authorized(connection).iter().any(|id| own(id))
    }
}

/// The applications that the configuration of a connection names.
fn authorized(connection: &Connection) -> Vec<String> {
    let configuration = connection.members.iter().find(|(name, _)| *name == "configuration");
    let json = configuration.and_then(|(_, text)| Json::read(text.as_bytes()).ok());
    let ids = json.and_then(|json| json.member("authorizedAppIds"));
    let ids = ids.into_iter().flat_map(Json::elements);
    ids.filter_map(|id| id.text().map(|id| id.into_owned())).collect()
}

impl Platform {
    /// Judges the token of a request.
    pub(super) fn authorize(
        &self,
        token: &str,
        now: Duration,
        route: Option<&Route>,
    ) -> Result<Caller, Refusal> {
        let Some(known) = self.tokens.find(token) else {
            return Err(refuse_token(
                "this emulator has not issued the token; get one from its token endpoint, \
                 /{tenant}/oauth2/v2.0/token",
            ));
        };
        if known.expires <= now {
            return Err(refuse_token(
                "Lifetime validation failed, the token is expired; get another one",
            ));
        }
        if known.revoked {
            return Err(refuse_token("the token has been revoked; get another one"));
        }
        if let Some(wanted) = &self.claims
            && !known.grant.has(wanted)
        {
            let claims = STANDARD.encode(wanted.to_string());
            return Err(Refusal::new(
                Rule::TokenClaims,
                "header authorization",
                "the token lacks claims; get one with those of the WWW-Authenticate header",
            )
            .with(
                header::WWW_AUTHENTICATE,
                format!("{CHALLENGE}, error=\"insufficient_claims\", claims=\"{claims}\""),
            ));
        }
        let grant = &known.grant;
        let reaches_all = match route {
            Some(route) => check_access(grant, route)?,
            None => false,
        };
        Ok(Caller { client_id: grant.client_id.clone(), user: grant.user.clone(), reaches_all })
    }
}

const CHALLENGE: &str = "Bearer realm=\"\", \
    authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
    client_id=\"00000003-0000-0000-c000-000000000000\"";

fn refuse_token(message: &str) -> Refusal {
    Refusal::new(Rule::Token, "header authorization", message)
        .with(header::WWW_AUTHENTICATE, format!("{CHALLENGE}, error=\"invalid_token\""))
}

/// Whether a permission that is enough for the route reaches the connections of others.
fn check_access(grant: &Grant, route: &Route) -> Result<bool, Refusal> {
    let Access { delegated, application } = route.access;
    let (kind, enough, other) = match grant.user {
        Some(_) => ("a user", delegated, "an application"),
        None => ("an application", application, "a user"),
    };
    let Some(enough) = enough else {
        return Err(Refusal::new(
            Rule::TokenKind,
            "header authorization",
            format!(
                "{} {} does not take the token of {kind}; sign in as {other}",
                route.method, route.path
            ),
        ));
    };
    let has = |permission: &&str| grant.permissions.iter().any(|has| has == *permission);
    let mut own = enough.iter().copied().filter(has).peekable();
    if !enough.is_empty() && own.peek().is_none() {
        let own = match &*grant.permissions {
            [] => "none".to_owned(),
            some => some.join(", "),
        };
        return Err(Refusal::new(
            Rule::Permission,
            "header authorization",
            format!(
                "{} {} needs one of the permissions {}, and the token has {own}; grant one and \
                 get another token",
                route.method,
                route.path,
                enough.join(", "),
            ),
        ));
    }
    Ok(own.any(|permission| permission.ends_with(".All")))
}
