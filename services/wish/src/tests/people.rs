//! Who the people on the roster are: sealed at rest, moved from key to key, gone when erased.

use runtime::{Deadline, KeyRing, Progress, Sealer, Unreadable};

use super::*;
use crate::{
    Error,
    beneficiary::NewBeneficiary,
    domain::{
        beneficiary::{Beneficiary, Grade},
        person::Person,
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
        let visit = Visit {
            community: self.community,
            id: self.ids.next(),
            beneficiary: id,
            visitor: self.ids.next(),
            condition: Condition::Well,
            visited_at: self.clock.now(),
            created_at: self.clock.now(),
        };
        wishes.visit(&mut tx, visit, NOTE).await.unwrap();
        tx.commit().await.unwrap();
        let read = wishes.read_beneficiary(self.community, id).await;
        read.unwrap().0
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
    assert_eq!(whole.notes[0].1, NOTE);

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
    assert_eq!(whole.notes[0].1, NOTE);
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
async fn nobody_is_put_on_the_roster_while_activity_does_not_answer() {
    let world = World::start().await;
    let call = world.call("CreateBeneficiary");
    let created = world
        .wishes
        .create_beneficiary(&call, new_beneficiary(), Deadline::default())
        .await;
    assert!(matches!(created, Err(Error::Unavailable("activity"))));
}
