//! Brings what lies in the outbox to its receivers, in the background, with every instance at it.
//!
//! Each receiver has a few deliveries under way at a time, whoever else is slow. What fails is tried again after a pause
//! that doubles; once a receiver takes something again, all that waits for it is due at once. What a receiver does not
//! want is given up after a few times, the rest at a certain age.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::model::Message;
use super::outbox::{self, Channel, Next, Receiver};
use super::rules::Webhook;
use super::webhook::Failure;
use crate::database;
use crate::entity::{alert_deliveries, alert_rules, alerts};
use crate::error::ApiError;
use crate::metrics::Outcome;
use crate::state::State;

/// How often one looks without being told: what is to be tried again, and what other instances left behind.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Deliveries to one receiver under way at the same time, by one instance.
const MAX_UNDER_WAY: u64 = 4;
/// How much longer than a receiver may take nobody else tells the same.
const LEASE_BEYOND_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a broker may take.
const MQTT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often something is tried that the receiver does not want.
const MAX_REFUSALS: i32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long what is under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// Delivers until `stopped`. Any number of instances may do so at once.
pub async fn deliver(state: State, mut stopped: watch::Receiver<bool>) {
    let mut dispatcher = Dispatcher {
        state: State::clone(&state),
        under_way: JoinSet::new(),
        busy: HashMap::new(),
        failing: HashSet::new(),
    };
    let mut was_reached = true;
    loop {
        match dispatcher.begin_due().await {
            Ok(()) => was_reached = true,
            Err(error) if was_reached => {
                tracing::warn!(%error, "alerts cannot be delivered at the moment; trying again");
                was_reached = false;
            }
            Err(_) => (),
        }
        let ended = tokio::select! {
            () = async { drop(stopped.wait_for(|is_stopping| *is_stopping).await) } => break,
            ended = next_ended(&mut dispatcher.under_way) => Some(ended),
            () = state.alerts.filled() => None,
            () = sleep(LOOK_INTERVAL) => None,
        };
        if let Some(ended) = ended {
            dispatcher.end(ended).await;
        }
        while let Some(ended) = dispatcher.under_way.try_join_next() {
            dispatcher.end(ended).await;
        }
    }
    // What does not end in time is tried again when its lease has ended.
    let _ = timeout(GRACE, async { while dispatcher.under_way.join_next().await.is_some() {} }).await;
}

/// A receiver, and whether it was told.
type Ended = Result<(Receiver, bool), JoinError>;

/// The next delivery to end; none ever does while none is under way.
async fn next_ended(under_way: &mut JoinSet<(Receiver, bool)>) -> Ended {
    match under_way.join_next().await {
        Some(ended) => ended,
        None => std::future::pending().await,
    }
}

struct Dispatcher {
    state: State,
    under_way: JoinSet<(Receiver, bool)>,
    /// Deliveries under way by receiver.
    busy: HashMap<Receiver, u64>,
    /// Those who took nothing the last time.
    failing: HashSet<Receiver>,
}

impl Dispatcher {
    /// Begins what is due, as far as its receivers are free.
    async fn begin_due(&mut self) -> Result<(), ApiError> {
        for receiver in outbox::receivers_due(&self.state.db).await? {
            let free = MAX_UNDER_WAY - self.busy.get(&receiver).copied().unwrap_or(0).min(MAX_UNDER_WAY);
            if free > 0 {
                self.begin(receiver, free).await?;
            }
        }
        Ok(())
    }

