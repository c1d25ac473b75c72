//! Ids: each its own type, validated when it is made, so that no text can steer a route.
//!
//! The characters an id may have are Graph's business; that none of them can leave its path
//! segment is ours, and `protocol::route` escapes every argument whatever its type.

use std::{borrow::Cow, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::fault::{BuildError, Fault, Rule, quote};

macro_rules! id {
    ($(#[$meta:meta])* pub struct $Name:ident($what:literal, $rule:ident, $check:path, $read:ident);) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Name(Box<str>);

        impl $Name {
            /// Checks the text.
            ///
            /// # Errors
            #[doc = concat!("[`Rule::", stringify!($rule), "`].")]
            pub fn new(id: impl AsRef<str>) -> Result<Self, BuildError> {
                let id = id.as_ref();
                match $check(id) {
                    Ok(()) => Ok(Self(id.into())),
                    Err(why) => Err(Fault::new(
                        Rule::$rule,
                        $what,
                        format!("{} {why}", quote(id)),
                    )
                    .into()),
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $Name {
            type Err = BuildError;

            fn from_str(id: &str) -> Result<Self, BuildError> {
                Self::new(id)
            }
        }

        impl AsRef<str> for $Name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($Name), self.as_str())
            }
        }

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let id = Cow::<'de, str>::deserialize(from)?;
                Self::$read(id).map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// The id of an external connection: 3 to 32 ASCII letters and digits, chosen by its maker.
    ///
    /// Not a hyphen (the service hides that behind "The request is malformed"), not `Microsoft` in front, and
    /// none of the reserved words
    /// ([externalConnection](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalconnection)). The
    /// documents leave open whether the bans heed letter case; this type assumes that they do not.
    ///
    /// ```
    /// use graphfeed_core::types::ConnectionId;
    ///
    /// assert_eq!(ConnectionId::new("contosohr")?.as_str(), "contosohr");
    /// assert!(ConnectionId::new("contoso-hr").is_err());
    /// # Ok::<(), graphfeed_core::types::BuildError>(())
    /// ```
    pub struct ConnectionId("connection id", ConnectionId, check_connection, new);
}

id! {
    /// The id of an external item: 1 to 128 of `A-Z a-z 0-9 _ -`, chosen by the connector.
    ///
    /// `new` refuses ids that start with `x--`, which [`from_key`](Self::from_key) keeps for
    /// itself. The documents say "alphanumeric"
    /// ([externalItem](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalitem)); `-` and
    /// `_` are in use everywhere and stay inside a path segment.
    pub struct ItemId("item id", ItemId, check_item, existing);
}

id! {
    /// The id of an external group: 1 to 128 of `A-Z a-z 0-9 _ -`, unique in its connection
    /// ([externalGroup](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalgroup)).
    pub struct ExternalGroupId("external group id", ExternalGroupId, check_name, new);
}

id! {
    /// An `appActivityId`: the app's own name for a user activity, such as `/article?12345`.
    ///
    /// Any text but the empty one, `.` and `..`, which vanish from a URL however they are
    /// escaped. It is immutable: another id is another activity
    /// ([userActivity](https://learn.microsoft.com/graph/api/resources/projectrome-activity)). In the URL every
    /// character that is not *unreserved* in RFC 2396 becomes `%HH`; the body keeps it raw.
    /// The server's own name for the activity is a [`UserActivityId`].
    pub struct AppActivityId("appActivityId", AppActivityId, check_segment, new);
}

id! {
    /// The server's id of a user activity, a decimal beyond a signed 64-bit number, such as
    /// `14332800362997268276`, which history and delete calls take. It comes from an answer; the
    /// app's own name is an [`AppActivityId`].
    pub struct UserActivityId("user activity id", PathSegment, check_segment, new);
}

id! {
    /// The opaque id of a long-running operation on a connection, from the `Location` of the
    /// answer that started it.
    pub struct OperationId("operation id", PathSegment, check_segment, new);
}

const RESERVED_CONNECTIONS: [&str; 16] = [
    "None",
    "Directory",
    "Exchange",
    "ExchangeArchive",
    "LinkedIn",
    "Mailbox",
    "OneDriveBusiness",
    "SharePoint",
    "Teams",
    "Yammer",
    "Connectors",
    "TaskFabric",
    "PowerBI",
    "Assistant",
    "TopicEngine",
    "MSFT_All_Connectors",
];

fn check_connection(id: &str) -> Result<(), &'static str> {
    if !(3..=32).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("is not 3 to 32 ASCII letters and digits; leave out hyphens and spaces");
    }
    if id.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("Microsoft")) {
        return Err("starts with Microsoft, which is reserved; choose another name");
    }
    if RESERVED_CONNECTIONS.iter().any(|word| word.eq_ignore_ascii_case(id)) {
        return Err("is a reserved word; choose another name");
    }
    Ok(())
}

