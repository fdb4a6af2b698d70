//! Transfers as a stream.

use std::time::Duration;

use proto::ledger::v1::{self as pb, transfer_verdict::Verdict};
use runtime::reason_of;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::world::{
    ANNA, BAO, ISSUING, MERCHANT, World, account, community, fault, grant, noon, soon, transfer,
};

/// An open stream, both ways.
struct Import {
    messages: Sender<pb::StreamTransfersRequest>,
    answers: Streaming<pb::StreamTransfersResponse>,
}

impl Import {
    async fn open(world: &World) -> Self {
        let (messages, sent) = mpsc::channel(4);
        let mut client = world.client.clone();
        let answers = client.stream_transfers(ReceiverStream::new(sent)).await;
        Self {
            messages,
            answers: answers.unwrap().into_inner(),
        }
    }

    async fn send(&self, transfers: Vec<pb::Transfer>) {
        let message = pb::StreamTransfersRequest {
            parent: community(),
            transfers,
        };
        soon(self.messages.send(message)).await.unwrap();
    }

    /// So many verdicts: the sequences of what was posted, the reasons of what was refused.
    async fn verdicts(&mut self, count: usize) -> Vec<Result<i64, String>> {
        let mut seen = Vec::new();
        while seen.len() < count {
            let answer = soon(self.answers.message()).await.unwrap();
            seen.extend(answer.expect("a verdict").verdicts.into_iter().map(outcome));
        }
        assert_eq!(seen.len(), count);
        seen
    }

    /// Stops sending, and says how the stream ends and what came until then.
    async fn end(self) -> (Vec<Result<i64, String>>, Result<(), Status>) {
        drop(self.messages);
        let mut answers = self.answers;
        let mut seen = Vec::new();
        loop {
            match soon(answers.message()).await {
                Ok(Some(answer)) => seen.extend(answer.verdicts.into_iter().map(outcome)),
                Ok(None) => return (seen, Ok(())),
                Err(status) => return (seen, Err(status)),
            }
        }
    }
}

fn outcome(verdict: pb::TransferVerdict) -> Result<i64, String> {
    match verdict.verdict.unwrap() {
        Verdict::Entry(entry) => Ok(entry.sequence),
        Verdict::Refusal(refusal) => Err(refusal.reason),
    }
}

fn linked(transfer: pb::Transfer) -> pb::Transfer {
    pb::Transfer {
        linked: true,
        ..transfer
    }
}

async fn balance(world: &World, number: u128) -> i64 {
    let name = account(number);
    let request = pb::GetAccountRequest { name };
    let answer = world.client.clone().get_account(request).await.unwrap();
    answer.into_inner().balance
}

#[tokio::test]
async fn each_transfer_has_its_verdict_in_order_and_at_once() {
    let world = World::start().await;
    let mut import = Import::open(&world).await;
    import.send(vec![grant(1, ANNA, 10, noon(20))]).await;
    assert_eq!(
        import.verdicts(1).await,
        [Ok(1)],
        "while the stream stays open"
    );
    import.send(vec![]).await;
    let batch = vec![
        transfer(2, ANNA, MERCHANT, 4),
        transfer(3, ANNA, MERCHANT, 7),
        transfer(2, ANNA, MERCHANT, 4),
        transfer(2, ANNA, MERCHANT, 5),
    ];
    import.send(batch).await;
    let refused = |reason: &str| Err(reason.to_owned());
    assert_eq!(
        import.verdicts(4).await,
        [
            Ok(2),
            refused("INSUFFICIENT_POINTS"),
            Ok(2),
            refused("REQUEST_ID_REUSED")
        ]
    );
    let (rest, end) = import.end().await;
    assert!(rest.is_empty());
    end.unwrap();
}

#[tokio::test]
async fn a_long_import_is_posted_once_however_often_it_is_sent() {
    let world = World::start().await;
    for _ in 0..2 {
        let mut import = Import::open(&world).await;
        let messages = import.messages.clone();
        let sending = tokio::spawn(async move {
            for start in (1..20_001).step_by(250) {
                let ids = start..start + 250;
                let message = pb::StreamTransfersRequest {
                    // Named once is enough.
                    parent: if start == 1 {
                        community()
                    } else {
                        String::new()
                    },
                    transfers: ids.map(|id| transfer(id, ISSUING, BAO, 1)).collect(),
                };
                messages.send(message).await.unwrap();
            }
        });
        let verdicts = import.verdicts(20_000).await;
        assert!(verdicts.into_iter().eq((1..=20_000).map(Ok)));
        sending.await.unwrap();
        import.end().await.1.unwrap();
    }
    assert_eq!(balance(&world, BAO).await, 20_000);
}

#[tokio::test]
async fn a_malformed_item_ends_the_stream_after_all_verdicts_before_it() {
    let world = World::start().await;
    let import = Import::open(&world).await;
    import
        .send((1..=700).map(|id| transfer(id, ISSUING, ANNA, 1)).collect())
        .await;
    let mut batch: Vec<_> = (701..=900)
        .map(|id| transfer(id, ISSUING, ANNA, 1))
        .collect();
    batch[100].amount = 0;
    import.send(batch).await;
    let (verdicts, end) = import.end().await;
    assert!(verdicts.into_iter().eq((1..=800).map(Ok)));
    let status = end.unwrap_err();
    assert_eq!(
        fault(&status),
        (Code::InvalidArgument, "item 800.amount".to_owned())
    );
    assert_eq!(
        balance(&world, ANNA).await,
        800,
        "nothing after it was posted"
    );
}