    async fn begin(&mut self, receiver: Receiver, free: u64) -> Result<(), ApiError> {
        let state = &self.state;
        let allowed = time_allowed(state, receiver.channel) + LEASE_BEYOND_TIMEOUT;
        let lease = TimeDelta::from_std(allowed).map_err(ApiError::internal)?;
        let deliveries = outbox::claim(&state.db, receiver, free, lease).await?;
        if deliveries.is_empty() {
            return Ok(());
        }
        let rule = alert_rules::Entity::find_by_id(receiver.rule_id).one(&state.db).await?;
        let ids = deliveries.iter().map(|delivery| delivery.alert_id);
        let alerts = alerts::Entity::find().filter(alerts::Column::Id.is_in(ids)).all(&state.db).await?;
        let mut alerts: HashMap<Uuid, alerts::Model> =
            alerts.into_iter().map(|alert| (alert.id, alert)).collect();
        for delivery in deliveries {
            // Rule and alert take their deliveries with them when they go.
            let (Some(rule), Some(alert)) = (&rule, alerts.remove(&delivery.alert_id)) else { continue };
            let (state, rule) = (State::clone(state), rule.clone());
            self.under_way.spawn(async move {
                let is_told = attempt(&state, receiver, &rule, &alert, &delivery).await;
                (receiver, is_told)
            });
            *self.busy.entry(receiver).or_default() += 1;
        }
        Ok(())
    }

    async fn end(&mut self, ended: Ended) {
        let Ok((receiver, is_told)) = ended else {
            // A fault of ours, which the log tells of; who it was about is not known any more.
            tracing::error!("a delivery broke down");
            self.busy.clear();
            return;
        };
        if let Some(busy) = self.busy.get_mut(&receiver) {
            *busy = busy.saturating_sub(1);
            if *busy == 0 {
                self.busy.remove(&receiver);
            }
        }
        if !is_told {
            self.failing.insert(receiver);
        } else if self.failing.remove(&receiver)
            && let Err(error) = outbox::hasten(&self.state.db, receiver).await
        {
            tracing::debug!(%error, "what waits for a receiver who is back stays for its time");
        }
    }
}

fn time_allowed(state: &State, channel: Channel) -> Duration {
    match channel {
        Channel::Webhook => Duration::from_secs(state.config.file.alerts.webhook_timeout.get().into()),
        Channel::Mqtt => MQTT_TIMEOUT,
    }
}

/// Tells one receiver once, and writes down what came of it; says whether it was told.
async fn attempt(
    state: &State,
    receiver: Receiver,
    rule: &alert_rules::Model,
    alert: &alerts::Model,
    delivery: &alert_deliveries::Model,
) -> bool {
    let allowed = time_allowed(state, receiver.channel);
    let told = timeout(allowed, tell(state, receiver.channel, rule, alert, delivery)).await;
    let told =
        told.unwrap_or_else(|_| Err(Failure::passing(format!("no answer within {} s", allowed.as_secs()))));
    let is_told = told.is_ok();
    let written = async {
        let now = database::now(&state.db).await?;
        let give_up_after = TimeDelta::seconds(state.config.file.alerts.give_up_after.get().into());
        let next = next(told, delivery, now, give_up_after, rand::rng().random_range(0.5..=1.0));
        let outcome = match &next {
            Next::Delivered => Outcome::Delivered,
            Next::GivenUp(reason) => {
                tracing::warn!(delivery = %delivery.id, rule = %rule.id, reason, "an alert is told no more: given up");
                Outcome::GivenUp
            }
            Next::Again(..) => Outcome::Failed,
        };
        state.metrics.alerts.count_delivery(receiver.channel, outcome);
        outbox::end_attempt(&state.db, delivery, next).await
    };
    if let Err(error) = written.await {
        tracing::warn!(%error, "what came of a delivery cannot be written down: it is made again");
    }
    is_told
}

async fn tell(
    state: &State,
    channel: Channel,
    rule: &alert_rules::Model,
    alert: &alerts::Model,
    delivery: &alert_deliveries::Model,
) -> Result<(), Failure> {
    let message = Message::new(delivery.id, alert);
    let body = serde_json::to_vec(&message).map_err(|_| Failure::passing("the message cannot be written"))?;
    match channel {
        Channel::Webhook => {
            let webhook = Webhook::of(&state.keys, rule).map_err(|error| {
                tracing::error!(rule = %rule.id, %error, "a webhook's URL and secret cannot be read");
                Failure::passing("the rule's URL and secret cannot be read")
            })?;
            let gone = || Failure::Refused("the rule has no webhook any more".to_owned());
            let webhook = webhook.ok_or_else(gone)?;
            state.alerts.webhooks.post(&webhook, delivery.id, Utc::now().timestamp(), body).await
        }
        Channel::Mqtt => {
            let gone = || Failure::Refused("the rule has no topic any more".to_owned());
            let topic = rule.mqtt_topic.as_deref().ok_or_else(gone)?;
            let broker = state.alerts.mqtt.as_ref();
            let broker = broker.ok_or_else(|| Failure::passing("no broker is set: MQTT_HOST"))?;
            broker.publish(topic, body).await
        }
    }
}

