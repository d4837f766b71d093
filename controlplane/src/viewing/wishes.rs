//! What is looked at at which instance: in the database, a few seconds at a time, so that an instance that dies asks for
//! nothing any more. Times are the database's.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, Condition, DbErr, EntityTrait as _, QueryFilter as _};

use super::View;
use crate::database;
use crate::entity::live_wishes::{ActiveModel, Column, Entity};
use crate::state::{AppState, State};

/// How often wishes are renewed, and those of others read.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long a wish holds that nobody renews.
const LASTS: TimeDelta = TimeDelta::seconds(5);

/// Shares what is looked at with the other instances, for as long as the server runs.
pub async fn keep_shared(state: State) {
    let mut are_ours_stored = true;
    loop {
        if let Err(error) = share(&state, &mut are_ours_stored).await {
            tracing::debug!(%error, "what is looked at cannot be shared with other instances");
        }
        // An error means that time is up, which is as good a reason.
        let _ = tokio::time::timeout(RENEW_EVERY, state.views.changed()).await;
    }
}

async fn share(state: &AppState, are_ours_stored: &mut bool) -> Result<(), DbErr> {
    let AppState { db, views, .. } = state;
    let now = database::now(db).await?;
    let wishes: Vec<ActiveModel> =
        views.here().into_iter().map(|view| wish(views.instance(), view, now)).collect();
    let has_wishes = !wishes.is_empty();
    if has_wishes {
        let renew = OnConflict::columns([Column::Instance, Column::CameraId, Column::Side])
            .update_column(Column::ExpiresAt)
            .to_owned();
        Entity::insert_many(wishes).on_conflict(renew).exec_without_returning(db).await?;
    }
    if has_wishes || *are_ours_stored {
        // What is not looked at here any more was not renewed.
        let ours = Condition::all()
            .add(Column::Instance.eq(views.instance()))
            .add(Column::ExpiresAt.lt(now + LASTS));
        let over = Condition::any().add(ours).add(Column::ExpiresAt.lt(now));
        Entity::delete_many().filter(over).exec(db).await?;
        *are_ours_stored = has_wishes;
    }
    let others = Entity::find()
        .filter(Column::Instance.ne(views.instance()))
        .filter(Column::ExpiresAt.gt(now))
        .all(db)
        .await?;
    let elsewhere = others
        .into_iter()
        .filter_map(|wish| Some(View { camera_id: wish.camera_id, side: wish.side.try_into().ok()? }));
    views.set_elsewhere(elsewhere.collect::<HashSet<View>>());
    Ok(())
}

fn wish(instance: &str, view: View, now: chrono::DateTime<chrono::Utc>) -> ActiveModel {
    ActiveModel {
        instance: Set(instance.to_owned()),
        camera_id: Set(view.camera_id),
        side: Set(view.side.try_into().unwrap_or(i32::MAX)),
        expires_at: Set(now + LASTS),
    }
}
