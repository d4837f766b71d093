//! Rules as clients send and see them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Object, SchemaType, Type};
use uuid::Uuid;

use super::destination::{Topic, WebhookUrl};
use crate::cameras::CameraId;
use crate::error::{ApiError, FieldError};
use crate::filters::present;
use crate::openapi::texts;
use crate::schedule::{Schedule, WeeklySchedule};

const MAX_NAME_CHARS: usize = 120;
/// Cameras one rule can be limited to.
const MAX_CAMERAS: usize = 500;
/// Longest cooldown, a week: what was said before that is forgotten.
pub(super) const MAX_COOLDOWN_S: u32 = 7 * 24 * 3600;
const DEFAULT_COOLDOWN_S: u32 = 300;
/// Cameras are looked after every few seconds; what is shorter would be chance.
const MIN_OFFLINE_S: u32 = 5;
const MAX_OFFLINE_S: u32 = 7 * 24 * 3600;
const DEFAULT_OFFLINE_S: u32 = 60;
/// What signs with less could be guessed.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=200;

/// What a rule looks out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertKind)]
pub(crate) enum RuleKind {
    /// A stranger.
    UnknownPerson,
    /// A certain enrolled person.
    Person,
    /// A camera that is to run and has not for some time.
    CameraOffline,
    /// Anybody at a time when nobody should be there.
    OutOfHours,
}

impl RuleKind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::UnknownPerson, Self::Person, Self::CameraOffline, Self::OutOfHours];

    /// The name used on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPerson => "unknown_person",
            Self::Person => "person",
            Self::CameraOffline => "camera_offline",
            Self::OutOfHours => "out_of_hours",
        }
    }

    /// The kind of that name; none for one a later version made.
    pub(super) fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A rule as the API answers it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AlertRule, examples(json!({
    "id": "01920000-0000-7000-8000-000000000007", "name": "Strangers at night", "kind": "out_of_hours",
    "enabled": true, "cameras": ["door"], "person_id": null, "offline_after_s": null,
    "schedule": { "timezone": "Europe/Berlin", "hours": [{ "days": ["monday"], "from": "07:00", "to": "19:00" }] },
    "cooldown_s": 300, "webhook_url": "https://door.example/***", "mqtt_topic": null,
    "created_at": "2026-01-01T12:00:00Z", "updated_at": "2026-01-01T12:00:00Z"
})))]
pub(crate) struct RuleView {
    pub(super) id: Uuid,
    pub(super) name: String,
    #[schema(value_type = RuleKind)]
    pub(super) kind: String,
    /// Whether it makes alerts.
    pub(super) enabled: bool,
    /// The cameras it is limited to; empty for all.
    pub(super) cameras: Vec<String>,
    /// Of `person`: whom it looks out for.
    #[schema(required)]
    pub(super) person_id: Option<Uuid>,
    /// Of `camera_offline`: for how long a camera has to be away.
    #[schema(required)]
    pub(super) offline_after_s: Option<i32>,
    /// Of `out_of_hours`: when somebody may be there.
    #[schema(required)]
    pub(super) schedule: Option<WeeklySchedule>,
    /// For how long it keeps quiet about the same person at the same camera.
    pub(super) cooldown_s: i32,
    /// Where alerts are posted to, without what could be secret of it.
    #[schema(required)]
    pub(super) webhook_url: Option<String>,
    /// Where alerts are published over MQTT.
    #[schema(required)]
    pub(super) mqtt_topic: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// A rule, and the secret of its webhook if it is new.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WrittenAlertRule)]
pub(crate) struct WrittenRule {
    /// What is told about it later, too.
    #[serde(flatten)]
    pub(super) view: RuleView,
    /// What its webhook's messages are signed with. Only the answer that made it holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook_secret: Option<String>,
}

fn webhook_url_schema() -> Object {
    or_null("^https?://[^\\s]+$", super::destination::MAX_URL_CHARS, "https://door.example/alerts")
}

fn secret_schema() -> Object {
    or_null("^[!-~]{16,200}$", *SECRET_CHARS.end(), "a-secret-of-your-own")
}

fn topic_schema() -> Object {
    or_null(
        "^[^$+#\\x00-\\x1f\\x7f-\\x9f][^+#\\x00-\\x1f\\x7f-\\x9f]*$",
        super::destination::MAX_TOPIC_CHARS,
        "vedette/alerts/door",
    )
}

fn or_null(pattern: &str, max_chars: usize, example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .pattern(Some(pattern))
        .max_length(Some(max_chars))
        .examples([example])
        .build()
}

/// `POST /alerts/rules`, unchecked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAlertRule, examples(json!({
    "name": "Strangers at the door", "kind": "unknown_person", "cameras": ["door"], "cooldown_s": 60,
    "webhook_url": "https://door.example/alerts"
})))]
pub(super) struct CreateRequest {
    #[schema(schema_with = texts::filled_line::<MAX_NAME_CHARS>)]
    name: String,
    kind: RuleKind,
    /// Whether it makes alerts; `true`, if not given.
    enabled: Option<bool>,
    /// The cameras it is limited to; all, if empty or not given.
    #[schema(max_items = 500)]
    cameras: Option<Vec<String>>,
    /// Of `person`, and needed there: whom it looks out for.
    person_id: Option<Uuid>,
    /// Of `camera_offline`: for how long a camera has to be away; 60, if not given.
    #[schema(minimum = 5, maximum = 604_800)]
    offline_after_s: Option<u32>,
    /// Of `out_of_hours`, and needed there: when somebody may be there.
    schedule: Option<WeeklySchedule>,
    /// For how long it keeps quiet about the same person at the same camera, or strangers there; 300, if not given.
    #[schema(maximum = 604_800)]
    cooldown_s: Option<u32>,
    /// Where to post alerts.
    #[schema(schema_with = webhook_url_schema)]
    webhook_url: Option<String>,
    /// What to sign them with; made up, if not given.
    #[schema(schema_with = secret_schema)]
    webhook_secret: Option<String>,
    /// Where to publish alerts over MQTT.
    #[schema(schema_with = topic_schema)]
    mqtt_topic: Option<String>,
}

