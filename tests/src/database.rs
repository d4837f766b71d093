//! The database the usual variables name, for tools that measure: statements as text, and nothing of the product's.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use tokio::runtime::{Builder, Runtime};

/// A connection of its own, used by one thread.
#[derive(Debug)]
pub struct Store {
    runtime: Runtime,
    db: DatabaseConnection,
}

impl Store {
    /// Connects to PostgreSQL if `DB_HOST` is set, else to the file in `VEDETTE_DATA_DIR`.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub fn open() -> Result<Self> {
        let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let url = match std::env::var("DB_HOST") {
            Ok(host) => {
                let (user, name) = (variable("DB_USER", "vedette"), variable("DB_NAME", "vedette"));
                let (password, port) = (variable("DB_PASSWORD", ""), variable("DB_PORT", "5432"));
                format!("postgres://{user}:{password}@{host}:{port}/{name}")
            }
            Err(_) => {
                let file = PathBuf::from(variable("VEDETTE_DATA_DIR", "data")).join("vedette.db");
                format!("sqlite://{}", file.display())
            }
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut options = ConnectOptions::new(url);
        // One connection, so that what is set on it holds for all statements.
        options.max_connections(1).acquire_timeout(Duration::from_secs(3600)).sqlx_logging(false);
        let db = runtime.block_on(Database::connect(options)).context("cannot reach the database")?;
        let store = Self { runtime, db };
        store.run(store.choose(
            "PRAGMA cache_size = -2000000; PRAGMA synchronous = OFF; PRAGMA threads = 2",
            "SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'",
        ))?;
        Ok(store)
    }

    /// Whether it is PostgreSQL and not SQLite.
    pub fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Postgres
    }

    /// What is meant for this database.
    pub fn choose<T>(&self, sqlite: T, postgres: T) -> T {
        if self.is_postgres() { postgres } else { sqlite }
    }

    /// Runs statements.
    ///
    /// # Errors
    /// When one fails.
    pub fn run(&self, statements: &str) -> Result<()> {
        let run = self.db.execute_unprepared(statements);
        self.runtime.block_on(run).with_context(|| statements.chars().take(200).collect::<String>())?;
        Ok(())
    }

    /// The one number a query answers.
    ///
    /// # Errors
    /// When it fails or answers something else.
    pub fn number(&self, query: &str) -> Result<i64> {
        let row = self.runtime.block_on(self.db.query_one_raw(self.statement(query)))?.context("no row")?;
        Ok(row.try_get_by_index(0)?)
    }

    /// The text columns of all rows a query answers.
    ///
    /// # Errors
    /// When it fails or answers something else.
    pub fn texts(&self, query: &str, column: usize) -> Result<Vec<String>> {
        let rows = self.runtime.block_on(self.db.query_all_raw(self.statement(query)))?;
        rows.iter().map(|row| Ok(row.try_get_by_index(column)?)).collect()
    }

    /// How the database would run a statement whose parameters it is not told.
    ///
    /// # Errors
    /// When it does not understand it.
    pub fn plan(&self, statement: &str) -> Result<Vec<String>> {
        if !self.is_postgres() {
            return self.texts(&format!("EXPLAIN QUERY PLAN {statement}"), 3);
        }
        let parameters = (1..).take_while(|number| statement.contains(&format!("${number}"))).count();
        let nothing = vec!["NULL"; parameters].join(", ");
        let arguments = if parameters == 0 { String::new() } else { format!("({nothing})") };
        self.run(&format!("SET plan_cache_mode = force_generic_plan; PREPARE explained AS {statement}"))?;
        let plan = self.texts(&format!("EXPLAIN EXECUTE explained{arguments}"), 0);
        self.run("DEALLOCATE explained")?;
        plan
    }

    /// Names and definitions of a table's indexes, without those of its constraints.
    ///
    /// # Errors
    /// When the database does not tell.
    pub fn indexes(&self, table: &str) -> Result<Vec<(String, String)>> {
        let query = self.choose(
            format!("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL"),
            format!(
                "SELECT indexname::text, indexdef FROM pg_indexes WHERE tablename = '{table}' \
                 AND indexname LIKE 'idx_%'"
            ),
        );
        Ok(self.texts(&query, 0)?.into_iter().zip(self.texts(&query, 1)?).collect())
    }

    fn statement(&self, query: &str) -> Statement {
        Statement::from_string(self.db.get_database_backend(), query)
    }
}
