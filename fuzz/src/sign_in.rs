//! Having a token before it is needed, by several at a time: one fetches, and none for ever.

use graphfeed_core::{
    machine::{SignIn, Tick},
    protocol::{Applied, Cause},
};
use graphfeed_emulator::Emulator;

use crate::drive::{World, keeps_secrets};

/// How long each waits, and what becomes of each fetch.
pub fn run(data: &[u8]) {
    let mut world = World::new(data, Emulator::default());
    let count = 1 + world.wire.tape.up_to(5);
    let mut machines = Vec::new();
    for _ in 0..count {
        let start = Tick::default() + world.wire.tape.time();
        machines.push((start, SignIn::new(world.longest, start)));
    }
    world.drive(machines, |world, _, _, result| match result {
        Ok(()) => assert!(!world.tokens.is_empty(), "there is no token"),
        Err(why) => {
            assert!(matches!(why.cause(), Cause::Token(_)), "{why}");
            assert!(why.applied() == Applied::No && why.attempts() <= 1, "{why}");
            keeps_secrets(&why);
        }
    });
}
