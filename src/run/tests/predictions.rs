//! The error model of the compiler against simulated runs.

use super::*;
use crate::compile::amplitude::amplitudes;
use crate::compile::noise::{ErrorModel, Variances};
use crate::compile::{Model, PhaseFunction, Settings};
use crate::run::clear::ClearError;
use crate::run::simulated::{NoiseModel, simulate};
use bellerophon_bridge as bridge;
use std::cell::RefCell;
use std::collections::VecDeque;

/// What the tables of activations read, one after the other.
#[derive(Default)]
struct Readings {
    key: usize,
    all: VecDeque<Vec<f64>>,
}

impl Observer<Simulated<'_>> for Readings {
    fn begin(&mut self, _: usize, _: &Step) {}

    fn end(&mut self, _: usize, step: &Step, value: &Value<Simulated<'_>>) {
        if let (Operation::ToLwe { key, .. }, Value::Switched(phases)) = (&step.operation, value)
            && *key == self.key
        {
            self.all.push_back(phases.clone());
        }
    }
}

/// The clear backend, but activations read what they read in another run: their errors then are
/// those of their own stage alone.
struct Replay {
    clear: Clear,
    readings: RefCell<Readings>,
    /// The squared errors of each stage, in turns, and their number.
    errors: RefCell<Vec<(f64, usize)>>,
}

impl Backend for Replay {
    type Ring = Vec<f64>;
    type Switched = Vec<f64>;
    type Samples = Vec<f64>;
    type Linear = LinearMap;
    type Error = ClearError;

    fn linear(
        &self,
        map: &LinearMap,
        inputs: &[&[Vec<f64>]],
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.clear.linear(map, inputs, amplitude)
    }

    fn combine(
        &self,
        map: &LinearMap,
        inputs: &[&[Vec<f64>]],
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.clear.combine(map, inputs, amplitude)
    }

    fn to_lwe(
        &self,
        inputs: &[Vec<f64>],
        places: &[Place],
        key: usize,
    ) -> Result<Vec<f64>, ClearError> {
        let exact = self.clear.to_lwe(inputs, places, key)?;
        if key != self.readings.borrow().key {
            return Ok(exact);
        }
        let read = self.readings.borrow_mut().all.pop_front().unwrap();
        self.errors.borrow_mut().push(squares(&read, &exact));
        Ok(read)
    }

    fn look_up(
        &self,
        inputs: &Vec<f64>,
        tables: &[(usize, Table)],
        key: usize,
    ) -> Result<Vec<f64>, ClearError> {
        self.clear.look_up(inputs, tables, key)
    }

    fn to_ckks(
        &self,
        inputs: &Vec<f64>,
        placements: &[Placement],
        ciphertexts: usize,
        zeroed: bool,
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.clear.to_ckks(inputs, placements, ciphertexts, zeroed, amplitude)
    }

