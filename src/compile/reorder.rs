//! ReLU moved behind max-pool.
//!
//! ReLU never decreases, so `max(relu(a), relu(b)) = relu(max(a, b))`: pooling
//! first leaves a quarter of the ReLUs of a 2x2 pool.

use super::CompileError;
use crate::model::{Activation, Graph, NodeId, Operator};

/// Moves every ReLU that only a max-pool reads behind that max-pool (and behind
/// further max-pools in a row). The result computes the same values.
///
/// # Errors
/// [`CompileError::Graph`], only if a layer does not fit its input, which a
/// checked graph rules out.
pub fn relu_behind_max_pool(graph: &Graph) -> Result<Graph, CompileError> {
    let consumers = graph.consumers();
    let mut reordered = Graph::new(graph.node(graph.input())?.name(), graph.input_shape())?;
    let mut moved = vec![reordered.input()];
    // The name of the ReLU that is still to be applied to each node's value.
    let mut owed: Vec<Option<&str>> = vec![None];
    for (id, node) in graph.iter().skip(1) {
        let sources = node.inputs().iter();
        let inputs: Vec<NodeId> = sources.clone().map(|id| moved[id.index()]).collect();
        let mut relu = sources.fold(None, |owing, id| owing.or(owed[id.index()]));
        let is_relu = matches!(node.operator(), Operator::Activation(Activation::Relu));
        let mut place = match inputs.as_slice() {
            // Its turn comes behind the max-pool.
            &[input] if is_relu && feeds_only_max_pool(graph, &consumers, id) => {
                relu = Some(node.name());
                input
            }
            _ => reordered.push(node.name(), node.operator().clone(), inputs)?,
        };
        if let (Some(name), false) = (relu, feeds_only_max_pool(graph, &consumers, id)) {
            place = reordered.push(name, Operator::RELU, vec![place])?;
            relu = None;
        }
        moved.push(place);
        owed.push(relu);
    }
    reordered.set_output(moved[graph.output().index()])?;
    Ok(reordered)
}

fn feeds_only_max_pool(graph: &Graph, consumers: &[Vec<NodeId>], id: NodeId) -> bool {
    let is_pool = |id: &NodeId| {
        let node = graph.node(*id);
        node.is_ok_and(|node| matches!(node.operator(), Operator::MaxPool(_)))
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
        Operator::MaxPool(MaxPool { kernel: [1, 2], strides: [1, 1] })
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
                let reordered = relu_behind_max_pool(&graph).unwrap();
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
        let reordered = relu_behind_max_pool(&graph).unwrap();
        let expected = ["input", "MaxPool1", "MaxPool2", "Relu0", "Flatten3"];
        assert_eq!(names(&reordered), expected);
    }

    #[test]
    fn relu_that_is_read_twice_stays() {
        let operators = vec![Operator::RELU, small_pool()];
        let mut graph = chain(Shape::image(1, 1, 4), operators).unwrap();
        let relu = graph.consumers()[0][0];
        graph.push("side", Operator::Flatten, vec![relu]).unwrap();
        assert_eq!(relu_behind_max_pool(&graph).unwrap(), graph);
    }

    #[test]
    fn relu_that_is_the_output_stays() {
        let operators = vec![Operator::RELU, small_pool()];
        let mut graph = chain(Shape::image(1, 1, 4), operators).unwrap();
        let relu = graph.consumers()[0][0];
        graph.set_output(relu).unwrap();
        assert_eq!(relu_behind_max_pool(&graph).unwrap(), graph);
    }
}
