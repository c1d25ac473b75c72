//! The control path: what a test in another process can see and change, over the same port.
//!
//! It is no part of Microsoft Graph, is off unless it is asked for, and asks nobody who they are:
//! it is for the loopback interface. Nothing here shows a token, a secret or a body.

use std::{fmt::Display, str::FromStr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};

use crate::{
    faults::Fault,
    model::ConnectionState,
    service::Service,
    write::{self, Object},
};

/// What every path of it begins with; no version and no tenant is called so.
const PREFIX: &str = "/__emulator";

#[derive(Clone, Copy, Debug)]
enum Command {
    State,
    SetState,
    Faults,
    AddFaults,
    ClearFaults,
    Limits,
    SetLimits,
    EarlyCalls,
    Reports,
    Journal,
    UserCodes,
    SignIn,
    Decline,
    RevokeTokens,
    RequireClaims,
    Reset,
}

/// The table of commands. A segment in braces is an argument.
const COMMANDS: [(&str, &str, Command); 16] = {
    use Command::*;
    [
        ("GET", "/__emulator", State),
        ("POST", "/__emulator/connections/{connection}/state", SetState),
        ("GET", "/__emulator/faults", Faults),
        ("POST", "/__emulator/faults", AddFaults),
        ("DELETE", "/__emulator/faults", ClearFaults),
        ("GET", "/__emulator/limits", Limits),
        ("PUT", "/__emulator/limits", SetLimits),
        ("GET", "/__emulator/early-calls", EarlyCalls),
        ("GET", "/__emulator/reports", Reports),
        ("GET", "/__emulator/journal", Journal),
        ("GET", "/__emulator/device-codes", UserCodes),
        ("POST", "/__emulator/device-codes/{user_code}/sign-in", SignIn),
        ("POST", "/__emulator/device-codes/{user_code}/decline", Decline),
        ("POST", "/__emulator/tokens/revoke", RevokeTokens),
        ("POST", "/__emulator/tokens/claims", RequireClaims),
        ("POST", "/__emulator/reset", Reset),
    ]
};

/// Whether a request is one for the control path.
pub(crate) fn is_meant(request: &Request<Bytes>) -> bool {
    let rest = request.uri().path().strip_prefix(PREFIX);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request for the control path.
pub(crate) fn answer(
    service: &mut Service,
    now: Duration,
    request: &Request<Bytes>,
) -> Response<Bytes> {
    let path: Vec<&str> = request.uri().path().trim_end_matches('/').split('/').collect();
    let fits = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(ours, theirs)| ours == theirs || ours.starts_with('{') && !theirs.is_empty())
    };
    let mut known = COMMANDS.iter().filter(|(_, template, _)| fits(template)).peekable();
    let is_path = known.peek().is_some();
    let Some((_, _, command)) = known.find(|(method, ..)| request.method() == method) else {
        return match is_path {
            true => error(StatusCode::METHOD_NOT_ALLOWED, "the path has other methods"),
            false => error(StatusCode::NOT_FOUND, "there is no such path; GET /__emulator is one"),
        };
    };
    let argument = path.get(3).copied().unwrap_or_default();
    run(*command, service, now, argument, request.body())
}

/// The answer to a request whose body is over the limit.
#[cfg(feature = "server")]
pub(crate) fn too_long() -> Response<Bytes> {
    error(StatusCode::PAYLOAD_TOO_LARGE, "the body is over the limit (switch body-limit)")
}

