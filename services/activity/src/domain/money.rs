//! Amounts as people write them. They are kept in the asset's smallest part and never as fractions.

/// Code of the asset that is money. A programme of it is a cash programme.
pub const CASH: &str = "CNY";
/// A yuan has 100 fen.
pub const CASH_EXPONENT: i16 = 2;

/// An amount of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money<'a> {
    /// In the asset's smallest part.
    pub amount: i64,
    pub asset: &'a str,
    /// Decimal places of the asset.
    pub exponent: i16,
}

impl Money<'_> {
    /// `¥100.00`, or `20 points`.
    pub fn text_zh(self) -> String {
        self.text("¥")
    }

    /// `CN¥100.00`, or `20 points`: ¥ alone is the yen too.
    pub fn text_en(self) -> String {
        self.text("CN¥")
    }

    fn text(self, sign: &str) -> String {
        let minus = if self.amount < 0 { "-" } else { "" };
        let number = self.digits();
        match self.asset {
            CASH => format!("{minus}{sign}{number}"),
            asset => format!("{minus}{number} {asset}"),
        }
    }

    /// The decimal number without its sign.
    fn digits(self) -> String {
        let places = usize::try_from(self.exponent).unwrap_or(0);
        let digits = format!(
            "{:0>width$}",
            self.amount.unsigned_abs(),
            width = places + 1
        );
        let (whole, part) = digits.split_at(digits.len() - places);
        match part {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn yuan(amount: i64) -> Money<'static> {
        Money {
            amount,
            asset: CASH,
            exponent: CASH_EXPONENT,
        }
    }

    #[test]
    fn money_is_written_to_the_fen() {
        let cases = [
            (10_000, "¥100.00", "CN¥100.00"),
            (0, "¥0.00", "CN¥0.00"),
            (7, "¥0.07", "CN¥0.07"),
            (-1_050, "-¥10.50", "-CN¥10.50"),
            (i64::MAX, "¥92233720368547758.07", "CN¥92233720368547758.07"),
            (
                i64::MIN,
                "-¥92233720368547758.08",
                "-CN¥92233720368547758.08",
            ),
        ];
        for (amount, zh, en) in cases {
            assert_eq!(
                (yuan(amount).text_zh(), yuan(amount).text_en()),
                (zh.to_owned(), en.to_owned())
            );
        }
    }

    #[test]
    fn other_assets_are_written_with_their_code() {
        let points = |amount, exponent| Money {
            amount,
            asset: "points",
            exponent,
        };
        assert_eq!(points(20, 0).text_zh(), "20 points");
        assert_eq!(points(-5, 1).text_en(), "-0.5 points");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_in_writing(amount in any::<i64>(), exponent in 0i16..=9) {
            let text = Money { amount, asset: "x", exponent }.text_en();
            let digits = text.trim_end_matches(" x").replace('.', "");
            prop_assert_eq!(digits.parse::<i64>(), Ok(amount));
        }
    }
}
