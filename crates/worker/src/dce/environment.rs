//! Makes DCE's environment; nothing is inherited by default.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// Variables that override the worker's own environment: UTC, no locale of the machine, no banner, no terminal, no
/// debug sockets in /tmp.
const FIXED: [(&str, &str); 5] = [
    ("TZ", "UTC"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
    ("FUCK_RUSSIA", "1"),
    ("DOTNET_EnableDiagnostics", "0"),
];

/// Inherited variables for the way to Discord: proxies, trusted certificate authorities, and the address of another
/// Discord, which only the stand-in reads.
const NETWORK: [&str; 11] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "DISCORD_API_URL",
];

/// Prefix of the .NET runtime's settings, which are inherited.
const RUNTIME_PREFIX: &str = "DOTNET_";
/// The exception: it makes DCE write a note to stderr.
const IN_CONTAINER: &str = "DOTNET_RUNNING_IN_CONTAINER";

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Returns the environment of an export. Of `inherited` (the worker's own) it contains only the path, proxies, trusted
/// authorities, Discord's address and .NET settings. `home` is the attempt's directory, so that DCE leaves nothing in the worker's home.
/// The token is passed here because every user can read a process's arguments.
pub fn environment(
    token: &SecretString,
    home: &Path,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut environment = without_token(home, inherited);
    environment.push(("DISCORD_TOKEN".into(), token.expose_secret().into()));
    environment
}

/// Returns the environment for a DCE that does not call Discord.
pub(super) fn without_token(
    home: &Path,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut path = OsString::from(DEFAULT_PATH);
    let mut environment: Vec<(OsString, OsString)> = Vec::new();
    for (name, value) in inherited {
        if name == "PATH" {
            path = value;
        } else if is_inherited(&name) {
            environment.push((name, value));
        }
    }
    environment.extend(FIXED.map(|(name, value)| (name.into(), value.into())));
    environment.push(("PATH".into(), path));
    environment.push(("HOME".into(), home.into()));
    environment
}

fn is_inherited(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let fixed = FIXED.iter().any(|(fixed, _)| *fixed == name);
    let runtime = name.starts_with(RUNTIME_PREFIX) && name != IN_CONTAINER;
    NETWORK.contains(&name) || (runtime && !fixed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn made(inherited: &[(&str, &str)]) -> BTreeMap<String, String> {
        let inherited = inherited.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let made = environment(&SecretString::from("the-token"), Path::new("/var/dce/7"), inherited);
        let count = made.len();
        let map: BTreeMap<_, _> = made
            .into_iter()
            .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
            .collect();
        assert_eq!(map.len(), count, "a name is given twice");
        map
    }

    #[test]
    fn only_path_proxies_authorities_api_address_and_dotnet_settings_are_inherited() {
        let made = made(&[
            ("PATH", "/opt/bin"),
            ("HTTPS_PROXY", "http://proxy:3128"),
            ("SSL_CERT_FILE", "/etc/ca.pem"),
            ("DOTNET_GCHeapHardLimit", "0x3000000"),
            ("DOTNET_EnableDiagnostics", "1"),
            ("DOTNET_RUNNING_IN_CONTAINER", "true"),
            ("DISCORD_API_URL", "http://127.0.0.1:9/api/v10"),
            ("DATABASE_URL", "postgres://secret"),
            ("DISCORD_TOKEN", "another"),
            ("DISCORD_TOKEN_BOT", "1"),
            ("TZ", "Asia/Seoul"),
            ("HOME", "/root"),
            ("LD_PRELOAD", "/tmp/x.so"),
        ]);
        let expected = [
            ("DISCORD_API_URL", "http://127.0.0.1:9/api/v10"),
            ("DISCORD_TOKEN", "the-token"),
            ("DOTNET_EnableDiagnostics", "0"),
            ("DOTNET_GCHeapHardLimit", "0x3000000"),
            ("FUCK_RUSSIA", "1"),
            ("HOME", "/var/dce/7"),
            ("HTTPS_PROXY", "http://proxy:3128"),
            ("LANG", "C.UTF-8"),
            ("PATH", "/opt/bin"),
            ("SSL_CERT_FILE", "/etc/ca.pem"),
            ("TERM", "dumb"),
            ("TZ", "UTC"),
        ];
        assert_eq!(made, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn without_an_inherited_path_there_is_a_default_path() {
        assert_eq!(made(&[])["PATH"], DEFAULT_PATH);
    }
}
