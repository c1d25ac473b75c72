//! Calls of all kinds in batches, of which each part has a fate of its own.

use graphfeed_core::machine::{Batches, Start, Task, Tick};
use graphfeed_emulator::Options;
use graphfeed_simulation::Tenant;

use crate::{
    calls::{self, is_true},
    drive::World,
};

/// How many calls there are, and what becomes of each attempt.
pub fn run(data: &[u8]) {
    let tenant = Tenant::new(Options::default(), None);
    let mut world = World::new(data, tenant.emulator);
    world.each_once = true;
    world.elsewhere();
    let root = world.root.clone();
    let seed = u64::from(world.wire.tape.up_to(255));
    let (mut machines, mut all, mut number) = (Vec::new(), Vec::new(), 0);
    for nth in 0..1 + world.wire.tape.up_to(1) {
        let mut batches = Batches::new(&root);
        let mut parts = Vec::new();
        for _ in 0..world.wire.tape.up_to(45) {
            if let Ok(named) = calls::any(&mut world.wire.tape, number, &root) {
                parts.push((batches.add_call(named.call.clone()), named));
            }
            number += 1;
        }
        let now = Tick::default() + world.wire.tape.time();
        let start = Start::new(root.clone(), world.policy.clone(), seed << 8 | u64::from(nth), now);
        all.push(parts);
        machines.push((now, batches, start));
    }
    let machines = machines
        .iter()
        .map(|(now, batches, start)| (*now, batches.start(start).expect("it starts")));
    world.drive(machines.collect(), |world, nth, _, result| {
        let answers = result.expect("each part has its own outcome");
        for (part, named) in &all[nth] {
            let reply = answers.reply(part);
            is_true(world, named, reply.as_ref().map(|reply| reply.complete));
        }
        assert!(answers.strays().is_empty(), "{:?}", answers.strays());
    });
}
