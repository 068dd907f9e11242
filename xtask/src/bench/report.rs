//! What was measured, as it is kept in `corpus/bench/results.json`, and the figures that the page takes from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::engines::NATIVE;
use super::stats;

/// One run of the command.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Measured runs of each case.
    pub runs: usize,
    /// The limit of a run, in seconds.
    pub limit: u64,
    /// In what, ours first.
    pub engines: Vec<EngineInfo>,
    /// What.
    pub programs: Vec<ProgramRuns>,
    /// Some of them with more and more work.
    #[serde(default)]
    pub curves: Vec<Curve>,
    /// How fast compilers are.
    #[serde(default)]
    pub compilers: Vec<CompiledModule>,
    /// How long it takes to start.
    #[serde(default)]
    pub starts: Vec<Start>,
    /// What the runtime itself costs.
    #[serde(default)]
    pub costs: Option<Costs>,
    /// What `cargo bench -p upshift --bench swap` says.
    pub swap: Option<Swap>,
}

/// Starts of one program in one engine, or of a process that does nothing.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Start {
    /// What is started.
    pub of: StartOf,
    /// In what.
    pub label: String,
    /// How long each took.
    pub seconds: Vec<f64>,
    /// The processor time of each.
    pub cpu_seconds: Vec<f64>,
}

/// What is started.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartOf {
    /// A process that ends at once.
    Nothing,
    /// The smallest program.
    Smallest,
    /// The largest.
    Large,
}

/// The machine and the moment.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub struct Machine {
    /// The model of each processor.
    pub processors: Vec<String>,
    pub memory_gib: f64,
    pub kernel: String,
    pub rustc: String,
    /// In UTC.
    pub date: String,
    /// The project's commit.
    pub revision: String,
    /// How many processors were busy with something else, the most that was seen between programs.
    pub busy: f64,
}

/// When something was measured, and of what.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment {
    /// In UTC.
    pub date: String,
    /// The project's commit.
    pub revision: String,
}

/// An engine, in one of its modes.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct EngineInfo {
    /// A short name.
    pub id: String,
    /// The name for people.
    pub label: String,
    /// Its version.
    pub version: String,
    /// How it is called.
    pub command: String,
    /// Whether it is one of ours.
    pub own: bool,
}

/// A program's runs.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct ProgramRuns {
    pub name: String,
    /// What it does.
    pub about: String,
    /// Its smallest run.
    pub short: Option<Case>,
    /// A run in which its work is what takes time.
    pub long: Option<Case>,
    /// When and of what it was measured, if that was after all others.
    #[serde(default)]
    pub again: Option<Moment>,
    /// A run that is so long that compilation is over when most of its work is done, if the long run is not.
    #[serde(default)]
    pub longer: Option<Case>,
    /// What vectors gain in native code, if there is any.
    #[serde(default)]
    pub vectors: Option<Vectors>,
}

/// A program's long run as native code, in seconds.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub struct Vectors {
    /// As the compiler makes it.
    pub with: Vec<f64>,
    /// Compiled without instructions on several numbers at once.
    pub without: Vec<f64>,
}

impl Vectors {
    /// How many times as fast the program is because of vectors.
    pub fn gain(&self) -> Option<f64> {
        Some(stats::median(&self.without)? / stats::median(&self.with)?)
    }
}

/// A program with its arguments, in each engine.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Case {
    /// How it is called, behind the engine.
    pub command: String,
    /// In the order of the report's engines.
    pub outcomes: Vec<Outcome>,
}

/// A program with more and more work.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Curve {
    pub program: String,
    /// What it does.
    pub about: String,
    pub points: Vec<CurvePoint>,
}

/// A program with one amount of work.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct CurvePoint {
    /// The program's argument: how often it does what it does.
    pub work: u32,
    pub case: Case,
}

/// A module that was compiled and not run.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct CompiledModule {
    pub name: String,
    /// Of the module.
    pub bytes: u64,
    /// Of its functions' bodies.
    pub wasm_code_bytes: u64,
    /// In each compiler that was given it.
    pub figures: Vec<CompileFigure>,
}

/// A module in one compiler.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct CompileFigure {
    pub compiler: String,
    /// How long each run took.
    pub seconds: Vec<f64>,
    /// The bytes of machine code, if it says.
    pub code_bytes: Option<u64>,
}

