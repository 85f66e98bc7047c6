//! `dce-api`: serves the REST API, migrates the database, deletes and erases, or checks a running server.

use std::io::IsTerminal;
use std::process::ExitCode;

use dce_api::settings::{Cli, Command, DatabaseSettings, IndexCommand, KeysCommand, RawSettings};
use dce_api::startup::{Application, stop_requested};
use dce_api::{healthcheck, retention, routes, search_index};
use dce_core::db::DatabaseUrl;
use dce_core::settings::{Mistakes, load_dotenv, parse_command_line};
use dce_core::{schema, telemetry};

/// Exit code for invalid settings; clap uses the same for invalid arguments.
const EXIT_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    if let Some(mistakes) = error.downcast_ref::<Mistakes>() {
        eprintln!("{mistakes}");
        return ExitCode::from(EXIT_SETTINGS);
    }
    eprintln!("dce-api: {error:#}");
    ExitCode::FAILURE
}

fn run() -> anyhow::Result<()> {
    // Must run before the settings are read and before there is a second thread.
    load_dotenv()?;
    let cli: Cli = parse_command_line();
    let terminal = std::io::stdout().is_terminal();
    match cli.command {
        None => {
            let settings = cli.raw.serve(terminal)?;
            telemetry::init(settings.log_format);
            actix_web::rt::System::new().block_on(async {
                let application = Application::build(settings, stop_requested()?).await?;
                application.run_until_stopped().await
            })?;
        }
        Some(Command::Migrate) => {
            let DatabaseSettings { database_url, log_format } = cli.raw.database(terminal)?;
            telemetry::init(log_format);
            actix_web::rt::System::new().block_on(schema::prepare(&database_url, true))?;
            tracing::info!(database = ?database_url, "database.migrated");
        }
        Some(Command::Prune(arguments)) => {
            let settings = arguments.settings()?;
            let database_url = database_of_command(&cli.raw)?;
            actix_web::rt::System::new().block_on(retention::prune(&database_url, &settings))?;
        }
        Some(Command::Purge(arguments)) => {
            let settings = arguments.settings()?;
            let database_url = database_of_command(&cli.raw)?;
            actix_web::rt::System::new().block_on(retention::purge(&database_url, settings))?;
        }
        Some(Command::Keys(KeysCommand::New(arguments))) => arguments.run(&mut std::io::stdout().lock())?,
        Some(Command::Index(IndexCommand::Search(arguments))) => {
            let database_url = database_of_command(&cli.raw)?;
            actix_web::rt::System::new().block_on(search_index::run(&database_url, &arguments))?;
        }
        Some(Command::Openapi) => print!("{}", routes::openapi_json()),
        Some(Command::Healthcheck) => healthcheck::check(cli.raw.address()?)?,
    }
    Ok(())
}

/// The database of a command that prints its results on standard output. Only problems are logged, on standard error.
fn database_of_command(raw: &RawSettings) -> anyhow::Result<DatabaseUrl> {
    let DatabaseSettings { database_url, log_format } = raw.database(std::io::stderr().is_terminal())?;
    telemetry::init_on_stderr(log_format, "warn,sqlx=error");
    Ok(database_url)
}