    fn slots(
        &self,
        inputs: &[Vec<f64>],
        function: &PhaseFunction,
        amplitude: f64,
    ) -> Result<Vec<Vec<f64>>, ClearError> {
        self.clear.slots(inputs, function, amplitude)
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

/// The sum of squared differences on the torus, and their number.
fn squares(run: &[f64], exact: &[f64]) -> (f64, usize) {
    let differences = run.iter().zip(exact).map(|(a, b)| a - b);
    let squares = differences.map(|difference| (difference - difference.round()).powi(2));
    (squares.sum(), run.len())
}

/// What the compiler predicts.
struct Predictions {
    model: ErrorModel,
    variances: Variances,
}

impl Predictions {
    fn new(model: &Model, settings: &Settings, parameters: &bridge::Parameters) -> Self {
        let calibration = tiny::calibration(model);
        let amplitudes = amplitudes(model.stages(), calibration, settings).unwrap();
        let model = ErrorModel::new(model.stages(), calibration, &amplitudes, settings).unwrap();
        let variances = Variances::new(parameters, settings.pool_key, settings.activation_key);
        Self { model, variances: variances.unwrap() }
    }
}

/// The number of images of the tiny network's calibration.
const IMAGES: u64 = 64;

#[test]
fn each_stage_has_the_predicted_error() {
    let (world, settings) = (&*tiny::WORLD, tiny::settings(9));
    let program = &world.program;
    let noise = NoiseModel::new(&world.parameters).unwrap();
    let mut sums = vec![(0.0, 0); 3];
    for seed in 0..IMAGES {
        let image = world.image(seed);
        for draw in 0..16 {
            let simulated = Simulated::new(&noise, 16 * seed + draw);
            let mut readings = Readings { key: settings.activation_key, all: VecDeque::new() };
            let input = simulated.encrypt(&image, program).unwrap();
            let noisy = execute(&simulated, program, input, &mut readings).unwrap();
            let clear = Clear::new(512);
            let input = clear.encrypt(&image, program).unwrap();
            let errors = RefCell::default();
            let replay = Replay { clear, readings: RefCell::new(readings), errors };
            let exact = execute(&replay, program, input, &mut ()).unwrap();
            let [noisy, exact] =
                [noisy, exact].map(|ring| Clear::gather(&ring, &program.output).unwrap());
            let mut errors = replay.errors.into_inner();
            errors.push(squares(&noisy, &exact));
            for (sum, (square, count)) in sums.iter_mut().zip(errors) {
                *sum = (sum.0 + square, sum.1 + count);
            }
        }
    }
    let tables = program.steps.iter().filter(|step| {
        matches!(step.operation, Operation::ToLwe { key, .. } if key == settings.activation_key)
    });
    let amplitudes: Vec<f64> =
        tables.map(|step| step.amplitude).chain([program.output_amplitude()]).collect();
    let Predictions { model, variances } =
        Predictions::new(&world.model, &settings, &world.parameters);
    let stages = model.stages(&variances, tiny::calibration(&world.model));
    assert_eq!((stages.len(), amplitudes.len()), (3, 3));
    for (index, ((stage, (sum, count)), amplitude)) in
        stages.iter().zip(sums).zip(amplitudes).enumerate()
    {
        let measured = (sum / count as f64).sqrt() / amplitude;
        let predicted = stage.deviation * (1.0 - stage.rounding).sqrt(); // both have the same weights
        let ratio = measured / predicted;
        println!("{measured} measured, {predicted} predicted: {ratio}");
        if index < 2 {
            assert!((ratio - 1.0).abs() < 0.15, "{measured} measured, {stage:?}");
        } else {
            // in the dense output layer the zeros between elements carry noise of the packing, which
            // the other rows of the same product add; the model leaves it out
            assert!((0.85..2.0).contains(&ratio), "{measured} measured, {stage:?}");
            assert!(
                measured.powi(2) < 0.01 * stage.deviation.powi(2),
                "no longer small: {stage:?}"
            );
        }
    }
}

fn largest(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

#[test]
fn outputs_have_the_predicted_error_and_agreement() {
    const DRAWS: u64 = 64;
    let (world, settings) = (&*tiny::WORLD, tiny::settings(9));
    // enough noise in the way down that some predictions change
    let literal = settings.parameters.clone();
    let parameters = bridge::Parameters::insecure_unchecked(literal, -15.5, -47.0).unwrap();
    let noise = NoiseModel::new(&parameters).unwrap();
    let (mut sum, mut count, mut agree) = (0.0, 0, 0);
    for seed in 0..IMAGES {
        let (image, input) = (world.image(seed), tiny::image(world.graph.input_shape(), seed));
        let plain: Vec<f64> = world.graph.evaluate(&input).unwrap().into_iter().collect();
        for draw in 0..DRAWS {
            let found = simulate(&world.program, &noise, &image, DRAWS * seed + draw).unwrap();
            let errors = found.iter().zip(&plain).map(|(a, b)| (a - b).powi(2));
            sum += errors.sum::<f64>();
            count += found.len();
            agree += usize::from(largest(&found) == largest(&plain));
        }
    }
    let Predictions { model, variances } = Predictions::new(&world.model, &settings, &parameters);
    let measured = (sum / count as f64).sqrt();
    let [_, predicted] = model.deviations(&variances);
    println!("{measured} measured, {predicted} predicted");
    assert!((measured / predicted - 1.0).abs() < 0.15, "{measured} measured, {predicted}");
    let measured = agree as f64 / (IMAGES * DRAWS) as f64;
    let predicted = model.agreement(&variances);
    println!("agreement: {measured} measured, {predicted} predicted");
    assert!(measured < 0.999, "all agree, which says little");
    assert!(
        (measured - predicted).abs() < 0.25 * (1.0 - measured) + 0.003,
        "{measured} {predicted}"
    );
}

#[test]
fn rounded_weights_have_the_predicted_error() {
    let layer = Operator::Dense(tiny::dense(200, 40, 1));
    let graph = tiny::chain(Shape::Vector(40), vec![layer]).unwrap();
    let model = tiny::model(&graph, 32).unwrap();
    for bits in [4, 6, 8] {
        let settings = Settings { first_weight_bits: bits, ..tiny::settings(9) };
        let program = tiny::lowered(&model, &settings).unwrap();
        let Predictions { model: errors, variances } =
            Predictions::new(&model, &settings, &tiny::parameters(&settings));
        let stage = &errors.stages(&variances, tiny::calibration(&model))[0];
        let predicted = stage.deviation * stage.rounding.sqrt();
        let mut sum = 0.0;
        for seed in 0..32 {
            let input = tiny::image(graph.input_shape(), seed);
            let values: Vec<f64> = input.iter().copied().collect();
            let found = clear::evaluate(&program, &values).unwrap();
            let plain = graph.evaluate(&input).unwrap();
            sum += found.iter().zip(&plain).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        }
        let measured = (sum / 32.0 / 200.0).sqrt();
        assert!((measured / predicted - 1.0).abs() < 0.15, "{bits} bits: {measured}, {predicted}");
    }
}
