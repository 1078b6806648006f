//! The network as a directed acyclic graph of layers.
//!
//! A [`Graph`] is built node by node in topological order; every node's output
//! shape is worked out and checked as it is added, so a graph that exists can
//! be evaluated and compiled without further shape checks. Shapes carry no
//! batch dimension: one graph describes the path of one image.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::operator::{MAX_DEGREE, Operator};

/// The most elements one value of a graph may have (2^26, half a gigabyte in f64).
pub const MAX_ELEMENTS: usize = 1 << 26;

/// The shape of one value, without batch dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// Feature maps, stored channel by channel, row by row.
    Image {
        /// Number of feature maps, C.
        channels: usize,
        /// Rows of each map, H.
        height: usize,
        /// Columns of each map, W.
        width: usize,
    },
    /// A vector of this length.
    Vector(usize),
}

impl Shape {
    /// Shape of `channels` maps of `height` rows and `width` columns.
    pub fn image(channels: usize, height: usize, width: usize) -> Self {
        Self::Image { channels, height, width }
    }

    /// The dimensions, outermost first: `[C, H, W]` or `[n]`.
    pub fn dimensions(&self) -> Vec<usize> {
        match *self {
            Self::Image { channels, height, width } => vec![channels, height, width],
            Self::Vector(length) => vec![length],
        }
    }

    /// The number of channels an affine map per channel sees: C, or n for a vector.
    pub fn channels(&self) -> usize {
        match *self {
            Self::Image { channels, .. } => channels,
            Self::Vector(length) => length,
        }
    }

    /// The number of elements: C·H·W or n (saturating; shapes inside a graph
    /// never exceed [`MAX_ELEMENTS`]).
    pub fn elements(&self) -> usize {
        let product = |total: usize, dimension: usize| total.saturating_mul(dimension);
        self.dimensions().into_iter().fold(1, product)
    }

    pub(super) fn check(self) -> Result<Self, GraphError> {
        if (1..=MAX_ELEMENTS).contains(&self.elements()) {
            Ok(self)
        } else {
            Err(GraphError::Size { shape: self })
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Dimensions(&self.dimensions()))
    }
}

/// Dimensions written as `1x32x32`.
struct Dimensions<'a>(&'a [usize]);

impl fmt::Display for Dimensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&words.join("x"))
    }
}

/// Position of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(usize);

impl NodeId {
    /// The index into [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One layer of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    name: String,
    operator: Operator,
    inputs: Vec<NodeId>,
    shape: Shape,
}

impl Node {
    /// The name from the model file, or the one given to [`Graph::push`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the node computes.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The nodes whose values it reads; empty for the input node.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// The shape of its value.
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// A network of checked layers in topological order, with one input and one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    output: NodeId,
    notes: Vec<String>,
}

impl Graph {
    /// A graph with only its input node (which is its output until a layer is pushed).
    ///
    /// # Errors
    /// [`GraphError::Size`] if the shape is empty or has more than
    /// [`MAX_ELEMENTS`] elements.
    pub fn new(name: impl Into<String>, input: Shape) -> Result<Self, GraphError> {
        let node = Node {
            name: name.into(),
            operator: Operator::Input,
            inputs: Vec::new(),
            shape: input.check()?,
        };
        Ok(Self { nodes: vec![node], output: NodeId(0), notes: Vec::new() })
    }

    /// Adds a layer that reads `inputs` and makes it the output.
    ///
    /// # Errors
    /// [`GraphError`] if an input is not in this graph, the number or shape of
    /// inputs does not suit the operator, a weight is not finite, or the
    /// output would be empty or larger than [`MAX_ELEMENTS`].
    pub fn push(
        &mut self,
        name: impl Into<String>,
        operator: Operator,
        inputs: Vec<NodeId>,
    ) -> Result<NodeId, GraphError> {
        let shapes = inputs.iter().map(|&input| self.node(input).map(Node::shape));
        let shapes: Vec<Shape> = shapes.collect::<Result<_, _>>()?;
        let shape = operator.output_shape(&shapes)?.check()?;
        if !operator.is_finite() {
            return Err(GraphError::NotFinite { operator: operator.name() });
        }
        self.nodes.push(Node { name: name.into(), operator, inputs, shape });
        self.output = NodeId(self.nodes.len() - 1);
        Ok(self.output)
    }

