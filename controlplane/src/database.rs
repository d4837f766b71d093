//! The one database: SQLite in the data folder, or PostgreSQL when the environment names a host.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use prometheus_client::metrics::histogram::Histogram;
use sea_orm::sea_query::{
    Expr, ExprTrait as _, Func, IntoColumnRef, LikeExpr, Query, ReturningClause, SelectStatement, SimpleExpr,
};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ColumnTrait, Condition, ConnectOptions, ConnectionTrait, Database, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, EntityTrait, IdenStatic as _, Order, QueryFilter as _,
    QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use tracing::log::LevelFilter;

use crate::config::{EnvironmentSettings, PostgresSettings};
use crate::metrics::write_wait_histogram;

/// How long a connection may take to be made or to become free.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long SQLite waits for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements slower than this are worth a line in the log.
const SLOW_STATEMENT: Duration = Duration::from_millis(500);
const MAX_SQLITE_CONNECTIONS: u32 = 8;
/// Pages one connection keeps, if it needs them: the indexes events are inserted into at random places.
const SQLITE_CACHE_KIB: u32 = 32 * 1024;
/// Pages of 4 KiB in the log that commits go to, at which the next commit has to copy them into the database itself.
const SQLITE_LOG_PAGES: u32 = 65_536;
/// How often that is done beside the commits. Pages that every batch of events changes are copied once for several.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
const MAX_POSTGRES_CONNECTIONS: u32 = 16;
/// Marks our advisory locks among those other programs may hold on the same database.
const NAMESPACE: i32 = 0x7665_6465;
/// Of these locks, the one that is held while tables are made; the others are those of [`Exclusive`].
const MIGRATION: i32 = -1;

/// Where SQLite keeps everything.
pub fn sqlite_file(data_dir: &Path) -> PathBuf {
    data_dir.join("vedette.db")
}

/// Connects to the database the settings name.
///
/// # Errors
/// When it cannot be reached or opened; the message says which it is and what to look at.
pub async fn connect(settings: &EnvironmentSettings) -> Result<DatabaseConnection> {
    match &settings.postgres {
        Some(postgres) => connect_postgres(postgres, MAX_POSTGRES_CONNECTIONS).await,
        None => connect_sqlite(&sqlite_file(&settings.data_dir), MAX_SQLITE_CONNECTIONS).await,
    }
}

/// Brings the tables up to date or back, by `migrate`, over one connection: SQLite's others do not notice at once what
/// was dropped, and refuse to make it anew.
///
/// # Errors
/// When the database cannot be reached or opened, or `migrate` fails.
pub async fn migrate<T>(
    settings: &EnvironmentSettings,
    migrate: impl AsyncFnOnce(&DatabaseConnection) -> Result<T>,
) -> Result<T> {
    let db = match &settings.postgres {
        Some(postgres) => connect_postgres(postgres, 1).await?,
        None => connect_sqlite(&sqlite_file(&settings.data_dir), 1).await?,
    };
    if db.get_database_backend() == DbBackend::Sqlite {
        // An index over millions of rows is sorted in a file.
        db.execute_unprepared("PRAGMA temp_store = FILE").await?;
    } else {
        // Goes with the connection. Of servers that start at the same moment, one makes the tables and the others wait.
        let key = [NAMESPACE.into(), MIGRATION.into()];
        let lock =
            Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_advisory_lock($1, $2)", key);
        db.query_one_raw(lock)
            .await
            .context("cannot wait for other servers to bring the tables up to date")?;
    }
    let outcome = migrate(&db).await;
    db.close().await.context("the database did not close")?;
    outcome
}

