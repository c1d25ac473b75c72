//! Reads external items and the activities on them. Their properties are read in `property`.
//!
//! Sources: put-items (v1.0 and beta), addActivities, resources externalItem, acl,
//! externalItemContent and externalActivity, API limits.

use super::{
    Form, Found, Member, Need, Reader, Shape, Words,
    identity::{IDENTITY, IDENTITY_SOURCE},
};
use crate::{
    check::{self, shown},
    findings::{Finding, Findings, Refusal, by_switch},
    json::{Json, Kind},
    model::{AclEntry, Content, Item, ItemActivity, Property, Schema},
    path::Path,
    rules::Rule,
};

pub(super) const ITEM: Shape = Shape {
    name: "an item",
    odata_type: "microsoft.graph.externalConnectors.externalItem",
    members: &[
        Member("id", Need::Optional, Form::Text),
        // Missing ones have rules of their own.
        Member("acl", Need::Optional, Form::Array),
        Member("properties", Need::Optional, Form::Object),
        Member("content", Need::Optional, Form::Any),
        Member("informationProtectionLabel", Need::Optional, Form::Object),
        Member("activities", Need::Optional, Form::Array),
    ],
};

pub(super) const ACCESS_TYPE: Words = Words { name: "accessType", known: &["grant", "deny"] };

pub(super) const ACL_TYPE: Words = Words {
    name: "aclType",
    known: &["user", "group", "everyone", "everyoneExceptGuests", "externalGroup"],
};

pub(super) const ACL: Shape = Shape {
    name: "an acl entry",
    odata_type: "microsoft.graph.externalConnectors.acl",
    members: &[
        Member("accessType", Need::Required, Form::Word(&ACCESS_TYPE)),
        Member("type", Need::Required, Form::Word(&ACL_TYPE)),
        Member("value", Need::Required, Form::Text),
        // In v1.0 it has a rule of its own.
        Member("identitySource", Need::Optional, Form::Word(&IDENTITY_SOURCE)),
    ],
};

pub(super) const CONTENT_TYPE: Words =
    Words { name: "externalItemContentType", known: &["text", "html"] };

pub(super) const CONTENT: Shape = Shape {
    name: "content",
    odata_type: "microsoft.graph.externalConnectors.externalItemContent",
    members: &[
        // What is wrong with either is wrong with the content.
        Member("type", Need::Optional, Form::Any),
        Member("value", Need::Optional, Form::Any),
    ],
};

pub(super) const LABEL: Shape = Shape {
    name: "an information protection label",
    odata_type: "microsoft.graph.externalConnectors.externalItemInformationProtectionLabel",
    members: &[Member("sensitivityLabelId", Need::Required, Form::Text)],
};

pub(super) const ACTIVITY_TYPE: Words =
    Words { name: "externalActivityType", known: &["viewed", "modified", "created", "commented"] };

pub(super) const ACTIVITY: Shape = Shape {
    name: "an activity",
    odata_type: "",
    members: &[
        Member("id", Need::Server, Form::Text),
        Member("type", Need::Required, Form::Word(&ACTIVITY_TYPE)),
        Member("startDateTime", Need::Required, Form::Date),
        Member("performedBy", Need::Required, Form::Object),
    ],
};

/// An item as it was sent. None: an update leaves it as it is.
#[derive(Debug, Default)]
pub(crate) struct ItemParts {
    acl: Option<Vec<AclEntry>>,
    properties: Option<Vec<Property>>,
    content: Option<Option<Content>>,
    information_protection_label: Option<Option<String>>,
    activities: Vec<ItemActivity>,
}

impl ItemParts {
    /// Puts what was sent in the place of what is there. Activities are added.
    pub(crate) fn apply(self, item: &mut Item) {
        fn set<T>(old: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *old = new;
            }
        }
        set(&mut item.acl, self.acl);
        set(&mut item.properties, self.properties);
        set(&mut item.content, self.content);
        set(&mut item.information_protection_label, self.information_protection_label);
        item.activities.extend(self.activities);
    }
}

/// The verdict on one activity of a call, in the order they were sent.
#[derive(Debug)]
pub(crate) struct ActivityVerdict {
    /// `type` and `startDateTime` as they were sent; they go back to the client.
    pub(crate) kind: Option<String>,
    pub(crate) start_date_time: Option<String>,
    pub(crate) result: Result<ItemActivity, Vec<Finding>>,
}

