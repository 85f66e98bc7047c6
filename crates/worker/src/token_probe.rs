//! Probes a rejected Discord token with one attempt, while the token breaker is half-open.

use std::sync::Arc;

use dce_core::export::failure::FailureKind;
use tokio::task::JoinHandle;

use crate::attempt_outcome::AttemptOutcome;
use crate::context::WorkerContext;

/// Watches the attempt that probes the token: a description of the channel proves that Discord accepts it.
#[derive(Debug)]
pub(crate) struct HalfOpenProbe(JoinHandle<()>);

impl HalfOpenProbe {
    /// `described` returns when DCE has written the channel's description.
    pub(crate) fn watch(
        context: &Arc<WorkerContext>,
        described: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let context = Arc::clone(context);
        Self(tokio::spawn(async move {
            described.await;
            accept(&context).await;
        }))
    }

    /// Records the result of the probe after its attempt, unless it is recorded already.
    pub(crate) async fn finish(&self, context: &WorkerContext, outcome: &AttemptOutcome, described: bool) {
        let accepted = match outcome {
            AttemptOutcome::Failed(failure) if failure.kind == FailureKind::InvalidToken => false,
            AttemptOutcome::Failed(failure) => described || failure.kind.proves_a_valid_token(),
            // Discord may have answered our own client, without a DCE.
            AttemptOutcome::Completed(completion) => described || completion.verified.is_some(),
            _ => described,
        };
        if accepted && !self.0.is_finished() {
            self.0.abort();
            accept(context).await;
        }
    }
}

impl Drop for HalfOpenProbe {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(context: &WorkerContext) {
    match context.breaker.accept(&context.control).await {
        Ok(()) => context.leases.heartbeat_now(),
        // The next probe records it again.
        Err(error) => tracing::warn!(error = %error, "token.not_accepted"),
    }
}
