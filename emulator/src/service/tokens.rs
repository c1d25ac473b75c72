//! What a program can do with tokens and with sign-ins, besides asking over HTTP.

use std::time::Duration;

use super::Service;
use crate::date::Moment;

impl Service {
    fn moment(&self, now: Duration) -> (Duration, Moment) {
        let now = self.now.max(now);
        (now, Moment::after(self.options.origin, now))
    }

    /// A token of this application, without a request for it. None: it is not registered, or
    /// tokens are not checked.
    pub fn token(&mut self, now: Duration, client_id: &str) -> Option<String> {
        let (now, moment) = self.moment(now);
        self.platform.as_mut()?.token(client_id, now, moment)
    }

    /// A token of a user of this application, without a sign-in: of the one with this object id,
    /// or of the usual one, with all permissions that the application has.
    pub fn user_token(
        &mut self,
        now: Duration,
        client_id: &str,
        user: Option<&str>,
    ) -> Option<String> {
        let (now, moment) = self.moment(now);
        self.platform.as_mut()?.user_token(client_id, user, now, moment)
    }

    /// A refresh token of the usual user of this application, without a sign-in.
    pub fn refresh_token(&mut self, client_id: &str) -> Option<String> {
        self.platform.as_mut()?.refresh_token_for(client_id)
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> u64 {
        self.platform.as_ref().map_or(0, |platform| platform.tokens.issued())
    }

    /// Makes all tokens bad that were issued so far. Refresh tokens stay good.
    pub fn revoke_tokens(&mut self) {
        if let Some(platform) = &mut self.platform {
            platform.tokens.revoke();
        }
    }

    /// From now on a token has to have these claims, JSON as in
    /// [`Authorization::claims`](crate::Authorization::claims). None: no claim any more.
    ///
    /// # Errors
    /// It is no JSON object, or tokens are not checked.
    pub fn require_claims(&mut self, claims: Option<&str>) -> Result<(), String> {
        let Some(platform) = &mut self.platform else {
            return Err("tokens are not checked, so no claim can be asked for".to_owned());
        };
        platform.require(claims)
    }

    /// The user codes that wait for a user to sign in.
    pub fn user_codes(&self, now: Duration) -> Vec<String> {
        let codes = self.platform.iter().flat_map(|platform| platform.user_codes(now));
        codes.map(str::to_owned).collect()
    }

    /// A user enters this code: signs in, the one with this object id or the usual one, or
    /// declines, if `user` is none. False: no such code waits.
    pub fn enter_code(
        &mut self,
        now: Duration,
        user_code: &str,
        user: Option<Option<&str>>,
    ) -> bool {
        let platform = self.platform.as_mut();
        platform.is_some_and(|platform| platform.enter_code(user_code, user, now))
    }
}
