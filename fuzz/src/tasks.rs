//! Several calls that belong together, to a service that answers badly or not at all: what they
//! tell in the end is so.

use std::{collections::BTreeMap, time::Duration};

use graphfeed_core::{
    external::{
        AwaitGone, AwaitReady, AwaitSchema, CreateConnectionOnce, EnsureConnection, EnsureSchema,
        EnsuredSchema, ExternalConnection, ExternalGroup, GetConnection, GetOperation, GetSchema,
        GroupPlan, GroupWithMembers, Identity, PropertyType, Schema, SchemaPlan, SchemaProperty,
    },
    machine::{Start, Task, Tick},
    protocol::{Endpoint, Error, ServiceRoot},
    types::{ConnectionId, ExternalGroupId, Guid, OperationId},
};
use graphfeed_emulator::{ConnectionState, Emulator, Options};

use crate::{
    drive::{World, keeps_secrets},
    tenant::{self, CONNECTION, CONNECTIONS},
    wire::Tape,
};

/// Which task, what is there before it, and what becomes of each attempt.
pub fn run(data: &[u8]) {
    let emulator = Emulator::with_clock(Options::default(), || Duration::ZERO);
    let mut world = World::new(data, emulator);
    world.wire.honest = true;
    let id = &ConnectionId::new(CONNECTION).expect("an id");
    let connection = ExternalConnection::builder(id.clone(), "Contoso HR").description("Wanted");
    let connection = connection.build().expect("a connection");
    let schema = schema(&mut world.wire.tape);
    let which = world.wire.tape.up_to(7);
    let mut registered = None;
    if which > 0 || world.wire.tape.once_in(2) {
        registered = before(&mut world);
    }
    let at_most = world.wire.tape.time() * 10;
    // A task that waits asks once at least, in the time of a call.
    let total = world.policy.total;
    world.longest = match which {
        0..=2 => total,
        // The schema, then its operation, then the connection.
        3 => total + at_most.max(total) + total,
        4..=6 => at_most.max(total),
        // Each step has that of a call.
        _ => total * 100,
    };
    let is_there = |world: &World<'_>| {
        world.wire.emulator.service().connection_ids().any(|it| it == CONNECTION)
    };
    let is_ready = |world: &World<'_>| {
        let state = world.wire.emulator.service().connection_state(CONNECTION);
        assert_eq!(state, Some(ConnectionState::Ready));
    };
    let has_schema = |world: &World<'_>| {
        // Once what is on its way is over.
        tenant_at(world, world.now + Duration::from_secs(24 * 3600));
        let there = seen(world, GetSchema::new(id)).expect("told as there");
        let plan = SchemaPlan::between(&there, &schema);
        assert!(plan.is_empty(), "{plan:?} is missing");
    };
    match which {
        0 => runs(&mut world, &EnsureConnection::new(&connection), |world, ended| {
            if ended.is_ok() {
                let there = seen(world, GetConnection::new(id)).expect("told as there");
                assert_eq!(there.name.as_deref(), Some("Contoso HR"));
                assert_eq!(there.description.as_deref(), Some("Wanted"), "told as brought in line");
            }
        }),
        1 => runs(&mut world, &CreateConnectionOnce::new(&connection), |world, ended| {
            if ended.is_ok() {
                let there = seen(world, GetConnection::new(id)).expect("told as there");
                assert_eq!(there.name.as_deref(), Some("Contoso HR"));
            }
        }),
        2 => runs(&mut world, &EnsureSchema::new(id, &schema), |world, ended| {
            let Ok(ended) = ended else { return };
            if let EnsuredSchema::Begun { registration, .. } = ended {
                let there = seen(world, GetOperation::new(id, &registration.operation));
                // Where the answer led elsewhere it named no operation that is there.
                assert!(there.is_some() || world.wire.misled, "told as begun");
            }
            has_schema(world);
        }),
        3 => {
            let task = EnsureSchema::new(id, &schema).ready().at_most(at_most);
            runs(&mut world, &task, |world, ended| {
                let Ok(ended) = ended else { return };
                is_ready(world);
                assert_eq!(ended.connection.id.as_deref(), Some(CONNECTION));
                has_schema(world);
            });
        }
        4 => runs(&mut world, &AwaitReady::new(id.clone()).at_most(at_most), |world, ended| {
            drop(ended.map(|_| is_ready(world)));
        }),
        5 => runs(&mut world, &AwaitGone::new(id.clone()).at_most(at_most), |world, ended| {
            assert!(ended.is_err() || !is_there(world), "told as gone");
        }),
        6 => {
            let unknown = || OperationId::new("1.neu.0278337E599FC8DBF5607ED12CF463E4");
            let is_known = registered.is_some();
            let operation = registered.unwrap_or_else(|| unknown().expect("an id"));
            let task = AwaitSchema::new(id.clone(), operation).at_most(at_most);
            runs(&mut world, &task, |world, ended| {
                if ended.is_ok() {
                    assert!(is_known, "an operation that nobody began is told as over");
                    is_ready(world);
                }
            });
        }
        _ => groups(&mut world, id),
    }
}

