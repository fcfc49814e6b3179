//! What is looked at before anything is promised, and the words for what is missing.

use std::io;
use std::time::Duration;

use io_uring::{IoUring, Probe, opcode};

use super::launch::eventfd;
use crate::error::{Reason, StartError};
use crate::system::{Post, UringConfig};

/// glommio's own pool of registered buffers, which we do not use: as small as it goes.
pub(super) const GLOMMIO_MEMORY_BYTES: usize = 64 * 1024;
/// glommio refuses to start below this limit of locked memory.
const LOCKED_BYTES_MIN: u64 = 512 * 1024;
/// What one shard's rings count against the limit, for those who have one.
const LOCKED_BYTES_PER_SHARD: u64 = 64 * 1024;
/// The oldest kernel with SINGLE_ISSUER and DEFER_TASKRUN.
const KERNEL_MIN: (u32, u32) = (6, 1);
/// Shards that one system may have.
const SHARDS_MAX: usize = 1024;

/// A ring with everything we rely on.
pub(super) fn build_ring(entries: u32) -> io::Result<IoUring> {
    let build = |submit_all: bool| {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(entries.saturating_mul(4))
            .dontfork();
        if submit_all {
            // One refused entry does not hold back those behind it.
            builder.setup_submit_all();
        }
        builder.build(entries)
    };
    build(true).or_else(|error| {
        if error.raw_os_error() == Some(libc::EINVAL) {
            build(false)
        } else {
            Err(error)
        }
    })
}

/// Looks at the machine and makes what the shards share.
pub(crate) fn probe(config: &UringConfig) -> Result<Vec<Post>, StartError> {
    check_config(config)?;
    check_kernel(kernel_release().as_deref())?;
    check_locked_memory(config.cpus.len())?;
    let ring = build_ring(config.ring_entries).map_err(|error| no_ring(&error))?;
    check_operations(&ring)?;
    drop(ring);
    config
        .cpus
        .iter()
        .map(|_| {
            eventfd()
                .map(Post::with_bell)
                .map_err(|error| no_descriptors(&error))
        })
        .collect()
}

fn check_config(config: &UringConfig) -> Result<(), StartError> {
    let shards = config.cpus.len();
    if shards == 0 || shards > SHARDS_MAX {
        return Err(StartError {
            what: format!("between 1 and {SHARDS_MAX} shards"),
            found: format!("{shards}"),
            fix: "ask for as many shards as there are cores to use".to_owned(),
        });
    }
    if !config.ring_entries.is_power_of_two() || config.ring_entries > 32 * 1024 {
        return Err(StartError {
            what: "a ring size that is a power of two, at most 32768".to_owned(),
            found: format!("{}", config.ring_entries),
            fix: "use 512".to_owned(),
        });
    }
    if config.watchdog < Duration::from_millis(40) {
        return Err(StartError {
            what: "a watchdog that waits at least 40 ms".to_owned(),
            found: format!("{:?}", config.watchdog),
            fix: "use 3 s".to_owned(),
        });
    }
    let usable = crate::process::available_cpus();
    for cpu in config.cpus.iter().flatten() {
        if !usable.contains(cpu) {
            return Err(StartError {
                what: format!("CPU {cpu}, to pin a shard to"),
                found: format!("this process may use CPUs {}", list(&usable)),
                fix: "pin to those, or run fewer shards".to_owned(),
            });
        }
    }
    Ok(())
}

fn list(numbers: &[usize]) -> String {
    numbers
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn kernel_release() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .ok()
        .map(|text| text.trim().to_owned())
}

