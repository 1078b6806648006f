//! The network as stages: a linear form, max-pools on it, and an activation.
//!
//! A stage begins with a sum of convolutions of earlier stages' results and ends with a table, so
//! that its result exists as LWE samples, which can be packed in any layout. Where two layers cannot
//! become one convolution and no activation stands between them, a table of the identity does.

use super::affine::Affine;
use super::fold::Normalization;
use super::{CompileError, Function, unsupported};
use crate::model::{Graph, MaxPool, Node, NodeId, Operator};
use ndarray::s;

/// A max-pool without padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// The layer's name.
    pub name: String,
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub strides: [usize; 2],
}

/// The functions at the end of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Activation {
    /// The layer's name.
    pub name: String,
    /// One for all channels, or one for each.
    pub functions: Vec<Function>,
    /// Whether the function, a polynomial, is evaluated in slots.
    pub slots: bool,
}

/// One stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The name of its last linear layer.
    pub name: String,
    /// The linear form.
    pub affine: Affine,
    /// The node whose value the linear form is; where `border` has elements, without those.
    pub linear: NodeId,
    /// Elements of the linear form that are a max-pool's padding: below every other.
    pub border: Vec<bool>,
    /// Max-pools of the linear form, in order.
    pub pools: Vec<Pool>,
    /// The node whose value the activation reads (the last pool's, else `linear`).
    pub reading: NodeId,
    /// Missing in the last stage of a network that ends with a linear layer or a max-pool.
    pub activation: Option<Activation>,
    /// The node of the stage's result.
    pub result: NodeId,
}

impl Stage {
    /// Channels, rows and columns behind the pools.
    #[must_use]
    pub fn pooled_dims(&self) -> [usize; 3] {
        self.pools.iter().fold(self.affine.dims, |[channels, rows, columns], pool| {
            let count = |length: usize, axis: usize| {
                length.saturating_sub(pool.kernel[axis]) / pool.strides[axis] + 1
            };
            [channels, count(rows, 0), count(columns, 1)]
        })
    }

    /// The number of values of the result.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.pooled_dims().iter().product()
    }
}

/// What is known of a node's value on the way.
#[derive(Clone, Debug)]
enum Value {
    /// A stage's result, or the input, under its number.
    Done(usize),
    /// Linear in those.
    Linear(Affine),
    /// A stage without its activation yet.
    Open(Box<Stage>),
}

/// Cuts a simplified graph into stages, with the batch normalizations that are still there as
/// `normalization` says.
///
/// # Errors
/// [`CompileError::Unsupported`] for a layer that has no such form.
pub fn stages(graph: &Graph, normalization: Normalization) -> Result<Vec<Stage>, CompileError> {
    let values = vec![None; graph.nodes().len()];
    let mut cutter = Cutter { graph, normalization, stages: Vec::new(), values };
    let needed = needed(graph);
    cutter.values[0] = Some(Value::Done(0));
    for (id, node) in graph.iter().skip(1) {
        if needed[id.index()] {
            let value = cutter.value(id, node)?;
            cutter.values[id.index()] = Some(value);
        }
    }
    cutter.finish()
}

/// The nodes that the output depends on.
fn needed(graph: &Graph) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes().len()];
    needed[graph.output().index()] = true;
    for (id, node) in graph.iter().rev() {
        if needed[id.index()] {
            node.inputs().iter().for_each(|input| needed[input.index()] = true);
        }
    }
    needed
}

struct Cutter<'a> {
    graph: &'a Graph,
    normalization: Normalization,
    stages: Vec<Stage>,
    values: Vec<Option<Value>>,
}