fn check_name(id: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=128).contains(&id.len()) && id.bytes().all(fits) {
        Ok(())
    } else {
        Err("is not 1 to 128 of A-Z a-z 0-9 _ -")
    }
}

fn check_item(id: &str) -> Result<(), &'static str> {
    if id.starts_with(ItemId::DERIVED) {
        return Err("starts with x--, kept for derived ids; use ItemId::from_key");
    }
    check_name(id).map_err(
        |_| "is not 1 to 128 of A-Z a-z 0-9 _ -; ItemId::from_key takes any key of a source system",
    )
}

fn check_segment(id: &str) -> Result<(), &'static str> {
    match id {
        "" | "." | ".." => Err("cannot be one segment of a path; choose another id"),
        _ => Ok(()),
    }
}

impl ItemId {
    const DERIVED: &'static str = "x--";
    const ENCODED: &'static str = "x--e";
    const HASHED: &'static str = "x--h";

    /// The id for a key of the source system, whatever the key is.
    ///
    /// A legal key is its own id. Another one becomes `x--e` and its bytes in base64url without
    /// padding; one too long for that (more than 93 bytes) becomes `x--h` and its SHA-256 in
    /// hexadecimal. Two keys never share an id, short of a SHA-256 collision.
    ///
    /// ```
    /// use graphfeed_core::types::ItemId;
    ///
    /// assert_eq!(ItemId::from_key("TSP228082938").as_str(), "TSP228082938");
    /// assert_eq!(ItemId::from_key("a/b").as_str(), "x--eYS9i");
    /// assert_eq!(ItemId::from_key("a/b").key().as_deref(), Some("a/b"));
    /// assert_eq!(ItemId::from_key(&"/".repeat(200)).key(), None);
    /// ```
    pub fn from_key(key: &str) -> Self {
        if check_item(key).is_ok() {
            return Self(key.into());
        }
        let mut id = Self::ENCODED.to_owned();
        URL_SAFE_NO_PAD.encode_string(key, &mut id);
        if check_name(&id).is_err() {
            id = Self::HASHED.to_owned();
            for byte in hmac_sha256::Hash::hash(key.as_bytes()) {
                for digit in [byte >> 4, byte & 15] {
                    id.push(char::from_digit(u32::from(digit), 16).expect("four bits"));
                }
            }
        }
        Self(id.into())
    }

    /// Takes an id that is in the service already, `x--` forms among them.
    ///
    /// # Errors
    /// [`Rule::ItemId`] when it is not `[A-Za-z0-9_-]{1,128}`.
    pub fn existing(id: impl AsRef<str>) -> Result<Self, BuildError> {
        let id = id.as_ref();
        check_name(id).map(|()| Self(id.into())).map_err(|why| {
            Fault::new(Rule::ItemId, "item id", format!("{} {why}", quote(id))).into()
        })
    }

