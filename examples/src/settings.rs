//! What the environment says: the emulator or a tenant, and who signs in there.
//!
//! Everything is read before anything is sent, and what is wrong is said with the name of the
//! variable and what to do. A secret is never repeated.

use std::{ffi::OsString, fmt, fs, path::PathBuf};

use graphfeed_core::{
    machine::identity::{Application, Authority, Credential, Tenant},
    protocol::{Cloud, ServiceRoot, Version},
    types::{BuildError, Guid, Secret},
};
use graphfeed_ureq::{seed, token_file};
use http::Uri;

use crate::{
    certificate::{Certificate, Signer},
    way::{Tokens, Way},
};

/// The variables, for `--help`.
pub const VARIABLES: &str = "\
Environment: an empty variable counts as unset.
  GRAPHFEED_TENANT            the id (a GUID) of a tenant; everything goes there
                              instead of the emulator, for everyone in it to see
  GRAPHFEED_CLIENT_ID         the application (client) id of the registration
and one of these proofs:
  GRAPHFEED_CLIENT_SECRET     its client secret
  GRAPHFEED_CERTIFICATE       path of a PEM file with its certificate and the
                              private key (RSA, PKCS 8, not encrypted)
  AZURE_FEDERATED_TOKEN_FILE  path of a file with another platform's token
optional, for the synthetic activities on the items:
  GRAPHFEED_AUTHOR            the object id (a GUID) of the user who is said to
                              have made the crates; each run adds an activity
optional, for this run as a user activity (only in the global cloud):
  GRAPHFEED_SIGN_IN           device-code: sign in with a code in any browser
  GRAPHFEED_ACTIVITY_HOST     the activitySourceHost that the application has
                              registered, such as https://contoso.com
  GRAPHFEED_SIGN_IN_CLIENT_ID the client id of another registration to sign in
                              with [GRAPHFEED_CLIENT_ID]
  GRAPHFEED_SIGN_IN_TENANT    id or domain of a tenant, common, organizations or
                              consumers: whose accounts may sign in [common]
optional:
  GRAPHFEED_CLOUD             global, us-gov-l4, us-gov-l5 or china [global]
  GRAPHFEED_EXTRA_ROOTS       path of a PEM file with certificates to trust
                              beside those that come with the program
  GRAPHFEED_SERVICE           another address instead of that of Microsoft Graph
  GRAPHFEED_AUTHORITY         another address instead of that of the identity
                              platform; plain http only to this machine, for
                              both of them
  HTTPS_PROXY, NO_PROXY       as everywhere, with ureq; hyper takes no proxy
The application needs the permissions ExternalConnection.ReadWrite.OwnedBy and
ExternalItem.ReadWrite.OwnedBy with the consent of an administrator, the user
UserActivity.ReadWrite.CreatedByApp.
";

const TENANT: &str = "GRAPHFEED_TENANT";
const CLIENT_ID: &str = "GRAPHFEED_CLIENT_ID";
const CLIENT_SECRET: &str = "GRAPHFEED_CLIENT_SECRET";
const CERTIFICATE: &str = "GRAPHFEED_CERTIFICATE";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const AUTHOR: &str = "GRAPHFEED_AUTHOR";
const SIGN_IN: &str = "GRAPHFEED_SIGN_IN";
const ACTIVITY_HOST: &str = "GRAPHFEED_ACTIVITY_HOST";
const SIGN_IN_CLIENT_ID: &str = "GRAPHFEED_SIGN_IN_CLIENT_ID";
const SIGN_IN_TENANT: &str = "GRAPHFEED_SIGN_IN_TENANT";
const CLOUD: &str = "GRAPHFEED_CLOUD";
const EXTRA_ROOTS: &str = "GRAPHFEED_EXTRA_ROOTS";
const SERVICE: &str = "GRAPHFEED_SERVICE";
const AUTHORITY: &str = "GRAPHFEED_AUTHORITY";

/// What makes no sense without a tenant. `AZURE_FEDERATED_TOKEN_FILE` is not among it: the
/// platform sets that, whoever runs.
const ONLY_WITH_TENANT: &[&str] = &[
    CLIENT_ID,
    CLIENT_SECRET,
    CERTIFICATE,
    AUTHOR,
    SIGN_IN,
    ACTIVITY_HOST,
    SIGN_IN_CLIENT_ID,
    SIGN_IN_TENANT,
    CLOUD,
    EXTRA_ROOTS,
    SERVICE,
    AUTHORITY,
];

