//! The latency of pages of `GET /exports` among a million exports.

use anyhow::{Context as _, ensure};

use crate::measured_service::MeasuredService;
use crate::report::{Line, Unit, milliseconds};
use crate::spread::quantile;

/// Three of four exports are of one channel; one in a thousand has failed, one in twenty has five channels, the last two
/// hundred are running. No worker can claim any of them.
const EXPORTS: [&str; 5] = [
    "INSERT INTO exports (job_id, status, channel_id, created_at, started_at, finished_at, duration_ms)
     SELECT gen_random_uuid(), s, CASE WHEN n % 20 > 0 THEN c END, t, t,
            CASE WHEN s IN ('completed', 'failed') THEN t + interval '1 min' END, 60000
       FROM (SELECT n, CASE WHEN n % 1000 = 7 THEN 'failed' WHEN n > 999800 THEN 'running' ELSE 'completed' END AS s,
                    CASE WHEN n % 4 > 0 THEN '850000000000000001' ELSE (850000000000001000 + n % 5000)::text END AS c,
                    timestamptz '2016-01-01' + n * interval '5 min' AS t
               FROM generate_series(1, 1000000) n) x",
    "INSERT INTO export_channels (id, job_id, channel_id, status, attempt, created_at, started_at, finished_at)
     SELECT gen_random_uuid(), e.job_id, coalesce(e.channel_id, (850000000000100000 + k)::text), 'completed', 1,
            e.created_at, e.created_at, e.created_at
       FROM exports e, generate_series(1, CASE WHEN e.channel_id IS NULL THEN 5 ELSE 1 END) k
      WHERE e.created_at < '2026-01-01'",
    "VACUUM ANALYZE exports",
    "VACUUM ANALYZE export_channels, channel_exports",
    "CHECKPOINT",
];
const REMOVAL: [&str; 2] = [
    "TRUNCATE exports, export_channels, export_attempts",
    "VACUUM ANALYZE exports, export_channels, channel_exports",
];
const FILTERS: [&str; 8] = [
    "",
    "&status=failed",
    "&status=pending,running",
    "&status=completed,failed",
    "&channel_id=850000000000000001",
    "&channel_id=850000000000001234",
    "&channel_id=850000000000100003",
    "&channel_id=850000000000000001&status=failed",
];
/// Positions of the pages in the list.
const DEPTHS: [(&str, &str); 3] = [
    ("first pages", ""),
    ("pages in the middle", "&created_before=2020-10-01T00:00:00Z"),
    ("last pages", "&created_before=2016-01-10T00:00:00Z"),
];
/// Consecutive pages for each filter, position and size.
const PAGES: u32 = 15;
const LIMITS: [u32; 2] = [50, 200];

pub(crate) async fn lines(service: &MeasuredService<'_>) -> anyhow::Result<Vec<Line>> {
    eprintln!("pages of a million exports");
    service.execute(&EXPORTS).await?;
    let mut lines = Vec::new();
    for (name, depth) in DEPTHS {
        let mut took = Vec::new();
        for filter in FILTERS {
            for limit in LIMITS {
                walk(service, &format!("/exports?limit={limit}{filter}{depth}"), &mut took).await?;
            }
        }
        took.sort_by(f64::total_cmp);
        for percent in [50, 99] {
            let value = quantile(&took, percent).context("no pages")?;
            let goal = if percent == 99 { "≤ 20" } else { "" };
            let what = format!("GET /exports among a million, {name}, all filters: p{percent}");
            lines.push(Line::once(&what, Unit::Milliseconds, value, goal));
        }
    }
    service.execute(&REMOVAL).await?;
    Ok(lines)
}

/// Requests consecutive pages, starting again after the last one.
async fn walk(service: &MeasuredService<'_>, first: &str, took: &mut Vec<f64>) -> anyhow::Result<()> {
    let mut path = first.to_owned();
    for _ in 0..PAGES {
        let (time, page) = service.get(&path).await?;
        ensure!(page["exports"].is_array(), "{path}: {page}");
        took.push(milliseconds(time));
        path = match page["next_cursor"].as_str() {
            Some(cursor) => format!("{first}&cursor={cursor}"),
            None => first.to_owned(),
        };
    }
    Ok(())
}
