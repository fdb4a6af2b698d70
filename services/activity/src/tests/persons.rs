//! Who the members are: sealed at rest, and moved from key to key.

use prost::Message;
use proto::activity::v1::{self as pb, activity_service_server::ActivityService};
use runtime::{Progress, Unreadable, asked};
use sha2::{Digest, Sha256};
use tonic::Code;

use super::*;
use crate::{domain::person::Place, rpc::Service, seal, sealer::Sealer};

pub(super) const NAME: &str = "王小明";
pub(super) const PHONE: &str = "13912345678";

impl World {
    /// A replica with other keys.
    fn replica(&self, entries: &[&str]) -> Activity {
        Activity {
            keys: KeyRing::parse(&entries.join("\n")).unwrap(),
            ..self.activity.clone()
        }
    }

    /// A world whose keys are known.
    async fn under(entry: &str) -> Self {
        let mut world = Self::start().await;
        world.activity = world.replica(&[entry]);
        world
    }

    /// Every row of every table of the service, as text.
    pub(super) async fn dump(&self) -> String {
        let tables: Vec<String> = sqlx::query_scalar(
            "select table_name::text from information_schema.tables where table_schema = 'activity'",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        assert!(tables.len() > 10, "{tables:?}");
        let mut dump = String::new();
        for table in tables {
            let select =
                format!("select coalesce(string_agg(t::text, ' '), '') from activity.{table} t");
            let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(select))
                .fetch_one(&self.pool)
                .await
                .unwrap();
            dump += &rows;
        }
        dump
    }

    /// Makes a member what a release before the sealing would have left, answer included.
    pub(super) async fn as_before(&self, call: &Call, member: &Member) {
        sqlx::query(
            "update activity.member_person set display_name = $3, phone = $4, key_id = null, wrapped_key = null, sealed = null
            where community_id = $1 and member_id = $2",
        )
        .bind(self.community.0)
        .bind(member.id)
        .bind(NAME)
        .bind(PHONE)
        .execute(&self.pool)
        .await
        .unwrap();
        let answer = serde_json::json!({
            "id": member.id, "number": member.number, "birth_year": 1960,
            "masked": {"name": "王**", "phone": "*******5678"},
        });
        sqlx::query(
            "update activity.answer set answer = $3, fingerprint = $4, impersonal = false
            where community_id = $1 and request_id = $2",
        )
        .bind(self.community.0)
        .bind(call.request_id)
        .bind(answer)
        .bind(&[9_u8; 32][..])
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Registers a member with the statements of a release before the sealing.
    async fn member_before(&self, number: &str) -> Uuid {
        let id = self.ids.next();
        sqlx::query(
            "insert into activity.member (community_id, member_id, number, kind, team_id, birth_year, created_at)
            values ($1, $2, $3, 'rider', null, null, $4)",
        )
        .bind(self.community.0)
        .bind(id)
        .bind(number)
        .bind(start())
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "insert into activity.member_person (community_id, member_id, display_name, phone) values ($1, $2, $3, $4)",
        )
        .bind(self.community.0)
        .bind(id)
        .bind(NAME)
        .bind(PHONE)
        .execute(&self.pool)
        .await
        .unwrap();
        id
    }

    pub(super) async fn erase(&self, member: &Member) -> Member {
        let call = self.call("EraseMember");
        let erased = self.activity.erase_member(&call, member.id).await.unwrap();
        assert_eq!(erased.masked, Default::default());
        erased.member
    }

    /// How many persons are under each key.
    pub(super) async fn shares(&self) -> Vec<(Option<String>, i64)> {
        let shares = store::person::count(&self.pool).await.unwrap();
        let some = shares.into_iter().filter(|share| share.rows > 0);
        some.map(|share| (share.key_id, share.rows)).collect()
    }
}