fn run(
    command: Command,
    service: &mut Service,
    now: Duration,
    argument: &str,
    body: &[u8],
) -> Response<Bytes> {
    let text = String::from_utf8_lossy(body);
    match command {
        Command::State => object(|body| write_state(body, service)),
        Command::SetState => match ConnectionState::of_name(text.trim()) {
            Some(state) if service.set_connection_state(argument, state) => done(),
            Some(_) => error(StatusCode::NOT_FOUND, "there is no such connection"),
            None => error(
                StatusCode::BAD_REQUEST,
                "the body is draft, ready, obsolete or limitExceeded",
            ),
        },
        Command::Faults => object(|body| write_faults(body, service)),
        Command::AddFaults => match lines::<Fault>(&text) {
            Ok(faults) if faults.is_empty() => {
                error(StatusCode::BAD_REQUEST, "the body holds no fault")
            }
            Ok(faults) => {
                faults.into_iter().for_each(|fault| service.fault(fault));
                done()
            }
            Err(why) => error(StatusCode::BAD_REQUEST, &why),
        },
        Command::ClearFaults => {
            service.clear_faults();
            done()
        }
        Command::Limits => object(|body| write_limits(body, service)),
        Command::SetLimits => match lines(&text) {
            Ok(limits) => {
                service.set_limits(limits);
                done()
            }
            Err(why) => error(StatusCode::BAD_REQUEST, &why),
        },
        Command::EarlyCalls => object(|body| {
            body.objects("earlyCalls", service.early_calls(), |each, call| {
                each.raw("at", &seconds(call.at));
                each.text("request", &call.request);
                each.text_or_null("clientRequestId", call.client_request_id.as_deref());
                match call.early_by {
                    Duration::MAX => each.raw("earlyBy", "null"),
                    by => each.raw("earlyBy", &seconds(by)),
                }
                each.raw("sameCall", &call.same_call.to_string());
            });
        }),
        Command::Reports => object(|body| {
            body.objects("reports", service.reports(), |each, report| {
                each.raw("at", &seconds(report.at));
                each.text("request", &report.request);
                each.text("rule", report.rule.name());
                each.text("target", &report.target);
                each.text("message", &report.message);
            });
        }),
        Command::Journal => object(|body| {
            body.objects("journal", service.journal(), |each, entry| {
                each.raw("at", &seconds(entry.at));
                each.text("request", &entry.request);
                each.text_or_null("clientRequestId", entry.client_request_id.as_deref());
                each.raw("status", &status(entry.status));
                each.raw("struck", &entry.struck.to_string());
            });
        }),
        Command::UserCodes => object(|body| {
            body.objects("deviceCodes", service.user_codes(now), |each, code| {
                each.text("userCode", &code);
            });
        }),
        Command::SignIn => {
            let user = Some(text.trim()).filter(|user| !user.is_empty());
            entered(service.enter_code(now, argument, Some(user)))
        }
        Command::Decline => entered(service.enter_code(now, argument, None)),
        Command::RevokeTokens => {
            service.revoke_tokens();
            done()
        }
        Command::RequireClaims => {
            let claims = Some(text.trim()).filter(|claims| !claims.is_empty());
            match service.require_claims(claims) {
                Ok(()) => done(),
                Err(why) => error(StatusCode::BAD_REQUEST, &why),
            }
        }
        Command::Reset => {
            service.reset();
            done()
        }
    }
}

/// One in each line. All of them, or none and why.
fn lines<T: FromStr<Err: Display>>(text: &str) -> Result<Vec<T>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| line.parse().map_err(|why| format!("line {}: {why}", index + 1)))
        .collect()
}

fn write_state(body: &mut Object<'_>, service: &Service) {
    body.objects("connections", service.connection_ids(), |each, id| {
        each.text("id", id);
        if let Some(state) = service.connection_state(id) {
            each.text("state", state.name());
        }
        each.raw("items", &service.items(id).count().to_string());
        each.raw("groups", &service.groups(id).count().to_string());
    });
    body.raw("userActivities", &service.user_activities().count().to_string());
    body.objects("requests", service.counts(), |each, count| {
        each.text("request", &count.request);
        each.raw("status", &status(count.status));
        each.raw("count", &count.count.to_string());
    });
    body.raw("earlyCalls", &service.early_count().to_string());
    body.raw("reports", &service.report_count().to_string());
    body.raw("tokensIssued", &service.tokens_issued().to_string());
    write_faults(body, service);
    write_limits(body, service);
}

fn write_limits(body: &mut Object<'_>, service: &Service) {
    body.objects("limits", service.limits(), |each, (limit, traffic)| {
        each.text("limit", &limit.to_string());
        each.raw("admitted", &traffic.admitted.to_string());
        each.raw("refused", &traffic.refused.to_string());
    });
}

fn write_faults(body: &mut Object<'_>, service: &Service) {
    body.objects("faults", service.faults(), |each, (fault, struck)| {
        each.text("fault", &fault.to_string());
        each.raw("struck", &struck.to_string());
    });
}

fn seconds(time: Duration) -> String {
    time.as_secs_f64().to_string()
}

fn status(status: Option<u16>) -> String {
    status.map_or_else(|| "null".to_owned(), |status| status.to_string())
}

fn entered(was_there: bool) -> Response<Bytes> {
    match was_there {
        true => done(),
        false => error(StatusCode::NOT_FOUND, "no such user code waits for a user"),
    }
}

fn done() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn object(fill: impl FnOnce(&mut Object<'_>)) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(write::object(fill)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn error(status: StatusCode, why: &str) -> Response<Bytes> {
    let mut response = object(|body| body.text("error", why));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn the_readme_lists_the_commands() {
        let readme = include_str!("../README.md");
        let listed: Vec<&str> = readme
            .lines()
            .filter(|line| line.contains("/__emulator"))
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
            .map(|(command, _)| command)
            .collect();
        let ours: Vec<String> =
            COMMANDS.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        assert_eq!(listed, ours);
    }
}
