//! The figures as one JSON object, or as tables for a person: what was measured, and what is required of it.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Map, Value, json};

use super::{
    figure::Figure,
    load::Sample,
    meter::Reading,
    workload::Workload::{Hot, Lots, Uniform},
};

/// What was measured of one figure.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Transfers and times.
    pub sample: Sample,
    /// What they cost the database.
    pub cost: Reading,
}

/// The textbook way, in the same run.
#[derive(Debug, Clone, Default)]
pub struct BaselineMeasured {
    /// 64 connections, any account to any other.
    pub uniform: Sample,
    /// 64 connections, all into one account.
    pub hot: Sample,
    /// One connection.
    pub alone: Sample,
}

/// What was stored before the measurement.
#[derive(Debug, Clone, Copy)]
pub struct Preloaded {
    /// How many transfers.
    pub transfers: u64,
    /// Uniform bulk before, in transfers a second.
    pub empty_rate: f64,
    /// Memory of this process before it, in MB.
    pub memory_before_mb: u64,
    /// And after it.
    pub memory_after_mb: u64,
}

/// Everything that was measured.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The server's version.
    pub postgres: String,
    /// Its settings that are not its own.
    pub settings: Vec<String>,
    /// The textbook way.
    pub baseline: BaselineMeasured,
    /// The ledger.
    pub figures: BTreeMap<Figure, Measured>,
    /// With `--preload`.
    pub preloaded: Option<Preloaded>,
}

/// Something that has to be reached.
struct Requirement {
    what: &'static str,
    reached: f64,
    is_met: bool,
    required: &'static str,
}

impl Report {
    /// One object; what is not measured has no key.
    pub fn json(&self) -> String {
        let mut object = Map::new();
        let mut put = |key: String, value: f64| {
            object.insert(key, rounded(value));
        };
        put("baseline_uniform_tps".into(), self.baseline.uniform.rate());
        put("baseline_hot_tps".into(), self.baseline.hot.rate());
        put(
            "baseline_1_p50_ms".into(),
            self.baseline.alone.percentile_ms(50),
        );
        for (figure, measured) in &self.figures {
            put(format!("{figure}_tps"), measured.sample.rate());
            put(
                format!("{figure}_p50_ms"),
                measured.sample.percentile_ms(50),
            );
            put(
                format!("{figure}_p99_ms"),
                measured.sample.percentile_ms(99),
            );
            put(
                format!("{figure}_wal_bytes"),
                measured.each(|cost| cost.wal_bytes),
            );
            put(
                format!("{figure}_table_bytes"),
                measured.each(|cost| cost.table_bytes),
            );
            put(
                format!("{figure}_statements"),
                measured.each(|cost| cost.statements),
            );
        }
        if let Some(alone) = self.figures.get(&Figure::unary(1, Uniform)) {
            put("unary_1_p50_ms".into(), alone.sample.percentile_ms(50));
        }
        if let Some(preloaded) = self.preloaded {
            put(
                "preload_empty_bulk_uniform_tps".into(),
                preloaded.empty_rate,
            );
        }
        object.insert("postgres".into(), json!(self.postgres));
        object.insert("postgres_settings".into(), json!(self.settings));
        if let Some(preloaded) = self.preloaded {
            object.insert("preload_transfers".into(), json!(preloaded.transfers));
            object.insert(
                "preload_memory_before_mb".into(),
                json!(preloaded.memory_before_mb),
            );
            object.insert(
                "preload_memory_after_mb".into(),
                json!(preloaded.memory_after_mb),
            );
        }
        Value::Object(object).to_string()
    }

