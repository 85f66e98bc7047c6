//! Through a proxy, to a server whose certificate is that of a private authority, as in a company's network.
//!
//! The certificates were made with openssl for a hundred years; the authority's key was thrown away.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::check;
use crate::server::{BOT_TOKEN, serve};

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check/certificates/authority.pem");

fn tls() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("certificates/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/server-key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// A proxy that says yes to every CONNECT and then is the server itself. Returns its address.
fn proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let tls = tls();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that does not trust the certificate ends the connection.
            drop(tunnel(stream, Arc::clone(&tls)));
        }
    });
    address
}

fn tunnel(mut stream: TcpStream, tls: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(&mut stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    assert!(head.starts_with("CONNECT discord.test:443 "), "{head}");
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    serve(StreamOwned::new(connection, stream), 1 << 18)
}

#[test]
fn the_check_asks_through_the_proxy_and_trusts_the_file_of_authorities() {
    let proxy = proxy();
    let environment = [
        ("DISCORD_API_URL", "https://discord.test/api/v10"),
        ("DISCORD_TOKEN", BOT_TOKEN),
        ("HTTPS_PROXY", &proxy),
        ("SSL_CERT_FILE", AUTHORITY),
    ];
    let output = check(&environment);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("the bot archiver"), "{text}");

    let untrusting = check(&environment[..3]);
    let text = String::from_utf8(untrusting.stdout).unwrap();
    assert_eq!(untrusting.status.code(), Some(1), "{text}");
    assert!(text.contains("certificate"), "{text}");
}

#[test]
fn a_file_of_authorities_that_is_not_there_is_a_wrong_setting() {
    let output = check(&[("DISCORD_TOKEN", BOT_TOKEN), ("SSL_CERT_FILE", "/does/not/exist.pem")]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("SSL_CERT_FILE /does/not/exist.pem"), "{text}");
}
