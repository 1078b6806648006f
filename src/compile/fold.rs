//! Batch normalization folded into the layer before it.
//!
//! After training, batch normalization is `y = scale[c]·x + shift[c]`; behind a
//! convolution or dense layer `x = w·v + b` it is the same layer with weights
//! `scale[c]·w` and bias `scale[c]·b + shift[c]`, so it costs nothing.

use ndarray::{Array, Array1, Axis, RemoveAxis};

use super::CompileError;
use crate::model::{BatchNormalization, Convolution, Dense, Graph, NodeId, Operator};

/// What becomes of batch normalizations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// They become a part of the linear layers before and behind them, at no cost.
    #[default]
    Folded,
    /// Each stays a linear layer of its own, with weights of its own: where linear layers stand next
    /// to it, a table of the identity between them takes a bootstrapping for each value.
    Own,
}

/// Folds every batch normalization into the convolution or dense layer before
/// it, if nothing else reads that layer. Others stay as they are.
///
/// # Errors
/// [`CompileError::Graph`] if a folded weight is too large for f64.
pub fn fold_batch_normalization(graph: &Graph) -> Result<Graph, CompileError> {
    let folded = fold_once(graph)?;
    // A second normalization in a row becomes foldable once the first is gone.
    if folded.nodes().len() < graph.nodes().len() {
        fold_batch_normalization(&folded)
    } else {
        Ok(folded)
    }
}

fn fold_once(graph: &Graph) -> Result<Graph, CompileError> {
    let consumers = graph.consumers();
    let mut folded = Graph::new(graph.node(graph.input())?.name(), graph.input_shape())?;
    let mut moved = vec![folded.input()];
    for (id, node) in graph.iter().skip(1) {
        let absorbed = |input: &NodeId| follower(graph, &consumers, *input) == Some(id);
        let inputs: Vec<NodeId> = node.inputs().iter().map(|id| moved[id.index()]).collect();
        let place = match node.inputs().iter().position(absorbed) {
            Some(position) => inputs[position],
            None => {
                let next = follower(graph, &consumers, id);
                let next = next.and_then(|next| normalization(graph, next));
                let operator = with_normalization(node.operator(), next);
                folded.push(node.name(), operator, inputs)?
            }
        };
        moved.push(place);
    }
    folded.set_output(moved[graph.output().index()])?;
    Ok(folded)
}

/// The batch normalization that can be folded into this node.
fn follower(graph: &Graph, consumers: &[Vec<NodeId>], id: NodeId) -> Option<NodeId> {
    let operator = graph.node(id).ok()?.operator();
    let linear = matches!(operator, Operator::Convolution(_) | Operator::Dense(_));
    match consumers[id.index()].as_slice() {
        &[next] if linear && id != graph.output() => normalization(graph, next).map(|_| next),
        _ => None,
    }
}

fn normalization(graph: &Graph, id: NodeId) -> Option<&BatchNormalization> {
    match graph.node(id).ok()?.operator() {
        Operator::BatchNormalization(layer) => Some(layer),
        _ => None,
    }
}

fn with_normalization(operator: &Operator, next: Option<&BatchNormalization>) -> Operator {
    match (operator, next) {
        (Operator::Convolution(layer), Some(next)) => Operator::Convolution(Convolution {
            weights: scaled(&layer.weights, &next.scale),
            bias: &layer.bias * &next.scale + &next.shift,
            ..layer.clone()
        }),
        (Operator::Dense(layer), Some(next)) => Operator::Dense(Dense {
            weights: scaled(&layer.weights, &next.scale),
            bias: &layer.bias * &next.scale + &next.shift,
        }),
        _ => operator.clone(),
    }
}

