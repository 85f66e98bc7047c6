//! The fake Discord as `https://discord.com`, behind its proxy: for any client, and for the real DCE if `DCE_BIN` names it.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::env;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dce_local::loopback_client;
use dce_standin::scenario::{Channel, Scenario, ScenarioDir, recording};
use dce_testkit::discord::{FakeDiscord, Fault, Route};
use reqwest::{Client, Proxy};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

const CHANNEL: &str = "900000000000001001";

fn serve(case: &str, channel: &str) -> (FakeDiscord, ScenarioDir) {
    let file = recording(case).join("out/part.json");
    let dir = ScenarioDir::create(&Scenario::new().token("good").channel(channel, Channel::file(file)));
    (FakeDiscord::start(dir.dir()).unwrap(), dir)
}

/// A client that uses the proxy and trusts its authority, or none.
fn client(discord: &FakeDiscord, trusts: bool) -> Client {
    let variables = discord.proxy().unwrap();
    let mut roots = RootCertStore::empty();
    if trusts {
        roots.add(CertificateDer::from_pem_file(&variables.ssl_cert_file).unwrap()).unwrap();
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let proxy = Proxy::https(&variables.https_proxy).unwrap();
    loopback_client().tls_backend_preconfigured(tls).proxy(proxy).build().unwrap()
}

#[tokio::test]
async fn the_proxy_is_discord_com_for_clients_that_trust_its_authority() {
    let (discord, _dir) = serve("small", CHANNEL);
    let get = async |trusts: bool, host: &str| {
        let url = format!("https://{host}/api/v10/channels/{CHANNEL}");
        client(&discord, trusts).get(url).header("Authorization", "Bot good").send().await
    };
    let channel: Value = get(true, "discord.com").await.unwrap().json().await.unwrap();
    assert_eq!(channel["id"], CHANNEL);
    assert!(get(false, "discord.com").await.is_err(), "an unknown authority");
    assert!(get(true, "example.org").await.is_err(), "another host");
    discord.fault(Fault::on(Route::channel(CHANNEL)).drops());
    assert!(get(true, "discord.com").await.is_err(), "a fault breaks a connection below TLS, too");
}

/// Fields of messages that do not depend on when and how DCE was called.
fn messages(document: &[u8]) -> Vec<Value> {
    let document: Value = serde_json::from_slice(document).unwrap();
    document["messages"].as_array().unwrap().clone()
}

#[test]
fn the_real_dce_writes_what_the_fake_serves() {
    let Some(dce) = env::var_os("DCE_BIN") else {
        eprintln!(
            "\n*** NOT TESTED with a real DCE: set DCE_BIN to the path of DiscordChatExporter.Cli, then run\n\
             *** cargo test -p dce-testkit --test discord_by_proxy -- --nocapture\n"
        );
        return;
    };
    for (case, channel) in [("small", CHANNEL), ("thread", "900000000000001061")] {
        let (discord, _dir) = serve(case, channel);
        let variables = discord.proxy().unwrap();
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("part.json");
        let output = Command::new(&dce)
            .args(["export", "-c", channel, "-f", "Json", "--utc", "--markdown", "false", "-o"])
            .arg(&file)
            .env_clear()
            .envs([("DISCORD_TOKEN", "good"), ("TZ", "UTC"), ("FUCK_RUSSIA", "1"), ("TERM", "dumb")])
            .env("HOME", out.path())
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
            .env("HTTPS_PROXY", variables.https_proxy)
            .env("SSL_CERT_FILE", variables.ssl_cert_file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let recorded = fs::read(recording(case).join("out/part.json")).unwrap();
        assert_eq!(messages(&fs::read(&file).unwrap()), messages(&recorded), "{case}");
        let slowest = discord.requests().iter().map(|request| request.at).max().unwrap();
        assert!(slowest < Duration::from_secs(60), "DCE waited for limits");
    }
}
