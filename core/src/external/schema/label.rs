//! What a property means to Search, Copilot and people's profiles
//! ([property](https://learn.microsoft.com/graph/api/resources/externalconnectors-property)).
//!
//! Lives here: the labels, and what is known of each: the types it stands on, whether it is
//! about people, where it exists.

use crate::{
    external::PropertyType,
    protocol::{OnlyIn, ServiceRoot},
    types::{FaultList, open_enum},
};

open_enum! {
    /// What a property means to Search and Copilot
    /// ([property](https://learn.microsoft.com/graph/api/resources/externalconnectors-property)),
    /// or, where its name begins with `person`, to people's profiles
    /// ([people data](https://learn.microsoft.com/microsoft-365/copilot/extensibility/build-connectors-with-people-data)).
    /// Copilot wants at least title, url and iconUrl.
    ///
    /// The US government's clouds have the labels up to `fileExtension`, and `iconUrl`.
    pub enum Label {
        /// The title of the item.
        Title = "title",
        /// Where the item is.
        Url = "url",
        /// Who made it.
        CreatedBy = "createdBy",
        /// Who changed it last.
        LastModifiedBy = "lastModifiedBy",
        /// Who wrote it.
        Authors = "authors",
        /// When it was made.
        CreatedDateTime = "createdDateTime",
        /// When it was changed last.
        LastModifiedDateTime = "lastModifiedDateTime",
        /// The name of the file.
        FileName = "fileName",
        /// The extension of the file.
        FileExtension = "fileExtension",
        /// The name of what holds it.
        ContainerName = "containerName",
        /// Where that is.
        ContainerUrl = "containerUrl",
        /// Its icon.
        IconUrl = "iconUrl",
        /// Who is to do it.
        AssignedToPeople = "assignedToPeople",
        /// Who closed it.
        ClosedBy = "closedBy",
        /// When it was closed.
        ClosedDate = "closedDate",
        /// How urgent it is.
        Priority = "priority",
        /// The sprint it belongs to.
        SprintName = "sprintName",
        /// Its tags.
        Tags = "tags",
        /// How grave it is.
        Severity = "severity",
        /// How far it has come.
        State = "state",
        /// When it is due.
        DueDate = "dueDate",
        /// The id of what it is a part of.
        ItemParentId = "itemParentId",
        /// The path to it.
        ItemPath = "itemPath",
        /// What kind of item it is.
        ItemType = "itemType",
        /// How many reactions it has.
        NumberOfReactions = "numberOfReactions",
        /// Where that is which it is a part of.
        ParentUrl = "parentUrl",
        /// How urgent it is, on a common scale.
        PriorityNormalized = "priorityNormalized",
        /// Who reported it.
        ReportedBy = "reportedBy",
        /// Another id of it.
        SecondaryId = "secondaryId",
        /// Mail addresses of the person, at most 3.
        PersonEmails = "personEmails",
        /// Postal addresses of the person, at most 3.
        PersonAddresses = "personAddresses",
        /// Anniversaries of the person.
        PersonAnniversaries = "personAnniversaries",
        /// The name of the person.
        PersonName = "personName",
        /// A note on the person.
        PersonNote = "personNote",
        /// Telephone numbers of the person.
        PersonPhones = "personPhones",
        /// The position that the person holds.
        PersonCurrentPosition = "personCurrentPosition",
        /// Accounts of the person elsewhere in the web.
        PersonWebAccounts = "personWebAccounts",
        /// The person's site.
        PersonWebSite = "personWebSite",
        /// What the person can do.
        PersonSkills = "personSkills",
        /// Projects of the person.
        PersonProjects = "personProjects",
        /// Which Entra user the item is about; every schema of people has it.
        PersonAccount = "personAccount",
        /// Awards of the person.
        PersonAwards = "personAwards",
        /// Certificates of the person.
        PersonCertifications = "personCertifications",
        /// Assistants of the person; the service does not support it yet.
        PersonAssistants = "personAssistants",
        /// Colleagues of the person; the service does not support it yet.
        PersonColleagues = "personColleagues",
        /// The manager of the person; the service does not support it yet.
        PersonManager = "personManager",
        /// Who else can be asked; the service does not support it yet.
        PersonAlternateContacts = "personAlternateContacts",
        /// Who is told in an emergency; the service does not support it yet.
        PersonEmergencyContacts = "personEmergencyContacts",
        /// What the person has studied.
        PersonEducationalActivities = "personEducationalActivities",
        /// What the person is interested in.
        PersonInterests = "personInterests",
        /// Languages of the person.
        PersonLanguages = "personLanguages",
        /// What the person has published.
        PersonPublications = "personPublications",
        /// Patents of the person.
        PersonPatents = "personPatents",
        /// The positions that the person has held.
        PersonWorkPositions = "personWorkPositions",
    }
}

