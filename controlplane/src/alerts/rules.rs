//! Making, changing and removing rules.

use chrono::Utc;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ConnectionTrait, EntityTrait as _, IntoActiveModel as _,
    ModelTrait as _, PaginatorTrait as _, QueryOrder as _, QuerySelect as _,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::destination::WebhookUrl;
use super::rule::{NewRule, RuleChange, RuleKind, RuleView, SecretChange, Terms, UrlChange, WrittenRule};
use crate::audit::{Action, Actor, Entry};
use crate::crypto::{Keys, Place};
use crate::database;
use crate::entity::alert_rules::{ActiveModel, Column, Entity, Model};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};
use crate::state::AppState;
use crate::{persons, secrets};

/// Every event is held against each of them, and each may have deliveries under way.
const MAX_RULES: u64 = 200;

/// Where a rule's alerts are posted, and what they are signed with; sealed as JSON.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) secret: String,
}

impl Webhook {
    fn new(url: &WebhookUrl, secret: String) -> Self {
        Self { url: url.as_url().to_string(), secret }
    }

    /// The URL as something that can be asked.
    pub(super) fn url(&self) -> Result<WebhookUrl, ApiError> {
        self.url.parse().map_err(|error: String| ApiError::internal(format!("a webhook's URL {error}")))
    }

    fn seal(&self, keys: &Keys, rule_id: Uuid) -> Result<String, ApiError> {
        let text = serde_json::to_string(self).map_err(ApiError::internal)?;
        Ok(keys.seal_text(Place::Webhook(rule_id), &text)?)
    }

    /// The webhook of a rule, if it has one.
    pub(super) fn of(keys: &Keys, rule: &Model) -> Result<Option<Self>, ApiError> {
        let Some(sealed) = &rule.webhook else { return Ok(None) };
        let text = keys.open_text(Place::Webhook(rule.id), sealed)?;
        serde_json::from_str(&text).map(Some).map_err(ApiError::internal)
    }
}

/// One page of rules, oldest first.
pub(super) async fn list(state: &AppState, page: PageRequest) -> Result<Page<RuleView>, ApiError> {
    // Ids are made in the order of time.
    let paginator = Entity::find().order_by_asc(Column::Id).paginate(&state.db, page.page_size());
    let total = paginator.num_items().await?;
    let rules = paginator.fetch_page(page.index()).await?;
    let items = rules.into_iter().map(|rule| view(&state.keys, rule)).collect::<Result<_, _>>()?;
    Ok(page.with(items, total))
}

/// Makes a rule.
pub(super) async fn create(state: &AppState, actor: &Actor, new: NewRule) -> Result<WrittenRule, ApiError> {
    let NewRule { terms, webhook_url, webhook_secret } = new;
    let id = Uuid::now_v7();
    let webhook = webhook_url.map(|url| Webhook::new(&url, webhook_secret.unwrap_or_else(made_up)));
    let sealed = webhook.as_ref().map(|webhook| webhook.seal(&state.keys, id)).transpose()?;
    let now = Utc::now();

    let transaction = database::begin_write(&state.db).await?;
    check_surroundings(state, &transaction, &terms).await?;
    if Entity::find().count(&transaction).await? >= MAX_RULES {
        return Err(ApiError::validation(
            "",
            format!("there are {MAX_RULES} rules already: remove one first"),
        ));
    }
    let row = ActiveModel { id: Set(id), webhook: Set(sealed), created_at: Set(now), ..row(terms, now) };
    let rule = row.insert(&transaction).await?;
    entry(Action::AlertRuleCreated, actor, &rule).write(&transaction).await?;
    transaction.commit().await?;
    state.alerts.rules_changed();
    Ok(WrittenRule { view: view(&state.keys, rule)?, webhook_secret: webhook.map(|webhook| webhook.secret) })
}

