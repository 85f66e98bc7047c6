//! Sessions that read pages of the archive, and the runtime that they live in: the program's own, not that of the thread
//! that serves the request. Such a thread ends as soon as it has nothing left to serve. Its runtime would then close the
//! sessions that were opened in it, while other threads still read from them.

use std::panic::resume_unwind;

use dce_core::store::StoreError;
use dce_core::store::reading::messages::Sessions;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::problem::{Code, Problem};

#[derive(Debug, Clone)]
pub struct ReadSessions {
    pub pool: Sessions,
    runtime: Handle,
}

impl ReadSessions {
    /// Uses the caller's runtime, which must outlive the server.
    pub fn new(pool: Sessions) -> Self {
        Self { pool, runtime: Handle::current() }
    }

    /// Starts reading in a task. Dropping the set cancels it.
    pub fn spawn<T: Send + 'static>(
        &self,
        tasks: &mut JoinSet<Result<T, StoreError>>,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) {
        tasks.spawn_on(work.in_current_span(), &self.runtime);
    }

    /// Reads for as long as the caller waits; dropping the future cancels the query.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Problem> {
        let mut tasks = JoinSet::new();
        self.spawn(&mut tasks, work);
        match tasks.join_next().await {
            Some(Ok(read)) => Ok(read?),
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            // Only the end of the runtime cancels the task.
            Some(Err(_)) | None => {
                Err(Problem::new(Code::DatabaseUnavailable, "The service is stopping. Try again."))
            }
        }
    }
}
