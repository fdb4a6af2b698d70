//! The sealer: extends a community's tree and chains and signs the new head.

use std::{collections::HashMap, sync::Arc, time::Duration};

use runtime::{Progress, spawn_worker};
use sqlx::PgConnection;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    FreshLeaves, leaf,
    note::{ChainHead, Checkpoint, Signer},
    tree::{self, Frontier, Hash, TileId},
    unsigned,
};
use crate::{
    Error, Ledger,
    domain::CommunityId,
    store::{self, CheckpointRow, EntryQuery, JournalEnds},
};

/// How often the sealer looks.
const EVERY: Duration = Duration::from_secs(1);
/// How many records one checkpoint reads at most of each kind.
const BATCH: i64 = 8_192;
/// How many entries that this process has just posted one checkpoint adds, and hardly more.
const FRESH: usize = 65_536;

impl Ledger {
    /// The same ledger, which also seals its journals with this key.
    pub fn with_signer(mut self, signer: Signer) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// Seals what was committed since the last checkpoint, all of it unless another replica is at it. Does nothing without a key.
    pub async fn seal(&self, community: CommunityId) -> Result<(), Error> {
        while self.seal_some(community).await? == Progress::More {}
        Ok(())
    }

    async fn seal_some(&self, community: CommunityId) -> Result<Progress, Error> {
        let Some(signer) = &self.signer else {
            return Ok(Progress::Idle);
        };
        let mut tx = self.pool.begin().await?;
        // The lock is its own statement: what is read after it is what the last sealer committed.
        if !store::sealer_lock(&mut tx, community).await? {
            return Ok(Progress::Idle);
        }
        let Some(ends) = store::journal_ends(&mut tx, community).await? else {
            return Ok(Progress::Idle);
        };
        let last = store::checkpoint_find(&mut tx, community, None).await?;
        let changed = |what| Error::HistoryChanged { community, what };
        let mut seal = Seal::load(&mut tx, community, last.as_ref())
            .await?
            .ok_or_else(|| changed("the tiles do not give the root of the last checkpoint"))?;
        if seal.is_behind(&ends) {
            return Err(changed("the journal is shorter than its last checkpoint"));
        }
        let before = seal.head();
        let whole = seal.extend(&mut tx, &self.fresh, &ends).await?;
        let head = seal.head();
        if !whole {
            return Err(changed("rows are missing from the journal"));
        }
        if last.is_some() && head == before {
            return Ok(Progress::Idle);
        }
        store::tiles_upsert(&mut tx, community, &seal.tiles()).await?;
        let row = CheckpointRow {
            number: last.map_or(1, |last| last.number + 1),
            size: head.size,
            root: head.root.to_vec(),
            definitions: head.definitions.count,
            definitions_hash: head.definitions.hash.to_vec(),
            refusals: head.refusals.count,
            refusals_hash: head.refusals.hash.to_vec(),
            note: signer.sign(&head.text()),
            signed_at: self.clock.now(),
        };
        store::checkpoint_insert(&mut tx, community, &row).await?;
        tx.commit().await?;
        let complete = head.size >= ends.sequence
            && head.definitions.count == ends.definition
            && head.refusals.count == ends.refusal;
        Ok(if complete {
            Progress::Idle
        } else {
            Progress::More
        })
    }

    /// Starts the sealer, if there is a key.
    pub(crate) fn spawn_sealer(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        if self.signer.is_none() {
            return;
        }
        let ledger = self.clone();
        let seal = move || {
            let ledger = ledger.clone();
            async move { ledger.seal_all().await }
        };
        let (clock, nudge) = (self.clock.clone(), self.unsealed.clone());
        spawn_worker(
            tasks,
            stop.clone(),
            clock,
            EVERY,
            nudge,
            "ledger sealer",
            seal,
        );
    }

    async fn seal_all(&self) -> Result<Progress, anyhow::Error> {
        let communities = store::communities_unsealed(&mut *self.pool.acquire().await?).await?;
        for community in communities {
            match self.seal(community).await {
                // The other communities must not wait for this one.
                Err(error @ Error::HistoryChanged { .. }) => {
                    tracing::error!(community.id = %community.0, "{error}; run `linli verify`");
                }
                sealed => sealed?,
            }
        }
        Ok(Progress::Idle)
    }
}

/// A tree and two chains that grow.
struct Seal {
    community: CommunityId,
    tree: Frontier,
    full: HashMap<TileId, Vec<Hash>>,
    definitions: ChainHead,
    refusals: ChainHead,
}

