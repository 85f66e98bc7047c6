//! Splits arguments into options and their values as `CliFx` 2.3 does: an argument that looks like an option is one, even
//! where a value was meant.

/// One occurrence of an option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OptionInput {
    /// Without dashes.
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

impl OptionInput {
    /// Long names match in any case, short ones exactly.
    pub(super) fn is(&self, long: &str, short: Option<char>) -> bool {
        self.name.eq_ignore_ascii_case(long)
            || short.is_some_and(|short| self.name.chars().eq(std::iter::once(short)))
    }

    /// The name with its dashes.
    pub(super) fn written(&self) -> String {
        let dashes = if self.name.chars().count() == 1 { "-" } else { "--" };
        format!("{dashes}{}", self.name)
    }
}

/// The arguments after the command's name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    /// Values before the first option.
    pub(super) parameters: Vec<String>,
    pub(super) options: Vec<OptionInput>,
}

impl Inputs {
    pub(super) fn asks_for_help(&self) -> bool {
        self.options.iter().any(|option| option.is("help", Some('h')))
    }
}

pub(super) fn split(arguments: &[String]) -> Inputs {
    let mut inputs = Inputs::default();
    for argument in arguments {
        match option_names(argument) {
            Some(names) => {
                inputs.options.extend(names.into_iter().map(|name| OptionInput { name, values: Vec::new() }));
            }
            None => match inputs.options.last_mut() {
                Some(option) => option.values.push(argument.clone()),
                None => inputs.parameters.push(argument.clone()),
            },
        }
    }
    inputs
}

/// `--name` is one option, `-abc` are three.
fn option_names(argument: &str) -> Option<Vec<String>> {
    let starts_with_letter = |name: &&str| name.starts_with(char::is_alphabetic);
    if let Some(name) = argument.strip_prefix("--") {
        return Some(name).filter(starts_with_letter).map(|name| vec![name.into()]);
    }
    argument
        .strip_prefix('-')
        .filter(starts_with_letter)
        .map(|names| names.chars().map(String::from).collect())
}

/// The arguments with the token replaced by `***`, safe to record.
pub(crate) fn without_token(arguments: &[String]) -> Vec<String> {
    let mut names_a_token = false;
    let hide = |argument: &String| match option_names(argument) {
        Some(names) => {
            names_a_token =
                names.last().is_some_and(|name| name == "t" || name.eq_ignore_ascii_case("token"));
            argument.clone()
        }
        None if names_a_token => "***".into(),
        None => argument.clone(),
    };
    arguments.iter().map(hide).collect()
}

#[cfg(test)]
mod tests {
    use super::{split, without_token};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    #[test]
    fn several_values_follow_one_option_and_clusters_are_split() {
        let inputs = split(&words("stray -c 1 2 -ab x --After -5 --1"));
        let read: Vec<_> =
            inputs.options.iter().map(|option| (option.written(), option.values.join(" "))).collect();
        let expected = [("-c", "1 2"), ("-a", ""), ("-b", "x"), ("--After", "-5 --1")];
        assert_eq!(read, expected.map(|(name, values)| (name.into(), values.into())));
        assert_eq!(inputs.parameters, ["stray"]);
        assert!(inputs.options[3].is("after", None));
        assert!(!inputs.options[1].is("x", Some('A')));
    }

    #[test]
    fn only_the_token_is_hidden() {
        let hidden = without_token(&words("export -t secret -c 1 --TOKEN secret --utc"));
        assert_eq!(hidden, words("export -t *** -c 1 --TOKEN *** --utc"));
    }
}
