//! Where a run goes: the emulator in this program, or a tenant. Makes the clients for either.

use std::{io, sync::Arc, time::Duration};

use graphfeed_core::{
    client::ClientBuilder,
    protocol::{self, Version},
};
use graphfeed_emulator::{EarlyCalls, Fault, Options};
use graphfeed_examples::{
    Loopback,
    calls::Calls,
    progress::say,
    settings::{self, Settings, SignIn},
    way::Way,
};
use graphfeed_ureq::seed;

use crate::{
    recording::User,
    run::{Skipped, Target},
    traffic::Traffic,
};

/// Made up, like everything about people in the emulator.
const TENANT: u128 = 0x0a5e_c0de_0000_4000_8000_0000_0000_0001;
const AUTHOR: u128 = 0x0a5e_c0de_0000_4000_8000_0000_0000_0002;
/// The domain that the app has registered for its user activities; this one is nobody's.
const SOURCE_HOST: &str = "https://graphfeed.example";

/// The emulator takes a second to register a schema, unless faults make it longer.
const EMULATOR_PATIENCE: Duration = Duration::from_secs(30);
/// Microsoft says: 5 to 15 minutes.
const TENANT_PATIENCE: Duration = Duration::from_secs(30 * 60);
/// Longer than a code lives.
const SIGN_IN_PATIENCE: Duration = Duration::from_secs(20 * 60);

/// An emulator in which faults are scripted, and what goes there.
pub(crate) fn emulator<W: Way>(
    way: &W,
    faults: &[Fault],
    traffic: &Arc<Traffic>,
) -> io::Result<(Loopback, Target<W::Calls>)> {
    // Where one call is made after the other, each of a lane can be judged. Where others are
    // under way when one is told to wait, only that one itself can come too early.
    let early_calls = match W::Calls::AT_ONCE {
        1 => EarlyCalls::ByLane,
        _ => EarlyCalls::ByCall,
    };
    let options = Options { faults: faults.to_vec(), early_calls, ..Options::default() };
    let loopback = Loopback::start_with(Version::V1, options)?;
    let calls = way.emulator_client(observed(loopback.client_builder(), traffic));
    let target = Target {
        user: Ok(User { calls: calls.clone(), source_host: SOURCE_HOST.to_owned() }),
        calls,
        tenant: TENANT.into(),
        author: Ok(AUTHOR.into()),
        patience: EMULATOR_PATIENCE,
    };
    Ok((loopback, target))
}

/// What goes to a tenant.
pub(crate) fn tenant<W: Way>(
    way: &W,
    settings: Settings<W::Transport>,
    traffic: &Arc<Traffic>,
) -> Target<W::Calls> {
    let Settings { tenant, root, application, signs, author, sign_in, transport, login } = settings;
    let client = |tokens| {
        let builder = W::builder(root.clone(), tokens).seed(seed());
        way.client(observed(builder, traffic), transport.clone())
    };
    let tokens = settings::tokens::<W>(application, signs, &login);
    let user = sign_in.map(|SignIn { credential, source_host }| {
        let tokens = settings::provider::<W>(credential, &login).show_with(|code| {
            say(format_args!(
                "For the user activities of this program, sign in. {}",
                match &*code.message {
                    "" => format!("Open {} and type {}", code.verification_uri, code.user_code),
                    message => message.to_owned(),
                }
            ));
        });
        User { calls: client(tokens), source_host }
    });
    Target {
        calls: client(tokens),
        tenant,
        author: author.ok_or(Skipped("GRAPHFEED_AUTHOR is not set")),
        user: user.ok_or(Skipped("GRAPHFEED_SIGN_IN is not set")),
        patience: TENANT_PATIENCE,
    }
}

/// Lets the user sign in.
pub(crate) fn sign_in<C: Calls>(user: &User<C>) -> Result<(), protocol::Error> {
    user.calls.sign_in(SIGN_IN_PATIENCE)
}

fn observed<S>(builder: ClientBuilder<S>, traffic: &Arc<Traffic>) -> ClientBuilder<S> {
    let traffic = Arc::clone(traffic);
    builder.observer(move |event| traffic.hear(event))
}