/// Changes a rule.
pub(super) async fn update(
    state: &AppState,
    actor: &Actor,
    id: Uuid,
    change: RuleChange,
) -> Result<WrittenRule, ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let present = find(&transaction, id).await?;
    let present_webhook = Webhook::of(&state.keys, &present)?;
    let (webhook, is_secret_new) =
        changed_webhook(present_webhook, &change.webhook_url, &change.webhook_secret)?;
    let terms = change.apply(terms_of(&present)?)?;
    check_surroundings(state, &transaction, &terms).await?;
    let sealed = webhook.as_ref().map(|webhook| webhook.seal(&state.keys, id)).transpose()?;
    let changed = ActiveModel { webhook: Set(sealed), ..row(terms, Utc::now()) };
    let mut row = present.into_active_model();
    row.name = changed.name;
    row.enabled = changed.enabled;
    row.cameras = changed.cameras;
    row.person_id = changed.person_id;
    row.offline_after_s = changed.offline_after_s;
    row.schedule = changed.schedule;
    row.cooldown_s = changed.cooldown_s;
    row.webhook = changed.webhook;
    row.mqtt_topic = changed.mqtt_topic;
    row.updated_at = changed.updated_at;
    let rule = row.update(&transaction).await?;
    entry(Action::AlertRuleChanged, actor, &rule).write(&transaction).await?;
    transaction.commit().await?;
    state.alerts.rules_changed();
    let webhook_secret = webhook.filter(|_| is_secret_new).map(|webhook| webhook.secret);
    Ok(WrittenRule { view: view(&state.keys, rule)?, webhook_secret })
}

/// Removes a rule, and what it had still to tell. Its alerts stay.
pub(super) async fn delete(state: &AppState, actor: &Actor, id: Uuid) -> Result<(), ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let rule = find(&transaction, id).await?;
    let entry = entry(Action::AlertRuleDeleted, actor, &rule);
    rule.delete(&transaction).await?;
    entry.write(&transaction).await?;
    transaction.commit().await?;
    state.alerts.rules_changed();
    Ok(())
}

/// The rule of that id; until the transaction ends, nobody else changes it.
async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, ApiError> {
    let rule = Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(db).await?;
    rule.ok_or_else(|| ApiError::not_found("alert rule", id))
}

/// What the request alone does not tell: whether there is such a person, and a broker.
async fn check_surroundings(
    state: &AppState,
    db: &impl ConnectionTrait,
    terms: &Terms,
) -> Result<(), ApiError> {
    if terms.mqtt_topic.is_some() && state.config.environment.mqtt.is_none() {
        return Err(ApiError::validation("mqtt_topic", "needs a broker: MQTT_HOST is not set at the server"));
    }
    // Locked: nobody is erased while a rule about them is made.
    if let Some(id) = terms.person_id
        && persons::lock(db, [id].into()).await?.is_empty()
    {
        return Err(ApiError::validation("person_id", "there is no such person"));
    }
    Ok(())
}

fn made_up() -> String {
    secrets::random().expose_secret().to_owned()
}

/// The webhook after a change, and whether its secret is a new one.
fn changed_webhook(
    present: Option<Webhook>,
    url: &UrlChange,
    secret: &SecretChange,
) -> Result<(Option<Webhook>, bool), ApiError> {
    let present_url = present.as_ref().map(Webhook::url).transpose()?;
    let url = match url {
        UrlChange::Goes => None,
        UrlChange::Stays => present_url,
        UrlChange::Is(text) => match present_url {
            Some(present) if present.shown() == text.trim() => Some(present),
            _ => Some(text.parse().map_err(|message: String| ApiError::validation("webhook_url", message))?),
        },
    };
    let Some(url) = url else {
        if *secret == SecretChange::Stays {
            return Ok((None, false));
        }
        let message = "is for a webhook: set webhook_url, too";
        return Err(ApiError::validation("webhook_secret", message));
    };
    let present = present.map(|webhook| webhook.secret);
    let (secret, is_new) = match (secret, present) {
        (SecretChange::Stays, Some(present)) => (present, false),
        (SecretChange::Stays, None) | (SecretChange::IsMadeUp, _) => (made_up(), true),
        (SecretChange::Is(secret), _) => (secret.clone(), true),
    };
    Ok((Some(Webhook::new(&url, secret)), is_new))
}

