//! Where the content of a connection shows: flags that the wire has in one string. Beta only, which
//! Microsoft does not support in production.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use crate::types::{FaultList, lenient_as_strict, open_enum};

open_enum! {
    /// Where the content of a connection shows. Beta only, which Microsoft does not support in
    /// production.
    pub enum ContentExperienceType {
        /// In Search and Copilot.
        Search = "search",
        /// In compliance search.
        Compliance = "compliance",
    }
}

/// Where the content of a connection shows: flags, which the wire has in one string,
/// `"search, compliance"`. Beta only, which Microsoft does not support in production.
///
/// ```
/// use graphfeed_core::external::{ContentExperienceType, ContentExperiences};
///
/// let both = ContentExperiences::new([ContentExperienceType::Search, ContentExperienceType::Compliance]);
/// assert_eq!(both.to_string(), "search, compliance");
/// assert!(both.contains(&ContentExperienceType::Compliance));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContentExperiences(Vec<ContentExperienceType>);

impl ContentExperiences {
    /// These.
    pub fn new(experiences: impl IntoIterator<Item = ContentExperienceType>) -> Self {
        Self(experiences.into_iter().collect())
    }

    /// Whether this one is among them.
    pub fn contains(&self, experience: &ContentExperienceType) -> bool {
        self.0.contains(experience)
    }

    pub(super) fn check(&self, place: &'static str, faults: &mut FaultList) {
        if self.0.is_empty() {
            faults.missing(place);
        }
        for experience in &self.0 {
            faults.check_word(place, experience.as_str());
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &ContentExperienceType> {
        self.0.iter()
    }
}

impl fmt::Display for ContentExperiences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, experience) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(experience.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for ContentExperiences {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One string as in the metadata, or a list as in one document; it is written as a string.
impl<'de> Deserialize<'de> for ContentExperiences {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Flags;

        impl<'de> Visitor<'de> for Flags {
            type Value = ContentExperiences;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("flags in one string")
            }

            fn visit_str<E: de::Error>(self, flags: &str) -> Result<ContentExperiences, E> {
                let flags = flags.split(',').map(str::trim).filter(|flag| !flag.is_empty());
                Ok(ContentExperiences(flags.map(ContentExperienceType::from).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ContentExperiences, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(ContentExperiences)
            }
        }

        from.deserialize_any(Flags)
    }
}

lenient_as_strict!(ContentExperiences);