/// Refuses a kernel that is too old; one whose version cannot be read gets its chance.
fn check_kernel(release: Option<&str>) -> Result<(), StartError> {
    let Some(release) = release else {
        return Ok(());
    };
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let version = parts
        .next()
        .zip(parts.next())
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    match version {
        Some(version) if version < KERNEL_MIN => Err(StartError {
            what: format!("Linux {}.{} or newer", KERNEL_MIN.0, KERNEL_MIN.1),
            found: format!("Linux {release}"),
            fix: "run on a newer kernel".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn check_locked_memory(shards: usize) -> Result<(), StartError> {
    let per_shard = LOCKED_BYTES_PER_SHARD.saturating_mul(u64::try_from(shards).unwrap_or(1));
    let need = LOCKED_BYTES_MIN.max(per_shard);
    let have = crate::process::locked_memory_limit();
    if have >= need || crate::process::raise_locked_memory(need) {
        return Ok(());
    }
    Err(StartError {
        what: format!("{} KiB of locked memory for {shards} shards", need / 1024),
        found: format!("a limit of {} KiB", have / 1024),
        fix: format!(
            "`ulimit -l {0}` before starting; with systemd `LimitMEMLOCK={1}`; in a container \
             `--ulimit memlock={1}`",
            need / 1024,
            need
        ),
    })
}

fn check_operations(ring: &IoUring) -> Result<(), StartError> {
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|error| no_ring(&error))?;
    let needed = [
        (opcode::Accept::CODE, "accept"),
        (opcode::Connect::CODE, "connect"),
        (opcode::Recv::CODE, "recv"),
        (opcode::SendMsg::CODE, "sendmsg"),
        (opcode::Shutdown::CODE, "shutdown"),
        (opcode::Read::CODE, "read"),
        (opcode::Write::CODE, "write"),
        (opcode::Writev::CODE, "writev"),
        (opcode::Fsync::CODE, "fsync"),
        (opcode::Fallocate::CODE, "fallocate"),
        (opcode::OpenAt::CODE, "openat"),
        (opcode::Statx::CODE, "statx"),
        (opcode::RenameAt::CODE, "renameat"),
        (opcode::UnlinkAt::CODE, "unlinkat"),
        (opcode::MkDirAt::CODE, "mkdirat"),
        (opcode::Close::CODE, "close"),
        (opcode::Timeout::CODE, "timeout"),
        (opcode::AsyncCancel::CODE, "cancel"),
    ];
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|(code, _)| !probe.is_supported(*code))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StartError {
        what: "a kernel with every io_uring operation we use".to_owned(),
        found: format!("no {}", missing.join(", ")),
        fix: "run on Linux 6.1 or newer, without filters on io_uring operations".to_owned(),
    })
}

/// A ring could not be made: finds out why.
pub(super) fn no_ring(error: &io::Error) -> StartError {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
    explain_ring(
        error.raw_os_error().unwrap_or(0),
        disabled.as_deref().map(str::trim),
    )
}

/// Words for a refused `io_uring_setup`; `disabled` is the sysctl, where there is one.
fn explain_ring(errno: i32, disabled: Option<&str>) -> StartError {
    let what = "io_uring".to_owned();
    let (found, fix) = match (errno, disabled) {
        (libc::EPERM, Some(level @ ("1" | "2"))) => (
            format!("forbidden by the system (kernel.io_uring_disabled = {level})"),
            "`sysctl kernel.io_uring_disabled=0`, or 1 with this process's group in \
             kernel.io_uring_group"
                .to_owned(),
        ),
        (libc::EPERM | libc::EACCES, _) => (
            "forbidden, most likely by a seccomp profile, as container runtimes have by default"
                .to_owned(),
            "allow io_uring_setup, io_uring_enter and io_uring_register in the profile; with \
             Docker or Podman `--security-opt seccomp=unconfined` tells whether it is that"
                .to_owned(),
        ),
        (libc::ENOSYS, _) => (
            "a kernel without it, or a sandbox that hides it".to_owned(),
            "run on Linux 6.1 or newer; sandboxes such as gVisor lack io_uring".to_owned(),
        ),
        (libc::EINVAL, _) => (
            "a kernel that does not know what we ask of it".to_owned(),
            "run on Linux 6.1 or newer".to_owned(),
        ),
        (libc::ENOMEM, _) => (
            format!(
                "no memory for it (locked memory, or the memory limit of the control group): {}",
                Reason(errno)
            ),
            "raise the limits: `ulimit -l unlimited`, LimitMEMLOCK=infinity, memory.max".to_owned(),
        ),
        (libc::EMFILE | libc::ENFILE, _) => (
            format!("no descriptors left: {}", Reason(errno)),
            "raise the limit: `ulimit -n 65536`, LimitNOFILE=65536".to_owned(),
        ),
        _ => (
            format!("{}", Reason(errno)),
            "see io_uring_setup(2) for this error".to_owned(),
        ),
    };
    StartError { what, found, fix }
}

fn no_descriptors(error: &io::Error) -> StartError {
    StartError {
        what: "a descriptor for each shard's bell".to_owned(),
        found: error.to_string(),
        fix: "raise the limit: `ulimit -n 65536`, LimitNOFILE=65536".to_owned(),
    }
}

/// glommio's executor could not be made.
pub(super) fn no_executor(error: &dyn std::fmt::Display, cpu: Option<usize>) -> StartError {
    StartError {
        what: match cpu {
            Some(cpu) => format!("a scheduler on CPU {cpu}"),
            None => "a scheduler".to_owned(),
        },
        found: error.to_string(),
        fix: "check io_uring, locked memory (`ulimit -l`), and that this CPU may be used \
              (`taskset -p $$`)"
            .to_owned(),
    }
}

pub(super) fn no_thread(error: &io::Error) -> StartError {
    StartError {
        what: "a thread for each shard".to_owned(),
        found: error.to_string(),
        fix: "raise the limit of tasks: `ulimit -u`, TasksMax, pids.max".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_refused_and_odd_names_are_not() {
        for (release, accepted) in [
            ("5.15.0-91-generic", false),
            ("6.0.19", false),
            ("6.1.0-13-amd64", true),
            ("6.18.44", true),
            ("10.0", true),
            ("strange", true),
        ] {
            assert_eq!(check_kernel(Some(release)).is_ok(), accepted, "{release}");
        }
        assert!(check_kernel(None).is_ok());
        let error = check_kernel(Some("5.10.1")).unwrap_err();
        assert!(error.to_string().contains("Linux 5.10.1"), "{error}");
    }

    #[test]
    fn a_refused_ring_says_who_forbids_it_and_what_to_do() {
        for (errno, disabled, word) in [
            (libc::EPERM, Some("2"), "io_uring_disabled=0"),
            (libc::EPERM, Some("1"), "io_uring_group"),
            (libc::EPERM, Some("0"), "seccomp"),
            (libc::EPERM, None, "seccomp"),
            (libc::EACCES, Some("0"), "seccomp"),
            (libc::ENOSYS, None, "6.1"),
            (libc::EINVAL, None, "6.1"),
            (libc::ENOMEM, None, "ulimit -l"),
            (libc::EMFILE, None, "ulimit -n"),
        ] {
            let error = explain_ring(errno, disabled).to_string();
            assert!(error.contains(word), "{errno} {disabled:?}: {error}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_anything_starts() {
        let sound = UringConfig::default();
        assert!(check_config(&sound).is_ok());
        for (config, word) in [
            (
                UringConfig {
                    cpus: vec![],
                    ..sound.clone()
                },
                "between 1 and 1024",
            ),
            (
                UringConfig {
                    ring_entries: 500,
                    ..sound.clone()
                },
                "power of two",
            ),
            (
                UringConfig {
                    watchdog: Duration::ZERO,
                    ..sound.clone()
                },
                "40 ms",
            ),
            (
                UringConfig {
                    cpus: vec![Some(99_999)],
                    ..sound.clone()
                },
                "CPU 99999",
            ),
        ] {
            let error = check_config(&config).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
