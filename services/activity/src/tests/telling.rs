//! Notices: told once, read by their member, muted as far as that is allowed.

use super::*;
use crate::{
    domain::notice::{Content, NewNotice, NoticeClass, Unit},
    store::notice::NoticeFilter,
};

impl World {
    fn notice(&self, member: &Member, amount: i64, days: i32) -> NewNotice {
        NewNotice {
            id: self.ids.next(),
            member: member.id,
            content: Content::ExpiryAhead {
                programme: self.programme,
                account: Uuid::from_u128(7),
                unit: Unit {
                    asset: "points".to_owned(),
                    exponent: 0,
                    time_zone: chrono_tz::Tz::Asia__Shanghai,
                },
                amount,
                held: 0,
                expires_at: start() + TimeDelta::days(30),
                days,
            },
        }
    }

    async fn tell(&self, notices: &[NewNotice]) -> u64 {
        let mut tx = self.pool.begin().await.unwrap();
        let told = store::notice::insert(&mut tx, self.community, notices, self.clock.now());
        let told = told.await.unwrap();
        self.activity.commit(tx, self.community).await.unwrap();
        told
    }

    fn unread(&self, member: &Member) -> NoticeFilter {
        NoticeFilter {
            community: self.community,
            member: member.id,
            class: Some(NoticeClass::Expiry),
            unread_only: true,
        }
    }

    async fn unread_ids(&self, member: &Member) -> Vec<Uuid> {
        let page = self
            .activity
            .list_notices(self.unread(member), Uuid::max(), 50)
            .await
            .unwrap();
        page.items.iter().map(|notice| notice.id).collect()
    }
}

#[tokio::test]
async fn the_same_thing_is_told_once_and_the_first_word_stands() {
    let world = World::start().await;
    let member = world.member().await;
    let first = world.notice(&member, 50, 30);
    assert_eq!(world.tell(std::slice::from_ref(&first)).await, 1);
    world.clock.advance(TimeDelta::seconds(1));
    let again = world.notice(&member, 40, 30);
    assert_eq!(world.tell(&[again, world.notice(&member, 40, 7)]).await, 1);

    let page = world
        .activity
        .list_notices(world.unread(&member), Uuid::max(), 1)
        .await
        .unwrap();
    let rest = world
        .activity
        .list_notices(world.unread(&member), page.next.unwrap(), 1)
        .await
        .unwrap();

    assert_eq!(rest.items[0].id, first.id);
    assert_eq!(rest.items[0].content, first.content);
    assert!(rest.next.is_none());
}

#[tokio::test]
async fn turns_at_once_tell_once() {
    let world = World::start().await;
    let member = world.member().await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let notice = world.notice(&member, 50, 30);
        let (activity, community) = (world.activity.clone(), world.community);
        running.spawn(async move {
            let mut tx = activity.pool.begin().await.unwrap();
            let notices = [notice];
            let told = store::notice::insert(&mut tx, community, &notices, start());
            let told = told.await.unwrap();
            activity.commit(tx, community).await.unwrap();
            told
        });
    }
    let told: u64 = running.join_all().await.into_iter().sum();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn a_programme_is_one_replicas_turn_until_its_lease_is_over() {
    let world = World::start().await;
    let now = start();
    store::notice::watch_new(&world.pool, now).await.unwrap();
    store::notice::watch_new(&world.pool, now).await.unwrap();
    let claim = async |now| {
        store::notice::claim(
            &world.pool,
            world.community,
            now,
            now + TimeDelta::minutes(2),
        )
        .await
        .unwrap()
    };
    assert_eq!(claim(now).await.unwrap().programme_id, world.programme);
    assert!(claim(now).await.is_none());
    assert!(claim(now + TimeDelta::minutes(2)).await.is_some());
}

#[tokio::test]
async fn a_member_marks_their_own_as_read_all_or_none() {
    let world = World::start().await;
    let (member, other) = (world.member().await, world.member().await);
    let mine = world.notice(&member, 50, 30);
    world.clock.advance(TimeDelta::seconds(1));
    let more = world.notice(&member, 50, 7);
    let theirs = world.notice(&other, 50, 30);
    world
        .tell(&[mine.clone(), more.clone(), theirs.clone()])
        .await;

    let foreign = world
        .activity
        .mark_notices_read(
            &world.call("MarkNoticesRead"),
            member.id,
            &[mine.id, theirs.id],
        )
        .await;
    assert!(matches!(refusal(foreign), Refusal::NotFound { .. }));
    assert_eq!(world.unread_ids(&member).await, [more.id, mine.id]);

    let call = world.call("MarkNoticesRead");
    for _ in 0..2 {
        let unread = world
            .activity
            .mark_notices_read(&call, member.id, &[mine.id])
            .await;
        assert_eq!(unread.unwrap(), 1);
    }
    assert_eq!(world.unread_ids(&member).await, [more.id]);
    assert_eq!(world.unread_ids(&other).await, [theirs.id]);
}

#[tokio::test]
async fn what_takes_points_away_is_not_muted() {
    let world = World::start().await;
    let member = world.member().await;
    let set = async |muted: &[NoticeClass]| {
        world
            .activity
            .set_notice_preferences(
                &world.call("SetNoticePreferences"),
                member.id,
                muted.to_vec(),
            )
            .await
    };
    let muted = [NoticeClass::Report, NoticeClass::Wish];
    assert_eq!(set(&muted).await.unwrap(), muted);
    let refused = refusal(set(&[NoticeClass::Expiry]).await);
    assert_eq!(
        refused.to_string(),
        "notices of class EXPIRY can't be muted"
    );
    let kept = world
        .activity
        .get_notice_preferences(world.community, member.id)
        .await;
    assert_eq!(kept.unwrap(), muted);
    assert_eq!(set(&[]).await.unwrap(), []);

    world.tell(&[world.notice(&member, 50, 30)]).await;
    assert_eq!(world.unread_ids(&member).await.len(), 1);
}
