//! Alerts: rules about what is to be told, alerts that come of them, and their way to webhooks and brokers.
//!
//! A rule (`rule`, `rules`) is held, ready-made (`compiled`), against every event that is stored and, by
//! `offline`, against cameras that are away. `record` makes the alerts within the transaction of what caused them, with a
//! row in the outbox (`outbox`) for everybody who is to be told. `dispatch` tells them: `webhook`, with `destination` and
//! `tls`, and `mqtt`.

mod compiled;
mod destination;
mod dispatch;
mod handler;
mod model;
mod mqtt;
mod offline;
mod outbox;
mod record;
mod retention;
mod rule;
mod rules;
mod service;
mod tls;
mod webhook;

use std::sync::Arc;

use anyhow::Result;
use sea_orm::DatabaseConnection;
use tokio::sync::Notify;
use utoipa::OpenApi;
use warp::{Filter as _, Rejection};

pub(crate) use compiled::{Rule, Sighting};
pub use dispatch::deliver;
pub use offline::watch_offline;
pub(crate) use outbox::{Backlog, Channel, backlog};
pub(crate) use record::{Made, forget_cooldowns, of_sightings};
pub(crate) use retention::{old, remove_old};
pub(crate) use rule::RuleKind;

use crate::auth::Role;
use crate::config::Config;
use crate::error::ApiError;
use crate::filters::{self, Route, respond};
use crate::redis_link::{RedisLink, Topic};
use crate::state::{AppState, State};
use compiled::CompiledRules;
use model::AlertView;
use mqtt::MqttLink;
use webhook::WebhookClient;

/// Alerts of one batch that those who watch are told of: what is handed in after hours offline is no news.
const MAX_NEWS: usize = 100;

/// What an instance has for alerts besides the database.
#[derive(Debug)]
pub struct Alerts {
    rules: CompiledRules,
    /// Something was put into the outbox.
    filled: Notify,
    webhooks: WebhookClient,
    /// `None` without a broker.
    mqtt: Option<MqttLink>,
    redis: Option<Arc<RedisLink>>,
}

impl Alerts {
    /// Nothing known yet, nobody asked.
    ///
    /// # Errors
    /// When a file that the settings name cannot be used.
    pub fn open(config: &Config, redis: Option<Arc<RedisLink>>) -> Result<Self> {
        Ok(Self {
            rules: CompiledRules::default(),
            filled: Notify::new(),
            webhooks: WebhookClient::open(config.file.alerts.ca_file.as_deref())?,
            mqtt: config.environment.mqtt.as_ref().map(MqttLink::open).transpose()?,
            redis,
        })
    }

    /// The rules that make alerts.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn rules(&self, db: &DatabaseConnection) -> Result<Arc<[Rule]>, ApiError> {
        self.rules.current(db).await
    }

    /// Rules were changed here: they are read anew, on other instances too.
    fn rules_changed(&self) {
        self.forget_rules();
        if let Some(redis) = &self.redis {
            redis.tell(Topic::AlertRules, String::new());
        }
    }

    /// Rules may have been changed elsewhere.
    pub fn forget_rules(&self) {
        self.rules.forget();
    }

    /// Tells of alerts after the commit: who watches, who counts, who delivers.
    pub(crate) fn announce(&self, state: &AppState, made: Vec<Made>) {
        if made.is_empty() {
            return;
        }
        if made.iter().any(|made| !made.deliveries.is_empty()) {
            self.filled.notify_one();
        }
        made.iter().for_each(|made| state.metrics.alerts.count_alert(made.kind));
        let old = made.len().saturating_sub(MAX_NEWS);
        for Made { alert, deliveries, .. } in made.into_iter().skip(old) {
            state.live.publish("alert", &AlertView::new(alert, deliveries));
        }
    }

    /// Waits until something was put into the outbox here.
    async fn filled(&self) {
        self.filled.notified().await;
    }
}

/// What the API's description says of them.
#[derive(OpenApi)]
#[openapi(paths(
    handler::list,
    handler::acknowledge,
    handler::list_rules,
    handler::create_rule,
    handler::update_rule,
    handler::delete_rule,
))]
pub struct Docs;

/// `/alerts…`.
pub fn routes(state: &State) -> Route {
    let list = warp::path!("alerts")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::query())
        .and(filters::page())
        .then(handler::list)
        .map(respond)
        .boxed();
    // Only when all of the path fits: that `rules` is no alert's id is nothing to say of the rules.
    let alert = |id: String| async move { filters::parse_uuid("alert", &id).map_err(Rejection::from) };
    let acknowledge = warp::path!("alerts" / String / "acknowledge")
        .and(warp::post())
        .and_then(alert)
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .then(handler::acknowledge)
        .map(respond)
        .boxed();
    filters::any_of([list, acknowledge, rule_routes(state)])
}

/// `/alerts/rules…`.
fn rule_routes(state: &State) -> Route {
    let list = warp::path!("alerts" / "rules")
        .and(warp::get())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Viewer))
        .and(filters::page())
        .then(handler::list_rules)
        .map(respond)
        .boxed();
    let create = warp::path!("alerts" / "rules")
        .and(warp::post())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(filters::json_body())
        .then(handler::create_rule)
        .map(respond)
        .boxed();
    let rule = || {
        let path = warp::path("alerts").and(warp::path("rules"));
        path.and(filters::uuid_param("alert rule")).and(warp::path::end())
    };
    let update = rule()
        .and(warp::put())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .and(filters::json_body())
        .then(handler::update_rule)
        .map(respond)
        .boxed();
    let delete = rule()
        .and(warp::delete())
        .and(filters::with_state(state))
        .and(filters::authenticated(state, Role::Operator))
        .then(handler::delete_rule)
        .map(respond)
        .boxed();
    filters::any_of([list, create, update, delete])
}
