//! Reading, changing and removing people.

use std::collections::HashMap;
use utoipa::IntoParams;
use utoipa::openapi::schema::Object;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DatabaseConnection, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Set,
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use vedette_events::EventKind;

use super::duplicates;
use super::model::{PersonChange, PersonDetails, PersonView};
use super::template;
use crate::audit::{Action, Actor, Entry};
use crate::database::{self, Exclusive};
use crate::entity::{detections, face_templates, persons};
use crate::error::ApiError;
use crate::filters::{Page, PageRequest};
use crate::sorting;
use crate::state::State;

/// What `GET /api/persons` can be asked for besides a page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PersonFilter {
    /// Part of the name, the mail address or the employee id, in any case.
    search: Option<String>,
    department: Option<String>,
    is_active: Option<bool>,
    /// A column, with `-` before it to turn the order round.
    #[param(schema_with = sort_schema)]
    sort: Option<String>,
}

/// The person of that id, active or not.
pub(super) async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<persons::Model, ApiError> {
    let person = persons::Entity::find_by_id(id).one(db).await?;
    person.ok_or_else(|| ApiError::not_found("person", id))
}

/// One page of people.
pub(super) async fn list(
    db: &DatabaseConnection,
    filter: PersonFilter,
    page: PageRequest,
) -> Result<Page<PersonView>, ApiError> {
    let (column, order) = sorting::order(filter.sort.as_deref().unwrap_or("name"), &SORT_COLUMNS)?;
    let mut query = persons::Entity::find();
    if let Some(search) = filter.search.as_deref().map(str::trim).filter(|search| !search.is_empty()) {
        let columns = [persons::Column::Name, persons::Column::Email, persons::Column::EmployeeId];
        query = query.filter(database::any_contains(columns, search));
    }
    if let Some(department) = filter.department {
        query = query.filter(persons::Column::Department.eq(department));
    }
    if let Some(is_active) = filter.is_active {
        query = query.filter(persons::Column::IsActive.eq(is_active));
    }
    let total = query.clone().count(db).await?;
    let people = query
        .order_by(column, order)
        .order_by_asc(persons::Column::Id)
        .offset(page.index() * page.page_size())
        .limit(page.page_size())
        .all(db)
        .await?;
    let ids = people.iter().map(|person| person.id);
    let counts = face_counts(db, ids).await?;
    let view = |person: persons::Model| {
        let face_count = counts.get(&person.id).copied().unwrap_or(0);
        PersonView::new(person, face_count)
    };
    Ok(page.with(people.into_iter().map(view).collect(), total))
}

/// What lists of people can be sorted by.
const SORT_COLUMNS: [(&str, persons::Column); 6] = [
    ("name", persons::Column::Name),
    ("email", persons::Column::Email),
    ("employee_id", persons::Column::EmployeeId),
    ("department", persons::Column::Department),
    ("created_at", persons::Column::CreatedAt),
    ("updated_at", persons::Column::UpdatedAt),
];

fn sort_schema() -> Object {
    sorting::schema(&SORT_COLUMNS)
}

async fn face_counts(
    db: &DatabaseConnection,
    person_ids: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, u64>, ApiError> {
    // A photo may have templates of several packs.
    let photos = Expr::col(face_templates::Column::PhotoPath).count_distinct();
    let counts: Vec<(Uuid, i64)> = face_templates::Entity::find()
        .select_only()
        .column(face_templates::Column::PersonId)
        .column_as(photos, "faces")
        .filter(face_templates::Column::PersonId.is_in(person_ids))
        .group_by(face_templates::Column::PersonId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(counts.into_iter().map(|(id, count)| (id, count.unsigned_abs())).collect())
}

/// One person with their photos and when they were seen.
pub(super) async fn details(db: &DatabaseConnection, id: Uuid) -> Result<PersonDetails, ApiError> {
    let person = find(db, id).await?;
    let faces = super::faces::list(db, id).await?;
    let seen = detections::Entity::find().filter(detections::Column::PersonId.eq(id));
    let last_seen: Option<Option<DateTime<Utc>>> = seen
        .clone()
        .select_only()
        .expr(Expr::col(detections::Column::Timestamp).max())
        .into_tuple()
        .one(db)
        .await?;
    // A track gives several events about one appearance; the first of them counts.
    let recognized = seen.filter(detections::Column::Kind.eq(EventKind::Recognized.as_str()));
    let detection_count = recognized.count(db).await?;
    let person = PersonView::new(person, faces.len() as u64);
    Ok(PersonDetails { person, faces, last_seen: last_seen.flatten(), detection_count })
}

/// Changes a person. One who becomes active again must have a face nobody else has by now, unless `force` says that
/// it is somebody else's.
pub(super) async fn update(
    state: &State,
    actor: &Actor,
    id: Uuid,
    change: PersonChange,
    force: bool,
) -> Result<PersonDetails, ApiError> {
    // Those of this process wait here, where they hold no connection to the database.
    let enrolling = match change.is_active {
        Some(true) => Some(state.gallery.enrolment().await),
        _ => None,
    };
    let transaction = match &enrolling {
        Some(_) => database::begin_exclusive(&state.db, Exclusive::Enrolment).await?,
        None => database::begin_write(&state.db).await?,
    };
    let person = find(&transaction, id).await?;
    let was_active = person.is_active;
    let is_active = change.is_active.unwrap_or(was_active);
    let named = change.named_fields();
    let fields = change.apply_to(&person)?;
    if is_active {
        duplicates::check_free(&transaction, &fields, Some(id)).await?;
    }
    if is_active && !was_active && !force {
        let templates = template::of_person(&transaction, &state.keys, id, &state.vision.pack().name).await?;
        duplicates::check_new_face(state, "is_active", &templates.iter().collect::<Vec<_>>()).await?;
    }
    let mut row = person.into_active_model();
    row.name = Set(fields.name);
    row.email = Set(fields.email);
    row.employee_id = Set(fields.employee_id);
    row.phone = Set(fields.phone);
    row.department = Set(fields.department);
    row.designation = Set(fields.designation);
    row.is_active = Set(is_active);
    row.updated_at = Set(Utc::now());
    row.update(&transaction).await.map_err(duplicates::taken_meanwhile)?;
    let is_deactivation = was_active && !is_active;
    let action = if is_deactivation { Action::PersonDeactivated } else { Action::PersonChanged };
    let entry = Entry::new(action, actor).about("person", id).with(json!({ "fields": named }));
    entry.write(&transaction).await?;
    state.gallery.commit(transaction).await?;
    details(&state.db, id).await
}

/// Takes a person out of the gallery; everything about them stays.
pub(super) async fn deactivate(state: &State, actor: &Actor, id: Uuid) -> Result<(), ApiError> {
    let transaction = database::begin_write(&state.db).await?;
    let person = find(&transaction, id).await?;
    if person.is_active {
        let mut row = person.into_active_model();
        row.is_active = Set(false);
        row.updated_at = Set(Utc::now());
        row.update(&transaction).await?;
        Entry::new(Action::PersonDeactivated, actor).about("person", id).write(&transaction).await?;
        state.gallery.commit(transaction).await?;
    }
    tracing::info!(person_id = %id, "person deactivated");
    Ok(())
}