/// The weights of each output channel times its scale.
fn scaled<D: RemoveAxis>(weights: &Array<f64, D>, scale: &Array1<f64>) -> Array<f64, D> {
    let mut scaled = weights.clone();
    for (mut channel, &scale) in scaled.axis_iter_mut(Axis(0)).zip(scale) {
        channel *= scale;
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::strategies::{convolutions, dense_layers, images, normalizations, values};
    use crate::model::{MaxPool, Shape};
    use ndarray::ArrayD;
    use proptest::prelude::*;

    fn chain(shape: Shape, operators: Vec<Operator>) -> Option<Graph> {
        let mut graph = Graph::new("input", shape).ok()?;
        for operator in operators {
            let last = graph.output();
            graph.push(operator.name(), operator, vec![last]).ok()?;
        }
        Some(graph)
    }

    fn close(a: &Graph, b: &Graph, input: &ArrayD<f64>) -> bool {
        let (a, b) = (a.evaluate(input).unwrap(), b.evaluate(input).unwrap());
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        a.shape() == b.shape() && a.iter().zip(&b).all(near)
    }

    fn count(graph: &Graph, name: &str) -> usize {
        let named = |operator: &Operator| operator.name() == name;
        graph.nodes().iter().filter(|node| named(node.operator())).count()
    }

    proptest! {
        #[test]
        fn folding_into_a_convolution_keeps_the_values(
            (shape, image, convolution, normalization, second) in images().prop_flat_map(|shape| {
                let layer = convolutions(shape.channels());
                let layers = layer.prop_flat_map(|layer| {
                    let channels = layer.bias.len();
                    (Just(layer), normalizations(channels), normalizations(channels))
                });
                (Just(shape), values(shape), layers).prop_map(|(s, v, (l, n, m))| (s, v, l, n, m))
            })
        ) {
            let operators = vec![
                Operator::Convolution(convolution),
                Operator::BatchNormalization(normalization),
                Operator::BatchNormalization(second),
                Operator::RELU,
            ];
            if let Some(graph) = chain(shape, operators) {
                let folded = fold_batch_normalization(&graph).unwrap();
                prop_assert_eq!(folded.nodes().len(), 3);
                prop_assert!(close(&folded, &graph, &image));
            }
        }

        #[test]
        fn folding_into_a_dense_layer_keeps_the_values(
            (shape, image, dense, normalization) in images().prop_flat_map(|shape| {
                let layers = dense_layers(shape.elements()).prop_flat_map(|layer| {
                    let outputs = layer.bias.len();
                    (Just(layer), normalizations(outputs))
                });
                (Just(shape), values(shape), layers).prop_map(|(s, v, (l, n))| (s, v, l, n))
            })
        ) {
            let operators = vec![
                Operator::Flatten,
                Operator::Dense(dense),
                Operator::BatchNormalization(normalization),
            ];
            let graph = chain(shape, operators).unwrap();
            let folded = fold_batch_normalization(&graph).unwrap();
            prop_assert_eq!(folded.nodes().len(), 3);
            prop_assert_eq!(folded.output_shape(), graph.output_shape());
            prop_assert!(close(&folded, &graph, &image));
        }
    }

    fn dense(value: f64) -> Operator {
        Operator::Dense(Dense {
            weights: ndarray::array![[value, 1.0], [2.0, 0.5]],
            bias: ndarray::array![0.25, -1.0],
        })
    }

    fn normalization(scale: f64) -> Operator {
        Operator::BatchNormalization(BatchNormalization {
            scale: ndarray::array![scale, -2.0],
            shift: ndarray::array![1.0, 3.0],
        })
    }

    #[test]
    fn normalization_behind_another_layer_stays() {
        let pool = Operator::MaxPool(MaxPool::new([2, 2], [2, 2]));
        let operators = vec![normalization(0.5), pool, normalization(2.0), Operator::RELU];
        let graph = chain(Shape::image(2, 4, 4), operators).unwrap();
        assert_eq!(fold_batch_normalization(&graph).unwrap(), graph);
    }

    #[test]
    fn a_layer_that_is_read_twice_stays() {
        let mut graph = chain(Shape::Vector(2), vec![dense(3.0), normalization(0.5)]).unwrap();
        let (first, last) = (graph.consumers()[0][0], graph.output());
        graph.push("side", Operator::RELU, vec![first]).unwrap();
        graph.set_output(last).unwrap();
        let folded = fold_batch_normalization(&graph).unwrap();
        assert_eq!(count(&folded, "BatchNormalization"), 1);
        let input = ndarray::array![1.0, 2.0].into_dyn();
        assert!(close(&folded, &graph, &input));
    }

    #[test]
    fn a_layer_that_is_the_output_stays() {
        let mut graph = chain(Shape::Vector(2), vec![dense(3.0), normalization(0.5)]).unwrap();
        let first = graph.consumers()[0][0];
        graph.set_output(first).unwrap();
        let folded = fold_batch_normalization(&graph).unwrap();
        let input = ndarray::array![-1.0, 2.0].into_dyn();
        assert!(close(&folded, &graph, &input));
    }

    #[test]
    fn a_weight_that_overflows_is_refused() {
        let graph = chain(Shape::Vector(2), vec![dense(1e200), normalization(1e200)]).unwrap();
        let error = fold_batch_normalization(&graph).unwrap_err();
        assert!(error.to_string().contains("not finite"), "{error}");
    }
}
