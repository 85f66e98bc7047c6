//! `dce-local demo`: one export, from the request to the rows.

mod progress;
mod report;
mod source;

use std::env;
use std::fs::{self, Permissions};
use std::io::{IsTerminal, stdin, stdout};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use dce_local::{PrivatePostgres, free_port};

use self::progress::Progress;
use self::source::Source;
use crate::api::{Api, Export};
use crate::interrupt::{Interrupt, Interrupted};
use crate::service::{Environment, Surroundings};
use crate::stack::Stack;

/// How often the export is looked at.
const POLL: Duration = Duration::from_millis(100);
/// The sample takes two seconds; a real channel takes as long as it takes.
const SAMPLE_LIMIT: Duration = Duration::from_mins(2);
/// What API and worker get to see of the caller's environment: no settings of another installation.
const PASSED_ON: [&str; 11] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "ALLOW_USER_TOKEN",
];

#[derive(Args)]
pub(crate) struct Options {
    /// End after the result instead of staying up; this is also so when there is no terminal.
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(options: Options, interrupt: &mut Interrupt) -> anyhow::Result<()> {
    let stays = !options.once && stdin().is_terminal() && stdout().is_terminal();
    let private = Permissions::from_mode(0o700);
    let temporary = tempfile::Builder::new().prefix("dce-demo-").permissions(private).tempdir()?;
    let directory = temporary.path().to_owned();
    let source = Source::choose(&directory)?;
    println!("{}", source.announcement());

    println!("\nStarting a private PostgreSQL, the API and a worker ...");
    let mut stack = Stack::new(PrivatePostgres::temporary()?, Some(temporary));
    let api = Api::new(free_port()?)?;
    interrupt.or(start(&mut stack, &api, &source, &directory)).await?;
    let job_id = interrupt.or(export(&mut stack, &api, &source)).await?;
    report::messages(&stack.postgres, source.channel_id())?;

    if !stays {
        println!("\nDone. Everything it started ends now, and nothing of it stays on this machine.");
        return Ok(());
    }
    println!("\nStill running; all of it goes when you press Ctrl-C. To look around:");
    println!("  curl {}/exports/{job_id}", api.url);
    println!("  psql '{}'", stack.postgres.url("postgres"));
    match interrupt.or(stack.watch()).await {
        Err(error) if error.is::<Interrupted>() => Ok(()),
        outcome => outcome,
    }
}

async fn start(stack: &mut Stack, api: &Api, source: &Source, directory: &Path) -> anyhow::Result<()> {
    // The nearest .env counts: this one, not that of a directory above.
    fs::write(directory.join(".env"), "")?;
    let mut surroundings = Surroundings {
        environment: environment(stack, api, source, directory),
        directory: Some(directory),
        remove: Some(directory),
        log: Some(directory.join("dce-api.log")),
    };
    stack.start("dce-api", &surroundings)?;
    stack.ready(api).await?; // the tables are there now
    surroundings.log = Some(directory.join("dce-worker.log"));
    stack.start("dce-worker", &surroundings)
}

fn environment(stack: &Stack, api: &Api, source: &Source, directory: &Path) -> Environment {
    let port = api.url.rsplit(':').next().unwrap_or_default();
    let given = PASSED_ON.into_iter().filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)));
    let own = [
        ("DATABASE_URL", stack.postgres.url("postgres")),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", port.to_owned()),
        ("SHUTDOWN_GRACE", "12s".to_owned()), // stops at once: nobody waits for a demo to finish
        ("LOG_FORMAT", "json".to_owned()),
        ("WORK_DIR", directory.join("work").to_string_lossy().into_owned()),
    ];
    let own = own.into_iter().chain(source.variables()).map(|(name, value)| (name.to_owned(), value));
    Environment { inherit: false, variables: given.chain(own).collect() }
}

/// Submits the export, follows it to its end, and returns its id.
async fn export(stack: &mut Stack, api: &Api, source: &Source) -> anyhow::Result<String> {
    println!("POST {}/exports {{\"channel_id\": \"{}\"}}", api.url, source.channel_id());
    let job_id = api.submit(source.channel_id()).await?.job_id;
    println!("  202, job {job_id}\nGET {}/exports/{job_id}", api.url);

    let limit = if source.is_sample() { SAMPLE_LIMIT } else { Duration::MAX };
    let end = match tokio::time::timeout(limit, follow(stack, api, &job_id)).await {
        Ok(end) => end?,
        Err(_) => return Err(stack.blame("the sample export is not done after 120 s")),
    };
    if end.status != "completed" {
        let why =
            end.error.map_or_else(String::new, |e| format!(" ({}): {} {}", e.code, e.message, e.action));
        return Err(stack.blame(&format!("the export is {}{why}", end.status)));
    }
    Ok(job_id)
}

async fn follow(stack: &mut Stack, api: &Api, job_id: &str) -> anyhow::Result<Export> {
    let mut progress = Progress::new();
    loop {
        stack.check()?;
        let export = api.export(job_id).await?;
        progress.show(&export);
        if export.is_over() {
            return Ok(export);
        }
        tokio::time::sleep(POLL).await;
    }
}