/// What a rule does, as its row.
fn row(terms: Terms, now: chrono::DateTime<Utc>) -> ActiveModel {
    let signed = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    ActiveModel {
        name: Set(terms.name),
        kind: Set(terms.kind.as_str().to_owned()),
        enabled: Set(terms.enabled),
        cameras: Set((!terms.cameras.is_empty()).then(|| json!(terms.cameras))),
        person_id: Set(terms.person_id),
        offline_after_s: Set(terms.offline_after_s.map(signed)),
        schedule: Set(terms.schedule.map(|schedule| json!(schedule))),
        cooldown_s: Set(signed(terms.cooldown_s)),
        mqtt_topic: Set(terms.mqtt_topic.map(|topic| topic.as_str().to_owned())),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// What a rule does, by its row.
fn terms_of(rule: &Model) -> Result<Terms, ApiError> {
    let unreadable = |what: String| ApiError::internal(format!("alert rule {}: {what}", rule.id));
    let kind = RuleKind::from_stored(&rule.kind)
        .ok_or_else(|| unreadable(format!("a later version made its kind `{}`", rule.kind)))?;
    Ok(Terms {
        name: rule.name.clone(),
        kind,
        enabled: rule.enabled,
        cameras: cameras(rule)?,
        person_id: rule.person_id,
        offline_after_s: rule.offline_after_s.and_then(|seconds| seconds.try_into().ok()),
        schedule: schedule(rule)?,
        cooldown_s: rule.cooldown_s.try_into().unwrap_or_default(),
        mqtt_topic: rule.mqtt_topic.as_deref().map(str::parse).transpose().map_err(unreadable)?,
    })
}

/// The cameras a rule is limited to; none for all.
pub(super) fn cameras(rule: &Model) -> Result<Vec<String>, ApiError> {
    let cameras = rule.cameras.clone().map(serde_json::from_value).transpose();
    Ok(cameras.map_err(ApiError::internal)?.unwrap_or_default())
}

/// When somebody may be there.
pub(super) fn schedule(rule: &Model) -> Result<Option<crate::schedule::WeeklySchedule>, ApiError> {
    rule.schedule.clone().map(serde_json::from_value).transpose().map_err(ApiError::internal)
}

fn view(keys: &Keys, rule: Model) -> Result<RuleView, ApiError> {
    let webhook = Webhook::of(keys, &rule)?;
    let webhook_url = webhook.map(|webhook| webhook.url()).transpose()?.map(|url| url.shown());
    Ok(RuleView {
        cameras: cameras(&rule)?,
        schedule: schedule(&rule)?,
        webhook_url,
        id: rule.id,
        name: rule.name,
        kind: rule.kind,
        enabled: rule.enabled,
        person_id: rule.person_id,
        offline_after_s: rule.offline_after_s,
        cooldown_s: rule.cooldown_s,
        mqtt_topic: rule.mqtt_topic,
        created_at: rule.created_at,
        updated_at: rule.updated_at,
    })
}

/// What the audit log says of a rule: nothing people wrote, which could name somebody who is erased later.
fn entry(action: Action, actor: &Actor, rule: &Model) -> Entry {
    let details = json!({
        "kind": rule.kind, "enabled": rule.enabled, "webhook": rule.webhook.is_some(), "mqtt": rule.mqtt_topic.is_some(),
    });
    Entry::new(action, actor).about("alert_rule", rule.id).with(details)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn webhook() -> Option<Webhook> {
        Some(Webhook { url: "https://door.example/hook?key=1".to_owned(), secret: "s".repeat(20) })
    }

    #[test]
    fn a_webhook_keeps_what_is_not_changed() {
        let (kept, is_new) = changed_webhook(webhook(), &UrlChange::Stays, &SecretChange::Stays).unwrap();
        assert_eq!((kept.unwrap().secret, is_new), (webhook().unwrap().secret, false));
        let as_shown = UrlChange::Is("https://door.example/***".to_owned());
        let (kept, _) = changed_webhook(webhook(), &as_shown, &SecretChange::Stays).unwrap();
        assert_eq!(kept.unwrap().url, webhook().unwrap().url);
        let moved = UrlChange::Is("http://10.0.0.7/".to_owned());
        let (moved, is_new) = changed_webhook(webhook(), &moved, &SecretChange::Stays).unwrap();
        let moved = moved.unwrap();
        assert_eq!(
            (moved.url.as_str(), moved.secret, is_new),
            ("http://10.0.0.7/", webhook().unwrap().secret, false)
        );
        let (changed, is_new) =
            changed_webhook(webhook(), &UrlChange::Stays, &SecretChange::IsMadeUp).unwrap();
        assert!(is_new && changed.unwrap().secret != webhook().unwrap().secret);
        assert!(changed_webhook(webhook(), &UrlChange::Goes, &SecretChange::Stays).unwrap().0.is_none());
    }

    #[test]
    fn a_secret_without_a_webhook_is_a_mistake() {
        assert!(changed_webhook(None, &UrlChange::Stays, &SecretChange::IsMadeUp).is_err());
        assert!(changed_webhook(None, &UrlChange::Stays, &SecretChange::Stays).unwrap().0.is_none());
        let hidden = UrlChange::Is("https://other.example/***".to_owned());
        assert!(changed_webhook(webhook(), &hidden, &SecretChange::Stays).is_err());
    }
}
