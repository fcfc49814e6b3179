//! Reads requests and begins them in order.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use net_protocol::{ApiKey, Reader, RequestHeader};
use std::rc::Rc;

use super::pipeline::Pipeline;
use super::state::{Phase, State};
use super::{Client, Reply, Request, Service};
use crate::budget::Budget;
use crate::frame_reader::{Frame, FrameError, FrameReader};
use crate::watched;

/// Runs until the client has sent its last request, sent something that ends the connection, or
/// the connection drains.
pub(super) async fn read_requests<S: Service, B: Budget>(
    mut reader: FrameReader<B>,
    state: &Rc<State>,
    pipeline: &Rc<Pipeline<B::Charge>>,
    service: &Rc<S>,
    budget: &B,
) {
    while state.phase() == Phase::Open {
        let frame = match until_draining(state, next_frame(&mut reader, state)).await {
            None => return,
            Some(Ok(None)) => break,
            Some(Ok(Some(frame))) => frame,
            Some(Err(error)) => {
                tracing::debug!(peer = %state.peer, %error, "closing a connection");
                break;
            }
        };
        let Some(request) = parse(&frame, state) else {
            break;
        };
        let is_produce = request.api == ApiKey::Produce;
        // Answers that nobody reads hold back those that would come on top of them.
        let admitted = async {
            budget.settled().await;
            pipeline.admit(is_produce).await
        };
        let admitted = noticing_the_end(admitted, &mut reader, state);
        let Some(place) = until_draining(state, admitted).await else {
            return;
        };
        begin(
            state,
            pipeline,
            service,
            budget,
            place,
            request,
            frame.charge,
        )
        .await;
        engine_rt::yield_if_due().await;
    }
    // The client's last word, or a frame that ends the connection: what began is still answered,
    // and nobody waits for more.
    state.advance(Phase::Draining);
}

async fn next_frame<B: Budget>(
    reader: &mut FrameReader<B>,
    state: &State,
) -> Result<Option<Frame<B::Charge>>, FrameError> {
    let frame = reader
        .next(|progress| state.reads(progress, engine_rt::now()))
        .await;
    // From here on it is we who keep the client waiting.
    state.has_read();
    frame
}

/// The header, if it is one that is answered.
fn parse<C>(frame: &Frame<C>, state: &Rc<State>) -> Option<Request> {
    let mut reader = Reader::new(frame.bytes.clone());
    let header = match RequestHeader::decode(&mut reader) {
        Ok(header) => header,
        Err(error) => {
            tracing::debug!(peer = %state.peer, %error, "closing: no request header");
            return None;
        }
    };
    let api = ApiKey::from_code(header.api_key)?;
    // ApiVersions answers any version with the ones that are spoken, so that clients can learn.
    if api != ApiKey::ApiVersions && !api.versions().contains(&header.api_version) {
        tracing::debug!(
            peer = %state.peer,
            api = api.name(),
            version = header.api_version,
            "closing: a version that is not spoken"
        );
        return None;
    }
    let left = reader.left();
    let body = frame.bytes.slice(frame.bytes.len().saturating_sub(left)..);
    Some(Request {
        api,
        header,
        body,
        client: Client {
            state: Rc::clone(state),
        },
    })
}

/// Begins a request here, so that requests begin in order, and lets it wait in its own task.
async fn begin<S: Service, B: Budget>(
    state: &Rc<State>,
    pipeline: &Rc<Pipeline<B::Charge>>,
    service: &Rc<S>,
    budget: &B,
    place: u64,
    request: Request,
    charge: Rc<B::Charge>,
) {
    let api = request.api;
    let service = Rc::clone(service);
    let mut handler = CatchUnwind(Box::pin(async move { service.call(request).await }));
    let begun =
        core::future::poll_fn(|context| Poll::Ready(Pin::new(&mut handler).poll(context))).await;
    match begun {
        Poll::Ready(reply) => end(state, pipeline, budget, place, reply, api),
        Poll::Pending => {
            let (state, pipeline, budget) = (Rc::clone(state), Rc::clone(pipeline), budget.clone());
            // Owned by the pipeline: the connection does not end before every place is answered.
            engine_rt::spawn(async move {
                let reply = handler.await;
                drop(charge);
                end(&state, &pipeline, &budget, place, reply, api);
            })
            .detach();
        }
    }
}

fn end<B: Budget>(
    state: &State,
    pipeline: &Pipeline<B::Charge>,
    budget: &B,
    place: u64,
    reply: Option<Reply>,
    api: ApiKey,
) {
    let reply = reply.unwrap_or_else(|| {
        tracing::error!(
            api = api.name(),
            "a request handler panicked; closing its connection"
        );
        Reply::Close
    });
    if matches!(reply, Reply::Close) {
        state.advance(Phase::Draining);
    }
    let charge = match &reply {
        Reply::Send(pieces) => {
            let bytes = pieces
                .iter()
                .fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
            Some(budget.charge_now(bytes))
        }
        Reply::Silent | Reply::Close => None,
    };
    pipeline.answer(place, reply, charge);
}

/// Drives `future`, and lets long polls end if the client ends the stream meanwhile. What it sent
/// before is still answered.
async fn noticing_the_end<T, B: Budget>(
    future: impl Future<Output = T>,
    reader: &mut FrameReader<B>,
    state: &State,
) -> T {
    let mut future = pin!(future);
    let mut ended = pin!(async {
        reader.ended().await;
        state.has_hung_up();
    });
    let mut is_ended = false;
    core::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        is_ended = is_ended || ended.as_mut().poll(context).is_ready();
        Poll::Pending
    })
    .await
}

/// Drives `future` until the connection drains, which gives `None`.
async fn until_draining<T>(state: &State, future: impl Future<Output = T>) -> Option<T> {
    watched::until(state.reached(Phase::Draining), future).await
}

/// Gives `None` where the future panics: a bad request ends its connection, not the shard.
struct CatchUnwind<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> Future for CatchUnwind<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    }
}
