//! Sign-in with a device code: the code, the user who enters it elsewhere, the client who asks.
//!
//! Sources: v2-oauth2-device-code; RFC 8628 for `slow_down`, which no page describes.

use std::time::Duration;

use super::{Asking, Form, Platform, Refused, grants::Scopes, success};
use crate::{answer::Answer, authorization::SignIn};

/// How many codes are remembered; when there are more, the oldest go.
const KEPT: usize = 1_000;
/// What `slow_down` adds to the interval (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Without the characters that are taken for one another.
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// One sign-in.
pub(super) struct Device {
    code: String,
    user_code: String,
    client_id: String,
    scopes: String,
    made: Duration,
    interval: Duration,
    asked: Option<Duration>,
    polls: u32,
    state: State,
}

#[derive(Clone)]
enum State {
    Pending,
    SignedIn(String),
    Declined,
    Redeemed,
}

impl Platform {
    pub(super) fn start_device_code(&mut self, asking: &Asking<'_>) -> Result<Answer, Refused> {
        let form = Form::of_body(asking.request)?;
        let (application, _) = self.application(asking, &form, true)?;
        let scope = form.need("scope")?;
        self.scopes(asking, &application, scope)?;
        let letter = |fraction: f64| LETTERS[(fraction * LETTERS.len() as f64) as usize];
        let user_code: String = (0..9).map(|_| char::from(letter(self.ids.fraction()))).collect();
        let noise: String = (0..3).map(|_| self.ids.guid().replace('-', "")).collect();
        let code = format!("D{noise}");
        let (life, interval) = (self.settings.device_code_life, self.settings.device_code_interval);
        if self.devices.len() == KEPT {
            self.devices.remove(0);
        }
        self.devices.push(Device {
            code: code.clone(),
            user_code: user_code.clone(),
            client_id: application.client_id,
            scopes: scope.to_owned(),
            made: asking.now,
            interval,
            asked: None,
            polls: 0,
            state: State::Pending,
        });
        let page = "https://microsoft.com/devicelogin";
        Ok(success(|body| {
            body.text("user_code", &user_code);
            body.text("device_code", &code);
            body.text("verification_uri", page);
            body.raw("expires_in", &life.as_secs().to_string());
            body.raw("interval", &interval.as_secs().to_string());
            let message = format!(
                "To sign in, use a web browser to open the page {page} and enter the code \
                 {user_code} to authenticate."
            );
            body.text("message", &message);
        }))
    }

    pub(super) fn device_code(
        &mut self,
        asking: &Asking<'_>,
        form: &Form,
    ) -> Result<Answer, Refused> {
        let (application, secret) = self.application(asking, form, true)?;
        self.prove(asking, form, &application, secret.as_deref())?;
        let code = form.need("device_code")?;
        let (life, sign_in, usual) =
            (self.settings.device_code_life, self.settings.sign_in, self.settings.user.clone());
        let device = self
            .devices
            .iter_mut()
            .find(|device| device.code == code && device.client_id == application.client_id);
        let Some(device) = device else {
            return Err(Refused::new(
                "bad_verification_code",
                70_018,
                "Invalid verification code: the device code was not issued to this application.",
            ));
        };
        let too_fast = device.asked.is_some_and(|asked| asking.now < asked + device.interval);
        device.asked = Some(asking.now);
        device.polls = device.polls.saturating_add(1);
        let age = asking.now.saturating_sub(device.made);
        let signed_in = match sign_in {
            SignIn::ByHand => false,
            SignIn::AfterPolls(polls) => device.polls > polls,
            SignIn::After(wait) => age >= wait,
        };
        if signed_in && matches!(device.state, State::Pending) {
            device.state = State::SignedIn(usual);
        }
        let user = match &device.state {
            State::Redeemed => {
                let message = "The device code was already redeemed.";
                return Err(Refused::new("invalid_grant", 54_005, message));
            }
            State::Declined => {
                let message = "User declined to consent to access the app.";
                return Err(Refused::new("authorization_declined", 65_004, message));
            }
            _ if age >= life => {
                let message = "Verification code expired. Have the user retry the sign-in.";
                return Err(Refused::new("expired_token", 70_019, message));
            }
            _ if too_fast => {
                device.interval += SLOWER;
                let message = "OAuth 2.0 device flow error. The client asks too often.";
                return Err(Refused::new("slow_down", 70_016, message));
            }
            State::Pending => {
                let message =
                    "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
                return Err(Refused::new("authorization_pending", 70_016, message));
            }
            State::SignedIn(user) => user.clone(),
        };
        let asked_for = device.scopes.clone();
        let scopes: Scopes = self.scopes(asking, &application, &asked_for)?;
        scopes.check_consent(&application)?;
        let answer = self.sign_in(asking, form, &application, user, scopes)?;
        let redeemed = self.devices.iter_mut().find(|device| device.code == code);
        if let Some(device) = redeemed {
            device.state = State::Redeemed;
        }
        Ok(answer)
    }

    /// The codes that wait for a user.
    pub(crate) fn user_codes(&self, now: Duration) -> impl Iterator<Item = &str> {
        let life = self.settings.device_code_life;
        let pending = self.devices.iter().filter(move |device| {
            matches!(device.state, State::Pending) && now.saturating_sub(device.made) < life
        });
        pending.map(|device| &*device.user_code)
    }

    /// The user enters a code, and signs in or declines. False: no such code waits.
    pub(crate) fn enter_code(
        &mut self,
        user_code: &str,
        user: Option<Option<&str>>,
        now: Duration,
    ) -> bool {
        let life = self.settings.device_code_life;
        let usual = self.settings.user.clone();
        let device = self.devices.iter_mut().find(|device| {
            device.user_code.eq_ignore_ascii_case(user_code)
                && matches!(device.state, State::Pending)
                && now.saturating_sub(device.made) < life
        });
        let Some(device) = device else { return false };
        device.state = match user {
            Some(user) => State::SignedIn(user.map_or(usual, str::to_owned)),
            None => State::Declined,
        };
        true
    }
}