    /// Tables; the last one says what is required.
    pub fn text(&self) -> String {
        let mut text = format!(
            "PostgreSQL {}, with {}\n\n",
            self.postgres,
            self.settings.join(" ")
        );
        let mut line = |cells: [&str; 7]| {
            let [name, rate, p50, p99, wal, table, statements] = cells;
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "{name:<22}{rate:>11}{p50:>10}{p99:>10}{wal:>10}{table:>12}{statements:>12}"
            );
        };
        line([
            "",
            "transfers/s",
            "p50 ms",
            "p99 ms",
            "WAL B",
            "tables B",
            "statements",
        ]);
        let baselines = [
            ("baseline_uniform", &self.baseline.uniform),
            ("baseline_hot", &self.baseline.hot),
            ("baseline_1", &self.baseline.alone),
        ];
        for (name, sample) in baselines {
            let [rate, p50, p99] = speed(sample);
            line([name, &rate, &p50, &p99, "", "", "1"]);
        }
        for (figure, measured) in &self.figures {
            let [rate, p50, p99] = speed(&measured.sample);
            let wal = format!("{:.0}", measured.each(|cost| cost.wal_bytes));
            let table = format!("{:.0}", measured.each(|cost| cost.table_bytes));
            let statements = format!("{:.4}", measured.each(|cost| cost.statements));
            line([
                &figure.to_string(),
                &rate,
                &p50,
                &p99,
                &wal,
                &table,
                &statements,
            ]);
        }
        if let Some(preloaded) = self.preloaded {
            let _ = writeln!(
                text,
                "\nmemory of service and callers: {} MB before {} transfers, {} MB after",
                preloaded.memory_before_mb, preloaded.transfers, preloaded.memory_after_mb
            );
        }
        let _ = writeln!(text, "\n{:<44}{:>9}  {:<10}", "", "reached", "required");
        for requirement in self.requirements() {
            let Requirement {
                what,
                reached,
                is_met,
                required,
            } = requirement;
            let verdict = if is_met { "" } else { "missed" };
            let _ = writeln!(text, "{what:<44}{reached:>9.2}  {required:<10}{verdict}");
        }
        text.trim_end().to_owned()
    }

    fn requirements(&self) -> Vec<Requirement> {
        let rate = |figure: Figure| Some(self.figures.get(&figure)?.sample.rate());
        let p99 = |figure: Figure| Some(self.figures.get(&figure)?.sample.percentile_ms(99));
        let p50 = |figure: Figure| Some(self.figures.get(&figure)?.sample.percentile_ms(50));
        let ratio = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
        let (uniform, hot) = (self.baseline.uniform.rate(), self.baseline.hot.rate());
        let alone = self.baseline.alone.percentile_ms(50);
        let bulk = Figure::bulk;
        let at_least = |what, reached: Option<f64>, least: f64, required| {
            reached.map(|reached| Requirement {
                what,
                reached,
                is_met: reached >= least,
                required,
            })
        };
        let at_most = |what, reached: Option<f64>, most: f64, required| {
            reached.map(|reached| Requirement {
                what,
                reached,
                is_met: reached <= most,
                required,
            })
        };
        let after = self.preloaded.map(|preloaded| preloaded.empty_rate);
        [
            at_least(
                "bulk, hot account / baseline",
                ratio(rate(bulk(Hot)), Some(hot)),
                50.0,
                "≥ 50",
            ),
            at_least(
                "bulk, uniform / baseline",
                ratio(rate(bulk(Uniform)), Some(uniform)),
                8.0,
                "≥ 8",
            ),
            at_least(
                "bulk, hot account / uniform",
                ratio(rate(bulk(Hot)), rate(bulk(Uniform))),
                0.9,
                "≥ 0.9",
            ),
            at_least(
                "bulk, earn-then-spend with lots / uniform",
                ratio(rate(bulk(Lots)), rate(bulk(Uniform))),
                0.5,
                "≥ 0.5",
            ),
            at_least(
                "unary, 256 in flight, hot account / baseline",
                ratio(rate(Figure::unary(256, Hot)), Some(hot)),
                12.0,
                "≥ 12",
            ),
            at_most(
                "unary, 256 in flight, hot account: p99, ms",
                p99(Figure::unary(256, Hot)),
                50.0,
                "≤ 50",
            ),
            at_least(
                "unary, 256 in flight, uniform / baseline",
                ratio(rate(Figure::unary(256, Uniform)), Some(uniform)),
                2.0,
                "≥ 2",
            ),
            at_most(
                "unary, one in flight: p50 − baseline's, ms",
                p50(Figure::unary(1, Uniform)).map(|p50| p50 - alone),
                1.0,
                "≤ 1",
            ),
            at_least(
                "bulk, uniform, preloaded / empty",
                ratio(rate(bulk(Uniform)).filter(|_| after.is_some()), after),
                0.8,
                "≥ 0.8",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Measured {
    /// Adds another run of the same figure.
    pub fn add(&mut self, other: Self) {
        self.sample.add(other.sample);
        self.cost = self.cost.plus(other.cost);
    }

    /// A cost for each that was made.
    pub fn each(&self, cost: impl Fn(&Reading) -> i64) -> f64 {
        // Bytes and transfers of one run are far below 2^53.
        #[expect(clippy::cast_precision_loss)]
        let (cost, transfers) = (cost(&self.cost) as f64, self.sample.made as f64);
        if transfers == 0.0 {
            0.0
        } else {
            cost / transfers
        }
    }
}

/// To three places, more than a run repeats.
pub fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

/// How much a second, and how long half of the calls and all but the slowest took.
pub fn speed(sample: &Sample) -> [String; 3] {
    [
        format!("{:.0}", sample.rate()),
        format!("{:.2}", sample.percentile_ms(50)),
        format!("{:.2}", sample.percentile_ms(99)),
    ]
}
