//! `dce-worker check` as a process, against a server that plays Discord.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod https;
mod server;

use std::process::{Command, Output};

use crate::server::{BOT_TOKEN, Server, USER_TOKEN};

/// Runs the check without the environment of the developer.
fn check(environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dce-worker"));
    command.arg("check").env_clear().env("DOTENV", "false").envs(environment.iter().copied());
    command.output().unwrap()
}

/// The exit code and what was printed to stdout.
fn findings(server: &Server, token: &str, others: &[(&str, &str)]) -> (i32, String) {
    let environment =
        [&[("DISCORD_API_URL", server.url.as_str()), ("DISCORD_TOKEN", token)], others].concat();
    let output = check(&environment);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains(token), "{text}");
    (output.status.code().unwrap(), text)
}

#[test]
fn a_good_bot_is_described_with_its_servers() {
    let server = Server::start(1 << 19);
    // A proxy has no business on loopback.
    let (code, text) = findings(&server, BOT_TOKEN, &[("HTTP_PROXY", "http://127.0.0.1:1")]);
    assert_eq!(code, 0, "{text}");
    for expected in [
        "ok       Discord accepts the token. It belongs to the bot archiver (id 5).\n",
        "ok       The Message Content intent is enabled.",
        "ok       The token gives access to 2 servers:\n",
        "910000000000000001  Garden\n",
        "910000000000000002  서버\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    // Not Discord's own API: that is said, too.
    assert!(text.starts_with("warning  DISCORD_API_URL is http://127.0.0.1"), "{text}");
}

#[test]
fn a_missing_intent_is_a_problem_with_its_consequence() {
    let (code, text) = findings(&Server::start(0), BOT_TOKEN, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("problem  The Message Content intent is off. Content, embeds,"), "{text}");
    assert!(text.contains("Garden"), "the other answers are printed all the same: {text}");
}

#[test]
fn a_refused_token_is_a_problem() {
    let (code, text) = findings(&Server::start(0), "no.such.token", &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("problem  Discord does not accept the token. Set DISCORD_TOKEN"), "{text}");
}

#[test]
fn a_users_token_needs_permission_and_is_warned_of() {
    let server = Server::start(0);
    let (code, text) = findings(&server, USER_TOKEN, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("terms forbid automated user accounts"), "{text}");
    assert!(text.contains("ALLOW_USER_TOKEN=true") && !text.contains("Garden"), "{text}");

    let (code, text) = findings(&server, USER_TOKEN, &[("ALLOW_USER_TOKEN", "true")]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("warning  Discord accepts the token. It belongs to the user person (id 6)"),
        "{text}"
    );
    assert!(text.contains("terms forbid automated user accounts") && text.contains("Garden"), "{text}");
}

#[test]
fn a_server_that_does_not_answer_leaves_the_token_unknown() {
    let mut server = Server::start(0);
    server.url = server.url.replace("http://", "https://");
    let (code, text) = findings(&server, BOT_TOKEN, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("problem  Whether the token is accepted is unknown:"), "{text}");
    assert!(text.contains("HTTPS_PROXY and SSL_CERT_FILE"), "{text}");
}

#[test]
fn all_wrong_settings_are_reported_at_once() {
    let output = check(&[("DISCORD_API_URL", "discord.com"), ("ALLOW_USER_TOKEN", "maybe")]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    for name in ["DISCORD_TOKEN", "DISCORD_API_URL", "ALLOW_USER_TOKEN"] {
        assert!(text.contains(name), "{text}");
    }
}
