//! Alerts: the rules that make them, those that were made, what is still to be told to whom (the outbox), and what keeps
//! one and the same thing from being told again and again.
//!
//! What names a person goes with the person, by foreign keys.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Tables in the order they refer to each other.
const TABLES: [&str; 5] = ["alert_rules", "alerts", "alert_cooldowns", "alert_deliveries", "camera_outages"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [rules(), alerts(), cooldowns(), deliveries(), outages()] {
            manager.create_table(table).await?;
        }
        let indexes: [(&'static str, &[&'static str]); 9] = [
            ("alert_rules", &["person_id"]),
            ("alerts", &["timestamp", "id"]),
            ("alerts", &["created_at"]),
            ("alerts", &["rule_id"]),
            ("alerts", &["person_id"]),
            ("alert_cooldowns", &["person_id"]),
            ("alert_deliveries", &["alert_id"]),
            // What is due, and of whom; then what of one receiver is due.
            ("alert_deliveries", &["status", "due_at", "rule_id", "channel"]),
            ("alert_deliveries", &["rule_id", "channel", "status", "due_at"]),
        ];
        for (table, columns) in indexes {
            let mut index = Index::create();
            index.name(format!("idx_{table}_{}", columns.join("_"))).table(table);
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.into_iter().rev() {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn rules() -> TableCreateStatement {
    Table::create()
        .table("alert_rules")
        .col(pk_uuid("id"))
        .col(string("name"))
        .col(string("kind"))
        .col(boolean("enabled"))
        .col(json_null("cameras"))
        .col(uuid_null("person_id"))
        .col(integer_null("offline_after_s"))
        .col(json_null("schedule"))
        .col(integer("cooldown_s"))
        .col(text_null("webhook"))
        .col(text_null("mqtt_topic"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut reference("alert_rules", "person_id", "persons", ForeignKeyAction::Cascade))
        .to_owned()
}

fn alerts() -> TableCreateStatement {
    Table::create()
        .table("alerts")
        .col(pk_uuid("id"))
        // An alert outlives its rule, whose name it keeps.
        .col(uuid_null("rule_id"))
        .col(string("rule_name"))
        .col(string("kind"))
        .col(string("camera_id"))
        .col(uuid_null("person_id"))
        .col(string_null("person_name"))
        .col(uuid_null("detection_id"))
        .col(timestamp_with_time_zone("timestamp"))
        .col(timestamp_with_time_zone_null("offline_since"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("acknowledged_at"))
        .col(string_null("acknowledged_by"))
        .foreign_key(&mut reference("alerts", "rule_id", "alert_rules", ForeignKeyAction::SetNull))
        .foreign_key(&mut reference("alerts", "person_id", "persons", ForeignKeyAction::Cascade))
        .to_owned()
}

fn cooldowns() -> TableCreateStatement {
    Table::create()
        .table("alert_cooldowns")
        .col(string("key").primary_key())
        .col(uuid("rule_id"))
        .col(uuid_null("person_id"))
        .col(timestamp_with_time_zone("last_at"))
        .foreign_key(&mut reference("alert_cooldowns", "rule_id", "alert_rules", ForeignKeyAction::Cascade))
        .foreign_key(&mut reference("alert_cooldowns", "person_id", "persons", ForeignKeyAction::Cascade))
        .to_owned()
}

fn deliveries() -> TableCreateStatement {
    Table::create()
        .table("alert_deliveries")
        .col(pk_uuid("id"))
        .col(uuid("alert_id"))
        .col(uuid("rule_id"))
        .col(string("channel"))
        .col(string("status"))
        .col(integer("attempts"))
        .col(timestamp_with_time_zone("due_at"))
        .col(timestamp_with_time_zone_null("leased_until"))
        .col(text_null("last_error"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("ended_at"))
        .foreign_key(&mut reference("alert_deliveries", "alert_id", "alerts", ForeignKeyAction::Cascade))
        .foreign_key(&mut reference("alert_deliveries", "rule_id", "alert_rules", ForeignKeyAction::Cascade))
        .to_owned()
}

fn outages() -> TableCreateStatement {
    Table::create()
        .table("camera_outages")
        .col(string("camera_id").primary_key())
        .col(timestamp_with_time_zone("since"))
        .to_owned()
}

fn reference(
    table: &'static str,
    column: &'static str,
    to: &'static str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{table}_{column}"))
        .from(table, column)
        .to(to, "id")
        .on_delete(on_delete)
        .to_owned()
}