/// The delegated permission for user activities, and a refresh token for runs that take long.
const USER_SCOPE: &str =
    "https://graph.microsoft.com/UserActivity.ReadWrite.CreatedByApp offline_access";

/// A tenant to go to, and as whom.
#[derive(Debug)]
pub struct Settings<T> {
    /// The tenant.
    pub tenant: Guid,
    /// Where Microsoft Graph is.
    pub root: ServiceRoot,
    /// The application.
    pub application: Credential,
    /// How it signs, if that is its proof.
    pub signs: Option<Signs>,
    /// The user who is said to have made the crates.
    pub author: Option<Guid>,
    /// Who signs in.
    pub sign_in: Option<SignIn>,
    /// What goes to Microsoft Graph.
    pub transport: T,
    /// What goes to the identity platform.
    pub login: T,
}

/// Where an assertion comes from.
#[derive(Clone, Debug)]
pub enum Signs {
    /// A certificate signs it.
    Certificate(Signer),
    /// Another platform keeps it in a file.
    TokenFile(PathBuf),
}

/// A user who signs in.
#[derive(Debug)]
pub struct SignIn {
    /// How.
    pub credential: Credential,
    /// The domain that the application has registered.
    pub source_host: String,
}

/// A variable is missing or odd; says which, and what to do.
#[derive(Debug)]
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// Reads everything; `None` without a tenant.
///
/// # Errors
/// The first variable that is missing or odd.
pub fn read<W: Way>(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Settings<W::Transport>>, Wrong> {
    Environment(variable).settings::<W>()
}

/// Whether an address is plain http to this machine, where nobody is on the way.
pub fn is_this_machine(address: &str) -> bool {
    let uri = address.parse::<Uri>();
    uri.is_ok_and(|uri| {
        uri.scheme_str() == Some("http")
            && matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
    })
}

/// What fetches tokens for an application, with its signature where that is the proof.
pub fn tokens<W: Way>(
    application: Credential,
    signs: Option<Signs>,
    login: &W::Transport,
) -> Tokens<W> {
    let tokens = provider::<W>(application, login);
    match signs {
        None => tokens,
        Some(Signs::Certificate(signer)) => tokens.sign_with(move |need| signer.sign(need)),
        Some(Signs::TokenFile(path)) => tokens.sign_with(token_file(path)),
    }
}

/// What fetches tokens for whom the credential says.
pub fn provider<W: Way>(credential: Credential, login: &W::Transport) -> Tokens<W> {
    Tokens::<W>::new(credential, login.clone(), W::clock(), seed())
}

struct Environment<V>(V);

impl<V: Fn(&str) -> Option<OsString>> Environment<V> {
    fn settings<W: Way>(&self) -> Result<Option<Settings<W::Transport>>, Wrong> {
        let Some(tenant) = self.guid(TENANT, "the id of the tenant, which the items' acl names")?
        else {
            return match ONLY_WITH_TENANT.iter().find(|name| self.is_set(name)) {
                Some(name) => Err(wrong(
                    name,
                    &format!(
                        "is set, but {TENANT} is not; set that to the tenant's id, or unset this \
                         one to go to the emulator"
                    ),
                )),
                None => Ok(None),
            };
        };
        let cloud = self.cloud()?;
        let service = self.address(SERVICE)?;
        let root = match &service {
            None => ServiceRoot::new(cloud, Version::V1),
            Some(Address { text, plain: false }) => {
                ServiceRoot::https(text, cloud, Version::V1).map_err(of(SERVICE))?
            }
            Some(Address { text, plain: true }) => {
                ServiceRoot::danger_plain_http(text, cloud, Version::V1).map_err(of(SERVICE))?
            }
        };
        let authority = self.address(AUTHORITY)?;
        let client_id = self.required(
            CLIENT_ID,
            "give the application (client) id of the registration, as its page shows it",
        )?;
        let own = Tenant::new(&tenant.to_string()).map_err(of(TENANT))?;
        let (application, signs) =
            self.application(application(cloud, authority.as_ref(), own, &client_id)?)?;
        let sign_in = self.sign_in(cloud, authority.as_ref(), &client_id)?;
        let over_https = self.over_https::<W>()?;
        let transport = |address: &Option<Address>| match address {
            Some(Address { plain: true, .. }) => W::danger_plain_http(),
            _ => over_https.clone(),
        };
        Ok(Some(Settings {
            tenant,
            root,
            application,
            signs,
            author: self.guid(AUTHOR, "the object id of a user")?,
            sign_in,
            transport: transport(&service),
            login: transport(&authority),
        }))
    }

    fn application(&self, application: Application) -> Result<(Credential, Option<Signs>), Wrong> {
        let proofs = [CLIENT_SECRET, CERTIFICATE, TOKEN_FILE];
        let set: Vec<_> = proofs.into_iter().filter(|name| self.is_set(name)).collect();
        let credential = match set[..] {
            [] => {
                return Err(Wrong(format!(
                    "nothing proves who the application is: set one of {}",
                    proofs.join(", ")
                )));
            }
            [CLIENT_SECRET] => {
                let secret = self.required(CLIENT_SECRET, "")?;
                let credential = Credential::client_secret(application, Secret::new(secret));
                return Ok((credential.map_err(of(TENANT))?, None));
            }
            [_] => Credential::assertion(application).map_err(of(TENANT))?,
            [..] => {
                return Err(Wrong(format!(
                    "{} are set, and one proof is wanted; unset all but one",
                    set.join(" and ")
                )));
            }
        };
        let signs = match self.file(CERTIFICATE)? {
            Some((_, pem)) => {
                let certificate = Certificate::from_pem(&pem)
                    .map_err(|why| wrong(CERTIFICATE, &format!("names a file, but {why}")))?;
                Signs::Certificate(Signer::new(certificate))
            }
            // It is read again for each token.
            None => {
                Signs::TokenFile(self.file(TOKEN_FILE)?.map(|(path, _)| path).unwrap_or_default())
            }
        };
        Ok((credential, Some(signs)))
    }

    fn sign_in(
        &self,
        cloud: Cloud,
        authority: Option<&Address>,
        client_id: &str,
    ) -> Result<Option<SignIn>, Wrong> {
        match self.text(SIGN_IN)?.as_deref() {
            None => return Ok(None),
            Some("device-code") => {}
            Some(_) => {
                return Err(wrong(SIGN_IN, "is not `device-code`, the only way to sign in here"));
            }
        }
        if cloud != Cloud::Global {
            return Err(wrong(
                SIGN_IN,
                &format!("is set, but {cloud} has no user activities; unset it, or {CLOUD}"),
            ));
        }
        let source_host = self.required(
            ACTIVITY_HOST,
            "give the activitySourceHost that the application has registered, such as \
             https://contoso.com",
        )?;
        let is_host = source_host.parse::<Uri>().is_ok_and(|uri| {
            uri.scheme_str() == Some("https")
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.path() == "/"
                && uri.query().is_none()
        });
        if !is_host || source_host.contains(['@', '#']) {
            return Err(wrong(ACTIVITY_HOST, "is not like https://contoso.com"));
        }
        let client_id = self.text(SIGN_IN_CLIENT_ID)?.unwrap_or_else(|| client_id.to_owned());
        let tenant = match self.text(SIGN_IN_TENANT)? {
            Some(tenant) => Tenant::new(&tenant).map_err(of(SIGN_IN_TENANT))?,
            None => Tenant::common(),
        };
        let application = application(cloud, authority, tenant, &client_id)?.scope(USER_SCOPE);
        Ok(Some(SignIn {
            credential: Credential::device_code(application),
            source_host: source_host.trim_end_matches('/').to_owned(),
        }))
    }

    fn cloud(&self) -> Result<Cloud, Wrong> {
        Ok(match self.text(CLOUD)?.as_deref() {
            None | Some("global") => Cloud::Global,
            Some("us-gov-l4") => Cloud::UsGovL4,
            Some("us-gov-l5") => Cloud::UsGovL5,
            // Refused by the core, before anything is sent.
            Some("china") => Cloud::China,
            Some(_) => {
                return Err(wrong(CLOUD, "is none of global, us-gov-l4, us-gov-l5 and china"));
            }
        })
    }

    /// An address over https, or over plain http to this machine.
    fn address(&self, name: &str) -> Result<Option<Address>, Wrong> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let uri: Uri = text
            .parse()
            .map_err(|_| wrong(name, "is no address; write it like https://host:port"))?;
        let plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") if is_this_machine(&text) => true,
            Some("http") => {
                return Err(wrong(
                    name,
                    "is plain http, where everyone on the way reads tokens and content; use \
                     https://, or http://127.0.0.1 for an emulator on this machine",
                ));
            }
            _ => return Err(wrong(name, "is not like https://host:port")),
        };
        Ok(Some(Address { text, plain }))
    }

    fn over_https<W: Way>(&self) -> Result<W::Transport, Wrong> {
        match self.file(EXTRA_ROOTS)? {
            None => Ok(W::transport()),
            Some((_, pem)) => W::with_extra_roots(&pem)
                .map_err(|why| wrong(EXTRA_ROOTS, &format!("names a file, but {why}"))),
        }
    }

    fn file(&self, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>, Wrong> {
        if !self.is_set(name) {
            return Ok(None);
        }
        let path = PathBuf::from((self.0)(name).unwrap_or_default());
        match fs::read(&path) {
            Ok(bytes) => Ok(Some((path, bytes))),
            Err(why) => Err(wrong(
                name,
                &format!(
                    "has to be the path of a file, and {} cannot be read: {why}",
                    path.display()
                ),
            )),
        }
    }

    fn guid(&self, name: &str, what: &str) -> Result<Option<Guid>, Wrong> {
        let guid = self.text(name)?.map(|text| Guid::new(&text)).transpose();
        guid.map_err(|_| {
            wrong(
                name,
                &format!(
                    "is no GUID; give {what}, such as e811976d-83df-4cbd-8b9b-5215b18aa874, not a \
                     name"
                ),
            )
        })
    }

    fn required(&self, name: &str, what_to_do: &str) -> Result<String, Wrong> {
        self.text(name)?.ok_or_else(|| wrong(name, &format!("is not set; {what_to_do}")))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Wrong> {
        let Some(value) = (self.0)(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let text = value.into_string().map_err(|_| wrong(name, "is not UTF-8"))?;
        if text.trim() != text || text.contains(char::is_control) {
            return Err(wrong(name, "has white space around it or a line break in it"));
        }
        Ok(Some(text))
    }

    fn is_set(&self, name: &str) -> bool {
        (self.0)(name).is_some_and(|value| !value.is_empty())
    }
}

/// An address instead of that of a cloud.
struct Address {
    text: String,
    /// Over http, to this machine.
    plain: bool,
}

fn application(
    cloud: Cloud,
    authority: Option<&Address>,
    tenant: Tenant,
    client_id: &str,
) -> Result<Application, Wrong> {
    let authority = match authority {
        None => Authority::new(cloud, tenant),
        Some(Address { text, plain: false }) => {
            Authority::https(text, tenant).map_err(of(AUTHORITY))?
        }
        Some(Address { text, plain: true }) => {
            Authority::danger_plain_http(text, tenant).map_err(of(AUTHORITY))?
        }
    };
    Ok(Application::new(authority, client_id, cloud))
}

fn wrong(name: &str, why: &str) -> Wrong {
    Wrong(format!("{name} {why}"))
}

/// For what the core refuses.
fn of(name: &str) -> impl Fn(BuildError) -> Wrong {
    move |why| Wrong(format!("{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::way::{Hyper, Ureq};

    type Settings = super::Settings<<Ureq as Way>::Transport>;

    const HUSH: &str = "s3cret-of-the-app";
    const GOOD: &[(&str, &str)] = &[
        (TENANT, "0a5ec0de-0000-4000-8000-000000000001"),
        (CLIENT_ID, "0a5ec0de-0000-4000-8000-00000000000a"),
        (CLIENT_SECRET, HUSH),
    ];

    /// The good variables with others in their place.
    fn with(changes: &[(&str, &str)]) -> Result<Option<Settings>, Wrong> {
        over::<Ureq>(changes)
    }

    fn over<W: Way>(
        changes: &[(&str, &str)],
    ) -> Result<Option<super::Settings<W::Transport>>, Wrong> {
        let variables: BTreeMap<_, _> = GOOD.iter().chain(changes).copied().collect();
        read::<W>(|name| variables.get(name).map(OsString::from))
    }

    fn settings(changes: &[(&str, &str)]) -> Settings {
        with(changes).unwrap().unwrap()
    }

    fn data(name: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        folder.join(name).to_str().unwrap().to_owned()
    }

    #[test]
    fn without_a_tenant_it_is_the_emulator() {
        assert!(read::<Ureq>(|_| None).unwrap().is_none());
        assert!(
            read::<Ureq>(|_| Some(OsString::new())).unwrap().is_none(),
            "empty counts as unset"
        );
        let only_platform = |name: &str| (name == TOKEN_FILE).then(|| "/x".into());
        assert!(read::<Ureq>(only_platform).unwrap().is_none());
        for name in ONLY_WITH_TENANT {
            let error = read::<Ureq>(|asked| (asked == *name).then(|| HUSH.into()))
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(&format!("{name} is set, but {TENANT} is not")), "{error}");
            assert!(!error.contains(HUSH), "{error}");
        }
    }

    #[test]
    fn a_tenant_needs_little_and_the_rest_has_defaults() {
        let settings = settings(&[(AUTHOR, ""), (SIGN_IN, "")]);
        assert_eq!(settings.tenant, Guid::new(GOOD[0].1).unwrap());
        assert_eq!(settings.root, ServiceRoot::v1());
        assert!(settings.signs.is_none() && settings.author.is_none());
        assert!(settings.sign_in.is_none());
        let shown = format!("{settings:?}");
        assert!(!shown.contains(HUSH), "{shown}");
        let authority =
            format!("https://login.microsoftonline.com\", tenant: Tenant(\"{}", GOOD[0].1);
        assert!(shown.contains(&authority), "{shown}");
    }

    #[test]
    fn each_cloud_has_its_addresses_and_they_can_be_replaced() {
        for (name, cloud) in [
            ("global", Cloud::Global),
            ("us-gov-l4", Cloud::UsGovL4),
            ("us-gov-l5", Cloud::UsGovL5),
            ("china", Cloud::China),
        ] {
            let settings = settings(&[(CLOUD, name)]);
            assert_eq!(settings.root, ServiceRoot::new(cloud, Version::V1));
            assert!(format!("{:?}", settings.application).contains(cloud.login()));
        }
        for address in [
            "https://gate.example/graph",
            "http://127.0.0.1:80",
            "http://localhost",
            "http://[::1]:8080/x",
        ] {
            let settings = settings(&[(SERVICE, address), (AUTHORITY, address)]);
            assert_eq!(settings.root.to_string(), format!("{address}/v1.0"));
            assert!(format!("{:?}", settings.application).contains(address));
        }
    }

    #[test]
    fn the_proof_may_be_a_certificate_or_a_file() {
        let certificate = data("throw-away-test-key.pem");
        for (name, is) in
            [(CERTIFICATE, "Certificate(Signer(Certificate {"), (TOKEN_FILE, "TokenFile(\"")]
        {
            let settings = settings(&[(CLIENT_SECRET, ""), (name, &certificate)]);
            let shown = format!("{:?}", settings.signs.unwrap());
            assert!(shown.starts_with(is), "{shown}");
        }
    }

    #[test]
    fn a_user_signs_in_with_the_same_or_another_registration() {
        let sign_in = |changes: &[(&str, &str)]| {
            let host = [(SIGN_IN, "device-code"), (ACTIVITY_HOST, "https://contoso.com/")];
            let sign_in = settings(&[&host, changes].concat()).sign_in.unwrap();
            assert_eq!(sign_in.source_host, "https://contoso.com");
            format!("{:?}", sign_in.credential)
        };
        let shown = sign_in(&[]);
        for part in ["common", GOOD[1].1, "UserActivity.ReadWrite.CreatedByApp offline_access"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let shown = sign_in(&[(SIGN_IN_TENANT, "contoso.com"), (SIGN_IN_CLIENT_ID, "other")]);
        assert!(shown.contains("contoso.com") && shown.contains("\"other\""), "{shown}");
        assert!(!shown.contains(GOOD[1].1), "{shown}");
    }

    #[test]
    fn what_is_missing_or_odd_is_named_with_what_to_do() {
        let signs_in = [(SIGN_IN, "device-code"), (ACTIVITY_HOST, "https://contoso.com")];
        let (certificate, no_file) = (data("throw-away-test-key.pem"), data("no such file"));
        let no_pem = format!("{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        for (changes, parts) in [
            (&[(TENANT, "contoso.com")][..], &[TENANT, "no GUID"][..]),
            (&[(CLIENT_ID, "")], &[CLIENT_ID, "is not set; give the application"]),
            (&[(CLIENT_SECRET, "")], &[CLIENT_SECRET, CERTIFICATE, TOKEN_FILE, "set one"]),
            (&[(TOKEN_FILE, &no_file)], &[CLIENT_SECRET, TOKEN_FILE, "unset all but one"]),
            (&[(CLIENT_SECRET, "s3cret-of-the-app\n")], &[CLIENT_SECRET, "white space"]),
            (&[(CLIENT_SECRET, " s3cret-of-the-app")], &[CLIENT_SECRET, "white space"]),
            (
                &[(CLIENT_SECRET, ""), (CERTIFICATE, &no_file)],
                &[CERTIFICATE, "no such file cannot be read"],
            ),
            (&[(CLIENT_SECRET, ""), (CERTIFICATE, &no_pem)], &[CERTIFICATE, "no private key"]),
            (&[(CLIENT_SECRET, ""), (TOKEN_FILE, &no_file)], &[TOKEN_FILE, "cannot be read"]),
            (&[(AUTHOR, "ann@contoso.com")], &[AUTHOR, "no GUID", "object id"]),
            (&[(SIGN_IN, "yes")], &[SIGN_IN, "device-code"]),
            (&[signs_in[0]], &[ACTIVITY_HOST, "is not set; give the activitySourceHost"]),
            (&[signs_in[0], (ACTIVITY_HOST, "contoso.com")], &[ACTIVITY_HOST, "is not like"]),
            (&[signs_in[0], (ACTIVITY_HOST, "https://c.com/x")], &[ACTIVITY_HOST, "is not like"]),
            (
                &[signs_in[0], signs_in[1], (SIGN_IN_TENANT, "a/b")],
                &[SIGN_IN_TENANT, "no tenant id"],
            ),
            (
                &[signs_in[0], signs_in[1], (CLOUD, "us-gov-l4")],
                &[SIGN_IN, "US Gov L4 has no user activities", CLOUD],
            ),
            (&[(CLOUD, "Global")], &[CLOUD, "is none of global, us-gov-l4"]),
            (&[(EXTRA_ROOTS, &no_file)], &[EXTRA_ROOTS, "cannot be read"]),
            (&[(EXTRA_ROOTS, &no_pem)], &[EXTRA_ROOTS, "names a file, but"]),
            (&[(EXTRA_ROOTS, &certificate)], &[EXTRA_ROOTS, "a key is among"]),
            (&[(SERVICE, "http://graph.example")], &[SERVICE, "plain http", "https://"]),
            (&[(SERVICE, "http://127.0.0.1.evil.example")], &[SERVICE, "plain http"]),
            (&[(SERVICE, "http://127.0.0.1@evil.example")], &[SERVICE, "plain http"]),
            (&[(SERVICE, "http://localhost:80@evil.example")], &[SERVICE, "plain http"]),
            (&[(SERVICE, "http://u@localhost")], &[SERVICE, "user name"]),
            (&[(SERVICE, "ftp://localhost")], &[SERVICE, "is not like"]),
            (&[(SERVICE, "graph.microsoft.com")], &[SERVICE, "is not like"]),
            (&[(SERVICE, "https://x?y")], &[SERVICE, "query"]),
            (&[(AUTHORITY, "http://login.example")], &[AUTHORITY, "plain http"]),
            (&[(AUTHORITY, "https://x?y")], &[AUTHORITY, "is no address"]),
        ] {
            let error = with(changes).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert!(!error.contains(HUSH), "{error}");
        }
    }

    #[test]
    fn hyper_is_told_the_same() {
        assert!(over::<Hyper>(&[]).unwrap().is_some());
        for name in ["Cargo.toml", "no such file"] {
            let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
            let error = over::<Hyper>(&[(EXTRA_ROOTS, &path)]).unwrap_err().to_string();
            assert!(error.starts_with(EXTRA_ROOTS), "{error}");
        }
        let plain = over::<Hyper>(&[(SERVICE, "http://localhost")]).unwrap().unwrap();
        assert!(format!("{:?}", plain.transport).contains("https_only: false"), "{plain:?}");
        assert!(format!("{:?}", plain.login).contains("https_only: true"), "{plain:?}");
    }

    #[test]
    fn the_help_tells_every_variable() {
        for name in [&[TENANT, TOKEN_FILE], ONLY_WITH_TENANT].concat() {
            assert!(VARIABLES.contains(&format!("\n  {name} ")), "{name}");
        }
        assert!(VARIABLES.lines().all(|line| line.len() <= 80));
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_told_by_its_name() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = |name: &str| (name == TENANT).then(|| OsString::from_vec(vec![b'x', 0xff]));
        assert_eq!(read::<Ureq>(odd).unwrap_err().to_string(), "GRAPHFEED_TENANT is not UTF-8");
    }
}
