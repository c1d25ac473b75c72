//! The suite that every transport is held against.

use graphfeed_emulator::conformance::Stage;
use graphfeed_ureq::UreqTransport;

#[test]
fn over_plain_http() {
    let stage = Stage::on_loopback().unwrap();
    stage.check(&UreqTransport::danger_plain_http()).unwrap();
}

#[test]
fn over_tls() {
    let stage = Stage::on_loopback_with_tls().unwrap();
    let pem = stage.certificate().unwrap().as_bytes();
    stage.check(&UreqTransport::with_extra_roots(pem).unwrap()).unwrap();
    stage.check_distrust(&UreqTransport::new()).unwrap();
}
