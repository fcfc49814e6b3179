//! Starting: what is missing is said in plain words; locks, ports, signals, the watchdog.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine_rt::signals::{self, Signal};
use engine_rt::{Dir, ListenOptions, Listener, RunError, Stream, System, UringConfig, probe_port};

use crate::{alone, config, is_alone, loopback, main_of, on_one};

#[test]
fn a_system_wants_one_main_a_shard() {
    let system = System::uring(config(2)).unwrap();
    let error = system.run(vec![main_of(|| async {})]).unwrap_err();
    assert_eq!(
        error,
        RunError::MainCount {
            expected: 2,
            found: 1
        }
    );
}

#[test]
fn a_shard_runs_pinned_where_it_is_told() {
    let cpus = engine_rt::process::available_cpus();
    let cpu = cpus[cpus.len() - 1];
    let (tell, told) = mpsc::channel();
    let pinned = UringConfig {
        cpus: vec![Some(cpu)],
        ..UringConfig::default()
    };
    let main = main_of(move || async move {
        tell.send(engine_rt::process::available_cpus()).unwrap();
    });
    System::uring(pinned).unwrap().run(vec![main]).unwrap();
    assert_eq!(told.recv().unwrap(), [cpu]);
}

/// Makes system call `number` fail with EPERM on this thread, as container runtimes do.
fn forbid(number: libc::c_long) {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).unwrap();
    let mut steps = [
        step(load, 0, 0, 0),
        step(jump, 0, 1, u32::try_from(number).unwrap()),
        step(give, 0, 0, refuse),
        step(give, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).unwrap(),
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: plain numbers.
    let private = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(private, 0);
    // SAFETY: the program outlives the call, which copies it.
    let filtered = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(filtered, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn forbidden_io_uring_is_named_with_the_fix() {
    let error = std::thread::spawn(|| {
        forbid(libc::SYS_io_uring_setup);
        System::uring(config(1)).unwrap_err()
    })
    .join()
    .unwrap();
    assert!(error.found.contains("forbidden"), "{error}");
    assert!(error.fix.contains("io_uring"), "{error}");
}

#[test]
fn too_little_locked_memory_is_named_with_the_fix() {
    let name = "start::too_little_locked_memory_is_named_with_the_fix";
    if is_alone(name) {
        match System::uring(config(1)) {
            Err(error) => println!("refused: {error}"),
            Ok(_) => println!("accepted"),
        }
        return;
    }
    let child = alone(name, "ulimit -l 64;");
    let said = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for word in [
        "refused",
        "512 KiB of locked memory",
        "64 KiB",
        "ulimit -l 512",
    ] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_taken_port_is_noticed_even_by_listeners_that_share() {
    let taken = TcpListener::bind(loopback()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = probe_port(address).unwrap_err();
    assert_eq!(error.errno, libc::EADDRINUSE);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    on_one(move || async move {
        let shared = ListenOptions {
            reuse_port: true,
            ..ListenOptions::default()
        };
        let free = probe_port(loopback()).unwrap();
        assert_ne!(free.port(), 0);
        let first = Listener::bind(free, shared).unwrap();
        let second = Listener::bind(free, shared).unwrap();
        assert_eq!(first.local_addr(), second.local_addr());
        // Another broker would bind beside us in silence; the probe finds us.
        assert_eq!(probe_port(free).unwrap_err().errno, libc::EADDRINUSE);
        let alone = Listener::bind(free, ListenOptions::default());
        assert_eq!(alone.unwrap_err().errno, libc::EADDRINUSE);
    });
}

#[test]
fn every_shard_accepts_on_the_shared_port() {
    let address = probe_port(loopback()).unwrap();
    let system = System::uring(config(2)).unwrap();
    let stop = system.stop_handle();
    let serve = || {
        main_of(move || async move {
            let shared = ListenOptions {
                reuse_port: true,
                ..ListenOptions::default()
            };
            let listener = Listener::bind(address, shared).unwrap();
            engine_rt::spawn(async move {
                loop {
                    let stream = listener.accept().await.unwrap();
                    assert_eq!(stream.local_addr().unwrap(), address);
                    let number = u8::try_from(engine_rt::shard().0).unwrap();
                    stream.send(vec![Bytes::from(vec![number])]).await.unwrap();
                }
            })
            .detach();
            engine_rt::stopped().await;
        })
    };
    let asker = std::thread::spawn(move || {
        let mut seen = [0; 2];
        for _ in 0..500 {
            let Ok(mut stream) = std::net::TcpStream::connect(address) else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let mut byte = [0; 1];
            if stream.read_exact(&mut byte).is_ok() {
                seen[usize::from(byte[0])] += 1;
            }
            if seen[0] > 0 && seen[1] > 0 {
                break;
            }
        }
        stop.request_stop();
        seen
    });
    system.run(vec![serve(), serve()]).unwrap();
    let seen = asker.join().unwrap();
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn connecting_to_nobody_says_so() {
    on_one(|| async {
        let nobody = probe_port(loopback()).unwrap();
        let error = Stream::connect(nobody).await.unwrap_err();
        assert_eq!(error.errno, libc::ECONNREFUSED);
        assert!(
            error
                .to_string()
                .starts_with("cannot connect to 127.0.0.1:"),
            "{error}"
        );
    });
}

#[test]
fn a_directory_is_locked_once_and_free_again_when_its_owner_dies() {
    let name = "start::a_directory_is_locked_once_and_free_again_when_its_owner_dies";
    if is_alone(name) {
        let mut path = String::new();
        std::io::stdin().read_line(&mut path).unwrap();
        on_one(move || async move {
            let dir = Dir::open(path.trim()).await.unwrap();
            let _lock = dir.lock("lock").await.unwrap();
            println!("locked");
            // Until killed.
            engine_rt::sleep(Duration::from_mins(1)).await;
        });
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    let mut child = alone(name, "");
    writeln!(child.stdin.as_mut().unwrap(), "{}", path.display()).unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().contains("locked")));
    let other = path.clone();
    on_one(move || async move {
        let dir = Dir::open(other).await.unwrap();
        let error = dir.lock("lock").await.unwrap_err();
        assert!(error.is_locked(), "{error}");
    });
    child.kill().unwrap();
    child.wait().unwrap();
    on_one(move || async move {
        let dir = Dir::open(path).await.unwrap();
        let lock = dir.lock("lock").await.unwrap();
        // Not even another part of this process gets it twice.
        assert!(dir.lock("lock").await.unwrap_err().is_locked());
        drop(lock);
        // The close of the lock's file is under way; it is free right after.
        let mut again = dir.lock("lock").await;
        while again.as_ref().is_err_and(engine_rt::Error::is_locked) {
            engine_rt::yield_now().await;
            again = dir.lock("lock").await;
        }
        again.map(drop).unwrap();
    });
}

#[test]
fn signals_stop_a_system_instead_of_ending_the_process() {
    let name = "start::signals_stop_a_system_instead_of_ending_the_process";
    if is_alone(name) {
        let system = System::uring(config(1)).unwrap();
        let stop = system.stop_handle();
        signals::watch(move |signal| {
            println!("heard {signal:?}");
            if signal == Signal::Terminate {
                stop.request_stop();
            }
        })
        .unwrap();
        assert_eq!(signals::watch(|_| {}).unwrap_err().errno, libc::EALREADY);
        system
            .run(vec![main_of(|| async {
                println!("ready");
                engine_rt::stopped().await;
                println!("stopping");
            })])
            .unwrap();
        return;
    }
    let mut child = alone(name, "");
    let pid = i32::try_from(child.id()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line.contains("ready")));
    // SAFETY: plain numbers; the child has not been waited for, so its number is its own.
    unsafe { libc::kill(pid, libc::SIGINT) };
    assert!(lines.any(|line| line.contains("heard Interrupt")));
    // SAFETY: as above.
    unsafe { libc::kill(pid, libc::SIGTERM) };
    assert!(lines.any(|line| line.contains("heard Terminate")));
    assert!(lines.any(|line| line.contains("stopping")));
    // To the end: a closed pipe would fail what the child still prints.
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_shard_that_never_turns_again_ends_the_process() {
    let name = "start::a_shard_that_never_turns_again_ends_the_process";
    if is_alone(name) {
        let watched = UringConfig {
            watchdog: Duration::from_millis(100),
            watchdog_abort: Some(Duration::from_millis(400)),
            ..config(1)
        };
        let _ = System::uring(watched).unwrap().run(vec![main_of(|| async {
            println!("stuck");
            std::thread::sleep(Duration::from_mins(1));
        })]);
        return;
    }
    let ended = alone(name, "").wait_with_output().unwrap();
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}");
}

#[test]
fn a_sleeping_shard_is_not_taken_for_stuck() {
    let watched = UringConfig {
        watchdog: Duration::from_millis(1500),
        watchdog_abort: Some(Duration::from_millis(2500)),
        ..config(1)
    };
    let main = main_of(|| async {
        engine_rt::sleep(Duration::from_millis(3500)).await;
        assert!(engine_rt::counters().turns < 1000, "a sleeping shard spins");
    });
    System::uring(watched).unwrap().run(vec![main]).unwrap();
}

#[test]
fn an_end_of_stream_is_an_empty_receive() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        let address = listener.local_addr();
        let peer = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(b"bye").unwrap();
        });
        let stream = listener.accept().await.unwrap();
        let mut buffer = BytesMut::new();
        loop {
            let before = buffer.len();
            buffer = stream.recv(buffer, 2).await.unwrap();
            assert!(buffer.len() <= before + 2);
            if buffer.len() == before {
                break;
            }
        }
        assert_eq!(buffer, b"bye"[..]);
        peer.join().unwrap();
    });
}