/// `PUT /alerts/rules/{id}`, unchecked: what is not sent stays, `null` clears. The kind stays in any case.
#[derive(Deserialize, ToSchema)]
#[schema(as = AlertRuleChange, examples(json!({ "enabled": false })))]
pub(super) struct UpdateRequest {
    #[schema(schema_with = texts::filled_line_or_null::<MAX_NAME_CHARS>)]
    name: Option<String>,
    enabled: Option<bool>,
    #[schema(max_items = 500)]
    cameras: Option<Vec<String>>,
    person_id: Option<Uuid>,
    #[schema(minimum = 5, maximum = 604_800)]
    offline_after_s: Option<u32>,
    schedule: Option<WeeklySchedule>,
    #[schema(maximum = 604_800)]
    cooldown_s: Option<u32>,
    /// As it was answered, with `***`, it stays what it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = webhook_url_schema)]
    webhook_url: Option<Option<String>>,
    /// A new one; sent as `""`, one is made up.
    #[schema(schema_with = new_secret_schema)]
    webhook_secret: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = topic_schema)]
    mqtt_topic: Option<Option<String>>,
}

fn new_secret_schema() -> Object {
    or_null("^([!-~]{16,200})?$", *SECRET_CHARS.end(), "")
}

/// What a rule does, checked.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) name: String,
    pub(super) kind: RuleKind,
    pub(super) enabled: bool,
    pub(super) cameras: Vec<String>,
    pub(super) person_id: Option<Uuid>,
    pub(super) offline_after_s: Option<u32>,
    pub(super) schedule: Option<WeeklySchedule>,
    pub(super) cooldown_s: u32,
    pub(super) mqtt_topic: Option<Topic>,
}

