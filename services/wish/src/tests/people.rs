//! Who the people on the roster are: sealed at rest, moved from key to key, gone when erased.

use runtime::{Deadline, KeyRing, Progress, Sealer, Unreadable};

use super::*;
use crate::{
    Error,
    allotment::NewAllotment,
    answer::Turn,
    beneficiary::NewBeneficiary,
    domain::{
        beneficiary::{Beneficiary, Change, Grade},
        drive::{Drive, DriveState},
        person::Person,
        refusal::{Refusal, RosterRefusal},
        visit::{Condition, Visit},
    },
    sealer::Roster,
};

const NAME: &str = "陈秀英";
const PHONE: &str = "13700004321";
const NOTE: &str = "血压偏高";

fn new_beneficiary() -> NewBeneficiary {
    NewBeneficiary {
        id: None,
        number: None,
        programme: Uuid::from_u128(7),
        household: Some("3-12".to_owned()),
        birth_year: Some(1941),
        grade: Grade::Weekly,
        person: Person {
            name: NAME.to_owned(),
            phone: PHONE.to_owned(),
            address: "和平里".to_owned(),
            needs: "独居".to_owned(),
            proxy_name: "陈小弟".to_owned(),
            proxy_phone: String::new(),
        },
    }
}

impl World {
    /// A replica with other keys.
    fn replica(&self, entries: &[&str]) -> Wishes {
        Wishes {
            keys: KeyRing::parse(&entries.join("\n")).unwrap(),
            ..self.wishes.clone()
        }
    }

    /// Somebody on the roster, visited once, whose keys are known.
    async fn visited(&self, wishes: &Wishes) -> Beneficiary {
        let mut tx = self.pool.begin().await.unwrap();
        let new = new_beneficiary();
        let zone = "Asia/Shanghai".parse().unwrap();
        let kept = wishes.register(&mut tx, self.community, &new, zone);
        let id = kept.await.unwrap().id;
        wishes
            .visit(&mut tx, self.visit_to(id), NOTE)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let read = wishes.read_beneficiary(self.community, id).await;
        read.unwrap().0
    }

    fn visit_to(&self, beneficiary: Uuid) -> Visit {
        Visit {
            community: self.community,
            id: self.ids.next(),
            beneficiary,
            visitor: self.ids.next(),
            condition: Condition::Well,
            visited_at: self.clock.now(),
            created_at: self.clock.now(),
        }
    }

