//! Member codes and cards: how a member is known at a counter without being named. As with tills, a secret is in one answer and nowhere else, so a
//! call that is made again makes another in its place.

use std::collections::{HashMap, hash_map::Entry};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use runtime::Deadline;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Redemption,
    call::Stop,
    domain::{
        CODE_TIME, Card, CardChange, CardState, Counter, HANDLE_TIME, Handle, Member, MemberCode,
        Name, NewEvent, News, Offer, Pin, PinHash, Refusal, Resource, Shown, band,
    },
    remote::Purse,
    store::{self, Call, CardSecrets, Page},
};

/// How long a code that was not used is remembered, so that an old one can be told from a wrong one.
const REMEMBERED: TimeDelta = TimeDelta::days(1);
/// The most offers that a till is told of.
const MOST_OFFERS: i64 = 200;

/// What a till is told of the member before it.
#[derive(Debug)]
pub struct Resolved {
    /// What to hold and redeem with.
    pub handle: Handle,
    /// To greet them by.
    pub masked_name: String,
    /// About how much they can spend, for each programme and its asset.
    pub bands: Vec<(Uuid, String, i64)>,
    /// What they can take.
    pub offers: Vec<Usable>,
}

/// An offer as it stands for a member.
#[derive(Debug)]
pub struct Usable {
    /// The offer.
    pub offer: Offer,
    /// How many they can take, or why none.
    pub most: Result<i64, Refusal>,
}

/// What a member shows.
pub enum Presented {
    /// A code of their app.
    Code(MemberCode),
    /// A card and its PIN.
    Card(MemberCode, Pin),
}

/// A code that is still to be used up, or the card whose PIN was right.
enum Checked<'a> {
    Code(&'a MemberCode),
    Card(Name),
}

/// What is kept of a secret that a call has made, and what else it made.
#[derive(Serialize, Deserialize)]
struct Made<T> {
    hash: [u8; 32],
    what: T,
}

impl Redemption {
    /// Makes the code that a member's app shows; returns it and its end.
    pub async fn create_member_code(
        &self,
        call: Call,
        member: Name,
    ) -> Result<(MemberCode, DateTime<Utc>), Error> {
        let code = MemberCode::new(Shown::Code, runtime::secret());
        let now = self.clock.now();
        let (hash, until) = (code.hash(), now + CODE_TIME);
        let made: Made<DateTime<Utc>> = self
            .answered(&call, Deadline::default(), async {
                let mut tx = self.begin(&call).await?;
                store::member_code_sweep(&mut tx, member, now - REMEMBERED).await?;
                store::member_code_put(&mut tx, member, call.request_id, (hash, until)).await?;
                let (hash, what) = (hash.0, until);
                self.finish(tx, &call, Made { hash, what }, News::none())
                    .await
            })
            .await?;
        // It was made before: then that code is lost, and this one takes its place.
        if made.hash != hash.0 {
            let mut conn = self.pool.acquire().await?;
            let put = store::member_code_put(&mut conn, member, call.request_id, (hash, until));
            if !put.await? {
                return Err(Refusal::MemberCodeUsed.into());
            }
        }
        Ok((code, until))
    }

    /// Uses up a code, or checks a card, and says what the member can take at a merchant.
    pub async fn resolve_member_code(
        &self,
        call: Call,
        merchant: Name,
        presented: Presented,
        deadline: Deadline,
    ) -> Result<Resolved, Error> {
        let handle: Handle = self
            .answered(&call, deadline, async {
                self.stop_if_known(&call).await?;
                let checked = match &presented {
                    Presented::Code(code) => Checked::Code(code),
                    Presented::Card(number, pin) => {
                        Checked::Card(self.check_pin(&call, number, pin).await?)
                    }
                };
                let mut tx = self.begin(&call).await?;
                store::merchant_find(&mut *tx, merchant)
                    .await?
                    .ok_or(Error::not_found(Resource::Merchant, merchant))?;
                let id = self.ids.next();
                let member = match checked {
                    Checked::Code(code) => {
                        self.use_code(&mut tx, Name { id, ..merchant }, code)
                            .await?
                    }
                    Checked::Card(card) => self.use_card(&mut tx, card).await?,
                };
                let handle = Handle {
                    community: call.community,
                    id,
                    member,
                    merchant: merchant.id,
                    expires_at: self.clock.now() + HANDLE_TIME,
                };
                store::handle_insert(&mut tx, &handle).await?;
                self.finish(tx, &call, handle, News::none()).await
            })
            .await?;
        // A repeated call may come late; what a till is told of a member it is told for a short time.
        let expired_at = handle.expires_at;
        if expired_at <= self.clock.now() {
            return Err(Refusal::HandleExpired { expired_at }.into());
        }
        self.look_at(handle, deadline).await
    }