fn runs<K: Task>(
    world: &mut World<'_>,
    task: &K,
    judge: impl FnOnce(&World<'_>, Result<K::Output, Error>),
) {
    let now = world.now + Duration::from_secs(10);
    // Another one in each run, for the ids of calls come of it.
    let seed = u64::from(world.wire.tape.up_to(255)) << 56 ^ now.since_origin().as_millis() as u64;
    let start = Start::new(ServiceRoot::v1(), world.policy.clone(), seed, now);
    let Ok(machine) = task.start(&start) else { return };
    let mut judge = Some(judge);
    world.drive(vec![(now, machine)], |world, _, now, ended| {
        if let Err(why) = &ended {
            assert!(!why.to_string().is_empty());
            keeps_secrets(&why.to_string());
        }
        // What time it is shows in what is there.
        tenant_at(world, now);
        judge.take().expect("it ends once")(world, ended);
    });
}

/// The emulator looks at the clock when it is asked.
fn tenant_at(world: &World<'_>, now: Tick) {
    let mut request = http::Request::get(CONNECTIONS).body(bytes::Bytes::new()).expect("a request");
    request.headers_mut().insert("authorization", "Bearer any".parse().expect("a value"));
    world.wire.emulator.handle_at(now.since_origin(), &request);
}

/// What the service answers now, where nothing stands before it; `None` if it has none.
fn seen<E: Endpoint>(world: &World<'_>, asked: E) -> Option<E::Output> {
    let root = ServiceRoot::v1();
    let request = asked.request(&root).expect("a request");
    let answer = tenant::carry(&world.wire.emulator, request);
    asked.call(&root).expect("a call").response(answer).ok().map(|reply| reply.value)
}

/// What is there before the task, and the registration of its schema that has begun.
fn before(world: &mut World<'_>) -> Option<OperationId> {
    let emulator = &world.wire.emulator;
    let tape = &mut world.wire.tape;
    if tape.once_in(4) {
        return None;
    }
    let name = tape.one_of(&["Contoso HR", "Another"]);
    tenant::send(
        emulator,
        "POST",
        CONNECTIONS,
        &format!(r#"{{"id":"{CONNECTION}","name":"{name}"}}"#),
    );
    let path = format!("{CONNECTIONS}/{CONNECTION}");
    let mut registered = None;
    if tape.once_in(2) {
        let kind = tape.one_of(&["string", "int64", "double"]);
        let schema = tenant::schema([("one".to_owned(), kind.to_owned())]);
        let answer = tenant::send(emulator, "PATCH", &format!("{path}/schema"), &schema);
        let location = answer.headers()["location"].to_str().expect("an address");
        let operation = location.rsplit('/').next().expect("an id");
        registered = Some(OperationId::new(operation).expect("an id"));
    }
    if tape.once_in(4) {
        tenant::send(emulator, "DELETE", &path, "");
    }
    emulator.take_reports();
    registered
}

fn schema(tape: &mut Tape<'_>) -> Schema {
    let kinds = [PropertyType::String, PropertyType::Int64, PropertyType::StringCollection];
    let mut properties = Vec::new();
    for name in ["one", "two", "three"] {
        let kind = kinds[tape.up_to(2) as usize].clone();
        properties.push(SchemaProperty::new(name, kind).retrievable());
    }
    // Copilot wants these, and the emulator reports where they are not there.
    use graphfeed_core::external::Label;
    for (name, label) in [("a", Label::Title), ("b", Label::Url), ("c", Label::IconUrl)] {
        properties.push(SchemaProperty::new(name, PropertyType::String).retrievable().label(label));
    }
    Schema::new(properties).expect("a schema")
}

const GROUPS: [&str; 4] = ["team-a", "team-b", "team-c", "team-d"];

/// Some groups with some members, none of which contains itself.
fn some_groups(tape: &mut Tape<'_>) -> Vec<GroupWithMembers> {
    let mut groups: Vec<GroupWithMembers> = Vec::new();
    for name in GROUPS {
        if tape.once_in(3) {
            continue;
        }
        let mut group = ExternalGroup::builder(ExternalGroupId::new(name).expect("an id"));
        if tape.once_in(2) {
            group = group.display_name(tape.one_of(&["a", "b"]));
        }
        let mut members = Vec::new();
        for user in 0..3_u128 {
            if tape.once_in(2) {
                members.push(Identity::user(Guid::from(user)));
            }
        }
        if let Some(inner) = groups.last().filter(|_| tape.once_in(2)) {
            members.push(Identity::external_group(inner.group().id()));
        }
        groups.push(GroupWithMembers::new(group.build(), members));
    }
    groups
}

fn groups(world: &mut World<'_>, id: &ConnectionId) {
    let emulator = &world.wire.emulator;
    tenant::send(emulator, "POST", CONNECTIONS, &format!(r#"{{"id":"{CONNECTION}","name":"a"}}"#));
    let nothing = Vec::new();
    let existing = some_groups(&mut world.wire.tape);
    let plan = GroupPlan::between(id, &existing, &nothing).expect("a plan");
    // It may be given up on the way, and then nobody knows how far it came.
    let mut record = plan.in_doubt(nothing.clone());
    runs(world, &plan, |world, applied| {
        record = applied.expect("its steps have outcomes").record(nothing);
        is_so(world, &record);
    });
    for _ in 0..2 {
        let wanted = some_groups(&mut world.wire.tape);
        let plan = GroupPlan::between(id, &wanted, &record).expect("a plan");
        let before = std::mem::take(&mut record);
        record = plan.in_doubt(before.clone());
        runs(world, &plan, |_, applied| {
            let applied = applied.expect("its steps have outcomes");
            record = applied.record(before);
            if applied.into_result().is_ok() {
                assert!(record.iter().all(|it| !it.is_unsure() && it.unsure_members().is_empty()));
                assert_eq!(shape(&record), shape(&wanted));
            }
        });
        is_so(world, &record);
    }
}

/// Texts and members of each group.
type Shape = BTreeMap<String, (Option<String>, Vec<String>)>;

fn shape(groups: &[GroupWithMembers]) -> Shape {
    let each = groups.iter().map(|it| {
        let mut members: Vec<_> = it.members().iter().map(|it| it.id().to_owned()).collect();
        members.sort_unstable();
        let text = it.group().display_name().map(str::to_owned);
        (it.group().id().to_string(), (text, members))
    });
    each.collect()
}

/// What a record is sure of is so, and what is there is on record.
fn is_so(world: &World<'_>, record: &[GroupWithMembers]) {
    let there: BTreeMap<String, _> =
        world.wire.emulator.groups(CONNECTION).into_iter().map(|it| (it.id.clone(), it)).collect();
    for group in record.iter().filter(|it| !it.is_unsure()) {
        let found = there.get(group.group().id().as_str());
        let found = found.unwrap_or_else(|| panic!("{group:?} is not there"));
        assert_eq!(found.display_name.as_deref(), group.group().display_name(), "{group:?}");
        for member in group.members() {
            assert!(found.members.iter().any(|it| it.id == member.id()), "{member:?} of {group:?}");
        }
    }
    for (id, found) in &there {
        let known = record.iter().find(|it| it.group().id().as_str() == id);
        let known = known.unwrap_or_else(|| panic!("{id} is there and not on record"));
        for member in &found.members {
            let mut all = known.members().iter().chain(known.unsure_members());
            assert!(all.any(|it| it.id() == member.id), "{member:?} of {id} is not on record");
        }
    }
}
