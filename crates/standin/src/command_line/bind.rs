//! Binds options and their values to [`ExportOptions`], with the error messages of `CliFx` and DCE.

use super::split::{Inputs, OptionInput};
use super::{BadValue, Environment, ExportOptions, UsageError};
use crate::filter::Filter;
use crate::partition::PartitionLimit;
use dce_standin::snowflake::{Snowflake, SnowflakeError};

/// Binds in the order of DCE's help, which decides which error comes first.
pub(super) fn bind(inputs: Inputs, environment: &Environment) -> Result<ExportOptions, UsageError> {
    if !inputs.parameters.is_empty() {
        let parameters: Vec<_> = inputs.parameters.iter().map(|value| format!("<{value}>")).collect();
        return Err(UsageError::Refused(format!("Unexpected parameter(s):\n{}", parameters.join(" "))));
    }
    let zone_is_utc = matches!(environment.zone.as_deref(), None | Some("" | "UTC" | "Etc/UTC"));
    let snowflake = |value: &str| Snowflake::parse(value, zone_is_utc).map_err(Fault::from);
    let bound = |value: Option<&str>| snowflake(value.unwrap_or_default()).map(Some);
    let mut left = Options(inputs.options);

    let channels = left.take("channel", Some('c'));
    let channels = match &channels {
        Some(given) => given.each(|value| snowflake(value))?,
        None => Vec::new(),
    };
    let token = left.scalar("token", Some('t'), |value| Ok(value.map(String::from)))?;
    let token = token.flatten().or_else(|| environment.token.clone());
    let output = left.scalar("output", Some('o'), |value| Ok(value.map(String::from)))?.flatten();
    let is_json = left.scalar("format", Some('f'), format_is_json)?.unwrap_or(false);
    let after = left.scalar("after", None, bound)?.flatten();
    let before = left.scalar("before", None, bound)?.flatten();
    let partition = left.scalar("partition", Some('p'), partition)?.unwrap_or(PartitionLimit::None);
    let with_threads = left.scalar("include-threads", None, with_threads)?.unwrap_or(false);
    let filter = left.scalar("filter", None, filter)?;
    let parallel = left.scalar("parallel", None, |value| number(value).map(|_| ()))?;
    let reverse = left.scalar("reverse", None, boolean)?.unwrap_or(false);
    let markdown = left.scalar("markdown", None, boolean)?;
    let media = left.scalar("media", None, boolean)?.unwrap_or(false);
    let reuse_media = left.scalar("reuse-media", None, boolean)?;
    let media_dir = left.scalar("media-dir", None, |_| Ok(()))?;
    let date_format = left.scalar("dateformat", None, |_| Ok(()))?;
    let locale = left.scalar("locale", None, |_| Ok(()))?;
    let utc = left.scalar("utc", None, boolean)?;
    let no_banner = left
        .scalar("fuck-russia", None, boolean)?
        .unwrap_or_else(|| environment.no_banner.as_deref().is_some_and(environment_says_yes));
    let bot = left.scalar("bot", Some('b'), boolean)?;
    let respect_rate_limits = left.scalar("respect-rate-limits", None, boolean)?.unwrap_or(true);
    // Validated, but without effect on the output.
    let _ = (parallel, markdown, reuse_media, media_dir, date_format, locale, utc, bot);

    if !left.0.is_empty() {
        let unknown: Vec<_> = left.0.iter().map(OptionInput::written).collect();
        return Err(UsageError::Refused(format!("Unrecognized option(s):\n{}", unknown.join("\n"))));
    }
    let Some(token) = token.filter(|_| !channels.is_empty()) else {
        let missing: Vec<_> =
            [("-c|--channel", channels.is_empty()), ("-t|--token", environment.token.is_none())]
                .into_iter()
                .filter_map(|(name, is_missing)| is_missing.then_some(name))
                .collect();
        return Err(UsageError::Refused(format!("Missing required option(s):\n{}", missing.join("\n"))));
    };
    for (is_given, option) in
        [(!is_json, "a format but `-f Json`"), (reverse, "`--reverse`"), (media, "`--media`")]
    {
        if is_given {
            return Err(UsageError::NotSupported(format!("{option} is not supported")));
        }
    }
    Ok(ExportOptions {
        channels,
        token,
        output,
        after,
        before,
        partition,
        with_threads,
        filter,
        no_banner,
        respect_rate_limits,
    })
}

const FORMAT: &str = "System.FormatException";
const NULL: &str = "System.ArgumentNullException";
const ENUM: &str = "System.ArgumentException";
const FILTER: &str = "Superpower.ParseException";

