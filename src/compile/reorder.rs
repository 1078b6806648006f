//! Monotone activations moved behind max-pool.
//!
//! A function `f` that never decreases has `max(f(a), f(b)) = f(max(a, b))`: pooling first leaves a
//! quarter of the activations of a 2x2 pool.

use super::CompileError;
use crate::model::{Activation, Graph, Node, NodeId, Operator};

/// Moves every monotone activation that only a max-pool without padding reads behind that max-pool
/// (and behind further max-pools in a row). The result computes the same values.
///
/// # Errors
/// [`CompileError::Graph`], only if a layer does not fit its input, which a
/// checked graph rules out.
pub fn activations_behind_max_pool(graph: &Graph) -> Result<Graph, CompileError> {
    let consumers = graph.consumers();
    let mut reordered = Graph::new(graph.node(graph.input())?.name(), graph.input_shape())?;
    let mut moved = vec![reordered.input()];
    // The activation that is still to be applied to each node's value.
    let mut owed: Vec<Option<&Node>> = vec![None];
    for (id, node) in graph.iter().skip(1) {
        let sources = node.inputs().iter();
        let inputs: Vec<NodeId> = sources.clone().map(|id| moved[id.index()]).collect();
        let mut activation = sources.fold(None, |owing, id| owing.or(owed[id.index()]));
        let waits = feeds_only_max_pool(graph, &consumers, id);
        let mut place = match inputs.as_slice() {
            // Its turn comes behind the max-pool.
            &[input] if activation.is_none() && is_monotone(node.operator()) && waits => {
                activation = Some(node);
                input
            }
            _ => reordered.push(node.name(), node.operator().clone(), inputs)?,
        };
        if let (Some(function), false) = (activation, waits) {
            place = reordered.push(function.name(), function.operator().clone(), vec![place])?;
            activation = None;
        }
        moved.push(place);
        owed.push(activation);
    }
    reordered.set_output(moved[graph.output().index()])?;
    Ok(reordered)
}

/// Whether a larger input never gives a smaller output.
fn is_monotone(operator: &Operator) -> bool {
    match operator {
        Operator::ParametricRelu(layer) => layer.slopes.iter().all(|&slope| slope >= 0.0),
        Operator::Activation(function) => match *function {
            Activation::LeakyRelu { slope } => slope >= 0.0,
            Activation::Elu { alpha } | Activation::HardSigmoid { alpha, .. } => alpha >= 0.0,
            Activation::Selu { alpha, gamma } => alpha >= 0.0 && gamma >= 0.0,
            Activation::Relu
            | Activation::Softplus
            | Activation::Sigmoid
            | Activation::Tanh
            | Activation::Clip { .. } => true,
            _ => false,
        },
        _ => false,
    }
}

fn feeds_only_max_pool(graph: &Graph, consumers: &[Vec<NodeId>], id: NodeId) -> bool {
    let is_pool = |id: &NodeId| {
        let node = graph.node(*id);
        node.is_ok_and(
            |node| matches!(node.operator(), Operator::MaxPool(pool) if pool.pads == [0; 4]),
        )
    };
    id != graph.output() && matches!(consumers[id.index()].as_slice(), [next] if is_pool(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::strategies::{images, max_pools, values};
    use crate::model::{MaxPool, Shape};
    use proptest::prelude::*;

    fn chain(shape: Shape, operators: Vec<Operator>) -> Option<Graph> {
        let mut graph = Graph::new("input", shape).ok()?;
        for (index, operator) in operators.into_iter().enumerate() {
            let last = graph.output();
            let name = format!("{}{index}", operator.name());
            graph.push(name, operator, vec![last]).ok()?;
        }
        Some(graph)
    }

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes().iter().map(|node| node.name()).collect()
    }

    fn small_pool() -> Operator {
        Operator::MaxPool(MaxPool::new([1, 2], [1, 1]))
    }

    fn operators() -> impl Strategy<Value = Vec<Operator>> {
        let one = prop_oneof![
            Just(Operator::RELU),
            max_pools().prop_map(Operator::MaxPool),
            Just(small_pool()),
        ];
        proptest::collection::vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn reordering_keeps_the_values_exactly(
            (shape, image) in images().prop_flat_map(|shape| (Just(shape), values(shape))),
            operators in operators(),
            output in any::<prop::sample::Index>(),
        ) {
            if let Some(mut graph) = chain(shape, operators) {
                let ids: Vec<NodeId> = graph.iter().map(|(id, _)| id).collect();
                graph.set_output(*output.get(&ids)).unwrap();
                let reordered = activations_behind_max_pool(&graph).unwrap();
                prop_assert_eq!(reordered.nodes().len(), graph.nodes().len());
                let found = reordered.evaluate(&image).unwrap();
                prop_assert_eq!(found, graph.evaluate(&image).unwrap());
            }
        }
    }

    #[test]
    fn relu_sinks_behind_all_pools_in_a_row() {
        let operators = vec![Operator::RELU, small_pool(), small_pool(), Operator::Flatten];
        let graph = chain(Shape::image(1, 1, 4), operators).unwrap();
        let reordered = activations_behind_max_pool(&graph).unwrap();
        let expected = ["input", "MaxPool1", "MaxPool2", "Relu0", "Flatten3"];
        assert_eq!(names(&reordered), expected);
    }

    #[test]
    fn relu_that_is_read_twice_stays() {
        let operators = vec![Operator::RELU, small_pool()];
        let mut graph = chain(Shape::image(1, 1, 4), operators).unwrap();
        let relu = graph.consumers()[0][0];
        graph.push("side", Operator::Flatten, vec![relu]).unwrap();
        assert_eq!(activations_behind_max_pool(&graph).unwrap(), graph);
    }

    #[test]
    fn relu_that_is_the_output_stays() {
        let operators = vec![Operator::RELU, small_pool()];
        let mut graph = chain(Shape::image(1, 1, 4), operators).unwrap();
        let relu = graph.consumers()[0][0];
        graph.set_output(relu).unwrap();
        assert_eq!(activations_behind_max_pool(&graph).unwrap(), graph);
    }
}
