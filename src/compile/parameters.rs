//! Automatic parameter selection: the settings of the least predicted time that reach a target.
//!
//! For each width of the weights the error of the result is linear in five variances, one for each
//! kind of operation, so that all keys of all dimensions can be tried.

use super::amplitude::amplitudes;
use super::calibrate::Calibration;
use super::cost::{Costs, Shape, key_bytes};
use super::noise::{ErrorModel, Variances};
use super::stage::Stage;
use super::{CompileError, Settings};
use bellerophon_bridge::{self as bridge, Assumptions, BootstrapLiteral, ParametersLiteral};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::{BootstrapParameters, noise};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the result must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// At least this part of images keep their largest result, by prediction.
    Agreement(f64),
    /// Four standard deviations of a result are at most this, in the network's units.
    MaxError(f64),
    /// At most this part of images is lost, or so many times what no setting of usual size keeps.
    Loss {
        /// Part of the images.
        most: f64,
        /// Times the least loss of any setting.
        times: f64,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agreement(part) => write!(f, "agreement of {:.3} %", 100.0 * part),
            Self::MaxError(error) => write!(f, "largest error {error}"),
            Self::Loss { most, times } => {
                let percent = 100.0 * most;
                write!(f, "at most {percent:.3} % lost, or {times} times what cannot be kept")
            }
        }
    }
}

/// What is to be selected for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Bits of security.
    pub security: SecurityLevel,
    /// What the security rests on.
    pub assumptions: Assumptions,
    /// Bits of an element of the input; 8 for pixels.
    pub input_bits: u32,
    /// Key bits in each step of every blind rotation, where it is not chosen freely.
    pub grouping_factor: Option<usize>,
}

/// A point of the search: settings and what is predicted of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The settings.
    pub settings: Settings,
    /// Seconds of all bootstrappings, on all threads.
    pub seconds: f64,
    /// The part of images whose largest result stays the largest.
    pub agreement: f64,
    /// The standard deviation of a result.
    pub deviation: f64,
    /// Bytes of the bootstrapping keys in memory.
    pub key_bytes: f64,
    /// Bytes of the bootstrapping keys on the wire.
    pub wire_bytes: f64,
}

/// Ring dimensions of the values, modulus and gadgets of the bridge: the largest prime that the
/// fastest transforms take, and enough digits that none of this shows beside a table's noise. The
/// larger rings allow tables of 4096 and 8192 entries: each doubling halves their noise, for a good
/// two times the time.
const LOG_DIMENSIONS: [u32; 3] = [11, 12, 13];
const MODULUS_BITS: u32 = 50;

/// The gadgets of the way down and of packing, bits and digits: finer in larger rings, whose tables
/// have less noise that theirs could show beside.
fn gadgets(log_dimension: u32) -> [(u32, u32); 2] {
    match log_dimension {
        0..=11 => [(8, 2), (8, 6)],
        12 => [(9, 2), (6, 8)],
        _ => [(9, 2), (5, 10)],
    }
}

/// Dimensions of the small secret; a grouping factor of three takes every third.
const DIMENSIONS: std::ops::RangeInclusive<usize> = 600..=900;
const DIMENSION_STEP: usize = 4;
const WEIGHT_BITS: std::ops::RangeInclusive<u32> = 6..=11;
const SHARED_BITS: std::ops::RangeInclusive<u32> = 0..=2;
/// Bits of a weight of the first layer beyond those of the input.
const INPUT_MARGIN_BITS: u32 = 4;
/// The rarest differences of a max-pool are folded back, which does no harm.
const POOL_MARGIN: f64 = 0.95;
/// Bytes of all bootstrapping keys in memory.
const MOST_KEY_BYTES: f64 = 1.1e9;
/// What can be lost relative to the most precise parameters is counted from the most precise of these
/// keys and rings: those beyond cost several times as much for a little less.
const USUAL_KEY_BYTES: f64 = 512e6;
const USUAL_LOG_DIMENSION: u32 = 12;
/// Bytes of bootstrapping keys on the wire that are not exceeded where the target can be reached so.
pub const SMALL_WIRE_BYTES: f64 = 62.5e6;
/// Bytes of a word of a bootstrapping key on the wire: 50 bits.
pub(super) const WIRE_WORD: f64 = 50.0 / 8.0;

/// The margin of an activation's window over the calibrated range: more for fewer images.
pub(super) fn activation_margin(samples: usize) -> f64 {
    1.035 + 0.3 / (samples.max(1) as f64).sqrt()
}

