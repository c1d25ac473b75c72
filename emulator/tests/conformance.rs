//! The suite that every transport is held against, over the emulator in process.

use graphfeed_core::client::{Failure, SendOptions, Transport};
use graphfeed_emulator::conformance::Stage;

#[test]
fn the_emulator_in_process_is_a_transport_like_any_other() {
    let stage = Stage::in_process().unwrap();
    stage.check(&stage.transport()).unwrap();
    pollster::block_on(stage.check_async(&stage.transport())).unwrap();
}

/// The suite can fail: a transport that repeats, one that hides statuses, one that cuts bodies.
#[test]
fn what_does_not_conform_is_told_with_the_check_that_it_fails() {
    type Request = http::Request<bytes::Bytes>;
    let stage = Stage::in_process().unwrap();
    let emulator = stage.transport();

    let repeats = |request: Request, options: &SendOptions| {
        emulator.send(request.clone(), options).or_else(|_| emulator.send(request, options))
    };
    let told = stage.check(&repeats).unwrap_err().to_string();
    assert!(told.contains("nothing is repeated by the transport itself"), "{told}");

    let hides = |request: Request, options: &SendOptions| {
        emulator.send(request, options).and_then(|answer| match answer.status().is_success() {
            true => Ok(answer),
            false => Err(Failure::maybe_sent("a status")),
        })
    };
    let told = stage.check(&hides).unwrap_err().to_string();
    assert!(told.contains("every status is an answer"), "{told}");
    assert!(told.contains("a redirect is an answer"), "{told}");

    let forgets = |request: Request, options: &SendOptions| {
        emulator.send(request, options).map_err(|_| Failure::not_sent("forgotten"))
    };
    let told = stage.check(&forgets).unwrap_err().to_string();
    assert!(told.contains("a connection closed without an answer"), "{told}");

    let cuts = |request: Request, options: &SendOptions| {
        emulator
            .send(request, options)
            .map(|answer| answer.map(|body| body.slice(..body.len().min(1000))))
    };
    let told = stage.check(&cuts).unwrap_err().to_string();
    assert!(told.contains("bodies of 4 MB go both ways"), "{told}");
}
