//! Learned slopes of a parametric ReLU as weights.
//!
//! `x` above zero and `a x` below is `relu(x) - a relu(-x)`: two tables that hold nothing learned, and
//! slopes that are weights of what follows. It takes a second bootstrapping for each value.

use super::CompileError;
use crate::model::{BatchNormalization, Graph, NodeId, Operator};
use ndarray::Array1;

/// Where the slopes of parametric ReLUs are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slopes {
    /// In tables, one for each channel: no cost, and readable in a protected model, which is therefore
    /// refused ([`crate::protect::ProtectError::LearnedFunctions`]).
    #[default]
    Tables,
    /// In the weights of the next layer, for a second bootstrapping for each value.
    Weights,
}

/// Replaces every parametric ReLU by two ReLUs and a weighted sum.
///
/// # Errors
/// [`CompileError::Graph`] for a layer that does not fit, which a checked graph rules out.
pub fn slopes_as_weights(graph: &Graph) -> Result<Graph, CompileError> {
    let mut split = Graph::new(graph.node(graph.input())?.name(), graph.input_shape())?;
    let mut moved = vec![split.input()];
    for (_, node) in graph.iter().skip(1) {
        let inputs: Vec<NodeId> = node.inputs().iter().map(|id| moved[id.index()]).collect();
        moved.push(match (node.operator(), inputs.as_slice()) {
            (Operator::ParametricRelu(layer), &[input]) => {
                two_sided(&mut split, node.name(), input, &layer.slopes)?
            }
            (operator, _) => split.push(node.name(), operator.clone(), inputs)?,
        });
    }
    split.set_output(moved[graph.output().index()])?;
    Ok(split)
}

fn two_sided(
    graph: &mut Graph,
    name: &str,
    input: NodeId,
    slopes: &Array1<f64>,
) -> Result<NodeId, CompileError> {
    let channels = graph.node(input)?.shape().channels();
    let scaled = |factor: &dyn Fn(usize) -> f64| {
        let (scale, shift) = (Array1::from_shape_fn(channels, factor), Array1::zeros(channels));
        Operator::BatchNormalization(BatchNormalization { scale, shift })
    };
    let slope = |channel: usize| -slopes.get(channel).copied().unwrap_or_default();
    // first, so that what it reads is ready for the other as well
    let mirrored = graph.push(format!("{name} (mirrored)"), scaled(&|_| -1.0), vec![input])?;
    let above = graph.push(format!("{name} (above)"), Operator::RELU, vec![input])?;
    let below = graph.push(format!("{name} (below)"), Operator::RELU, vec![mirrored])?;
    let weighted = graph.push(format!("{name} (slopes)"), scaled(&slope), vec![below])?;
    Ok(graph.push(name, Operator::Sum, vec![above, weighted])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParametricRelu, Shape};
    use crate::tiny;

    #[test]
    fn two_sides_are_the_parametric_relu() {
        for slopes in [vec![0.25, 0.75], vec![0.5, -0.25]] {
            let layer = ParametricRelu { slopes: Array1::from_vec(slopes) };
            let layers = vec![
                Operator::Convolution(tiny::convolution(2, 1, 3, 1)),
                Operator::ParametricRelu(layer),
                tiny::halving(),
            ];
            let graph = tiny::chain(Shape::image(1, 8, 8), layers).unwrap();
            let split = slopes_as_weights(&graph).unwrap();
            assert_eq!(split.nodes().len(), graph.nodes().len() + 4);
            let image = tiny::image(graph.input_shape(), 1).mapv(|value| value - 0.5);
            let (found, expected) =
                (split.evaluate(&image).unwrap(), graph.evaluate(&image).unwrap());
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }
}
