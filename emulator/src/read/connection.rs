//! Reads connections. Their settings are read in `resolver` and `template`.
//!
//! Sources: resources externalConnection and configuration, the pages post-connections and
//! externalconnection-update; deploy-teams for the ticket.

use std::fmt::Display;

use super::{Form, Found, Member, Need, Reader, Shape, Words};
use crate::{
    check,
    json::{Json, Kind},
    path::Path,
    rules::Rule,
};

pub(super) const CONTENT_CATEGORY: Words = Words {
    name: "contentCategory",
    known: &[
        "uncategorized",
        "knowledgeBase",
        "wikis",
        "fileRepository",
        "qna",
        "crm",
        "dashboard",
        "people",
        "media",
        "email",
        "messaging",
        "meetingTranscripts",
        "taskManagement",
        "learningManagement",
    ],
};

pub(super) const CONNECTION: Shape = Shape {
    name: "a connection",
    odata_type: "microsoft.graph.externalConnectors.externalConnection",
    members: &[
        Member("id", Need::Required, Form::AnyText),
        Member("name", Need::Required, Form::AnyText),
        Member("description", Need::Optional, Form::Text),
        Member("state", Need::Server, Form::Text),
        Member("configuration", Need::Optional, Form::Object),
        Member("activitySettings", Need::Optional, Form::Object),
        Member("searchSettings", Need::Optional, Form::Object),
        Member("contentCategory", Need::Optional, Form::Word(&CONTENT_CATEGORY)),
        Member("connectorId", Need::Optional, Form::Text),
        Member("complianceSettings", Need::Beta, Form::Object),
        Member("enabledContentExperiences", Need::Beta, Form::AnyText),
        Member("ingestedItemsCount", Need::Server, Form::Any),
        Member("groups", Need::Apart, Form::Any),
        Member("items", Need::Apart, Form::Any),
        Member("operations", Need::Apart, Form::Any),
        Member("schema", Need::Apart, Form::Any),
        Member("quota", Need::Apart, Form::Any),
    ],
};

/// A connection as an update has it: what is not there stays, and null clears.
pub(super) const UPDATE: Shape = Shape {
    name: "an update of a connection",
    odata_type: CONNECTION.odata_type,
    members: &[
        Member("id", Need::Fixed, Form::Any),
        Member("name", Need::Optional, Form::AnyText),
        Member("description", Need::Optional, Form::Text),
        Member("state", Need::Server, Form::Text),
        Member("configuration", Need::Optional, Form::Object),
        Member("activitySettings", Need::Optional, Form::Object),
        Member("searchSettings", Need::Optional, Form::Object),
        Member("contentCategory", Need::Optional, Form::Word(&CONTENT_CATEGORY)),
        // That it cannot be changed is assumed: its ticket is for the creation.
        Member("connectorId", Need::Fixed, Form::Any),
        Member("complianceSettings", Need::Beta, Form::Object),
        Member("enabledContentExperiences", Need::Beta, Form::AnyText),
        Member("ingestedItemsCount", Need::Server, Form::Any),
        Member("groups", Need::Apart, Form::Any),
        Member("items", Need::Apart, Form::Any),
        Member("operations", Need::Apart, Form::Any),
        Member("schema", Need::Apart, Form::Any),
        Member("quota", Need::Apart, Form::Any),
    ],
};

pub(super) const CONTENT_EXPERIENCE: Words =
    Words { name: "contentExperienceType", known: &["search", "compliance"] };