impl Cutter<'_> {
    fn value(&mut self, id: NodeId, node: &Node) -> Result<Value, CompileError> {
        let input = *node.inputs().first().ok_or_else(|| unsupported(node.name(), "no input"))?;
        match node.operator() {
            Operator::Activation(function) => {
                self.activation(id, node, vec![Function::Activation(*function)])
            }
            Operator::Polynomial(polynomial) => {
                let function = Function::Polynomial(polynomial.coefficients.clone());
                self.activation(id, node, vec![function])
            }
            Operator::ParametricRelu(layer) => {
                let function = |slope: &f64| Function::leaky_relu(*slope);
                self.activation(id, node, layer.slopes.iter().map(function).collect())
            }
            Operator::MaxPool(pool) if pool.pads != [0; 4] => self.padded_pool(id, node, pool),
            Operator::MaxPool(pool) => {
                let mut stage = match self.values[input.index()].clone() {
                    Some(Value::Open(stage)) => *stage,
                    _ => self.open(input)?,
                };
                stage.push_pool(id, node, pool);
                Ok(Value::Open(Box::new(stage)))
            }
            Operator::Sum => {
                if let Some(sum) = Affine::sum(&self.affines(node)?) {
                    return Ok(Value::Linear(sum));
                }
                node.inputs().iter().try_for_each(|input| self.refresh(*input))?;
                let sum = Affine::sum(&self.affines(node)?);
                sum.map(Value::Linear).ok_or_else(|| unsupported(node.name(), "values differ"))
            }
            operator => self.linear(input, node, operator),
        }
    }

    /// The value of a linear layer; what it reads gets a table of its own where it must.
    fn linear(
        &mut self,
        input: NodeId,
        node: &Node,
        operator: &Operator,
    ) -> Result<Value, CompileError> {
        if let (Operator::Flatten, Some(done @ Value::Done(_))) =
            (operator, &self.values[input.index()])
        {
            return Ok(done.clone());
        }
        let normalizes = |operator: &Operator| matches!(operator, Operator::BatchNormalization(_));
        let own = normalizes(operator) || normalizes(self.graph.node(input)?.operator());
        if own && self.normalization == Normalization::Own {
            self.refresh(input)?;
        }
        for _ in 0..2 {
            let affine = self.affine(input)?;
            if let Some(next) = affine.then(operator, node.shape())? {
                return Ok(Value::Linear(next));
            }
            self.refresh(input)?;
        }
        let reason =
            "mean-pools must not leave padding out of the mean; write it with count_include_pad";
        Err(unsupported(node.name(), reason))
    }

    fn affines(&mut self, node: &Node) -> Result<Vec<Affine>, CompileError> {
        node.inputs().iter().map(|input| self.affine(*input)).collect()
    }

    /// The linear form of a node's value.
    fn affine(&mut self, id: NodeId) -> Result<Affine, CompileError> {
        if let Some(Value::Open(_)) = &self.values[id.index()] {
            self.refresh(id)?;
        }
        match &self.values[id.index()] {
            Some(Value::Linear(affine)) => Ok(affine.clone()),
            Some(Value::Done(source)) => {
                Ok(Affine::identity(*source, self.graph.node(id)?.shape()))
            }
            _ => Err(unsupported(self.graph.node(id)?.name(), "its value is not known")),
        }
    }

    /// A stage with the node's value as its linear form.
    fn open(&mut self, id: NodeId) -> Result<Stage, CompileError> {
        if let Some(Value::Open(stage)) = &self.values[id.index()] {
            return Ok(stage.as_ref().clone());
        }
        let affine = self.affine(id)?;
        let node = self.graph.node(id)?;
        Ok(Stage {
            name: node.name().to_owned(),
            border: vec![false; affine.bias.len()],
            affine,
            linear: id,
            pools: Vec::new(),
            reading: id,
            activation: None,
            result: id,
        })
    }

    fn activation(
        &mut self,
        id: NodeId,
        node: &Node,
        functions: Vec<Function>,
    ) -> Result<Value, CompileError> {
        let input = *node.inputs().first().ok_or_else(|| unsupported(node.name(), "no input"))?;
        let mut stage = self.open(input)?;
        stage.activation =
            Some(Activation { name: node.name().to_owned(), functions, slots: false });
        stage.result = id;
        self.stages.push(stage);
        Ok(Value::Done(self.stages.len()))
    }

    /// Ends the stage at this node with a table of the identity.
    fn refresh(&mut self, id: NodeId) -> Result<(), CompileError> {
        if matches!(self.values[id.index()], Some(Value::Done(_))) {
            return Ok(());
        }
        let mut stage = self.open(id)?;
        let name = format!("{} (refresh)", stage.name);
        stage.activation =
            Some(Activation { name, functions: vec![Function::Identity], slots: false });
        self.stages.push(stage);
        self.values[id.index()] = Some(Value::Done(self.stages.len()));
        Ok(())
    }

    /// A max-pool with padding: the padding becomes elements below every other.
    fn padded_pool(
        &mut self,
        id: NodeId,
        node: &Node,
        pool: &MaxPool,
    ) -> Result<Value, CompileError> {
        let input = node.inputs()[0];
        self.refresh(input)?;
        let affine = self.affine(input)?;
        let [_, rows, columns] = affine.dims;
        let [top, left, bottom, right] = pool.pads;
        let shape =
            crate::model::Shape::image(affine.dims[0], rows + top + bottom, columns + left + right);
        let padded = affine.then(&Operator::Pad(pool.pads), shape)?;
        let padded = padded.ok_or_else(|| unsupported(node.name(), "it cannot be padded"))?;
        let mut stage = Stage { affine: padded, ..self.open(input)? };
        let mut border = ndarray::Array3::from_elem(stage.affine.dims, true);
        border.slice_mut(s![.., top..top + rows, left..left + columns]).fill(false);
        stage.border = border.into_iter().collect();
        stage.push_pool(id, node, pool);
        Ok(Value::Open(Box::new(stage)))
    }

    fn finish(mut self) -> Result<Vec<Stage>, CompileError> {
        let output = self.graph.output();
        match &self.values[output.index()] {
            Some(Value::Done(0)) | None => {
                return Err(unsupported(
                    "input",
                    "the network has no layer that computes anything",
                ));
            }
            Some(Value::Done(_)) => {}
            Some(_) => {
                let stage = self.open(output)?;
                self.stages.push(stage);
            }
        }
        Ok(self.stages)
    }
}

impl Stage {
    fn push_pool(&mut self, id: NodeId, node: &Node, pool: &MaxPool) {
        let name = node.name().to_owned();
        self.pools.push(Pool { name, kernel: pool.kernel, strides: pool.strides });
        self.reading = id;
        self.result = id;
    }
}
