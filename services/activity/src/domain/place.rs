//! Where something is, in words or on the map, and how far apart two places are.

use serde::{Deserialize, Serialize};

/// The mean radius of the earth.
const EARTH_METRES: f64 = 6_371_008.8;

/// A place: words, a point, or both; never neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Empty when there is only a point.
    pub text: String,
    pub point: Option<Point>,
}

/// A point on the map (WGS 84), in whole millionths of a degree, so that it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// North is above 0.
    pub latitude_e6: i32,
    /// East is above 0.
    pub longitude_e6: i32,
    /// How far off it may be; 0: not known.
    pub accuracy_metres: i32,
}

/// How near one place is to another. The nearest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    Metres(i32),
    /// One of both is not on the map, and they are named in the same words.
    SameWords,
}

impl Place {
    /// How near another place is, if it is within a radius or named in the same words.
    pub fn nearness(&self, other: &Self, radius_metres: i32) -> Option<Nearness> {
        match (&self.point, &other.point) {
            (Some(here), Some(there)) => {
                let metres = here.metres_to(there);
                (metres <= radius_metres).then_some(Nearness::Metres(metres))
            }
            _ => {
                let same = !self.text.is_empty() && self.text == other.text;
                same.then_some(Nearness::SameWords)
            }
        }
    }
}

impl Point {
    /// The whole metres between two points along the ground (haversine), rounded down.
    pub fn metres_to(&self, other: &Self) -> i32 {
        let radians = |e6: i32| (f64::from(e6) / 1e6).to_radians();
        let (here, there) = (radians(self.latitude_e6), radians(other.latitude_e6));
        let north = ((there - here) / 2.0).sin();
        let east = ((radians(other.longitude_e6) - radians(self.longitude_e6)) / 2.0).sin();
        let share = north * north + here.cos() * there.cos() * east * east;
        let metres = 2.0 * EARTH_METRES * share.clamp(0.0, 1.0).sqrt().asin();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "half around the earth is 20,016 km"
        )]
        let whole = metres as i32;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(latitude_e6: i32, longitude_e6: i32) -> Point {
        Point {
            latitude_e6,
            longitude_e6,
            accuracy_metres: 0,
        }
    }

    fn place(text: &str, point: Option<Point>) -> Place {
        let text = text.to_owned();
        Place { text, point }
    }

    #[test]
    fn distances_are_those_on_the_ground() {
        let people_square = point(31_230_400, 121_473_700);
        for (other, metres) in [
            (people_square, 0),
            // A thousandth of a degree north is 111 m everywhere, east it is less the further north.
            (point(31_231_400, 121_473_700), 111),
            (point(31_230_400, 121_474_700), 95),
            // Beijing.
            (point(39_904_200, 116_407_400), 1_067_311),
        ] {
            assert_eq!(people_square.metres_to(&other), metres, "{other:?}");
        }
        // Two sides of the date line, and two poles.
        assert_eq!(
            point(0, 179_999_500).metres_to(&point(0, -179_999_500)),
            111
        );
        assert_eq!(
            point(90_000_000, 0).metres_to(&point(-90_000_000, 0)),
            20_015_114
        );
    }

    #[test]
    fn places_are_near_within_the_radius_or_by_the_same_words() {
        let here = point(31_230_400, 121_473_700);
        let there = point(31_231_400, 121_473_700);
        let near = |left: (&str, Option<Point>), right: (&str, Option<Point>), radius| {
            place(left.0, left.1).nearness(&place(right.0, right.1), radius)
        };
        let metres = |metres| Some(Nearness::Metres(metres));
        assert_eq!(near(("", Some(here)), ("", Some(there)), 111), metres(111));
        assert_eq!(near(("", Some(here)), ("", Some(there)), 110), None);
        // Coordinates count for more than words.
        assert_eq!(near(("gate", Some(here)), ("gate", Some(there)), 110), None);
        assert_eq!(
            near(("gate", None), ("gate", Some(there)), 1),
            Some(Nearness::SameWords)
        );
        assert_eq!(near(("gate", None), ("door", None), 10_000), None);
        assert_eq!(near(("", Some(here)), ("gate", None), 10_000), None);
        assert!(metres(10_000) < Some(Nearness::SameWords));
    }

    proptest! {
        #[test]
        fn distance_is_the_same_both_ways_and_never_negative(
            here in (-90_000_000..=90_000_000_i32, -180_000_000..=180_000_000_i32),
            there in (-90_000_000..=90_000_000_i32, -180_000_000..=180_000_000_i32),
        ) {
            let (here, there) = (point(here.0, here.1), point(there.0, there.1));
            let metres = here.metres_to(&there);
            prop_assert!((0..=20_015_115).contains(&metres));
            prop_assert!((metres - there.metres_to(&here)).abs() <= 1);
        }
    }
}
