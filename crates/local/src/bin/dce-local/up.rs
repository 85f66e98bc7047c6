//! `dce-local up`.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use dce_local::{Launch, Output, PrivatePostgres, Program};

use crate::interrupt::{Interrupt, Interrupted};
use crate::stack::Stack;

#[derive(Args)]
pub(crate) struct Options {
    /// Where the archive is kept [default: /var/lib/dce-service for root, else ~/.local/share/dce-service].
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Port of the API on 127.0.0.1.
    #[arg(long, env = "PORT", default_value_t = 8000)]
    port: u16,
    /// Port of Postgres on 127.0.0.1, with a password. Unset: Postgres listens on a socket only.
    #[arg(long)]
    postgres_port: Option<u16>,
    /// Number of worker processes.
    #[arg(long, default_value_t = 1)]
    workers: u16,
}

pub(crate) async fn run(options: Options, interrupt: &mut Interrupt) -> anyhow::Result<()> {
    let directory = match options.data_dir {
        Some(directory) => directory,
        None => default_directory()?,
    };
    let postgres = PrivatePostgres::persistent(&directory.join("postgres"), options.postgres_port)?;
    let database = postgres.url("postgres");
    let work = directory.join("work");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&work)
        .with_context(|| format!("cannot create {}", work.display()))?;

    let mut stack = Stack::new(postgres, None);
    let variables = [
        ("DATABASE_URL", database.clone()),
        ("HOST", "127.0.0.1".into()),
        ("PORT", options.port.to_string()),
        ("WORK_DIR", work.canonicalize()?.to_string_lossy().into_owned()),
    ];
    let launch = |program| {
        let launch = Launch::new(program, variables.clone())?;
        anyhow::Ok(Launch { inherits_environment: true, output: Output::Inherit, ..launch })
    };
    let api = launch(Program::Api)?;
    let url = interrupt.or(stack.start_api(&api)).await?;
    for _ in 0..options.workers {
        stack.start(&launch(Program::Worker)?)?;
    }
    eprintln!(
        "API: {url}\nDatabase: {database}\nPress Ctrl-C to stop; the archive stays in {}.",
        directory.display()
    );
    match interrupt.or(stack.watch()).await {
        Err(error) if error.is::<Interrupted>() => Ok(()),
        outcome => outcome,
    }
}

/// Below /var/lib for root: Postgres then runs as another user, who may not enter root's home.
fn default_directory() -> anyhow::Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok(Path::new("/var/lib/dce-service").to_owned());
    }
    let share = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let share = share.or_else(|| Some(env::home_dir()?.join(".local/share")));
    Ok(share.context("this user has no home directory: name one with --data-dir")?.join("dce-service"))
}