/// A rule to be made.
#[derive(Clone, Debug)]
pub(super) struct NewRule {
    pub(super) terms: Terms,
    pub(super) webhook_url: Option<WebhookUrl>,
    pub(super) webhook_secret: Option<String>,
}

/// What becomes of a webhook's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UrlChange {
    Stays,
    Goes,
    /// As it was typed: it may be what is shown of the present one.
    Is(String),
}

/// What becomes of a webhook's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretChange {
    Stays,
    IsMadeUp,
    Is(String),
}

/// What of a rule is to change.
#[derive(Debug)]
pub(super) struct RuleChange {
    name: Option<String>,
    enabled: Option<bool>,
    cameras: Option<Vec<String>>,
    person_id: Option<Uuid>,
    offline_after_s: Option<u32>,
    schedule: Option<WeeklySchedule>,
    cooldown_s: Option<u32>,
    mqtt_topic: Option<Option<Topic>>,
    pub(super) webhook_url: UrlChange,
    pub(super) webhook_secret: SecretChange,
}

/// Collects what is wrong with the fields of a request.
#[derive(Default)]
struct Checks(Vec<FieldError>);

impl Checks {
    fn take<T>(&mut self, field: &str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|message| self.0.push(FieldError::new(field, message))).ok()
    }

    fn demand(&mut self, field: &str, holds: bool, message: &str) {
        if !holds {
            self.0.push(FieldError::new(field, message));
        }
    }

    fn end<T>(self, checked: Option<T>) -> Result<T, ApiError> {
        checked.filter(|_| self.0.is_empty()).ok_or_else(|| ApiError::validations(self.0))
    }
}

impl TryFrom<CreateRequest> for NewRule {
    type Error = ApiError;

    fn try_from(request: CreateRequest) -> Result<Self, ApiError> {
        let mut checks = Checks::default();
        let name = checks.take("name", check_name(&request.name));
        let cameras = checks.take("cameras", check_cameras(request.cameras.unwrap_or_default()));
        let webhook_url = request.webhook_url.and_then(|url| checks.take("webhook_url", url.parse()));
        let webhook_secret =
            request.webhook_secret.and_then(|secret| checks.take("webhook_secret", check_secret(secret)));
        if webhook_secret.is_some() && webhook_url.is_none() {
            checks.demand("webhook_secret", false, "is for a webhook: set webhook_url, too");
        }
        let mqtt_topic = request.mqtt_topic.and_then(|topic| checks.take("mqtt_topic", topic.parse()));
        let terms = Terms {
            name: name.unwrap_or_default(),
            kind: request.kind,
            enabled: request.enabled.unwrap_or(true),
            cameras: cameras.unwrap_or_default(),
            person_id: request.person_id,
            offline_after_s: request
                .offline_after_s
                .or((request.kind == RuleKind::CameraOffline).then_some(DEFAULT_OFFLINE_S)),
            schedule: request.schedule,
            cooldown_s: request.cooldown_s.unwrap_or(DEFAULT_COOLDOWN_S),
            mqtt_topic,
        };
        terms.check(&mut checks);
        checks.end(Some(Self { terms, webhook_url, webhook_secret }))
    }
}

impl TryFrom<UpdateRequest> for RuleChange {
    type Error = ApiError;