    /// Chooses another node as the output.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`] if the node is not in this graph.
    pub fn set_output(&mut self, output: NodeId) -> Result<(), GraphError> {
        self.node(output)?;
        self.output = output;
        Ok(())
    }

    /// The nodes in topological order; the first is the input.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes with their ids, in topological order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
        let with_id = |(index, node)| (NodeId(index), node);
        self.nodes.iter().enumerate().map(with_id)
    }

    /// One node.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`] if the id is not of this graph.
    pub fn node(&self, id: NodeId) -> Result<&Node, GraphError> {
        self.nodes.get(id.0).ok_or(GraphError::UnknownNode { id, count: self.nodes.len() })
    }

    /// The input node.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// The shape of the image the graph reads.
    pub fn input_shape(&self) -> Shape {
        self.shape_at(self.input())
    }

    /// The node whose value is the result.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// The shape of the result.
    pub fn output_shape(&self) -> Shape {
        self.shape_at(self.output)
    }

    /// For every node, by index, the nodes that read its value.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for (id, node) in self.iter() {
            for input in &node.inputs {
                consumers[input.0].push(id);
            }
        }
        consumers
    }

    /// What differs from the model file this graph was read from, such as a final softmax that was
    /// left out: one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The number of trained values in the graph (see [`Operator::parameter_count`]).
    pub fn parameter_count(&self) -> usize {
        let count = |node: &Node| node.operator.parameter_count();
        self.nodes.iter().map(count).sum()
    }

    fn shape_at(&self, id: NodeId) -> Shape {
        self.nodes[id.0].shape
    }
}

/// Why a graph cannot be built or evaluated.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum GraphError {
    /// A node id is not of this graph.
    #[error("node {id} is not in the graph, which has nodes #0 to #{}", count.saturating_sub(1))]
    UnknownNode {
        /// The id asked for.
        id: NodeId,
        /// The number of nodes in the graph.
        count: usize,
    },
    /// An input operator was pushed; a graph gets its only one when it is made.
    #[error("a graph has one input, made with the graph; push layers only")]
    SecondInput,
    /// A layer got the wrong number of inputs.
    #[error("{operator} reads {expected} value(s), but {found} were given")]
    InputCount {
        /// The layer's operator.
        operator: &'static str,
        /// How many values it reads.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A sum got fewer than two values.
    #[error("Sum reads two or more values, but {found} were given")]
    SumInputs {
        /// How many were given.
        found: usize,
    },
    /// A sum got values of different shapes.
    #[error("Sum reads values of one shape, but got {first} and {other}")]
    SumShapes {
        /// The shape of the first value.
        first: Shape,
        /// The first shape that differs from it.
        other: Shape,
    },
    /// The output channels of a convolution cannot be split evenly.
    #[error("{outputs} output channels cannot be split evenly into {groups} groups")]
    Groups {
        /// The number of groups.
        groups: usize,
        /// The number of output channels.
        outputs: usize,
    },
    /// A window of a pooling would hold nothing but padding.
    #[error("{operator} has pads {pads:?}, which must be less than its kernel {kernel:?}")]
    PoolPads {
        /// The layer's operator.
        operator: &'static str,
        /// Rows and columns added: top, left, bottom, right.
        pads: [usize; 4],
        /// Rows and columns of the window.
        kernel: [usize; 2],
    },
    /// A layer got an image where it needs a vector, or the other way round.
    #[error("{operator} needs {expected} as input, but the value it reads has shape {found}")]
    ShapeKind {
        /// The layer's operator.
        operator: &'static str,
        /// The kind of shape it needs.
        expected: &'static str,
        /// The shape found.
        found: Shape,
    },
    /// A layer's weights and its input do not fit.
    #[error("{operator} is made for {expected} {what}, but {found} were found")]
    Mismatch {
        /// The layer's operator.
        operator: &'static str,
        /// What was counted.
        what: &'static str,
        /// The number that would be right.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// A window does not fit in its map, or has a zero size, stride or dilation.
    #[error(
        "a window of size {kernel}, stride {stride}, dilation {dilation} does not fit in {length} \
         rows or columns: all three must be at least 1 and the window at most as long as the map"
    )]
    Window {
        /// Taps of the window.
        kernel: usize,
        /// Step between windows.
        stride: usize,
        /// Distance between taps.
        dilation: usize,
        /// Rows or columns of the padded map.
        length: usize,
    },
    /// A value would be empty or too large.
    #[error("shape {shape} has {} elements, but 1 to {MAX_ELEMENTS} are allowed", shape.elements())]
    Size {
        /// The shape asked for.
        shape: Shape,
    },
    /// A weight is infinite or not a number.
    #[error("{operator} has weights that are not finite numbers")]
    NotFinite {
        /// The layer's operator.
        operator: &'static str,
    },
    /// A polynomial has no coefficient, or one of a power above the limit.
    #[error("a polynomial has 1 to {} coefficients, but {found} were given", MAX_DEGREE + 1)]
    CoefficientCount {
        /// The number of coefficients found.
        found: usize,
    },
    /// The image given for evaluation has another shape than the graph's input.
    #[error("the graph reads an input of shape {expected}, but got {}", Dimensions(found))]
    InputShape {
        /// The graph's input shape.
        expected: Shape,
        /// The dimensions of the array given.
        found: Vec<usize>,
    },
}