    /// Uses a code up for a handle; returns whose it is.
    async fn use_code(
        &self,
        conn: &mut PgConnection,
        handle: Name,
        code: &MemberCode,
    ) -> Result<Uuid, Error> {
        let kept = store::member_code_lock(conn, handle.community, code.hash())
            .await?
            .ok_or(Refusal::MemberCodeInvalid)?;
        let expired_at = kept.expires_at;
        if kept.handle.is_some() {
            return Err(Refusal::MemberCodeUsed.into());
        }
        if expired_at <= self.clock.now() {
            return Err(Refusal::MemberCodeExpired { expired_at }.into());
        }
        let code = Name {
            id: kept.request_id,
            ..handle
        };
        store::member_code_use(conn, code, handle.id).await?;
        Ok(kept.member)
    }

    /// Finds the card with a number whose PIN this is. A wrong one is counted before anyone is told.
    async fn check_pin(&self, call: &Call, number: &MemberCode, pin: &Pin) -> Result<Name, Stop> {
        let community = call.community;
        let (id, kept) = store::card_find_by_number(&self.pool, community, number.hash())
            .await?
            .ok_or(Refusal::MemberCodeInvalid)?;
        let name = Name { community, id };
        self.find_card(name).await?.admit()?;
        let pin = pin.clone();
        if worked(move || pin.is(&kept)).await? {
            return Ok(name);
        }
        // The id is claimed and its answer written with the count, so a call that is made twice counts once.
        let mut tx = self.begin(call).await?;
        let card = store::card_lock(&mut tx, name).await?;
        let card = card.ok_or(Error::not_found(Resource::MemberCard, name))?;
        card.admit()?;
        let (card, refusal) = card.miss();
        store::card_update(&mut tx, &card).await?;
        store::answer_set_refusal(&mut tx, call, &refusal).await?;
        let news = match card.state {
            CardState::Blocked => News::of_card(CardChange::Blocked, &card, self.ids.next()),
            CardState::Active | CardState::Revoked => News::none(),
        };
        self.commit(tx, community, &news).await?;
        if card.state == CardState::Blocked {
            tracing::warn!(card.id = %id, "Blocked member card {id}: too many wrong PINs");
        }
        Err(refusal.into())
    }

    /// Uses a card whose PIN was right; returns whose it is.
    async fn use_card(&self, conn: &mut PgConnection, name: Name) -> Result<Uuid, Error> {
        let card = store::card_lock(conn, name).await?;
        let card = card.ok_or(Error::not_found(Resource::MemberCard, name))?;
        card.admit()?;
        let card = card.reset()?;
        store::card_update(conn, &card).await?;
        Ok(card.member)
    }