    fn try_from(request: UpdateRequest) -> Result<Self, ApiError> {
        let mut checks = Checks::default();
        let name = request.name.and_then(|name| checks.take("name", check_name(&name)));
        let cameras = request.cameras.and_then(|cameras| checks.take("cameras", check_cameras(cameras)));
        let webhook_url = match request.webhook_url {
            None => UrlChange::Stays,
            Some(None) => UrlChange::Goes,
            Some(Some(url)) => UrlChange::Is(url),
        };
        let webhook_secret = match request.webhook_secret {
            None => SecretChange::Stays,
            Some(secret) if secret.is_empty() => SecretChange::IsMadeUp,
            Some(secret) => checks
                .take("webhook_secret", check_secret(secret))
                .map_or(SecretChange::Stays, SecretChange::Is),
        };
        let mqtt_topic =
            request.mqtt_topic.map(|topic| topic.and_then(|topic| checks.take("mqtt_topic", topic.parse())));
        checks.end(Some(Self {
            name,
            enabled: request.enabled,
            cameras,
            person_id: request.person_id,
            offline_after_s: request.offline_after_s,
            schedule: request.schedule,
            cooldown_s: request.cooldown_s,
            mqtt_topic,
            webhook_url,
            webhook_secret,
        }))
    }
}

impl RuleChange {
    /// What the rule does after the change.
    pub(super) fn apply(self, present: Terms) -> Result<Terms, ApiError> {
        let terms = Terms {
            name: self.name.unwrap_or(present.name),
            kind: present.kind,
            enabled: self.enabled.unwrap_or(present.enabled),
            cameras: self.cameras.unwrap_or(present.cameras),
            person_id: self.person_id.or(present.person_id),
            offline_after_s: self.offline_after_s.or(present.offline_after_s),
            schedule: self.schedule.or(present.schedule),
            cooldown_s: self.cooldown_s.unwrap_or(present.cooldown_s),
            mqtt_topic: self.mqtt_topic.unwrap_or(present.mqtt_topic),
        };
        let mut checks = Checks::default();
        terms.check(&mut checks);
        checks.end(Some(terms))
    }
}

impl Terms {
    /// What a kind needs, and what belongs to another.
    fn check(&self, checks: &mut Checks) {
        let fields = [
            ("person_id", RuleKind::Person, self.person_id.is_some()),
            ("offline_after_s", RuleKind::CameraOffline, self.offline_after_s.is_some()),
            ("schedule", RuleKind::OutOfHours, self.schedule.is_some()),
        ];
        for (field, kind, is_given) in fields {
            if kind == self.kind {
                checks.demand(field, is_given, &format!("is needed by rules of the kind {}", kind.as_str()));
            } else {
                checks.demand(field, !is_given, &format!("is for rules of the kind {}", kind.as_str()));
            }
        }
        if let Some(schedule) = &self.schedule {
            checks.take("schedule", Schedule::try_from(schedule));
        }
        let is_long_enough =
            self.offline_after_s.is_none_or(|s| (MIN_OFFLINE_S..=MAX_OFFLINE_S).contains(&s));
        checks.demand(
            "offline_after_s",
            is_long_enough,
            &format!("must be from {MIN_OFFLINE_S} to {MAX_OFFLINE_S}"),
        );
        let is_short_enough = self.cooldown_s <= MAX_COOLDOWN_S;
        checks.demand("cooldown_s", is_short_enough, &format!("must be from 0 to {MAX_COOLDOWN_S}"));
    }
}

fn check_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.contains(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(format!("must be one line of 1 to {MAX_NAME_CHARS} characters"))
}

/// Each once. They need not be there: a camera may be made later, or again.
fn check_cameras(cameras: Vec<String>) -> Result<Vec<String>, String> {
    if cameras.len() > MAX_CAMERAS {
        return Err(format!("must not be more than {MAX_CAMERAS}"));
    }
    let checked: Result<BTreeSet<String>, String> =
        cameras.iter().map(|id| id.parse::<CameraId>().map(|id| id.to_string())).collect();
    Ok(checked?.into_iter().collect())
}

fn check_secret(secret: String) -> Result<String, String> {
    if SECRET_CHARS.contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(secret);
    }
    let (least, most) = (SECRET_CHARS.start(), SECRET_CHARS.end());
    Err(format!("must have {least} to {most} characters, printable and without blanks"))
}
