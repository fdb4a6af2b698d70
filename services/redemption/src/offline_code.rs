//! Offline codes: points are held in advance, a till takes them without a network, and forwards the sale later.
//!
//! A code's row is written before the ledger is asked, and its text leaves only when the ledger holds its points; so a code that was lost on the way
//! costs nobody anything, and what is held ends by itself.

use chrono::{DateTime, SubsecRound, Utc};
use runtime::Deadline;
use uuid::Uuid;

use crate::{
    Error, Redemption, Till,
    call::Stop,
    domain::{
        self, Counter, FORWARD_TIME, KeptOfflineCode, Kind, MOST_CODES, Member, Name, OFFLINE_TIME,
        Offer, OfflineCode, OfflineKeys, OfflineSale, OfflineState, OfflineUse, Operation,
        RedemptionState, Refusal, Resource, Verdict, has_come,
    },
    settle::HEAD_START,
    store::{self, Call, Outcome, Page},
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
                found.ok_or(not_found(Resource::Programme, programme))?;
                let known = self.activity.member(member, deadline).await?;
                if known.ok_or(not_found(Resource::Member, member))?.is_erased {
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
                self.finish(tx, &call, ids).await
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
            // The goods are given, and the points were held while the person was there.
            let member = Member {
                is_erased: false,
                ..member.ok_or(not_found(Resource::Member, payer))?
            };
            self.forward(&call, name, &sale, &member).await
        })
        .await
    }

    /// Reserves stock and quota for a sale that was made, and writes down that the code pays it.
    async fn forward(
        &self,
        call: &Call,
        code: Name,
        sale: &Forwarded,
        member: &Member,
    ) -> Result<domain::Redemption, Stop> {
        let mut tx = self.begin(call).await?;
        let name = Name {
            id: sale.offer,
            ..code
        };
        let offer = store::offer_lock(&mut tx, name).await?;
        let mut offer = offer.ok_or(not_found(Resource::Offer, name))?;
        offer.stock_left += self.expire_holds(&mut tx, name).await?;
        if let Some((revision, points)) =
            store::offer_price_at(&mut *tx, name, sale.sold_at).await?
        {
            (offer.revision, offer.points) = (revision, points);
        }
        let kept = store::offline_code_lock(&mut tx, code).await?;
        let kept = kept.ok_or(Refusal::OfflineCodeInvalid)?;
        if kept.code.programme != offer.programme {
            return Err(Refusal::OfflineCodeInvalid.into());
        }
        let merchant = Name {
            id: offer.merchant,
            ..code
        };
        let found = store::merchant_find(&mut *tx, merchant).await?;
        let today = offer.local_date(sale.sold_at);
        let counter = Counter {
            merchant: found.ok_or(not_found(Resource::Merchant, merchant))?.state,
            agreed: store::agreement_covers(&mut *tx, merchant, today).await?,
            member,
            taken: store::redemption_quantity_of(&mut *tx, name, kept.member).await?,
            quantity: sale.quantity,
            now: sale.sold_at,
        };
        let now = self.clock.now();
        let sold = redemption_of(call, &kept, sale, offer.clone(), now);
        kept.pay(&OfflineSale {
            points: sold.points(sale.quantity),
            sold_at: sale.sold_at,
            now,
        })?;
        offer.admit(&counter)?;
        if !store::offer_take_stock(&mut tx, name, sale.quantity).await? {
            let what = "stock that was admitted under lock is gone";
            return Err(Error::Broken(what.into()).into());
        }
        store::offline_code_use(&mut tx, code, (sold.id, sale.sold_at)).await?;
        store::redemption_insert(&mut tx, &sold).await?;
        store::operation_insert(&mut tx, &step_of(&sold, now)).await?;
        tx.commit().await?;
        Err(Stop::Known(Outcome::Pending))
    }
}

fn redemption_of(
    call: &Call,
    kept: &KeptOfflineCode,
    sale: &Forwarded,
    offer: Offer,
    now: DateTime<Utc>,
) -> domain::Redemption {
    domain::Redemption {
        community: call.community,
        id: call.request_id,
        member: kept.member,
        offer: offer.id,
        merchant: offer.merchant,
        programme: offer.programme,
        offer_revision: offer.revision,
        title: offer.title,
        unit_points: offer.points,
        asset: offer.asset,
        reversal_days: offer.reversal_days,
        quantity: sale.quantity,
        captured_quantity: 0,
        reversed_quantity: 0,
        reversals: 0,
        state: RedemptionState::Pending,
        expires_at: None,
        created_at: now,
        captured_at: None,
        ledger_entry: None,
        terminal: sale.till.map(|till| till.terminal),
        store: sale.till.and_then(|till| till.store),
        assisted_by: None,
        offline: Some(OfflineUse {
            code: kept.code.id,
            sold_at: sale.sold_at,
        }),
    }
}

fn step_of(sold: &domain::Redemption, now: DateTime<Utc>) -> Operation {
    Operation {
        community: sold.community,
        id: sold.id,
        redemption: sold.id,
        kind: Kind::Forward,
        quantity: sold.quantity,
        operator: String::new(),
        reason: String::new(),
        traceparent: runtime::current_traceparent(),
        due_at: now + HEAD_START,
        created_at: now,
    }
}

fn not_found(resource: Resource, name: Name) -> Error {
    Error::Refused(Refusal::NotFound {
        resource,
        id: name.id,
    })
}
