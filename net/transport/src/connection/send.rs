//! Sends answers as their turn comes.

use core::pin::pin;
use core::task::Poll;
use engine_rt::Stream;
use std::rc::Rc;

use super::pipeline::{Next, Pipeline};
use super::state::{Phase, State};
use crate::frame_writer;
use crate::watched;

/// Runs until everything is sent, a request asks to close, or the client is gone.
pub(super) async fn send_answers<C>(stream: Stream, state: Rc<State>, pipeline: Rc<Pipeline<C>>) {
    loop {
        let next = watched::until(state.reached(Phase::Closed), pipeline.next()).await;
        let Some(Next::Send { pieces, answers }) = next else {
            break;
        };
        for pieces in frame_writer::pack(pieces) {
            state.sends(Some(engine_rt::now()));
            if !send(&stream, &state, pieces).await {
                state.advance(Phase::Closed);
                return;
            }
            state.sends(None);
            state.is_active_at(engine_rt::now());
        }
        pipeline.sent(answers);
    }
    state.advance(Phase::Closed);
}

/// Whether the pieces went out before the connection was closed or failed.
async fn send(stream: &Stream, state: &State, pieces: Vec<bytes::Bytes>) -> bool {
    let mut send = pin!(stream.send(pieces));
    let mut closed = pin!(state.reached(Phase::Closed));
    core::future::poll_fn(|context| {
        if let Poll::Ready(sent) = send.as_mut().poll(context) {
            return Poll::Ready(sent.is_ok());
        }
        closed.as_mut().poll(context).map(|()| false)
    })
    .await
}