pub(super) fn new_member(name: &str) -> NewMember {
    NewMember {
        id: None,
        number: None,
        kind: MemberKind::Resident,
        team: None,
        birth_year: Some(1960),
        person: Person {
            name: name.to_owned(),
            phone: PHONE.to_owned(),
        },
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Asserts that nothing of the person is in a dump, masked or not.
pub(super) fn assert_nobody(dump: &str) {
    for found in [NAME, "王", PHONE, "*5678", &hex(NAME), &hex(PHONE)] {
        assert!(!dump.contains(found), "{found} is in the database");
    }
}

fn id(entry: &str) -> Option<String> {
    entry.split_once(':').map(|(id, _)| id.to_owned())
}

async fn run_until_idle(sealer: &Sealer) {
    while sealer.run().await.unwrap() == Progress::More {}
}

fn damaged(community: Community, member: Uuid) -> Unreadable {
    seal::sealed_for(Place { community, member }).damaged()
}

fn unreadable<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Unreadable {
    match outcome {
        Err(Error::Unreadable(unreadable)) => unreadable,
        other => panic!("was read: {other:?}"),
    }
}

#[tokio::test]
async fn nothing_in_the_database_says_who_a_member_is() {
    let world = World::start().await;
    let service = Service(world.activity.clone());
    let name = format!("communities/{}", world.community.0);
    let request = pb::CreateMemberRequest {
        parent: name.clone(),
        member_id: world.ids.next().to_string(),
        member: Some(pb::Member {
            kind: pb::MemberKind::Rider.into(),
            display_name: NAME.to_owned(),
            phone: PHONE.to_owned(),
            birth_year: 1987,
            ..pb::Member::default()
        }),
        request_id: world.ids.next().to_string(),
    };
    let created = service.create_member(asked(request.clone())).await.unwrap();
    let member = created.into_inner();
    assert_eq!(member.masked_name, "王**");
    let reveal = pb::RevealMemberRequest {
        name: member.name.clone(),
        reason: "to call back".to_owned(),
        request_id: world.ids.next().to_string(),
    };
    let seen = service
        .reveal_member(asked(reveal))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((&seen.display_name[..], &seen.phone[..]), (NAME, PHONE));

    let dump = world.dump().await;

    assert!(dump.contains("to call back") && dump.contains(&member.number));
    assert_nobody(&dump);
    // Nor can it be found by trying: no hash is of a name or a number.
    let mut parts = request.clone();
    for part in 0..3 {
        let hash: [u8; 32] = Sha256::digest(parts.encode_to_vec()).into();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(&hash), "{part}");
        let member = parts.member.as_mut().unwrap();
        match part {
            0 => member.display_name.clear(),
            _ => member.phone.clear(),
        }
    }
}

#[tokio::test]
async fn a_repeated_registration_is_compared_by_the_person_though_no_hash_is_kept() {
    let world = World::start().await;
    let call = world.call("CreateMember");
    let create = |new| world.activity.create_member(&call, new);
    let first = create(new_member(NAME)).await.unwrap();
    let (born, phoned) = (
        NewMember {
            birth_year: Some(1961),
            ..new_member(NAME)
        },
        NewMember {
            person: Person {
                name: NAME.to_owned(),
                phone: "13900000000".to_owned(),
            },
            ..new_member(NAME)
        },
    );
    for other in [new_member("李四"), born, phoned] {
        let reused = create(other).await;
        assert!(
            matches!(reused, Err(Error::RequestIdReused(_))),
            "{reused:?}"
        );
    }
    assert_eq!(create(new_member(NAME)).await.unwrap(), first);

    world.erase(&first.member).await;

    let again = create(new_member(NAME)).await.unwrap();
    assert_eq!(again.member.erased_at, Some(start()));
    assert_eq!(again.masked, Default::default());
}

#[tokio::test]
async fn persons_that_were_swapped_are_refused_by_name_of_the_member() {
    let world = World::start().await;
    let (one, other) = (world.member().await, world.member().await);
    sqlx::query(
        "update activity.member_person as a set wrapped_key = b.wrapped_key, sealed = b.sealed
        from activity.member_person as b where a.community_id = b.community_id and a.member_id <> b.member_id",
    )
    .execute(&world.pool)
    .await
    .unwrap();

    for member in [&one, &other] {
        let damaged = damaged(world.community, member.id);
        let read = world.activity.get_member(world.community, member.id).await;
        assert_eq!(unreadable(read), damaged);
        let call = world.call("RevealMember");
        let read = world.activity.reveal_member(&call, member.id).await;
        assert_eq!(unreadable(read), damaged);
    }

    // A list shows the others, and says which are damaged.
    let whole = world.member().await;
    let listed = world
        .activity
        .list_members(world.community, None, Uuid::nil(), 10);
    let listed = listed.await.unwrap().items;
    assert_eq!(listed.len(), 3);
    for shown in listed {
        let is_whole = shown.member.id == whole.id;
        assert_eq!(shown.is_damaged, !is_whole);
        assert_eq!(shown.masked.name, if is_whole { "王**" } else { "" });
    }

    let status = tonic::Status::from(Error::from(damaged(world.community, one.id)));
    assert_eq!(status.code(), Code::DataLoss);
    assert!(status.message().contains(&one.id.to_string()), "{status}");
    // What needs no person goes on.
    let record = world.served(&one, 30, 2).await;
    world.verify(&record).await.unwrap();
}

#[tokio::test]
async fn a_new_key_takes_over_every_person_and_the_old_one_can_go() {
    let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
    let world = World::under(&old).await;
    let members = [world.member().await, world.member().await];
    let erased = world.member().await;
    world.erase(&erased).await;
    let rotating = world.replica(&[&new, &old]);
    let alone = world.replica(&[&new]);

    // Too early.
    let problem = alone.check_keys().await.unwrap_err().to_string();
    let told = format!(
        "no person key {:?}, under which 2 are sealed",
        id(&old).unwrap()
    );
    assert!(problem.contains(&told), "{problem}");
    let read = alone.get_member(world.community, members[0].id).await;
    let status = tonic::Status::from(read.unwrap_err());
    assert_eq!(status.code(), Code::Unavailable);
    rotating.check_keys().await.unwrap();

    run_until_idle(&Sealer::new(rotating)).await;

    assert_eq!(world.shares().await, [(id(&new), 2)]);
    alone.check_keys().await.unwrap();
    for member in &members {
        let call = world.call("RevealMember");
        let person = alone.reveal_member(&call, member.id).await.unwrap();
        assert!(person == new_member(NAME).person);
    }
}

#[tokio::test]
async fn replicas_of_two_configurations_do_not_undo_each_others_work() {
    let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
    let world = World::under(&old).await;
    let member = world.member().await;
    let before = world.replica(&[&format!("+{new}"), &old]);
    run_until_idle(&Sealer::new(world.replica(&[&new, &old]))).await;

    run_until_idle(&Sealer::new(before.clone())).await;

    assert_eq!(world.shares().await, [(id(&new), 1)]);
    let read = before.get_member(world.community, member.id).await;
    assert_eq!(read.unwrap().masked.name, "王**");
}

#[tokio::test]
async fn a_key_that_only_has_the_id_of_the_right_one_is_told() {
    let (right, other) = (KeyRing::new_entry(), KeyRing::new_entry());
    let world = World::under(&right).await;
    world.member().await;
    let wrong = format!(
        "{}:{}",
        id(&right).unwrap(),
        other.split_once(':').unwrap().1
    );

    let problem = world.replica(&[&wrong]).check_keys().await.unwrap_err();

    let told = format!("person key {:?} is another", id(&right).unwrap());
    assert!(problem.to_string().starts_with(&told), "{problem}");
    assert!(!problem.to_string().contains(&other[9..]));
}

#[tokio::test]
async fn two_replicas_that_change_the_key_at_once_leave_every_person_readable() {
    let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
    let world = World::under(&old).await;
    let mut members = Vec::new();
    for number in 0..230 {
        let call = world.call("CreateMember");
        let name = format!("王{number}");
        let created = world.activity.create_member(&call, new_member(&name)).await;
        members.push((created.unwrap().member, name));
    }
    let erased = members.pop().unwrap().0;
    let replicas = [(); 2].map(|()| Sealer::new(world.replica(&[&new, &old])));

    tokio::join!(
        run_until_idle(&replicas[0]),
        run_until_idle(&replicas[1]),
        world.erase(&erased)
    );
    // The one that found all rows taken may have been the one to see that nothing is left.
    run_until_idle(&replicas[0]).await;

    assert_eq!(world.shares().await, [(id(&new), 229)]);
    let alone = world.replica(&[&new]);
    for (member, name) in members {
        let (_, person) = alone.read_person(world.community, member.id).await.unwrap();
        assert!(person == Some(new_member(&name).person));
    }
    let (_, person) = alone.read_person(world.community, erased.id).await.unwrap();
    assert_eq!(person, None);
}

#[tokio::test]
async fn what_is_damaged_does_not_keep_others_from_the_new_key() {
    let (old, new) = (KeyRing::new_entry(), KeyRing::new_entry());
    let world = World::under(&old).await;
    let (damaged, whole) = (world.member().await, world.member().await);
    sqlx::query("update activity.member_person set wrapped_key = 'x' where member_id = $1")
        .bind(damaged.id)
        .execute(&world.pool)
        .await
        .unwrap();

    run_until_idle(&Sealer::new(world.replica(&[&new, &old]))).await;

    let mut shares = world.shares().await;
    shares.sort();
    let mut expected = vec![(id(&old), 1), (id(&new), 1)];
    expected.sort();
    assert_eq!(shares, expected);
    let alone = world.replica(&[&new]);
    assert!(alone.read_person(world.community, whole.id).await.is_ok());
}

#[tokio::test]
async fn what_an_older_release_wrote_is_read_and_then_sealed() {
    let world = World::start().await;
    let call = world.call("CreateMember");
    let created = world.activity.create_member(&call, new_member(NAME)).await;
    let first = created.unwrap();
    world.as_before(&call, &first.member).await;
    // One that still runs goes on writing them.
    let other = world.member_before("OLD").await;
    let read = world.activity.get_member(world.community, first.member.id);
    assert_eq!(read.await.unwrap().masked, first.masked);
    assert!(world.dump().await.contains(NAME));

    run_until_idle(&Sealer::new(world.activity.clone())).await;

    assert_nobody(&world.dump().await);
    let (_, person) = world
        .activity
        .read_person(world.community, other)
        .await
        .unwrap();
    assert!(person == Some(new_member(NAME).person));
    for repeated in [
        Call {
            fingerprint: [1; 32],
            ..call.clone()
        },
        call,
    ] {
        let again = world
            .activity
            .create_member(&repeated, new_member(NAME))
            .await;
        assert_eq!(again.unwrap(), first);
        let other = world
            .activity
            .create_member(&repeated, new_member("李四"))
            .await;
        assert!(matches!(other, Err(Error::RequestIdReused(_))));
    }
}

#[tokio::test]
async fn an_older_release_reads_sealed_and_erased_members_without_a_person() {
    let world = World::start().await;
    let (sealed, erased) = (world.member().await, world.member().await);
    world.erase(&erased).await;
    for member in [&sealed, &erased] {
        let read: (String, String, Option<Uuid>) = sqlx::query_as(
            "select display_name, phone, team_id from activity.member join activity.member_person
            using (community_id, member_id) where community_id = $1 and member_id = $2",
        )
        .bind(world.community.0)
        .bind(member.id)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        assert_eq!(read, (String::new(), String::new(), None));
    }
    // A row is whole: sealed, in plain, or empty.
    let both = sqlx::query("update activity.member_person set phone = '1' where member_id = $1");
    let both = both.bind(sealed.id).execute(&world.pool).await;
    let constraint = runtime::constraint(&both.unwrap_err()).map(str::to_owned);
    assert_eq!(constraint.as_deref(), Some("member_person_sealed_only"));
}