    /// The key that [`from_key`](Self::from_key) was given; `None` if only its hash is left, or
    /// if the id starts with `x--` and was not made by `from_key`.
    pub fn key(&self) -> Option<Cow<'_, str>> {
        if let Some(encoded) = self.0.strip_prefix(Self::ENCODED) {
            let key = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
            return (Self::from_key(&key) == *self).then_some(Cow::Owned(key));
        }
        (!self.0.starts_with(Self::DERIVED)).then_some(Cow::Borrowed(&*self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn rule<T: fmt::Debug>(refused: Result<T, BuildError>) -> Rule {
        refused.unwrap_err().faults()[0].rule
    }

    #[test]
    fn connection_ids_keep_the_documented_rule() {
        for good in ["abc", "contosohr", "A1b2", "Microsof1", &"a".repeat(32)] {
            assert_eq!(ConnectionId::new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(33);
        for bad in ["", "ab", "contoso-hr", "a b", "größe", &long, "MicrosoftX", "microsoft"] {
            assert_eq!(rule(ConnectionId::new(bad)), Rule::ConnectionId, "{bad}");
        }
        for word in RESERVED_CONNECTIONS {
            assert_eq!(rule(ConnectionId::new(word)), Rule::ConnectionId);
            assert_eq!(rule(ConnectionId::new(word.to_lowercase())), Rule::ConnectionId);
        }
    }

    #[test]
    fn item_ids_are_one_segment_and_leave_the_derived_ones_alone() {
        for good in ["a", "TSP228082938", "a-b_c", "-", "x-", &"z".repeat(128)] {
            assert_eq!(ItemId::new(good).unwrap().as_str(), good);
        }
        let long = "z".repeat(129);
        for bad in ["", "a/b", "..", "a.b", "a b", "ä", "x--", "x--eYQ", &long, "%41"] {
            assert_eq!(rule(ItemId::new(bad)), Rule::ItemId, "{bad}");
        }
        assert_eq!(ItemId::existing("x--eYQ").unwrap().as_str(), "x--eYQ");
        let derived = ItemId::from_key("a/b");
        let json = serde_json::to_string(&derived).unwrap();
        assert_eq!(serde_json::from_str::<ItemId>(&json).unwrap(), derived);
        assert!(serde_json::from_str::<ItemId>("\"a/b\"").is_err());
        assert_eq!(rule(ItemId::existing("a/b")), Rule::ItemId);
    }

    #[test]
    fn awkward_keys_become_different_legal_ids() {
        let keys = [
            "",
            "a/b",
            "a-b",
            "50%",
            "🦀",
            "x--",
            "x--eYQ",
            "x--h",
            "x--eYS9i",
            ".",
            "..",
            " ",
            &"k".repeat(128),
            &"k".repeat(129),
            &"/".repeat(93),
            &"/".repeat(94),
            &"ä".repeat(500),
        ];
        let mut seen = BTreeMap::new();
        for key in keys {
            let id = ItemId::from_key(key);
            assert!(check_name(id.as_str()).is_ok(), "{key} gives {id}");
            if let Some(other) = seen.insert(id.clone(), key) {
                panic!("{key:?} and {other:?} share {id}");
            }
            if !id.as_str().starts_with("x--h") {
                assert_eq!(id.key().as_deref(), Some(key));
            }
        }
        assert_eq!(ItemId::from_key(&"/".repeat(93)).as_str().len(), 128);
        assert_eq!(
            ItemId::from_key(&"k".repeat(129)).as_str(),
            "x--h9094034fb2d0ce2e407c9b260f2806ab2efb352e200722fd6296d9cf1cf7e6f5"
        );
    }

    #[test]
    fn dot_segments_are_no_ids() {
        for bad in ["", ".", ".."] {
            assert_eq!(rule(AppActivityId::new(bad)), Rule::AppActivityId);
            assert_eq!(rule(UserActivityId::new(bad)), Rule::PathSegment);
            assert_eq!(rule(OperationId::new(bad)), Rule::PathSegment);
        }
        assert_eq!(AppActivityId::new("/article?12345").unwrap().as_str(), "/article?12345");
        assert_eq!(UserActivityId::new("14332800362997268276").unwrap().as_str().len(), 20);
    }

    proptest! {
        #[test]
        fn from_key_is_total_injective_and_reversible(key in any::<String>(), other in any::<String>()) {
            let id = ItemId::from_key(&key);
            prop_assert!(check_name(id.as_str()).is_ok());
            match id.key() {
                Some(found) => prop_assert_eq!(&*found, &*key),
                None => prop_assert!(key.len() > 93),
            }
            if key != other {
                prop_assert_ne!(id, ItemId::from_key(&other));
            }
        }

        #[test]
        fn a_legal_key_is_its_own_id(key in "[A-Za-z0-9_][A-Za-z0-9_-]{0,127}") {
            prop_assume!(!key.starts_with("x--"));
            let id = ItemId::from_key(&key);
            prop_assert_eq!(id.as_str(), &*key);
        }
    }
}
