//! The order of the measurements.

use crate::channels::{HUNDRED_THOUSAND, MILLION, TENS_OF_THOUSANDS};
use crate::measured_service::MeasuredService;
use crate::plan::{BenchPlan, MILLION_RUNS};
use crate::report::Line;
use crate::{latency, listing, reading, throughput, two_workers};

/// Runs all measurements.
pub(crate) async fn all(service: &mut MeasuredService<'_>, plan: &BenchPlan) -> anyhow::Result<Vec<Line>> {
    let mut lines = throughput::lines(service, plan.runs, HUNDRED_THOUSAND).await?;
    lines.extend(reading::lines(service, plan.runs, HUNDRED_THOUSAND).await?);
    if plan.has_million {
        service.replace_worker().await?;
        lines.extend(throughput::lines(service, MILLION_RUNS, MILLION).await?);
        lines.extend(reading::lines(service, MILLION_RUNS, MILLION).await?);
    }
    lines.push(throughput::updates(service, plan.runs, HUNDRED_THOUSAND).await?);
    lines.extend(throughput::scripts(service, plan.runs, TENS_OF_THOUSANDS).await?);
    service.clear_archive().await?;
    lines.extend(latency::exports(service, plan.runs).await?);
    service.clear_archive().await?;
    lines.extend(latency::requests(service).await?);
    lines.extend(two_workers::lines(service, plan.runs, plan.long_runs).await?);
    lines.extend(listing::lines(service).await?);
    Ok(lines)
}
