//! The audit log: who did what to what, from where, in the table `system_logs`, which `logs` answers.
//!
//! Where something is changed, its entry is written by the same transaction: both are there or neither, so a
//! failure to write it fails the request. Where nothing is changed, as when a login is refused, the answer stands
//! and an entry that cannot be written becomes an error line in the log instead. None is lost in silence.
//!
//! Entries hold ids, names of accounts and names of fields: no password, key, template or camera credential, and
//! of enrolled people nothing but the id. When a person is erased, [`forget`] takes even that.

use std::fmt::Display;
use std::net::IpAddr;

use chrono::Utc;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
};
use serde_json::Value;
use uuid::Uuid;

use crate::auth::CurrentUser;
use crate::entity::system_logs::{ActiveModel, Column, Entity};
use crate::logs;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Login,
    LoginFailed,
    Logout,
    PasswordChanged,
    /// The password that came with the account was replaced by one of the user's own.
    FirstPasswordChanged,
    Registered,
    UserCreated,
    UserChanged,
    UserDeleted,
    PasswordReset,
    KeyCreated,
    KeyDeleted,
    /// A known key was shown, but has ended or may not do what was asked.
    KeyRefused,
    PersonRegistered,
    PersonChanged,
    PersonDeactivated,
    PersonErased,
    FaceAdded,
    FaceDeleted,
    CameraCreated,
    CameraChanged,
    CameraStarted,
    CameraStopped,
    CameraDeleted,
    AlertRuleCreated,
    AlertRuleChanged,
    AlertRuleDeleted,
    AlertAcknowledged,
    LogLevelChanged,
    /// What was kept as long as the settings say was removed.
    RetentionRan,
}

impl Action {
    /// Category and action as the table holds them.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Login => ("auth", "login"),
            Self::LoginFailed => ("auth", "login_failed"),
            Self::Logout => ("auth", "logout"),
            Self::PasswordChanged => ("auth", "password_changed"),
            Self::FirstPasswordChanged => ("auth", "first_password_changed"),
            Self::Registered => ("users", "registered"),
            Self::UserCreated => ("users", "created"),
            Self::UserChanged => ("users", "changed"),
            Self::UserDeleted => ("users", "deleted"),
            Self::PasswordReset => ("users", "password_reset"),
            Self::KeyCreated => ("api_keys", "created"),
            Self::KeyDeleted => ("api_keys", "deleted"),
            Self::KeyRefused => ("api_keys", "refused"),
            Self::PersonRegistered => ("persons", "registered"),
            Self::PersonChanged => ("persons", "changed"),
            Self::PersonDeactivated => ("persons", "deactivated"),
            Self::PersonErased => ("persons", "erased"),
            Self::FaceAdded => ("persons", "face_added"),
            Self::FaceDeleted => ("persons", "face_deleted"),
            Self::CameraCreated => ("cameras", "created"),
            Self::CameraChanged => ("cameras", "changed"),
            Self::CameraStarted => ("cameras", "started"),
            Self::CameraStopped => ("cameras", "stopped"),
            Self::CameraDeleted => ("cameras", "deleted"),
            Self::AlertRuleCreated => ("alerts", "rule_created"),
            Self::AlertRuleChanged => ("alerts", "rule_changed"),
            Self::AlertRuleDeleted => ("alerts", "rule_deleted"),
            Self::AlertAcknowledged => ("alerts", "acknowledged"),
            Self::LogLevelChanged => ("config", "log_level_changed"),
            Self::RetentionRan => ("retention", "ran"),
        }
    }

    fn level(self) -> &'static str {
        match self {
            Self::LoginFailed | Self::KeyRefused => "warning",
            _ => "info",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    id: Option<Uuid>,
    name: Option<String>,
    address: Option<IpAddr>,
}

impl Actor {
    /// Somebody who is not signed in.
    pub fn nobody(address: Option<IpAddr>) -> Self {
        Self { address, ..Self::default() }
    }

    /// A user, or an API key by its id and name.
    pub fn named(id: Uuid, name: impl Into<String>, address: Option<IpAddr>) -> Self {
        Self { id: Some(id), name: Some(name.into()), address }
    }

    /// Whoever runs `vedette` commands on the server's own machine.
    pub fn command_line() -> Self {
        Self { name: Some("command line".to_owned()), ..Self::default() }
    }

    /// The server itself, by its configuration or a signal.
    pub fn server() -> Self {
        Self { name: Some("server".to_owned()), ..Self::default() }
    }
}

impl From<&CurrentUser> for Actor {
    fn from(user: &CurrentUser) -> Self {
        Self::named(user.id, user.username.as_str(), user.address)
    }
}

/// One entry to be written.
#[derive(Clone, Debug)]
pub struct Entry {
    action: Action,
    actor: Actor,
    subject: Option<String>,
    details: Option<Value>,
}

impl Entry {
    /// That `actor` did this.
    pub fn new(action: Action, actor: &Actor) -> Self {
        Self { action, actor: actor.clone(), subject: None, details: None }
    }

    /// What it was done to: a kind of thing, such as `camera`, and its id.
    #[must_use]
    pub fn about(self, kind: &str, id: impl Display) -> Self {
        Self { subject: Some(subject(kind, id)), ..self }
    }

    /// What else there is to say.
    #[must_use]
    pub fn with(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// Writes it, by the transaction of the change it is about.
    ///
    /// # Errors
    /// When the database refuses; the change must not stand then.
    pub async fn write(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let (category, action) = self.action.names();
        let row = ActiveModel {
            id: Set(Uuid::now_v7()),
            timestamp: Set(Utc::now()),
            source: Set(logs::AUDIT.to_owned()),
            level: Set(self.action.level().to_owned()),
            category: Set(category.to_owned()),
            action: Set(action.to_owned()),
            message: Set(None),
            actor_id: Set(self.actor.id),
            actor: Set(self.actor.name),
            subject: Set(self.subject),
            address: Set(self.actor.address.map(|address| address.to_canonical().to_string())),
            origin: Set(None),
            details: Set(self.details),
        };
        Entity::insert(row).exec_without_returning(db).await?;
        Ok(())
    }

    /// Writes it where there is no change to undo: if that fails, the log says what the table could not.
    pub async fn write_or_log(self, db: &impl ConnectionTrait) {
        let (entry, written) = (self.clone(), self.write(db).await);
        if let Err(error) = written {
            let (category, action) = entry.action.names();
            tracing::error!(
                %error, category, action, actor = entry.actor.name, subject = entry.subject,
                "an audit entry could not be written"
            );
        }
    }
}

/// Takes out of every entry which thing it was about, and what was said of it; lines of the system that name it go.
///
/// # Errors
/// When the database refuses.
pub async fn forget(db: &impl ConnectionTrait, kind: &str, id: impl Display) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Subject, Expr::value(Option::<String>::None))
        .col_expr(Column::Details, Expr::value(Option::<Value>::None))
        .filter(Column::Subject.eq(subject(kind, &id)))
        .exec(db)
        .await?;
    logs::remove_lines_naming(db, &id.to_string()).await
}

fn subject(kind: &str, id: impl Display) -> String {
    format!("{kind}:{id}")
}
