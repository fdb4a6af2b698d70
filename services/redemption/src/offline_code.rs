//! Offline codes: points are held in advance, a till takes them without a network, and forwards the sale later.
//!
//! A code's row is written before the ledger is asked, and its text leaves only when the ledger holds its points; so a code that was lost on the way
//! costs nobody anything, and what is held ends by itself.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SubsecRound, Utc};
use runtime::Deadline;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Redemption,
    call::Stop,
    domain::{
        self, Audience, Cause, FORWARD_TIME, Hindrance, KeptOfflineCode, KnownBy, MOST_CODES,
        Member, Name, NewEvent, News, OFFLINE_TIME, OfferState, OfflineCode, OfflineKeys,
        OfflineState, OfflineUse, Order, Refusal, Resource, Stand, Taking, Till, Verdict, Way,
        check_spendable, has_come,
    },
    store::{self, Call, Needs, Outcome, Page},
};

/// Whether and how offline codes are made.
#[derive(Debug, Clone, Default)]
pub struct Offline {
    /// What they are signed with; none: there are no codes.
    pub keys: OfflineKeys,
    /// The most that one is worth.
    pub most_points: i64,
}

/// Codes to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewOfflineCodes {
    /// Whose points.
    pub programme: Uuid,
    /// How many.
    pub count: i16,
    /// What each is worth.
    pub points: i64,
}

/// A sale to be forwarded.
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// What was shown, as it is.
    pub code: String,
    /// What was given.
    pub offer: Uuid,
    /// How many.
    pub quantity: i64,
    /// When, by the till's clock.
    pub sold_at: DateTime<Utc>,
    /// The till.
    pub till: Option<Till>,
}

impl Redemption {
    /// Holds points and makes codes of them, as far as the points last.
    pub async fn create_offline_codes(
        &self,
        call: Call,
        member: Name,
        new: NewOfflineCodes,
        deadline: Deadline,
    ) -> Result<Vec<(KeptOfflineCode, String)>, Error> {
        let ids: Vec<Uuid> = self
            .answered(&call, deadline, async {
                self.stop_if_known(&call).await?;
                let programme = Name {
                    id: new.programme,
                    ..member
                };
                let found = self.activity.programme(programme, deadline).await?;
                let found = found.ok_or(Error::not_found(Resource::Programme, programme))?;
                check_spendable(&found.asset)?;
                let known = self.activity.member(member, deadline).await?;
                if known
                    .ok_or(Error::not_found(Resource::Member, member))?
                    .is_erased
                {
                    return Err(Refusal::MemberErased.into());
                }
                let mut tx = self.begin(&call).await?;
                let now = self.clock.now();
                store::offline_code_return(&mut tx, member, now).await?;
                let taken = store::offline_code_slots(&mut tx, member, new.programme).await?;
                let mut free = (1..=MOST_CODES).filter(|slot| !taken.contains(slot));
                let mut ids = Vec::new();
                for _ in 0..new.count {
                    let slot = free.next().ok_or(Refusal::TooManyOfflineCodes {
                        most: MOST_CODES,
                        have: i16::try_from(taken.len()).unwrap_or(MOST_CODES),
                    })?;
                    let kept = self.new_code(member, new, slot, now);
                    let inserted = store::offline_code_insert(&mut tx, &kept).await;
                    inserted.map_err(|error| match runtime::constraint(&error) {
                        // Another call of the member has just taken the place.
                        Some("offline_code_slot_one") => Error::Conflict,
                        _ => Error::Store(error),
                    })?;
                    ids.push(kept.code.id);
                }
                let event = NewEvent::of_offline_codes(member);
                self.finish(tx, &call, ids, event.into()).await
            })
            .await?;
        self.held_codes(member, &ids, deadline).await
    }

    fn new_code(
        &self,
        member: Name,
        new: NewOfflineCodes,
        slot: i16,
        now: DateTime<Utc>,
    ) -> KeptOfflineCode {
        // A code says whole seconds.
        let created_at = now.trunc_subsecs(0);
        let expires_at = created_at + OFFLINE_TIME;
        KeptOfflineCode {
            code: OfflineCode {
                community: member.community,
                programme: new.programme,
                id: self.ids.next(),
                points: new.points,
                created_at,
                expires_at,
            },
            member: member.id,
            slot,
            state: OfflineState::Held,
            returns_at: expires_at + FORWARD_TIME,
            sale: None,
        }
    }

    /// Has the ledger hold what codes are worth, and returns those for which it does. The ledger's answer is the same each time.
    async fn held_codes(
        &self,
        member: Name,
        ids: &[Uuid],
        deadline: Deadline,
    ) -> Result<Vec<(KeptOfflineCode, String)>, Error> {
        let mut held = Vec::new();
        let mut refused = None;
        for id in ids {
            let name = Name { id: *id, ..member };
            let Some(kept) = store::offline_code_find(&self.pool, name).await? else {
                continue;
            };
            let expired_at = kept.code.expires_at;
            if expired_at <= self.clock.now() {
                refused = Some(Refusal::OfflineCodeExpired { expired_at });
                continue;
            }
            match self.ledger.hold_in_advance(&kept, deadline).await? {
                Verdict::Done(_) => {
                    let text = self.offline.keys.sign(&kept.code);
                    held.push((kept, text.ok_or(Refusal::OfflineCodesOff)?));
                }
                Verdict::Refused(refusal) => {
                    store::offline_code_drop(&self.pool, name).await?;
                    refused = Some(refusal.for_points(kept.code.points));
                }
            }
        }
        match refused {
            Some(refusal) if held.is_empty() => Err(refusal.into()),
            _ => Ok(held),
        }
    }

