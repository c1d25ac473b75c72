//! Workload identity: another platform's token, which it keeps fresh in a file.

use std::path::PathBuf;

use graphfeed_core::{machine::identity::AssertionNeed, protocol::TokenError, types::Secret};

/// Hands over the token in a file as an assertion, read anew each time, for
/// [`TokenProvider::sign_with`](graphfeed_core::client::TokenProvider::sign_with). Kubernetes
/// names the file in `AZURE_FEDERATED_TOKEN_FILE`.
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
    move |_| match std::fs::read_to_string(&path) {
        Ok(token) => Ok(Secret::new(token.trim())),
        Err(error) => Err(TokenError::source(format!(
            "the token file {} cannot be read: {error}; see AZURE_FEDERATED_TOKEN_FILE",
            path.display()
        ))),
    }
}
