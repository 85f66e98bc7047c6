//! `dce-local demo`: one export, from the request to the rows in Postgres.

mod progress;
mod report;
mod sample_discord;
mod source;

use std::env;
use std::fs::Permissions;
use std::io::{IsTerminal, stdin, stdout};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use dce_local::{Launch, Output, PrivatePostgres, Program, free_port};

use self::progress::ProgressLine;
use self::source::Source;
use crate::api::{Api, Export};
use crate::interrupt::{Interrupt, Interrupted};
use crate::stack::Stack;

/// How often the export is polled.
const POLL: Duration = Duration::from_millis(100);
/// The sample takes two seconds; a real channel has no limit.
const SAMPLE_LIMIT: Duration = Duration::from_mins(2);
/// The variables that API and worker inherit: none of another installation's settings.
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
    /// End after the result instead of staying up, as always without a terminal.
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
    let discord = interrupt.or(source.discord()).await?;
    let mut stack = Stack::new(PrivatePostgres::temporary()?, Some(temporary));
    let environment = environment(&stack, source.variables(discord.as_ref()), &directory, free_port()?);
    let api = Api::new(interrupt.or(start(&mut stack, &environment, &directory)).await?)?;
    let job_id = interrupt.or(export(&mut stack, &api, &source)).await?;
    report::messages(&stack.postgres, source.channel_id())?;

    if !stays {
        println!("\nDone. Everything it started ends now, and nothing stays on this machine.");
        return Ok(());
    }
    println!("\nStill running. Press Ctrl-C to stop and delete everything. To look around:");
    println!("  curl {}/exports/{job_id}", api.url);
    println!("  psql '{}'", stack.postgres.url("postgres"));
    match interrupt.or(stack.watch()).await {
        Err(error) if error.is::<Interrupted>() => Ok(()),
        outcome => outcome,
    }
}

/// Starts API and worker; returns the API's base URL.
async fn start(
    stack: &mut Stack,
    environment: &[(String, String)],
    directory: &Path,
) -> anyhow::Result<String> {
    let launch = |program: Program| {
        let output = Output::File(directory.join(program.name()).with_extension("log"));
        let launch = Launch::new(program, environment.iter().cloned())?;
        let [directory, remove] = [Some(directory.to_owned()), Some(directory.to_owned())];
        anyhow::Ok(Launch { directory, remove, output, ..launch })
    };
    let url = stack.start_api(&launch(Program::Api)?).await?; // the tables exist now
    stack.start(&launch(Program::Worker)?)?;
    Ok(url)
}

/// The settings of API and worker; `of_source` are those that depend on what is exported.
fn environment(
    stack: &Stack,
    of_source: Vec<(&'static str, String)>,
    directory: &Path,
    port: u16,
) -> Vec<(String, String)> {
    let inherited = PASSED_ON.into_iter().filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)));
    let own = [
        ("DATABASE_URL", stack.postgres.url("postgres")),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", port.to_string()),
        ("SHUTDOWN_GRACE", "12s".to_owned()), // stops at once: nobody waits for a demo to finish
        ("LOG_FORMAT", "json".to_owned()),
        ("WORK_DIR", directory.join("work").to_string_lossy().into_owned()),
        ("DOTENV", "false".to_owned()),
    ];
    let own = own.into_iter().chain(of_source).map(|(name, value)| (name.to_owned(), value));
    inherited.chain(own).collect()
}

/// Submits the export, follows it to its end, and returns its id.
async fn export(stack: &mut Stack, api: &Api, source: &Source) -> anyhow::Result<String> {
    println!("POST {}/exports {{\"channel_id\": \"{}\"}}", api.url, source.channel_id());
    let job_id = api.submit(source.channel_id()).await?.job_id;
    println!("  202, job {job_id}\nGET {}/exports/{job_id}", api.url);

    let limit = if source.is_sample() { SAMPLE_LIMIT } else { Duration::MAX };
    let end = match tokio::time::timeout(limit, follow(stack, api, &job_id)).await {
        Ok(end) => end?,
        Err(_) => return Err(stack.error_with_logs("the sample export has not ended after 120 s")),
    };
    if end.status != "completed" {
        let reason =
            end.error.map_or_else(String::new, |e| format!(" ({}): {} {}", e.code, e.message, e.action));
        return Err(stack.error_with_logs(&format!("the export is {}{reason}", end.status)));
    }
    Ok(job_id)
}

async fn follow(stack: &mut Stack, api: &Api, job_id: &str) -> anyhow::Result<Export> {
    let mut progress = ProgressLine::new();
    loop {
        stack.check()?;
        let export = api.export(job_id).await?;
        progress.show(&export);
        if export.has_ended() {
            return Ok(export);
        }
        tokio::time::sleep(POLL).await;
    }
}
