//! A server that plays Discord for one bot and one user.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

pub(crate) const BOT_TOKEN: &str = "bot.token.of.tests";
pub(crate) const USER_TOKEN: &str = "user.token.of.tests";

const GUILDS: &str =
    r#"[{"id":"910000000000000001","name":"Garden"},{"id":"910000000000000002","name":"서버"}]"#;

pub(crate) struct Server {
    pub(crate) url: String,
}

impl Server {
    /// `flags` are those of the bot's application. Serves until the test process ends.
    pub(crate) fn start(flags: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v10", listener.local_addr().unwrap());
        thread::spawn(move || {
            // A client that closes its connection early is the client's business.
            listener.incoming().flatten().for_each(|stream| drop(serve(stream, flags)));
        });
        Self { url }
    }
}

/// Answers one request.
pub(crate) fn serve(stream: impl Read + Write, flags: u64) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut path, mut authorization) = (String::new(), String::new());
    for line in stream.by_ref().lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.clone_into(&mut authorization);
            }
            Some(_) => {}
            None => line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path),
        }
    }
    let (status, body) = answer(&path, &authorization, flags);
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let stream = stream.get_mut();
    stream.write_all(format!("{head}{body}").as_bytes())?;
    stream.flush()
}

fn answer(path: &str, authorization: &str, flags: u64) -> (u16, String) {
    let is_bot = authorization == format!("Bot {BOT_TOKEN}");
    if !is_bot && authorization != USER_TOKEN {
        return (401, r#"{"message":"401: Unauthorized","code":0}"#.to_owned());
    }
    match path {
        "/api/v10/users/@me" if is_bot => (200, r#"{"id":"5","username":"archiver","bot":true}"#.to_owned()),
        "/api/v10/users/@me" => (200, r#"{"id":"6","username":"person"}"#.to_owned()),
        "/api/v10/users/@me/guilds?limit=200" => (200, GUILDS.to_owned()),
        "/api/v10/applications/@me" if is_bot => {
            (200, format!(r#"{{"id":"5","name":"archiver","flags":{flags}}}"#))
        }
        _ => (404, r#"{"message":"404: Not Found","code":0}"#.to_owned()),
    }
}
