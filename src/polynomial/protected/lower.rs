//! From the layers of a calibrated network to the steps of an architecture, and the numbers to be
//! encrypted for them.
//!
//! As in [`crate::polynomial::lower`], a value of the network is `factor` times the slot's plus
//! `offset`. Here all that is chosen from the weights or the samples goes into encrypted weights and
//! biases; what an architecture shows depends on shapes, kinds of layers and powers of two alone.

use super::architecture::{InputLayout, Linear, Operation, Step, Term};
use super::calibrated::{Calibrated, Kind, Layer};
use super::plain::Weights;
use super::tiling::Tiling;
use crate::model::{Operator, Shape};
use crate::polynomial::PolynomialError;
use crate::polynomial::affine::{AffineMap, unsupported};
use crate::polynomial::arrange::{Arrangement, rotations};
use crate::polynomial::cost::Sizes;
use crate::polynomial::layout::{Layout, Place, axes, mask};
use crate::polynomial::lower::{Activated, Target, activated, identity, window_sums};
use crate::polynomial::program::{self, LinearMap};
use bellerophon_schemes::ckks::{Split, c64};
use std::collections::BTreeSet;

/// Seconds that a byte is worth: of a weight, which is stored, sent and kept in memory; and of an
/// input, which is sent each time.
const SECONDS_PER_BYTE: [f64; 2] = [2e-9, 1e-8];
/// What a giant step costs in hoisted baby steps: it relinearizes and rotates.
const GIANT_COST: usize = 4;

/// Steps whose levels are counted from the input, 0, upwards.
pub(super) struct Lowered {
    pub layout: InputLayout,
    pub steps: Vec<Step>,
    pub weights: Vec<Weights>,
    pub levels: usize,
    pub output: Vec<Place>,
    pub factor: f64,
    pub offset: f64,
}

/// Where a layer's values are.
#[derive(Clone)]
enum Placement {
    Slots(Layout),
    Tiled(Tiling),
}

#[derive(Clone)]
struct Value {
    /// 0 is the input, `k + 1` what step `k` makes.
    place: usize,
    /// Levels taken so far.
    depth: usize,
    placement: Placement,
    /// A value of the network is `factor` times the slot's plus `offset`.
    factor: f64,
    offset: f64,
}

/// The steps of a network in ciphertexts of this many slots, for `sizes` of a fresh one.
///
/// # Errors
/// [`PolynomialError::TooLarge`] where a feature map fits no ciphertext.
pub(super) fn lower(network: &Calibrated, sizes: &Sizes) -> Result<Lowered, PolynomialError> {
    let slots = sizes.dimension / 2;
    let mut lowering = Lowering {
        network,
        readers: network.readers(),
        sizes: *sizes,
        values: Vec::new(),
        steps: Vec::new(),
        weights: Vec::new(),
    };
    let placement = lowering.input(slots)?;
    let input = Value { place: 0, depth: 0, placement, factor: 1.0, offset: 0.0 };
    let layout = match &input.placement {
        Placement::Slots(layout) => {
            InputLayout::Places { places: layout.places.clone(), period: layout.period }
        }
        Placement::Tiled(tiling) => InputLayout::Tiled(*tiling),
    };
    lowering.values.push(input);
    for index in 1..network.layers.len() {
        let value = lowering.layer(index)?;
        lowering.values.push(value);
    }
    let last = lowering.values.pop();
    let (Some(Value { placement: Placement::Slots(made), factor, offset, .. }), false) =
        (last, lowering.steps.is_empty())
    else {
        return Err(unsupported("input", "the network has no layer to protect"));
    };
    let Lowering { steps, weights, .. } = lowering;
    let levels = steps.iter().map(|step| step.level + step.operation.levels()).max().unwrap_or(0);
    Ok(Lowered { layout, steps, weights, levels, output: made.places, factor, offset })
}

struct Lowering<'a> {
    network: &'a Calibrated,
    readers: Vec<Vec<usize>>,
    sizes: Sizes,
    values: Vec<Value>,
    steps: Vec<Step>,
    weights: Vec<Weights>,
}

