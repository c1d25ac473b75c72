//! What holds for any script of faults and any client: what is dropped leaves no trace, what is
//! stored is as if there had been no fault, and who waits is never called early.

mod support;

use std::time::Duration;

use bytes::Bytes;
use graphfeed_emulator::{Fault, Options, Outcome};
use http::Request;
use proptest::prelude::*;
use support::{Bench, ITEM, item, user_activity};

fn effect() -> impl Strategy<Value = (String, bool)> {
    let end = prop_oneof![
        (200_u16..600).prop_map(|status| status.to_string()),
        (400_u16..600).prop_map(|status| format!("html {status}")),
        Just("reset".to_owned()),
        Just("hang".to_owned()),
    ];
    prop_oneof![
        (end, any::<bool>()).prop_map(|(end, stored)| match stored {
            true => (format!("stored {end}"), true),
            false => (end, false),
        }),
        Just(("truncated".to_owned(), true)),
        Just(("no-responses".to_owned(), true)),
        Just(("unknown-id".to_owned(), true)),
        Just(("pass".to_owned(), true)),
    ]
}

fn options() -> impl Strategy<Value = String> {
    let told =
        prop_oneof!["[0-9]{1,4}", "[0-9]{1,3}\\.[0-9]{1,3}", "date:-?[0-9]{1,4}", "ms:[0-9]{1,5}"];
    let each = prop_oneof![
        told.prop_map(|value| format!(" retry-after={value}")),
        "[a-zA-Z]{1,9}".prop_map(|code| format!(" code={code}")),
        (0_u32..90_000).prop_map(|millis| format!(" latency={}", f64::from(millis) / 1000.0)),
        ".{0,12}".prop_map(|value| {
            format!(" code=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        }),
    ];
    proptest::collection::vec(each, 0..3).prop_map(|each| each.concat())
}

fn request((kind, id): (u8, u8)) -> Request<Bytes> {
    let target = ITEM.replace("TSP228082938", &id.to_string());
    let activity = format!("/v1.0/me/activities/{id}");
    match kind {
        0 => support::request("PUT", &target, item(r#""title":"a""#)),
        1 => support::request("PUT", &target, item(r#""title":1"#)),
        2 => support::request("DELETE", &target, ""),
        3 => support::request("GET", &target, ""),
        _ => support::request("PUT", &activity, user_activity(&id.to_string(), "")),
    }
}

fn state(bench: &Bench) -> String {
    format!("{:?}{:?}", bench.emulator.items("contosohr"), bench.emulator.user_activities())
}

proptest! {
    #[test]
    fn a_fault_is_written_as_it_is_read((effect, _) in effect(), options in options()) {
        let text = format!("PUT item: {effect}{options} times=3");
        let fault: Fault = text.parse().expect("a fault");
        prop_assert_eq!(fault.to_string().parse::<Fault>().expect("a fault"), fault);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", tail in "[a-z0-9 =|:.\"\\\\-]{0,40}") {
        let _ = text.parse::<Fault>();
        if let Ok(fault) = format!("PUT item: {tail}").parse::<Fault>() {
            prop_assert_eq!(fault.to_string().parse::<Fault>().expect("a fault"), fault);
        }
    }

    #[test]
    fn what_is_dropped_leaves_no_trace_and_what_is_stored_all_of_it(
        (effect, stored) in effect(),
        options in options(),
        requests in proptest::collection::vec((0_u8..5, 0_u8..3), 1..12),
    ) {
        let (bench, plain) = (Bench::ready(), Bench::ready());
        bench.emulator.script(&format!("*: {effect}{options}")).expect("a fault");
        let before = state(&bench);
        for each in requests {
            bench.emulator.deliver(&request(each));
            if stored {
                plain.emulator.deliver(&request(each));
            }
        }
        prop_assert_eq!(state(&bench), if stored { state(&plain) } else { before });
    }

    #[test]
    fn a_client_that_waits_as_it_is_told_is_never_early(
        seed in any::<u64>(),
        waits in proptest::collection::vec(0_u64..30_000, 1..6),
        start in 0_u64..5_000,
        hasty in any::<bool>(),
    ) {
        let faults = ["429", "503"].into_iter().flat_map(|status| {
            waits.iter().map(move |millis| {
                let seconds = *millis as f64 / 1000.0;
                let form = match millis % 3 {
                    0 => format!("{seconds}"),
                    1 => format!("ms:{millis}"),
                    _ => format!("date:{seconds}"),
                };
                format!("{status} retry-after={form}")
            })
        });
        let script = format!("*: {} chance=0.5", faults.collect::<Vec<_>>().join(" | "));
        let bench =
            Bench::of(Options { seed, faults: vec![script.parse().unwrap()], ..Options::default() });
        bench.wait(start);
        let mut early = 0;
        for id in 0..40 {
            let mut get = support::request("GET", "/v1.0/external/connections/contosohr", "");
            get.headers_mut().insert("client-request-id", id.into());
            for _ in 0..3 {
                let Outcome::Answer(answer) = bench.emulator.deliver(&get).outcome else {
                    panic!("no answer")
                };
                let Some(millis) = told(&answer) else { break };
                // A date names a whole second, which may be less far than it seems.
                let is_date = answer.headers().get("retry-after").is_some_and(|value| value.len() > 20);
                if hasty && millis > 0 && !is_date {
                    bench.wait(millis - 1);
                    bench.emulator.deliver(&get);
                    early += 1;
                    // Whatever it was told now is over before the next.
                    bench.wait(32_000);
                    break;
                }
                bench.wait(millis);
            }
        }
        prop_assert_eq!(bench.emulator.early_calls().len(), early);
    }
}

/// The wait that an answer tells, read as a client would, in milliseconds from now.
fn told(answer: &http::Response<Bytes>) -> Option<u64> {
    let text = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text"));
    if let Some(millis) = text("x-ms-retry-after-ms") {
        return Some(millis.parse().expect("a number"));
    }
    let value = text("retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Some(Duration::from_secs_f64(seconds).as_nanos().div_ceil(1_000_000) as u64);
    }
    // Whole seconds of the same day: the difference to the answer's own date is enough.
    let seconds = |date: &str| -> u64 {
        let time = date.split(' ').nth(4).expect("a time");
        time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u64>().expect("a number"))
    };
    Some(seconds(value).saturating_sub(seconds(text("date")?)) * 1000)
}