/// A key that could be used, with what it costs and adds.
struct Key {
    literal: BootstrapLiteral,
    input: f64,
    output: f64,
    seconds: f64,
    bytes: f64,
    wire: f64,
}

/// The number of comparisons in max-pools and of activations, as if every thread had as many as the
/// busiest one.
fn counts(stages: &[Stage], calibration: &Calibration, costs: &Costs) -> [f64; 2] {
    let mut counts = [0.0; 2];
    for (stage, seen) in stages.iter().zip(&calibration.stages) {
        let mut dims = stage.affine.dims;
        for (pool, differences) in stage.pools.iter().zip(&seen.pools) {
            for (index, axis) in [2, 1].into_iter().enumerate() {
                let taps = pool.kernel[1 - index] - 1;
                dims[axis] = dims[axis].saturating_sub(taps + 1) / pool.strides[1 - index] + 1;
                counts[0] += taps as f64 * costs.busiest(dims.iter().product());
            }
            debug_assert_eq!(differences.len(), pool.kernel[0] + pool.kernel[1] - 2);
        }
        if let Some(activation) = stage.activation.as_ref().filter(|activation| !activation.slots) {
            let tables = activation.functions.len().max(1);
            counts[1] += tables as f64 * costs.busiest(stage.elements() / tables);
        }
    }
    counts
}

/// The widths of the weights to try: the bits of a weight, and those that may be lost, which matter
/// where a value has several readers.
fn widths(stages: &[Stage]) -> Vec<[u32; 2]> {
    let mut sources: Vec<usize> =
        stages.iter().flat_map(|stage| stage.affine.terms.iter().map(|term| term.source)).collect();
    let count = sources.len();
    sources.sort_unstable();
    sources.dedup();
    let lost =
        if sources.len() == count { *SHARED_BITS.end()..=*SHARED_BITS.end() } else { SHARED_BITS };
    lost.flat_map(|lost| WEIGHT_BITS.map(move |bits| [bits, lost])).collect()
}

/// Every setting that no other beats in both time and error, fastest first: among all, and among
/// those of small keys.
///
/// # Errors
/// [`CompileError`] as [`super::lower::lower`] refuses a calibration; [`CompileError::Bridge`] where
/// the security asked for has no parameters.
pub fn search(
    stages: &[Stage],
    calibration: &Calibration,
    request: &Request,
    costs: &Costs,
) -> Result<Vec<Candidate>, CompileError> {
    let counts = counts(stages, calibration, costs);
    let mut models = Vec::new();
    for [weight_bits, shared_bits] in widths(stages) {
        let settings = settings(request, calibration, weight_bits, shared_bits);
        let amplitudes = amplitudes(stages, calibration, &settings)?;
        let model = ErrorModel::new(stages, calibration, &amplitudes, &settings)?;
        models.push((settings, model));
    }
    let mut points = Vec::new();
    let rings = LOG_DIMENSIONS.into_iter();
    let rings = rings.flat_map(|log| dimensions(request, log).into_iter().map(move |n| (log, n)));
    let sets = rings.map(|(log, dimension)| keys(request, log, dimension, costs));
    let sets = sets.collect::<Result<Vec<_>, _>>()?;
    for set in &sets {
        for activation in &set.keys {
            for pool in &set.keys {
                let needed = counts[0] > 0.0 || pool.literal == activation.literal;
                if needed && bytes_of(pool, activation)[0] <= MOST_KEY_BYTES {
                    let seconds = counts[0] * pool.seconds + counts[1] * activation.seconds;
                    points.extend(models.iter().map(|(settings, model)| {
                        let variances = set.variances(pool, activation);
                        let [margin, output] = model.deviations(&variances);
                        Point { seconds, margin, output, settings, model, set, pool, activation }
                    }));
                }
            }
        }
    }
    let small = |point: &Point<'_>| bytes_of(point.pool, point.activation)[1] <= SMALL_WIRE_BYTES;
    let (small, large): (Vec<_>, Vec<_>) = points.into_iter().partition(small);
    let small = frontier(small);
    let all = frontier(small.iter().cloned().chain(large).collect());
    let large = all.into_iter().filter(|p| bytes_of(p.pool, p.activation)[1] > SMALL_WIRE_BYTES);
    let mut candidates: Vec<Candidate> =
        small.iter().cloned().chain(large).map(|point| point.candidate(costs)).collect();
    candidates.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    Ok(candidates)
}

