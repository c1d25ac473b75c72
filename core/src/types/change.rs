//! What a partial update does to one member.

use serde::{Serialize, Serializer};

/// What a PATCH does to one member: leaves it, makes it `null`, or sets it.
///
/// A value is a [`Set`](Self::Set) by itself, so that `update.description("text")` and
/// `update.description(Change::Null)` both read as they are meant.
///
/// ```
/// use graphfeed_core::types::Change;
///
/// assert_eq!(Change::from("text"), Change::Set("text".to_owned()));
/// assert!(Change::<String>::default().is_leave());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Change<T> {
    /// It stays as it is; the body does not name it.
    #[default]
    Leave,
    /// It becomes `null`.
    Null,
    /// It becomes this.
    Set(T),
}

impl<T> Change<T> {
    /// Whether it stays as it is.
    pub fn is_leave(&self) -> bool {
        matches!(self, Self::Leave)
    }

    /// The value that it becomes.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Leave | Self::Null => None,
        }
    }
}

impl<T> From<T> for Change<T> {
    fn from(value: T) -> Self {
        Self::Set(value)
    }
}

impl From<&str> for Change<String> {
    fn from(value: &str) -> Self {
        Self::Set(value.to_owned())
    }
}

/// With `skip_serializing_if = "Change::is_leave"`, for JSON has no word for leaving.
impl<T: Serialize> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.set().serialize(to)
    }
}
