//! Random networks.

use crate::model::strategies::{activations, max_pools, mean_pools, pads};
use crate::model::{
    Activation, BatchNormalization, Convolution, Dense, Graph, GraphError, MaxPool, MeanPool,
    NodeId, Operator, ParametricRelu, Polynomial, Shape,
};
use crate::tiny;
use ndarray::{Array1, Array2, Array4};
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;

/// A layer or a few, which are left out where they do not fit.
#[derive(Clone, Debug)]
pub(super) enum Layer {
    Convolution(Window),
    MaxPool(MaxPool),
    MeanPool(MeanPool),
    Pad([usize; 4]),
    Normalization,
    Activation(Activation),
    ParametricRelu,
    Square,
    /// Two convolutions and a shortcut: the identity, or one of 1x1 where that does not fit.
    Residual {
        outputs: usize,
        strides: [usize; 2],
    },
    /// A value and an activation of it, added.
    TwoReaders(Activation),
    Dense(usize),
}

/// The numbers of a convolution.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// For each group.
    outputs: usize,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    dilations: [usize; 2],
    grouped: bool,
}

/// What a random network is made from.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shape: [usize; 3],
    pub(super) layers: Vec<Layer>,
    pub(super) seed: u64,
}

fn windows() -> impl Strategy<Value = Window> {
    let sides = |most: usize| [1..=most, 1..=most];
    let sizes = (1_usize..4, sides(4), sides(3), pads(4), sides(2), any::<bool>());
    sizes.prop_map(|(outputs, kernel, strides, pads, dilations, grouped)| Window {
        outputs,
        kernel,
        strides,
        pads,
        dilations,
        grouped,
    })
}

fn all_activations() -> impl Strategy<Value = Activation> {
    let falling = (-1.0..0.0_f64).prop_map(|slope| Activation::LeakyRelu { slope });
    prop_oneof![2 => Just(Activation::Relu), 4 => activations(), 1 => falling]
}

fn layers() -> impl Strategy<Value = Layer> {
    // a mean that leaves padding out is refused
    let mean_pools = mean_pools().prop_map(|pool| MeanPool { include_padding: true, ..pool });
    let residual = (1_usize..4, [1_usize..3, 1_usize..3]);
    prop_oneof![
        6 => windows().prop_map(Layer::Convolution),
        4 => all_activations().prop_map(Layer::Activation),
        3 => max_pools().prop_map(Layer::MaxPool),
        1 => mean_pools.prop_map(Layer::MeanPool),
        1 => pads(3).prop_map(Layer::Pad),
        1 => Just(Layer::Normalization),
        1 => Just(Layer::ParametricRelu),
        1 => Just(Layer::Square),
        2 => residual.prop_map(|(outputs, strides)| Layer::Residual { outputs, strides }),
        1 => all_activations().prop_map(Layer::TwoReaders),
        2 => (1_usize..20).prop_map(Layer::Dense),
    ]
}

/// Up to eight layers on images with sides up to `side`.
pub(super) fn plans(side: usize) -> impl Strategy<Value = Plan> {
    let shape = [1..4, 1..side + 1, 1..side + 1];
    let plan = (shape, prop::collection::vec(layers(), 1..9), any::<u64>());
    plan.prop_map(|(shape, layers, seed)| Plan { shape, layers, seed })
}

/// Values larger than this make tests slow.
const MOST_ELEMENTS: usize = 6000;

impl Plan {
    pub(super) fn graph(&self) -> Graph {
        let [channels, height, width] = self.shape;
        let mut growing = Growing {
            graph: Graph::new("image", Shape::image(channels, height, width)).unwrap(),
            rng: tiny::rng(self.seed),
        };
        for layer in &self.layers {
            let kept = growing.graph.clone();
            let added = growing.layer(layer);
            if added.is_err() || growing.graph.output_shape().elements() > MOST_ELEMENTS {
                growing.graph = kept;
            }
        }
        if growing
            .graph
            .nodes()
            .iter()
            .all(|node| matches!(node.operator(), Operator::Flatten | Operator::Input))
        {
            growing.layer(&Layer::Dense(3)).unwrap();
        }
        growing.graph
    }
}

struct Growing {
    graph: Graph,
    rng: ChaCha20Rng,
}

