//! Having a token before it is needed, by several at a time: one fetches, and none for ever.

use graphfeed_core::machine::{SignIn, Tick};
use graphfeed_emulator::Emulator;

use crate::drive::World;

/// How long each waits, and what becomes of each fetch.
pub fn run(data: &[u8]) {
    let mut world = World::new(data, Emulator::default());
    let count = 1 + world.wire.tape.up_to(5);
    let mut machines = Vec::new();
    for _ in 0..count {
        let start = Tick::default() + world.wire.tape.time();
        machines.push((start, SignIn::new(world.longest, start)));
    }
    world.drive(machines, |_, _, _, result| {
        if let Err(why) = result {
            assert!(!why.to_string().is_empty());
            assert!(why.attempts() <= 1);
        }
    });
}