impl CompiledModule {
    /// The shortest time of a compiler, in seconds: whatever disturbs a run makes it longer.
    pub fn best(&self, compiler: &str) -> Option<f64> {
        let seconds = &self.figure(compiler)?.seconds;
        (!seconds.is_empty()).then(|| stats::spread(seconds).0)
    }

    /// What a compiler did with it.
    pub fn figure(&self, compiler: &str) -> Option<&CompileFigure> {
        self.figures.iter().find(|f| f.compiler == compiler)
    }
}

/// What came of a case in one engine.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Outcome {
    /// How long each run took, in seconds.
    pub seconds: Vec<f64>,
    /// How much processor time it used, on all processors together.
    #[serde(default)]
    pub cpu_seconds: Vec<f64>,
    /// For how much of each run the program waited for compilers, in seconds, if that was looked at.
    #[serde(default)]
    pub waited_seconds: Vec<f64>,
    /// The most memory that was in use at once, in bytes.
    #[serde(default)]
    pub peak_bytes: Vec<u64>,
    /// Why there is no figure.
    pub failure: Option<Failure>,
    /// For our own: what the events of the run that was not timed say.
    pub tiers: Option<Tiers>,
}

impl Outcome {
    /// The time, if it counts.
    pub fn median(&self) -> Option<f64> {
        stats::median(&self.seconds).filter(|_| self.failure.is_none())
    }

    /// The times without those that the program waited for compilers, in seconds.
    fn running_seconds(&self) -> Vec<f64> {
        let waited = self.waited_seconds.iter().copied();
        let waited = waited.chain(std::iter::repeat(0.0));
        let times = self.seconds.iter().zip(waited);
        times.map(|(seconds, waited)| seconds - waited).collect()
    }

    /// The processor time, if it counts.
    pub fn median_cpu(&self) -> Option<f64> {
        stats::median(&self.cpu_seconds).filter(|_| self.failure.is_none())
    }

    /// The most memory in use, if it counts, in bytes.
    pub fn median_peak(&self) -> Option<f64> {
        let peaks: Vec<f64> = self.peak_bytes.iter().map(|&bytes| bytes as f64).collect();
        stats::median(&peaks).filter(|_| self.failure.is_none())
    }
}

/// What the events of a run say of its tiers.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tiers {
    /// Functions published in each tier.
    pub published: [usize; 3],
    /// Functions found hot in the first half of the run.
    pub hot: usize,
    /// How many of these got code of tier 1 by its end.
    pub promoted: usize,
}

/// Why there is no figure.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Failure {
    /// The engine takes no part in this.
    Absent,
    /// The program did not end as it must.
    Broken(String),
    /// It took longer than the limit, with this module at least.
    Stopped,
    /// It printed something else than it does in the other engines.
    Differs,
    /// The code was not of the tier that it should be of.
    Tier(String),
}

/// What the benchmark of a swap prints.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Swap {
    pub calls: u64,
    pub engines: u64,
    pub rounds: u64,
    /// What a call takes more after a swap.
    pub swap_ns: f64,
    /// What a call through the entry slot takes more than a direct one.
    pub slot_ns: f64,
    pub variants: Vec<SwapVariant>,
}

/// One of its variants.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct SwapVariant {
    pub name: String,
    pub median_ns: f64,
    pub p5_ns: f64,
    pub p95_ns: f64,
}

/// What `cargo bench -p upshift-wasm --bench costs` prints.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Costs {
    pub latencies: Vec<Latencies>,
    pub stalls: Vec<Stall>,
    pub counters: Vec<Compared>,
    /// The cost of guards that never fail.
    #[serde(default)]
    pub guards: Vec<Compared>,
    pub scaling: Vec<Scaling>,
    pub threads: Vec<Threads>,
    /// The share of a core that idle workers take.
    pub idle_share: f64,
    /// Bytes that a function takes which is never called.
    pub idle_function_bytes: f64,
}

/// How long the functions of a module take to compile.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Latencies {
    pub module: String,
    pub tier: usize,
    pub functions: u64,
    pub median_ns: f64,
    pub p99_ns: f64,
    pub longest_ns: f64,
    /// How many take up to 1, 2, 4, … microseconds, and more than half of that.
    pub up_to_power_of_two_us: Vec<u64>,
}

/// How long the program's thread was held up.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Stall {
    pub way: String,
    pub what: String,
    pub promoted: u64,
    pub longest_ns: f64,
    /// How many times were up to 1, 2, 4, … microseconds, and more than half of that.
    #[serde(default)]
    pub up_to_power_of_two_us: Vec<u64>,
}

