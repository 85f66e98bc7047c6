//! Logs: one event per fact, as JSON lines or for people. Filtered by `RUST_LOG`.

use std::io;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For a person at a terminal.
    Pretty,
}

#[derive(Debug, thiserror::Error)]
#[error("must be `json` or `pretty`")]
pub struct UnknownLogFormat;

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, UnknownLogFormat> {
        match text {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err(UnknownLogFormat),
        }
    }
}

/// The filter when `RUST_LOG` is not set: our own events, and warnings of libraries. sqlx logs slow statements with their
/// SQL as warnings; a COPY of a full batch is one. The code that makes an answer logs its interruption, with the request
/// and the reason.
const DEFAULT_FILTER: &str = "info,sqlx=error,actix_server=warn,actix_http::h1::dispatcher=off";

/// Installs the process's subscriber, which writes to standard output. Later calls change nothing.
pub fn init(format: LogFormat) {
    install(format, DEFAULT_FILTER, BoxMakeWriter::new(io::stdout));
}

/// Does the same for a command whose results go to standard output: writes to standard error, filtered by `filter` unless
/// `RUST_LOG` is set.
pub fn init_on_stderr(format: LogFormat, filter: &str) {
    install(format, filter, BoxMakeWriter::new(io::stderr));
}

fn install(format: LogFormat, default_filter: &str, writer: BoxMakeWriter) {
    // Blank counts as unset, like any setting.
    let given = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|directives| !directives.trim().is_empty());
    let filter = given
        .and_then(|directives| EnvFilter::try_new(directives).ok())
        .unwrap_or_else(|| EnvFilter::new(default_filter));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let installed = match format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true).with_span_list(false)).try_init(),
        LogFormat::Pretty => registry.with(layer.with_target(false)).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("telemetry.already_installed");
    }
}