/// What becomes of a delivery after an attempt; `share` of the pause, from one half to all of it, is waited for.
fn next(
    told: Result<(), Failure>,
    delivery: &alert_deliveries::Model,
    now: DateTime<Utc>,
    give_up_after: TimeDelta,
    share: f64,
) -> Next {
    let (reason, asked) = match told {
        Ok(()) => return Next::Delivered,
        Err(Failure::Refused(reason)) if delivery.attempts >= MAX_REFUSALS => return Next::GivenUp(reason),
        Err(Failure::Refused(reason)) => (reason, None),
        Err(Failure::Passing { reason, pause }) => (reason, pause),
    };
    let ends_at = delivery.created_at + give_up_after;
    if now >= ends_at {
        return Next::GivenUp(reason);
    }
    let pause = pause_after(delivery.attempts).mul_f64(share).max(asked.unwrap_or_default());
    // There is one last attempt when the time is over.
    let again_at = TimeDelta::from_std(pause).map_or(ends_at, |pause| now + pause).min(ends_at);
    Next::Again(again_at, reason)
}

fn pause_after(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const HOUR: TimeDelta = TimeDelta::hours(1);

    fn delivery(attempts: i32) -> alert_deliveries::Model {
        alert_deliveries::Model {
            id: Uuid::nil(),
            alert_id: Uuid::nil(),
            rule_id: Uuid::nil(),
            channel: "webhook".to_owned(),
            status: "waiting".to_owned(),
            attempts,
            due_at: at(0),
            leased_until: None,
            last_error: None,
            created_at: at(0),
            ended_at: None,
        }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn after(attempts: i32, second: i64, failure: Failure) -> Next {
        next(Err(failure), &delivery(attempts), at(second), HOUR, 1.0)
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let pauses: Vec<u64> = [1, 2, 3, 4, 9, 10, i32::MAX].map(|n| pause_after(n).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 8, 256, 300, 300]);
        let again = |share| match next(Err(Failure::passing("x")), &delivery(3), at(10), HOUR, share) {
            Next::Again(time, _) => time,
            other => panic!("{other:?}"),
        };
        assert_eq!((again(0.5), again(1.0)), (at(12), at(14)));
    }

    #[test]
    fn what_is_not_wanted_is_given_up_sooner() {
        let refused = || Failure::Refused("no".to_owned());
        assert!(matches!(after(2, 10, refused()), Next::Again(..)));
        assert_eq!(after(3, 10, refused()), Next::GivenUp("no".to_owned()));
        assert!(matches!(after(300, 10, Failure::passing("later")), Next::Again(..)));
    }

    #[test]
    fn everything_is_given_up_at_some_age_and_not_before() {
        let late = || Failure::passing("later");
        assert_eq!(after(20, 3_500, late()), Next::Again(at(3_600), "later".to_owned()), "one last time");
        assert_eq!(after(21, 3_600, late()), Next::GivenUp("later".to_owned()));
        assert_eq!(next(Ok(()), &delivery(21), at(9_999), HOUR, 1.0), Next::Delivered);
    }

    #[test]
    fn who_asks_to_be_left_alone_is() {
        let busy = Failure::Passing { reason: "busy".to_owned(), pause: Some(Duration::from_secs(90)) };
        assert_eq!(after(1, 0, busy), Next::Again(at(90), "busy".to_owned()));
    }
}
