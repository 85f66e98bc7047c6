//! `dce-fake-discord`: serves the channels of a scenario as Discord's REST API, until it is killed.

use std::io::Write as _;
use std::path::PathBuf;
use std::thread;

use anyhow::Context as _;
use clap::Parser;
use dce_testkit::discord::FakeDiscord;

/// Serves the channels of a scenario as Discord's REST API, until it is killed. Prints the value for `DISCORD_API_URL`.
#[derive(Parser)]
struct Options {
    /// Directory with the `scenario.json` that the stand-in plays
    #[arg(long, value_name = "DIR")]
    scenario: PathBuf,
    /// Port of 127.0.0.1; 0 is any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> anyhow::Result<()> {
    let Options { scenario, port } = Options::parse();
    let discord = FakeDiscord::start_on(&scenario, port)
        .with_context(|| format!("cannot serve {} on port {port}", scenario.display()))?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", discord.url())?;
    stdout.flush()?;
    loop {
        thread::park();
    }
}
