//! Whose offers and redemptions are: it never changes, so what was read once is kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use uuid::Uuid;

use crate::{
    Error, Redemption,
    domain::{self, Name},
};

/// With so many, all are forgotten and read again.
const MANY: usize = 100_000;

/// Who has a part in something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owners {
    /// The merchant who gives.
    pub merchant: Uuid,
    /// The member who takes; nobody yet of an offer.
    pub member: Option<Uuid>,
}

impl Owners {
    fn of(redemption: &domain::Redemption) -> Self {
        Self {
            merchant: redemption.merchant,
            member: Some(redemption.member),
        }
    }
}

/// What something is. Callers choose the ids of both, so an id alone says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Offer,
    Redemption,
}

/// By community, kind and id.
type Known = HashMap<(Uuid, Of, Uuid), Owners>;

/// What is known of owners. Clones share everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownOwners(Arc<Mutex<Known>>);

impl KnownOwners {
    /// Keeps whose a redemption is that the ledger knows.
    pub fn keep_redemption(&self, redemption: &domain::Redemption) {
        let owners = Owners::of(redemption);
        self.keep(
            (redemption.community, Of::Redemption, redemption.id),
            owners,
        );
    }

    fn keep(&self, of: (Uuid, Of, Uuid), owners: Owners) -> Owners {
        let mut known = self.0.lock().expect("no holder of this lock panics");
        if known.len() >= MANY {
            known.clear();
        }
        known.insert(of, owners);
        owners
    }

    fn find(&self, of: (Uuid, Of, Uuid)) -> Option<Owners> {
        let known = self.0.lock().expect("no holder of this lock panics");
        known.get(&of).copied()
    }
}

impl Redemption {
    /// Whose an offer is, if it is there.
    pub(crate) async fn owners_of_offer(&self, name: Name) -> Result<Option<Owners>, Error> {
        let of = (name.community, Of::Offer, name.id);
        if let Some(owners) = self.owners.find(of) {
            return Ok(Some(owners));
        }
        let offer = self.find_offer(name).await?;
        Ok(offer.map(|offer| {
            let owners = Owners {
                merchant: offer.merchant,
                member: None,
            };
            self.owners.keep(of, owners)
        }))
    }

    /// Whose a redemption is, if it is there. One that waits for the ledger may still go, so it is not kept.
    pub(crate) async fn owners_of_redemption(&self, name: Name) -> Result<Option<Owners>, Error> {
        let of = (name.community, Of::Redemption, name.id);
        if let Some(owners) = self.owners.find(of) {
            return Ok(Some(owners));
        }
        let redemption = self.find_redemption(name).await?;
        Ok(redemption.map(|redemption| Owners::of(&redemption)))
    }
}
