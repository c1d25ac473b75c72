//! What a call to Microsoft Graph is, whatever the resource.
//!
//! Lives here: where the service is ([`ServiceRoot`]), what an operation is ([`Route`],
//! [`Endpoint`]), one call made of them ([`Call`], [`Reply`]), calls that go together
//! ([`Batch`]), and everything that can go wrong
//! with it ([`Error`]). May not live here: any resource, anything that waits or sends.

mod answer;
mod availability;
mod batch;
mod batch_answer;
mod call;
mod carried;
mod created;
mod deleted;
mod endpoint;
mod error;
mod error_text;
mod explanation;
mod failure;
mod page;
mod path;
mod public_error;
mod retry_after;
mod root;
mod route;
mod service_error;
mod token_error;

pub use answer::{Answer, DecodeError, DecodeKind};
pub(crate) use availability::OnlyIn;
pub(crate) use batch::WrittenBatch;
pub use batch::{Batch, NotTaken};
pub use batch_answer::{BatchAnswer, PartOutcomes};
pub(crate) use batch_answer::{PartAnswer, strays, take_apart};
pub use call::{Call, Reply};
pub(crate) use carried::write_json_carrying;
pub use created::Created;
pub use deleted::Deleted;
pub use endpoint::{Endpoint, Repeat, write_json};
pub(crate) use endpoint::{check_size, not_written};
pub(crate) use error::applied_by;
pub use error::{Applied, Cause, Error, GiveUp};
pub use explanation::Explanation;
pub use failure::{Failure, Sent};
pub use page::Page;
pub use path::{PathArgs, Query};
pub use public_error::{Advice, PublicError, PublicErrorDetail, PublicInnerError};
pub(crate) use retry_after::http_date;
pub use retry_after::retry_after;
pub(crate) use root::is_host;
pub use root::{Cloud, Limits, ServiceRoot, Version};
pub use route::{Lane, Permission, Permissions, Route};
pub use service_error::{GraphError, InnerErrors, ServiceError};
pub use token_error::{TokenError, TokenErrorCode, TokenRefusal};
