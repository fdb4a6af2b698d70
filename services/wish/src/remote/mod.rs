//! The services this one calls. No database transaction is open during a call, and every call has a limit in time.

mod activity;
mod ledger;
mod people;

use std::{future::Future, time::Duration};

pub(crate) use activity::Activity;
pub(crate) use ledger::Ledger;
use runtime::Deadline;
use tonic::{Code, Request, Response, Status};

use crate::Error;

/// The longest that one call may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Makes one call within the time that is left. A status that says nothing final becomes [`Error::Unavailable`].
async fn call<M, T, F>(
    service: &'static str,
    deadline: Deadline,
    message: M,
    send: impl FnOnce(Request<M>) -> F,
) -> Result<Result<T, Status>, Error>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let timeout = deadline.remaining(LIMIT);
    match send(runtime::request(message, timeout)).await {
        Ok(response) => Ok(Ok(response.into_inner())),
        Err(status) if is_final(&status) => Ok(Err(status)),
        Err(status) => {
            tracing::warn!(service, "The {service} service gave no answer: {status}");
            Err(Error::Unavailable(service))
        }
    }
}

/// Whether the service has decided, and would decide the same again. Whatever else came, the call may have had its effect.
fn is_final(status: &Status) -> bool {
    let decides = matches!(
        status.code(),
        Code::FailedPrecondition | Code::NotFound | Code::InvalidArgument | Code::AlreadyExists
    );
    // A proxy in between can send such a code too, but not a reason.
    decides && runtime::reason_of(status).is_some()
}

fn broken(service: &str, what: &str) -> Error {
    Error::Broken(format!("the {service} service: {what}"))
}
