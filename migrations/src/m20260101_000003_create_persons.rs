//! Enrolled people. An e-mail address or employee id is taken only while its holder is active, so that someone
//! who was removed can be enrolled again.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("persons")
                    .col(pk_uuid("id"))
                    .col(string("name"))
                    .col(string_null("email"))
                    .col(string_null("employee_id"))
                    .col(string_null("phone"))
                    .col(string_null("department"))
                    .col(string_null("designation"))
                    .col(boolean("is_active").default(true))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idx_persons_email_active")
                    .table("persons")
                    .col("email")
                    .unique()
                    .cond_where(Expr::col("is_active"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idx_persons_employee_id_active")
                    .table("persons")
                    .col("employee_id")
                    .unique()
                    .cond_where(Expr::col("is_active"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(Index::create().name("idx_persons_name").table("persons").col("name").to_owned())
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("persons").to_owned()).await
    }
}
