//! Once a second every worker puts right what dead ones left: rescues expired leases, renews lost tasks, admits.

use std::time::Duration;

use dce_core::export::admission::{AdmissionLimit, LEASE};
use dce_core::store::StoreError;
use dce_core::store::reconcile::{Expired, expired, reconcile, rescue, terminate_backends};
use sqlx::postgres::PgPool;

use crate::lease::Leases;

/// Pause between two ticks.
const TICK: Duration = Duration::from_secs(1);

/// Ticks until the task is aborted. Every step is idempotent and several workers may take it at once.
pub async fn maintain(pool: &PgPool, leases: &Leases, limit: AdmissionLimit) {
    let mut failing = false;
    loop {
        match tick(pool, leases, limit).await {
            Ok(()) => failing = false,
            // Said once; the heartbeat says how long the database is away.
            Err(error) if !std::mem::replace(&mut failing, true) => {
                tracing::warn!(error = %error, "reconciler.failed");
            }
            Err(_) => {}
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn tick(pool: &PgPool, leases: &Leases, limit: AdmissionLimit) -> Result<(), StoreError> {
    // After an outage every lease looks expired although its owner lives and is about to renew it.
    if leases.last_failure().is_none_or(|failed| failed.elapsed() >= LEASE) {
        for expired in expired(pool).await? {
            // One that cannot be rescued now must not hold up the others.
            if let Err(error) = rescue_one(pool, &expired).await {
                tracing::warn!(run_id = %expired.run_id, attempt = expired.attempt, error = %error, "rescue.failed");
            }
        }
    }
    let done = reconcile(pool, limit).await?;
    if done.renewed > 0 {
        tracing::warn!(tasks = done.renewed, "tasks.renewed");
    }
    if done.admitted > 0 {
        tracing::debug!(runs = done.admitted, "runs.admitted");
    }
    Ok(())
}

async fn rescue_one(pool: &PgPool, expired: &Expired) -> Result<(), StoreError> {
    let sessions = terminate_backends(pool, expired).await?;
    if let Some(status) = rescue(pool, expired).await? {
        tracing::warn!(run_id = %expired.run_id, attempt = expired.attempt, sessions, %status, "run.rescued");
    }
    Ok(())
}