/// Why a value is not valid for its option.
enum Fault {
    /// The .NET type of the error, and its message.
    Refused(&'static str, String),
    NotSupported(String),
}

impl From<SnowflakeError> for Fault {
    fn from(error: SnowflakeError) -> Self {
        match error {
            SnowflakeError::Invalid(_) => Self::Refused(FORMAT, error.to_string()),
            SnowflakeError::Zone(_) => Self::NotSupported(error.to_string()),
        }
    }
}

/// The options that are not bound yet.
struct Options(Vec<OptionInput>);

/// All values given for one option.
struct Given {
    /// `-c|--channel`
    identifier: String,
    values: Vec<String>,
}

impl Options {
    fn take(&mut self, long: &str, short: Option<char>) -> Option<Given> {
        let mut values = None;
        self.0.retain_mut(|option| {
            let is_it = option.is(long, short);
            if is_it {
                values.get_or_insert_with(Vec::new).append(&mut option.values);
            }
            !is_it
        });
        let identifier = short.map_or_else(|| format!("--{long}"), |short| format!("-{short}|--{long}"));
        values.map(|values| Given { identifier, values })
    }

    /// Binds an option with at most one value; `convert` receives `None` if it stands alone.
    fn scalar<T>(
        &mut self,
        long: &str,
        short: Option<char>,
        convert: impl FnOnce(Option<&str>) -> Result<T, Fault>,
    ) -> Result<Option<T>, UsageError> {
        let Some(given) = self.take(long, short) else { return Ok(None) };
        if given.values.len() > 1 {
            let Given { identifier, .. } = &given;
            return Err(UsageError::Refused(format!(
                "Option {identifier} expects a single argument, but provided with multiple:\n{}",
                given.quoted()
            )));
        }
        convert(given.values.first().map(String::as_str)).map(Some).map_err(|fault| given.explain(fault))
    }
}

impl Given {
    fn each<T>(&self, convert: impl Fn(&str) -> Result<T, Fault>) -> Result<Vec<T>, UsageError> {
        self.values.iter().map(|value| convert(value).map_err(|fault| self.explain(fault))).collect()
    }

    fn quoted(&self) -> String {
        self.values.iter().map(|value| format!("<{value}>")).collect::<Vec<_>>().join(" ")
    }

    fn explain(&self, fault: Fault) -> UsageError {
        match fault {
            Fault::Refused(exception, reason) => UsageError::BadValue(BadValue {
                option: self.identifier.clone(),
                values: self.quoted(),
                exception,
                reason,
            }),
            Fault::NotSupported(reason) => UsageError::NotSupported(reason),
        }
    }
}

/// The value, or .NET's error for an option that stands alone but needs one.
fn needed(value: Option<&str>) -> Result<&str, Fault> {
    value.ok_or_else(|| Fault::Refused(NULL, "Value cannot be null. (Parameter 'input')".into()))
}

fn boolean(value: Option<&str>) -> Result<bool, Fault> {
    match value.map(|value| value.trim().to_ascii_lowercase()).as_deref() {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => {
            let value = value.unwrap_or_default();
            Err(Fault::Refused(FORMAT, format!("String '{value}' was not recognized as a valid Boolean.")))
        }
    }
}

/// In the environment numbers are accepted, too: 1 is yes, any other number no.
fn environment_says_yes(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "" | "1" | "true")
}

fn number(value: Option<&str>) -> Result<i32, Fault> {
    let value = value.unwrap_or_default();
    let wrong =
        |_| Fault::Refused(FORMAT, format!("The input string '{value}' was not in a correct format."));
    value.trim().parse().map_err(wrong)
}

fn format_is_json(value: Option<&str>) -> Result<bool, Fault> {
    const FORMATS: [&str; 5] = ["PlainText", "HtmlDark", "HtmlLight", "Csv", "Json"];
    let value = value.unwrap_or_default();
    match FORMATS.iter().find(|format| format.eq_ignore_ascii_case(value)) {
        Some(format) => Ok(*format == "Json"),
        None => Err(Fault::Refused(ENUM, format!("Requested value '{value}' was not found."))),
    }
}

fn with_threads(value: Option<&str>) -> Result<bool, Fault> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("active" | "all" | "true") => Ok(true),
        Some("none" | "false") => Ok(false),
        Some(other) => Err(Fault::Refused(ENUM, format!("Requested value '{other}' was not found."))),
    }
}

fn partition(value: Option<&str>) -> Result<PartitionLimit, Fault> {
    PartitionLimit::parse(needed(value)?).map_err(|error| Fault::Refused(FORMAT, error.to_string()))
}

fn filter(value: Option<&str>) -> Result<Filter, Fault> {
    Filter::parse(needed(value)?).map_err(|error| Fault::Refused(FILTER, error.to_string()))
}
