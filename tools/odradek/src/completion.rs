//! `odradek completion`: a script for a shell that completes commands and flags.
//!
//! Keeps: everything in it comes from the table of commands that also parses them.

use crate::cli::{Cli, CompletionArguments, Shell};
use crate::failure::Failure;
use clap::{Arg, ArgAction, Command, CommandFactory};
use std::fmt::Write as _;
use std::io::Write as _;

/// What may follow a chain of commands.
struct Place {
    /// The chain, as `topic create`.
    path: Vec<String>,
    /// Commands that may follow, with their help.
    commands: Vec<(String, String)>,
    /// Flags, with their help and the values they may have.
    flags: Vec<Flag>,
}

impl Place {
    /// The chain with a blank before each part.
    fn chain(&self) -> String {
        let parts = self.path.iter();
        parts.fold(String::new(), |chain, part| chain + " " + part)
    }
}

struct Flag {
    spellings: Vec<String>,
    help: String,
    takes_value: bool,
    values: Vec<String>,
}

/// Runs it.
pub fn run(arguments: &CompletionArguments) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut places = Vec::new();
    collect(&command, &mut Vec::new(), &mut places);
    let script = match arguments.shell {
        Shell::Bash => bash(&places),
        Shell::Zsh => zsh(&places),
        Shell::Fish => fish(&places),
    };
    Ok(std::io::stdout().lock().write_all(script.as_bytes())?)
}

fn collect(command: &Command, path: &mut Vec<String>, places: &mut Vec<Place>) {
    let inner: Vec<&Command> = command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
        .collect();
    let about = |command: &Command| {
        let about = command.get_about().map(ToString::to_string);
        about.unwrap_or_default()
    };
    places.push(Place {
        path: path.clone(),
        commands: inner
            .iter()
            .map(|inner| (inner.get_name().to_owned(), about(inner)))
            .collect(),
        flags: command
            .get_arguments()
            .filter(|argument| !argument.is_positional() && !argument.is_hide_set())
            .map(flag)
            .collect(),
    });
    for inner in inner {
        path.push(inner.get_name().to_owned());
        collect(inner, path, places);
        path.pop();
    }
}

fn flag(argument: &Arg) -> Flag {
    let long = argument.get_long().map(|long| format!("--{long}"));
    let short = argument.get_short().map(|short| format!("-{short}"));
    let help = argument.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    Flag {
        spellings: long.into_iter().chain(short).collect(),
        help: help.lines().next().unwrap_or_default().to_owned(),
        takes_value: matches!(argument.get_action(), ArgAction::Set | ArgAction::Append),
        values: argument
            .get_possible_values()
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect(),
    }
}

/// Words that may stand in single quotes in every shell.
fn tame(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\'' | '\\' | '`' | '$' | '"' | ':' | '[' | ']' => ' ',
            other => other,
        })
        .collect()
}

/// The end of a loop over the words of a line that finds the chain they begin with, and the start of
/// a choice by it, as bash and zsh both read them.
fn walk(places: &[Place]) -> String {
    let chains: Vec<String> = places
        .iter()
        .filter(|place| !place.path.is_empty())
        .map(|place| format!("'{}'", place.chain()))
        .collect();
    format!(
        "      {}) path=\"$path $part\" ;;\n    esac\n  done\n  case \"$path\" in\n",
        chains.join("|")
    )
}

fn bash(places: &[Place]) -> String {
    let mut out = String::from(
        "# Completes the commands and flags of odradek in bash.\n_odradek() {\n  \
         local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n  \
         local path=\"\" index part\n  for ((index = 1; index < COMP_CWORD; index++)); do\n    \
         part=\"${COMP_WORDS[index]}\"\n    case \"$path $part\" in\n",
    );
    out.push_str(&walk(places));
    for place in places {
        let path = place.chain();
        let commands = place.commands.iter().map(|(name, _)| name.clone());
        let flags = place.flags.iter().flat_map(|flag| flag.spellings.clone());
        let words: Vec<String> = commands.chain(flags).collect();
        let _ = writeln!(out, "    '{path}')");
        let valued: Vec<&Flag> = place.flags.iter().filter(|f| f.takes_value).collect();
        if !valued.is_empty() {
            out.push_str("      case \"$before\" in\n");
            for flag in valued {
                let spellings = flag.spellings.join("|");
                let answer = if flag.values.is_empty() {
                    "compgen -f -- \"$word\"".to_owned()
                } else {
                    format!("compgen -W '{}' -- \"$word\"", flag.values.join(" "))
                };
                let _ = writeln!(
                    out,
                    "        {spellings}) COMPREPLY=($({answer})); return ;;"
                );
            }
            out.push_str("      esac\n");
        }
        let _ = writeln!(
            out,
            "      COMPREPLY=($(compgen -W '{}' -- \"$word\")) ;;",
            words.join(" ")
        );
    }
    out.push_str("  esac\n}\ncomplete -o default -F _odradek odradek\n");
    out
}

fn zsh(places: &[Place]) -> String {
    let mut out = String::from(
        "#compdef odradek\n# Completes the commands and flags of odradek in zsh.\n_odradek() {\n  \
         local path=\"\" part\n  local -a words_there\n  \
         for part in ${words[2,CURRENT-1]}; do\n    case \"$path $part\" in\n",
    );
    out.push_str(&walk(places));
    for place in places {
        let path = place.chain();
        let _ = writeln!(out, "    '{path}')\n      words_there=(");
        for (name, about) in &place.commands {
            let _ = writeln!(out, "        '{name}:{}'", tame(about));
        }
        for flag in &place.flags {
            for spelling in &flag.spellings {
                let _ = writeln!(out, "        '{spelling}:{}'", tame(&flag.help));
            }
        }
        out.push_str("      ) ;;\n");
    }
    out.push_str(
        "  esac\n  _describe 'odradek' words_there || _files\n}\nif [ \"$funcstack[1]\" = \"_odradek\" ]; then _odradek \"$@\"; else compdef _odradek odradek; fi\n",
    );
    out
}

fn fish(places: &[Place]) -> String {
    let mut out = String::from("# Completes the commands and flags of odradek in fish.\n");
    for place in places {
        let mut seen: Vec<String> = place
            .path
            .iter()
            .map(|part| format!("__fish_seen_subcommand_from {part}"))
            .collect();
        let names: Vec<&str> = place.commands.iter().map(|(name, _)| &name[..]).collect();
        if place.path.is_empty() {
            seen.push("__fish_use_subcommand".to_owned());
        } else if !names.is_empty() {
            let names = names.join(" ");
            seen.push(format!("not __fish_seen_subcommand_from {names}"));
        }
        let when = seen.join("; and ");
        for (name, about) in &place.commands {
            let _ = writeln!(
                out,
                "complete -c odradek -n '{when}' -f -a {name} -d '{}'",
                tame(about)
            );
        }
        for flag in &place.flags {
            let mut line = format!("complete -c odradek -n '{when}'");
            for spelling in &flag.spellings {
                let _ = match spelling.strip_prefix("--") {
                    Some(long) => write!(line, " -l {long}"),
                    None => write!(line, " -s {}", spelling.trim_start_matches('-')),
                };
            }
            if flag.takes_value {
                line.push_str(" -r");
            }
            if !flag.values.is_empty() {
                let _ = write!(line, " -f -a '{}'", flag.values.join(" "));
            }
            let _ = writeln!(out, "{line} -d '{}'", tame(&flag.help));
        }
    }
    out
}
