//! The Merkle tree of RFC 6962: leaf hash SHA-256(0x00 ‖ leaf), node SHA-256(0x01 ‖ left ‖ right), kept in tiles as in C2SP
//! tlog-tiles.
//!
//! Level `l` of the tiles has one hash for every 256^l leaves, 256 hashes a tile. [`Frontier`] is the right edge of a tree: it takes new
//! leaves, tells the root, and says which tiles changed. [`Plan`] says which tiles a proof needs, at most a few for each level, and
//! puts the proof together from them. [`verify_inclusion`] and [`verify_consistency`] are what the other side does; they need no tile.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// Hashes in a full tile.
pub const TILE: usize = 256;
const TILE_BITS: u32 = 8;

/// The hash of a leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(leaf)
        .finalize()
        .into()
}

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let node = Sha256::new().chain_update([1]);
    node.chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root of the tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The head of a chain after one more record; it begins with 32 zero bytes.
pub fn chain(head: &Hash, record: &[u8]) -> Hash {
    let link = Sha256::new().chain_update([2]);
    link.chain_update(head)
        .chain_update(record)
        .finalize()
        .into()
}

/// Where a tile is: its level and its index within the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// Each hash stands for 256^level leaves.
    pub level: u32,
    /// 0, 1, 2 …
    pub index: u64,
}

/// The tiles at the right edge of a tree of a size: those that still grow.
pub fn edge(size: u64) -> Vec<TileId> {
    let levels = (0..8).map(|level| (level, size >> (TILE_BITS * level)));
    levels
        .take_while(|(_, hashes)| *hashes > 0)
        .filter(|(_, hashes)| hashes % TILE as u64 != 0)
        .map(|(level, hashes)| TileId {
            level,
            index: hashes >> TILE_BITS,
        })
        .collect()
}

/// The right edge of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// By level: the last tile while it is not full.
    levels: Vec<Vec<Hash>>,
}

impl Frontier {
    /// The edge of a tree of a size, from its tiles; `None` when one is missing or too short. What is in a tile beyond the size
    /// is left out.
    pub fn load(size: u64, tiles: &HashMap<TileId, Vec<Hash>>) -> Option<Self> {
        let depth = (0..8).take_while(|level| size >> (TILE_BITS * level) > 0);
        let mut levels = vec![Vec::new(); depth.count()];
        for id in edge(size) {
            let count = usize::try_from(size >> (TILE_BITS * id.level)).ok()? % TILE;
            let hashes = tiles.get(&id)?.get(..count)?;
            levels[usize::try_from(id.level).ok()?] = hashes.to_vec();
        }
        Some(Self { size, levels })
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; calls `full` with each tile that it fills.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(TileId, &[Hash])) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            let at = usize::try_from(level).expect("a tree has few levels");
            if self.levels.len() == at {
                self.levels.push(Vec::with_capacity(TILE));
            }
            let tile = &mut self.levels[at];
            tile.push(hash);
            if tile.len() < TILE {
                return;
            }
            let index = (self.size >> (TILE_BITS * (level + 1))) - 1;
            full(TileId { level, index }, tile);
            hash = perfect(tile);
            tile.clear();
        }
    }

    /// The tiles that are not full.
    pub fn partial(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        let levels = (0_u32..).zip(&self.levels);
        levels
            .filter(|(_, tile)| !tile.is_empty())
            .map(|(level, tile)| {
                let index = self.size >> (TILE_BITS * (level + 1));
                (TileId { level, index }, &tile[..])
            })
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for tile in &self.levels {
            // The peaks of a level are the perfect trees of its binary digits, the smallest at the right.
            let mut end = tile.len();
            for bit in 0..TILE_BITS {
                let width = 1 << bit;
                if tile.len() & width != 0 {
                    let peak = perfect(&tile[end - width..end]);
                    root = Some(root.map_or(peak, |right| node_hash(&peak, &right)));
                    end -= width;
                }
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// The root over a power of two of hashes.
fn perfect(hashes: &[Hash]) -> Hash {
    match hashes {
        [hash] => *hash,
        hashes => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&perfect(left), &perfect(right))
        }
    }
}

/// A perfect subtree: `width` leaves, a power of two, from `start`, a multiple of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subtree {
    start: u64,
    width: u64,
}

