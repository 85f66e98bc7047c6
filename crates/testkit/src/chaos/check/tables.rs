//! What the tables must say of exports, runs, attempts and the queue.

use dce_core::export::failure::FailureKind;

use super::Rule;
use crate::journal::Breach;
use crate::world::World;

pub(super) const RULES: &[Rule] = &[
    Rule {
        breach: Breach::Stuck,
        says: "exports have not ended",
        offenders: "SELECT job_id || ' ' || status FROM exports WHERE finished_at IS NULL",
    },
    Rule {
        breach: Breach::Stuck,
        says: "runs have not ended",
        offenders: "SELECT id || ' ' || status FROM export_channels WHERE finished_at IS NULL",
    },
    Rule {
        breach: Breach::Untrue,
        says: "an export's status does not follow from its runs",
        offenders: "
            SELECT e.job_id || ' is ' || e.status || ', its runs say ' || d.status
              FROM exports e
              JOIN (SELECT job_id,
                           CASE WHEN bool_and(finished_at IS NOT NULL) THEN
                                     CASE WHEN bool_or(status = 'failed') THEN 'failed'
                                          WHEN bool_or(status = 'cancelled') THEN 'cancelled'
                                          ELSE 'completed' END
                                WHEN bool_and(attempt = 0) THEN 'pending'
                                ELSE 'running' END AS status
                      FROM export_channels GROUP BY job_id) d USING (job_id)
             WHERE d.status <> e.status",
    },
    Rule {
        breach: Breach::Untrue,
        says: "an export's counts are not the sums of its runs'",
        offenders: "
            SELECT e.job_id || ': ' || e.message_count || ' messages of ' || r.messages || ', '
                   || e.inserted_count || ' inserted of ' || r.inserted
              FROM exports e
              JOIN (SELECT job_id, sum(message_count) AS messages, sum(inserted_count) AS inserted
                      FROM export_channels GROUP BY job_id) r USING (job_id)
             WHERE (e.message_count, e.inserted_count) <> (r.messages, r.inserted)",
    },
    Rule {
        breach: Breach::Untrue,
        says: "the history does not have every attempt of a run, or one without an end",
        offenders: "
            SELECT r.id || ': attempt ' || r.attempt || ', history ' || coalesce(a.numbers::text, '{}')
                   || ', without an end ' || coalesce(a.open, 0)
              FROM export_channels r
              LEFT JOIN (SELECT run_id, array_agg(attempt ORDER BY attempt) AS numbers,
                                count(*) FILTER (WHERE ended_at IS NULL) AS open
                           FROM export_attempts GROUP BY run_id) a ON a.run_id = r.id
             WHERE coalesce(a.numbers, '{}') <> ARRAY(SELECT generate_series(1, r.attempt)) OR a.open > 0",
    },
    Rule {
        breach: Breach::Untrue,
        says: "a run is completed without its last attempt being so, or the other way round",
        offenders: "
            SELECT r.id || ' is ' || r.status || ', attempt ' || a.attempt || ' of ' || r.attempt || ' ' || a.outcome
              FROM export_channels r JOIN export_attempts a ON a.run_id = r.id
             WHERE (a.outcome = 'completed') <> (a.attempt = r.attempt AND r.status = 'completed')
               AND (a.outcome = 'completed' OR a.attempt = r.attempt)",
    },
    Rule {
        breach: Breach::Untrue,
        says: "attempts of a run overlap",
        offenders: "
            SELECT a.run_id || ': attempt ' || b.attempt || ' began before the end of ' || a.attempt
              FROM export_attempts a JOIN export_attempts b ON b.run_id = a.run_id AND b.attempt = a.attempt + 1
             WHERE b.started_at < a.ended_at",
    },
    Rule {
        breach: Breach::Twice,
        says: "what the exports of a channel say they inserted is not what is stored",
        offenders: "
            SELECT c.channel_id || ': inserted ' || c.inserted || ', stored ' || coalesce(m.rows, 0)
              FROM (SELECT channel_id, sum(inserted_count) AS inserted FROM export_channels GROUP BY channel_id) c
              LEFT JOIN (SELECT channel_id, count(*) AS rows FROM messages GROUP BY channel_id) m USING (channel_id)
             WHERE c.inserted <> coalesce(m.rows, 0)",
    },
    Rule {
        breach: Breach::Twice,
        says: "a channel's number of archived messages is not what is stored",
        offenders: "
            SELECT channel_id || ': archived ' || coalesce(c.archived_count, 0) || ', stored ' || coalesce(m.rows, 0)
              FROM channels c
              FULL JOIN (SELECT channel_id, count(*) AS rows FROM messages GROUP BY channel_id) m USING (channel_id)
             WHERE coalesce(c.archived_count, 0) <> coalesce(m.rows, 0)",
    },
    Rule {
        breach: Breach::LeftOver,
        says: "a run that has ended keeps a lease, sessions or a task",
        offenders: "
            SELECT id || ': ' || coalesce(lease_owner, '') || ' ' || ingest_backends || ' ' || coalesce(task_id, '')
              FROM export_channels
             WHERE finished_at IS NOT NULL
               AND (lease_owner IS NOT NULL OR ingest_backends <> '[]' OR task_id IS NOT NULL)",
    },
    Rule {
        breach: Breach::LeftOver,
        says: "tasks wait in the queue although there is nothing to do",
        // A task whose fetch or acknowledgement never got its answer stays fetched until it is pruned: nobody's call.
        offenders: "SELECT id || ' ' || status FROM apalis.jobs WHERE status = 'Pending'",
    },
];

