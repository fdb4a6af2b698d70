//! Reading what a batch of calls touches: a fixed number of statements, however many calls.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    known,
    offer::offers_lock,
    redemption::{redemptions_expired_lock, redemptions_lock},
};
use crate::domain::{Book, MerchantState, Offer, Redemption, Stand};

/// What a batch of calls has to know.
#[derive(Debug, Default)]
pub struct Needs {
    /// Who takes which offer: offer and member.
    pub takes: BTreeSet<(Uuid, Uuid)>,
    /// Offers whose holds may have run out, besides those that are taken.
    pub expiring: BTreeSet<Uuid>,
    /// Offers whose stock may change otherwise.
    pub offers: BTreeSet<Uuid>,
    /// Redemptions whose next step begins or ends.
    pub redemptions: BTreeSet<Uuid>,
}

impl Needs {
    fn taken(&self) -> BTreeSet<Uuid> {
        self.takes.iter().map(|(offer, _)| *offer).collect()
    }
}

/// What is locked, as it stands.
#[derive(Debug)]
pub struct Locked {
    offers: Vec<Offer>,
    redemptions: Vec<Redemption>,
}

/// Locks what a batch may change: offers, with their stock and every member's quota, then redemptions, each in the order of their ids,
/// which is the order of all transactions.
pub async fn lock(conn: &mut PgConnection, community: Uuid, needs: &Needs) -> sqlx::Result<Locked> {
    let mut offers = needs.taken();
    offers.extend(needs.offers.iter().chain(&needs.expiring));
    let offers: Vec<Uuid> = offers.into_iter().collect();
    let redemptions: Vec<Uuid> = needs.redemptions.iter().copied().collect();
    // Each is a statement of its own: a read beside the wait for a lock would keep the snapshot from before it.
    Ok(Locked {
        offers: match offers.is_empty() {
            true => Vec::new(),
            false => offers_lock(conn, community, &offers).await?,
        },
        redemptions: match redemptions.is_empty() {
            true => Vec::new(),
            false => redemptions_lock(conn, community, &redemptions).await?,
        },
    })
}

/// Reads what decisions at this time rest on into a book.
pub async fn load(
    conn: &mut PgConnection,
    (community, now): (Uuid, DateTime<Utc>),
    needs: &Needs,
    locked: Locked,
) -> sqlx::Result<Book> {
    let mut book = Book::new(community, now);
    for offer in locked.offers {
        let stand = Stand {
            offer,
            merchant: None,
            agreed: false,
        };
        book.offers.insert(stand.offer.id, stand);
    }
    let redemptions = locked.redemptions.into_iter();
    book.redemptions
        .extend(redemptions.map(|one| (one.id, one)));
    let taken = needs.taken();
    let expiring: Vec<Uuid> = taken.union(&needs.expiring).copied().collect();
    if !expiring.is_empty() {
        let expired = redemptions_expired_lock(conn, (community, now), &expiring).await?;
        let expired = expired.into_iter().map(|one| (one.id, one));
        book.redemptions.extend(expired);
    }
    if !taken.is_empty() {
        merchants_read(conn, &mut book, &taken).await?;
        taken_read(conn, &mut book, needs).await?;
    }
    let redemptions: Vec<Uuid> = book.redemptions.keys().copied().collect();
    if !redemptions.is_empty() {
        book.pending = operations_pending(conn, community, &redemptions).await?;
    }
    Ok(book)
}

/// Reads where the offers' merchants stand.
async fn merchants_read(
    conn: &mut PgConnection,
    book: &mut Book,
    offers: &BTreeSet<Uuid>,
) -> sqlx::Result<()> {
    let of = |offer: &Offer, now| (offer.merchant, offer.local_date(now));
    let now = book.now;
    let wanted: BTreeSet<(Uuid, NaiveDate)> = offers
        .iter()
        .filter_map(|id| book.offers.get(id))
        .map(|stand| of(&stand.offer, now))
        .collect();
    let (merchants, dates): (Vec<Uuid>, Vec<NaiveDate>) = wanted.into_iter().unzip();
    let rows = sqlx::query!(
        r#"
        -- redemption.merchants_read
        select merchant_id as "merchant_id!", date as "date!", merchant.state as "state!",
            exists (
                select from redemption.agreement
                where community_id = $1 and agreement.merchant_id = wanted.merchant_id and date between start_date and end_date
            ) as "agreed!"
        from unnest((select $2::uuid[]), (select $3::date[])) as wanted (merchant_id, date)
        cross join lateral (
            select state from redemption.merchant
            where community_id = $1 and merchant.merchant_id = wanted.merchant_id
            offset 0
        ) as merchant
        "#,
        book.community,
        &merchants,
        &dates,
    )
    .fetch_all(conn)
    .await?;
    let mut found = HashMap::new();
    for row in rows {
        let state = known(MerchantState::parse(&row.state), &row.state)?;
        found.insert((row.merchant_id, row.date), (state, row.agreed));
    }
    for stand in book.offers.values_mut() {
        if let Some((state, agreed)) = found.get(&of(&stand.offer, now)) {
            stand.merchant = Some(*state);
            stand.agreed = *agreed;
        }
    }
    Ok(())
}

/// Reads what members have, net of reversals and with what is still pending, of the offers that limit it.
async fn taken_read(conn: &mut PgConnection, book: &mut Book, needs: &Needs) -> sqlx::Result<()> {
    let limited = |id| {
        let stand = book.offers.get(id);
        stand.is_some_and(|stand| stand.offer.per_member_limit.is_some())
    };
    let pairs = needs.takes.iter().filter(|(offer, _)| limited(offer));
    let (offers, members): (Vec<Uuid>, Vec<Uuid>) = pairs.copied().unzip();
    if offers.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"
        -- redemption.taken_read
        select offer_id as "offer_id!", member_id as "member_id!", quantity as "quantity!"
        from unnest((select $2::uuid[]), (select $3::uuid[])) as wanted (offer_id, member_id)
        cross join lateral (
            select coalesce(sum(
                case
                    when state in ('pending', 'held') then quantity
                    when state = 'captured' then captured_quantity - reversed_quantity
                    else 0
                end
            ), 0)::bigint as quantity
            from redemption.redemption as made
            where community_id = $1 and made.offer_id = wanted.offer_id and made.member_id = wanted.member_id
        ) as taken
        "#,
        book.community,
        &offers,
        &members,
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    book.taken = rows
        .map(|row| ((row.offer_id, row.member_id), row.quantity))
        .collect();
    Ok(())
}

/// The steps of these redemptions that are under way, by redemption.
async fn operations_pending(
    conn: &mut PgConnection,
    community: Uuid,
    redemptions: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Uuid>> {
    let rows = sqlx::query!(
        r#"
        -- redemption.operations_pending
        select pending.redemption_id as "redemption_id!", pending.operation_id as "operation_id!"
        from unnest((select $2::uuid[])) as wanted (redemption_id)
        cross join lateral (
            select operation.redemption_id, operation_id from redemption.operation
            where community_id = $1 and operation.redemption_id = wanted.redemption_id and state = 'pending'
            offset 0
        ) as pending
        "#,
        community,
        redemptions,
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| (row.redemption_id, row.operation_id))
        .collect())
}
