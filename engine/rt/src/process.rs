//! What the system lets this process have: CPUs, memory, descriptors, disk.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// CPUs this process may run on, ascending (its affinity mask).
pub fn available_cpus() -> Vec<usize> {
    // SAFETY: all zeros is a value of this plain type: the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` has the size given; 0 is this thread.
    let got = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if got != 0 {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        return (0..count).collect();
    }
    let limit = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    (0..limit)
        .filter(|cpu| {
            // SAFETY: `cpu` is below the number of bits in the set.
            unsafe { libc::CPU_ISSET(*cpu, &set) }
        })
        .collect()
}

/// CPU time the control group allows, in whole CPUs rounded up; `None` without a limit.
pub fn cpu_quota() -> Option<usize> {
    let text = std::fs::read_to_string("/sys/fs/cgroup/cpu.max").ok()?;
    parse_quota(&text)
}

fn parse_quota(text: &str) -> Option<usize> {
    let mut words = text.split_whitespace();
    let quota: u64 = words.next()?.parse().ok()?;
    let period: u64 = words.next()?.parse().ok()?;
    usize::try_from(quota.div_ceil(period.max(1)).max(1)).ok()
}

/// Bytes of memory this process may use: the machine's, or its control group's if that is less; 0
/// if the system does not say.
pub fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .map_or(0, |kib| kib.saturating_mul(1024));
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    group.map_or(machine, |group| group.min(machine))
}

/// Bytes of memory this process has in RAM; 0 if the system does not say.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    // SAFETY: a plain number.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.saturating_mul(u64::try_from(page_bytes).unwrap_or(4096))
}

/// CPU time this process has used, user and system.
pub fn cpu_time() -> std::time::Duration {
    // SAFETY: all zeros is a value of this plain type.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    std::time::Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Bytes that an unprivileged process may still write at `path`.
pub fn free_space(path: &Path) -> crate::Result<u64> {
    let error = |errno| {
        crate::Error::new(
            "measure free space of",
            path.to_string_lossy().into_owned(),
            errno,
        )
    };
    let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|_| error(libc::EINVAL))?;
    // SAFETY: all zeros is a value of this plain type.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a terminated path, and `found` outlives the call.
    if unsafe { libc::statvfs(c_path.as_ptr(), &raw mut found) } != 0 {
        return Err(error(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        ));
    }
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn limit(resource: libc::__rlimit_resource_t) -> Option<libc::rlimit> {
    // SAFETY: all zeros is a value of this plain type.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: `limit` outlives the call.
    (unsafe { libc::getrlimit(resource, &raw mut limit) } == 0).then_some(limit)
}

/// Raises the soft limit to `want`, at most to the hard one; the soft limit afterwards.
fn raise(resource: libc::__rlimit_resource_t, want: u64) -> u64 {
    let Some(now) = limit(resource) else { return 0 };
    if now.rlim_cur >= want {
        return now.rlim_cur;
    }
    let raised = libc::rlimit {
        rlim_cur: want.min(now.rlim_max),
        rlim_max: now.rlim_max,
    };
    // SAFETY: `raised` outlives the call.
    let set = unsafe { libc::setrlimit(resource, &raw const raised) };
    if set == 0 {
        raised.rlim_cur
    } else {
        now.rlim_cur
    }
}

/// Bytes of memory this process may lock (`u64::MAX`: no limit).
pub fn locked_memory_limit() -> u64 {
    limit(libc::RLIMIT_MEMLOCK).map_or(u64::MAX, |limit| limit.rlim_cur)
}

/// Raises the limit of locked memory to `bytes` if the hard limit allows it; whether it did.
pub(crate) fn raise_locked_memory(bytes: u64) -> bool {
    raise(libc::RLIMIT_MEMLOCK, bytes) >= bytes
}

/// Raises the limit of open descriptors to `count`, at most to the hard limit, and returns what it
/// is now. Each connection and each open file takes one.
pub fn raise_descriptor_limit(count: u64) -> u64 {
    raise(libc::RLIMIT_NOFILE, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_cpus_memory_and_disk() {
        assert!(!available_cpus().is_empty());
        assert!(resident_bytes() > 100_000);
        assert!(free_space(Path::new("/")).unwrap() > 0);
        assert!(
            free_space(Path::new("/no/such/place"))
                .unwrap_err()
                .is_not_found()
        );
        assert!(raise_descriptor_limit(64) >= 64);
    }

    #[test]
    fn a_quota_is_rounded_up_to_whole_cpus() {
        for (text, cpus) in [
            ("max 100000\n", None),
            ("50000 100000\n", Some(1)),
            ("150000 100000\n", Some(2)),
            ("200000 100000", Some(2)),
            ("", None),
        ] {
            assert_eq!(parse_quota(text), cpus, "{text:?}");
        }
    }
}
