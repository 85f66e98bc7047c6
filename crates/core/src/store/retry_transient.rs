//! Time limits and repetition of transactions.

use std::time::Duration;

use super::error::StoreError;

/// Maximum number of repetitions before the caller gets the error.
const MAX_REPEATS: u32 = 5;

const REPEAT_PAUSE: Duration = Duration::from_millis(200);

/// Time allowed for one try. The server itself ends each statement after 4 s; this limit is for a server that is
/// unreachable although the connection stands, which no TCP timeout ends within minutes.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Limits the time of a query on the client's side. The connection of a query that is cut off returns to the pool only if
/// it answers.
pub async fn in_time<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_LIMIT, query).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::TimedOut(ANSWER_LIMIT)),
    }
}

/// Repeats a transition after a transient error. The transition itself must detect an earlier try of its own that
/// committed although its answer was lost.
pub(crate) async fn repeated<T, F>(transition: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut repeats = 0;
    loop {
        match in_time(transition()).await {
            Err(error) if error.is_transient() && repeats < MAX_REPEATS => {
                repeats += 1;
                tracing::debug!(error = %error, repeats, "transition.repeated");
                tokio::time::sleep(REPEAT_PAUSE).await;
            }
            done => return done,
        }
    }
}
