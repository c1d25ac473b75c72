//! Updates of a registered schema: what the core's plan says of them, and what the service does.

use graphfeed_core::{
    external::{
        GetSchema, ImportanceScore, Label, PropertyType, RegisterSchema, Schema, SchemaAttribute,
        SchemaPlan, SchemaProperty, StoredSchema,
    },
    protocol::{Endpoint, ServiceRoot},
    types::{BuildError, ConnectionId},
};

use crate::{
    built::contosohr,
    meant::{response, send},
    support::Bench,
    text::Dice,
    verdict::{Exception, Faults, Only, of_core, of_emulator},
};

/// A property that breaks no rule, so that most schemas of them break none.
fn property(dice: &Dice<'_>, index: usize) -> SchemaProperty {
    use SchemaAttribute::{ExactMatchRequired, Queryable, Refinable, Retrievable, Searchable};
    let kind = PropertyType::KNOWN[dice.below(PropertyType::KNOWN.len())];
    let kind = if dice.rarely(3) { kind } else { "string" };
    let name = dice.or_odd(&["p", "p", "p"], &["P"]);
    let mut property = SchemaProperty::new(format!("{name}{index}"), PropertyType::from(kind));
    let is_text = matches!(kind, "string" | "stringCollection");
    let is_searchable = is_text && dice.rarely(3);
    let is_refinable = matches!(kind, "string" | "int64" | "double");
    let is_refinable = is_refinable && !is_searchable && dice.rarely(2);
    for (attribute, on) in [
        (Searchable, is_searchable),
        (Refinable, is_refinable),
        (Queryable, dice.rarely(2)),
        (Retrievable, !dice.rarely(3)),
        (ExactMatchRequired, is_text && !is_searchable && dice.rarely(8)),
    ] {
        property = property.switch(attribute, on);
    }
    if property.has(Retrievable) && kind == "string" && dice.rarely(3) {
        const LABELS: [Label; 4] = [Label::Title, Label::Url, Label::IconUrl, Label::ContainerName];
        property = property.label(LABELS[dice.below(LABELS.len())].clone());
    }
    for alias in ["alias", "Alias", "other"] {
        if dice.rarely(5) {
            property = property.alias(format!("{alias}{index}"));
        }
    }
    if dice.rarely(12) {
        property = property.alias("moving");
    }
    if dice.rarely(5) {
        property = property.description(dice.pick(&["a", "ä", ""]));
    }
    match dice.rarely(8) {
        true => property.ranking_hint(ImportanceScore::from(dice.pick(&["low", "high"]))),
        false => property,
    }
}

/// Two schemas of which the second has much of the first.
fn pair(dice: &Dice<'_>) -> Result<(Schema, Schema), BuildError> {
    let before: Vec<_> = (0..1 + dice.below(4)).map(|index| property(dice, index)).collect();
    let mut after = Vec::new();
    for (index, before) in before.iter().enumerate() {
        match dice.below(8) {
            7 => {}
            6 => after.push(property(dice, index)),
            some => {
                let attribute = SchemaAttribute::ALL[dice.below(SchemaAttribute::ALL.len())];
                let changed = before.clone();
                after.push(match some {
                    5 => changed.switch(attribute, !before.has(attribute)),
                    4 => changed.description("changed"),
                    3 => changed.alias(format!("more{index}")),
                    _ => changed,
                });
            }
        }
    }
    after.extend((0..dice.below(3)).map(|more| property(dice, before.len() + more)));
    // The names that the service gives: they are in no schema that comes before, or else it would be
    // the exception.
    if let Some(taker) = after.last_mut()
        && dice.rarely(8)
    {
        let alias = dice.pick(&["RefinableString00", "RefinableInt00", "refinablestring00"]);
        *taker = taker.clone().alias(alias);
    }
    if dice.rarely(3) {
        after.reverse();
    }
    Ok((Schema::new(before)?, Schema::new(after)?))
}

fn stored(bench: &Bench, root: &ServiceRoot, id: &ConnectionId) -> StoredSchema {
    let call = GetSchema::new(id).call(root).unwrap();
    call.response(response(send(bench, call.request()))).unwrap().value
}

/// What the core goes by the look of an alias for, of which the emulator knows who gave it.
pub(crate) static EXCEPTION: Exception = Exception {
    only: Only::Core,
    rule: "schema-update",
    what: "an alias that looks like the service's, was given by somebody else and goes to another property",
    when: |_| true,
    example: r#""aliases":["RefinableString00"]"#,
};

