//! Parses settings from the environment. All mistakes are reported at once, each with its remedy and without the value,
//! which may be a secret.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::{Arg, Parser};

/// Every mistake in the settings, one line each.
#[derive(Debug, thiserror::Error)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings are not usable:")?;
        self.0.iter().try_for_each(|mistake| writeln!(f, "  {mistake}"))?;
        write!(f, "--help explains every setting.")
    }
}

/// Parses the program's arguments and variables; exits on a mistake in the arguments, `--help` and `--version`. A blank
/// variable counts as unset: compose files pass those that nobody filled in.
pub fn parse_command_line<P: Parser>() -> P {
    let command = P::command()
        .mut_args(unset_if_blank)
        .mut_subcommands(|subcommand| subcommand.mut_args(unset_if_blank));
    P::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn unset_if_blank(argument: Arg) -> Arg {
    let value = argument.get_env().and_then(env::var_os);
    if value.is_some_and(|value| is_blank(&value)) { argument.env(None) } else { argument }
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

/// Parses settings one by one and collects the mistakes.
#[derive(Debug, Default)]
pub struct SettingsParser {
    mistakes: Vec<String>,
}

impl SettingsParser {
    /// Records a mistake: "NAME remedy".
    pub fn mistake(&mut self, name: &str, remedy: impl fmt::Display) {
        self.mistakes.push(format!("{name} {remedy}"));
    }

    /// A setting without a default. Blank counts as unset.
    pub fn required(&mut self, name: &str, value: Option<String>, what: &str) -> Option<String> {
        let value = value.filter(|value| !value.trim().is_empty());
        if value.is_none() {
            self.mistake(name, format_args!("is not set: {what}"));
        }
        value
    }

    /// A setting that its type parses; the type's error is the remedy.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, value: &str) -> Option<T> {
        value.trim().parse().map_err(|error| self.mistake(name, error)).ok()
    }

    /// A whole number within bounds.
    pub fn number(&mut self, name: &str, value: &str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let number = value.trim().parse().ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            self.mistake(
                name,
                format_args!("must be a whole number from {} to {}", bounds.start(), bounds.end()),
            );
        }
        number
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str, value: &str) -> Option<bool> {
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => {
                self.mistake(name, "must be true or false");
                None
            }
        }
    }

    /// A time span such as `25s`, `10m`, `2h`, within bounds.
    pub fn duration(
        &mut self,
        name: &str,
        value: &str,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let duration =
            humantime::parse_duration(value.trim()).ok().filter(|duration| bounds.contains(duration));
        if duration.is_none() {
            let [shortest, longest] = [bounds.start(), bounds.end()].map(|&d| humantime::format_duration(d));
            self.mistake(
                name,
                format_args!("must be a time span such as 25s, 10m or 2h, from {shortest} to {longest}"),
            );
        }
        duration
    }

    /// A limit in bytes such as `256MB`: 0 for none, otherwise at least `least`.
    pub fn size(&mut self, name: &str, value: &str, least: ByteSize) -> Option<ByteSize> {
        let size = value.trim().parse().ok().filter(|&size| size == ByteSize(0) || size >= least);
        if size.is_none() {
            self.mistake(
                name,
                format_args!(
                    "must be a size such as 256MB, 2GB or 1GiB, at least {least}, or 0 for no limit"
                ),
            );
        }
        size
    }

    /// The settings, or all mistakes. `None`: a setting that failed has recorded its mistake.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, Mistakes> {
        match settings {
            Some(settings) if self.mistakes.is_empty() => Ok(settings),
            _ => Err(Mistakes(self.mistakes)),
        }
    }
}

/// A number of bytes. Written with a decimal unit, parsed with a decimal (`MB`) or binary (`MiB`) one or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a size such as 256MB, 2GB or 1GiB")]
pub struct NotASize;

