//! Puts a summary together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::Utc;
use sea_orm::{
    DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::counts::{self, Count, appearances};
use super::model::{Bar, CameraSummary, PeriodView, Summary};
use super::period::{Period, SummaryQuery, WholeDays};
use super::visitors;
use crate::detections::DetectionView;
use crate::entity::{cameras, detections};
use crate::error::ApiError;

/// How many of the last appearances are told.
const RECENT: u64 = 10;

/// The summary that is asked for.
pub(super) async fn summary(db: &DatabaseConnection, query: &SummaryQuery) -> Result<Summary, ApiError> {
    let period = Period::of(query, Utc::now())?;
    let camera_id = query.camera_id.as_deref();
    let whole_days = period.whole_days(visitors::seen(db).await?);
    let (counts, each, of_cameras, recent) = tokio::try_join!(
        counts::count(db, &period, camera_id),
        visitors::appearances_of_each(db, &whole_days, camera_id),
        visitors_of_cameras(db, &whole_days, camera_id),
        recent(db, &period, camera_id),
    )?;
    let unique_visitors = each.len() as u64;
    let top_visitors = visitors::top(db, each, &period, camera_id).await?;
    let of_cameras = match camera_id {
        Some(camera_id) => HashMap::from([(camera_id.to_owned(), unique_visitors)]),
        None => of_cameras,
    };
    let cameras = camera_summaries(db, camera_id, &counts.cameras, &of_cameras).await?;
    let known_detections = counts.bars.iter().map(|bar| bar.known).sum();
    let unknown_detections = counts.bars.iter().map(|bar| bar.unknown).sum();
    let bar = |(start, count): (&chrono::DateTime<Utc>, &Count)| Bar {
        start: *start,
        count: count.sum(),
        known: count.known,
        unknown: count.unknown,
    };
    Ok(Summary {
        total_detections: known_detections + unknown_detections,
        known_detections,
        unknown_detections,
        unique_visitors,
        top_visitors,
        timeline: period.starts.iter().zip(&counts.bars).map(bar).collect(),
        cameras,
        recent,
        period: PeriodView {
            from: period.from,
            to: period.to,
            timezone: period.zone.name(),
            bucket: period.width,
        },
    })
}

/// Of all cameras; one camera's visitors are those of the whole summary.
async fn visitors_of_cameras(
    db: &DatabaseConnection,
    whole_days: &WholeDays,
    camera_id: Option<&str>,
) -> Result<HashMap<String, u64>, DbErr> {
    match camera_id {
        Some(_) => Ok(HashMap::new()),
        None => visitors::of_each_camera(db, whole_days).await,
    }
}

async fn camera_summaries(
    db: &DatabaseConnection,
    camera_id: Option<&str>,
    counts: &BTreeMap<String, Count>,
    visitors: &HashMap<String, u64>,
) -> Result<Vec<CameraSummary>, DbErr> {
    use cameras::{Column, Entity};
    let names: Vec<(String, String)> =
        Entity::find().select_only().columns([Column::Id, Column::Name]).into_tuple().all(db).await?;
    let names: BTreeMap<String, String> = names.into_iter().collect();
    let ids: BTreeSet<&String> = names.keys().chain(counts.keys()).collect();
    let mut cameras: Vec<CameraSummary> = ids
        .into_iter()
        .filter(|id| camera_id.is_none_or(|wanted| wanted == id.as_str()))
        .map(|id| CameraSummary {
            camera_id: id.clone(),
            name: names.get(id).unwrap_or(id).clone(),
            detections: counts.get(id).map_or(0, |count| count.sum()),
            unique_visitors: visitors.get(id).copied().unwrap_or(0),
        })
        .collect();
    cameras.sort_by_key(|camera| std::cmp::Reverse(camera.detections));
    Ok(cameras)
}

async fn recent(
    db: &DatabaseConnection,
    period: &Period,
    camera_id: Option<&str>,
) -> Result<Vec<DetectionView>, DbErr> {
    use detections::{Column, Entity};
    let rows = Entity::find()
        .filter(appearances((period.from, period.to), camera_id))
        .order_by_desc(Column::Timestamp)
        .order_by_desc(Column::Id)
        .limit(RECENT)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(DetectionView::from).collect())
}