impl Reader<'_> {
    /// Reads a connection that is to be made: its id, and its other members as they were sent.
    pub(crate) fn connection(
        &mut self,
        json: Json<'_>,
        ticket: Option<&[u8]>,
    ) -> (String, Vec<(&'static str, String)>) {
        let Some(found) = self.members(json, &Path::ROOT, &CONNECTION) else {
            return Default::default();
        };
        let id = found.text("id");
        if let Some(id) = &id {
            check::connection_id(id, Path::ROOT.name("id"), &mut self.findings);
        }
        self.connector(&found, ticket);
        self.connection_members(&found);
        (id.unwrap_or_default(), found.raw_except(&["id"]))
    }

    /// Reads an update of a connection: the members that it sets as they were sent, and None for
    /// those that it clears.
    pub(crate) fn connection_update(
        &mut self,
        json: Json<'_>,
    ) -> Vec<(&'static str, Option<String>)> {
        let Some(found) = self.members(json, &Path::ROOT, &UPDATE) else {
            return Vec::new();
        };
        if found.null.contains(&"name") {
            let message = "a connection has a name, which null would clear; leave it out";
            self.refuse(Rule::MemberRequired, Path::ROOT.name("name"), message);
        }
        self.connection_members(&found);
        let set = found.raw_except(&[]).into_iter().map(|(name, json)| (name, Some(json)));
        set.chain(found.null.iter().map(|name| (*name, None))).collect()
    }

    /// An app of Teams and the ticket that it was given come together.
    fn connector(&mut self, found: &Found<'_>, ticket: Option<&[u8]>) {
        const HEADER: &str = "header graphconnectors-ticket";
        let place = Path::ROOT.name("connectorId");
        let is_visible = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
        let mut refuse = |place: &dyn Display, message| {
            self.refuse(Rule::ConnectorTicket, place, message);
        };
        match (found.is_missing("connectorId"), ticket) {
            (false, None) => refuse(
                &HEADER,
                "connectorId goes with the header GraphConnectors-Ticket; send both or neither",
            ),
            (true, Some(_)) => refuse(
                &place,
                "the header GraphConnectors-Ticket goes with connectorId; send both or neither",
            ),
            _ => {}
        }
        if ticket.is_some_and(|ticket| !is_visible(ticket)) {
            refuse(&HEADER, "a ticket is visible ASCII; send it as it was given");
        }
        if found.text("connectorId").is_some_and(|id| !is_visible(id.as_bytes())) {
            refuse(&place, "a connectorId is visible ASCII; correct it");
        }
    }

    /// What holds for the members of a connection, old or new.
    fn connection_members(&mut self, found: &Found<'_>) {
        if let Some(name) = found.text("name") {
            let length = name.chars().count();
            if !(1..=128).contains(&length) {
                let message = format!("the name has {length} characters; it has 1 to 128");
                self.refuse(Rule::ConnectionName, Path::ROOT.name("name"), message);
            }
        }
        if let Some(configuration) = found.get("configuration") {
            self.configuration(configuration, &Path::ROOT.name("configuration"));
        }
        if let Some(settings) = found.get("activitySettings") {
            self.activity_settings(settings, &Path::ROOT.name("activitySettings"));
        }
        if let Some(settings) = found.get("searchSettings") {
            self.search_settings(settings, &Path::ROOT.name("searchSettings"));
        }
        if let Some(settings) = found.get("complianceSettings") {
            self.compliance_settings(settings, &Path::ROOT.name("complianceSettings"));
        }
        // Flags: one string, `search, compliance`.
        if let Some(flags) = found.text("enabledContentExperiences") {
            let place = Path::ROOT.name("enabledContentExperiences");
            for flag in flags.split(',') {
                self.word(flag.trim(), &place, &CONTENT_EXPERIENCE);
            }
        }
    }

    /// An open type: what else it has is the client's own.
    fn configuration(&mut self, json: Json<'_>, path: &Path<'_>) {
        let Some(ids) = json.member("authorizedAppIds").filter(|ids| !ids.is_null()) else {
            return;
        };
        let place = path.name("authorizedAppIds");
        if ids.kind() != Kind::Array {
            let message = format!("it is {}, and {} is needed", ids.kind(), Kind::Array);
            self.refuse(Rule::MemberType, place, message);
        }
        self.texts(Some(ids), &place, |reader, id, place| {
            if id.is_empty() {
                let message = "it is empty; send the id of an application, or leave it out";
                reader.refuse(Rule::MemberRequired, place, message);
            }
        });
    }
}
