//! The two streams of the contract: transfers in and verdicts out, and the journal as it grows.
//!
//! Nothing here is kept beyond a bounded number of items: who does not read its verdicts is not read from.

use std::time::Duration;

use proto::ledger::v1 as pb;
use runtime::{Access, Messages, Stop, Violation, Watch, stopping};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tracing::Instrument;

use super::{
    DOMAIN,
    parse::{self, MAX_TRANSFERS},
    render::Community,
    status::status,
};
use crate::{
    Error, Ledger, Outcome,
    domain::{CommunityId, Entry, Request, whole_chains},
};

/// How many verdicts one message takes: far below the 4 MiB that a client takes in unless told otherwise.
const VERDICTS: usize = 1_000;
/// How many messages of verdicts wait for the caller to read them.
const AHEAD: usize = 8;
/// When the queue is full, it is tried again after this time.
const QUEUE_FULL: Duration = Duration::from_millis(50);

/// The entries of a journal as messages.
pub fn entries(
    ledger: Ledger,
    (community, after): (CommunityId, i64),
    access: &Access,
    stop: Stop,
) -> Messages<pb::Entry> {
    let watch = Watch {
        heads: ledger.heads.clone(),
        clock: ledger.clock.clone(),
        stop,
        until: access.until(),
        domain: DOMAIN,
        community: community.0,
        after,
    };
    watch.stream(move |window| {
        let ledger = ledger.clone();
        async move {
            let entries = ledger.watched_entries(community, window).await;
            let render = |entry: Entry| (entry.sequence, Community(community).entry(entry));
            Ok(entries.map_err(status)?.into_iter().map(render).collect())
        }
    })
}

/// Posts the transfers of a stream and answers each, in order.
pub fn transfers(
    ledger: Ledger,
    messages: Streaming<pb::StreamTransfersRequest>,
    access: Access,
    stop: Stop,
) -> Messages<pb::StreamTransfersResponse> {
    let (answers, verdicts) = mpsc::channel(AHEAD);
    let work = async move {
        if let Err(end) = import(&ledger, messages, &access, &answers, stop).await {
            // The caller may have gone in the meantime.
            let _ = answers.send(Err(end)).await;
        }
    };
    tokio::spawn(work.in_current_span());
    Box::pin(ReceiverStream::new(verdicts))
}

type Items = (CommunityId, Request);
type Verdicts = Sender<Result<pb::StreamTransfersResponse, Status>>;

/// Reads and posts at the same time: what arrives while a batch is being posted makes the next one.
async fn import(
    ledger: &Ledger,
    messages: Streaming<pb::StreamTransfersRequest>,
    access: &Access,
    verdicts: &Verdicts,
    stop: Stop,
) -> Result<(), Status> {
    let (items, waiting) = mpsc::channel(MAX_TRANSFERS);
    // However the reading ends, what was read is posted and answered first; when the posting fails, nothing more is read.
    let read = async { Ok(read(messages, access, items, stop).await) };
    let (end, open_chain) = tokio::try_join!(read, post(ledger, waiting, verdicts))?;
    end?;
    match open_chain {
        Some(last) => Err(not_linked(
            last,
            "the last transfer has none to be linked to",
        )),
        None => Ok(()),
    }
}

async fn read(
    mut messages: Streaming<pb::StreamTransfersRequest>,
    access: &Access,
    items: Sender<Items>,
    Stop(stop): Stop,
) -> Result<(), Status> {
    let mut community = None;
    let mut number = 0;
    loop {
        let message = tokio::select! {
            message = messages.message() => message.map_err(|error| undecodable(number, error))?,
            () = stop.cancelled() => return Err(stopping(DOMAIN)),
        };
        let Some(message) = message else {
            return Ok(());
        };
        let named = parse::stream_parent(access, &message.parent, community)?;
        community = Some(named);
        for transfer in message.transfers {
            let request = parse::stream_item(access, named, number, transfer)?;
            number += 1;
            if items.send((named, request)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Posts what has arrived, in whole chains, until there is nothing more; `Some` is the number of the last item of a chain that
/// was still open then.
async fn post(
    ledger: &Ledger,
    mut waiting: Receiver<Items>,
    verdicts: &Verdicts,
) -> Result<Option<u64>, Status> {
    let mut arrived = Vec::new();
    let mut requests: Vec<Request> = Vec::new();
    let mut number = 0;
    loop {
        let room = MAX_TRANSFERS - requests.len();
        if waiting.recv_many(&mut arrived, room).await == 0 {
            return Ok(requests
                .len()
                .checked_sub(1)
                .map(|last| number + index(last)));
        }
        let Some((community, _)) = arrived.first() else {
            continue;
        };
        let community = *community;
        requests.extend(arrived.drain(..).map(|(_, request)| request));
        let whole = whole_chains(&requests);
        if whole == 0 && requests.len() == MAX_TRANSFERS {
            let last = number + index(MAX_TRANSFERS - 1);
            let why = format!("a chain of more than {MAX_TRANSFERS} transfers");
            return Err(not_linked(last, &why));
        }
        if whole == 0 {
            continue;
        }
        let rest = requests.split_off(whole);
        let batch = std::mem::replace(&mut requests, rest);
        let outcomes = post_batch(ledger, community, batch, verdicts).await;
        let outcomes = outcomes.map_err(status)?;
        number += index(whole);
        if !answer(community, outcomes, verdicts).await {
            return Ok(None);
        }
    }
}

/// Sends the verdicts of a batch; false when the caller has gone.
async fn answer(community: CommunityId, outcomes: Vec<Outcome>, verdicts: &Verdicts) -> bool {
    let verdict = |outcome| Community(community).verdict(outcome);
    let mut all = outcomes.into_iter().map(verdict);
    loop {
        let some: Vec<pb::TransferVerdict> = all.by_ref().take(VERDICTS).collect();
        if some.is_empty() {
            return true;
        }
        let message = pb::StreamTransfersResponse { verdicts: some };
        if verdicts.send(Ok(message)).await.is_err() {
            return false;
        }
    }
}

/// Posts a batch; a full queue makes it wait instead of failing, while there is someone to answer.
async fn post_batch(
    ledger: &Ledger,
    community: CommunityId,
    batch: Vec<Request>,
    verdicts: &Verdicts,
) -> Result<Vec<Outcome>, Error> {
    loop {
        match ledger.post_transfers(community, batch.clone()).await {
            Err(Error::Busy) if !verdicts.is_closed() => tokio::time::sleep(QUEUE_FULL).await,
            posted => return posted,
        }
    }
}

/// tonic calls bytes that are no message INTERNAL, which is for our own bugs.
fn undecodable(number: u64, error: Status) -> Status {
    match error.code() {
        Code::Internal => wrong(&format!("item {number}"), error.message()),
        _ => error,
    }
}

fn not_linked(number: u64, why: &str) -> Status {
    wrong(&format!("item {number}.linked"), why)
}

fn wrong(field: &str, why: &str) -> Status {
    let violation = Violation {
        field: field.to_owned(),
        description: why.to_owned(),
    };
    runtime::invalid(DOMAIN, vec![violation])
}

fn index(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
