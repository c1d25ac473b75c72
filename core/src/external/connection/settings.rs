//! What a connection says besides its id and name, and how an update changes that.

use serde::Serialize;
use serde_json::Value;

use super::{
    ActivitySettings, ComplianceSettings, Configuration, ConnectionUpdate, ConnectionUpdateBuilder,
    ContentCategory, ContentExperiences, ExternalConnection, ExternalConnectionBuilder,
    SearchSettings, StoredConnection,
};
use crate::{
    protocol::{OnlyIn, ServiceRoot},
    types::{BuildError, Change, FaultList, Guid},
};

/// What a connection says besides its id and name, set when it is made or later: each member with
/// its name on the wire, and what an update may do to it.
macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident: $Type:ty = $wire:literal, $Update:ty;)*) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub(super) struct Settings {
            $(#[serde(rename = $wire, skip_serializing_if = "Change::is_leave")]
            $field: Change<$Type>,)*
        }

        impl Settings {
            /// What differs from what is stored.
            pub(super) fn unlike(&self, stored: &StoredConnection) -> Self {
                Self { $($field: unlike(&self.$field, stored.$field.as_ref()),)* }
            }
        }

        impl ExternalConnection {
            $($(#[$doc])*
            pub fn $field(&self) -> Option<&$Type> {
                self.settings.$field.set()
            })*
        }

        impl ExternalConnectionBuilder {
            $($(#[$doc])*
            pub fn $field(mut self, $field: impl Into<$Type>) -> Self {
                self.connection.settings.$field = Change::Set($field.into());
                self
            })*
        }

        impl ConnectionUpdate {
            $($(#[$doc])*
            pub fn $field(&self) -> &Change<$Type> {
                &self.settings.$field
            })*
        }

        impl ConnectionUpdateBuilder {
            $($(#[$doc])*
            pub fn $field(mut self, $field: impl Into<$Update>) -> Self {
                let $field: $Update = $field.into();
                self.update.settings.$field = $field.into();
                self
            })*
        }
    };
}

settings! {
    /// What the connection holds, for people and for Copilot.
    description: String = "description", Change<String>;
    /// Which other applications may manage it.
    configuration: Configuration = "configuration", Change<Configuration>;
    /// How to find the item behind a URL.
    activity_settings: ActivitySettings = "activitySettings", Change<ActivitySettings>;
    /// How results look.
    search_settings: SearchSettings = "searchSettings", Change<SearchSettings>;
    /// What kind of content it holds. It can be changed and not taken away. Not in the US
    /// government's clouds.
    content_category: ContentCategory = "contentCategory", ContentCategory;
    /// How results look in compliance search. Beta only, which Microsoft does not support in
    /// production.
    compliance_settings: ComplianceSettings = "complianceSettings", Change<ComplianceSettings>;
    /// Where its content shows. Beta only, which Microsoft does not support in production.
    enabled_content_experiences: ContentExperiences = "enabledContentExperiences",
        Change<ContentExperiences>;
}

impl Settings {
    pub(super) fn check(&self, faults: &mut FaultList) {
        if let Change::Set(configuration) = &self.configuration {
            let ids = configuration.authorized_app_ids.as_deref().unwrap_or_default();
            for index in (0..ids.len()).filter(|index| ids[*index].is_empty()) {
                faults.missing(format!("$.configuration.authorizedAppIds[{index}]"));
            }
        }
        if let Change::Set(settings) = &self.activity_settings {
            settings.check("$.activitySettings", faults);
        }
        if let Change::Set(settings) = &self.search_settings {
            settings.check("$.searchSettings", faults);
        }
        if let Change::Set(settings) = &self.compliance_settings {
            settings.check("$.complianceSettings", faults);
        }
        if let Change::Set(category) = &self.content_category {
            faults.check_word("$.contentCategory", category.as_str());
        }
        if let Change::Set(experiences) = &self.enabled_content_experiences {
            experiences.check("$.enabledContentExperiences", faults);
        }
    }

    pub(super) fn check_available(&self, to: &ServiceRoot) -> Result<(), BuildError> {
        let mut faults = FaultList::default();
        for (only, member, is_sent) in [
            (OnlyIn::Commercial, "contentCategory", !self.content_category.is_leave()),
            (OnlyIn::Beta, "complianceSettings", !self.compliance_settings.is_leave()),
            (
                OnlyIn::Beta,
                "enabledContentExperiences",
                !self.enabled_content_experiences.is_leave(),
            ),
        ] {
            if is_sent {
                only.check(to, || format!("$.{member}"), member, &mut faults);
            }
        }
        faults.finish()
    }
}

/// The change where it would change what is stored.
fn unlike<T: Clone + Serialize>(change: &Change<T>, stored: Option<&T>) -> Change<T> {
    let said = |value: &T| serde_json::to_value(value).ok().and_then(what_it_says);
    let stored = stored.and_then(said);
    match change {
        Change::Set(wanted) if said(wanted) == stored => Change::Leave,
        Change::Null if stored.is_none() => Change::Leave,
        change => change.clone(),
    }
}

/// A value without what a service may add or leave out as it likes: annotations, and what is
/// empty. Texts in a list of nothing else have no order, and GUIDs no letter case.
fn what_it_says(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(Value::String(match Guid::new(&text) {
            Ok(guid) => guid.to_string(),
            Err(_) => text,
        })),
        Value::Array(values) => {
            let mut values: Vec<Value> = values.into_iter().filter_map(what_it_says).collect();
            if values.iter().all(Value::is_string) {
                values.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
            }
            (!values.is_empty()).then_some(Value::Array(values))
        }
        Value::Object(members) => {
            let own = members.into_iter().filter(|(name, _)| !name.starts_with('@'));
            let said = own.filter_map(|(name, value)| Some((name, what_it_says(value)?)));
            let said: serde_json::Map<_, _> = said.collect();
            (!said.is_empty()).then_some(Value::Object(said))
        }
        other => Some(other),
    }
}
