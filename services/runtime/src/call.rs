//! What every call passes on its way to a service: a span, the caller's access, the deadline, the stop, and a net under panics.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tokio::time::Instant;
use tokio_util::either::Either;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service, ServiceExt};
use tracing::Instrument;

use crate::{
    Stop,
    access::{Admission, Guard},
    connection::Peer,
    deadline::Deadline,
    panics, status,
    trace::Record,
};

/// How prost and tonic-web begin to say that bytes are no message.
const UNDECODABLE: [&str; 2] = ["failed to decode Protobuf message", "tonic-web: "];
/// How tonic begins to say that a message is too large.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// What comes of a call.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

#[derive(Clone)]
pub(crate) struct CallLayer {
    pub stop: Stop,
    pub guard: Arc<Guard>,
}

#[derive(Clone)]
pub(crate) struct Call<S> {
    service: S,
    stop: Stop,
    guard: Arc<Guard>,
}

impl<S> Layer<S> for CallLayer {
    type Service = Call<S>;

    fn layer(&self, service: S) -> Call<S> {
        Call {
            service,
            stop: self.stop.clone(),
            guard: self.guard.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let record = Record::start(&request);
        let deadline = Deadline::of_headers(request.headers());
        // tonic has a timer of its own for the same header, which gives CANCELLED. This one starts first, here and not
        // in the future, so it ends first.
        let timer = deadline
            .0
            .map(|at| tokio::time::sleep_until(Instant::from_std(at)));
        request.extensions_mut().insert(deadline);
        request.extensions_mut().insert(self.stop.clone());
        let peer = request.extensions().get().copied();
        let Peer { certificate } = peer.unwrap_or_default();
        let (path, headers) = (request.uri().path(), request.headers());
        let admission = match self.guard.admit(path, headers, certificate) {
            Ok(admission) => admission,
            Err(refusal) => {
                let response = record.finish(refusal.into_http());
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        if deadline.has_passed() {
            let response = record.finish(status::deadline_exceeded().into_http());
            return Box::pin(std::future::ready(Ok(response)));
        }
        let answer = match admission {
            Admission::Now(access) => {
                request.extensions_mut().insert(access);
                Either::Left(self.service.call(request))
            }
            Admission::Asked(asked) => {
                let service = self.service.clone();
                Either::Right(Box::pin(async move {
                    match asked.await {
                        Ok(access) => {
                            request.extensions_mut().insert(access);
                            service.oneshot(request).await
                        }
                        Err(refusal) => Ok(refusal.into_http()),
                    }
                }))
            }
        };
        let answered = panics::caught(answer);
        let work = async move {
            match answered.await {
                Ok(Ok(response)) => told_apart(response),
                Ok(Err(never)) => match never {},
                Err(panic) => {
                    tracing::error!("A call panicked: {panic}");
                    status::internal().into_http()
                }
            }
        };
        let work = Outliving::new(deadline.scope(work.instrument(record.span())));
        Box::pin(async move {
            let timeout = async {
                match timer {
                    Some(timer) => timer.await,
                    None => std::future::pending().await,
                }
            };
            let response = tokio::select! {
                biased;
                response = work => response,
                () = timeout => status::deadline_exceeded().into_http(),
            };
            Ok(record.finish(response))
        })
    }
}

/// Work that becomes a task of its own when the time runs out or the caller goes away: to drop it anywhere could give a database
/// connection back in the middle of beginning a transaction, which would stay open unseen.
struct Outliving<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send> Outliving<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send> Future for Outliving<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let work = self.0.as_mut().expect("not polled after its end");
        let done = ready!(work.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(done)
    }
}

impl<T: Send> Drop for Outliving<T> {
    fn drop(&mut self) {
        // Without a runtime the whole process ends.
        if let Some(work) = self.0.take()
            && let Ok(tasks) = tokio::runtime::Handle::try_current()
        {
            tasks.spawn(work);
        }
    }
}

/// tonic calls a request that is no message of its method INTERNAL, which is for our own bugs, and gives no reason to one that is too
/// large.
fn told_apart(response: Response<Body>) -> Response<Body> {
    let Some(status) = Status::from_header_map(response.headers()) else {
        return response;
    };
    let text = status.message();
    let begins = |beginning: &&str| text.starts_with(beginning);
    match status.code() {
        Code::Internal if UNDECODABLE.iter().any(begins) => status::malformed(text).into_http(),
        Code::OutOfRange if begins(&TOO_LARGE) => status::too_large(text).into_http(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use tower::service_fn;

    use super::*;
    use crate::{Access, Authority, Clock};

    async fn code_of<F>(
        timeout: Option<&'static str>,
        answer: impl Fn(Request<Body>) -> F + Clone + Send + 'static,
    ) -> Code
    where
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let mut request = Request::new(Body::empty());
        if let Some(timeout) = timeout {
            let value = HeaderValue::from_static(timeout);
            request.headers_mut().insert("grpc-timeout", value);
        }
        let authority = Authority::new(Clock::system(), vec![]).unwrap();
        let layer = CallLayer {
            stop: Stop::default(),
            guard: Arc::new(Guard::new(&[], authority, None).unwrap()),
        };
        let response = layer
            .layer(service_fn(answer))
            .oneshot(request)
            .await
            .unwrap();
        Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
    }

    #[tokio::test]
    async fn a_service_sees_the_caller_the_deadline_and_the_stop() {
        let code = code_of(Some("5S"), |request| async move {
            let access: &Access = request.extensions().get().unwrap();
            assert_eq!(access.subject(), "");
            let deadline: &Deadline = request.extensions().get().unwrap();
            let left = deadline.remaining(Duration::from_secs(60));
            assert!(left > Duration::from_secs(4) && left <= Duration::from_secs(5));
            let stop: &Stop = request.extensions().get().unwrap();
            assert!(!stop.0.is_cancelled());
            Ok(Response::new(Body::empty()))
        });
        assert_eq!(code.await, Code::Ok);
    }

    #[tokio::test]
    async fn time_that_runs_out_is_deadline_exceeded() {
        let code = code_of(Some("20m"), |_| std::future::pending());
        assert_eq!(code.await, Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn what_has_begun_goes_on_though_nobody_waits_for_it() {
        let (report, ended) = tokio::sync::oneshot::channel();
        let report = Arc::new(std::sync::Mutex::new(Some(report)));
        let code = code_of(Some("5m"), move |_| {
            let report = report.lock().unwrap().take();
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                report.unwrap().send(()).unwrap();
                Ok(Response::new(Body::empty()))
            }
        });

        assert_eq!(code.await, Code::DeadlineExceeded);
        assert!(ended.await.is_ok());
    }

    #[tokio::test]
    async fn what_has_begun_goes_on_though_the_caller_has_gone() {
        let (report, mut ended) = tokio::sync::oneshot::channel();
        let report = Arc::new(std::sync::Mutex::new(Some(report)));
        let call = code_of(None, move |_| {
            let report = report.lock().unwrap().take();
            async move {
                tokio::task::yield_now().await;
                report.unwrap().send(()).unwrap();
                Ok(Response::new(Body::empty()))
            }
        });
        let mut call = Box::pin(call);
        assert!(polled_once(call.as_mut()).await.is_pending());
        assert!(ended.try_recv().is_err());
        drop(call);

        assert!(ended.await.is_ok());
    }

    async fn polled_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    }

    #[tokio::test]
    async fn a_call_that_comes_too_late_is_not_begun() {
        let code = code_of(Some("0m"), |_| async { panic!("nobody waits for this") });
        assert_eq!(code.await, Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn a_panic_is_internal() {
        assert_eq!(
            code_of(None, |_| async { panic!("our bug") }).await,
            Code::Internal
        );
    }
}
