//! Alerts as clients and receivers see them, and what a list of them can be asked for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::outbox::{Channel, Status};
use super::rule::RuleKind;
use crate::entity::{alert_deliveries, alerts};
use crate::error::ApiError;

/// What happened, as receivers are told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AlertFacts)]
pub(crate) struct AlertFacts {
    pub(super) id: Uuid,
    /// `null` when the rule is gone.
    #[schema(required)]
    rule_id: Option<Uuid>,
    /// The rule's name at that time.
    rule_name: String,
    #[schema(value_type = RuleKind)]
    kind: String,
    /// When it happened.
    timestamp: DateTime<Utc>,
    camera_id: String,
    /// `null` for a stranger or a camera, as is the name.
    #[schema(required)]
    person_id: Option<Uuid>,
    /// The name at that time.
    #[schema(required)]
    person_name: Option<String>,
    /// What the camera saw; it may have been removed since.
    #[schema(required)]
    detection_id: Option<Uuid>,
    /// Of a camera that is away: since when.
    #[schema(required)]
    offline_since: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<&alerts::Model> for AlertFacts {
    fn from(alert: &alerts::Model) -> Self {
        Self {
            id: alert.id,
            rule_id: alert.rule_id,
            rule_name: alert.rule_name.clone(),
            kind: alert.kind.clone(),
            timestamp: alert.timestamp,
            camera_id: alert.camera_id.clone(),
            person_id: alert.person_id,
            person_name: alert.person_name.clone(),
            detection_id: alert.detection_id,
            offline_since: alert.offline_since,
            created_at: alert.created_at,
        }
    }
}

/// What webhooks and brokers are told.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The same for each attempt: who has it already need not take it again.
    delivery_id: Uuid,
    alert: AlertFacts,
}

impl Message {
    pub(super) fn new(delivery_id: Uuid, alert: &alerts::Model) -> Self {
        Self { kind: "alert", delivery_id, alert: alert.into() }
    }
}

/// How one receiver is told of an alert.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AlertDelivery)]
pub(crate) struct DeliveryView {
    /// What the receiver is told, too.
    id: Uuid,
    #[schema(value_type = Channel)]
    channel: String,
    #[schema(value_type = Status)]
    status: String,
    /// Begun so far.
    attempts: i32,
    /// Why the last attempt failed.
    #[schema(required)]
    last_error: Option<String>,
    /// When it is tried next; `null` when there is nothing more to try.
    #[schema(required)]
    next_attempt_at: Option<DateTime<Utc>>,
    /// When it was delivered or given up.
    #[schema(required)]
    ended_at: Option<DateTime<Utc>>,
}

impl From<alert_deliveries::Model> for DeliveryView {
    fn from(delivery: alert_deliveries::Model) -> Self {
        let is_waiting = delivery.status == Status::Waiting.as_str();
        Self {
            id: delivery.id,
            channel: delivery.channel,
            status: delivery.status,
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            next_attempt_at: is_waiting.then_some(delivery.due_at),
            ended_at: delivery.ended_at,
        }
    }
}

/// An alert as the API answers it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Alert, examples(json!({
    "id": "01920000-0000-7000-8000-000000000008", "rule_id": "01920000-0000-7000-8000-000000000007",
    "rule_name": "Strangers at night", "kind": "out_of_hours", "timestamp": "2026-01-01T23:12:00.123Z",
    "camera_id": "door", "person_id": null, "person_name": null,
    "detection_id": "01920000-0000-7000-8000-000000000005", "offline_since": null,
    "created_at": "2026-01-01T23:12:00.345Z", "acknowledged_at": null, "acknowledged_by": null,
    "deliveries": [{
        "id": "01920000-0000-7000-8000-000000000009", "channel": "webhook", "status": "delivered", "attempts": 1,
        "last_error": null, "next_attempt_at": null, "ended_at": "2026-01-01T23:12:00.456Z"
    }]
})))]
pub(crate) struct AlertView {
    #[serde(flatten)]
    facts: AlertFacts,
    /// When somebody took note of it.
    #[schema(required)]
    acknowledged_at: Option<DateTime<Utc>>,
    /// Who, by the name of the account.
    #[schema(required)]
    acknowledged_by: Option<String>,
    /// Who is told of it besides those who watch, and how that goes.
    deliveries: Vec<DeliveryView>,
}

impl AlertView {
    pub(super) fn new(alert: alerts::Model, deliveries: Vec<alert_deliveries::Model>) -> Self {
        Self {
            facts: AlertFacts::from(&alert),
            acknowledged_at: alert.acknowledged_at,
            acknowledged_by: alert.acknowledged_by,
            deliveries: deliveries.into_iter().map(DeliveryView::from).collect(),
        }
    }
}

/// What `GET /api/alerts` can be asked for besides a page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertFilter {
    pub(super) rule_id: Option<Uuid>,
    pub(super) kind: Option<RuleKind>,
    pub(super) camera_id: Option<String>,
    pub(super) person_id: Option<Uuid>,
    /// Those somebody took note of only, or the others only.
    pub(super) acknowledged: Option<bool>,
    /// Not before.
    pub(super) from: Option<DateTime<Utc>>,
    /// Before.
    pub(super) to: Option<DateTime<Utc>>,
}

impl AlertFilter {
    /// Says what does not hold.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(ApiError::validation("from", "must not be after `to`"));
        }
        Ok(())
    }
}
