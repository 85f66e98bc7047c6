//! `dce-worker check`: reports, for people, whether the token works and what it gives access to.

mod finding;
pub mod settings;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use dce_discord::{Client, ClientSettings, DEFAULT_BASE_URL, SettingsError, TokenKind};

use finding::{Finding, Severity};

/// Time allowed for each answer; a person waits for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Prints the findings to stdout, one by one. Returns whether nothing prevents exports.
pub async fn command(settings: ClientSettings) -> Result<bool, SettingsError> {
    let mut report = Report { is_good: true };
    if settings.base_url.as_str().trim_end_matches('/') != DEFAULT_BASE_URL {
        report.add(&Finding::other_api(&settings.base_url));
    }
    check_token(&Client::new(settings)?, &mut report).await;
    Ok(report.is_good)
}

async fn check_token(client: &Client, report: &mut Report) {
    let user = match client.current_user(deadline()).await {
        Ok(answer) => answer.value,
        Err(error) => return report.add(&Finding::no_owner(&error)),
    };
    // An account says itself that it is a bot's.
    let kind = if user.bot { TokenKind::Bot } else { TokenKind::User };
    report.add(&Finding::owner(kind, &user));
    if kind == TokenKind::Bot {
        report.add(&match client.application(deadline()).await {
            Ok(answer) => Finding::intents(&answer.value),
            Err(error) => Finding::unanswered("Whether the bot may read the content of messages", &error),
        });
    }
    report.add(&match client.guilds(deadline()).await {
        Ok(answer) => Finding::servers(&answer.value),
        Err(error) => Finding::unanswered("The list of servers", &error),
    });
}

fn deadline() -> Instant {
    Instant::now() + ANSWER_LIMIT
}

struct Report {
    is_good: bool,
}

impl Report {
    fn add(&mut self, finding: &Finding) {
        self.is_good &= finding.severity != Severity::Problem;
        // A closed pipe has no reader; the exit code still reports the result.
        let _ = writeln!(io::stdout(), "{finding}");
    }
}
