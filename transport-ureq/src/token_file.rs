//! Workload identity: another platform's token, which it keeps fresh in a file.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use graphfeed_core::{machine::identity::AssertionNeed, protocol::TokenError, types::Secret};

/// The most bytes that a token file has. Tokens have a few thousand.
const MOST: usize = 1 << 16;

/// Hands over the token in a file as an assertion, read anew each time, for
/// [`TokenProvider::sign_with`](graphfeed_core::client::TokenProvider::sign_with). Kubernetes
/// names the file in `AZURE_FEDERATED_TOKEN_FILE`. A file of more than 64 KiB is no token, and an
/// error.
///
/// ```no_run
/// use graphfeed_core::client::TokenProvider;
/// use graphfeed_core::machine::identity::{Application, Authority, Credential, Tenant};
/// use graphfeed_core::protocol::{Cloud, ServiceRoot};
/// use graphfeed_ureq::{SystemClock, UreqTransport, client, seed, token_file};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let authority = Authority::new(Cloud::Global, Tenant::new("contoso.com")?);
/// let application = Application::new(authority, "client id", Cloud::Global);
/// let credential = Credential::assertion(application)?;
/// let tokens = TokenProvider::new(credential, UreqTransport::new(), SystemClock::new(), seed())
///     .sign_with(token_file("/var/run/secrets/azure/tokens/azure-identity-token"));
/// let client = client(ServiceRoot::v1(), tokens);
/// # Ok(())
/// # }
/// ```
pub fn token_file(
    path: impl Into<PathBuf>,
) -> impl Fn(&AssertionNeed) -> Result<Secret, TokenError> + Send + Sync + 'static {
    let path = path.into();
    move |_| {
        read(&path).map_err(|error| {
            TokenError::source(format!(
                "the token file {} cannot be read: {error}; see AZURE_FEDERATED_TOKEN_FILE",
                path.display()
            ))
        })
    }
}

fn read(path: &Path) -> io::Result<Secret> {
    // A text that grows would leave its beginning in memory.
    let mut text = String::with_capacity(MOST + 1);
    let read = File::open(path)?.take(MOST as u64 + 1).read_to_string(&mut text);
    let whole = Secret::new(text);
    if read? > MOST {
        let why = format!("it has more than {MOST} bytes, and no token does");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Secret::new(whole.reveal().trim()))
}
