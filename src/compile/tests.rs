//! What compiles to what, and what does not compile.

mod lenet5;
mod selection;
mod structure;

use super::*;
use crate::model::{
    Activation, BatchNormalization, Convolution, MaxPool, MeanPool, NodeId, Operator, Shape,
};
use crate::run::clear;
use crate::tiny::{self, ELSEWHERE, WORLD, chain, dense, halving};
use bellerophon_schemes::wire::{Conformant, from_bytes, to_bytes};
use ndarray::Array1;

fn relu() -> Operator {
    Operator::RELU
}

fn convolution(outputs: usize, inputs: usize, size: usize) -> Operator {
    Operator::Convolution(tiny::convolution(outputs, inputs, size, 1))
}

fn normalization(channels: usize) -> Operator {
    let scale = Array1::from_elem(channels, 0.5);
    Operator::BatchNormalization(BatchNormalization { scale: scale.clone(), shift: scale })
}

fn last(outputs: usize, inputs: usize) -> Operator {
    Operator::Dense(dense(outputs, inputs, 2))
}

fn lowered(graph: &Graph) -> Result<Program, CompileError> {
    tiny::compiled(graph, &tiny::settings(9))
}

/// The stages of a chain of layers, by the names of their linear layers, pools and activations.
fn cut(shape: Shape, operators: Vec<Operator>) -> Vec<String> {
    let model = Model::from_graph(chain(shape, operators).unwrap()).unwrap();
    let name = |stage: &Stage| {
        let pools = stage.pools.iter().map(|pool| pool.name.clone());
        let activation = stage.activation.iter().map(|activation| activation.name.clone());
        let names = std::iter::once(stage.name.clone()).chain(pools).chain(activation);
        names.collect::<Vec<_>>().join(" ")
    };
    model.stages().iter().map(name).collect()
}
