//! `odradek doctor`: whether a broker can run here, and run well.
//!
//! Keeps: each check says what was measured, why it matters and what to do; none needs io_uring or a
//! running broker; nothing is left behind. The quick form writes nothing and takes no flush.

mod check;
mod disk;
mod network;
mod system;

use crate::cli::{DoctorArguments, Format, Global};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::output::{self, is_colored};
use crate::properties::ClientProperties;
use crate::start;
use check::{Check, Status};
use engine_config::BrokerConfig;
use std::io::{self, Write};
use std::path::Path;

/// Runs it.
pub fn run(global: &Global, arguments: &DoctorArguments) -> Result<(), Failure> {
    let config = start::read_settings(global, &arguments.start)?;
    let temporary = std::env::temp_dir();
    let data_dir = if arguments.start.ephemeral {
        temporary.as_path()
    } else {
        Path::new(&config.data_dir)
    };
    let mut checks = system::checks(&config);
    checks.extend(disk::checks(data_dir));
    checks.push(disk::flush(data_dir));
    checks.extend(network::checks(&config));
    if global.bootstrap_server.is_some() {
        let properties = ClientProperties::default();
        let mut driver = Driver::new(global, &properties);
        checks.extend(network::reachable(&mut driver, &properties));
    }
    if global.format() == Format::Table {
        page(&checks)?;
    } else {
        output::print(global.format(), &checks)?;
    }
    let worst = checks.iter().map(|check| check.status).max();
    match worst {
        Some(Status::Problem) => Err(Failure::silent(Kind::Usage)),
        Some(Status::Warning) => Err(Failure::silent(Kind::Failed)),
        _ => Ok(()),
    }
}

/// What a start says before it begins: the checks that cost next to nothing, and of those the bad
/// news only. What would stop the start is told by the start itself.
pub fn quick(config: &BrokerConfig, data_dir: Option<&Path>) -> Vec<String> {
    let mut checks = system::quick_checks(config);
    checks.extend(data_dir.map(disk::checks).unwrap_or_default());
    checks.extend(network::quick_checks(config));
    let bad = checks.iter().filter(|check| check.status > Status::Ok);
    bad.map(|check| {
        let fix = check.fix.as_deref().unwrap_or("`odradek doctor` says more");
        format!(
            "warning: {}: {}; {}\n  fix: {fix}",
            check.check, check.measured, check.why
        )
    })
    .collect()
}

fn page(checks: &[Check]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let is_colored = is_colored(&out);
    let width = checks.iter().map(|check| check.check.len()).max();
    let width = width.unwrap_or_default();
    for check in checks {
        let label = check.status.label(is_colored);
        writeln!(out, "{label}  {:<width$}  {}", check.check, check.measured)?;
        if check.status > Status::Ok {
            let indent = " ".repeat(width + 11);
            writeln!(out, "{indent}why: {}", check.why)?;
            if let Some(fix) = &check.fix {
                writeln!(out, "{indent}fix: {fix}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
