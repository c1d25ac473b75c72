//! The labels of a schema: which there are, and what each goes with.
//!
//! Sources: resource property and the metadata. Which type a label has is as connectors by
//! Microsoft use it; people connectors have a page of their own.

use super::Words;
use crate::model::PropertyType;

pub(super) const LABEL: Words = Words {
    name: "label",
    known: &[
        "title",
        "url",
        "createdBy",
        "lastModifiedBy",
        "authors",
        "createdDateTime",
        "lastModifiedDateTime",
        "fileName",
        "fileExtension",
        "containerName",
        "containerUrl",
        "iconUrl",
        "assignedToPeople",
        "closedBy",
        "closedDate",
        "priority",
        "sprintName",
        "tags",
        "severity",
        "state",
        "dueDate",
        "itemParentId",
        "itemPath",
        "itemType",
        "numberOfReactions",
        "parentUrl",
        "priorityNormalized",
        "reportedBy",
        "secondaryId",
        "personEmails",
        "personAddresses",
        "personAnniversaries",
        "personName",
        "personNote",
        "personPhones",
        "personCurrentPosition",
        "personWebAccounts",
        "personWebSite",
        "personSkills",
        "personProjects",
        "personAccount",
        "personAwards",
        "personCertifications",
        "personAssistants",
        "personColleagues",
        "personManager",
        "personAlternateContacts",
        "personEmergencyContacts",
        "personEducationalActivities",
        "personInterests",
        "personLanguages",
        "personPublications",
        "personPatents",
        "personWorkPositions",
    ],
};

/// Whether a label is shown to those who did not ask for what came after the sentinel.
pub(crate) fn is_before_the_sentinel(label: &str) -> bool {
    LABEL.known.iter().position(|known| *known == label).is_some_and(|at| at < 9)
}

/// The types that a label goes with. None: no source says. Those of people's profiles are
/// documented; that the others of persons go with principals, too, is assumed.
pub(super) fn types_of(label: &str) -> Option<&'static [PropertyType]> {
    use PropertyType::{DateTime, Principal, PrincipalCollection, String, StringCollection};
    Some(match label {
        "title" | "url" | "fileName" | "fileExtension" | "iconUrl" | "containerName"
        | "containerUrl" => &[String],
        "createdBy" | "lastModifiedBy" => &[String, Principal],
        "authors" => &[String, StringCollection, Principal, PrincipalCollection],
        "createdDateTime" | "lastModifiedDateTime" => &[DateTime],
        "personAccount"
        | "personName"
        | "personCurrentPosition"
        | "personNote"
        | "personWebSite" => &[String],
        "personEmails"
        | "personAddresses"
        | "personPhones"
        | "personAnniversaries"
        | "personAwards"
        | "personCertifications"
        | "personEducationalActivities"
        | "personInterests"
        | "personLanguages"
        | "personPatents"
        | "personProjects"
        | "personPublications"
        | "personSkills"
        | "personWebAccounts" => &[StringCollection],
        _ => return None,
    })
}

/// Whether a label is of people connectors.
pub(super) fn is_of_people(label: &str) -> bool {
    label.starts_with("person")
}

/// The labels that Copilot wants.
pub(super) const WANTED: [&str; 3] = ["title", "url", "iconUrl"];

/// What a people connector cannot have.
pub(super) const RELATIONS: [&str; 5] = [
    "personManager",
    "personAssistants",
    "personColleagues",
    "personAlternateContacts",
    "personEmergencyContacts",
];
