//! The suite that every transport is held against.

use graphfeed_emulator::conformance::Stage;
use graphfeed_hyper::HyperTransport;

#[tokio::test(flavor = "multi_thread")]
async fn over_plain_http() {
    let stage = Stage::on_loopback().unwrap();
    stage.check_async(&HyperTransport::danger_plain_http()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls() {
    let stage = Stage::on_loopback_with_tls().unwrap();
    let pem = stage.certificate().unwrap().as_bytes();
    stage.check_async(&HyperTransport::with_extra_roots(pem).unwrap()).await.unwrap();
    stage.check_distrust_async(&HyperTransport::new()).await.unwrap();
}