#[tokio::test]
async fn a_chain_is_posted_whole_though_it_comes_in_pieces() {
    let world = World::start().await;
    let mut import = Import::open(&world).await;
    import
        .send(vec![
            transfer(1, ISSUING, ANNA, 10),
            linked(transfer(2, ISSUING, BAO, 5)),
        ])
        .await;
    assert_eq!(import.verdicts(1).await, [Ok(1)]);
    import
        .send(vec![linked(transfer(3, ANNA, MERCHANT, 1))])
        .await;
    assert_eq!(balance(&world, BAO).await, 0, "the chain is still open");
    // Its last link fails, and with it all.
    import
        .send(vec![
            transfer(4, ANNA, MERCHANT, 99),
            linked(transfer(5, ISSUING, BAO, 5)),
        ])
        .await;
    let failed = || Err("LINKED_TRANSFER_FAILED".to_owned());
    let insufficient = Err("INSUFFICIENT_POINTS".to_owned());
    assert_eq!(import.verdicts(3).await, [failed(), failed(), insufficient]);
    import.send(vec![transfer(6, ISSUING, BAO, 5)]).await;
    assert_eq!(import.verdicts(2).await, [Ok(2), Ok(3)]);
    import.end().await.1.unwrap();
}

#[tokio::test]
async fn a_chain_that_is_never_closed_or_too_long_is_not_posted() {
    let world = World::start().await;
    let import = Import::open(&world).await;
    import
        .send(vec![
            transfer(1, ISSUING, ANNA, 10),
            linked(transfer(2, ISSUING, BAO, 5)),
        ])
        .await;
    let (verdicts, end) = import.end().await;
    assert_eq!(verdicts, [Ok(1)]);
    let status = end.unwrap_err();
    assert_eq!(
        fault(&status),
        (Code::InvalidArgument, "item 1.linked".to_owned())
    );

    let import = Import::open(&world).await;
    let chain = (0..8_191).map(|number| linked(transfer(100 + number, ISSUING, BAO, 1)));
    import
        .send(
            [transfer(3, ISSUING, ANNA, 1)]
                .into_iter()
                .chain(chain)
                .collect(),
        )
        .await;
    let (verdicts, end) = import.end().await;
    assert_eq!(verdicts, [Ok(2)]);
    let status = end.unwrap_err();
    assert_eq!(
        fault(&status),
        (Code::InvalidArgument, "item 8190.linked".to_owned())
    );
    assert_eq!(balance(&world, BAO).await, 0);
}

#[tokio::test]
async fn a_stream_belongs_to_one_community() {
    let world = World::start().await;
    let import = Import::open(&world).await;
    let message = pb::StreamTransfersRequest::default();
    import.messages.send(message).await.unwrap();
    let status = import.end().await.1.unwrap_err();
    assert_eq!(fault(&status), (Code::InvalidArgument, "parent".to_owned()));

    let import = Import::open(&world).await;
    import.send(vec![transfer(1, ISSUING, ANNA, 1)]).await;
    let message = pb::StreamTransfersRequest {
        parent: format!("communities/{}", uuid::Uuid::from_u128(8)),
        transfers: vec![],
    };
    import.messages.send(message).await.unwrap();
    let (verdicts, end) = import.end().await;
    assert_eq!(verdicts, [Ok(1)]);
    assert_eq!(
        fault(&end.unwrap_err()),
        (Code::InvalidArgument, "parent".to_owned())
    );
}

#[tokio::test]
async fn who_does_not_read_verdicts_is_not_read_from() {
    let world = World::start().await;
    let mut import = Import::open(&world).await;
    let messages = import.messages.clone();
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        for start in (1..200_001).step_by(1_000) {
            let ids = start..start + 1_000;
            let message = pb::StreamTransfersRequest {
                parent: community(),
                transfers: ids.map(|id| transfer(id, ISSUING, BAO, 1)).collect(),
            };
            let send = messages.send(message);
            match tokio::time::timeout(Duration::from_secs(3), send).await {
                Ok(sending) => sending.unwrap(),
                Err(_) => return sent,
            }
            sent += 1_000;
        }
        sent
    });
    let sent = sending.await.unwrap();
    assert!(sent < 100_000, "{sent} were taken in");
    // Reading sets it going again: everything that was sent is answered.
    let verdicts = import.verdicts(sent).await;
    assert!(verdicts.into_iter().all(|verdict| verdict.is_ok()));
    import.end().await.1.unwrap();
}

#[tokio::test]
async fn the_stop_of_the_server_ends_an_import_with_every_verdict_it_owes() {
    let world = World::start().await;
    let mut import = Import::open(&world).await;
    import.send(vec![transfer(1, ISSUING, ANNA, 1)]).await;
    assert_eq!(import.verdicts(1).await, [Ok(1)]);
    world.stop.cancel();
    let end = soon(import.answers.message()).await.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert_eq!(reason_of(&end).as_deref(), Some("SERVER_STOPPING"));
    let ended = tokio::time::timeout(Duration::from_secs(5), world.ended).await;
    ended.expect("long before calls are cut").unwrap().unwrap();
}
