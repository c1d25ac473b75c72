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
    let count = 1 + world.wire.tape.up_to(7) as usize;
    let named: Vec<_> = (0..count).map(|nth| calls::any(&mut world.wire.tape, nth)).collect();
    let seed = u64::from(world.wire.tape.up_to(255));
    let machines = named.iter().enumerate().map(|(nth, named)| {
        let start = Tick::default() + world.wire.tape.time();
        (start, Exchange::new(named.call.clone(), &world.policy, seed << 8 | nth as u64, start))
    });
    let machines = machines.collect();
    world.drive(machines, |world, nth, _, result| {
        is_true(world, &named[nth], result.as_ref());
    });
    is_paid_for(&world);
    world.trace
}

/// Each repeat was paid for, by what there was at first or what successes have brought.
fn is_paid_for(world: &World<'_>) {
    let World { budget, repeats, successes, .. } = world;
    let earned = budget.capacity + successes * budget.refund;
    assert!(repeats * budget.cost <= earned, "{repeats} repeats on a budget of {earned}");
}
