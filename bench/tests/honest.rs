//! What the load program says of a broker that is slow, and of itself when it is late.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

#[path = "support/slow.rs"]
mod slow;

use bench::{Amount, BenchError, Common, ProduceOptions, Rate, Report, produce};
use engine_codec::Compression;
use engine_model::ErrorCode;
use net_client::Acks;
use slow::SlowBroker;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn options(broker: &SlowBroker, requests: u64, rate: Option<f64>) -> ProduceOptions {
    ProduceOptions {
        common: Common {
            bootstrap: vec![broker.address.clone()],
            client_id: "test".into(),
            timeout: 30 * SECOND,
            topic: "bench".into(),
            partitions: None,
            replication_factor: None,
            configs: Vec::new(),
            connections: 1,
            amount: Amount::Records(requests),
            warmup: Duration::ZERO,
            cpu: None,
            broker_pid: None,
        },
        record_bytes: 10,
        // One record a request.
        batch_bytes: 1,
        compression: Compression::None,
        acks: Acks::All,
        window: 1,
        partitions_per_request: 1,
        rate: rate.map(Rate::Records),
        is_idempotent: false,
        lateness_max: 3600 * SECOND,
    }
}

fn run(options: &ProduceOptions) -> Report {
    produce(options, &mut |_| {}).unwrap()
}

/// The tenth request stops the broker for 400 ms.
fn stalls_once(request: u64) -> (Duration, ErrorCode) {
    let wait = if request == 10 { 400 } else { 0 };
    (Duration::from_millis(wait), ErrorCode::NONE)
}

#[test]
fn a_stall_is_felt_by_every_request_that_was_meant_to_leave_during_it() {
    let broker = SlowBroker::start(stalls_once);
    // One every 10 ms, so 40 of the 100 are meant to leave while the broker stands still; the n-th of
    // them waits 400 - 10 n ms at least. The slowest tenth of all requests waits 300 ms or more.
    let report = run(&options(&broker, 100, Some(100.0)));
    assert_eq!(report.latency.count, 100);
    assert!(report.latency.p90_us >= 280_000.0, "{report:#?}");
    assert!(report.latency.max_us >= 399_000.0, "{report:#?}");
}

#[test]
fn in_a_closed_loop_a_stall_is_felt_by_the_one_request_that_met_it() {
    let broker = SlowBroker::start(stalls_once);
    let report = run(&options(&broker, 100, None));
    assert_eq!(report.latency.count, 100);
    assert!(report.latency.max_us >= 399_000.0, "{report:#?}");
    assert!(report.latency.p50_us < report.latency.max_us);
    assert_eq!(report.lateness, None);
}

#[test]
fn a_load_program_that_was_late_makes_its_run_invalid() {
    let broker = SlowBroker::start(|_| (Duration::ZERO, ErrorCode::NONE));
    let mut options = options(&broker, 20, Some(1000.0));
    // No thread wakes at the very nanosecond.
    options.lateness_max = Duration::ZERO;
    let report = run(&options);
    assert!(!report.is_valid);
    assert!(report.remarks[0].contains("itself was late"), "{report:#?}");
    assert!(report.lateness.unwrap().p99_us > 0.0);
}

#[test]
fn a_broker_that_does_not_keep_up_makes_a_run_invalid() {
    let broker = SlowBroker::start(|_| (Duration::from_millis(20), ErrorCode::NONE));
    // Meant to take half a second; 50 answers in turn take a whole one at least.
    let report = run(&options(&broker, 50, Some(100.0)));
    assert!(!report.is_valid);
    assert!(report.remarks[0].contains("did not keep up"), "{report:#?}");
}

#[test]
fn counts_are_of_answers_and_warm_up_is_not_among_them() {
    let broker = SlowBroker::start(|_| (Duration::ZERO, ErrorCode::NONE));
    let mut options = options(&broker, 30, None);
    options.common.warmup = Duration::from_millis(50);
    options.common.connections = 2;
    let report = run(&options);
    assert_eq!((report.load.requests, report.load.records), (30, 30));
    assert_eq!(report.load.bytes, 300);
    assert_eq!(report.latency.count, 30);
    let all = broker.produced.load(Ordering::SeqCst);
    assert_eq!(all, 30 + report.load.warmup_records);
    assert!(report.load.warmup_records > 0);
}

#[test]
fn with_acks_0_the_broker_has_read_all_that_was_counted() {
    let broker = SlowBroker::start(|_| (Duration::from_millis(1), ErrorCode::NONE));
    let mut options = options(&broker, 100, None);
    options.acks = Acks::None;
    let report = run(&options);
    assert_eq!(report.load.records, 100);
    assert_eq!(broker.produced.load(Ordering::SeqCst), 100);
}

#[test]
fn a_refused_batch_ends_the_run() {
    let broker = SlowBroker::start(|request| {
        let code = match request {
            5 => ErrorCode::NOT_ENOUGH_REPLICAS,
            _ => ErrorCode::NONE,
        };
        (Duration::ZERO, code)
    });
    let error = produce(&options(&broker, 100, None), &mut |_| {}).unwrap_err();
    assert!(
        matches!(
            error,
            BenchError::Refused {
                code: ErrorCode::NOT_ENOUGH_REPLICAS,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(broker.produced.load(Ordering::SeqCst), 6);
}

#[test]
fn a_broker_that_falls_silent_is_given_up() {
    let broker = SlowBroker::start(|request| {
        let wait = if request == 3 { 3600 } else { 0 };
        (wait * SECOND, ErrorCode::NONE)
    });
    let mut options = options(&broker, 100, None);
    options.common.timeout = SECOND;
    let error = produce(&options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BenchError::Silent { .. }), "{error}");
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_is_sent() {
    let broker = SlowBroker::start(|_| (Duration::ZERO, ErrorCode::NONE));
    let wrong: [fn(&mut ProduceOptions); 6] = [
        |o| o.common.connections = 0,
        |o| o.window = 0,
        |o| o.partitions_per_request = 0,
        |o| (o.is_idempotent, o.acks) = (true, Acks::Leader),
        |o| (o.is_idempotent, o.window) = (true, 6),
        |o| o.common.cpu = Some(1 << 20),
    ];
    for change in wrong {
        let mut options = options(&broker, 1, None);
        change(&mut options);
        let error = produce(&options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, BenchError::Options(_)), "{error}");
    }
    assert_eq!(broker.produced.load(Ordering::SeqCst), 0);
}
