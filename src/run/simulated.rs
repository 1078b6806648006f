//! The program in f64 with the noise of its encrypted run, drawn from the noise formulas.

use super::backend::Backend;
use super::clear::{self, Clear, ClearError};
use super::executor::{ExecuteError, execute};
use crate::compile::{LinearMap, PhaseFunction, Place, Placement, Program, Table};
use bellerophon_bridge::{self as bridge, BridgeError, packing};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};
use std::cell::RefCell;

/// The standard deviation of what each kind of step adds, in turns.
#[derive(Clone, Debug)]
pub struct NoiseModel {
    parameters: bridge::Parameters,
    fresh: f64,
    /// By table key.
    table_input: Vec<f64>,
    /// By table key.
    table_output: Vec<f64>,
}

impl NoiseModel {
    /// The noise under `parameters`.
    ///
    /// # Errors
    /// [`BridgeError::MissingBootstrapKey`], which cannot occur for parameters that were built.
    pub fn new(parameters: &bridge::Parameters) -> Result<Self, BridgeError> {
        let keys = 0..parameters.bootstraps().len();
        let root = |variance: f64| variance.sqrt();
        Ok(Self {
            parameters: parameters.clone(),
            fresh: bridge::noise::fresh(parameters).sqrt(),
            table_input: keys
                .clone()
                .map(|key| bridge::noise::table_input(parameters, key).map(root))
                .collect::<Result<_, _>>()?,
            table_output: keys
                .map(|key| bridge::noise::table_output(parameters, key).map(root))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Of fresh ciphertexts.
    #[must_use]
    pub fn fresh(&self) -> f64 {
        self.fresh
    }

    /// What the packing of samples adds to each ciphertext.
    #[must_use]
    pub fn packing(&self, placements: &[Placement], ciphertexts: usize, zeroed: bool) -> Vec<f64> {
        let dimension = self.parameters.ring().dimension();
        let all = dimension.ilog2();
        let each = by_ciphertext(placements, ciphertexts).into_iter().map(|targets| {
            let levels =
                if zeroed { all } else { packing::levels(&targets, dimension).unwrap_or(all) };
            bridge::noise::to_ckks(&self.parameters, levels).sqrt()
        });
        each.collect()
    }

    /// At the input of table key `key`.
    #[must_use]
    pub fn table_input(&self, key: usize) -> f64 {
        self.table_input.get(key).copied().unwrap_or(f64::NAN)
    }

    /// At the output of table key `key`.
    #[must_use]
    pub fn table_output(&self, key: usize) -> f64 {
        self.table_output.get(key).copied().unwrap_or(f64::NAN)
    }
}

/// The simulated backend: one for each run, seeded.
#[derive(Debug)]
pub struct Simulated<'a> {
    clear: Clear,
    noise: &'a NoiseModel,
    rng: RefCell<ChaCha12Rng>,
}

impl<'a> Simulated<'a> {
    /// A run with this seed.
    #[must_use]
    pub fn new(noise: &'a NoiseModel, seed: u64) -> Self {
        let clear = Clear::new(noise.parameters.ring().dimension());
        Self { clear, noise, rng: RefCell::new(ChaCha12Rng::seed_from_u64(seed)) }
    }

    /// Fresh input ciphertexts of a program.
    ///
    /// # Errors
    /// [`ClearError`] for a place outside the ring.
    pub fn encrypt(&self, image: &[f64], program: &Program) -> Result<Vec<Vec<f64>>, ClearError> {
        let exact = self.clear.encrypt(image, program)?;
        Ok(exact.iter().map(|values| self.blurred(values, self.noise.fresh)).collect())
    }

    fn blurred(&self, values: &[f64], std: f64) -> Vec<f64> {
        let mut rng = self.rng.borrow_mut();
        let mut blur = |&value: &f64| {
            if value.is_nan() {
                return value; // junk stays junk
            }
            let sample: f64 = StandardNormal.sample(&mut *rng);
            value + std * sample
        };
        values.iter().map(&mut blur).collect()
    }
}

/// The program's outputs for one image, both in the network's units, with noise drawn from `seed`.
///
/// # Errors
/// [`ExecuteError`] for a program that does not fit together.
pub fn simulate(
    program: &Program,
    noise: &NoiseModel,
    image: &[f64],
    seed: u64,
) -> Result<Vec<f64>, ExecuteError<ClearError>> {
    let simulated = Simulated::new(noise, seed);
    let input = simulated.encrypt(image, program);
    let output = execute(&simulated, program, input.map_err(ExecuteError::Input)?, &mut ())?;
    clear::read_output(program, &output)
}

/// The coefficients of each ciphertext.
fn by_ciphertext(placements: &[Placement], ciphertexts: usize) -> Vec<Vec<usize>> {
    let mut targets = vec![Vec::new(); ciphertexts];
    for Placement { place, .. } in placements {
        if let Some(targets) = targets.get_mut(place.ciphertext) {
            targets.push(place.coefficient);
        }
    }
    targets
}

impl Backend for Simulated<'_> {
    type Ring = Vec<f64>;
    type Switched = Vec<f64>;
    type Samples = Vec<f64>;
    type Error = ClearError;

    fn linear(
        &self,
        map: &LinearMap,
        inputs: &[&[Vec<f64>]],
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.clear.linear(map, inputs, amplitude)
    }

    fn to_lwe(
        &self,
        inputs: &[Vec<f64>],
        places: &[Place],
        key: usize,
    ) -> Result<Vec<f64>, ClearError> {
        let phases = self.clear.to_lwe(inputs, places, key)?;
        Ok(self.blurred(&phases, self.noise.table_input(key)))
    }

    fn look_up(
        &self,
        inputs: &Vec<f64>,
        tables: &[(usize, Table)],
        key: usize,
    ) -> Result<Vec<f64>, ClearError> {
        let phases = self.clear.look_up(inputs, tables, key)?;
        Ok(self.blurred(&phases, self.noise.table_output(key)))
    }

    fn to_ckks(
        &self,
        inputs: &Vec<f64>,
        placements: &[Placement],
        ciphertexts: usize,
        zeroed: bool,
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let exact = self.clear.to_ckks(inputs, placements, ciphertexts, zeroed, amplitude)?;
        let deviations = self.noise.packing(placements, ciphertexts, zeroed);
        Ok(exact.iter().zip(deviations).map(|(values, std)| self.blurred(values, std)).collect())
    }

    fn slots(
        &self,
        inputs: &[Vec<f64>],
        function: &PhaseFunction,
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        let exact = self.clear.slots(inputs, function, amplitude)?;
        Ok(exact.iter().map(|values| self.blurred(values, function.deviation)).collect())
    }

    fn extract(&self, inputs: &[Vec<f64>], places: &[Place]) -> Result<Vec<f64>, ClearError> {
        self.clear.extract(inputs, places)
    }

    fn add(
        &self,
        left: &[Vec<f64>],
        right: &[Vec<f64>],
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.clear.add(left, right, amplitude)
    }
}
