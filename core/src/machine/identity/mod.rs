//! Tokens from the Microsoft identity platform, and from the managed identities of Azure, as
//! machines without I/O.
//!
//! Lives here: who asks and where ([`Application`], [`Authority`], [`Credential`]), and how a
//! token is fetched ([`Fetch`]). What the platform says when it refuses is
//! [`TokenError`](crate::protocol::TokenError). May not live here: the life of a token once it is there, which is
//! [`Shared`](super::Shared)'s.

mod answer;
mod authority;
mod credential;
mod fetch;
mod request;

pub use authority::{Authority, Tenant};
pub use credential::{Application, AssertionNeed, Credential, DeviceCode};
pub use fetch::{Fetch, FetchStep, Fetched};
