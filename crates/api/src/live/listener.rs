//! The one session of this process that hears of changes, opened again whenever it is lost.

use std::time::Duration;

use dce_core::db::DatabaseUrl;
use dce_core::notifications::{ExportChange, Listener, Notification};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// The name in `pg_stat_activity`.
const NAME: &str = "dce-api-events";
/// Pause before the session is opened again; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What happens to the session, and what it hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// The session stands from now on; before, changes may have been missed.
    Open,
    /// There is none, or none any more.
    Closed,
    /// An export has changed.
    Change(ExportChange),
}

/// Listens until nobody wants to know any more.
pub(super) async fn listen(url: DatabaseUrl, to: mpsc::Sender<Heard>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match Listener::for_exports(&url, NAME).await {
            Ok(mut notices) => {
                pause = FIRST_PAUSE;
                if to.send(Heard::Open).await.is_err() {
                    return;
                }
                let error = loop {
                    match notices.recv().await {
                        Ok(Notification::ExportChanged(Some(change))) => {
                            if to.send(Heard::Change(change)).await.is_err() {
                                return;
                            }
                        }
                        Ok(notice) => tracing::debug!(?notice, "events.notice_unreadable"),
                        Err(error) => break error,
                    }
                };
                tracing::warn!(error = %error, "events.listen_failed");
            }
            Err(error) => tracing::warn!(error = %error, "events.listen_failed"),
        }
        if to.send(Heard::Closed).await.is_err() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