impl Lowering<'_> {
    /// Tiled for a dense layer that alone reads it.
    fn input(&self, slots: usize) -> Result<Placement, PolynomialError> {
        let mut index = 0;
        while let [reader] = self.readers[index][..] {
            let layer = &self.network.layers[reader];
            match (&layer.kind, layer.operator()) {
                (Kind::Flatten, _) => index = reader,
                (Kind::Affine, Some(Operator::Dense(_))) => {
                    let values = self.network.input_shape().elements();
                    let tilings = Tiling::candidates(values, layer.shape.elements(), slots);
                    let seconds = |tiling: &Tiling| self.tiling_seconds(tiling);
                    let best = tilings.into_iter().min_by(|a, b| seconds(a).total_cmp(&seconds(b)));
                    match best {
                        Some(tiling) => return Ok(Placement::Tiled(tiling)),
                        None => break,
                    }
                }
                _ => break,
            }
        }
        Ok(Placement::Slots(Layout::input(self.network.input_shape(), slots)?))
    }

    fn layer(&mut self, index: usize) -> Result<Value, PolynomialError> {
        let layer = &self.network.layers[index];
        let input = layer.inputs.first().and_then(|&input| self.values.get(input));
        let value = input.ok_or_else(|| unsupported(&layer.name, "it reads nothing"))?.clone();
        match &layer.kind {
            Kind::Input | Kind::Flatten => Ok(value),
            Kind::Affine => {
                let operator = layer.operator();
                let from = self.network.layers[layer.inputs[0]].shape;
                let map = operator.and_then(|op| AffineMap::new(op, from, layer.shape));
                let map = map.ok_or_else(|| unsupported(&layer.name, "it is not affine"))?;
                let target = self.wanted(index)?;
                let beside = self.beside(index);
                self.affine(&layer.name, &map.with_zeros(), &value, target, beside.as_ref())
            }
            Kind::Pool { pool, factor } => {
                self.pool(index, value, (pool.kernel, pool.strides), *factor)
            }
            Kind::Activation(approximation) => {
                let activated = activated(approximation, layer.bound())?;
                self.activation(&layer.name, layer.shape, value, activated)
            }
            Kind::Sum => self.sum(index),
        }
    }

    fn push(&mut self, stage: &str, input: &Value, operation: Operation) -> (usize, usize) {
        let depth = input.depth + operation.levels();
        let stage = stage.to_owned();
        self.steps.push(Step { stage, input: input.place, operation, level: input.depth });
        (self.steps.len(), depth)
    }

    /// What the slots of a layer's result should hold: what the activation that reads it wants,
    /// through the poolings and sums before that, or else values within [-1, 1].
    fn wanted(&self, index: usize) -> Result<Target, PolynomialError> {
        let layer = &self.network.layers[index];
        let bounded = Target { slope: 1.0 / layer.bound(), shift: 0.0 };
        let [reader] = self.readers[index][..] else { return Ok(bounded) };
        let next = &self.network.layers[reader];
        match &next.kind {
            Kind::Activation(approximation) => Ok(activated(approximation, next.bound())?.target),
            Kind::Flatten => self.wanted(reader),
            Kind::Pool { pool, factor } => {
                // n slots are summed: their means and sums want 1/n of the shift
                let count = (pool.kernel[0] * pool.kernel[1]) as f64;
                let Target { slope, shift } = self.wanted(reader)?;
                Ok(Target { slope: slope * factor / count, shift: shift / count })
            }
            Kind::Sum => self.share(reader),
            Kind::Affine | Kind::Input => Ok(bounded),
        }
    }

    /// What a sum wants of each value it reads.
    fn share(&self, index: usize) -> Result<Target, PolynomialError> {
        let Target { slope, shift } = self.wanted(index)?;
        let count = self.network.layers[index].inputs.len().max(1) as f64;
        Ok(Target { slope, shift: shift / count })
    }

    /// The layout of the other value of the sum that alone reads this layer, where it is known.
    fn beside(&self, index: usize) -> Option<Layout> {
        let [reader] = self.readers[index][..] else { return None };
        let sum = &self.network.layers[reader];
        let others = sum.inputs.iter().filter(|&&other| other != index);
        let value = others.filter_map(|&other| self.values.get(other)).next();
        match (&sum.kind, value.map(|value| &value.placement)) {
            (Kind::Sum, Some(Placement::Slots(layout))) => Some(layout.clone()),
            _ => None,
        }
    }

    fn affine(
        &mut self,
        name: &str,
        map: &AffineMap<'_>,
        value: &Value,
        target: Target,
        wanted: Option<&Layout>,
    ) -> Result<Value, PolynomialError> {
        let mut biases = map.biases();
        map.for_each_weight(|i, _, weight| biases[i] += weight * value.offset);
        biases.iter_mut().for_each(|bias| *bias = *bias * target.slope + target.shift);
        let factor = value.factor * target.slope;
        let (linear, weights, layout) = match &value.placement {
            Placement::Tiled(tiling) => self.tiled(tiling, map, factor, &biases),
            Placement::Slots(layout) => self.arranged(map, layout, factor, &biases, wanted)?,
        };
        let (place, depth) = self.push(name, value, Operation::Linear(linear));
        self.weights.push(weights);
        let (factor, offset) = (1.0 / target.slope, -target.shift / target.slope);
        Ok(Value { place, depth, placement: Placement::Slots(layout), factor, offset })
    }

    /// A dense layer on an input that is laid out for it.
    fn tiled(
        &self,
        tiling: &Tiling,
        map: &AffineMap<'_>,
        factor: f64,
        biases: &[f64],
    ) -> (Linear, Weights, Layout) {
        let step = self.tiling_step(tiling);
        let inputs = 0..tiling.ciphertexts;
        let diagonals = tiling.diagonals(map, factor).into_iter().zip(inputs);
        let diagonals = diagonals.flat_map(|(diagonals, input)| {
            let terms = diagonals.into_iter().enumerate();
            terms.map(move |(d, diagonal)| (term(0, input, d, step), diagonal))
        });
        let slot = |slot: usize| biases.get(slot % tiling.block).copied().unwrap_or(0.0);
        let biases = vec![(0..tiling.slots).map(slot).collect()];
        let (terms, weights) = sorted(diagonals, biases);
        let linear = Linear { outputs: 1, terms, folds: tiling.folds(), conjugates: true };
        let bits = mask(0, tiling.block.ilog2() as usize);
        let place = |slot| Place { ciphertext: 0, slot };
        let layout = Layout {
            slots: tiling.slots,
            period: tiling.block,
            row: 1,
            column: 1,
            axes: axes([bits]),
            places: (0..map.output().elements()).map(place).collect(),
        };
        (linear, weights, layout)
    }

    /// Any layer, on values in slots.
    fn arranged(
        &self,
        map: &AffineMap<'_>,
        input: &Layout,
        factor: f64,
        biases: &[f64],
        wanted: Option<&Layout>,
    ) -> Result<(Linear, Weights, Layout), PolynomialError> {
        let wanted = wanted.filter(|layout| layout.places.len() == map.output().elements());
        let arrangement = match wanted {
            Some(layout) => Arrangement { layout: layout.clone(), fold: 0, seconds: 0.0 },
            None => Arrangement::cheapest(map, input, |rotations, fold| {
                self.seconds(rotations, input.slots, fold.count_ones() as usize)
            })?,
        };
        let all = rotations(map, input, &arrangement.layout, arrangement.fold);
        let step = best_split(&all, input.slots).step.max(1);
        let LinearMap { outputs, folds } = arrangement.linear_map(map, input, factor, biases);
        let count = outputs.len();
        let (mut diagonals, mut biases) = (Vec::new(), Vec::new());
        for (output, made) in outputs.into_iter().enumerate() {
            for (input, terms) in made.terms.into_iter().enumerate() {
                let complex = |values: Vec<f64>| values.into_iter().map(|re| c64 { re, im: 0.0 });
                let terms = terms.into_iter().map(|(rotation, values)| {
                    (term(output, input, rotation, step), complex(values).collect())
                });
                diagonals.extend(terms);
            }
            biases.push(made.biases);
        }
        let (terms, weights) = sorted(diagonals, biases);
        let linear = Linear { outputs: count, terms, folds, conjugates: false };
        Ok((linear, weights, arrangement.layout))
    }

    /// Each window is summed in its first slot; a mean's division is left to `factor`.
    fn pool(
        &mut self,
        index: usize,
        value: Value,
        (kernel, strides): ([usize; 2], [usize; 2]),
        factor: f64,
    ) -> Result<Value, PolynomialError> {
        let layer = &self.network.layers[index];
        let from = self.network.layers[layer.inputs[0]].shape;
        let Placement::Slots(layout) = &value.placement else {
            return Err(unsupported(&layer.name, "its input is laid out for a dense layer"));
        };
        let mut summed = value.clone();
        for (length, distance) in [(kernel[1], layout.column), (kernel[0], layout.row)] {
            for rotations in window_sums(length, distance) {
                let sum = self.push(&layer.name, &summed, Operation::Sum(rotations));
                (summed.place, summed.depth) = sum;
            }
        }
        let placement = Placement::Slots(layout.strided(from, layer.shape, strides));
        let count = (kernel[0] * kernel[1]) as f64;
        let (factor, offset) = (value.factor * factor / count, value.offset * factor);
        Ok(Value { placement, factor, offset, ..summed })
    }

    fn activation(
        &mut self,
        name: &str,
        shape: Shape,
        value: Value,
        activated: Activated,
    ) -> Result<Value, PolynomialError> {
        let mut value = self.brought_to(name, shape, value, activated.target, None)?;
        let operation = match activated.operation {
            Some(program::Operation::Square) => Some(Operation::Square),
            Some(program::Operation::Polynomial(polynomial)) => {
                Some(Operation::Polynomial(polynomial))
            }
            Some(program::Operation::Rectify(sign)) => Some(Operation::Rectify(sign)),
            Some(_) => return Err(unsupported(name, "its activation is no function of a slot")),
            None => None,
        };
        if let Some(operation) = operation {
            (value.place, value.depth) = self.push(name, &value, operation);
        }
        Ok(Value { factor: activated.factor, offset: activated.offset, ..value })
    }

    /// The value with its slots as `target` says, by a multiplication with encrypted numbers where
    /// they are not so already, in this layout where one is given.
    fn brought_to(
        &mut self,
        name: &str,
        shape: Shape,
        value: Value,
        target: Target,
        layout: Option<&Layout>,
    ) -> Result<Value, PolynomialError> {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * (1.0 + a.abs().max(b.abs()));
        let as_wanted = close(value.factor * target.slope, 1.0)
            && close(-value.offset / value.factor, target.shift);
        let moved = match (&value.placement, layout) {
            (Placement::Slots(found), Some(layout)) => found.places != layout.places,
            (Placement::Slots(_), None) => false,
            (Placement::Tiled(_), _) => true,
        };
        if as_wanted && !moved {
            return Ok(value);
        }
        let identity = identity(shape);
        let map = AffineMap::new(&identity, shape, shape);
        let map = map.ok_or_else(|| unsupported(name, "it is not affine"))?;
        self.affine(name, &map, &value, target, layout)
    }

    /// Values that are summed have one layout, that of the deepest, and one factor.
    fn sum(&mut self, index: usize) -> Result<Value, PolynomialError> {
        let layer: &Layer = &self.network.layers[index];
        let target = self.share(index)?;
        let values: Vec<Value> =
            layer.inputs.iter().map(|&input| self.values[input].clone()).collect();
        let depth = values.iter().map(|value| value.depth).max().unwrap_or(0);
        let deepest = values.iter().rev().find(|value| value.depth == depth);
        let Some(Placement::Slots(layout)) = deepest.map(|value| value.placement.clone()) else {
            return Err(unsupported(&layer.name, "its input is laid out for a dense layer"));
        };
        let mut sum: Option<Value> = None;
        for value in values {
            // what a branch has levels to spare for is done with as few limbs as it can be
            let spared = Value { depth: value.depth.max(depth.saturating_sub(1)), ..value.clone() };
            let scaled =
                self.brought_to(&layer.name, layer.shape, spared, target, Some(&layout))?;
            let scaled = if scaled.place == value.place { value } else { scaled };
            sum = Some(match sum {
                None => scaled,
                Some(sum) => {
                    let deeper = Value { depth: sum.depth.max(scaled.depth), ..sum };
                    let add = Operation::Add(scaled.place);
                    let (place, depth) = self.push(&layer.name, &deeper, add);
                    let offset = deeper.offset + scaled.offset;
                    Value { place, depth, offset, ..deeper }
                }
            });
        }
        sum.ok_or_else(|| unsupported(&layer.name, "it reads nothing"))
    }

    fn bytes(&self) -> f64 {
        (self.sizes.limbs * self.sizes.dimension * 4) as f64
    }

    /// What a layer costs, predicted, its bytes included.
    fn seconds(&self, rotations: &[Vec<BTreeSet<usize>>], slots: usize, folds: usize) -> f64 {
        let split = best_split(rotations, slots);
        let diagonals: usize = rotations.iter().flatten().map(BTreeSet::len).sum();
        let switches = split.babies.div_ceil(2) + 2 * split.giants + split.outputs * (1 + folds);
        self.sizes.key_switch() * switches as f64 + self.products(diagonals)
    }

    fn products(&self, diagonals: usize) -> f64 {
        let product = self.sizes.multiply() - self.sizes.key_switch() - self.sizes.rescale();
        diagonals as f64 * (product + SECONDS_PER_BYTE[0] * self.bytes())
    }

    /// The baby steps of a tiled layer: a power of two.
    fn tiling_step(&self, tiling: &Tiling) -> usize {
        let steps = (0..=tiling.window.ilog2()).map(|log| 1 << log);
        let cost =
            |step: &usize| tiling.ciphertexts * (step - 1) + GIANT_COST * tiling.window / step;
        steps.min_by_key(cost).unwrap_or(1)
    }

    fn tiling_seconds(&self, tiling: &Tiling) -> f64 {
        let step = self.tiling_step(tiling);
        let babies = tiling.ciphertexts * (step - 1);
        let switches = babies.div_ceil(2) + 2 * (tiling.window / step);
        let input = 2.0 * SECONDS_PER_BYTE[1] * self.bytes() * tiling.ciphertexts as f64;
        self.products(tiling.ciphertexts * tiling.window)
            + self.sizes.key_switch() * switches as f64
            + input
    }
}

/// The baby and giant steps of least cost.
fn best_split(rotations: &[Vec<BTreeSet<usize>>], slots: usize) -> Split {
    let splits = (0..=slots.ilog2()).map(|log| Split::new(rotations, 1 << log));
    let cost = |split: &Split| split.babies + GIANT_COST * split.giants;
    splits.min_by_key(cost).unwrap_or_default()
}

fn term(output: usize, input: usize, rotation: usize, step: usize) -> Term {
    let baby = rotation % step;
    Term { output, giant: rotation - baby, input, baby }
}

fn sorted(
    diagonals: impl IntoIterator<Item = (Term, Vec<c64>)>,
    biases: Vec<Vec<f64>>,
) -> (Vec<Term>, Weights) {
    let mut diagonals: Vec<(Term, Vec<c64>)> = diagonals.into_iter().collect();
    diagonals.sort_by_key(|(term, _)| *term);
    let (terms, diagonals) = diagonals.into_iter().unzip();
    (terms, Weights { diagonals, biases })
}
