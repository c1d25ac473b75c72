//! Single calls side by side, which share gates, budget and token.

use graphfeed_core::machine::{Exchange, Tick};
use graphfeed_emulator::Options;
use graphfeed_simulation::Tenant;

use crate::{
    calls::{self, is_true},
    drive::World,
};

/// What calls there are, and what becomes of each attempt.
pub fn run(data: &[u8]) {
    assert_eq!(once(data), once(data), "the same again is the same");
}

/// Runs them, and gives all that was sent and told.
fn once(data: &[u8]) -> Vec<String> {
    let tenant = Tenant::new(Options::default(), None);
    let mut world = World::new(data, tenant.emulator);
    world.each_once = true;
    world.elsewhere();
    let count = 1 + world.wire.tape.up_to(7) as usize;
    let named =
        (0..count).filter_map(|nth| calls::any(&mut world.wire.tape, nth, &world.root).ok());
    let named: Vec<_> = named.collect();
    let seed = u64::from(world.wire.tape.up_to(255));
    let machines = named.iter().enumerate().map(|(nth, named)| {
        let start = Tick::default() + world.wire.tape.time();
        (start, Exchange::new(named.call.clone(), &world.policy, seed << 8 | nth as u64, start))
    });
    let machines = machines.collect();
    world.drive(machines, |world, nth, _, result| {
        is_true(world, &named[nth], result.as_ref().map(|reply| reply.complete));
    });
    world.trace
}