#[cfg(test)]
mod tests {
    use super::super::Activation;
    use super::super::operator::{
        BatchNormalization, Convolution, Dense, MaxPool, MeanPool, ParametricRelu, Polynomial,
    };
    use super::*;
    use ndarray::{Array1, Array2, Array4};

    fn convolution(outputs: usize, inputs: usize, size: usize) -> Operator {
        let weights = Array4::zeros((outputs, inputs, size, size));
        Operator::Convolution(Convolution::new(weights, Array1::zeros(outputs)))
    }

    fn normalization(channels: usize) -> Operator {
        Operator::BatchNormalization(BatchNormalization {
            scale: Array1::ones(channels),
            shift: Array1::zeros(channels),
        })
    }

    fn dense(outputs: usize, inputs: usize) -> Operator {
        Operator::Dense(Dense {
            weights: Array2::zeros((outputs, inputs)),
            bias: Array1::zeros(outputs),
        })
    }

    fn halving() -> Operator {
        Operator::MaxPool(MaxPool::new([2, 2], [2, 2]))
    }

    /// The network of the first anchor: two convolutions, three dense layers.
    fn lenet5() -> Graph {
        let mut graph = Graph::new("image", Shape::image(1, 32, 32)).unwrap();
        let layers = [
            convolution(6, 1, 5),
            normalization(6),
            Operator::RELU,
            halving(),
            convolution(16, 6, 5),
            normalization(16),
            Operator::RELU,
            halving(),
            Operator::Flatten,
            dense(120, 400),
            Operator::RELU,
            dense(84, 120),
            Operator::RELU,
            dense(10, 84),
        ];
        for (index, layer) in layers.into_iter().enumerate() {
            let last = graph.output();
            graph.push(format!("layer{index}"), layer, vec![last]).unwrap();
        }
        graph
    }

    fn push_one(shape: Shape, operator: Operator) -> Result<NodeId, GraphError> {
        let mut graph = Graph::new("input", shape).unwrap();
        let input = graph.input();
        graph.push("layer", operator, vec![input])
    }

    #[test]
    fn lenet5_has_the_shapes_and_parameters_of_the_paper() {
        let graph = lenet5();
        assert_eq!(graph.parameter_count(), 61_750);
        let shapes: Vec<String> = graph.nodes().iter().map(|n| n.shape().to_string()).collect();
        let convolutional = ["1x32x32", "6x28x28", "6x28x28", "6x28x28", "6x14x14", "16x10x10"];
        assert_eq!(shapes[..6], convolutional);
        assert_eq!(shapes[8..], ["16x5x5", "400", "120", "120", "84", "84", "10"]);
        assert_eq!(graph.output_shape(), Shape::Vector(10));
    }

