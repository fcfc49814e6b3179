//! `completion`: flags and help.

use clap::{Args, ValueEnum};

/// Run by a test.
pub const EXAMPLES: &str = "Examples:
  odradek completion bash
  odradek completion zsh

Where the script goes: bash: /etc/bash_completion.d/odradek or ~/.bashrc;
zsh: a file _odradek in a directory of $fpath; fish: ~/.config/fish/completions/odradek.fish";

/// `completion`.
#[derive(Args, Debug)]
pub struct CompletionArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