async fn connect_sqlite(file: &Path, max_connections: u32) -> Result<DatabaseConnection> {
    let mut options = options("sqlite::memory:".to_owned(), max_connections);
    // Nothing can come between us and a file; asking the thread of each connection doubles what a statement waits.
    options.test_before_acquire(false);
    // Given as a path and not inside a URL: a data folder may hold any character.
    let path = file.to_path_buf();
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .in_memory(false)
            .shared_cache(false)
            .filename(&path)
            // It is there by now. If it is deleted while the server runs, no empty one is to take its place.
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // What a worker was told is stored it deletes: a power cut must not take it back, as Normal lets it do with
            // the commits since the last checkpoint. Costs a commit one wait for the disk: of a batch of 50 events 6 ms
            // in place of 1.3 on a virtual disk.
            .synchronous(SqliteSynchronous::Full)
            // What is deleted is overwritten: people who were erased must not stay in pages nobody uses.
            .pragma("secure_delete", "ON")
            .pragma("cache_size", format!("-{SQLITE_CACHE_KIB}"))
            .pragma("wal_autocheckpoint", SQLITE_LOG_PAGES.to_string())
            // What an upsert would need if it failed half-way is else written to a file.
            .pragma("temp_store", "MEMORY")
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
    });
    let advice = || {
        format!(
            "cannot open the database `{}`: see that it is a file of Vedette this user may read and write; \
             a damaged one must be replaced from a backup",
            file.display()
        )
    };
    make_private(file).with_context(advice)?;
    let db = Database::connect(options).await.with_context(advice)?;
    // SQLite reads a file's header only when it is first asked for something.
    db.execute_unprepared("SELECT count(*) FROM sqlite_master").await.with_context(advice)?;
    Ok(db)
}

/// Makes the file, if it is not there, so that only this user can read it; SQLite's other files follow it.
fn make_private(file: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn connect_postgres(settings: &PostgresSettings, max_connections: u32) -> Result<DatabaseConnection> {
    let mut options = options("postgres://localhost".to_owned(), max_connections);
    let given = settings.clone();
    // Set field by field: a password may hold any character, and no URL with it can end up in a message.
    options.map_sqlx_postgres_opts(move |postgres| {
        postgres
            .host(&given.host)
            .port(given.port)
            .database(&given.name)
            .username(&given.user)
            .password(given.password.expose_secret())
            .application_name("vedette")
    });
    Database::connect(options).await.with_context(|| {
        format!(
            "cannot reach PostgreSQL at {}:{} (database `{}`, user `{}`): check DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD",
            settings.host, settings.port, settings.name, settings.user
        )
    })
}

fn options(url: String, max_connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections)
        .min_connections(1)
        .connect_timeout(CONNECT_TIMEOUT)
        .acquire_timeout(CONNECT_TIMEOUT)
        .sqlx_logging_level(LevelFilter::Trace)
        .sqlx_slow_statements_logging_settings(LevelFilter::Warn, SLOW_STATEMENT);
    options
}

/// Removes the first `limit` rows by `order_by` of those `condition` lets through; says how many they were.
///
/// # Errors
/// When the database refuses.
pub async fn remove_first<E: EntityTrait>(
    db: &impl ConnectionTrait,
    condition: Condition,
    (id, order_by): (E::Column, E::Column),
    limit: u64,
) -> Result<u64, DbErr> {
    let first = first_ids::<E>(condition, (id, order_by), limit);
    Ok(E::delete_many().filter(id.in_subquery(first)).exec(db).await?.rows_affected)
}

/// The same, which gives back `columns` of the rows that were removed.
///
/// # Errors
/// When the database refuses.
pub async fn take_first<E: EntityTrait>(
    db: &impl ConnectionTrait,
    condition: Condition,
    keys: (E::Column, E::Column),
    limit: u64,
    columns: impl IntoIterator<Item = E::Column>,
) -> Result<Vec<QueryResult>, DbErr> {
    let first = first_ids::<E>(condition, keys, limit);
    let columns = columns.into_iter().map(IntoColumnRef::into_column_ref).collect();
    let delete = Query::delete()
        .from_table(E::default())
        .and_where(keys.0.in_subquery(first))
        .returning(ReturningClause::Columns(columns))
        .to_owned();
    db.query_all(&delete).await
}