    #[test]
    fn consumers_follow_the_edges() {
        let mut graph = lenet5();
        let input = graph.input();
        let side = graph.push("side", Operator::RELU, vec![input]).unwrap();
        let consumers = graph.consumers();
        assert_eq!(consumers[0], [NodeId(1), side]);
        assert_eq!(consumers[1], [NodeId(2)]);
        assert!(consumers[side.index()].is_empty());
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let image = Shape::image(3, 8, 8);
        let cases = [
            (convolution(2, 4, 3), "Convolution is made for 4 input channels, but 3 were found"),
            (normalization(2), "BatchNormalization is made for 3 scales, but 2 were found"),
            (dense(2, 192), "needs a vector (put a Flatten before it)"),
            (convolution(2, 3, 9), "a window of size 9, stride 1, dilation 1 does not fit in 8"),
            (convolution(0, 3, 3), "shape 0x6x6 has 0 elements"),
            (Operator::Input, "a graph has one input"),
        ];
        for (operator, words) in cases {
            let message = push_one(image, operator).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
            assert!(!message.contains('\n'));
        }
        let error = push_one(Shape::Vector(5), dense(2, 4)).unwrap_err();
        assert!(matches!(error, GraphError::Mismatch { expected: 4, found: 5, .. }));
        assert!(push_one(Shape::Vector(5), halving()).is_err());
    }

    #[test]
    fn sums_read_values_of_one_shape() {
        let mut graph = Graph::new("x", Shape::image(2, 3, 4)).unwrap();
        let input = graph.input();
        let pads = graph.push("pad", Operator::Pad([0, 1, 0, 1]), vec![input]).unwrap();
        assert_eq!(graph.output_shape(), Shape::image(2, 3, 6));
        let relu = graph.push("relu", Operator::RELU, vec![input]).unwrap();
        let mut sum = |inputs: &[NodeId]| graph.push("sum", Operator::Sum, inputs.to_vec());
        assert!(sum(&[input, relu, input]).is_ok());
        assert_eq!(sum(&[]), Err(GraphError::SumInputs { found: 0 }));
        assert_eq!(sum(&[relu]), Err(GraphError::SumInputs { found: 1 }));
        let (first, other) = (Shape::image(2, 3, 4), Shape::image(2, 3, 6));
        assert_eq!(sum(&[input, relu, pads]), Err(GraphError::SumShapes { first, other }));
        let two = graph.push("relu", Operator::RELU, vec![input, relu]);
        let expected = GraphError::InputCount { operator: "Relu", expected: 1, found: 2 };
        assert_eq!(two, Err(expected));
        let id = graph.output();
        assert_eq!(graph.node(id).unwrap().inputs(), [input, relu, input]);
    }

    #[test]
    fn groups_and_pads_of_windows_must_fit() {
        let grouped = |outputs, inputs, groups| {
            let kernel =
                Convolution::new(Array4::zeros((outputs, inputs, 1, 1)), Array1::zeros(outputs));
            push_one(Shape::image(4, 3, 3), Operator::Convolution(Convolution { groups, ..kernel }))
        };
        assert!(grouped(6, 2, 2).is_ok() && grouped(4, 1, 4).is_ok());
        for (outputs, groups) in [(6, 4), (6, 0), (1, usize::MAX)] {
            assert_eq!(grouped(outputs, 1, groups), Err(GraphError::Groups { groups, outputs }));
        }
        let message = grouped(6, 4, 2).unwrap_err().to_string();
        assert!(message.contains("made for 8 input channels, but 4 were found"), "{message}");
        let pool = |pads| {
            let pool = MaxPool { pads, ..MaxPool::new([2, 3], [1, 1]) };
            let mean = MeanPool { pads, ..MeanPool::new([2, 3], [1, 1]) };
            let shape = Shape::image(1, 4, 4);
            assert_eq!(
                push_one(shape, Operator::MaxPool(pool)).is_ok(),
                push_one(shape, Operator::MeanPool(mean)).is_ok(),
            );
            push_one(shape, Operator::MaxPool(pool))
        };
        assert!(pool([1, 2, 1, 2]).is_ok());
        for pads in [[2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 2, 0], [0, 0, 0, 3]] {
            let expected = GraphError::PoolPads { operator: "MaxPool", pads, kernel: [2, 3] };
            assert_eq!(pool(pads), Err(expected));
        }
        let slopes = ParametricRelu { slopes: Array1::zeros(3) };
        let message = push_one(Shape::Vector(2), Operator::ParametricRelu(slopes)).unwrap_err();
        assert_eq!(message.to_string(), "ParametricRelu is made for 2 slopes, but 3 were found");
        assert!(push_one(Shape::Vector(2), Operator::Pad([0; 4])).is_err());
        let steep = Operator::Activation(Activation::LeakyRelu { slope: f64::NAN });
        let expected = GraphError::NotFinite { operator: "LeakyRelu" };
        assert_eq!(push_one(Shape::Vector(2), steep), Err(expected));
    }