/// Bytes of both keys in memory and on the wire, or of the one that serves for both.
fn bytes_of(pool: &Key, activation: &Key) -> [f64; 2] {
    let second = if pool.literal == activation.literal { 0.0 } else { 1.0 };
    [activation.bytes + second * pool.bytes, activation.wire + second * pool.wire]
}

/// Seeded: the bodies alone, one polynomial for each row of each part of the key.
fn wire_bytes(parameters: &BootstrapParameters) -> f64 {
    parameters.seeded_words() as f64 * WIRE_WORD
}

/// A choice on the way, with what the frontier compares.
#[derive(Clone)]
struct Point<'a> {
    seconds: f64,
    margin: f64,
    output: f64,
    settings: &'a Settings,
    model: &'a ErrorModel,
    set: &'a KeySet,
    pool: &'a Key,
    activation: &'a Key,
}

impl Point<'_> {
    fn candidate(&self, costs: &Costs) -> Candidate {
        let variances = self.set.variances(self.pool, self.activation);
        let [key_bytes, wire_bytes] = bytes_of(self.pool, self.activation);
        Candidate {
            settings: with_keys(self.settings, self.set, self.pool, self.activation),
            seconds: self.seconds / costs.speedup,
            agreement: self.model.agreement(&variances),
            deviation: self.output,
            key_bytes,
            wire_bytes,
        }
    }
}