/// The ids of the first `limit` rows by `order_by` of those `condition` lets through.
pub fn first_ids<E: EntityTrait>(
    condition: Condition,
    (id, order_by): (E::Column, E::Column),
    limit: u64,
) -> SelectStatement {
    Query::select()
        .column(id)
        .from(E::default())
        .cond_where(condition)
        .order_by(order_by, Order::Asc)
        .limit(limit)
        .to_owned()
}

/// A column that SQLite is not to look up in an index. It keeps no statistics of its own accord and would read half a
/// table by the wrong one; PostgreSQL chooses by its statistics.
pub fn unindexed<E: EntityTrait>(db: &impl ConnectionTrait, table: E, column: E::Column) -> SimpleExpr {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Expr::col((table, column));
    }
    Expr::cust(format!("+\"{}\".\"{}\"", table.table_name(), column.as_str()))
}

/// Copies what SQLite's log holds into the database, again and again, so that nobody who writes has to: it would be a
/// quarter of the time it takes to store events. Returns at once with PostgreSQL, which does so by itself.
pub async fn keep_log_short(db: DatabaseConnection) {
    if db.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    loop {
        tokio::time::sleep(CHECKPOINT_INTERVAL).await;
        // A commit sees to it when we cannot.
        if let Err(error) = db.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await {
            tracing::debug!(%error, "the database's log stays as it is");
        }
    }
}

/// Has SQLite empty its journal, where deleted rows still lie as they were. PostgreSQL overwrites them at its next
/// vacuum, which runs by itself.
///
/// # Errors
/// When the database does not answer. That somebody reads the journal just now is none: it is emptied later.
pub async fn forget_deleted(db: &DatabaseConnection) -> Result<(), DbErr> {
    if db.get_database_backend() == DbBackend::Sqlite {
        db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    }
    Ok(())
}

/// How long changes wait to begin, in this process.
static WRITE_WAITS: LazyLock<Histogram> = LazyLock::new(write_wait_histogram);

/// How long changes wait to begin: for a connection and, on SQLite, for other writers.
pub fn write_waits() -> Histogram {
    WRITE_WAITS.clone()
}

/// Connections of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Made, and used by nobody.
    pub idle: u32,
    /// Used by somebody.
    pub in_use: u32,
    /// How many there may be.
    pub max: u32,
}

/// The connections there are.
pub fn pool_size(db: &DatabaseConnection) -> PoolSize {
    let (size, idle, max) = if db.get_database_backend() == DbBackend::Postgres {
        let pool = db.get_postgres_connection_pool();
        (pool.size(), pool.num_idle(), pool.options().get_max_connections())
    } else {
        let pool = db.get_sqlite_connection_pool();
        (pool.size(), pool.num_idle(), pool.options().get_max_connections())
    };
    let idle = u32::try_from(idle).map_or(size, |idle| Ord::min(idle, size));
    PoolSize { idle, in_use: size - idle, max }
}

/// Begins a transaction that will write.
///
/// On SQLite it takes the writer's place at once and waits for its turn: one that only came to write after it
/// had read would be refused if someone else wrote in between.
///
/// # Errors
/// When the database does not answer in time.
pub async fn begin_write(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let asked = Instant::now();
    let transaction = db.begin_with_options(options).await;
    WRITE_WAITS.observe(asked.elapsed().as_secs_f64());
    transaction
}

/// What only one may do at a time, of all instances on one database, because it rests on what the others have not
/// done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusive {
    /// Taking an administrator's rights away, as long as there is another.
    Accounts,
    /// Enrolling a face that nobody else has.
    Enrolment,
}

/// Begins a transaction that will write, and holds everyone else off `what` until it ends.
///
/// SQLite has one writer at a time anyway. On PostgreSQL it is an advisory lock, which goes with the transaction,
/// so that an instance that dies leaves none behind; whoever waits too long for it is refused.
///
/// # Errors
/// When the database does not answer, or the others take too long.
pub async fn begin_exclusive(db: &DatabaseConnection, what: Exclusive) -> Result<DatabaseTransaction, DbErr> {
    let transaction = begin_write(db).await?;
    if db.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared("SET LOCAL lock_timeout = '10s'").await?;
        let key = [NAMESPACE.into(), (what as i32).into()];
        let lock = "SELECT pg_advisory_xact_lock($1, $2)";
        transaction.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, key)).await?;
    }
    Ok(transaction)
}

