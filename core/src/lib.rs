//! graphfeed-core

pub mod activity;
pub mod client;
pub mod external;
pub mod protocol;
mod routes;
pub mod types;

pub use routes::ALL as ROUTES;
