//! The tree, its tiles and the checkpoints, while the entries go by.
//!
//! Two trees grow side by side: one of the entries' own leaves, one of the leaves that the tiles keep. Where they part, a checkpoint tells
//! which of the two was signed, and so whether the entry was changed or the tile.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::{PAGE, Report, Verification};
use crate::{
    Error,
    domain::{CommunityId, Entry},
    proof::{
        Checkpoint, Verifier, leaf,
        tree::{Frontier, Hash, TILE, TileId, leaf_hash},
    },
    store::{self, CheckpointRow},
};

pub struct Seals {
    community: CommunityId,
    key: Option<Verifier>,
    /// Kept outside, by size.
    kept: BTreeMap<i64, Vec<Hash>>,
    /// How many entries the last checkpoint covers.
    sealed_size: u64,
    own: Frontier,
    sealed: Frontier,
    /// The lowest tile that the next leaves are in.
    tile: Vec<Hash>,
    /// Entries whose leaf is not the tile's, since the last checkpoint.
    suspects: Vec<u64>,
    checkpoints: Vec<CheckpointRow>,
    last: Option<CheckpointRow>,
}

impl Seals {
    pub async fn new(
        conn: &mut PgConnection,
        community: CommunityId,
        asked: &Verification,
        report: &mut Report<'_>,
    ) -> Result<Self, Error> {
        let newest = store::checkpoint_find(conn, community, None).await?;
        let mut kept = BTreeMap::<i64, Vec<Hash>>::new();
        for checkpoint in asked.kept.iter().filter(|kept| kept.community == community) {
            kept.entry(checkpoint.size)
                .or_default()
                .push(checkpoint.root);
        }
        let mut seals = Self {
            community,
            key: asked.key.clone(),
            kept,
            sealed_size: newest.map_or(0, |newest| u64::try_from(newest.size).unwrap_or(0)),
            own: Frontier::default(),
            sealed: Frontier::default(),
            tile: Vec::new(),
            suspects: Vec::new(),
            checkpoints: Vec::new(),
            last: None,
        };
        seals.compare(conn, report).await?;
        Ok(seals)
    }

    /// How many checkpoints there were.
    pub fn count(&self) -> u64 {
        let last = self.last.as_ref().map_or(0, |last| last.number);
        u64::try_from(last).unwrap_or(0)
    }

    /// The next entry.
    pub async fn entry(
        &mut self,
        conn: &mut PgConnection,
        entry: &Entry,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let Ok(index) = u64::try_from(entry.sequence - 1) else {
            return Ok(());
        };
        // Where entries are missing the tiles still have their leaves.
        while self.own.size() < index.min(self.sealed_size) {
            self.push(conn, None, report).await?;
        }
        if self.own.size() == index {
            let leaf = leaf_hash(&leaf::encode_entry(self.community, entry));
            self.push(conn, Some(leaf), report).await?;
        }
        Ok(())
    }

    /// After the last entry.
    pub async fn end(
        &mut self,
        conn: &mut PgConnection,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let size = self.own.size();
        if size < self.sealed_size {
            let key = format!("{} to {}", size + 1, self.sealed_size);
            report.differs("entry", key, "the rows", "as a checkpoint covers", "none");
            while self.own.size() < self.sealed_size {
                self.push(conn, None, report).await?;
            }
        }
        for (size, _) in std::mem::take(&mut self.kept) {
            let key = format!("up to {size}");
            report.differs(
                "entry",
                key,
                "the rows",
                "as a kept checkpoint covers",
                "fewer",
            );
        }
        if let Some(next) = self.checkpoints.last() {
            report.differs(
                "checkpoint",
                next.number,
                "size",
                "none smaller than before",
                next.size,
            );
        }
        self.report_suspects(report, "tile");
        self.tiles_end(conn, report).await
    }

    async fn push(
        &mut self,
        conn: &mut PgConnection,
        leaf: Option<Hash>,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let index = self.own.size();
        let place = usize::try_from(index % TILE as u64).expect("less than a tile");
        if place == 0 && index < self.sealed_size {
            let id = TileId {
                level: 0,
                index: index / TILE as u64,
            };
            self.tile = self.tile(conn, id).await?;
            let count = (self.sealed_size - index).min(TILE as u64);
            let found = u64::try_from(self.tile.len()).unwrap_or(u64::MAX);
            report.compare("tile", tile_key(id), "the number of hashes", &count, &found);
        }
        let stored = self
            .tile
            .get(place)
            .copied()
            .filter(|_| index < self.sealed_size);
        let Some(own) = leaf.or(stored) else {
            // Neither entry nor hash: both are reported, and nothing more can be said of the tree.
            self.sealed_size = self.own.size();
            return Ok(());
        };
        let stored = stored.unwrap_or(own);
        if stored != own {
            self.suspects.push(index + 1);
        }
        let mut full = HashMap::<TileId, Vec<Vec<Hash>>>::new();
        for (tree, leaf) in [(&mut self.own, own), (&mut self.sealed, stored)] {
            tree.push(leaf, |id, hashes| {
                full.entry(id).or_default().push(hashes.to_vec())
            });
        }
        if index < self.sealed_size {
            for (id, versions) in full.into_iter().filter(|(id, _)| id.level > 0) {
                let found = self.tile(conn, id).await?;
                if !versions.contains(&found) {
                    report.differs(
                        "tile",
                        tile_key(id),
                        "hashes",
                        "those of the tiles below",
                        "others",
                    );
                }
            }
        }
        self.compare(conn, report).await
    }

