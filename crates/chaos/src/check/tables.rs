//! Checks exports, runs, attempts and the queue in the tables.

use dce_core::export::failure::FailureKind;

use super::Rule;
use crate::event_log::ViolationKind;
use crate::system::SystemUnderTest;

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: ViolationKind::Stuck,
        description: "exports have not ended",
        offenders: "SELECT job_id || ' ' || status FROM exports WHERE finished_at IS NULL",
    },
    Rule {
        kind: ViolationKind::Stuck,
        description: "runs have not ended",
        offenders: "SELECT id || ' ' || status FROM export_channels WHERE finished_at IS NULL",
    },
    Rule {
        kind: ViolationKind::Inconsistent,
        description: "an export's status does not follow from its runs",
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
        kind: ViolationKind::Inconsistent,
        description: "an export's counts differ from the sums of its runs",
        offenders: "
            SELECT e.job_id || ': ' || e.message_count || ' messages of ' || r.messages || ', '
                   || e.inserted_count || ' inserted of ' || r.inserted
              FROM exports e
              JOIN (SELECT job_id, sum(message_count) AS messages, sum(inserted_count) AS inserted
                      FROM export_channels GROUP BY job_id) r USING (job_id)
             WHERE (e.message_count, e.inserted_count) <> (r.messages, r.inserted)",
    },
    Rule {
        kind: ViolationKind::Inconsistent,
        description: "the history lacks an attempt of a run or the end of one",
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
        kind: ViolationKind::Inconsistent,
        description: "a run is completed and its last attempt is not, or the reverse",
        offenders: "
            SELECT r.id || ' is ' || r.status || ', attempt ' || a.attempt || ' of ' || r.attempt || ' ' || a.outcome
              FROM export_channels r JOIN export_attempts a ON a.run_id = r.id
             WHERE (a.outcome = 'completed') <> (a.attempt = r.attempt AND r.status = 'completed')
               AND (a.outcome = 'completed' OR a.attempt = r.attempt)",
    },
    Rule {
        kind: ViolationKind::Inconsistent,
        description: "attempts of a run overlap",
        offenders: "
            SELECT a.run_id || ': attempt ' || b.attempt || ' began before the end of ' || a.attempt
              FROM export_attempts a JOIN export_attempts b ON b.run_id = a.run_id AND b.attempt = a.attempt + 1
             WHERE b.started_at < a.ended_at",
    },
    Rule {
        kind: ViolationKind::Duplicated,
        description: "the inserted counts of a channel's exports differ from its stored messages",
        offenders: "
            SELECT c.channel_id || ': inserted ' || c.inserted || ', stored ' || coalesce(m.rows, 0)
              FROM (SELECT channel_id, sum(inserted_count) AS inserted FROM export_channels GROUP BY channel_id) c
              LEFT JOIN (SELECT channel_id, count(*) AS rows FROM messages GROUP BY channel_id) m USING (channel_id)
             WHERE c.inserted <> coalesce(m.rows, 0)",
    },
    Rule {
        kind: ViolationKind::Duplicated,
        description: "a channel's archived count differs from its stored messages",
        offenders: "
            SELECT channel_id || ': archived ' || coalesce(c.archived_count, 0) || ', stored ' || coalesce(m.rows, 0)
              FROM channels c
              FULL JOIN (SELECT channel_id, count(*) AS rows FROM messages GROUP BY channel_id) m USING (channel_id)
             WHERE coalesce(c.archived_count, 0) <> coalesce(m.rows, 0)",
    },
    Rule {
        kind: ViolationKind::Leftover,
        description: "a run that has ended keeps a lease, sessions or a task",
        offenders: "
            SELECT id || ': ' || coalesce(lease_owner, '') || ' ' || ingest_backends || ' ' || coalesce(task_id, '')
              FROM export_channels
             WHERE finished_at IS NOT NULL
               AND (lease_owner IS NOT NULL OR ingest_backends <> '[]' OR task_id IS NOT NULL)",
    },
    Rule {
        kind: ViolationKind::Leftover,
        description: "tasks wait in the queue although there is no work",
        // A task whose fetch or acknowledgement got no answer stays fetched until it is pruned; it calls no worker.
        offenders: "SELECT id || ' ' || status FROM apalis.jobs WHERE status = 'Pending'",
    },
];

/// The failures of scripted endings and of withdrawn permissions that no retry can fix.
const SCRIPTED: [FailureKind; 6] = [
    FailureKind::MissingAccess,
    FailureKind::HistoryHidden,
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

/// Finds runs that failed without a reason: neither a final failure of DCE nor an exhausted budget.
pub(crate) async fn failed_without_cause(system: &SystemUnderTest) -> anyhow::Result<()> {
    let failed: Vec<Failed> = sqlx::query_as(
        "SELECT r.id, r.failures, r.max_attempts, coalesce(a.error_kind, a.outcome, '') AS kind,
                coalesce(a.error_message, '') AS message
           FROM export_channels r LEFT JOIN export_attempts a ON a.run_id = r.id AND a.attempt = r.attempt
          WHERE r.status = 'failed'",
    )
    .fetch_all(&system.pool)
    .await?;
    for Failed { id, failures, max_attempts, kind, message } in failed {
        let is_scripted = FailureKind::from_code(&kind).is_some_and(|kind| SCRIPTED.contains(&kind));
        if failures < max_attempts && !is_scripted {
            let what =
                format!("run {id} failed after {failures} of {max_attempts} failures: {kind} ({message})");
            system.log.violation(ViolationKind::Inconsistent, what);
        }
    }
    Ok(())
}

/// Checks that every export that was answered with 202 exists.
pub(super) async fn accepted_are_there(system: &SystemUnderTest, accepted: &[String]) -> anyhow::Result<()> {
    let missing: Vec<String> = sqlx::query_scalar(
        "SELECT a.id FROM unnest($1::text[]) AS a (id)
          WHERE NOT EXISTS (SELECT FROM exports e WHERE e.job_id::text = a.id)",
    )
    .bind(accepted)
    .fetch_all(&system.pool)
    .await?;
    if !missing.is_empty() {
        system.log.violation(ViolationKind::Lost, format!("accepted exports: {}", missing.join(", ")));
    }
    Ok(())
}