impl Growing {
    fn push(&mut self, operator: Operator, inputs: Vec<NodeId>) -> Result<NodeId, GraphError> {
        let name = format!("{}{}", operator.name(), self.graph.nodes().len());
        self.graph.push(name, operator, inputs)
    }

    fn vector(&mut self, length: usize) -> Array1<f64> {
        Array1::from_shape_simple_fn(length, || self.rng.random_range(-1.0..1.0))
    }

    /// A convolution of the value, its weights scaled so that results are of its order.
    fn convolution(&mut self, of: NodeId, window: &Window) -> Result<NodeId, GraphError> {
        let channels = self.graph.node(of)?.shape().channels();
        let groups = if window.grouped { channels } else { 1 };
        let [rows, columns] = window.kernel;
        let shape = (window.outputs * groups, channels / groups, rows, columns);
        let scale = ((channels / groups * rows * columns) as f64).sqrt().recip();
        let weight = || scale * self.rng.random_range(-1.0..1.0);
        let weights = Array4::from_shape_simple_fn(shape, weight);
        let bias = self.vector(shape.0);
        let layer = Convolution {
            strides: window.strides,
            pads: window.pads,
            dilations: window.dilations,
            groups,
            ..Convolution::new(weights, bias)
        };
        self.push(Operator::Convolution(layer), vec![of])
    }

    fn layer(&mut self, layer: &Layer) -> Result<(), GraphError> {
        let last = self.graph.output();
        let shape = self.graph.output_shape();
        let operator = match layer {
            Layer::Convolution(window) => return self.convolution(last, window).map(drop),
            Layer::Residual { outputs, strides } => return self.residual(last, *outputs, *strides),
            Layer::TwoReaders(function) => {
                let function = self.push(Operator::Activation(*function), vec![last])?;
                return self.push(Operator::Sum, vec![last, function]).map(drop);
            }
            Layer::Dense(outputs) => return self.dense(last, *outputs),
            Layer::MaxPool(pool) => Operator::MaxPool(*pool),
            Layer::MeanPool(pool) => Operator::MeanPool(*pool),
            Layer::Pad(pads) => Operator::Pad(*pads),
            Layer::Normalization => Operator::BatchNormalization(BatchNormalization {
                scale: self.vector(shape.channels()),
                shift: self.vector(shape.channels()),
            }),
            Layer::Activation(function) => Operator::Activation(*function),
            Layer::ParametricRelu => {
                Operator::ParametricRelu(ParametricRelu { slopes: self.vector(shape.channels()) })
            }
            Layer::Square => Operator::Polynomial(Polynomial::square()),
        };
        self.push(operator, vec![last]).map(drop)
    }

    fn residual(
        &mut self,
        of: NodeId,
        outputs: usize,
        strides: [usize; 2],
    ) -> Result<(), GraphError> {
        let window = |size: usize, strides: [usize; 2]| Window {
            outputs,
            kernel: [size; 2],
            strides,
            pads: [size / 2; 4],
            dilations: [1, 1],
            grouped: false,
        };
        let first = self.convolution(of, &window(3, strides))?;
        let first = self.push(Operator::RELU, vec![first])?;
        let second = self.convolution(first, &window(3, [1, 1]))?;
        let shapes = [of, second].map(|id| self.graph.node(id).map(|node| node.shape()));
        let shortcut = match shapes[0] == shapes[1] {
            true => of,
            false => self.convolution(of, &window(1, strides))?,
        };
        self.push(Operator::Sum, vec![second, shortcut]).map(drop)
    }

    fn dense(&mut self, of: NodeId, outputs: usize) -> Result<(), GraphError> {
        let flat = match self.graph.node(of)?.shape() {
            Shape::Vector(_) => of,
            Shape::Image { .. } => self.push(Operator::Flatten, vec![of])?,
        };
        let inputs = self.graph.node(flat)?.shape().elements();
        let scale = (inputs as f64).sqrt().recip();
        let weight = || scale * self.rng.random_range(-1.0..1.0);
        let weights = Array2::from_shape_simple_fn((outputs, inputs), weight);
        let bias = self.vector(outputs);
        self.push(Operator::Dense(Dense { weights, bias }), vec![flat]).map(drop)
    }
}