    /// Spoils what is sealed of somebody, or of a visit.
    async fn damage(&self, id: Uuid) {
        sqlx::query(
            "update wish.sealed set wrapped_key = '\\x00', content = '\\x00' where sealed_id = $1",
        )
        .bind(id)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Every row of every table of the service, as text.
    async fn dump(&self) -> String {
        let tables: Vec<String> = sqlx::query_scalar(
            "select table_name::text from information_schema.tables where table_schema = 'wish'",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        assert!(tables.len() > 10, "{tables:?}");
        let mut dump = String::new();
        for table in tables {
            let select =
                format!("select coalesce(string_agg(t::text, ' '), '') from wish.{table} t");
            let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(select))
                .fetch_one(&self.pool)
                .await
                .unwrap();
            dump += &rows;
        }
        dump
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn nothing_in_the_database_says_who_is_helped_or_what_a_visit_found() {
    let world = World::start().await;
    let somebody = world.visited(&world.wishes).await;
    let call = Call {
        reason: Some("to call back".to_owned()),
        ..world.call("RevealBeneficiary")
    };
    let whole = world.wishes.reveal_beneficiary(&call, somebody.id).await;
    let whole = whole.map_err(drop).unwrap();
    assert!(whole.person == new_beneficiary().person);
    assert_eq!(whole.notes[0].1.as_deref(), Some(NOTE));

    let dump = world.dump().await;

    assert!(dump.contains("to call back") && dump.contains(&somebody.number));
    for found in [
        NAME,
        "陈",
        PHONE,
        "*4321",
        NOTE,
        &hex(NAME),
        &hex(PHONE),
        &hex(NOTE),
    ] {
        assert!(!dump.contains(found), "{found} is in the database");
    }
}

#[tokio::test]
async fn an_erasure_leaves_no_sealed_row_and_no_household() {
    let world = World::start().await;
    let somebody = world.visited(&world.wishes).await;
    let other = world.visited(&world.wishes).await;

    let call = world.call("EraseBeneficiary");
    let erased = world.wishes.erase_beneficiary(&call, somebody.id).await;

    assert_eq!(erased.unwrap().masked, Default::default());
    let left: Vec<Uuid> = sqlx::query_scalar("select beneficiary_id from wish.sealed")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, [other.id, other.id]);
    let read = world.wishes.read_beneficiary(world.community, somebody.id);
    let (erased, person) = read.await.unwrap();
    assert_eq!((erased.household, person), (None, None));
}

#[tokio::test]
async fn a_new_key_takes_over_persons_and_notes_and_the_old_one_can_go() {
    let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
    let world = World::start().await;
    let somebody = world.visited(&world.replica(&[&old])).await;
    let (rotating, alone) = (world.replica(&[&new, &old]), world.replica(&[&new]));
    let problem = alone.check_keys().await.unwrap_err().to_string();
    assert!(problem.contains("under which 2 are sealed"), "{problem}");
    let read = alone.get_beneficiary(world.community, somebody.id).await;
    assert!(matches!(
        read,
        Err(Error::Unreadable(Unreadable::KeyMissing { .. }))
    ));

    let sealer = Sealer::new(Roster(rotating));
    while sealer.run().await.unwrap() == Progress::More {}

    alone.check_keys().await.unwrap();
    let call = world.call("RevealBeneficiary");
    let whole = alone.reveal_beneficiary(&call, somebody.id).await;
    let whole = whole.map_err(drop).unwrap();
    assert!(whole.person == new_beneficiary().person);
    assert_eq!(whole.notes[0].1.as_deref(), Some(NOTE));
}

#[tokio::test]
async fn what_was_put_in_anothers_place_is_refused() {
    let world = World::start().await;
    let (one, other) = (
        world.visited(&world.wishes).await,
        world.visited(&world.wishes).await,
    );
    sqlx::query(
        "update wish.sealed as a set wrapped_key = b.wrapped_key, content = b.content, key_id = b.key_id
        from wish.sealed as b where a.community_id = b.community_id and a.kind = b.kind and a.sealed_id <> b.sealed_id",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    for somebody in [&one, &other] {
        let read = world
            .wishes
            .get_beneficiary(world.community, somebody.id)
            .await;
        assert!(matches!(
            read,
            Err(Error::Unreadable(Unreadable::Damaged { .. }))
        ));
    }
}

#[tokio::test]
async fn somebody_whose_row_is_damaged_keeps_no_other_from_being_shown() {
    let world = World::start().await;
    let (one, other) = (
        world.visited(&world.wishes).await,
        world.visited(&world.wishes).await,
    );
    world.damage(one.id).await;
    let people = vec![one, other.clone()];
    let shown = world.wishes.masked(world.community, people).await.unwrap();
    assert_eq!(
        shown.iter().map(|of| of.is_damaged).collect::<Vec<_>>(),
        [true, false]
    );
    assert!(shown[0].masked.name.is_empty() && !shown[1].masked.name.is_empty());

    let visit: Uuid =
        sqlx::query_scalar("select visit_id from wish.visit where beneficiary_id = $1")
            .bind(other.id)
            .fetch_one(&world.pool)
            .await
            .unwrap();
    world.damage(visit).await;
    let call = world.call("RevealBeneficiary");
    let whole = world.wishes.reveal_beneficiary(&call, other.id).await;
    assert_eq!(whole.map_err(drop).unwrap().notes, [(visit, None)]);
}

#[tokio::test]
async fn a_few_damaged_rows_under_a_former_key_do_not_stop_the_start() {
    let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
    let world = World::start().await;
    let somebody = world.visited(&world.replica(&[&old])).await;
    world.damage(somebody.id).await;
    sqlx::query("delete from wish.sealed where kind = 'visit'")
        .execute(&world.pool)
        .await
        .unwrap();
    world.replica(&[&new, &old]).check_keys().await.unwrap();
    world.replica(&[&old]).check_keys().await.unwrap_err();
    world.replica(&[&new]).check_keys().await.unwrap_err();
}

#[tokio::test]
async fn nobody_is_written_over_by_a_visit_of_their_id_nor_the_other_way_round() {
    let world = World::start().await;
    let somebody = world.visited(&world.wishes).await;
    let visit = Visit {
        id: somebody.id,
        ..world.visit_to(somebody.id)
    };
    let mut tx = world.pool.begin().await.unwrap();
    let written = world.wishes.visit(&mut tx, visit, NOTE).await;
    assert!(
        matches!(written, Err(Error::Refused(Refusal::Exists { id, .. })) if id == somebody.id)
    );
    drop(tx);

    let visit: Uuid = sqlx::query_scalar("select visit_id from wish.visit")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let new = NewBeneficiary {
        id: Some(visit),
        ..new_beneficiary()
    };
    let zone = "Asia/Shanghai".parse().unwrap();
    let mut tx = world.pool.begin().await.unwrap();
    let written = world.wishes.register(&mut tx, world.community, &new, zone);
    assert!(
        matches!(written.await, Err(Error::Refused(Refusal::Exists { id, .. })) if id == visit)
    );
}

#[tokio::test]
async fn another_note_is_another_call_until_an_erasure_takes_it_away() {
    let world = World::start().await;
    let somebody = world.visited(&world.wishes).await;
    let (call, visit) = (world.call("RecordVisit"), world.visit_to(somebody.id));
    let Ok(Turn::First(mut tx)) = world.wishes.turn::<Visit>(&call).await else {
        panic!("the call is new");
    };
    let outcome = world.wishes.visit(&mut tx, visit.clone(), NOTE).await;
    world.wishes.conclude(tx, &call, outcome).await.unwrap();

    let again = async |note| {
        let deadline = Deadline::default();
        world
            .wishes
            .record_visit(&call, visit.clone(), note, deadline)
            .await
    };
    assert_eq!(again(NOTE).await.unwrap(), visit);
    for other in ["", "睡眠不好"] {
        assert!(matches!(again(other).await, Err(Error::RequestIdReused(_))));
    }
    let erase = world.call("EraseBeneficiary");
    world
        .wishes
        .erase_beneficiary(&erase, somebody.id)
        .await
        .unwrap();
    assert_eq!(again("").await.unwrap(), visit);
}

#[tokio::test]
async fn who_moved_to_another_household_is_served_once() {
    let world = World::start().await;
    let somebody = world.visited(&world.wishes).await;
    let drive = Drive {
        community: world.community,
        id: world.ids.next(),
        donor: "粮油店".to_owned(),
        title: "中秋".to_owned(),
        pack: "大米".to_owned(),
        packs: 10,
        repeat_households: false,
        handed_over: 0,
        allotted: 0,
        state: DriveState::Open,
        created_at: start(),
        ended_at: None,
    };
    store::drive::insert(&mut *world.conn().await, &drive)
        .await
        .unwrap();
    let new = NewAllotment {
        id: None,
        drive: drive.id,
        beneficiary: somebody.id,
        packs: 1,
    };
    let first = world
        .wishes
        .allot_packs(&world.call("AllotPacks"), new)
        .await;
    let first = first.unwrap();
    let moved = Change {
        household: Some(Some("4-1".to_owned())),
        ..Change::default()
    };
    let call = world.call("UpdateBeneficiary");
    let changed = world
        .wishes
        .update_beneficiary(&call, somebody.id, moved, None)
        .await;
    changed.unwrap();

    let served = world
        .wishes
        .allot_packs(&world.call("AllotPacks"), new)
        .await;

    let refusal = RosterRefusal::HouseholdServed {
        drive: drive.id,
        beneficiary: somebody.id,
    };
    assert!(matches!(served, Err(Error::Refused(Refusal::Roster(other))) if other == refusal));
    let call = world.call("TakeBackAllotment");
    let taken = world
        .wishes
        .take_back_allotment(&call, first.id, "moved".to_owned());
    taken.await.unwrap();
    let again = world
        .wishes
        .allot_packs(&world.call("AllotPacks"), new)
        .await;
    assert!(again.is_ok());
}

#[tokio::test]
async fn nobody_is_put_on_the_roster_while_activity_does_not_answer() {
    let world = World::start().await;
    let call = world.call("CreateBeneficiary");
    let created = world
        .wishes
        .create_beneficiary(&call, new_beneficiary(), Deadline::default())
        .await;
    assert!(matches!(created, Err(Error::Unavailable("activity"))));
}