/// Whether it is met.
pub(crate) fn exception_is_met(root: &ServiceRoot) -> bool {
    let id = contosohr();
    let schema = |of: usize| {
        let text = |name: &str| SchemaProperty::new(name, PropertyType::String);
        let mut properties = [text("a"), text("b")];
        properties[of] = properties[of].clone().alias("RefinableString00");
        Schema::new(properties).unwrap()
    };
    let (bench, before) = (Bench::with(crate::strict), schema(0));
    bench.expect(
        201,
        "POST",
        "/v1.0/external/connections",
        r#"{"id":"contosohr","name":"Contoso HR"}"#,
    );
    send(&bench, &RegisterSchema::new(&id, &before).request(root).unwrap());
    bench.wait(1_000);
    let (known, after) = (stored(&bench, root, &id), schema(1));
    let plan = SchemaPlan::between(&known, &after);
    let answer =
        send(&bench, &RegisterSchema::new(&id, &after).over(&known).request(root).unwrap());
    let faults = of_core(&plan.check().unwrap_err());
    faults.iter().all(|(rule, _)| rule == EXCEPTION.rule) && answer.status == 202
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Became {
    /// One of the schemas cannot be sent at all.
    Nothing,
    Unchanged,
    Allowed,
    NeedsReingest,
    Impossible,
}

/// All of it.
pub(crate) const ALL: [Became; 5] = [
    Became::Nothing,
    Became::Unchanged,
    Became::Allowed,
    Became::NeedsReingest,
    Became::Impossible,
];

/// Registers a schema and updates it.
///
/// # Errors
/// Where the service does not do what the plan says.
pub(crate) fn update(root: &ServiceRoot, dice: &Dice<'_>) -> Result<Became, String> {
    let id = contosohr();
    let Ok((before, after)) = pair(dice) else { return Ok(Became::Nothing) };
    let Ok(register) = RegisterSchema::new(&id, &before).request(root) else {
        return Ok(Became::Nothing);
    };
    let bench = Bench::with(crate::strict);
    let connection = r#"{"id":"contosohr","name":"Contoso HR"}"#;
    bench.expect(201, "POST", "/v1.0/external/connections", connection);
    let registered = send(&bench, &register);
    if registered.status != 202 {
        return Err(registered.text);
    }
    bench.wait(1_000);

    let known = stored(&bench, root, &id);
    if !known.is(&before) {
        return Err(format!("registered: {}", SchemaPlan::between(&known, &before)));
    }
    let plan = SchemaPlan::between(&known, &after);
    let Ok(request) = RegisterSchema::new(&id, &after).over(&known).request(root) else {
        return Ok(Became::Nothing);
    };
    let answer = send(&bench, &request);
    let refused = plan.check().map_or_else(|why| of_core(&why), |()| Faults::new());
    if refused != of_emulator(&answer) || (answer.status == 202) != plan.is_possible() {
        return Err(format!("{plan}\n{refused:?} {}", answer.text));
    }
    bench.wait(1_000);
    let now = stored(&bench, root, &id);
    let expected = if plan.is_possible() { &after } else { &before };
    let rest = SchemaPlan::between(&now, expected);
    if !rest.is_empty() {
        return Err(format!("{plan}\nleaves {rest}"));
    }
    if let Some(lost) = lost(&known, &now, expected) {
        return Err(format!("{plan}\nloses {lost}"));
    }
    Ok(match () {
        () if !plan.is_possible() => Became::Impossible,
        () if plan.is_empty() => Became::Unchanged,
        () if plan.needs_reingest() => Became::NeedsReingest,
        () => Became::Allowed,
    })
}

/// An alias or a hint that is lost although the plan calls it no difference.
fn lost(before: &StoredSchema, now: &StoredSchema, wanted: &Schema) -> Option<String> {
    let all = before.properties.iter().flatten();
    let kept = all.filter_map(|old| Some((old, now.get(old.name.as_deref()?)?)));
    for (old, new) in kept {
        let has = |alias: &String| {
            let mut aliases = new.aliases.iter().flatten();
            aliases.any(|other| other.eq_ignore_ascii_case(alias))
        };
        let is_given = |alias: &String| {
            wanted.properties().iter().any(|other| {
                Some(other.name()) != old.name.as_deref()
                    && std::iter::once(other.name())
                        .chain(other.aliases().iter().map(String::as_str))
                        .any(|name| name.eq_ignore_ascii_case(alias))
            })
        };
        if [old, new].iter().all(|it| it.is_refinable == Some(true)) {
            let gone = old.aliases.iter().flatten().find(|it| !has(it) && !is_given(it));
            if let Some(alias) = gone {
                return Some(alias.clone());
            }
        }
        if old.ranking_hint.is_some() && new.ranking_hint.is_none() {
            return Some(format!("the ranking hint of {:?}", old.name));
        }
    }
    None
}