/// The failures of endings that a scenario has and that no second try can mend.
const SCRIPTED: [FailureKind; 5] = [
    FailureKind::MissingAccess,
    FailureKind::UnknownChannel,
    FailureKind::ForumNeedsThreads,
    FailureKind::MissingMessageContentIntent,
    FailureKind::DceCannotReadMessage,
];

#[derive(sqlx::FromRow)]
struct Failed {
    id: uuid::Uuid,
    failures: i32,
    max_attempts: i32,
    kind: String,
    message: String,
}

/// Runs that failed although nothing that was done to them can fail a run: neither DCE's last word nor a budget that
/// is used up.
pub(crate) async fn failed_without_cause(world: &World) -> anyhow::Result<()> {
    let failed: Vec<Failed> = sqlx::query_as(
        "SELECT r.id, r.failures, r.max_attempts, coalesce(a.error_kind, a.outcome, '') AS kind,
                coalesce(a.error_message, '') AS message
           FROM export_channels r LEFT JOIN export_attempts a ON a.run_id = r.id AND a.attempt = r.attempt
          WHERE r.status = 'failed'",
    )
    .fetch_all(&world.pool)
    .await?;
    for Failed { id, failures, max_attempts, kind, message } in failed {
        let is_scripted = FailureKind::from_code(&kind).is_some_and(|kind| SCRIPTED.contains(&kind));
        if failures < max_attempts && !is_scripted {
            let what =
                format!("run {id} failed after {failures} of {max_attempts} failures: {kind} ({message})");
            world.journal.violated(Breach::Untrue, what);
        }
    }
    Ok(())
}

/// An export that was answered with 202 is there for good.
pub(super) async fn accepted_are_there(world: &World, accepted: &[String]) -> anyhow::Result<()> {
    let missing: Vec<String> = sqlx::query_scalar(
        "SELECT a.id FROM unnest($1::text[]) AS a (id)
          WHERE NOT EXISTS (SELECT FROM exports e WHERE e.job_id::text = a.id)",
    )
    .bind(accepted)
    .fetch_all(&world.pool)
    .await?;
    if !missing.is_empty() {
        world.journal.violated(Breach::Lost, format!("exports that were accepted: {}", missing.join(", ")));
    }
    Ok(())
}
