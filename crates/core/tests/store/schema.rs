//! The migrations: access rights, and where they can run.

use dce_core::db::{DatabaseUrl, DbError, connect_control};
use dce_core::queue;
use dce_core::schema::migrate;
use dce_core::store::transitions::{self, Claim};
use dce_core::store::workers::{self, Worker};
use dce_testkit::database::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::task::JoinSet;

use super::support::{BY_SLOTS, Store, new_export};

async fn strings(pool: &PgPool, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn every_table_has_row_level_security_and_grants_nothing_to_public() {
    let store = Store::new().await;
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')";
    assert!(strings(&store.pool, tables).await.len() >= 7);
    let open = "SELECT relname::text FROM pg_class
                 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity";
    assert_eq!(strings(&store.pool, open).await, [""; 0]);
    assert_eq!(strings(&store.pool, "SELECT polname::text FROM pg_policy").await, [""; 0]);

    let granted = "SELECT c.relname::text FROM pg_class c, aclexplode(c.relacl) a
                    WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0
                    UNION ALL
                   SELECT p.proname::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                    WHERE p.pronamespace = 'public'::regnamespace AND a.grantee = 0
                      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')";
    assert_eq!(strings(&store.pool, granted).await, [""; 0], "extensions apart");
}

#[tokio::test]
async fn messages_have_no_volatile_default_because_copy_would_insert_one_by_one() {
    let store = Store::new().await;
    let defaults = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'messages'::regclass";
    assert_eq!(strings(&store.pool, defaults).await, ["now()"]);
}

/// A database with Supabase's layout, and the URL of its owner, who is no superuser.
async fn like_supabase() -> (TestDatabase, String) {
    let database = TestDatabase::empty().await;
    let (name, owner) = (database.name(), format!("owner_of_{}", database.name()));
    let mut session = PgConnection::connect(&database.url()).await.unwrap();
    for role in ["anon", "authenticated", "service_role"] {
        // Roles belong to the whole server: another test may be creating them at the same time.
        let create = format!(
            "DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        session.execute(AssertSqlSafe(create)).await.unwrap();
    }
    let layout = format!(
        "CREATE ROLE {owner} LOGIN;
         ALTER DATABASE {name} OWNER TO {owner};
         ALTER ROLE {owner} IN DATABASE {name} SET search_path = \"$user\", public, extensions;
         CREATE SCHEMA extensions AUTHORIZATION {owner};
         GRANT USAGE ON SCHEMA public, extensions TO anon, authenticated, service_role;
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;"
    );
    session.execute(AssertSqlSafe(layout)).await.unwrap();
    let url = database.url().replacen("://postgres@", &format!("://{owner}@"), 1);
    assert!(url.contains(&owner), "the owner's own sessions: {url}");
    (database, url)
}

#[tokio::test]
async fn on_supabase_the_owner_migrates_and_the_public_roles_see_nothing() {
    let (database, url) = like_supabase().await;
    migrate(&url).await.unwrap();

    let pool = database.pool();
    let hstore = "SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hstore'";
    assert_eq!(strings(&pool, hstore).await, ["extensions"]);
    let visible = "SELECT r.role || ' ' || c.oid::regclass
                     FROM pg_class c, unnest('{anon,authenticated}'::text[]) AS r (role)
                    WHERE c.relnamespace IN ('public'::regnamespace, 'apalis'::regnamespace)
                      AND CASE WHEN c.relkind IN ('r', 'p', 'v')
                               THEN has_table_privilege(r.role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                               WHEN c.relkind = 'S' THEN has_sequence_privilege(r.role, c.oid, 'USAGE, SELECT, UPDATE')
                               ELSE false END
                    UNION ALL
                   SELECT r.role || ' ' || p.oid::regprocedure
                     FROM pg_proc p, unnest('{anon,authenticated}'::text[]) AS r (role)
                    WHERE p.pronamespace IN ('public'::regnamespace, 'apalis'::regnamespace)
                      AND has_schema_privilege(r.role, p.pronamespace, 'USAGE') AND has_function_privilege(r.role, p.oid, 'EXECUTE')";
    assert_eq!(strings(&pool, visible).await, [""; 0]);

    // Tables of the owner's later migrations are not visible either.
    let mut owner = PgConnection::connect(&url).await.unwrap();
    owner.execute("CREATE TABLE later (id int); CREATE SEQUENCE later_ids").await.unwrap();
    assert_eq!(strings(&pool, visible).await, [""; 0]);
}

#[tokio::test]
async fn on_supabase_the_owner_pushes_fetches_and_acknowledges() {
    let (_database, url) = like_supabase().await;
    migrate(&url).await.unwrap();
    let pool = connect_control(&DatabaseUrl::parse(&url).unwrap(), "test", 2);
    let worker = Worker {
        id: "w".into(),
        host: "test".into(),
        version: "0".into(),
        dce_version: "2.47".into(),
        slots: 1,
    };
    workers::register(&pool, &worker, workers::Readiness::default()).await.unwrap();
    let created = transitions::create(&pool, &new_export(&[1]), BY_SLOTS).await.unwrap();
    let task = queue::fetch(&pool, "w").await.unwrap().expect("a task");
    let claim = transitions::claim(&pool, &task, "w").await.unwrap();
    assert!(matches!(claim, Claim::Won(run) if run.job_id == created.job_id));
    assert_eq!(strings(&pool, "SELECT status FROM apalis.jobs").await, ["Done"]);
}

/// Starts eight programs at once, then one more.
async fn migrate_eight_times(url: &str) {
    let mut programs = JoinSet::new();
    for _ in 0..8 {
        let url = url.to_owned();
        programs.spawn(async move { migrate(&url).await });
    }
    for done in programs.join_all().await {
        done.unwrap();
    }
    migrate(url).await.unwrap();
}

#[tokio::test]
async fn eight_programs_that_start_at_once_migrate_once() {
    let database = TestDatabase::empty().await;
    migrate_eight_times(&database.url()).await;
    let applied = strings(&database.pool(), "SELECT version::text FROM _sqlx_migrations").await;
    assert_eq!(applied.len(), sqlx::migrate!("../../migrations").iter().count());
}

#[tokio::test]
async fn eight_programs_that_start_at_once_on_supabase_migrate_once() {
    let (_database, url) = like_supabase().await;
    migrate_eight_times(&url).await;
}

#[tokio::test]
async fn a_missing_or_changed_migration_is_detected_at_the_next_start() {
    let store = Store::new().await;
    let url = store.database.url();
    let index = "SELECT coalesce(to_regclass('apalis.dce_tasks_by_age')::text, 'none')";
    store.execute("DROP INDEX apalis.dce_tasks_by_age").await;
    migrate(&url).await.unwrap();
    assert_eq!(strings(&store.pool, index).await, ["apalis.dce_tasks_by_age"]);

    for (damage, repair) in [
        (
            "UPDATE _sqlx_migrations SET checksum = '\\x00'::bytea || checksum",
            "UPDATE _sqlx_migrations SET checksum = substring(checksum FROM 2)",
        ),
        ("UPDATE _sqlx_migrations SET success = false", "UPDATE _sqlx_migrations SET success = true"),
        (
            "UPDATE apalis._sqlx_migrations SET checksum = '\\x00'::bytea || checksum",
            "UPDATE apalis._sqlx_migrations SET checksum = substring(checksum FROM 2)",
        ),
        (
            "UPDATE apalis._sqlx_migrations SET success = false",
            "UPDATE apalis._sqlx_migrations SET success = true",
        ),
    ] {
        store.execute(damage).await;
        let refused = migrate(&url).await.unwrap_err();
        assert!(matches!(refused, DbError::Migrate(_) | DbError::Queue(_)), "{damage}: {refused}");
        store.execute(repair).await;
        migrate(&url).await.unwrap();
    }
}

#[tokio::test]
async fn an_older_program_starts_on_a_newer_schema() {
    let store = Store::new().await;
    store
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (999999999999999, 'from the future', true, '\\x00', 1)",
        )
        .await;
    store
        .execute(
            "INSERT INTO apalis._sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (999999999999999, 'from the future', true, '\\x00', 1)",
        )
        .await;
    migrate(&store.database.url()).await.unwrap();
}