impl Seal {
    /// What the last checkpoint covers; `None` when the tiles do not say the same.
    async fn load(
        conn: &mut PgConnection,
        community: CommunityId,
        last: Option<&CheckpointRow>,
    ) -> Result<Option<Self>, Error> {
        let mut seal = Self {
            community,
            tree: Frontier::default(),
            full: HashMap::new(),
            definitions: ChainHead::default(),
            refusals: ChainHead::default(),
        };
        let Some(last) = last else {
            return Ok(Some(seal));
        };
        let size = unsigned(last.size);
        let tiles = store::tiles_find(conn, community, tree::edge(size)).await?;
        let head = |count, hash: &[u8]| {
            Some(ChainHead {
                count,
                hash: hash.try_into().ok()?,
            })
        };
        let definitions = head(last.definitions, &last.definitions_hash);
        let refusals = head(last.refusals, &last.refusals_hash);
        let tree = Frontier::load(size, &tiles).filter(|tree| tree.root()[..] == last.root);
        let (Some(tree), Some(definitions), Some(refusals)) = (tree, definitions, refusals) else {
            return Ok(None);
        };
        seal = Self {
            tree,
            definitions,
            refusals,
            ..seal
        };
        Ok(Some(seal))
    }

    fn is_behind(&self, ends: &JournalEnds) -> bool {
        unsigned(ends.sequence) < self.tree.size()
            || ends.definition < self.definitions.count
            || ends.refusal < self.refusals.count
    }

    fn size(&self) -> i64 {
        i64::try_from(self.tree.size()).expect("a sequence fits 63 bits")
    }

    fn head(&self) -> Checkpoint {
        Checkpoint {
            community: self.community,
            size: self.size(),
            root: self.tree.root(),
            definitions: self.definitions,
            refusals: self.refusals,
        }
    }

    /// Takes in what follows, at most a batch of each; false when a row is missing.
    async fn extend(
        &mut self,
        conn: &mut PgConnection,
        fresh: &FreshLeaves,
        ends: &JournalEnds,
    ) -> Result<bool, Error> {
        let community = self.community;
        let mut whole = self.extend_tree(conn, fresh, ends.sequence).await?;
        let limit = BATCH.min(ends.definition - self.definitions.count);
        let after = self.definitions.count;
        for definition in store::definitions_after(conn, community, after, limit).await? {
            whole &= definition.number == self.definitions.count + 1;
            self.definitions
                .push(&leaf::encode_definition(community, &definition));
        }
        whole &= self.definitions.count == after + limit;
        let limit = BATCH.min(ends.refusal - self.refusals.count);
        let after = self.refusals.count;
        for refusal in store::refusals_after(conn, community, after, limit).await? {
            whole &= refusal.number == self.refusals.count + 1;
            self.refusals
                .push(&leaf::encode_refusal(community, &refusal));
        }
        whole &= self.refusals.count == after + limit;
        Ok(whole)
    }

    /// Takes in entries up to `last`, at most a batch of them; false when one is missing.
    async fn extend_tree(
        &mut self,
        conn: &mut PgConnection,
        fresh: &FreshLeaves,
        last: i64,
    ) -> Result<bool, Error> {
        let size = self.size();
        let leaves = fresh.take(self.community, size, FRESH);
        // Whoever lost commits of this process, as a standby that took over, has another entry there.
        if let Some(leaf) = leaves.last()
            && self.leaves(conn, size + count(&leaves) - 1, 1).await? == [*leaf]
        {
            leaves.into_iter().for_each(|leaf| self.push(leaf));
            return Ok(true);
        }
        let limit = BATCH.min(last - size);
        let leaves = self.leaves(conn, size, limit).await?;
        let is_whole = count(&leaves) == limit;
        leaves.into_iter().for_each(|leaf| self.push(leaf));
        Ok(is_whole)
    }

    /// The leaves of the entries behind `after`, as far as the journal has them without a gap.
    async fn leaves(
        &self,
        conn: &mut PgConnection,
        after: i64,
        limit: i64,
    ) -> sqlx::Result<Vec<Hash>> {
        let query = EntryQuery {
            after,
            limit,
            ..EntryQuery::default()
        };
        let entries = store::entry_list(conn, self.community, query).await?;
        let dense = (after + 1..).zip(&entries);
        Ok(dense
            .take_while(|(sequence, entry)| entry.sequence == *sequence)
            .map(|(_, entry)| tree::leaf_hash(&leaf::encode_entry(self.community, entry)))
            .collect())
    }

    fn push(&mut self, leaf: Hash) {
        let full = &mut self.full;
        self.tree.push(leaf, |id, hashes| {
            full.insert(id, hashes.to_vec());
        });
    }

    /// The tiles that changed, and some that did not.
    fn tiles(&self) -> HashMap<TileId, Vec<Hash>> {
        let mut tiles = self.full.clone();
        tiles.extend(
            self.tree
                .partial()
                .map(|(id, hashes)| (id, hashes.to_vec())),
        );
        tiles
    }
}

fn count(leaves: &[Hash]) -> i64 {
    i64::try_from(leaves.len()).expect("a batch is small")
}
