//! `dce-local postgres`.

use std::path::PathBuf;

use clap::Args;
use dce_local::PrivatePostgres;

use crate::interrupt::Interrupt;

#[derive(Args)]
pub(crate) struct Options {
    /// Keep the data here; without it they go when the server ends.
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Listen on this port of 127.0.0.1 instead of a socket.
    #[arg(long, requires = "data_dir")]
    port: Option<u16>,
}

pub(crate) async fn run(options: Options, interrupt: &mut Interrupt) -> anyhow::Result<()> {
    let postgres = match options.data_dir {
        Some(directory) => PrivatePostgres::persistent(&directory, options.port)?,
        None => PrivatePostgres::temporary()?,
    };
    println!("{}", postgres.url("postgres"));
    eprintln!("PostgreSQL is ready; Ctrl-C ends it.");
    interrupt.received().await;
    Ok(())
}