/// Those that no other beats in time and both errors.
fn frontier(mut points: Vec<Point<'_>>) -> Vec<Point<'_>> {
    points.sort_by(|a, b| a.seconds.total_cmp(&b.seconds).then(a.margin.total_cmp(&b.margin)));
    let (mut margin, mut output) = (f64::INFINITY, f64::INFINITY);
    points.retain(|point| {
        let better = point.margin < margin || point.output < output;
        margin = margin.min(point.margin);
        output = output.min(point.output);
        better
    });
    points
}

/// The fastest candidate that reaches the target, with small keys where such do.
///
/// # Errors
/// [`CompileError::Unreachable`] with the nearest.
pub fn select(frontier: &[Candidate], target: Target) -> Result<&Candidate, CompileError> {
    let usual = |candidate: &&Candidate| {
        candidate.key_bytes <= USUAL_KEY_BYTES
            && candidate.settings.parameters.log_dimension <= USUAL_LOG_DIMENSION
    };
    let most = |best: f64, candidate: &Candidate| best.max(candidate.agreement);
    let best = frontier.iter().fold(0.0, most);
    let kept = frontier.iter().filter(usual).fold(0.0, most);
    let deviations = frontier.iter().map(|candidate| candidate.deviation);
    let least = deviations.fold(f64::INFINITY, f64::min);
    let reaches = |candidate: &&Candidate| match target {
        Target::Agreement(part) => candidate.agreement >= part,
        Target::MaxError(error) => 4.0 * candidate.deviation <= error,
        Target::Loss { most, times } => 1.0 - candidate.agreement <= most.max(times * (1.0 - kept)),
    };
    let small = |candidate: &&Candidate| candidate.wire_bytes <= SMALL_WIRE_BYTES;
    let found = frontier.iter().filter(small).find(reaches).or(frontier.iter().find(reaches));
    found.ok_or_else(|| CompileError::Unreachable {
        target: target.to_string(),
        nearest: format!(
            "the most precise parameters reach an agreement of {:.3} % and a largest error of {:.3}; \
             what binds is the noise at a table's input, at dimension {} with keys of at most {:.0} MB",
            100.0 * best,
            4.0 * least,
            DIMENSIONS.end(),
            MOST_KEY_BYTES / 1e6
        ),
    })
}

fn dimensions(request: &Request, log_dimension: u32) -> Vec<usize> {
    match request.assumptions {
        Assumptions::Compact => DIMENSIONS.step_by(DIMENSION_STEP).collect(),
        Assumptions::Conservative => vec![1 << (log_dimension - 1)],
    }
}

fn literal(
    request: &Request,
    log_dimension: u32,
    lwe_dimension: usize,
    bootstraps: Vec<BootstrapLiteral>,
) -> ParametersLiteral {
    let [down_gadget, up_gadget] = gadgets(log_dimension);
    ParametersLiteral {
        assumptions: request.assumptions,
        log_dimension,
        modulus_bits: MODULUS_BITS,
        lwe_dimension,
        down_gadget,
        up_gadget,
        bootstraps,
    }
}

/// Settings without keys yet.
fn settings(
    request: &Request,
    calibration: &Calibration,
    weight_bits: u32,
    shared_bits: u32,
) -> Settings {
    Settings {
        parameters: literal(request, 0, 0, Vec::new()),
        pool_key: 0,
        activation_key: 0,
        weight_bits,
        first_weight_bits: request.input_bits + INPUT_MARGIN_BITS,
        shared_bits,
        pool_margin: POOL_MARGIN,
        activation_margin: activation_margin(calibration.samples),
    }
}

fn with_keys(settings: &Settings, set: &KeySet, pool: &Key, activation: &Key) -> Settings {
    let mut settings = settings.clone();
    settings.parameters = set.literal.clone();
    settings.parameters.bootstraps = vec![activation.literal];
    if pool.literal != activation.literal {
        settings.parameters.bootstraps.push(pool.literal);
        settings.pool_key = 1;
    }
    settings
}

/// The keys of one dimension, and the variances that do not depend on them.
struct KeySet {
    /// Without keys.
    literal: ParametersLiteral,
    fixed: Variances,
    keys: Vec<Key>,
}

impl KeySet {
    fn variances(&self, pool: &Key, activation: &Key) -> Variances {
        Variances {
            activation_input: activation.input,
            activation_output: activation.output,
            pool_input: pool.input,
            pool_output: pool.output,
            ..self.fixed
        }
    }
}

fn keys(
    request: &Request,
    log_dimension: u32,
    dimension: usize,
    costs: &Costs,
) -> Result<KeySet, CompileError> {
    let mut literals = Vec::new();
    for shape in Shape::all(1 << log_dimension) {
        let wanted = request.grouping_factor.is_none_or(|factor| factor == shape.grouping_factor);
        if wanted && dimension.is_multiple_of(shape.grouping_factor) {
            literals.push(best_gadget(shape, dimension, request.security)?);
        }
    }
    let parameters = bridge::Parameters::new(
        literal(request, log_dimension, dimension, literals.clone()),
        request.security,
    )?;
    let mut keys = Vec::new();
    let mut fixed = Variances::default();
    for (index, literal) in literals.into_iter().enumerate() {
        let variances = Variances::new(&parameters, index, index)?;
        fixed = variances;
        let bootstrap = parameters.bootstrap(index)?;
        keys.push(Key {
            literal,
            input: variances.activation_input,
            output: variances.activation_output,
            seconds: costs.bootstrap(Shape::of(bootstrap), dimension),
            bytes: bootstrap.fourier_bytes() as f64,
            wire: wire_bytes(bootstrap),
        });
    }
    let beaten = |key: &Key| {
        keys.iter().any(|other| {
            other.seconds <= key.seconds
                && other.input <= key.input
                && other.output <= key.output
                && (other.seconds, other.input, other.output)
                    != (key.seconds, key.input, key.output)
        })
    };
    let keep: Vec<bool> = keys.iter().map(|key| !beaten(key)).collect();
    let mut keep = keep.into_iter();
    keys.retain(|_| keep.next().unwrap_or(true));
    Ok(KeySet { literal: literal(request, log_dimension, dimension, Vec::new()), fixed, keys })
}

/// The decomposition base of the least noise.
fn best_gadget(
    shape: Shape,
    dimension: usize,
    security: SecurityLevel,
) -> Result<BootstrapLiteral, CompileError> {
    let Shape { glwe_dimension, polynomial_size, levels, grouping_factor } = shape;
    let mut best = None;
    let mut least = f64::INFINITY;
    for base_log in 8..=26 {
        if base_log * levels > 48 {
            continue;
        }
        let parameters = BootstrapParameters::new(
            dimension,
            glwe_dimension,
            polynomial_size,
            base_log,
            levels,
            security,
        );
        let parameters = parameters.and_then(|p| p.with_grouping_factor(grouping_factor));
        let variance = noise::bootstrap(&parameters.map_err(bridge::BridgeError::from)?);
        if variance < least {
            least = variance;
            best = Some(BootstrapLiteral {
                glwe_dimension,
                polynomial_size,
                base_log,
                levels,
                grouping_factor,
            });
        }
    }
    best.ok_or(CompileError::Setting { name: "levels", value: levels as f64, allowed: "1 to 3" })
}

/// Bytes of all bootstrapping keys of a parameter set.
///
/// # Errors
/// [`CompileError::Bridge`] where the parameters are refused.
pub fn bytes(literal: &ParametersLiteral, security: SecurityLevel) -> Result<f64, CompileError> {
    Ok(key_bytes(&bridge::Parameters::new(literal.clone(), security)?))
}
