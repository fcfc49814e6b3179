//! `doctor`: flags and help.

use super::StartArguments;
use clap::Args;

/// Run by a test.
pub const EXAMPLES: &str = "Examples:
  odradek doctor --data-dir ./my-data --listen 127.0.0.1:0
  odradek doctor --ephemeral --listen 127.0.0.1:0 --json

Exit codes: 0 all is well, 1 there are warnings (a broker runs, but slower or with a risk),
2 there are problems (a broker does not start, or would lose data). With -b a broker that runs is
looked at too: whether the addresses it advertises can be reached from here.";

/// What to look at: the settings of the start that is planned.
#[derive(Args, Clone, Debug)]
pub struct DoctorArguments {
    #[command(flatten)]
    pub start: StartArguments,
}
