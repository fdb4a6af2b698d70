//! Which figures there are, in which order they are measured, and what they are called.

use std::{fmt, str::FromStr};

use super::workload::Workload;

/// The most transfers of one call.
pub const MOST: usize = 8_190;
const IN_FLIGHT: [usize; 5] = [1, 16, 64, 256, 1_024];
const BULKS: [usize; 2] = [1_000, MOST];
/// While the database works on one call, the next has been read and the one before is being answered.
const BULKS_IN_FLIGHT: usize = 3;

/// How transfers reach the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// One transfer a call, so many calls in flight.
    Unary(usize),
    /// So many transfers a call.
    Bulk(usize),
}

impl Way {
    /// How many calls are in flight.
    pub fn in_flight(self) -> usize {
        match self {
            Self::Unary(in_flight) => in_flight,
            Self::Bulk(_) => BULKS_IN_FLIGHT,
        }
    }

    /// How many transfers a call brings.
    pub fn transfers(self) -> usize {
        match self {
            Self::Unary(_) => 1,
            Self::Bulk(transfers) => transfers,
        }
    }
}

/// One figure of the ledger. It is written as its key is: `bulk_hot`, `bulk_1000_hot`, `unary_256_hot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Figure {
    /// What is transferred.
    pub workload: Workload,
    /// How.
    pub way: Way,
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workload = self.workload;
        match self.way {
            Way::Bulk(MOST) => write!(out, "bulk_{workload}"),
            Way::Bulk(transfers) => write!(out, "bulk_{transfers}_{workload}"),
            Way::Unary(in_flight) => write!(out, "unary_{in_flight}_{workload}"),
        }
    }
}

impl FromStr for Figure {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::all().into_iter().find(|it| it.to_string() == name);
        found.ok_or_else(|| "no figure has this name".into())
    }
}

impl Figure {
    /// Whole calls of one workload.
    pub const fn bulk(workload: Workload) -> Self {
        Self {
            workload,
            way: Way::Bulk(MOST),
        }
    }

    /// One transfer a call.
    pub const fn unary(in_flight: usize, workload: Workload) -> Self {
        Self {
            workload,
            way: Way::Unary(in_flight),
        }
    }

    /// All of them, by workload.
    pub fn all() -> Vec<Self> {
        let ways = BULKS.map(Way::Bulk).into_iter();
        let ways: Vec<Way> = ways.chain(IN_FLIGHT.map(Way::Unary)).collect();
        let of = |workload| {
            ways.iter().map(move |way| Self {
                workload,
                way: *way,
            })
        };
        Workload::ALL.into_iter().flat_map(of).collect()
    }

    /// Those that something is required of, and the other workloads in bulk.
    pub fn quick() -> Vec<Self> {
        let unary = [
            (1, Workload::Uniform),
            (256, Workload::Uniform),
            (256, Workload::Hot),
        ];
        let unary = unary.map(|(in_flight, workload)| Self::unary(in_flight, workload));
        let mut figures: Vec<Self> = Workload::ALL
            .into_iter()
            .map(Self::bulk)
            .chain(unary)
            .collect();
        figures.sort_unstable();
        figures
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let names: HashSet<String> = Figure::all().iter().map(Figure::to_string).collect();
        assert_eq!(names.len(), 5 * 7);
        for name in [
            "bulk_hot",
            "bulk_1000_lots",
            "unary_1024_zipf",
            "unary_1_limited",
        ] {
            assert!(names.contains(name), "{name}");
        }
        for figure in Figure::all() {
            assert_eq!(figure.to_string().parse(), Ok(figure));
        }
        assert!("unary_2_hot".parse::<Figure>().is_err());
    }

    #[test]
    fn the_quick_figures_are_among_all() {
        let all = Figure::all();
        let quick = Figure::quick();
        assert_eq!(quick.len(), 8);
        assert!(quick.iter().all(|figure| all.contains(figure)));
    }
}