    /// What a till is told of a handle's member.
    async fn look_at(&self, handle: Handle, deadline: Deadline) -> Result<Resolved, Error> {
        let name = |id| Name {
            community: handle.community,
            id,
        };
        let (member, masked_name) = self
            .activity
            .masked_member(name(handle.member), deadline)
            .await?
            .ok_or(Error::not_found(Resource::Member, name(handle.member)))?;
        let offers = self.admitted_offers(&handle, &member).await?;
        let mut purses = HashMap::new();
        for usable in &offers {
            let purse = Purse {
                community: handle.community,
                programme: usable.offer.programme,
                member: handle.member,
            };
            if let Entry::Vacant(place) = purses.entry(purse.programme) {
                let available = self.ledger.available(purse, deadline).await?;
                place.insert((usable.offer.asset.clone(), available));
            }
        }
        let offers = offers.into_iter().map(|usable| {
            let available = purses[&usable.offer.programme].1;
            usable.paid_from(available)
        });
        let offers = offers.collect();
        let bands = purses.into_iter();
        let mut bands: Vec<_> = bands
            .map(|(programme, (asset, available))| (programme, asset, band(available)))
            .collect();
        bands.sort_unstable();
        Ok(Resolved {
            handle,
            masked_name,
            bands,
            offers,
        })
    }

    /// The active offers of a handle's merchant, and how many the member may take of each, points aside.
    async fn admitted_offers(
        &self,
        handle: &Handle,
        member: &Member,
    ) -> Result<Vec<Usable>, Error> {
        let merchant = Name {
            community: handle.community,
            id: handle.merchant,
        };
        let now = self.clock.now();
        let mut conn = self.pool.acquire().await?;
        let state = store::merchant_find(&mut *conn, merchant)
            .await?
            .ok_or(Error::not_found(Resource::Merchant, merchant))?
            .state;
        let offers = store::offer_list_active(&mut *conn, merchant, MOST_OFFERS).await?;
        let taken = store::redemption_quantities_of(&mut *conn, merchant, handle.member).await?;
        let taken: HashMap<Uuid, i64> = taken.into_iter().collect();
        let mut agreed: HashMap<NaiveDate, bool> = HashMap::new();
        let mut usable = Vec::new();
        for offer in offers {
            let today = offer.local_date(now);
            let agreed = match agreed.get(&today) {
                Some(known) => *known,
                None => {
                    let covers = store::agreement_covers(&mut *conn, merchant, today).await?;
                    agreed.insert(today, covers);
                    covers
                }
            };
            let taken = taken.get(&offer.id).copied().unwrap_or_default();
            let one = Counter {
                merchant: state,
                agreed,
                member,
                taken,
                quantity: 1,
                now,
            };
            let most = offer.admit(&one).map(|()| offer.most_for(taken));
            usable.push(Usable { offer, most });
        }
        Ok(usable)
    }

    /// Makes a member's card; returns it with its number and its PIN.
    pub async fn create_member_card(
        &self,
        call: Call,
        member: Name,
        deadline: Deadline,
    ) -> Result<(Card, MemberCode, Pin), Error> {
        let number = MemberCode::new(Shown::Card, runtime::secret());
        let (pin, hashed) = new_pin().await?;
        let secrets = CardSecrets {
            number: number.hash(),
            pin: hashed,
        };
        let made: Made<Card> = self
            .answered(&call, deadline, async {
                self.stop_if_known(&call).await?;
                let known = self.activity.member(member, deadline).await?;
                let known = known.ok_or(Error::not_found(Resource::Member, member))?;
                if known.is_erased {
                    return Err(Refusal::MemberErased.into());
                }
                let mut tx = self.begin(&call).await?;
                let before = store::card_revoke_all(&mut tx, member).await?;
                let card = Card {
                    community: member.community,
                    id: self.ids.next(),
                    member: member.id,
                    state: CardState::Active,
                    wrong_pins: 0,
                    created_at: self.clock.now(),
                };
                let inserted = store::card_insert(&mut tx, &card, secrets).await;
                inserted.map_err(|error| match runtime::constraint(&error) {
                    // Another card of the member was made in this moment.
                    Some("member_card_one") => Error::Conflict,
                    _ => Error::Store(error),
                })?;
                let mut news = News::of_card(CardChange::Created, &card, self.ids.next());
                let revoked = before.iter();
                let revoked = revoked.map(|card| NewEvent::of_card(CardChange::Revoked, card));
                news.events.splice(..0, revoked);
                let hash = secrets.number.0;
                self.finish(tx, &call, Made { hash, what: card }, news)
                    .await
            })
            .await?;
        let name = Name {
            id: made.what.id,
            ..member
        };
        if made.hash != secrets.number.0 {
            let mut tx = self.pool.begin().await?;
            store::card_set_secrets(&mut tx, name, secrets).await?;
            let news = News::of_card(CardChange::PinReset, &made.what, self.ids.next());
            self.commit(tx, name.community, &news).await?;
        }
        Ok((self.find_card(name).await?, number, pin))
    }

