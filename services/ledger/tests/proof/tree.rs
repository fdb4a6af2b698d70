//! The tree against RFC 6962, and against an implementation that follows its text word by word.

use std::collections::HashMap;

use ledger::proof::tree::{
    Frontier, Hash, Plan, TILE, TileId, edge, empty_root, leaf_hash, node_hash, verify_consistency,
    verify_inclusion,
};
use proptest::prelude::*;

use crate::world::hex;

/// MTH of RFC 6962, 2.1.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        leaves => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH of RFC 6962, 2.1.1.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return vec![];
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, other) = if index < left.len() {
        (naive_path(index, left), right)
    } else {
        (naive_path(index - left.len(), right), left)
    };
    path.push(naive_root(other));
    path
}

/// SUBPROOF of RFC 6962, 2.1.2.
fn naive_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole {
            vec![]
        } else {
            vec![naive_root(leaves)]
        };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if old <= left.len() {
        let mut proof = naive_subproof(old, left, whole);
        proof.push(naive_root(right));
        proof
    } else {
        let mut proof = naive_subproof(old - left.len(), right, false);
        proof.push(naive_root(left));
        proof
    }
}

fn split(count: usize) -> usize {
    let mut power = 1;
    while power * 2 < count {
        power *= 2;
    }
    power
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count)
        .map(|index| leaf_hash(&index.to_be_bytes()))
        .collect()
}

/// A tree with all its tiles.
#[derive(Default)]
struct Tiled {
    edge: Frontier,
    tiles: HashMap<TileId, Vec<Hash>>,
}

impl Tiled {
    fn of(leaves: &[Hash]) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(*leaf);
        }
        tree
    }

    fn push(&mut self, leaf: Hash) {
        let tiles = &mut self.tiles;
        self.edge.push(leaf, |id, hashes| {
            tiles.insert(id, hashes.to_vec());
        });
        for (id, hashes) in self.edge.partial() {
            tiles.insert(id, hashes.to_vec());
        }
    }
}

#[test]
fn the_roots_are_those_of_the_published_vectors() {
    let inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Frontier::default();
    assert_eq!(
        hex(&tree.root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    for (input, root) in inputs.iter().zip(roots) {
        let bytes: Vec<u8> = (0..input.len() / 2)
            .map(|at| u8::from_str_radix(&input[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        tree.push(leaf_hash(&bytes), |_, _| {});
        assert_eq!(hex(&tree.root()), root);
    }
}

#[test]
fn every_inclusion_proof_of_every_size_to_300_is_the_naive_one_and_holds() {
    let all = leaves(300);
    let mut tree = Tiled::default();
    for size in 1..=all.len() {
        tree.push(all[size - 1]);
        let root = naive_root(&all[..size]);
        assert_eq!(tree.edge.root(), root, "size {size}");
        let loaded = Frontier::load(size as u64, &tree.tiles).unwrap();
        assert_eq!(loaded.root(), root);
        // All indexes of small trees, the edges of tiles and some more of large ones.
        let step = if size <= 40 { 1 } else { 17 };
        for index in (0..size).step_by(step).chain([size - 1]) {
            let plan = Plan::inclusion(index as u64, size as u64);
            let path = plan.build(&tree.tiles).unwrap();
            assert_eq!(path, naive_path(index, &all[..size]), "{index} of {size}");
            assert!(verify_inclusion(
                &all[index],
                index as u64,
                size as u64,
                &path,
                &root
            ));
        }
    }
}

#[test]
fn every_consistency_proof_between_sizes_is_the_naive_one_and_holds() {
    let all = leaves(300);
    let tree = Tiled::of(&all);
    let roots: Vec<Hash> = (0..=all.len())
        .map(|size| naive_root(&all[..size]))
        .collect();
    for new in (1..=40).chain([255, 256, 257, 299, 300]) {
        for old in (0..=new).filter(|old| new <= 40 || old % 13 < 2 || *old == 256) {
            let proof = Plan::consistency(old as u64, new as u64)
                .build(&tree.tiles)
                .unwrap();
            if old > 0 {
                assert_eq!(
                    proof,
                    naive_subproof(old, &all[..new], true),
                    "{old} to {new}"
                );
            }
            let (older, newer) = ((old as u64, &roots[old]), (new as u64, &roots[new]));
            assert!(verify_consistency(older, newer, &proof), "{old} to {new}");
            let other = (old as u64, &roots[if old == 7 { 8 } else { 7 }]);
            assert!(!verify_consistency(other, newer, &proof), "{old} to {new}");
        }
    }
}

#[test]
fn a_proof_needs_two_tiles_a_level() {
    let size = 300 << 16;
    for index in [0, 255, 256, 70_000, size - 1] {
        assert!(Plan::inclusion(index, size).tiles().len() <= 6, "{index}");
    }
    assert_eq!(edge(0), []);
    assert_eq!(edge(256), [TileId { level: 1, index: 0 }]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn proofs_in_trees_of_several_levels_hold_and_no_others(
        size in 1_usize..70_000, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(), bit in 0..256_usize,
    ) {
        // One subtree's worth is enough to have two levels of tiles; hashing more would only take longer.
        let size = size.min(TILE * TILE + 300);
        let all = leaves(size);
        let mut tree = Tiled::default();
        for leaf in &all {
            let tiles = &mut tree.tiles;
            tree.edge.push(*leaf, |id, hashes| { tiles.insert(id, hashes.to_vec()); });
        }
        let partial: Vec<_> = tree.edge.partial().map(|(id, hashes)| (id, hashes.to_vec())).collect();
        tree.tiles.extend(partial);
        let root = tree.edge.root();
        let (index, old) = (index.index(size), old.index(size));
        let path = Plan::inclusion(index as u64, size as u64).build(&tree.tiles).unwrap();
        prop_assert!(verify_inclusion(&all[index], index as u64, size as u64, &path, &root));
        prop_assert!(!verify_inclusion(&all[index], index as u64 + 1, size as u64, &path, &root) || size == 1);
        if let Some(at) = path.len().checked_sub(1).map(|last| bit % (last + 1)) {
            let mut wrong = path.clone();
            wrong[at][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify_inclusion(&all[index], index as u64, size as u64, &wrong, &root));
        }
        let proof = Plan::consistency(old as u64, size as u64).build(&tree.tiles).unwrap();
        let before = naive_root(&all[..old]);
        prop_assert!(verify_consistency((old as u64, &before), (size as u64, &root), &proof));
    }
}
