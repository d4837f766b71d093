//! Access tokens: signed JWTs that name a user and a version of that user's tokens.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ApiError;

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

/// What the tokens of one installation have in common.
#[derive(Clone, Debug)]
pub struct TokenTerms {
    /// One of the HMAC algorithms.
    pub algorithm: Algorithm,
    /// How long a token holds.
    pub lifetime: Duration,
    /// Who gives tokens out.
    pub issuer: String,
    /// Whom they are for. A token of another installation with the same secret is refused by it.
    pub audience: String,
}

/// Makes and checks tokens.
pub struct TokenSigner {
    encoding_key: EncodingKey,
    decoding_key: DecodingKey,
    terms: TokenTerms,
}

impl std::fmt::Debug for TokenSigner {
    /// Leaves the keys out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSigner").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl TokenSigner {
    /// Tokens signed with `secret`.
    pub fn new(secret: &SecretString, terms: TokenTerms) -> Self {
        let secret = secret.expose_secret().as_bytes();
        Self {
            encoding_key: EncodingKey::from_secret(secret),
            decoding_key: DecodingKey::from_secret(secret),
            terms,
        }
    }

    /// How long a token holds.
    pub fn lifetime(&self) -> Duration {
        self.terms.lifetime
    }

    /// A token for `user_id`.
    pub(super) fn sign(&self, user_id: Uuid, token_version: i64) -> Result<String, ApiError> {
        let now = Utc::now();
        let claims = Claims {
            sub: user_id,
            jti: Uuid::new_v4(),
            ver: token_version,
            iss: self.terms.issuer.clone(),
            aud: self.terms.audience.clone(),
            iat: now.timestamp(),
            exp: (now + self.terms.lifetime).timestamp(),
        };
        jsonwebtoken::encode(&Header::new(self.terms.algorithm), &claims, &self.encoding_key)
            .map_err(ApiError::internal)
    }

    /// What `token` says, if it is one of ours and has not expired.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        // Only the algorithm we sign with: a token must not choose how it is checked.
        let mut validation = Validation::new(self.terms.algorithm);
        validation.leeway = LEEWAY_S;
        validation.set_issuer(&[&self.terms.issuer]);
        validation.set_audience(&[&self.terms.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        jsonwebtoken::decode::<Claims>(token, &self.decoding_key, &validation).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn terms(algorithm: Algorithm) -> TokenTerms {
        let lifetime = Duration::from_secs(60);
        TokenTerms { algorithm, lifetime, issuer: "vedette".to_owned(), audience: "vedette-api".to_owned() }
    }

    fn signer(secret: &str, algorithm: Algorithm) -> TokenSigner {
        TokenSigner::new(&secret.into(), terms(algorithm))
    }

    #[test]
    fn a_token_holds_only_where_it_was_signed() {
        let algorithms = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        for algorithm in algorithms {
            let ours = signer("one", algorithm);
            let user_id = Uuid::new_v4();
            let token = ours.sign(user_id, 3).unwrap();
            let claims = ours.verify(&token).unwrap();
            assert_eq!((claims.sub, claims.ver), (user_id, 3));
            assert!(signer("two", algorithm).verify(&token).is_none());
            for other in algorithms.into_iter().filter(|other| *other != algorithm) {
                assert!(signer("one", other).verify(&token).is_none(), "{algorithm:?} is not {other:?}");
            }
        }
    }

    #[test]
    fn a_token_of_another_issuer_or_for_another_audience_is_void() {
        let ours = signer("one", Algorithm::HS256);
        let theirs = |change: fn(&mut TokenTerms)| {
            let mut terms = terms(Algorithm::HS256);
            change(&mut terms);
            TokenSigner::new(&"one".into(), terms).sign(Uuid::new_v4(), 0).unwrap()
        };
        assert!(ours.verify(&theirs(|_| {})).is_some());
        assert!(ours.verify(&theirs(|terms| terms.issuer = "door".to_owned())).is_none());
        assert!(ours.verify(&theirs(|terms| terms.audience = "door".to_owned())).is_none());
    }

    fn claims(exp: i64) -> serde_json::Value {
        let id = Uuid::new_v4();
        let (iss, aud) = ("vedette", "vedette-api");
        serde_json::json!({"sub": id, "jti": id, "ver": 0, "iss": iss, "aud": aud, "iat": 0, "exp": exp})
    }

    #[test]
    fn an_expired_token_is_void() {
        let ours = signer("one", Algorithm::HS256);
        let sign = |claims: &serde_json::Value| {
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &ours.encoding_key).unwrap()
        };
        let now = Utc::now().timestamp();
        assert!(ours.verify(&sign(&claims(now + 60))).is_some());
        assert!(ours.verify(&sign(&claims(now - 60))).is_none());
        let mut endless = claims(now);
        endless.as_object_mut().unwrap().remove("exp");
        assert!(ours.verify(&sign(&endless)).is_none());
        assert!(ours.verify("no token").is_none());
    }

    #[test]
    fn a_token_cannot_choose_how_it_is_checked() {
        let ours = signer("one", Algorithm::HS256);
        let token = ours.sign(Uuid::new_v4(), 0).unwrap();
        let (payload, signature) = token.split_once('.').unwrap().1.split_once('.').unwrap();
        for algorithm in ["none", "None", "HS512", "RS256", "ES256", "EdDSA"] {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#));
            for signature in ["", signature] {
                let forged = format!("{header}.{payload}.{signature}");
                assert!(ours.verify(&forged).is_none(), "{forged}");
            }
        }
    }
}
