//! Members and the hours book.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Window, person};
use crate::domain::{
    Community,
    member::{HourEntry, Member, MemberKind},
    person::KeptPerson,
};

struct Row {
    member_id: Uuid,
    number: String,
    kind: MemberKind,
    team_id: Option<Uuid>,
    birth_year: Option<i16>,
    service_minutes: i64,
    created_at: DateTime<Utc>,
    erased_at: Option<DateTime<Utc>>,
}

impl Row {
    fn member(self, community: Community) -> Member {
        Member {
            community,
            id: self.member_id,
            number: self.number,
            kind: self.kind,
            team: self.team_id,
            birth_year: self.birth_year,
            service_minutes: self.service_minutes,
            created_at: self.created_at,
            erased_at: self.erased_at,
        }
    }
}

/// The next number that the community gives by itself, from 1.
pub async fn next_number(db: impl PgExecutor<'_>, community: Community) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        -- activity.member_next_number
        insert into activity.member_number as counter (community_id, last) values ($1, 1)
        on conflict on constraint member_number_pk do update set last = counter.last + 1
        returning last
        "#,
        community.0,
    )
    .fetch_one(db)
    .await
}

/// Adds a member without a person yet; false when the number is taken.
pub async fn insert(db: impl PgExecutor<'_>, member: &Member) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- activity.member_insert
        insert into activity.member (community_id, member_id, number, kind, team_id, birth_year, created_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict on constraint member_number_unique do nothing
        "#,
        member.community.0,
        member.id,
        member.number,
        member.kind as MemberKind,
        member.team,
        member.birth_year,
        member.created_at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Locks a member: from here on nobody else changes their hours or decides their grants.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"
        -- activity.member_lock
        select member_id from activity.member where community_id = $1 and member_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.is_some())
}

/// Finds a member.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Member>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.member_find
        select member_id, number, kind as "kind: MemberKind", team_id, birth_year, service_minutes, created_at, erased_at
        from activity.member
        where community_id = $1 and member_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.member(community)))
}

/// Finds a member and the person behind them.
pub async fn find_with_person(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<(Member, KeptPerson)>> {
    let row = sqlx::query!(
        r#"
        -- activity.member_find_with_person
        select number, kind as "kind: MemberKind", team_id, birth_year, service_minutes, created_at, erased_at,
            display_name, phone, key_id, wrapped_key, sealed
        from activity.member
        join activity.member_person using (community_id, member_id)
        where community_id = $1 and member_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let member = Row {
            member_id: id,
            number: row.number,
            kind: row.kind,
            team_id: row.team_id,
            birth_year: row.birth_year,
            service_minutes: row.service_minutes,
            created_at: row.created_at,
            erased_at: row.erased_at,
        };
        let person = person::Row {
            member_id: id,
            display_name: row.display_name,
            phone: row.phone,
            key_id: row.key_id,
            wrapped_key: row.wrapped_key,
            sealed: row.sealed,
        };
        (member.member(community), person.person().1)
    }))
}

/// Finds the member with a number.
pub async fn find_by_number(
    db: impl PgExecutor<'_>,
    community: Community,
    number: &str,
) -> sqlx::Result<Option<Member>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- activity.member_find_by_number
        select member_id, number, kind as "kind: MemberKind", team_id, birth_year, service_minutes, created_at, erased_at
        from activity.member
        where community_id = $1 and number = $2
        "#,
        community.0,
        number,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.member(community)))
}

/// A community's members by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: Community,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Member>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- activity.member_list
        select member_id, number, kind as "kind: MemberKind", team_id, birth_year, service_minutes, created_at, erased_at
        from activity.member
        where community_id = $1 and member_id > $2
        order by member_id
        limit $3
        "#,
        community.0,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.member(community)).collect())
}

/// Writes that a locked member is erased.
pub async fn set_erased(db: impl PgExecutor<'_>, member: &Member) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.member_set_erased
        update activity.member set team_id = $3, birth_year = $4, erased_at = $5 where community_id = $1 and member_id = $2
        "#,
        member.community.0,
        member.id,
        member.team,
        member.birth_year,
        member.erased_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Which of some members are there and not erased; that stays so until the end of the transaction.
pub async fn lock_there(
    db: impl PgExecutor<'_>,
    community: Community,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.member_lock_there
        select member_id from activity.member
        where community_id = $1 and member_id = any($2) and erased_at is null
        order by member_id
        for share
        "#,
        community.0,
        ids,
    )
    .fetch_all(db)
    .await
}

/// What is to be entered into a locked member's hours book.
#[derive(Debug, Clone)]
pub struct NewHours {
    pub community: Community,
    pub member: Uuid,
    pub record: Uuid,
    pub minutes: i64,
    pub balance_minutes: i64,
    pub at: DateTime<Utc>,
}

/// Enters minutes into a locked member's hours book and sets their balance, in one statement.
pub async fn enter_hours(db: impl PgExecutor<'_>, hours: &NewHours) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- activity.member_enter_hours
        with entry as (
            insert into activity.hour_entry
                (community_id, member_id, number, record_id, minutes, balance_minutes, created_at)
            select $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6
            from activity.hour_entry
            where community_id = $1 and member_id = $2
        )
        update activity.member set service_minutes = $5 where community_id = $1 and member_id = $2
        "#,
        hours.community.0,
        hours.member,
        hours.record,
        hours.minutes,
        hours.balance_minutes,
        hours.at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A member's hours book, oldest line first.
pub async fn list_hours(
    db: impl PgExecutor<'_>,
    community: Community,
    member: Uuid,
    window: Window<i64>,
) -> sqlx::Result<Vec<HourEntry>> {
    sqlx::query_as!(
        HourEntry,
        r#"
        -- activity.member_list_hours
        select number, record_id as record, minutes, balance_minutes, created_at
        from activity.hour_entry
        where community_id = $1 and member_id = $2 and number > $3
        order by number
        limit $4
        "#,
        community.0,
        member,
        window.after,
        window.limit,
    )
    .fetch_all(db)
    .await
}

/// The ids of a community's members.
pub async fn ids(db: impl PgExecutor<'_>, community: Community) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        -- activity.member_ids
        select member_id from activity.member where community_id = $1
        "#,
        community.0,
    )
    .fetch_all(db)
    .await
}
