//! The people behind the members, as they are kept: nothing is sealed or opened here.

use runtime::{Due, Sealed, Share};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{
    Community,
    person::{KeptPerson, Person, Place},
};

pub(super) struct Row {
    pub(super) member_id: Uuid,
    pub(super) display_name: String,
    pub(super) phone: String,
    pub(super) key_id: Option<String>,
    pub(super) wrapped_key: Option<Vec<u8>>,
    pub(super) sealed: Option<Vec<u8>>,
}

impl Row {
    pub(super) fn person(self) -> (Uuid, KeptPerson) {
        let person = match (self.key_id, self.wrapped_key, self.sealed) {
            (Some(key_id), Some(wrapped_key), Some(content)) => KeptPerson::Sealed(Sealed {
                key_id,
                wrapped_key,
                content,
            }),
            // No one was ever registered without a name.
            _ if self.display_name.is_empty() => KeptPerson::Erased,
            _ => KeptPerson::Plain(Person {
                name: self.display_name,
                phone: self.phone,
            }),
        };
        (self.member_id, person)
    }
}

/// Adds the person behind a member.
pub async fn insert(db: impl PgExecutor<'_>, place: Place, sealed: &Sealed) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.person_insert
        insert into activity.member_person (community_id, member_id, display_name, phone, key_id, wrapped_key, sealed)
        values ($1, $2, '', '', $3, $4, $5)
        "#,
        place.community.0,
        place.member,
        sealed.key_id,
        sealed.wrapped_key,
        sealed.content,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The persons behind some of a community's members.
pub async fn find_many(
    db: impl PgExecutor<'_>,
    community: Community,
    members: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, KeptPerson)>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.person_find_many
        select member_id, display_name, phone, key_id, wrapped_key, sealed
        from activity.member_person
        where community_id = $1 and member_id = any($2)
        "#,
        community.0,
        members,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Row::person).collect())
}

/// Removes a person with their key; the row stays for releases that expect one.
pub async fn erase(db: impl PgExecutor<'_>, place: Place) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.person_erase
        update activity.member_person
        set display_name = '', phone = '', key_id = null, wrapped_key = null, sealed = null
        where community_id = $1 and member_id = $2
        "#,
        place.community.0,
        place.member,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Finds persons that are kept in plain or under one of these keys, other than those that can't be read.
pub async fn find_due(
    db: impl PgExecutor<'_>,
    former: &[String],
    unreadable: &[Uuid],
) -> sqlx::Result<Option<Due>> {
    let row = sqlx::query!(
        r#"
        -- activity.person_find_due
        (
            select community_id as "community_id!", key_id from activity.member_person
            where key_id is null and display_name <> ''
            limit 1
        )
        union all
        (
            select community_id, key_id from activity.member_person
            where key_id = any($1) and member_id <> all($2)
            limit 1
        )
        limit 1
        "#,
        former,
        unreadable,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Due {
        community: row.community_id,
        key_id: row.key_id,
    }))
}

/// Locks some that are due, but not those that another replica has.
pub async fn lock_due(
    db: impl PgExecutor<'_>,
    due: &Due,
    unreadable: &[Uuid],
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, KeptPerson)>> {
    let rows = match &due.key_id {
        Some(key_id) => {
            sqlx::query_as!(
                Row,
                r#"
                -- activity.person_lock_due
                select member_id, display_name, phone, key_id, wrapped_key, sealed
                from activity.member_person
                where community_id = $1 and key_id = $2 and member_id <> all($3)
                limit $4
                for no key update skip locked
                "#,
                due.community,
                key_id,
                unreadable,
                limit,
            )
            .fetch_all(db)
            .await?
        }
        None => {
            sqlx::query_as!(
                Row,
                r#"
                -- activity.person_lock_plain
                select member_id, display_name, phone, key_id, wrapped_key, sealed
                from activity.member_person
                where community_id = $1 and key_id is null and display_name <> ''
                limit $2
                for no key update skip locked
                "#,
                due.community,
                limit,
            )
            .fetch_all(db)
            .await?
        }
    };
    Ok(rows.into_iter().map(Row::person).collect())
}

/// Writes how locked ones are sealed from now on.
pub async fn set_sealed(
    db: impl PgExecutor<'_>,
    community: Community,
    persons: &[(Uuid, Sealed)],
) -> sqlx::Result<()> {
    let members: Vec<Uuid> = persons.iter().map(|(member, _)| *member).collect();
    let column = |of: fn(&Sealed) -> &[u8]| -> Vec<Vec<u8>> {
        persons
            .iter()
            .map(|(_, sealed)| of(sealed).to_vec())
            .collect()
    };
    let key_ids: Vec<String> = persons
        .iter()
        .map(|(_, sealed)| sealed.key_id.clone())
        .collect();
    sqlx::query!(
        r#"
        -- activity.person_set_sealed
        update activity.member_person as person
        set display_name = '', phone = '', key_id = new.key_id, wrapped_key = new.wrapped_key, sealed = new.sealed
        from unnest($2::uuid[], $3::text[], $4::bytea[], $5::bytea[]) as new (member_id, key_id, wrapped_key, sealed)
        where person.community_id = $1 and person.member_id = new.member_id
        "#,
        community.0,
        &members,
        &key_ids,
        &column(|sealed| &sealed.wrapped_key),
        &column(|sealed| &sealed.content),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many persons are kept in which way, over all communities.
pub async fn count(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Share>> {
    let rows = sqlx::query!(
        r#"
        -- activity.person_count
        select key_id, count(*) as "persons!" from activity.member_person
        where key_id is not null
        group by key_id
        union all
        select null, count(*) from activity.member_person where key_id is null and display_name <> ''
        "#,
    )
    .fetch_all(db)
    .await?;
    let shares = rows.into_iter().map(|row| Share {
        key_id: row.key_id,
        rows: row.persons,
    });
    Ok(shares.collect())
}

/// A few of those that are sealed under a key.
pub async fn sample(
    db: impl PgExecutor<'_>,
    key_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<(Place, Sealed)>> {
    let rows = sqlx::query!(
        r#"
        -- activity.person_sample
        select community_id, member_id, wrapped_key as "wrapped_key!", sealed as "sealed!"
        from activity.member_person
        where key_id = $1
        limit $2
        "#,
        key_id,
        limit,
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let place = Place {
            community: Community(row.community_id),
            member: row.member_id,
        };
        let sealed = Sealed {
            key_id: key_id.to_owned(),
            wrapped_key: row.wrapped_key,
            content: row.sealed,
        };
        (place, sealed)
    });
    Ok(rows.collect())
}