    /// Gives a card a new PIN and lets it count again.
    pub async fn reset_member_card_pin(&self, call: Call, name: Name) -> Result<Pin, Error> {
        let (pin, hashed) = new_pin().await?;
        let made: Made<()> = self
            .answered(&call, Deadline::default(), async {
                let mut tx = self.begin(&call).await?;
                let card = store::card_lock(&mut tx, name).await?;
                let card = card
                    .ok_or(Error::not_found(Resource::MemberCard, name))?
                    .reset()?;
                store::card_update(&mut tx, &card).await?;
                store::card_set_pin(&mut tx, name, hashed).await?;
                let hash = hashed.hash;
                let news = News::of_card(CardChange::PinReset, &card, self.ids.next());
                self.finish(tx, &call, Made { hash, what: () }, news).await
            })
            .await?;
        if made.hash != hashed.hash {
            let mut tx = self.pool.begin().await?;
            let card = store::card_lock(&mut tx, name).await?;
            let card = card
                .ok_or(Error::not_found(Resource::MemberCard, name))?
                .reset()?;
            store::card_update(&mut tx, &card).await?;
            store::card_set_pin(&mut tx, name, hashed).await?;
            let news = News::of_card(CardChange::PinReset, &card, self.ids.next());
            self.commit(tx, name.community, &news).await?;
        }
        Ok(pin)
    }

    /// Ends a card for good.
    pub async fn revoke_member_card(&self, call: Call, name: Name) -> Result<Card, Error> {
        self.answered(&call, Deadline::default(), async {
            let mut tx = self.begin(&call).await?;
            let card = store::card_lock(&mut tx, name).await?;
            let card = card
                .ok_or(Error::not_found(Resource::MemberCard, name))?
                .revoke()?;
            store::card_update(&mut tx, &card).await?;
            let news = News::of_card(CardChange::Revoked, &card, self.ids.next());
            self.finish(tx, &call, card, news).await
        })
        .await
    }

    /// Returns a card, if it is there.
    pub async fn find_member_card(&self, name: Name) -> Result<Option<Card>, Error> {
        Ok(store::card_find(&self.pool, name).await?)
    }

    async fn find_card(&self, name: Name) -> Result<Card, Error> {
        let found = self.find_member_card(name).await?;
        found.ok_or(Error::not_found(Resource::MemberCard, name))
    }

    /// Lists a member's cards by id.
    pub async fn list_member_cards(
        &self,
        member: Name,
        page: Page<Uuid>,
    ) -> Result<Vec<Card>, Error> {
        Ok(store::card_list(&self.pool, member, page).await?)
    }

    /// Returns a handle, if it is there.
    pub async fn find_member_handle(&self, name: Name) -> Result<Option<Handle>, Error> {
        Ok(store::handle_find(&self.pool, name).await?)
    }
}

impl Usable {
    /// The same for a member who can spend so much.
    fn paid_from(self, available: i64) -> Self {
        let price = self.offer.points;
        let most = self
            .most
            .and_then(|most| match most.min(available / price) {
                1.. => Ok(most.min(available / price)),
                _ => Err(Refusal::InsufficientPoints {
                    needed: price,
                    available: Some(available),
                }),
            });
        Self { most, ..self }
    }
}

async fn new_pin() -> Result<(Pin, PinHash), Error> {
    let pin = Pin::new(runtime::secret());
    let random = runtime::secret();
    let salt = std::array::from_fn(|index| random[index]);
    let same = pin.clone();
    let hashed = worked(move || same.hash(salt)).await?;
    Ok((pin, hashed))
}

/// Does what takes a while where it keeps nobody waiting.
async fn worked<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Broken(format!("a PIN: {error}")))
}