/// For parsing and writing.
const DECIMAL_UNITS: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("B", 1)];
/// For parsing only.
const BINARY_UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl FromStr for ByteSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NotASize)?;
        let unit = unit.trim_start();
        let bytes = DECIMAL_UNITS
            .iter()
            .chain(&BINARY_UNITS)
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map_or(unit.is_empty().then_some(1), |&(_, bytes)| Some(bytes))
            .ok_or(NotASize)?;
        number.checked_mul(bytes).map(Self).ok_or(NotASize)
    }
}

/// At most one decimal, rounded down.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) = DECIMAL_UNITS.into_iter().find(|&(_, bytes)| self.0 >= bytes).unwrap_or(("B", 1));
        let (whole, tenths) = (self.0 / bytes, self.0 % bytes * 10 / bytes);
        if tenths == 0 { write!(f, "{whole} {unit}") } else { write!(f, "{whole}.{tenths} {unit}") }
    }
}

/// Reads `.env` of the working directory unless `DOTENV=false`. Variables that are set win.
pub fn load_dotenv() -> Result<(), Mistakes> {
    let mut parser = SettingsParser::default();
    let setting = env::var("DOTENV").ok().filter(|value| !value.trim().is_empty());
    let is_on = setting.map_or(Some(true), |value| parser.flag("DOTENV", &value));
    if !parser.finish(is_on)? {
        return Ok(());
    }
    match dotenvy::from_path(".env") {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The error's own text would quote the line, which may hold a secret.
        Err(dotenvy::Error::LineParse(_, index)) => Err(Mistakes(vec![format!(
            ".env cannot be read: a line is no NAME=value (near character {index} of it)"
        )])),
        Err(_) => {
            Err(Mistakes(vec![".env cannot be read: check that it is a readable UTF-8 file".to_owned()]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
    const LEAST: ByteSize = ByteSize(1_000_000);

    #[test]
    fn all_mistakes_are_reported_without_values() {
        let mut parser = SettingsParser::default();
        parser.required("A", Some(String::new()), "the address");
        parser.number("B", "hunter2", 1..=9);
        parser.duration("C", "hunter2", SPANS);
        parser.flag("D", "hunter2");
        parser.size("E", "hunter2", LEAST);
        let text = parser.finish(Some(())).unwrap_err().to_string();
        for name in ["A is not set", "B must", "C must", "D must", "E must"] {
            assert!(text.contains(name), "{text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn valid_values_are_parsed() {
        let mut parser = SettingsParser::default();
        assert_eq!(parser.duration("C", "10m", SPANS), Some(Duration::from_mins(10)));
        assert_eq!(parser.number("B", " 9 ", 1..=9), Some(9));
        assert_eq!(parser.flag("D", "TRUE"), Some(true));
        assert_eq!(parser.size("E", " 2GB ", LEAST), Some(ByteSize(2_000_000_000)));
        assert_eq!(parser.size("F", "0", LEAST), Some(ByteSize(0)));
        assert!(parser.finish(Some(())).is_ok());
    }

    #[test]
    fn values_out_of_bounds_are_reported_with_the_bounds() {
        let mut parser = SettingsParser::default();
        for span in ["0", "0s", "1ns", "999ms", "25h", "600", "", "18446744073709551615s", "-1s"] {
            assert_eq!(parser.duration("SPAN", span, SPANS), None, "{span}");
        }
        for size in ["256", "999KB", "", "-1MB", "1.5GB", "99999999TB", "MB", "2 GB x", "2G"] {
            assert_eq!(parser.size("SIZE", size, LEAST), None, "{size}");
        }
        let text = parser.finish(Some(())).unwrap_err().to_string();
        assert!(text.contains("SPAN must be a time span such as 25s, 10m or 2h, from 1s to 1day"), "{text}");
        assert!(
            text.contains("SIZE must be a size such as 256MB, 2GB or 1GiB, at least 1 MB, or 0"),
            "{text}"
        );
    }

    #[test]
    fn sizes_are_parsed_in_both_units_and_written_in_decimal() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("512MB", 512_000_000),
            ("512 mb", 512_000_000),
            ("1GiB", 1 << 30),
            ("3kib", 3072),
            ("7B", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 KB"),
            (255_999_999, "255.9 MB"),
            (2_000_000_000, "2 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