/// An iteration of tier 1's code with and without something.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Compared {
    pub kernel: String,
    pub without_ns: f64,
    pub with_ns: f64,
}

/// A function of a module of so many.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Scaling {
    pub functions: u64,
    pub define_ns: f64,
    pub compile_ns: f64,
    pub code_bytes: u64,
    pub resident_bytes: u64,
}

/// A function compiled by one of so many threads.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Threads {
    pub threads: u64,
    pub clock_ns: f64,
    pub processor_ns: f64,
}

/// Our auto mode's short name.
pub const AUTO: &str = "upshift-auto";

/// The figures of a program in an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// The time of its smallest run.
    StartUp,
    /// The time that more work takes: that of the longest run without that of the one that is next in length. What the
    /// program waits for compilers meanwhile is left out, where that is known: it belongs to the start.
    SteadyState,
    /// The time of the long run.
    TimeToResult,
}

/// A figure with its spread, in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Value {
    pub median: f64,
    pub least: f64,
    pub most: f64,
    /// Of how many runs.
    pub runs: usize,
}

impl Value {
    fn of(values: &[f64]) -> Option<Value> {
        let median = stats::median(values)?;
        let (least, most) = stats::spread(values);
        let runs = values.len();
        Some(Value {
            median,
            least,
            most,
            runs,
        })
    }
}

/// What one run has more than another is noise if it is less than this of it.
const LOST: f64 = 0.25;

impl ProgramRuns {
    /// A figure in engine number `engine`, if there is one. A figure is a positive time.
    pub fn value(&self, figure: Figure, engine: usize) -> Option<Value> {
        let seconds = |case: &Option<Case>| {
            let outcome = case.as_ref()?.outcomes.get(engine)?;
            outcome.failure.is_none().then(|| outcome.seconds.clone())
        };
        let values = match figure {
            Figure::StartUp => seconds(&self.short)?,
            Figure::TimeToResult => seconds(&self.long)?,
            Figure::SteadyState => {
                let running = |case: &Option<Case>| {
                    let outcome = case.as_ref()?.outcomes.get(engine)?;
                    outcome.failure.is_none().then(|| outcome.running_seconds())
                };
                let (short, long) = match &self.longer {
                    Some(_) => (running(&self.long)?, running(&self.longer)?),
                    None => (running(&self.short)?, running(&self.long)?),
                };
                let rounds = long.iter().zip(&short);
                let differences: Vec<f64> = rounds.map(|(long, short)| long - short).collect();
                if let ([difference], [long, ..]) = (&differences[..], &long[..])
                    && *difference < LOST * long
                {
                    return None;
                }
                differences
            }
        };
        Value::of(&values).filter(|value| value.median > 0.0)
    }

    /// The best of the other engines: its number and its figure.
    pub fn best_peer(&self, figure: Figure, engines: &[EngineInfo]) -> Option<(usize, Value)> {
        let is_peer = |engine: &usize| !engines[*engine].own && engines[*engine].id != NATIVE;
        let peers = (0..engines.len()).filter(is_peer);
        let values = peers.filter_map(|engine| Some((engine, self.value(figure, engine)?)));
        values.min_by(|a, b| a.1.median.total_cmp(&b.1.median))
    }
}

impl Report {
    /// The programs that were measured again, by the moment.
    pub fn again(&self) -> BTreeMap<&Moment, Vec<&str>> {
        let mut again: BTreeMap<&Moment, Vec<&str>> = BTreeMap::new();
        for program in &self.programs {
            if let Some(moment) = &program.again {
                again.entry(moment).or_default().push(&program.name);
            }
        }
        again
    }

    /// The number of the engine with this short name.
    pub fn engine(&self, id: &str) -> Option<usize> {
        self.engines.iter().position(|engine| engine.id == id)
    }

    /// A case's figure in our auto mode as times that of the other engine that needs least, and which that is.
    pub fn auto_against_best(
        &self,
        case: &Case,
        figure: impl Fn(&Outcome) -> Option<f64>,
    ) -> Option<(f64, &EngineInfo)> {
        let auto = figure(case.outcomes.get(self.engine(AUTO)?)?)?;
        let others = self.engines.iter().zip(&case.outcomes);
        let others = others.filter(|(engine, _)| !engine.own && engine.id != NATIVE);
        let figures = others.filter_map(|(engine, outcome)| Some((figure(outcome)?, engine)));
        let (best, engine) = figures.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some((auto / best, engine))
    }

