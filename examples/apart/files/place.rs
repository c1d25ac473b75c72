//! Where a run goes: the emulator in this program, one that runs elsewhere, or a tenant.

use std::{env, io, time::Duration};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Failure, SendOptions, Transport},
    protocol::{Cloud, ServiceRoot, Version},
    types::AccessToken,
};
use graphfeed_emulator::{Limit, Options};
use graphfeed_examples::{
    Loopback,
    settings::{self, Settings},
    way::{Tokens, Ureq, Way as _},
};
use graphfeed_ureq::{SystemClock, UreqTransport, seed};
use http::{HeaderValue, Request, Response, Uri, header::HOST, uri::Authority};

use crate::{end::Stop, folder::Mapping};

/// Made up, like everything about people in the emulator.
const TENANT: u128 = 0x0a5e_c0de_0000_4000_8000_0000_0000_0001;
const AUTHOR: u128 = 0x0a5e_c0de_0000_4000_8000_0000_0000_0002;
/// The emulator in this program listens on another port each time, and is the same one all the same.
const HERE: &str = "http://127.0.0.1";
const HERE_HOST: &str = "127.0.0.1";

/// The emulator takes a second to register a schema.
const EMULATOR_PATIENCE: Duration = Duration::from_secs(30);
/// Microsoft says: 5 to 15 minutes.
const TENANT_PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Over blocking sockets; to the emulator in this program at the port that it has this time, which
/// is nobody's business but this.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    transport: UreqTransport,
    here: Option<Authority>,
}

impl Transport for Sockets {
    fn send(
        &self,
        mut request: Request<Bytes>,
        options: &SendOptions,
    ) -> Result<Response<Bytes>, Failure> {
        if let Some(here) = &self.here {
            request.headers_mut().insert(HOST, HeaderValue::from_static(HERE_HOST));
            let mut to = request.uri().clone().into_parts();
            to.authority = Some(here.clone());
            *request.uri_mut() = Uri::from_parts(to).expect("only its port is another one");
        }
        self.transport.send(request, options)
    }
}

/// Where a run goes.
#[derive(Debug)]
pub(crate) enum Place {
    /// The emulator in this program.
    Here,
    /// An emulator elsewhere.
    Service(ServiceRoot),
    /// A tenant.
    Tenant(Box<Settings<UreqTransport>>),
}

/// What makes the calls.
pub(crate) struct Target {
    /// Over blocking sockets.
    pub(crate) client: Client<Sockets>,
    /// How long the registration of the schema may take.
    pub(crate) patience: Duration,
    /// The emulator, if it is in this program.
    pub(crate) here: Option<Loopback>,
}

impl Place {
    /// What option and environment say. Nothing is asked of anybody.
    ///
    /// # Errors
    /// What is wrong about it.
    pub(crate) fn read(service: Option<&str>) -> Result<Self, String> {
        let tenant = settings::read::<Ureq>(|name| env::var_os(name));
        match (tenant.map_err(|why| why.to_string())?, service) {
            (None, None) => Ok(Self::Here),
            (Some(settings), None) => Ok(Self::Tenant(Box::new(settings))),
            (Some(_), Some(_)) => {
                Err("--service is for an emulator; unset GRAPHFEED_TENANT to go there".to_owned())
            }
            (None, Some(address)) if settings::is_this_machine(address) => {
                ServiceRoot::danger_plain_http(address, Cloud::Global, Version::V1)
                    .map(Self::Service)
                    .map_err(|why| format!("--service: {why}"))
            }
            (None, Some(address)) => Err(format!(
                "--service {address:?} is not like http://127.0.0.1:8080, an emulator on this \
                 machine; for a tenant set GRAPHFEED_TENANT"
            )),
        }
    }

    /// What a journal is told of it: the same in every run.
    pub(crate) fn root(&self) -> ServiceRoot {
        match self {
            Self::Here => ServiceRoot::danger_plain_http(HERE, Cloud::Global, Version::V1)
                .expect("it is an address"),
            Self::Service(root) => root.clone(),
            Self::Tenant(settings) => settings.root.clone(),
        }
    }

    /// What all items have in common there.
    pub(crate) fn mapping(&self) -> Mapping {
        let (tenant, author) = match self {
            Self::Here | Self::Service(_) => (TENANT.into(), Some(AUTHOR.into())),
            Self::Tenant(settings) => (settings.tenant, settings.author),
        };
        Mapping { root: self.root(), tenant, author }
    }

    /// In words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Here => "the emulator in this program".to_owned(),
            Self::Service(root) => root.to_string(),
            Self::Tenant(settings) => format!("{} (tenant {})", settings.root, settings.tenant),
        }
    }

    /// Makes the client, and the emulator where that is here.
    ///
    /// # Errors
    /// When the emulator has no port to listen on.
    pub(crate) fn go(self, limits: Vec<Limit>) -> Result<Target, Stop> {
        let root = self.root();
        let here = match self {
            Self::Tenant(settings) => {
                let Settings { application, signs, transport, login, .. } = *settings;
                let tokens: Tokens<Ureq> = settings::tokens::<Ureq>(application, signs, &login);
                let sockets = Sockets { transport, here: None };
                let client = Client::builder(root, tokens).seed(seed());
                let client = client.build(sockets, Ureq::clock());
                return Ok(Target { client, patience: TENANT_PATIENCE, here: None });
            }
            Self::Here => {
                let options = Options { limits, ..Options::default() };
                let started = Loopback::start_with(Version::V1, options);
                let loopback = started.map_err(|why: io::Error| {
                    Stop::failure(format!("the emulator in this program did not start: {why}"))
                })?;
                Some(loopback)
            }
            Self::Service(_) => None,
        };
        let address = here.as_ref().map(|here| here.root().to_string().parse::<Uri>());
        let address = address.transpose().map_err(Stop::failure)?;
        let sockets = Sockets {
            transport: UreqTransport::danger_plain_http(),
            here: address.and_then(|address| address.authority().cloned()),
        };
        let token = AccessToken::new("any-token-will-do").map_err(Stop::failure)?;
        let client = Client::builder(root, token).seed(seed()).build(sockets, SystemClock::new());
        Ok(Target { client, patience: EMULATOR_PATIENCE, here })
    }
}
