//! The environment DCE runs in: made here, not inherited.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// What DCE is given whatever the worker's own environment says: UTC and no locale of the machine,
/// no banner, no terminal, no debug sockets in /tmp.
const FIXED: [(&str, &str); 5] = [
    ("TZ", "UTC"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
    ("FUCK_RUSSIA", "1"),
    ("DOTNET_EnableDiagnostics", "0"),
];

/// How the machine reaches the internet: proxies, and the authorities it trusts.
const NETWORK: [&str; 10] = [
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
];

/// Settings of the .NET runtime are passed on by this prefix.
const RUNTIME_PREFIX: &str = "DOTNET_";
/// Except this one, which makes DCE write a note to stderr.
const IN_CONTAINER: &str = "DOTNET_RUNNING_IN_CONTAINER";

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The environment of an export. Of `inherited` (the worker's own) only the path, proxies, trusted
/// authorities and .NET settings pass; `home` is the attempt's directory, so that nothing is kept
/// in the worker's. The token goes this way because arguments can be read by every user.
pub fn environment(
    token: &SecretString,
    home: &Path,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut environment = without_token(home, inherited);
    environment.push(("DISCORD_TOKEN".into(), token.expose_secret().into()));
    environment
}

/// The same for a DCE that needs no Discord.
pub(super) fn without_token(
    home: &Path,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut path = OsString::from(DEFAULT_PATH);
    let mut environment: Vec<(OsString, OsString)> = Vec::new();
    for (name, value) in inherited {
        if name == "PATH" {
            path = value;
        } else if passes(&name) {
            environment.push((name, value));
        }
    }
    environment.extend(FIXED.map(|(name, value)| (name.into(), value.into())));
    environment.push(("PATH".into(), path));
    environment.push(("HOME".into(), home.into()));
    environment
}

fn passes(name: &OsStr) -> bool {
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
    fn nothing_is_inherited_but_the_way_to_the_internet() {
        let made = made(&[
            ("PATH", "/opt/bin"),
            ("HTTPS_PROXY", "http://proxy:3128"),
            ("SSL_CERT_FILE", "/etc/ca.pem"),
            ("DOTNET_GCHeapHardLimit", "0x3000000"),
            ("DOTNET_EnableDiagnostics", "1"),
            ("DOTNET_RUNNING_IN_CONTAINER", "true"),
            ("DATABASE_URL", "postgres://secret"),
            ("DISCORD_TOKEN", "another"),
            ("DISCORD_TOKEN_BOT", "1"),
            ("TZ", "Asia/Seoul"),
            ("HOME", "/root"),
            ("LD_PRELOAD", "/tmp/x.so"),
        ]);
        let expected = [
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
    fn there_is_always_a_path() {
        assert_eq!(made(&[])["PATH"], DEFAULT_PATH);
    }
}
