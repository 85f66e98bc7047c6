//! Where pages are read: in the program's own runtime, not in that of the thread that serves the request. Such a thread ends
//! as soon as it has nothing left to serve, and with its runtime the sessions that were opened there, which others still
//! read from.

use std::panic::resume_unwind;

use dce_core::store::StoreError;
use dce_core::store::reading::messages::Sessions;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::problem::{Code, Problem};

/// Sessions for pages, and the runtime in which they live.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The sessions.
    pub sessions: Sessions,
    runtime: Handle,
}

impl Archive {
    /// In the runtime of the caller, which must outlast the server.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, runtime: Handle::current() }
    }

    /// Begins to read. Dropped before its end, the set ends it.
    pub fn start<T: Send + 'static>(
        &self,
        reading: &mut JoinSet<Result<T, StoreError>>,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) {
        reading.spawn_on(work.in_current_span(), &self.runtime);
    }

    /// Reads, as long as the caller waits for it.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Problem> {
        let mut reading = JoinSet::new();
        self.start(&mut reading, work);
        match reading.join_next().await {
            Some(Ok(read)) => Ok(read?),
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            // Nobody else ends it.
            Some(Err(_)) | None => {
                Err(Problem::new(Code::DatabaseUnavailable, "The service is about to end. Try again."))
            }
        }
    }
}