    /// For each program that has the figure in both: its name, the engine's figure and the best peer's, and which that is.
    pub fn against_best_peer(&self, figure: Figure, engine: usize) -> Vec<Comparison<'_>> {
        let compare = |program: &'_ ProgramRuns| {
            let own = program.value(figure, engine)?;
            let (peer, best) = program.best_peer(figure, &self.engines)?;
            Some((own.median / best.median, peer))
        };
        let programs = self.programs.iter();
        programs
            .filter_map(|program| {
                let (ratio, peer) = compare(program)?;
                Some(Comparison {
                    program: &program.name,
                    ratio,
                    peer,
                })
            })
            .collect()
    }
}

/// An engine against the best peer on one program.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Comparison<'a> {
    pub program: &'a str,
    /// How many times the best peer's time.
    pub ratio: f64,
    /// The best peer's number.
    pub peer: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(engines: &[&[f64]]) -> Option<Case> {
        let outcome = |seconds: &&[f64]| Outcome {
            seconds: seconds.to_vec(),
            ..Outcome::default()
        };
        Some(Case {
            command: String::new(),
            outcomes: engines.iter().map(outcome).collect(),
        })
    }

    fn engine(id: &str, own: bool) -> EngineInfo {
        let text = |text: &str| text.to_owned();
        EngineInfo {
            id: text(id),
            label: text(id),
            version: text("1"),
            command: text(id),
            own,
        }
    }

    #[test]
    fn auto_is_compared_with_the_best_that_is_not_ours() {
        let report = Report {
            engines: vec![
                engine(AUTO, true),
                engine("own", true),
                engine(NATIVE, false),
                engine("quick", false),
                engine("slow", false),
            ],
            ..Report::default()
        };
        let case = case(&[&[3.0], &[1.0], &[1.0], &[2.0], &[9.0]]).unwrap();
        let (times, best) = report.auto_against_best(&case, Outcome::median).unwrap();
        assert_eq!((times, &*best.id), (1.5, "quick"));
    }

    #[test]
    fn what_was_measured_again_is_told_by_the_moment() {
        let program = |name: &str, date: Option<&str>| ProgramRuns {
            name: name.to_owned(),
            about: String::new(),
            short: None,
            long: None,
            longer: None,
            vectors: None,
            again: date.map(|date| Moment {
                date: date.to_owned(),
                revision: "r".to_owned(),
            }),
        };
        let report = Report {
            programs: vec![
                program("a", Some("2")),
                program("b", None),
                program("c", Some("1")),
                program("d", Some("2")),
            ],
            ..Report::default()
        };
        let again: Vec<_> = report.again().into_values().collect();
        assert_eq!(again, [vec!["c"], vec!["a", "d"]]);
    }

    #[test]
    fn figures_come_from_runs_of_the_same_round() {
        let mut program = ProgramRuns {
            name: "p".to_owned(),
            about: String::new(),
            short: case(&[&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]]),
            long: case(&[&[11.0, 13.0, 12.0], &[2.0, 2.0, 2.0]]),
            longer: None,
            again: None,
            vectors: None,
        };
        let value = program.value(Figure::SteadyState, 0).unwrap();
        assert_eq!((value.least, value.median, value.most), (9.0, 10.0, 11.0));
        program.longer = case(&[&[31.0, 33.0, 33.0], &[4.0, 4.0, 4.0]]);
        let value = program.value(Figure::SteadyState, 0).unwrap();
        assert_eq!((value.least, value.median, value.most), (20.0, 20.0, 21.0));
        if let Some(longer) = &mut program.longer {
            longer.outcomes[0].waited_seconds = vec![1.0, 2.0, 3.0];
        }
        let value = program.value(Figure::SteadyState, 0).unwrap();
        assert_eq!((value.least, value.median, value.most), (18.0, 18.0, 19.0));
        let once = ProgramRuns {
            longer: case(&[&[12.5], &[4.0]]),
            ..program.clone()
        };
        assert_eq!(once.value(Figure::SteadyState, 0), None);
        let engines = [engine("own", true), engine("peer", false)];
        let (best, value) = program.best_peer(Figure::TimeToResult, &engines).unwrap();
        assert_eq!((best, value.median), (1, 2.0));
        if let Some(long) = &mut program.long {
            long.outcomes[1].failure = Some(Failure::Differs);
        }
        assert_eq!(program.best_peer(Figure::TimeToResult, &engines), None);
    }
}
