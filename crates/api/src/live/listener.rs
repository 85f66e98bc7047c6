//! Receives notifications of changed exports through one session, which is reopened whenever it is lost.

use std::time::Duration;

use dce_core::db::DatabaseUrl;
use dce_core::notifications::{ExportChange, Listener, Notification};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// `application_name` in `pg_stat_activity`.
const NAME: &str = "dce-api-events";
/// Delay before the session is reopened; it doubles up to the maximum.
const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum ListenerEvent {
    /// The session is open from now on. Changes before may have been missed.
    Connected,
    /// There is no session, or the session was lost.
    Disconnected,
    Change(ExportChange),
}

/// Listens until the receiver is dropped.
pub(super) async fn listen(url: DatabaseUrl, sender: mpsc::Sender<ListenerEvent>) {
    let mut delay = MIN_DELAY;
    loop {
        match Listener::for_exports(&url, NAME).await {
            Ok(mut listener) => {
                delay = MIN_DELAY;
                if sender.send(ListenerEvent::Connected).await.is_err() {
                    return;
                }
                let error = loop {
                    match listener.recv().await {
                        Ok(Notification::ExportChanged(Some(change))) => {
                            if sender.send(ListenerEvent::Change(change)).await.is_err() {
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
        if sender.send(ListenerEvent::Disconnected).await.is_err() {
            return;
        }
        sleep(delay).await;
        delay = (delay * 2).min(MAX_DELAY);
    }
}