    /// Lists a member's codes by id.
    pub async fn list_offline_codes(
        &self,
        member: Name,
        page: Page<Uuid>,
    ) -> Result<Vec<KeptOfflineCode>, Error> {
        Ok(store::offline_code_list(&self.pool, member, page).await?)
    }

    /// Takes a sale that a till made without a network.
    pub async fn submit_offline_redemption(
        &self,
        call: Call,
        sale: Forwarded,
        deadline: Deadline,
    ) -> Result<domain::Redemption, Error> {
        if !has_come(sale.sold_at, self.clock.now()) {
            // It will have come one day, so this is no answer to keep.
            return Err(Refusal::SaleInFuture.into());
        }
        self.answered(&call, deadline, async {
            self.stop_if_known(&call).await?;
            let code = self.offline.keys.read(&sale.code);
            let code = code.filter(|code| code.community == call.community);
            let name = Name {
                community: call.community,
                id: code.ok_or(Refusal::OfflineCodeInvalid)?.id,
            };
            let kept = store::offline_code_find(&self.pool, name).await?;
            let payer = Name {
                id: kept.ok_or(Refusal::OfflineCodeInvalid)?.member,
                ..name
            };
            let member = self.activity.member(payer, deadline).await?;
            let member = member.ok_or(Error::not_found(Resource::Member, payer))?;
            self.forward(&call, name, &sale, (payer.id, member)).await
        })
        .await
    }

    /// Reserves stock and quota for a sale that was made, and writes down that the code pays it.
    async fn forward(
        &self,
        call: &Call,
        code: Name,
        sale: &Forwarded,
        (payer, mut member): (Uuid, Member),
    ) -> Result<domain::Redemption, Stop> {
        let needs = Needs {
            takes: BTreeSet::from([(sale.offer, payer)]),
            ..Needs::default()
        };
        let tx = runtime::begin_by_key(&self.pool).await?;
        let mut tx = self.claimed(tx, call).await?;
        let mut book = self.open(&mut tx, call.community, &needs).await?;
        let has_expired = book.expire(&HashSet::from([sale.offer]), || self.ids.next()) > 0;
        let kept = store::offline_code_lock(&mut tx, code).await?;
        let kept = kept.ok_or(Refusal::OfflineCodeInvalid)?;
        kept.check(sale.sold_at, book.now)?;
        if let Some(stand) = book.offers.get_mut(&sale.offer) {
            self.as_sold(&mut tx, stand, sale.sold_at).await?;
            // The goods are given, and the points were held while the person was there.
            if std::mem::take(&mut member.is_erased) {
                stand.offer.audience = Audience::All;
            }
        }
        let taking = taking_of(&kept, sale, member);
        let cause = Cause {
            id: call.request_id,
            traceparent: runtime::current_traceparent(),
        };
        let sold = match book.take(&cause, &taking) {
            Ok(begun) => begun.redemption,
            Err(Hindrance::Refused(refusal)) => return Err(refusal.into()),
            Err(Hindrance::Busy(_)) => return Err(Error::Conflict.into()),
        };
        if kept.code.programme != sold.programme {
            return Err(Refusal::OfflineCodeInvalid.into());
        }
        kept.covers(sold.points(sold.quantity))?;
        store::offline_code_use(&mut tx, code, (sold.id, sale.sold_at)).await?;
        store::write(&mut tx, &book).await?;
        let news = News::of_book(&book, || self.ids.next());
        self.commit(tx, call.community, &news).await?;
        if has_expired {
            self.recovery.nudge();
        }
        Err(Stop::Known(Outcome::Pending))
    }

    /// Puts the offer's terms back to what they were at an instant. Since when it is paused or ended is not known: it is taken as it was before.
    async fn as_sold(
        &self,
        conn: &mut PgConnection,
        stand: &mut Stand,
        sold_at: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let name = |id| Name {
            community: stand.offer.community,
            id,
        };
        let (offer, merchant) = (name(stand.offer.id), name(stand.offer.merchant));
        let date = stand.offer.local_date(sold_at);
        if let OfferState::Paused | OfferState::Ended = stand.offer.state {
            stand.offer.state = OfferState::Active;
        }
        stand.agreed = store::agreement_covers(&mut *conn, merchant, date).await?;
        if let Some((revision, points)) = store::offer_price_at(conn, offer, sold_at).await? {
            (stand.offer.revision, stand.offer.points) = (revision, points);
        }
        Ok(())
    }
}

fn taking_of(kept: &KeptOfflineCode, sale: &Forwarded, member: Member) -> Taking {
    let sold = OfflineUse {
        code: kept.code.id,
        sold_at: sale.sold_at,
    };
    Taking {
        order: Order {
            member: kept.member,
            offer: sale.offer,
            quantity: sale.quantity,
            validate_only: false,
            known_by: KnownBy::OfflineCode,
            till: sale.till,
        },
        way: Way::Forward(sold),
        member: Some(member),
        assisted_by: None,
    }
}
