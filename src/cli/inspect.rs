//! `inspect`: the graph of a model, and the stages that it is cut into.

use super::Failure;
use super::output::Table;
use bellerophon::compile::{Model, Stage, calibrate};
use bellerophon::model::{Graph, Operator, onnx};
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Shows a model: its graph, shapes and parameters, and the stages that it is cut into
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trained network, as ONNX
    #[arg(value_name = "MODEL")]
    model: PathBuf,
}

/// A model.
#[derive(Debug, Serialize)]
pub struct Inspection {
    pub model: String,
    pub input: Vec<usize>,
    pub output: Vec<usize>,
    pub nodes: Vec<Node>,
    pub parameters: usize,
    /// What the import dropped.
    pub notes: Vec<String>,
    pub stages: Vec<StageOf>,
    /// Why there are no stages.
    pub refusal: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Node {
    pub name: String,
    pub operator: &'static str,
    pub detail: String,
    pub inputs: Vec<String>,
    pub shape: Vec<usize>,
    pub parameters: usize,
}

#[derive(Debug, Serialize)]
pub struct StageOf {
    pub name: String,
    /// The values it reads: 0 for the input, i for stage i.
    pub reads: Vec<usize>,
    /// Channels, rows and columns of the linear form.
    pub form: [usize; 3],
    pub pools: Vec<String>,
    /// The same behind the pools.
    pub pooled: [usize; 3],
    pub activation: Option<String>,
    /// Comparisons of each value behind the pools.
    pub comparisons: usize,
}

/// Reads the model.
pub fn run(arguments: &Arguments) -> Result<Inspection, Failure> {
    let graph = onnx::import(&arguments.model)?;
    let (stages, refusal) = match Model::from_graph(graph.clone()) {
        Ok(model) => (model.stages().iter().map(StageOf::new).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Ok(Inspection {
        model: arguments.model.display().to_string(),
        input: graph.input_shape().dimensions(),
        output: graph.output_shape().dimensions(),
        nodes: nodes(&graph),
        parameters: graph.parameter_count(),
        notes: graph.notes().to_vec(),
        stages,
        refusal,
    })
}

fn nodes(graph: &Graph) -> Vec<Node> {
    let name = |id: &bellerophon::model::NodeId| {
        graph.node(*id).map_or_else(|_| id.to_string(), |node| node.name().to_owned())
    };
    let node = |node: &bellerophon::model::Node| Node {
        name: node.name().to_owned(),
        operator: node.operator().name(),
        detail: detail(node.operator()),
        inputs: node.inputs().iter().map(name).collect(),
        shape: node.shape().dimensions(),
        parameters: node.operator().parameter_count(),
    };
    graph.nodes().iter().map(node).collect()
}

/// What a layer's shape does not say.
fn detail(operator: &Operator) -> String {
    let pair = |[rows, columns]: [usize; 2]| format!("{rows}x{columns}");
    let pads = |pads: [usize; 4]| match pads {
        [0, 0, 0, 0] => String::new(),
        [top, left, bottom, right] => format!(", pads {top} {left} {bottom} {right}"),
    };
    match operator {
        Operator::Convolution(layer) => {
            let kernel = [layer.weights.dim().2, layer.weights.dim().3];
            let (strides, dilations) = (pair(layer.strides), pair(layer.dilations));
            let rest = format!("{}, groups {}", pads(layer.pads), layer.groups);
            format!("{}, strides {strides}, dilations {dilations}{rest}", pair(kernel))
        }
        Operator::MaxPool(pool) => {
            format!("{}, strides {}{}", pair(pool.kernel), pair(pool.strides), pads(pool.pads))
        }
        Operator::MeanPool(pool) => {
            format!("{}, strides {}{}", pair(pool.kernel), pair(pool.strides), pads(pool.pads))
        }
        Operator::Pad(amount) => pads(*amount).trim_start_matches(", ").to_owned(),
        Operator::Polynomial(polynomial) => format!("degree {}", polynomial.degree()),
        _ => String::new(),
    }
}

impl StageOf {
    fn new(stage: &Stage) -> Self {
        let mut reads: Vec<usize> = stage.affine.terms.iter().map(|term| term.source).collect();
        reads.sort_unstable();
        reads.dedup();
        Self {
            name: stage.name.clone(),
            reads,
            form: stage.affine.dims,
            pools: stage.pools.iter().map(|pool| pool.name.clone()).collect(),
            pooled: stage.pooled_dims(),
            activation: stage.activation.as_ref().map(|activation| activation.name.clone()),
            comparisons: stage.pools.iter().map(calibrate::comparisons).sum(),
        }
    }
}

fn by(dimensions: &[usize]) -> String {
    dimensions.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

impl Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, output) = (by(&self.input), by(&self.output));
        writeln!(f, "{}: {input} to {output}, {} parameters", self.model, self.parameters)?;
        let mut table =
            Table::new(&["node", "operator", "inputs", "shape", "parameters", "detail"]);
        for node in &self.nodes {
            table.push(vec![
                node.name.clone(),
                node.operator.to_owned(),
                node.inputs.join(", "),
                by(&node.shape),
                node.parameters.to_string(),
                node.detail.clone(),
            ]);
        }
        writeln!(f, "\n{table}")?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        if let Some(refusal) = &self.refusal {
            return writeln!(f, "cannot be run under encryption: {refusal}");
        }
        let mut table = Table::new(&["stage", "number", "reads", "form", "pools", "activation"]);
        for (index, stage) in self.stages.iter().enumerate() {
            let pools = match stage.pools.is_empty() {
                true => "-".to_owned(),
                false => format!("{} to {}", stage.pools.join(", "), by(&stage.pooled)),
            };
            table.push(vec![
                stage.name.clone(),
                (index + 1).to_string(),
                by_commas(&stage.reads),
                by(&stage.form),
                pools,
                stage.activation.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        write!(f, "{table}")
    }
}

fn by_commas(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