impl Subtree {
    /// The tile that has its hash or the hashes to make it from, and where they are in it.
    fn place(self) -> (TileId, std::ops::Range<usize>) {
        let level = self.width.trailing_zeros() / TILE_BITS;
        let unit = TILE_BITS * level;
        let first = self.start >> unit;
        let offset = usize::try_from(first % TILE as u64).expect("less than a tile");
        let count = usize::try_from(self.width >> unit).expect("at most half a tile");
        let id = TileId {
            level,
            index: first >> TILE_BITS,
        };
        (id, offset..offset + count)
    }
}

/// A proof yet to be put together: each of its hashes is the root over some neighbouring leaves.
#[derive(Clone, Debug, Default)]
pub struct Plan(Vec<Vec<Subtree>>);

impl Plan {
    /// The audit path of the leaf at `index` in the tree of `size` leaves; the index is below the size.
    pub fn inclusion(index: u64, size: u64) -> Self {
        let mut plan = Self::default();
        plan.path(index, 0, size);
        plan
    }

    /// The proof that the tree of `old` leaves is the beginning of that of `new`, which is not smaller.
    pub fn consistency(old: u64, new: u64) -> Self {
        let mut plan = Self::default();
        if old > 0 && old < new {
            plan.subproof(old, 0, new, true);
        }
        plan
    }

    fn path(&mut self, index: u64, start: u64, end: u64) {
        if end - start == 1 {
            return;
        }
        let middle = start + split(end - start);
        if index < middle {
            self.path(index, start, middle);
            self.add(middle, end);
        } else {
            self.path(index, middle, end);
            self.add(start, middle);
        }
    }

    fn subproof(&mut self, old: u64, start: u64, end: u64, is_whole: bool) {
        if old == end {
            if !is_whole {
                self.add(start, end);
            }
            return;
        }
        let middle = start + split(end - start);
        if old <= middle {
            self.subproof(old, start, middle, is_whole);
            self.add(middle, end);
        } else {
            self.subproof(old, middle, end, false);
            self.add(start, middle);
        }
    }

    /// One more hash: the root over the leaves from `start` to `end`.
    fn add(&mut self, mut start: u64, end: u64) {
        let mut parts = Vec::new();
        while start < end {
            let width = 1 << (end - start).ilog2();
            parts.push(Subtree { start, width });
            start += width;
        }
        self.0.push(parts);
    }

    /// The tiles it needs.
    pub fn tiles(&self) -> BTreeSet<TileId> {
        self.0.iter().flatten().map(|part| part.place().0).collect()
    }

    /// The proof; `None` when a tile is missing or too short.
    pub fn build(&self, tiles: &HashMap<TileId, Vec<Hash>>) -> Option<Vec<Hash>> {
        let hash = |part: &Subtree| {
            let (id, range) = part.place();
            Some(perfect(tiles.get(&id)?.get(range)?))
        };
        let over = |parts: &Vec<Subtree>| {
            let hashes: Option<Vec<Hash>> = parts.iter().map(hash).collect();
            hashes?
                .into_iter()
                .rev()
                .reduce(|right, left| node_hash(&left, &right))
        };
        self.0.iter().map(over).collect()
    }
}

/// The largest power of two below a number above 1.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// Whether a path leads from a leaf's hash to a root (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for step in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the tree with one root is the beginning of the tree with another (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (first, rest) = match (old_size.is_power_of_two(), proof) {
        (true, rest) => (old_root, rest),
        (false, [first, rest @ ..]) => (first, rest),
        (false, []) => return false,
    };
    let (mut older, mut newer) = (*first, *first);
    for step in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            older = node_hash(step, &older);
            newer = node_hash(step, &newer);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            newer = node_hash(&newer, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && older == *old_root && newer == *new_root
}
