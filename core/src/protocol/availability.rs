//! What not every version and cloud has: members and values of bodies, refused before they cost a
//! round trip. Whole operations are refused by their [`Route`](super::Route).

use std::fmt::Display;

use super::{Cloud, ServiceRoot, Version};
use crate::types::{FaultList, Rule};

/// Where a member or a value exists, if not everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnlyIn {
    /// In beta, of any cloud.
    Beta,
    /// Not in the US government's clouds, whose metadata lags behind (metadata of v1.0, 2026; that
    /// it is the same in their beta is assumed).
    Commercial,
}

impl OnlyIn {
    /// Refuses `what`, at `place`, where `root` does not have it.
    pub(crate) fn check(
        self,
        root: &ServiceRoot,
        place: impl FnOnce() -> String,
        what: impl Display,
        faults: &mut FaultList,
    ) {
        match self {
            Self::Beta if root.version() != Version::Beta => {
                let detail = format!("{what} is in beta only; leave it out");
                faults.push(Rule::Version, place(), detail);
            }
            Self::Commercial if matches!(root.cloud(), Cloud::UsGovL4 | Cloud::UsGovL5) => {
                let detail = format!("{what} is not in {}; leave it out", root.cloud());
                faults.push(Rule::Cloud, place(), detail);
            }
            _ => {}
        }
    }
}
