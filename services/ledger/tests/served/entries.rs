//! The journal and statements, by kind and by time.

use proto::ledger::v1::{self as pb, EntryKind};
use runtime::timestamp;
use tonic::Code;

use crate::world::{
    ANNA, BAO, ISSUING, MERCHANT, World, account, community, fault, grant, noon, sequences,
    transfer,
};

fn request() -> pb::ListEntriesRequest {
    pb::ListEntriesRequest {
        parent: community(),
        ..Default::default()
    }
}

/// All entries of a listing, and in how many pages they came.
async fn all(world: &World, mut request: pb::ListEntriesRequest) -> (Vec<i64>, usize) {
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let answer = world.client.clone().list_entries(request.clone()).await;
        let page = answer.unwrap().into_inner();
        seen.extend(sequences(&page.entries));
        pages += 1;
        if page.next_page_token.is_empty() {
            return (seen, pages);
        }
        request.page_token = page.next_page_token;
    }
}

/// Grants at noon of days 1 to 6, a purchase after each, and a hold at the end: sequences 1 to 13.
async fn week() -> World {
    let mut world = World::start().await;
    for day in 1..=6_u32 {
        world.clock.advance_to(noon(day));
        let id = u128::from(day);
        let to = if day % 2 == 0 { BAO } else { ANNA };
        world.post(vec![grant(id, to, 10, noon(30))]).await;
        world.post(vec![transfer(100 + id, to, MERCHANT, 3)]).await;
    }
    world.hold(200, 5).await;
    world
}

#[tokio::test]
async fn entries_are_listed_by_kind() {
    let world = week().await;
    let holds = pb::ListEntriesRequest {
        kinds: vec![EntryKind::Hold.into()],
        ..request()
    };
    assert_eq!(all(&world, holds.clone()).await.0, [13]);
    let of_anna = pb::ListEntriesRequest {
        account: account(ANNA),
        ..holds
    };
    assert_eq!(all(&world, of_anna.clone()).await.0, [13]);
    let others = pb::ListEntriesRequest {
        kinds: vec![EntryKind::Transfer.into(), EntryKind::Capture.into()],
        ..of_anna
    };
    assert_eq!(all(&world, others).await.0, [1, 2, 5, 6, 9, 10]);
}

#[tokio::test]
async fn entries_are_listed_by_time_the_start_included_and_the_end_not() {
    let world = week().await;
    let days = |start: Option<u32>, end: Option<u32>| pb::ListEntriesRequest {
        start_time: start.map(|day| timestamp(noon(day))),
        end_time: end.map(|day| timestamp(noon(day))),
        page_size: 3,
        ..request()
    };
    assert_eq!(
        all(&world, days(Some(2), Some(4))).await,
        (vec![3, 4, 5, 6], 2)
    );
    assert_eq!(all(&world, days(Some(6), None)).await.0, [11, 12, 13]);
    assert_eq!(all(&world, days(None, Some(2))).await, (vec![1, 2], 1));
    assert_eq!(all(&world, days(Some(7), None)).await.0, [0_i64; 0]);
    assert_eq!(all(&world, days(None, Some(1))).await.0, [0_i64; 0]);
    let of_bao = pb::ListEntriesRequest {
        account: account(BAO),
        after_sequence: 3,
        page_size: 1,
        ..days(Some(2), Some(6))
    };
    assert_eq!(all(&world, of_bao).await.0, [4, 7, 8]);
}

#[tokio::test]
async fn rare_entries_of_a_long_journal_come_in_short_pages_and_all_of_them() {
    let mut world = World::start().await;
    world.post(vec![grant(1, ANNA, 100, noon(30))]).await;
    world.hold(2, 1).await;
    for batch in 0..2_u128 {
        let ids = (0..4_500).map(|number| 1_000 + batch * 10_000 + number);
        let many = ids.map(|id| transfer(id, ISSUING, MERCHANT, 1)).collect();
        world.post(many).await;
    }
    world.hold(3, 1).await;
    let holds = |of: Option<u128>| pb::ListEntriesRequest {
        account: of.map(account).unwrap_or_default(),
        kinds: vec![EntryKind::Hold.into()],
        page_size: 1_000,
        ..request()
    };
    // A page looks at 4,096 of the 9,003 entries.
    assert_eq!(all(&world, holds(None)).await, (vec![2, 9_003], 3));
    assert_eq!(all(&world, holds(Some(ANNA))).await, (vec![2, 9_003], 1));
    assert_eq!(all(&world, holds(Some(MERCHANT))).await, (vec![], 3));
    let of_merchant = pb::ListEntriesRequest {
        account: account(MERCHANT),
        page_size: 1_000,
        ..request()
    };
    let statement = all(&world, of_merchant).await.0;
    assert!(statement.into_iter().eq(3..=9_002));
}

#[tokio::test]
async fn a_page_token_belongs_to_all_filters_and_filters_that_are_none_are_refused() {
    let world = week().await;
    let list = async |request| world.client.clone().list_entries(request).await;
    let first = pb::ListEntriesRequest {
        page_size: 1,
        kinds: vec![EntryKind::Transfer.into()],
        start_time: Some(timestamp(noon(1))),
        end_time: Some(timestamp(noon(6))),
        ..request()
    };
    let token = list(first.clone()).await.unwrap().into_inner();
    let next = pb::ListEntriesRequest {
        page_token: token.next_page_token,
        ..first
    };
    let changed = [
        pb::ListEntriesRequest {
            kinds: vec![],
            ..next.clone()
        },
        pb::ListEntriesRequest {
            start_time: None,
            ..next.clone()
        },
        pb::ListEntriesRequest {
            end_time: Some(timestamp(noon(5))),
            ..next.clone()
        },
        pb::ListEntriesRequest {
            account: account(ANNA),
            ..next.clone()
        },
    ];
    for request in changed {
        let refused = list(request).await.unwrap_err();
        assert_eq!(
            fault(&refused),
            (Code::InvalidArgument, "page_token".to_owned())
        );
    }
    assert_eq!(
        sequences(&list(next).await.unwrap().into_inner().entries),
        [2]
    );

    let backwards = pb::ListEntriesRequest {
        start_time: Some(timestamp(noon(2))),
        end_time: Some(timestamp(noon(2))),
        ..request()
    };
    let refused = list(backwards).await.unwrap_err();
    assert_eq!(
        fault(&refused),
        (Code::InvalidArgument, "end_time".to_owned())
    );
    let unknown = pb::ListEntriesRequest {
        kinds: vec![EntryKind::Hold.into(), 0],
        ..request()
    };
    let refused = list(unknown).await.unwrap_err();
    assert_eq!(
        fault(&refused),
        (Code::InvalidArgument, "kinds[1]".to_owned())
    );
}
