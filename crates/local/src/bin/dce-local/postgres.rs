//! `dce-local postgres`.

use std::path::PathBuf;

use clap::Args;
use dce_local::PrivatePostgres;

use crate::interrupt::Interrupt;

#[derive(Args)]
pub(crate) struct Options {
    /// Where the data are kept. Unset: they are deleted when the server ends.
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Port on 127.0.0.1 to listen on instead of a socket.
    #[arg(long, requires = "data_dir")]
    port: Option<u16>,
}

pub(crate) async fn run(options: Options, interrupt: &mut Interrupt) -> anyhow::Result<()> {
    let postgres = match options.data_dir {
        Some(directory) => PrivatePostgres::persistent(&directory, options.port)?,
        None => PrivatePostgres::temporary()?,
    };
    println!("{}", postgres.url("postgres"));
    eprintln!("PostgreSQL is ready; press Ctrl-C to stop it.");
    interrupt.received().await;
    Ok(())
}
