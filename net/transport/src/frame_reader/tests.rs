//! Frames over a simulated connection: cut anywhere, of any length, true or not.

use super::*;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use engine_rt::sim::Simulation;
use engine_rt::{ListenOptions, Listener};
use std::rc::Rc;

/// Counts what is charged; `2`: nothing is to be had without waiting.
#[derive(Clone, Default)]
struct Counter(Rc<Cell<usize>>, Rc<RefCell<Vec<usize>>>, bool);

struct Charged(Rc<Cell<usize>>, usize);

impl Drop for Charged {
    fn drop(&mut self) {
        self.0.set(self.0.get() - self.1);
    }
}

impl Budget for Counter {
    type Charge = Charged;

    async fn charge(&self, bytes: usize) -> Charged {
        self.0.set(self.0.get() + bytes);
        self.1.borrow_mut().push(bytes);
        Charged(Rc::clone(&self.0), bytes)
    }

    fn try_charge(&self, bytes: usize) -> Option<Charged> {
        (!self.2).then(|| self.charge_now(bytes))
    }

    fn charge_now(&self, bytes: usize) -> Charged {
        self.0.set(self.0.get() + bytes);
        self.1.borrow_mut().push(bytes);
        Charged(Rc::clone(&self.0), bytes)
    }

    async fn settled(&self) {}

    fn is_short(&self) -> bool {
        false
    }

    async fn grow(&self, charge: &mut Charged, bytes: usize) {
        self.0.set(self.0.get() + bytes);
        self.1.borrow_mut().push(bytes);
        charge.1 += bytes;
    }
}

/// What a reader makes of `pieces`, sent one after another with pauses, then the end.
fn read(
    seed: u64,
    pieces: Vec<Vec<u8>>,
    bytes_max: usize,
) -> (Vec<Bytes>, Option<String>, Vec<usize>) {
    read_within(seed, pieces, bytes_max, Counter::default)
}

/// The same with a budget of one's own.
fn read_within(
    seed: u64,
    pieces: Vec<Vec<u8>>,
    bytes_max: usize,
    budget: impl FnOnce() -> Counter + 'static,
) -> (Vec<Bytes>, Option<String>, Vec<usize>) {
    let mut simulation = Simulation::new(seed);
    let node = simulation.add_node(1);
    simulation
        .block_on(node, Duration::from_hours(1), move || async move {
            let address = "127.0.0.1:9092".parse().unwrap();
            let listener = Listener::bind(address, ListenOptions::default()).unwrap();
            engine_rt::spawn(async move {
                let stream = Stream::connect(address).await.unwrap();
                for piece in pieces {
                    if stream.send(vec![Bytes::from(piece)]).await.is_err() {
                        return;
                    }
                    engine_rt::sleep(Duration::from_millis(10)).await;
                }
                let _ = stream.shutdown().await;
            })
            .detach();
            let budget = budget();
            let stream = listener.accept().await.unwrap();
            let mut reader = FrameReader::new(stream, budget.clone(), bytes_max);
            let mut frames = Vec::new();
            let error = loop {
                match reader.next(|_| {}).await {
                    Ok(Some(frame)) => frames.push(frame.bytes),
                    Ok(None) => break None,
                    Err(error) => break Some(error.to_string()),
                }
            };
            assert_eq!(budget.0.get(), 0, "every charge is given back");
            let charges = budget.1.take();
            (frames, error, charges)
        })
        .unwrap()
}

fn framed(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for body in bodies {
        bytes.extend_from_slice(&i32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
    }
    bytes
}

#[test]
fn frames_are_the_same_wherever_the_bytes_are_cut() {
    let bodies: [&[u8]; 4] = [b"abc", b"", b"defghij", b"k"];
    let bytes = framed(&bodies);
    for cut in 0..=bytes.len() {
        let pieces = vec![bytes[..cut].to_vec(), bytes[cut..].to_vec()];
        let (frames, error, _) = read(1, pieces, 100);
        assert_eq!(frames, bodies, "cut at {cut}");
        assert_eq!(error, None, "cut at {cut}");
    }
}

#[test]
fn an_end_inside_a_frame_is_an_error() {
    let bytes = framed(&[b"abc", b"defg"]);
    for end in 8..bytes.len() {
        let (frames, error, _) = read(1, vec![bytes[..end].to_vec()], 100);
        assert_eq!(frames, [&b"abc"[..]]);
        assert!(
            error.unwrap().starts_with("the stream ended"),
            "end at {end}"
        );
    }
}

#[test]
fn impossible_lengths_end_the_connection() {
    for length in [-1, i32::MIN, 101, i32::MAX] {
        let mut bytes = framed(&[b"abc"]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&[0; 50]);
        let (frames, error, charges) = read(1, vec![bytes], 100);
        assert_eq!(frames, [&b"abc"[..]]);
        let expected = format!("a frame of {length} bytes is outside of 0..=100");
        assert_eq!(error, Some(expected));
        assert_eq!(charges, [3], "nothing is charged for it");
    }
}

#[test]
fn a_promise_is_not_charged_before_bytes_arrive() {
    let mut bytes = (50_i32 << 20).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[7; 1000]);
    let (frames, error, charges) = read(1, vec![bytes], 100 << 20);
    assert!(frames.is_empty() && error.is_some());
    assert!(charges.iter().sum::<usize>() <= STEP_BYTES);
}

#[test]
fn a_large_frame_grows_geometrically_and_arrives_whole() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (frames, error, charges) = read(2, vec![framed(&[&body, b"next"])], 10 << 20);
    assert_eq!(error, None);
    assert_eq!(frames.len(), 2);
    assert!(frames[0] == body);
    assert_eq!(frames[1], &b"next"[..]);
    assert!(charges.len() < 20, "{charges:?}");
    let steps = charges.iter().scan(0, |sum, bytes| {
        *sum += bytes;
        Some(*sum)
    });
    let steps: Vec<usize> = steps.take_while(|sum| *sum <= body.len()).collect();
    assert_eq!(
        steps.last(),
        Some(&body.len()),
        "charged in all, step by step"
    );
}

#[test]
fn frames_that_come_together_are_cut_apart_with_memory_short_or_not() {
    let sizes = [
        0_usize, 5, 4096, 4097, 16_500, 16_500, 16_500, 16_500, 16_500, 1, 70_000, 65_532, 300_000,
        2,
    ];
    let bodies: Vec<Vec<u8>> = (0_u8..)
        .zip(sizes)
        .map(|(number, size)| {
            (0..size)
                .map(|at| number ^ u8::try_from(at % 251).unwrap())
                .collect()
        })
        .collect();
    let slices: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let bytes = framed(&slices);
    for piece_bytes in [9_001, 40_000, bytes.len()] {
        for short in [false, true] {
            let pieces = bytes.chunks(piece_bytes).map(<[u8]>::to_vec).collect();
            let budget = move || Counter(Rc::default(), Rc::default(), short);
            let (frames, error, _) = read_within(3, pieces, 1 << 20, budget);
            assert_eq!(error, None);
            assert!(frames == bodies, "pieces of {piece_bytes}, short: {short}");
        }
    }
}
