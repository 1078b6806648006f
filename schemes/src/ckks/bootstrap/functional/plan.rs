//! What is known of functional bootstrapping before its matrices are encoded.

use crate::ckks::bootstrap::error::coefficient_variances;
use crate::ckks::bootstrap::matrices::Matrices;
use crate::ckks::bootstrap::modular_reduction::ModularReduction;
use crate::ckks::bootstrap::{BootstrapLiteral, PhasePolynomial, check, integer_bound};
use crate::ckks::dft::FactoredNorms;
use crate::ckks::{
    CkksError, Diagonals, Encoder, KeyRequirements, Parameters, Scale, Split, noise,
};
use std::f64::consts::PI;

/// Where the steps begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    /// The modular reduction.
    pub reduction: usize,
    /// The polynomial.
    pub polynomial: usize,
    /// Slots to coefficients.
    pub last: usize,
}

impl Levels {
    fn new(parameters: &Parameters, literal: &BootstrapLiteral) -> Result<Self, CkksError> {
        if literal.modular_reduction.harmonics != 1 {
            let (what, value) = ("the number of harmonics", literal.modular_reduction.harmonics);
            return Err(CkksError::Parameter { what, value, allowed: "1 here" });
        }
        let (first, last) = (literal.coefficients_to_slots, literal.slots_to_coefficients);
        let reduction = literal.modular_reduction.depth();
        let (needed, found) = (first + reduction + last, parameters.max_level());
        if found < needed {
            let operation = "functional bootstrapping";
            return Err(CkksError::Level { operation, needed, found });
        }
        Ok(Self { reduction: found - first, polynomial: found - first - reduction, last })
    }
}

/// What a [`FunctionalBootstrapper`](super::FunctionalBootstrapper) is made of: which levels its steps
/// take, which keys it needs and how much it errs.
#[derive(Debug, Clone)]
pub struct FunctionalPlan {
    parameters: Parameters,
    literal: BootstrapLiteral,
    slots: usize,
    levels: Levels,
    reduction: ModularReduction,
    requirements: KeyRequirements,
    bytes: usize,
    last: FactoredNorms,
    /// The variance of the sine, its imaginary part included: what is independent in all slots, and
    /// what repeats as they do.
    sine_variances: [f64; 2],
}

impl FunctionalPlan {
    /// From ciphertexts at level 0 to results at level 0; what levels are left between the sine and
    /// the last step are the polynomial's.
    ///
    /// # Errors
    /// [`CkksError::Parameter`] for an impossible literal or another number of harmonics than 1;
    /// [`CkksError::Level`] where the chain is too short.
    pub fn new(parameters: &Parameters, literal: &BootstrapLiteral) -> Result<Self, CkksError> {
        let slots = check(parameters, literal)?;
        let levels = Levels::new(parameters, literal)?;
        let top = parameters.max_level();
        let bound = integer_bound(parameters.dimension() as f64);
        let reduction = ModularReduction::new(&literal.modular_reduction, bound)?;
        let encoder = &Encoder::new(parameters);
        let matrices = Matrices { parameters, encoder, literal, slots };
        let (first, gain) = matrices.coefficient_factors(bound)?;
        let last = matrices.slot_factors(1.0);
        let requirements = rotations(parameters, &first, top)
            .union(rotations(parameters, &last, levels.last))
            .union(KeyRequirements::relinearization(levels.reduction))
            .union(KeyRequirements::conjugation(parameters, levels.reduction + 1))
            .union(matrices.sparse_requirements());
        let bytes =
            matrix_bytes(parameters, &first, top) + matrix_bytes(parameters, &last, levels.last);
        let first = FactoredNorms::new(parameters, &first, top, &gain)?;
        let last = FactoredNorms::new(parameters, &last, levels.last, &Scale::one())?;
        let sine_variances = sine_variances(parameters, levels, (&first, slots), &reduction)?;
        Ok(Self {
            parameters: parameters.clone(),
            literal: literal.clone(),
            slots,
            levels,
            reduction,
            requirements,
            bytes,
            last,
            sine_variances,
        })
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The literal that it was made of.
    #[must_use]
    pub fn literal(&self) -> &BootstrapLiteral {
        &self.literal
    }

    /// Half the number of coefficients that it works on: `N/2`, or less where these lie in the
    /// subring of `X^(N/(2 slots))`, which takes little more than half of the time and of the keys.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    fn is_sparse(&self) -> bool {
        self.slots < self.parameters.slots()
    }

    /// Levels that the polynomial may take.
    #[must_use]
    pub fn polynomial_depth(&self) -> usize {
        self.levels.polynomial - self.levels.last
    }

    /// The keys that an evaluation uses.
    #[must_use]
    pub fn requirements(&self) -> KeyRequirements {
        self.requirements.clone()
    }

    /// Bytes in memory of the keys, and of the matrices once they are encoded.
    #[must_use]
    pub fn bytes(&self) -> [usize; 2] {
        [self.requirements.bytes(&self.parameters), self.bytes]
    }

    pub(super) fn levels(&self) -> Levels {
        self.levels
    }

    pub(super) fn reduction(&self) -> &ModularReduction {
        &self.reduction
    }

    /// The bound of the integer parts.
    pub(super) fn bound(&self) -> f64 {
        integer_bound(self.parameters.dimension() as f64)
    }

    pub(super) fn matrices<'a>(&'a self, encoder: &'a Encoder) -> Matrices<'a> {
        let (parameters, literal) = (&self.parameters, &self.literal);
        Matrices { parameters, encoder, literal, slots: self.slots }
    }