impl Label {
    /// The types that it stands on, one of them; empty where no document says.
    ///
    /// Those of people are documented. Of the others the documents say only that the types have to
    /// match; which ones is what connectors use. That a person may also be a `principal`, which
    /// the documents prefer to a text, is assumed.
    pub(super) fn types(&self) -> &'static [PropertyType] {
        use PropertyType::*;
        const TEXT: &[PropertyType] = &[String];
        const TEXTS: &[PropertyType] = &[StringCollection];
        const DATE: &[PropertyType] = &[DateTime];
        const SOMEBODY: &[PropertyType] = &[String, Principal];
        const AUTHORS: &[PropertyType] =
            &[String, StringCollection, Principal, PrincipalCollection];
        match self {
            Self::Title
            | Self::Url
            | Self::FileName
            | Self::FileExtension
            | Self::ContainerName
            | Self::ContainerUrl
            | Self::IconUrl => TEXT,
            Self::CreatedBy | Self::LastModifiedBy => SOMEBODY,
            Self::Authors => AUTHORS,
            Self::CreatedDateTime | Self::LastModifiedDateTime => DATE,
            Self::PersonAccount
            | Self::PersonCurrentPosition
            | Self::PersonName
            | Self::PersonNote
            | Self::PersonWebSite => TEXT,
            Self::PersonAddresses
            | Self::PersonAnniversaries
            | Self::PersonAwards
            | Self::PersonCertifications
            | Self::PersonEducationalActivities
            | Self::PersonEmails
            | Self::PersonInterests
            | Self::PersonLanguages
            | Self::PersonPatents
            | Self::PersonPhones
            | Self::PersonProjects
            | Self::PersonPublications
            | Self::PersonSkills
            | Self::PersonWebAccounts => TEXTS,
            _ => &[],
        }
    }

    /// Whether it is about people's profiles.
    pub(super) fn is_of_people(&self) -> bool {
        self.as_str().starts_with("person")
    }

    /// Whether the service is documented not to support it yet.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::PersonManager
                | Self::PersonAssistants
                | Self::PersonColleagues
                | Self::PersonAlternateContacts
                | Self::PersonEmergencyContacts
        )
    }

    /// Refuses what the service at this root does not have. A label that this version does not
    /// know is left to the service.
    pub(super) fn check_available(
        &self,
        to: &ServiceRoot,
        place: impl FnOnce() -> String,
        faults: &mut FaultList,
    ) {
        let everywhere = matches!(
            self,
            Self::Title
                | Self::Url
                | Self::CreatedBy
                | Self::LastModifiedBy
                | Self::Authors
                | Self::CreatedDateTime
                | Self::LastModifiedDateTime
                | Self::FileName
                | Self::FileExtension
                | Self::IconUrl
                | Self::Other(_)
        );
        if !everywhere {
            OnlyIn::Commercial.check(to, place, format_args!("the label {self}"), faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_of_the_metadata_is_known_and_none_twice() {
        let mut names = Label::KNOWN.to_vec();
        // 0 to 8 and 13 to 57 of the metadata of v1.0.
        assert_eq!(names.len(), 9 + 45);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 54);
        assert_eq!(Label::KNOWN.iter().filter(|name| name.starts_with("person")).count(), 25);
    }

    #[test]
    fn a_label_of_people_that_is_supported_stands_on_texts() {
        for label in Label::KNOWN.iter().map(|name| Label::from(*name)) {
            let types = label.types();
            let texts = [PropertyType::String, PropertyType::StringCollection];
            if label.is_of_people() && !label.is_unsupported() {
                // The page that gives the types does not name this one.
                let named = label != Label::PersonWorkPositions;
                assert_eq!(types.len(), usize::from(named), "{label}");
                assert!(types.iter().all(|kind| texts.contains(kind)), "{label}");
            }
        }
        assert_eq!(Label::PersonEmails.types(), [PropertyType::StringCollection]);
        assert_eq!(Label::PersonAccount.types(), [PropertyType::String]);
        assert_eq!(Label::from("labelOfTomorrow").types(), []);
    }
}
