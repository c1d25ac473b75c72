//! The emulator as a program: `graphfeed-emulator --listen 127.0.0.1:0`.

use std::{
    error::Error,
    net::{SocketAddr, ToSocketAddrs},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use graphfeed_emulator::{Behaviour, Emulator, Options, server::Server};
use lexopt::prelude::*;
use tokio::sync::Notify;

const USAGE: &str = "\
Microsoft Graph external items and user activities, on this machine.

Usage: graphfeed-emulator [OPTIONS]

Prints `listening on http://ADDRESS` to stdout when it is ready, and what it lets pass
although a client had better not do it to stderr. Ctrl-C ends it. Any bearer token is good.

Options:
  --listen ADDRESS    where to listen, port 0 for a free one [127.0.0.1:0]
  --seed NUMBER       where the generator of ids starts [0]
  --set NAME=VALUE    set a switch; may be given more than once
  --help              print this
  --version           print the version

Switches, with their defaults:
";

/// How often reports are looked for.
const REPORTS: Duration = Duration::from_millis(100);

struct Arguments {
    listen: Vec<SocketAddr>,
    options: Options,
}

fn main() -> ExitCode {
    let arguments = match read_arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("graphfeed-emulator: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("graphfeed-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// None if there is nothing left to do.
fn read_arguments() -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut listen = "127.0.0.1:0".to_owned();
    let mut options = Options { origin: SystemTime::now(), ..Options::default() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = parser.value()?.string()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("set") => {
                let value = parser.value()?.string()?;
                let (name, value) = value
                    .split_once('=')
                    .ok_or_else(|| format!("--set takes NAME=VALUE, not {value:?}"))?;
                options.behaviour.set(name, value)?;
            }
            Long("help") => {
                print!("{USAGE}{}", switches());
                return Ok(None);
            }
            Long("version") => {
                println!("graphfeed-emulator {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let listen = listen
        .to_socket_addrs()
        .map_err(|error| format!("{listen:?} is no address such as 127.0.0.1:0: {error}"))?;
    Ok(Some(Arguments { listen: listen.collect(), options }))
}

fn switches() -> String {
    let defaults = Behaviour::default();
    let mut text = String::new();
    for switch in Behaviour::SWITCHES {
        let default = defaults.get(switch.name).unwrap_or_default();
        text += &format!("  {}={default}  ({})\n", switch.name, switch.values);
        let lines = switch.about.iter().take_while(|line| !line.is_empty());
        for line in lines {
            text += &format!("     {line}\n");
        }
    }
    text
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::new(arguments.options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the line is printed: who has read it may send the signal.
    let interrupted = Arc::new(Notify::new());
    runtime.block_on(listen_for_signals(&interrupted))?;
    let server = Server::start(emulator.clone(), &*arguments.listen)?;
    println!("listening on {}", server.url());
    let print_reports = || {
        for report in emulator.take_reports() {
            eprintln!("{report}");
        }
    };
    runtime.block_on(async {
        while tokio::time::timeout(REPORTS, interrupted.notified()).await.is_err() {
            print_reports();
        }
    });
    drop(server);
    print_reports();
    Ok(())
}

/// Ctrl-C, and on Unix the signal that ends a container.
#[cfg(unix)]
async fn listen_for_signals(interrupted: &Arc<Notify>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signal = signal(kind)?;
        let interrupted = Arc::clone(interrupted);
        tokio::spawn(async move {
            signal.recv().await;
            interrupted.notify_one();
        });
    }
    Ok(())
}

/// Ctrl-C.
#[cfg(not(unix))]
async fn listen_for_signals(interrupted: &Arc<Notify>) -> std::io::Result<()> {
    let interrupted = Arc::clone(interrupted);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.notify_one();
        }
    });
    Ok(())
}
