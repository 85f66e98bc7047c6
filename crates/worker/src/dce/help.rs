//! Reads the help text of DCE's commands. Pure.

/// The heading above the list of options.
const OPTIONS: &str = "OPTIONS";

/// Returns those of `options` that a command's help text does not list.
///
/// Each line of the list begins with the names of one option: `* -c|--channel      Channel ID(s). …`.
pub(super) fn missing_options(help: &str, options: &[String]) -> Vec<String> {
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| line.trim() != OPTIONS)
        .skip(1)
        .filter_map(|line| line.trim_start_matches(['*', ' ']).split_whitespace().next())
        .flat_map(|names| names.split('|'))
        .collect();
    options.iter().filter(|option| !listed.contains(&option.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dce::arguments::ExportArguments;

    const HELP: [&str; 2] = [
        include_str!("../../../standin/recordings/help-export/stdout"),
        include_str!("../../../standin/recordings-2.48/help-export/stdout"),
    ];

    fn options() -> Vec<String> {
        ExportArguments::every_option("2.48".parse().unwrap())
    }

    #[test]
    fn the_tested_versions_list_every_option_that_we_pass() {
        for help in HELP {
            assert_eq!(missing_options(help, &options()), Vec::<String>::new());
        }
    }

    #[test]
    fn an_option_that_is_gone_is_found_although_other_texts_name_it() {
        for help in HELP {
            let without = |gone: &str| -> String {
                help.lines().filter(|line| !line.contains(gone)).flat_map(|line| [line, "\n"]).collect()
            };
            assert_eq!(missing_options(&without("--utc "), &options()), ["--utc"]);
            assert_eq!(missing_options(&without("-p|--partition"), &options()), ["-p"]);
            let renamed = help.replace("  --before  ", "  --until   (was --before)");
            assert_eq!(missing_options(&renamed, &options()), ["--before"]);
        }
        assert_eq!(missing_options("", &options()), options());
        assert_eq!(missing_options("Usage: --utc\n  --utc  only\n", &["--utc".to_owned()]), ["--utc"]);
    }
}
