//! Compares the archive with its source: what Discord has in the same channels.

use sqlx::Executor as _;
use sqlx::postgres::PgPool;

use super::Rule;
use crate::event_log::ViolationKind;
use crate::system::SystemUnderTest;

/// The sources, in a schema of their own. `at` is the time in an id, in milliseconds of Unix time.
const SOURCE: &str = "
    CREATE SCHEMA chaos;
    CREATE TABLE chaos.source (
        channel_id text, message_id text, at bigint, raw jsonb, PRIMARY KEY (channel_id, message_id))";

/// The requested messages of completed runs: all between the export's two times.
const WANTED: &str = "
    CREATE VIEW chaos.wanted AS
    SELECT r.id AS run_id, r.channel_id, s.message_id
      FROM export_channels r JOIN exports e ON e.job_id = r.job_id
      JOIN chaos.source s ON s.channel_id = r.channel_id
     WHERE r.status = 'completed'
       AND (e.start_at IS NULL OR s.at >= extract(epoch FROM e.start_at) * 1000)
       AND (e.end_at IS NULL OR s.at < extract(epoch FROM e.end_at) * 1000)";

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: ViolationKind::Lost,
        description: "messages of completed runs are not stored",
        offenders: "
            SELECT w.channel_id || '/' || w.message_id FROM chaos.wanted w
             WHERE NOT EXISTS (SELECT FROM messages m
                                WHERE (m.channel_id, m.message_id) = (w.channel_id, w.message_id))",
    },
    Rule {
        kind: ViolationKind::Altered,
        description: "stored messages differ from their source",
        offenders: "
            SELECT m.channel_id || '/' || m.message_id
              FROM messages m JOIN chaos.source s USING (channel_id, message_id)
             WHERE m.raw <> s.raw OR m.content IS DISTINCT FROM s.raw ->> 'content'
                OR m.author_id IS DISTINCT FROM s.raw #>> '{author,id}'
                OR m.\"timestamp\" <> (s.raw ->> 'timestamp')::timestamptz",
    },
    Rule {
        kind: ViolationKind::Duplicated,
        description: "messages are stored twice",
        offenders: "
            SELECT channel_id || '/' || min(message_id) FROM messages
             GROUP BY channel_id, message_id::numeric HAVING count(*) > 1",
    },
    Rule {
        kind: ViolationKind::Invented,
        description: "messages are stored that their source does not have",
        offenders: "
            SELECT m.channel_id || '/' || m.message_id FROM messages m
             WHERE NOT EXISTS (SELECT FROM chaos.source s
                                WHERE (s.channel_id, s.message_id) = (m.channel_id, m.message_id))",
    },
    Rule {
        kind: ViolationKind::Inconsistent,
        description: "completed runs count other than their window contains",
        offenders: "
            SELECT r.id || ' of ' || r.channel_id || ': counted ' || r.message_count || ', there are ' || count(w.run_id)
              FROM export_channels r LEFT JOIN chaos.wanted w ON w.run_id = r.id
             WHERE r.status = 'completed' GROUP BY r.id HAVING r.message_count <> count(w.run_id)",
    },
    Rule {
        kind: ViolationKind::Inconsistent,
        description: "messages name an export without a run of their channel",
        offenders: "
            SELECT DISTINCT m.channel_id || ' ' || coalesce(m.job_id::text, 'none') FROM messages m
             WHERE NOT EXISTS (SELECT FROM export_channels r
                                WHERE (r.job_id, r.channel_id) = (m.job_id, m.channel_id))",
    },
];

/// Stores what Discord has in the scenario's channels.
pub(super) async fn load_sources(system: &SystemUnderTest) -> anyhow::Result<()> {
    prepare(&system.pool).await?;
    for channel_id in &system.channels {
        let messages = system.discord.dce_messages(channel_id)?;
        let document = [&b"["[..], &messages.join(&b","[..]), b"]"].concat();
        // Postgres cannot store NUL, so the service replaces it. No text of a generated channel ends in a backslash.
        let document = String::from_utf8(document)?.replace("\\u0000", "\\ufffd");
        sqlx::query(
            "INSERT INTO chaos.source
             SELECT $1, m ->> 'id', ((m ->> 'id')::bigint >> 22) + 1420070400000, m
               FROM jsonb_array_elements($2::jsonb) m",
        )
        .bind(channel_id)
        .bind(document)
        .execute(&system.pool)
        .await?;
    }
    system.pool.execute("ANALYZE chaos.source; ANALYZE messages; ANALYZE export_channels").await?;
    Ok(())
}

pub(super) async fn prepare(pool: &PgPool) -> sqlx::Result<()> {
    pool.execute(SOURCE).await?;
    pool.execute(WANTED).await?;
    Ok(())
}
