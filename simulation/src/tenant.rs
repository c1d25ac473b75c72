//! The emulator as one end of a wire: connections that take items, its tokens, and what comes back
//! of a request.

use std::{mem, time::Duration};

use bytes::Bytes;
use graphfeed_core::{
    machine::{Tick, Token},
    protocol::{Failure, TokenError},
    types::AccessToken,
};
use graphfeed_emulator::{Application, Authorization, Delivery, Emulator, Options, Outcome};
use http::{Method, Request};
use serde_json::Value;

use crate::Back;

/// The connections that are there. Their items have a whole number `serial`.
pub const CONNECTIONS: [&str; 2] = ["contosohr", "contosoit"];

const ROOT: &str = "https://graph.microsoft.com/v1.0/external/connections";
const LOGIN: &str = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token";
const FORM: &str = "grant_type=client_credentials&client_id=app&client_secret=made-up\
                    &scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";

/// An emulator with [`CONNECTIONS`] that take items.
#[derive(Debug)]
pub struct Tenant {
    /// To look inside and to change it in mid-run.
    pub emulator: Emulator,
    checks_tokens: bool,
}

impl Tenant {
    /// Sets it up at the origin, without the faults, limits and latency of the options, which
    /// come into force behind it. With a life of tokens only those are good that it issued, and
    /// each for so long; without, any is.
    ///
    /// # Panics
    /// If it refuses what it is set up with.
    pub fn new(mut options: Options, token_life: Option<Duration>) -> Self {
        let faults = mem::take(&mut options.faults);
        let limits = mem::take(&mut options.limits);
        let latency = options.latency.take();
        options.behaviour.schema_delay = Duration::ZERO;
        options.authorization = token_life.map(|token_life| {
            let application = Application::new("app", "made-up")
                .tenant("contoso.com")
                .role("ExternalConnection.ReadWrite.OwnedBy")
                .role("ExternalItem.ReadWrite.OwnedBy");
            let applications = vec![application];
            Authorization { applications, token_life, ..Authorization::default() }
        });
        let emulator = Emulator::with_clock(options, || Duration::ZERO);
        let tenant = Self { emulator, checks_tokens: token_life.is_some() };
        for connection in CONNECTIONS {
            let named = format!(r#"{{"id":"{connection}","name":"{connection}"}}"#);
            tenant.set_up(Method::POST, ROOT.to_owned(), named);
            let schema = r#"{"baseType":"microsoft.graph.externalItem",
                "properties":[{"name":"serial","type":"int64"}]}"#;
            tenant.set_up(Method::PATCH, format!("{ROOT}/{connection}/schema"), schema.to_owned());
        }
        tenant.emulator.take_reports();
        faults.into_iter().for_each(|fault| tenant.emulator.fault(fault));
        tenant.emulator.set_limits(limits);
        tenant.emulator.set_latency(latency);
        tenant
    }

    fn set_up(&self, method: Method, uri: String, body: String) {
        let token = self.emulator.token("app").unwrap_or_else(|| "any".to_owned());
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Bytes::from(body));
        let answer = self.emulator.handle_at(Duration::ZERO, &request.expect("a request"));
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// What comes back for a request that arrives now.
    pub fn deliver(&self, now: Tick, request: &Request<Bytes>) -> Back {
        let Delivery { latency, outcome, .. } =
            self.emulator.deliver_at(now.since_origin(), request);
        let (after, what) = match outcome {
            Outcome::Answer(answer) => (latency, Ok(answer)),
            Outcome::Truncated { answer, .. } => {
                (latency, Err(Failure::maybe_sent("the answer broke off").with_partial(answer)))
            }
            Outcome::Hang(bound) => {
                (latency + bound, Err(Failure::maybe_sent("closed after a long silence")))
            }
            _ => (latency, Err(Failure::maybe_sent("closed without an answer"))),
        };
        Back { after, what: Some(what) }
    }

    /// A token by the grant of an application, and how long it takes.
    pub fn token(&self, now: Tick) -> (Duration, Result<Token, TokenError>) {
        if !self.checks_tokens {
            return (Duration::ZERO, AccessToken::new("any").map(Token::new).map_err(unfit));
        }
        let request = Request::post(LOGIN)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from_static(FORM.as_bytes()));
        let Back { after, what } = self.deliver(now, &request.expect("a request"));
        let answer = match what {
            Some(Ok(answer)) => answer,
            Some(Err(failure)) => return (after, Err(TokenError::Transport(failure.into()))),
            None => return (after, Err(TokenError::TimedOut)),
        };
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let token = match (body["access_token"].as_str(), body["expires_in"].as_u64()) {
            (Some(token), Some(life)) => AccessToken::new(token)
                .map(|token| Token::new(token).expires_in(Duration::from_secs(life)))
                .map_err(unfit),
            _ => Err(TokenError::source(format!("there is no token: {}", answer.status()))),
        };
        (after, token)
    }
}

fn unfit(why: impl ToString) -> TokenError {
    TokenError::source(why.to_string())
}