    /// Compares with the checkpoints of just this size.
    async fn compare(
        &mut self,
        conn: &mut PgConnection,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let size = i64::try_from(self.own.size()).unwrap_or(i64::MAX);
        loop {
            if self.checkpoints.is_empty() {
                let after = self.last.as_ref().map_or(i64::MIN, |last| last.number);
                let next = store::checkpoints_after(conn, self.community, after, PAGE).await?;
                self.checkpoints = next;
                self.checkpoints.reverse();
            }
            let Some(next) = self.checkpoints.pop_if(|next| next.size <= size) else {
                break;
            };
            self.check_row(&next, report);
            if next.size == size {
                self.check_root(&next, report);
            } else {
                report.differs(
                    "checkpoint",
                    next.number,
                    "size",
                    format!("{size} or more"),
                    next.size,
                );
            }
            self.last = Some(next);
        }
        if let Some(roots) = self.kept.remove(&size) {
            let own = self.own.root();
            for root in roots
                .iter()
                .filter(|root| **root != own && **root != self.sealed.root())
            {
                let what = "the root of a kept checkpoint";
                report.differs("entry", format!("1 to {size}"), what, hex(root), hex(&own));
            }
        }
        Ok(())
    }

    fn check_row(&self, row: &CheckpointRow, report: &mut Report<'_>) {
        let before = self.last.as_ref().map_or(0, |last| last.number);
        if row.number != before + 1 {
            report.missing(
                "checkpoint",
                format!("{} to {}", before + 1, row.number - 1),
            );
        }
        let hash = |bytes: &[u8]| Hash::try_from(bytes).unwrap_or_default();
        let read = match &self.key {
            Some(key) => key.open(&row.note).map(Checkpoint::parse),
            None => Checkpoint::read_unverified(&row.note).map(Some),
        };
        let read = match read {
            Err(why) => {
                return report.differs(
                    "checkpoint",
                    row.number,
                    "note",
                    "a note signed with the key",
                    why,
                );
            }
            Ok(None) => {
                return report.differs(
                    "checkpoint",
                    row.number,
                    "note",
                    "a checkpoint",
                    "another text",
                );
            }
            Ok(Some(read)) => read,
        };
        let n = row.number;
        report.compare(
            "checkpoint",
            n,
            "the note's community",
            &self.community,
            &read.community,
        );
        report.compare("checkpoint", n, "size", &read.size, &row.size);
        report.compare("checkpoint", n, "root", &read.root, &hash(&row.root));
        report.compare(
            "checkpoint",
            n,
            "definitions",
            &read.definitions.count,
            &row.definitions,
        );
        let chain = hash(&row.definitions_hash);
        report.compare(
            "checkpoint",
            n,
            "definitions_hash",
            &read.definitions.hash,
            &chain,
        );
        report.compare(
            "checkpoint",
            n,
            "refusals",
            &read.refusals.count,
            &row.refusals,
        );
        report.compare(
            "checkpoint",
            n,
            "refusals_hash",
            &read.refusals.hash,
            &hash(&row.refusals_hash),
        );
    }

    fn check_root(&mut self, row: &CheckpointRow, report: &mut Report<'_>) {
        if self.own.root()[..] == row.root {
            self.report_suspects(report, "tile");
            self.sealed = self.own.clone();
        } else if self.sealed.root()[..] == row.root {
            self.report_suspects(report, "entry");
            self.own = self.sealed.clone();
        } else {
            self.report_suspects(report, "entry");
            report.differs(
                "checkpoint",
                row.number,
                "root",
                hex(&self.own.root()),
                hex(&row.root),
            );
        }
    }

    /// The entries or the tiles, whichever is not what was signed.
    fn report_suspects(&mut self, report: &mut Report<'_>, table: &'static str) {
        for sequence in std::mem::take(&mut self.suspects) {
            let id = TileId {
                level: 0,
                index: (sequence - 1) / TILE as u64,
            };
            match table {
                "entry" => report.differs(
                    "entry",
                    sequence,
                    "the leaf",
                    "the one that was sealed",
                    "another",
                ),
                table => {
                    let what = format!("the hash of entry {sequence}");
                    report.differs(table, tile_key(id), &what, "the entry's", "another");
                }
            }
        }
    }

    /// The tiles that still grow, and tiles that should not be there.
    async fn tiles_end(
        &self,
        conn: &mut PgConnection,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        if self.own.size() == self.sealed_size {
            let both = self.own.partial().chain(self.sealed.partial());
            let mut expected = BTreeMap::<TileId, Vec<Vec<Hash>>>::new();
            for (id, hashes) in both.filter(|(id, _)| id.level > 0) {
                expected.entry(id).or_default().push(hashes.to_vec());
            }
            for (id, versions) in expected {
                if !versions.contains(&self.tile(conn, id).await?) {
                    report.differs(
                        "tile",
                        tile_key(id),
                        "hashes",
                        "those of the tiles below",
                        "others",
                    );
                }
            }
        }
        for level in 0..8 {
            let hashes = self.sealed_size >> (8 * level);
            let index = hashes.div_ceil(TILE as u64);
            let mut first = TileId { level, index };
            while let Some(index) = store::tile_from(conn, self.community, first).await? {
                first.index = u64::try_from(index).unwrap_or(0);
                report.unexpected("tile", tile_key(first));
                first.index += 1;
            }
        }
        Ok(())
    }

    async fn tile(&self, conn: &mut PgConnection, id: TileId) -> Result<Vec<Hash>, Error> {
        let mut found = store::tiles_find(conn, self.community, [id]).await?;
        Ok(found.remove(&id).unwrap_or_default())
    }
}

fn tile_key(id: TileId) -> String {
    format!("level {}, index {}", id.level, id.index)
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
