//! Values of the settings that say who may come in, and how often.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use url::Url;

use super::{Whole, parsed};

/// Requests a minute; 0 = no limit.
type PerMinute = Whole<0, 1_000_000>;

/// `security.rate_limit`: requests a minute from one address, by what is asked for; 0 = no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// Signing in.
    pub login: PerMinute,
    /// Making an account.
    pub registration: PerMinute,
    /// Sending pictures.
    pub upload: PerMinute,
    /// Everything else.
    pub default: PerMinute,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            login: Whole::new::<30>(),
            registration: Whole::new::<30>(),
            upload: Whole::new::<300>(),
            default: Whole::new::<1200>(),
        }
    }
}

impl RateLimitConfig {
    /// One number for everything that needs no limit of its own; 0 lifts those, too.
    fn of_number(number: PerMinute) -> Self {
        if number.get() == 0 {
            return Self { login: number, registration: number, upload: number, default: number };
        }
        Self { upload: number, default: number, ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for RateLimitConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateLimitVisitor)
    }
}

struct RateLimitVisitor;

impl<'de> Visitor<'de> for RateLimitVisitor {
    type Value = RateLimitConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or one for each of login, registration, upload and default")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        PerMinute::deserialize(value.into_deserializer()).map(RateLimitConfig::of_number)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        PerMinute::deserialize(value.into_deserializer()).map(RateLimitConfig::of_number)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Classes {
            login: Option<PerMinute>,
            registration: Option<PerMinute>,
            upload: Option<PerMinute>,
            default: Option<PerMinute>,
        }
        let classes = Classes::deserialize(MapAccessDeserializer::new(map))?;
        let usual = RateLimitConfig::default();
        Ok(RateLimitConfig {
            login: classes.login.unwrap_or(usual.login),
            registration: classes.registration.unwrap_or(usual.registration),
            upload: classes.upload.unwrap_or(usual.upload),
            default: classes.default.unwrap_or(usual.default),
        })
    }
}

/// Addresses that belong together: `10.0.0.0/8`, or one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| {
            format!("`{text}` is no network such as 10.0.0.0/8, and no address such as 10.0.0.7")
        })
    }
}

/// Where a web page comes from, as browsers say it: scheme, host and, unless it is the usual one, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// As a browser sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| !url.host_str().unwrap_or_default().contains('*'));
        let origin = url.map(|url| url.origin().ascii_serialization());
        origin.filter(|origin| origin.as_str() == text.trim_end_matches('/').to_ascii_lowercase()).map(Self).ok_or_else(
            || {
                format!(
                    "`{text}` is no origin such as https://door.example or http://10.0.0.7:8080: scheme, host and port, \
                     without path; every one is named, there is no `*`"
                )
            },
        )
    }
}

/// Name of a Redis stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamName(String);

impl StreamName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const MAX_BYTES: usize = 200;
        let is_good = |character: char| character.is_ascii_graphic();
        if !text.is_empty() && text.len() <= MAX_BYTES && text.chars().all(is_good) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("must be 1 to {MAX_BYTES} letters, digits or signs, such as vedette-events"))
    }
}

/// A value written as text, judged where it stands.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer).map(Self)
    }
}

/// A list of values written as text.
pub(super) fn each_parsed<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    struct ListVisitor<T>(PhantomData<T>);
    impl<'de, T: FromStr<Err = String>> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(Parsed(value)) = list.next_element()? {
                values.push(value);
            }
            Ok(values)
        }
    }
    deserializer.deserialize_seq(ListVisitor(PhantomData))
}

/// A value written as text, or `null`.
pub(super) fn maybe_parsed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    Ok(Option::<Parsed<T>>::deserialize(deserializer)?.map(|Parsed(value)| value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn origins_are_exact() {
        for good in
            ["https://door.example", "http://10.0.0.7:8080", "https://[::1]:8443", "https://Door.example/"]
        {
            good.parse::<Origin>().unwrap();
        }
        assert_eq!("https://Door.example/".parse::<Origin>().unwrap().as_str(), "https://door.example");
        for bad in
            ["*", "door.example", "https://*.example", "https://door.example/path", "file:///x", "null", ""]
        {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.1.2.3") && !holds("10.0.0.0/8", "11.1.2.3"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"), "as a socket for both kinds of address names it");
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("fd00::/8", "fd00::7"));
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "proxy".parse::<Network>().is_err());
    }
}