impl Reader<'_> {
    /// Reads an item that is to be stored under `id`: all of it, or as an update those members
    /// that are there.
    pub(crate) fn item(
        &mut self,
        json: Json<'_>,
        id: &str,
        schema: &Schema,
        is_update: bool,
    ) -> ItemParts {
        let Some(found) = self.members(json, &Path::ROOT, &ITEM) else {
            return ItemParts::default();
        };
        if let Some(theirs) = found.text("id")
            && theirs != id
        {
            let message = format!(
                "the item is {} in the URL and {} in the body; send one id, or leave it out of \
                 the body",
                shown(id),
                shown(&theirs)
            );
            self.refuse(Rule::ItemIdMismatch, Path::ROOT.name("id"), message);
        }
        let is_read = |name| !is_update || found.is_sent(name);
        ItemParts {
            acl: is_read("acl").then(|| self.acl(&found)),
            properties: is_read("properties").then(|| self.properties(&found, schema)),
            content: is_read("content")
                .then(|| found.get("content").and_then(|content| self.content(content))),
            information_protection_label: is_read("informationProtectionLabel").then(|| {
                found.get("informationProtectionLabel").map(|label| self.protection_label(label))
            }),
            activities: self.inline_activities(found.get("activities")),
        }
    }

    fn protection_label(&mut self, json: Json<'_>) -> String {
        let place = Path::ROOT.name("informationProtectionLabel");
        let guid = self.members(json, &place, &LABEL);
        if let Some(guid) = guid.and_then(|found| found.text("sensitivityLabelId")) {
            let place = place.name("sensitivityLabelId");
            check::guid(&guid, place, "a sensitivity label", &mut self.findings);
        }
        json.raw().to_owned()
    }

    fn acl(&mut self, found: &Found<'_>) -> Vec<AclEntry> {
        let place = Path::ROOT.name("acl");
        let acl = found.get("acl").map(Json::elements);
        if found.is_missing("acl") || acl.as_ref().is_some_and(Vec::is_empty) {
            let message = "the item has no acl entry, so nobody could see it; add one";
            self.refuse(Rule::AclRequired, place, message);
        }
        let entries = acl.unwrap_or_default().into_iter().enumerate();
        entries.filter_map(|(index, entry)| self.acl_entry(entry, &place.index(index))).collect()
    }

    fn acl_entry(&mut self, json: Json<'_>, path: &Path<'_>) -> Option<AclEntry> {
        let found = self.members(json, path, &ACL)?;
        let kind = self.sourced(&found, found.word("type", &ACL_TYPE), path);
        let (kind, value) = (kind?, found.text("value")?);
        let place = path.name("value");
        match kind {
            "externalGroup" => check::external_group_id(&value, place, &mut self.findings),
            "everyone" if value == "everyone" => {
                let verdict = self.behaviour.everyone_literal;
                self.findings.judge(verdict, "everyone-literal", Rule::Guid, place, || {
                    "documented is the tenant id, not the word everyone".to_owned()
                });
            }
            _ => {
                let what = match kind {
                    "user" => "the object id of a user",
                    "group" => "the object id of a group",
                    _ => "the tenant id",
                };
                check::guid(&value, place, what, &mut self.findings);
            }
        }
        Some(AclEntry { access_type: found.word("accessType", &ACCESS_TYPE)?, kind, value })
    }

    fn content(&mut self, json: Json<'_>) -> Option<Content> {
        let place = Path::ROOT.name("content");
        if json.kind() != Kind::Object {
            let message = format!(
                "content is {}; it is an object such as {{\"type\":\"text\",\"value\":\"...\"}}",
                json.kind()
            );
            self.refuse(Rule::ItemContent, place, message);
            return None;
        }
        let found = self.members(json, &place, &CONTENT)?;
        let text = |name| {
            let value: Json<'_> = found.get(name)?;
            (value.kind() == Kind::Text).then(|| value.text())?
        };
        let kind = match text("type") {
            Some(kind) if kind == "unknownFutureValue" => {
                self.word(&kind, &place.name("type"), &CONTENT_TYPE);
                None
            }
            Some(kind) if CONTENT_TYPE.find_in_any_case(&kind).is_some() => {
                let is_taken = self.word(&kind, &place.name("type"), &CONTENT_TYPE);
                CONTENT_TYPE.find_in_any_case(&kind).filter(|_| is_taken)
            }
            other => {
                let found = other.as_deref().map_or("missing".to_owned(), shown);
                let message = format!("the type is {found}; it is text or html");
                self.refuse(Rule::ItemContent, place.name("type"), message);
                None
            }
        };
        let value = text("value");
        if value.is_none() {
            let message = "the content has no string as its value; send one, or no content";
            self.refuse(Rule::ItemContent, place.name("value"), message);
        }
        Some(Content { kind: kind?, value: value?.into_owned() })
    }

    fn inline_activities(&mut self, activities: Option<Json<'_>>) -> Vec<ItemActivity> {
        let place = Path::ROOT.name("activities");
        let activities = activities.map(Json::elements).unwrap_or_default();
        let mut read = Vec::new();
        for (index, activity) in activities.into_iter().enumerate() {
            let place = place.index(index);
            self.activity_type(activity, &place);
            read.extend(self.activity(activity, &place));
        }
        read
    }

    /// Reads the body of addActivities.
    ///
    /// # Errors
    /// What is wrong with the call as such. What is wrong with one activity is its own error.
    pub(crate) fn activities(&mut self, json: Json<'_>) -> Result<Vec<ActivityVerdict>, Refusal> {
        const CALL: Shape = Shape {
            name: "the call",
            odata_type: "",
            members: &[Member("activities", Need::Required, Form::Array)],
        };
        let place = Path::ROOT.name("activities");
        let found = self.members(json, &Path::ROOT, &CALL);
        let array = found.and_then(|found| found.get("activities"));
        let elements = array.map(Json::elements).unwrap_or_default();
        let most = self.behaviour.activities_per_call;
        if array.is_some() && !(1..=most).contains(&elements.len()) {
            let message = match elements.len() {
                0 => format!("there are none; send 1 to {most}"),
                more => by_switch(
                    format_args!("there are {more}; split them into calls of 1 to {most}"),
                    "activities-per-call",
                ),
            };
            self.refuse(Rule::ActivityCount, place, message);
        }
        let mut verdicts = Vec::with_capacity(elements.len().min(most));
        for (index, element) in elements.into_iter().take(most).enumerate() {
            let place = place.index(index);
            self.activity_type(element, &place);
            let outer = std::mem::take(&mut self.findings);
            let activity = self.activity(element, &place);
            let own = std::mem::replace(&mut self.findings, outer);
            self.findings.reports.extend(own.reports);
            let (of_the_call, of_its_own): (Vec<_>, Vec<_>) =
                own.faults.into_iter().partition(breaks_the_call);
            self.findings.faults.extend(of_the_call);
            let text = |name| Some(element.member(name)?.text()?.into_owned());
            verdicts.push(ActivityVerdict {
                kind: text("type"),
                start_date_time: text("startDateTime"),
                result: match activity {
                    Some(activity) if of_its_own.is_empty() => Ok(activity),
                    _ => Err(of_its_own),
                },
            });
        }
        if self.findings.is_clean() {
            Ok(verdicts)
        } else {
            let Findings { mut faults, .. } = std::mem::take(&mut self.findings);
            faults.extend(verdicts.into_iter().filter_map(|each| each.result.err()).flatten());
            Err(Refusal::of(faults))
        }
    }

    fn activity_type(&mut self, json: Json<'_>, path: &Path<'_>) {
        const WANTED: &str = "#microsoft.graph.externalConnectors.externalActivity";
        if json.kind() != Kind::Object {
            return;
        }
        let place = path.name("@odata.type");
        let (rule, message) = match json.member("@odata.type") {
            None => {
                let message = format!("the activity has no @odata.type; send {WANTED}");
                (Rule::ActivityOdataType, message)
            }
            Some(value) => {
                let text = value.text().unwrap_or_else(|| value.raw().into());
                if text == WANTED || text == WANTED[1..] {
                    return;
                }
                let message = format!("the @odata.type is {}; send {WANTED}", shown(&text));
                (Rule::AnnotationType, message)
            }
        };
        self.refuse(rule, place, message);
    }

    fn activity(&mut self, json: Json<'_>, path: &Path<'_>) -> Option<ItemActivity> {
        let found = self.members(json, path, &ACTIVITY)?;
        let place = path.name("performedBy");
        let by = found.get("performedBy");
        let by = by.and_then(|by| self.identity(by, &place, &IDENTITY))?;
        Some(ItemActivity {
            kind: found.word("type", &ACTIVITY_TYPE)?,
            start_date_time: found.text("startDateTime")?,
            performed_by_kind: by.kind,
            performed_by_id: by.id,
        })
    }
}

/// Whether a fault in one activity is of a kind that makes the whole body unreadable.
fn breaks_the_call(fault: &Finding) -> bool {
    matches!(fault.rule, Rule::MemberType | Rule::MemberUnknown | Rule::AnnotationType)
}