    #[test]
    fn zero_steps_and_huge_pads_are_refused() {
        let base = Convolution::new(Array4::zeros((1, 1, 3, 3)), Array1::zeros(1));
        let wrong = [
            Convolution { strides: [0, 1], ..base.clone() },
            Convolution { dilations: [1, 0], ..base.clone() },
            Convolution { dilations: [1, usize::MAX], ..base.clone() },
            Convolution { pads: [usize::MAX, 0, usize::MAX, 0], ..base.clone() },
            Convolution { pads: [0, 1 << 16, 1 << 16, 0], ..base.clone() },
            Convolution { bias: Array1::zeros(2), ..base.clone() },
            Convolution { bias: Array1::from_elem(1, f64::NAN), ..base },
        ];
        for layer in wrong {
            let layer = Operator::Convolution(layer);
            assert!(push_one(Shape::image(1, 8, 8), layer).is_err());
        }
    }

    #[test]
    fn polynomials_keep_the_shape_and_are_limited() {
        let of = |coefficients: Vec<f64>| Operator::Polynomial(Polynomial { coefficients });
        for shape in [Shape::image(2, 3, 4), Shape::Vector(5)] {
            for count in [1, 2, MAX_DEGREE + 1] {
                let mut graph = Graph::new("x", shape).unwrap();
                let input = graph.input();
                graph.push("p", of(vec![0.5; count]), vec![input]).unwrap();
                assert_eq!((graph.output_shape(), graph.parameter_count()), (shape, 0));
            }
            for found in [0, MAX_DEGREE + 2, 1000] {
                let error = push_one(shape, of(vec![0.5; found])).unwrap_err();
                assert_eq!(error, GraphError::CoefficientCount { found });
            }
            for wrong in [f64::NAN, f64::INFINITY] {
                let error = push_one(shape, of(vec![1.0, wrong])).unwrap_err();
                assert_eq!(error, GraphError::NotFinite { operator: "Polynomial" });
            }
        }
    }

    #[test]
    fn mean_pools_have_the_shape_of_max_pools() {
        let pushed = |shape, operator| {
            let mut graph = Graph::new("x", shape).unwrap();
            let input = graph.input();
            graph.push("pool", operator, vec![input]).map(|_| graph.output_shape())
        };
        for (kernel, strides) in
            [([2, 2], [2, 2]), ([3, 1], [1, 2]), ([7, 2], [1, 1]), ([2, 2], [0, 1])]
        {
            let image = Shape::image(3, 6, 5);
            let mean = pushed(image, Operator::MeanPool(MeanPool::new(kernel, strides)));
            assert_eq!(mean, pushed(image, Operator::MaxPool(MaxPool::new(kernel, strides))));
        }
        let pool = MeanPool::new([1, 1], [1, 1]);
        let error = pushed(Shape::Vector(4), Operator::MeanPool(pool)).unwrap_err();
        assert!(matches!(error, GraphError::ShapeKind { operator: "MeanPool", .. }), "{error}");
    }

    #[test]
    fn sizes_are_limited() {
        assert!(Graph::new("x", Shape::Vector(MAX_ELEMENTS)).is_ok());
        assert!(Graph::new("x", Shape::Vector(MAX_ELEMENTS + 1)).is_err());
        assert!(Graph::new("x", Shape::image(0, 3, 3)).is_err());
        assert!(Graph::new("x", Shape::image(usize::MAX, usize::MAX, 2)).is_err());
    }

    #[test]
    fn ids_of_other_graphs_are_refused() {
        let mut small = Graph::new("x", Shape::Vector(3)).unwrap();
        let far = lenet5().output();
        let expected = GraphError::UnknownNode { id: far, count: 1 };
        assert_eq!(small.push("y", Operator::RELU, vec![far]), Err(expected.clone()));
        assert_eq!(small.set_output(far), Err(expected));
        let none = small.push("y", Operator::RELU, vec![]);
        assert!(matches!(none, Err(GraphError::InputCount { found: 0, .. })));
        assert_eq!(small.nodes().len(), 1);
    }
}