/// The time by the database's clock, which is one for all servers, however wrong their own are.
///
/// # Errors
/// When the database does not answer.
pub async fn now(db: &impl ConnectionTrait) -> Result<DateTime<Utc>, DbErr> {
    if db.get_database_backend() != DbBackend::Postgres {
        // SQLite has the clock of the process it is part of.
        return Ok(Utc::now());
    }
    let ask = Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp()");
    let row = db.query_one_raw(ask).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("the database's clock".to_owned()))?.try_get_by_index(0)
}

/// Rows in which one of `columns` holds `text`, in any case.
pub fn any_contains<C: ColumnTrait>(columns: impl IntoIterator<Item = C>, text: &str) -> Condition {
    let any = Condition::any();
    columns.into_iter().fold(any, |condition, column| condition.add(contains(Expr::col(column), text)))
}

/// Rows in which `value`, a text, holds `text`, in any case.
pub fn contains(value: SimpleExpr, text: &str) -> SimpleExpr {
    let escaped: String = text.to_lowercase().chars().fold(String::new(), |mut text, character| {
        if matches!(character, '%' | '_' | '\\') {
            text.push('\\');
        }
        text.push(character);
        text
    });
    let pattern = LikeExpr::new(format!("%{escaped}%")).escape('\\');
    Expr::expr(Func::lower(value)).like(pattern)
}

/// Tells whether the database answers and its file is still there, with one look for all who ask meanwhile.
#[derive(Debug, Default)]
pub struct Probe {
    /// Looks begun so far.
    begun: AtomicU64,
    /// The number of the last look, and what it saw.
    last: Mutex<(u64, bool)>,
}

impl Probe {
    /// What a look sees that begins after this was asked.
    pub async fn is_available(&self, db: &DatabaseConnection, settings: &EnvironmentSettings) -> bool {
        self.share(|| look(db, settings)).await
    }

    async fn share<L: Future<Output = bool>>(&self, look: impl FnOnce() -> L) -> bool {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 <= begun {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            *last = (number, look().await);
        }
        last.1
    }
}

async fn look(db: &DatabaseConnection, settings: &EnvironmentSettings) -> bool {
    // An open file can be read and written after it was deleted, but nobody would ever see that data again.
    let is_sqlite = settings.postgres.is_none();
    if is_sqlite && !tokio::fs::try_exists(sqlite_file(&settings.data_dir)).await.unwrap_or(false) {
        return false;
    }
    let ask =
        db.query_one_raw(Statement::from_string(db.get_database_backend(), "SELECT 1 FROM users LIMIT 1"));
    tokio::time::timeout(Duration::from_secs(2), ask).await.is_ok_and(|answer| answer.is_ok())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn who_asks_during_a_look_shares_the_next_one() {
        let (probe, looks, may_end) = (Probe::default(), AtomicUsize::new(0), Semaphore::new(0));
        let ask = || {
            probe.share(|| async {
                let number = looks.fetch_add(1, Ordering::SeqCst);
                drop(may_end.acquire().await);
                // What the first look saw is no longer so when the others ask.
                number > 0
            })
        };
        let (mut first, mut second, mut third) = (Box::pin(ask()), Box::pin(ask()), Box::pin(ask()));
        for asked in [&mut first, &mut second, &mut third] {
            assert!(asked.now_or_never().is_none());
        }
        may_end.add_permits(1);
        assert_eq!((first.await, second.await, third.await), (false, true, true));
        assert_eq!(looks.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_look_that_is_given_up_is_not_waited_for() {
        let probe = Probe::default();
        let mut given_up = Box::pin(probe.share(std::future::pending));
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        assert!(probe.share(|| std::future::ready(true)).await);
    }
}
