//! What one call allocates, counted exactly: poll, send, answer, done.
//!
//! A program of its own, for the counter stands in for the allocator. What it counts is the
//! thread's own.

#[path = "../benches/one_call/mod.rs"]
mod one_call;

use allocation_counter::{AllocationInfo, measure};
use one_call::{Calls, Exchanges, Ingesting, answer, put};

/// The most allocations of one call.
const MOST: u64 = 4;
/// So many calls go before, so that everything that is kept is there.
const BEFORE: usize = 5_000;

/// What the next call allocates, whose body has so many bytes of text.
fn counted(mut calls: impl Calls, text: usize) -> AllocationInfo {
    let call = put(text);
    let answer = answer(&put(100));
    for _ in 0..BEFORE {
        calls.make(&call, answer.clone());
    }
    measure(|| calls.make(&call, answer))
}

#[test]
fn one_call_allocates_four_times_at_most() {
    for (what, counted) in
        [("exchange", counted(Exchanges::new(), 100)), ("ingest", counted(Ingesting::new(), 100))]
    {
        assert!(counted.count_total <= MOST, "{what}: {counted:?}");
        assert!(counted.count_total > 0, "the counter counts: {counted:?}");
    }
}

#[test]
fn no_allocation_grows_with_the_body() {
    let bytes = |small: AllocationInfo, large: AllocationInfo| {
        assert_eq!(small.count_total, large.count_total);
        (small.bytes_total, large.bytes_total)
    };
    let (small, large) =
        bytes(counted(Exchanges::new(), 100), counted(Exchanges::new(), 1_000_000));
    assert_eq!(small, large, "an exchange");
    let (small, large) =
        bytes(counted(Ingesting::new(), 100), counted(Ingesting::new(), 1_000_000));
    assert_eq!(small, large, "a bulk run");
}
