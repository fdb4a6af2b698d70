//! What a programme comes to at `as_of`, and whether that is what was expected.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

/// The fields of `expected.json`, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Sum of all grants made.
    pub granted: i64,
    /// Sum of the grants that wait for budget.
    pub awaiting_budget: i64,
    /// Sum of what has expired.
    pub expired: i64,
    /// Sum of what was captured, before reversals.
    pub spent: i64,
    /// Sum of what reversals gave back.
    pub returned: i64,
    /// What is held now.
    pub held: i64,
    /// What all members have together.
    pub outstanding: i64,
    /// Verified minutes.
    pub service_minutes: i64,
    /// How many grants above 0 were made.
    pub grants: i64,
    /// How many redemptions were captured.
    pub redemptions: i64,
    /// How many refusals there were, by reason.
    pub refused: BTreeMap<String, i64>,
    /// How many reversals were made.
    pub reversals: i64,
    /// What each merchant has taken, less what it gave back; only those that ever took something.
    pub merchants: BTreeMap<String, i64>,
    /// How many wishes are in each state.
    pub wishes: BTreeMap<String, i64>,
    /// Fingerprint of every member's balance.
    pub balances_sha256: String,
}

/// One figure beside what was expected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Which figure, as in `granted` or `merchants.S01`.
    pub field: String,
    /// What was expected, if anything was.
    pub expected: Option<String>,
    /// What came out.
    pub obtained: String,
}

impl Comparison {
    /// Whether it is as expected; nothing when nothing was.
    pub fn agrees(&self) -> Option<bool> {
        let expected = self.expected.as_ref()?;
        Some(*expected == self.obtained)
    }
}

/// Compares field by field, in the order of the figures. A field that was not expected is compared with nothing; an
/// entry of a map that is missing on one side is 0 there.
pub fn compare(figures: &Figures, expected: Option<&Value>) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for (field, obtained) in fields(figures) {
        let expected = expected.and_then(|expected| expected.get(field));
        match obtained {
            Entry::One(obtained) => comparisons.push(Comparison {
                field: field.to_owned(),
                expected: expected.map(text),
                obtained,
            }),
            Entry::Many(obtained) => {
                let expected = expected.and_then(Value::as_object);
                comparisons.extend(compare_entries(field, obtained, expected));
            }
        }
    }
    comparisons
}

fn compare_entries(
    field: &str,
    obtained: &BTreeMap<String, i64>,
    expected: Option<&Map<String, Value>>,
) -> Vec<Comparison> {
    let keys = expected.into_iter().flat_map(Map::keys);
    let keys: BTreeSet<&String> = keys.chain(obtained.keys()).collect();
    keys.into_iter()
        .map(|key| Comparison {
            field: format!("{field}.{key}"),
            expected: expected.map(|expected| expected.get(key).map_or("0".to_owned(), text)),
            obtained: obtained.get(key).copied().unwrap_or_default().to_string(),
        })
        .collect()
}

/// Says what is wrong with the form of an `expected.json`.
pub fn check_expected(expected: &Value) -> Result<(), String> {
    let Some(expected) = expected.as_object() else {
        return Err("is not a JSON object".to_owned());
    };
    let figures = Figures::default();
    let known = fields(&figures);
    for (name, value) in expected {
        let Some((_, field)) = known.iter().find(|(field, _)| field == name) else {
            return Err(format!("{name} is no figure of a programme"));
        };
        let right = match field {
            Entry::One(_) if name == "balances_sha256" => value.is_string(),
            Entry::One(_) => value.is_i64(),
            Entry::Many(_) => value
                .as_object()
                .is_some_and(|entries| entries.values().all(Value::is_i64)),
        };
        if !right {
            return Err(format!("{name} can't be {value}"));
        }
    }
    Ok(())
}

enum Entry<'a> {
    One(String),
    Many(&'a BTreeMap<String, i64>),
}

fn fields(figures: &Figures) -> [(&'static str, Entry<'_>); 15] {
    let Figures {
        granted,
        awaiting_budget,
        expired,
        spent,
        returned,
        held,
        outstanding,
        service_minutes,
        grants,
        redemptions,
        refused,
        reversals,
        merchants,
        wishes,
        balances_sha256,
    } = figures;
    let one = |number: &i64| Entry::One(number.to_string());
    [
        ("granted", one(granted)),
        ("awaiting_budget", one(awaiting_budget)),
        ("expired", one(expired)),
        ("spent", one(spent)),
        ("returned", one(returned)),
        ("held", one(held)),
        ("outstanding", one(outstanding)),
        ("service_minutes", one(service_minutes)),
        ("grants", one(grants)),
        ("redemptions", one(redemptions)),
        ("refused", Entry::Many(refused)),
        ("reversals", one(reversals)),
        ("merchants", Entry::Many(merchants)),
        ("wishes", Entry::Many(wishes)),
        ("balances_sha256", Entry::One(balances_sha256.clone())),
    ]
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures() -> Figures {
        Figures {
            granted: 100,
            refused: BTreeMap::from([("audience".to_owned(), 2)]),
            merchants: BTreeMap::from([("S1".to_owned(), 0), ("S2".to_owned(), 5)]),
            balances_sha256: "abc".to_owned(),
            ..Default::default()
        }
    }

    fn disagreements(expected: &Value) -> Vec<String> {
        compare(&figures(), Some(expected))
            .into_iter()
            .filter(|comparison| comparison.agrees() == Some(false))
            .map(|comparison| comparison.field)
            .collect()
    }

    #[test]
    fn equal_figures_agree_and_a_missing_entry_is_0() {
        let expected = json!({
            "granted": 100, "refused": { "audience": 2, "sold_out": 0 },
            "merchants": { "S2": 5 }, "wishes": {}, "balances_sha256": "abc",
        });
        assert!(disagreements(&expected).is_empty());
    }

    #[test]
    fn each_difference_is_named() {
        let expected = json!({
            "granted": 99, "held": 0, "refused": { "audience": 1, "sold_out": 1 },
            "merchants": {}, "balances_sha256": "abd",
        });
        assert_eq!(
            disagreements(&expected),
            [
                "granted",
                "refused.audience",
                "refused.sold_out",
                "merchants.S2",
                "balances_sha256"
            ]
        );
    }

    #[test]
    fn what_is_not_expected_is_compared_with_nothing() {
        let comparisons = compare(&figures(), Some(&json!({ "granted": 100 })));
        let compared: Vec<_> = comparisons
            .iter()
            .filter(|comparison| comparison.agrees().is_some())
            .collect();
        assert_eq!(compared.len(), 1);
        assert!(
            compare(&figures(), None)
                .iter()
                .all(|c| c.agrees().is_none())
        );
    }

    #[test]
    fn json_has_the_fields_of_the_file_in_its_order() {
        let text = serde_json::to_string(&figures()).unwrap();
        let mut from = 0;
        for (field, _) in fields(&figures()) {
            from += text[from..].find(&format!("\"{field}\":")).unwrap();
        }
    }

    #[test]
    fn an_expectation_of_another_form_is_refused() {
        assert_eq!(
            check_expected(&json!({ "granted": 1, "merchants": {} })),
            Ok(())
        );
        for (wrong, why) in [
            (json!([]), "is not a JSON object"),
            (json!({ "grant": 1 }), "grant is no figure of a programme"),
            (json!({ "granted": "1" }), "granted can't be \"1\""),
            (
                json!({ "merchants": { "S1": 1.5 } }),
                "merchants can't be {\"S1\":1.5}",
            ),
        ] {
            assert_eq!(check_expected(&wrong), Err(why.to_owned()));
        }
    }
}
