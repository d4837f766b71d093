//! Access tokens: signed JWTs that name a user and a version of that user's tokens.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ApiError;

const ISSUER: &str = "vedette";
const AUDIENCE: &str = "vedette-api";
/// Clocks of two servers may differ this much.
const LEEWAY_S: u64 = 5;

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The user.
    pub(super) sub: Uuid,
    /// The token's own id.
    pub(super) jti: Uuid,
    /// Version of the user's tokens; an earlier one is void.
    pub(super) ver: i64,
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
}

impl Claims {
    /// When the token ends.
    pub(super) fn expires_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.exp, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Makes and checks tokens.
pub struct TokenSigner {
    encoding_key: EncodingKey,
    decoding_key: DecodingKey,
    algorithm: Algorithm,
    lifetime: Duration,
}

impl std::fmt::Debug for TokenSigner {
    /// Leaves the keys out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl TokenSigner {
    /// Tokens signed with `secret` (one of the HMAC algorithms), valid for `lifetime`.
    pub fn new(secret: &SecretString, algorithm: Algorithm, lifetime: Duration) -> Self {
        let secret = secret.expose_secret().as_bytes();
        Self {
            encoding_key: EncodingKey::from_secret(secret),
            decoding_key: DecodingKey::from_secret(secret),
            algorithm,
            lifetime,
        }
    }

    /// How long a token holds.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A token for `user_id`.
    pub(super) fn sign(&self, user_id: Uuid, token_version: i64) -> Result<String, ApiError> {
        let now = Utc::now();
        let claims = Claims {
            sub: user_id,
            jti: Uuid::new_v4(),
            ver: token_version,
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now.timestamp(),
            exp: (now + self.lifetime).timestamp(),
        };
        jsonwebtoken::encode(&Header::new(self.algorithm), &claims, &self.encoding_key)
            .map_err(ApiError::internal)
    }

    /// What `token` says, if it is one of ours and has not expired.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        // Only the algorithm we sign with: a token must not choose how it is checked.
        let mut validation = Validation::new(self.algorithm);
        validation.leeway = LEEWAY_S;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        jsonwebtoken::decode::<Claims>(token, &self.decoding_key, &validation).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn signer(secret: &str, algorithm: Algorithm) -> TokenSigner {
        TokenSigner::new(&secret.into(), algorithm, Duration::from_secs(60))
    }

    #[test]
    fn a_token_holds_only_where_it_was_signed() {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let ours = signer("one", algorithm);
            let user_id = Uuid::new_v4();
            let token = ours.sign(user_id, 3).unwrap();
            let claims = ours.verify(&token).unwrap();
            assert_eq!((claims.sub, claims.ver), (user_id, 3));
            assert!(signer("two", algorithm).verify(&token).is_none());
        }
        let other_algorithm = signer("one", Algorithm::HS512).sign(Uuid::new_v4(), 0).unwrap();
        assert!(signer("one", Algorithm::HS256).verify(&other_algorithm).is_none());
    }

    #[test]
    fn expired_and_foreign_tokens_are_void() {
        let ours = signer("one", Algorithm::HS256);
        let sign = |claims: &serde_json::Value| {
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &ours.encoding_key).unwrap()
        };
        let claims = |exp: i64, aud: &str| {
            let id = Uuid::new_v4();
            serde_json::json!({"sub": id, "jti": id, "ver": 0, "iss": ISSUER, "aud": aud, "iat": 0, "exp": exp})
        };
        let now = Utc::now().timestamp();
        assert!(ours.verify(&sign(&claims(now + 60, AUDIENCE))).is_some());
        assert!(ours.verify(&sign(&claims(now - 60, AUDIENCE))).is_none());
        assert!(ours.verify(&sign(&claims(now + 60, "other"))).is_none());
        assert!(ours.verify("no token").is_none());
        // alg: none
        assert!(ours.verify("eyJhbGciOiJub25lIn0.e30.").is_none());
    }
}