    /// The scale of the sine.
    pub(super) fn sine_scale(&self) -> Result<Scale, CkksError> {
        sine_scale(&self.parameters, self.levels, &self.reduction)
    }

    /// The scale of a phase in turns, `q_0`.
    pub(super) fn turn(&self) -> Result<Scale, CkksError> {
        Ok(Scale::of_modulus(self.parameters.modulus(0)?))
    }

    pub(super) fn check_depth(&self, polynomial: &PhasePolynomial) -> Result<(), CkksError> {
        let (needed, found) = (polynomial.depth(), self.polynomial_depth());
        if needed <= found {
            return Ok(());
        }
        let operation = "evaluating a polynomial of the sine of a phase";
        Err(CkksError::Level { operation, needed, found })
    }

    /// The variance, in turns of `q_0` squared, that is added to a coefficient whose phase is `phase`
    /// turns, without [`PhasePolynomial::error`]; the variance of the phase itself counts
    /// [`PhasePolynomial::slope`] squared times.
    ///
    /// # Errors
    /// [`CkksError::Level`] for a polynomial of more than [`FunctionalPlan::polynomial_depth`] levels;
    /// [`CkksError::InvalidScale`] where a scale leaves the range of `f64`.
    pub fn variance(&self, polynomial: &PhasePolynomial, phase: f64) -> Result<f64, CkksError> {
        self.check_depth(polynomial)?;
        let parameters = &self.parameters;
        let (n, turn) = (parameters.dimension() as f64, self.turn()?.finite()?);
        let [independent, equal] = self.slot_variances(polynomial, phase)?;
        let power = noise::power(parameters, polynomial.evaluate(phase).powi(2), turn);
        let variance = if self.is_sparse() {
            // a value is the mean of its copies; the matrices join halves, of which one is a copy
            let copies = (parameters.slots() / self.slots) as f64;
            let (own, _) = self.last.noise(parameters, (0.0, power));
            let slot = (2.0 / copies * independent + equal) * turn * turn;
            slot + 2.0 * copies * own + noise::key_switch(parameters, 0)
        } else {
            // both halves together, the upper one times the imaginary unit
            let slot = (independent + equal) * turn * turn / n;
            self.last.noise(parameters, (2.0 * slot, 2.0 * power)).0
        };
        Ok(variance / (turn * turn))
    }

    /// The variances of the polynomial in a slot: what is independent in all slots, and what repeats
    /// as they do.
    fn slot_variances(
        &self,
        polynomial: &PhasePolynomial,
        phase: f64,
    ) -> Result<[f64; 2], CkksError> {
        let operand = (self.levels.polynomial, &self.sine_scale()?);
        let (turn, sine) = (self.turn()?, (2.0 * PI * phase).sin());
        let variance = |of_sine: f64| {
            let (circuit, error) = (polynomial.circuit(), of_sine.sqrt());
            let error = circuit.standard_error(&self.parameters, operand, &turn, error, sine)?;
            Ok::<_, CkksError>(error * error)
        };
        let [independent, equal] = self.sine_variances;
        let first = variance(independent)?;
        Ok([first, variance(independent + equal)? - first])
    }
}

/// The scale of the sine, which is half the sum of a ciphertext and its conjugate.
fn sine_scale(
    parameters: &Parameters,
    levels: Levels,
    reduction: &ModularReduction,
) -> Result<Scale, CkksError> {
    let scale = reduction.scale(parameters, levels.reduction)?;
    Ok(scale.times(&Scale::power_of_two(1)))
}

/// The variances of the sine, its imaginary part included: [`coefficient_variances`] with what the
/// modular reduction adds.
fn sine_variances(
    parameters: &Parameters,
    levels: Levels,
    first: (&FactoredNorms, usize),
    reduction: &ModularReduction,
) -> Result<[f64; 2], CkksError> {
    let level = levels.reduction;
    let [independent, equal] = coefficient_variances(parameters, first, level)?;
    let switch = noise::key_switch(parameters, levels.polynomial);
    let scale = sine_scale(parameters, levels, reduction)?.finite()?;
    let conjugation = parameters.dimension() as f64 * switch / (scale * scale);
    let first = reduction.variance(parameters, level, independent)?;
    let both = reduction.variance(parameters, level, independent + equal)?;
    Ok([first + conjugation, both - first])
}

/// Bytes of the encoded diagonals of maps from `level` on.
fn matrix_bytes(parameters: &Parameters, factors: &[Diagonals], level: usize) -> usize {
    let special = parameters.special_rings().len();
    let limbs =
        factors.iter().enumerate().map(|(index, map)| map.len() * (level - index + 1 + special));
    8 * parameters.dimension() * limbs.sum::<usize>()
}

/// The rotations of maps from `level` on.
fn rotations(parameters: &Parameters, factors: &[Diagonals], level: usize) -> KeyRequirements {
    let slots = parameters.slots();
    let each = factors.iter().enumerate().map(|(index, diagonals)| {
        let rotations = [vec![diagonals.keys().map(|rotation| rotation % slots).collect()]];
        let steps = Split::best(&rotations, slots).rotations(&rotations);
        let steps = steps.into_iter().map(|steps| steps as i64);
        KeyRequirements::rotations(parameters, steps, level - index)
    });
    each.fold(KeyRequirements::default(), KeyRequirements::union)
}
