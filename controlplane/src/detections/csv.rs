//! `GET /api/detections?format=csv`: everything the filter lets through, streamed.
//!
//! Rows are read in portions, each from where the last one ended, so that an export of millions holds no long
//! transaction and little memory. A channel of one portion lets a slow client slow the reading down.

use std::fmt::Write as _;

use bytes::Bytes;
use chrono::SecondsFormat;
use futures_util::stream;
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbErr, Order, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use tokio::sync::mpsc;
use warp::Reply as _;
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::model::{DetectionFilter, DetectionView};
use super::query::{Lead, Reading};
use crate::entity::detections::{Column, Entity, Model};
use crate::error::ApiError;
use crate::state::State;

const ROWS_PER_PORTION: u64 = 1000;

const HEAD: &str = "id,event_id,kind,timestamp,stream_time_ms,camera_id,track_id,person_id,person_name,similarity,\
                    confidence,quality,x,y,width,height,frame_width,frame_height,age,gender,snapshot_url\r\n";

/// Starts the export.
pub(super) fn export(state: State, filter: DetectionFilter) -> Result<Response, ApiError> {
    let (Column::Timestamp, order) = filter.order()? else {
        return Err(ApiError::validation("sort", "a CSV is sorted by timestamp or -timestamp"));
    };
    filter.check()?;
    let query = Reading::new(&state.db, Lead::Time).select(&filter);
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = send_all(&state.db, query, order, &sender).await {
            tracing::error!(%error, "an export ended early");
            // The status is long sent; a broken body is the only way left to say that it is not complete.
            let _ = sender.send(Err(std::io::Error::other("the export cannot be completed"))).await;
        }
    });
    let body = stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut response = warp::reply::stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let disposition = HeaderValue::from_static("attachment; filename=\"detections.csv\"");
    headers.insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}

async fn send_all(
    db: &DatabaseConnection,
    query: Select<Entity>,
    order: Order,
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
) -> Result<(), DbErr> {
    let mut portion = HEAD.to_owned();
    let mut last: Option<Model> = None;
    loop {
        let from_here = last.as_ref().map_or_else(Condition::all, |last| after(last, &order));
        let rows = query
            .clone()
            .filter(from_here)
            .order_by(Column::Timestamp, order.clone())
            .order_by(Column::Id, order.clone())
            .limit(ROWS_PER_PORTION)
            .all(db)
            .await?;
        last = rows.last().cloned();
        rows.into_iter().for_each(|row| write_row(&mut portion, &row.into()));
        let is_gone = sender.send(Ok(std::mem::take(&mut portion).into())).await.is_err();
        if is_gone || last.is_none() {
            return Ok(());
        }
    }
}

/// The rows that come after `last`; the time is asked for apart, so that the index is entered there.
fn after(last: &Model, order: &Order) -> Condition {
    let (not_earlier, later, same_but_later) = match order {
        Order::Desc => (
            Column::Timestamp.lte(last.timestamp),
            Column::Timestamp.lt(last.timestamp),
            Column::Id.lt(last.id),
        ),
        _ => (
            Column::Timestamp.gte(last.timestamp),
            Column::Timestamp.gt(last.timestamp),
            Column::Id.gt(last.id),
        ),
    };
    Condition::all().add(not_earlier).add(Condition::any().add(later).add(same_but_later))
}

fn write_row(text: &mut String, row: &DetectionView) {
    let or_empty = |value: Option<f32>| value.map(|value| value.to_string()).unwrap_or_default();
    let fields = [
        row.id.to_string(),
        row.event_id.to_string(),
        row.kind.clone(),
        row.timestamp.to_rfc3339_opts(SecondsFormat::Millis, true),
        row.stream_time_ms.to_string(),
        row.camera_id.clone(),
        row.track_id.to_string(),
        row.person_id.map(|id| id.to_string()).unwrap_or_default(),
        row.person_name.clone().unwrap_or_default(),
        or_empty(row.similarity),
        row.confidence.to_string(),
        row.quality.to_string(),
        row.bounding_box.x.to_string(),
        row.bounding_box.y.to_string(),
        row.bounding_box.width.to_string(),
        row.bounding_box.height.to_string(),
        row.frame.width.to_string(),
        row.frame.height.to_string(),
        or_empty(row.age),
        row.gender.clone().unwrap_or_default(),
        row.snapshot_url.clone().unwrap_or_default(),
    ];
    let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    // Writing to a String cannot fail.
    let _ = write!(text, "{}\r\n", fields.join(","));
}

/// A field as CSV wants it. Spreadsheets take some texts for formulas; an apostrophe keeps them text.
fn quoted(field: &str) -> String {
    let is_number = field.parse::<f64>().is_ok();
    let is_formula = !is_number && field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if is_formula { format!("'{field}") } else { field.to_owned() };
    if field.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields_are_quoted_and_formulas_defused() {
        assert_eq!(quoted("Ada"), "Ada");
        assert_eq!(quoted("Love\"lace, Ada"), "\"Love\"\"lace, Ada\"");
        assert_eq!(quoted("-0.5"), "-0.5");
        assert_eq!(quoted("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(quoted("@x"), "'@x");
    }
}
