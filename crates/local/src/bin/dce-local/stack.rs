//! Postgres, API and workers, running together.

use std::time::Duration;

use anyhow::Context;
use dce_local::PrivatePostgres;
use tempfile::TempDir;

use crate::api::Api;
use crate::service::{Service, Surroundings};

/// How long everything may take until the API calls itself ready, migrations included.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How often processes and API are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The running parts. On drop all processes end, then their directory goes, then Postgres ends.
pub(crate) struct Stack {
    directory: Option<TempDir>, // before `services`, whose tethers would delete it, too, once let go
    services: Vec<Service>,
    pub(crate) postgres: PrivatePostgres, // after `services`, which need it to end in order
}

impl Stack {
    /// Nothing but Postgres yet. `directory` goes when all have ended.
    pub(crate) fn new(postgres: PrivatePostgres, directory: Option<TempDir>) -> Self {
        Self { directory, services: Vec::new(), postgres }
    }

    pub(crate) fn start(
        &mut self,
        name: &'static str,
        surroundings: &Surroundings<'_>,
    ) -> anyhow::Result<()> {
        self.services.push(Service::start(name, surroundings)?);
        Ok(())
    }

    /// Returns once the API answers that it is ready; fails as soon as a process ends.
    pub(crate) async fn ready(&mut self, api: &Api) -> anyhow::Result<()> {
        let ready = async {
            while !api.is_ready().await {
                self.check()?;
                tokio::time::sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(READY_LIMIT, ready).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.blame("the API is not ready after 60 s")),
        }
    }

    /// Returns, with an error, once a process has ended.
    pub(crate) async fn watch(&mut self) -> anyhow::Result<()> {
        loop {
            self.check()?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An error if a process has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.services.iter_mut().try_for_each(Service::check).context("the service cannot go on")
    }

    /// `what` as an error that shows what all processes said last.
    pub(crate) fn blame(&self, what: &str) -> anyhow::Error {
        let words: String = self.services.iter().map(Service::last_words).collect();
        anyhow::anyhow!("{what}{words}")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.services.iter().for_each(Service::terminate); // all at once, then one by one
        self.services.iter_mut().for_each(Service::stop);
        self.directory.take();
    }
}
