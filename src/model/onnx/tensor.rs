//! Constants of an ONNX file.

use ndarray::{Array, Array1, Array2, Array4, ArrayD, Dimension, IxDyn};
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use super::error::{OnnxError, label};
use crate::model::graph::MAX_ELEMENTS;

/// A constant with checked dimensions.
pub(super) struct Tensor<T> {
    name: String,
    dimensions: Vec<usize>,
    values: Vec<T>,
}

impl Tensor<f64> {
    /// Reads a FLOAT or DOUBLE tensor, whose numbers need not be finite.
    fn unbounded(proto: &TensorProto) -> Result<Self, OnnxError> {
        let values = match DataType::try_from(proto.data_type) {
            Ok(DataType::Float) if proto.raw_data.is_empty() => {
                proto.float_data.iter().map(|&x| f64::from(x)).collect()
            }
            Ok(DataType::Float) => raw(proto, |x| f64::from(f32::from_le_bytes(x)))?,
            Ok(DataType::Double) if proto.raw_data.is_empty() => proto.double_data.clone(),
            Ok(DataType::Double) => raw(proto, f64::from_le_bytes)?,
            _ => return Err(wrong_type(proto, "FLOAT or DOUBLE is needed")),
        };
        Self::checked(proto, values)
    }

    /// Reads a FLOAT or DOUBLE tensor of finite numbers.
    pub(super) fn real(proto: &TensorProto) -> Result<Self, OnnxError> {
        let tensor = Self::unbounded(proto)?;
        if tensor.values.iter().all(|value| value.is_finite()) {
            Ok(tensor)
        } else {
            let problem = "holds values that are infinite or not a number";
            Err(problem_with(proto, problem.into(), "weights must be finite"))
        }
    }
}

impl Tensor<i64> {
    /// Reads an INT64 tensor.
    pub(super) fn integer(proto: &TensorProto) -> Result<Self, OnnxError> {
        let values = match DataType::try_from(proto.data_type) {
            Ok(DataType::Int64) if proto.raw_data.is_empty() => proto.int64_data.clone(),
            Ok(DataType::Int64) => raw(proto, i64::from_le_bytes)?,
            _ => return Err(wrong_type(proto, "INT64 is needed")),
        };
        Self::checked(proto, values)
    }
}

impl Tensor<f64> {
    /// Reads a FLOAT or DOUBLE tensor of finite numbers, or an INT64 tensor.
    pub(super) fn numeric(proto: &TensorProto) -> Result<Self, OnnxError> {
        match DataType::try_from(proto.data_type) {
            Ok(DataType::Int64) => {
                let Tensor { name, dimensions, values } = Tensor::integer(proto)?;
                let values = values.into_iter().map(|value| value as f64).collect();
                Ok(Self { name, dimensions, values })
            }
            _ => Tensor::real(proto),
        }
    }

    /// The one value of a FLOAT or DOUBLE tensor, where infinity stands for the largest FLOAT.
    pub(super) fn bound(proto: &TensorProto) -> Result<f64, OnnxError> {
        match *Self::unbounded(proto)?.values {
            [bound] if !bound.is_nan() => Ok(bound.clamp(f32::MIN.into(), f32::MAX.into())),
            _ => {
                let problem = "is not a number".to_owned();
                Err(problem_with(proto, problem, "a single number is needed"))
            }
        }
    }
}

impl<T: Copy> Tensor<T> {
    fn checked(proto: &TensorProto, values: Vec<T>) -> Result<Self, OnnxError> {
        if proto.data_location == Some(DataLocation::External as i32) {
            let problem = "is stored outside the file".to_owned();
            return Err(problem_with(proto, problem, "export the model as one file"));
        }
        let dimensions = dimensions(proto)?;
        let elements: usize = dimensions.iter().product();
        if elements != values.len() {
            let problem = format!("has dimensions {dimensions:?} but {} values", values.len());
            return Err(problem_with(proto, problem, "both must agree"));
        }
        Ok(Self { name: label(&proto.name), dimensions, values })
    }

    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    pub(super) fn dimensions(&self) -> &[usize] {
        &self.dimensions
    }

    /// The only value.
    pub(super) fn single(&self) -> Result<T, OnnxError> {
        match *self.values {
            [value] => Ok(value),
            _ => Err(self.wrong_rank("a single number is needed")),
        }
    }

    /// As a vector; dimensions of length 1 around it do not count.
    pub(super) fn vector(self) -> Result<Array1<T>, OnnxError> {
        let wide = self.dimensions.iter().filter(|&&length| length != 1).count();
        if wide > 1 {
            return Err(self.wrong_rank("one dimension is needed"));
        }
        Ok(Array1::from_vec(self.values))
    }

    pub(super) fn matrix(self) -> Result<Array2<T>, OnnxError> {
        self.array("two dimensions are needed")
    }

    pub(super) fn dynamic(self) -> Result<ArrayD<T>, OnnxError> {
        self.array("any dimensions are allowed")
    }

    pub(super) fn kernel(self) -> Result<Array4<T>, OnnxError> {
        self.array("four dimensions are needed (outputs, inputs, rows, columns)")
    }

    fn array<D: Dimension>(self, expected: &str) -> Result<Array<T, D>, OnnxError> {
        let error = self.wrong_rank(expected);
        let array = Array::from_shape_vec(IxDyn(&self.dimensions), self.values);
        array.and_then(Array::into_dimensionality).map_err(|_| error)
    }

    pub(super) fn wrong_rank(&self, expected: &str) -> OnnxError {
        OnnxError::Tensor {
            tensor: self.name.clone(),
            problem: format!("has dimensions {:?}", self.dimensions),
            expected: expected.to_owned(),
        }
    }
}

fn dimensions(proto: &TensorProto) -> Result<Vec<usize>, OnnxError> {
    const MOST: usize = 8;
    let lengths = proto.dims.iter().map(|&length| usize::try_from(length));
    let lengths: Option<Vec<usize>> = lengths.map(Result::ok).collect();
    let product = |total: usize, length: &usize| total.checked_mul(*length);
    let fits = |lengths: &Vec<usize>| {
        let elements = lengths.iter().try_fold(1, product);
        lengths.len() <= MOST && elements.is_some_and(|elements| elements <= MAX_ELEMENTS)
    };
    lengths.filter(fits).ok_or_else(|| {
        let problem = format!("has dimensions {}", label(&format!("{:?}", proto.dims)));
        let expected = "at most 8 non-negative ones, with at most 2^26 elements, are needed";
        problem_with(proto, problem, expected)
    })
}

/// Little-endian values of `SIZE` bytes each.
fn raw<const SIZE: usize, T>(
    proto: &TensorProto,
    value: impl Fn([u8; SIZE]) -> T,
) -> Result<Vec<T>, OnnxError> {
    let (words, rest) = proto.raw_data.as_chunks::<SIZE>();
    if rest.is_empty() {
        return Ok(words.iter().map(|word| value(*word)).collect());
    }
    let problem = format!("has {} bytes", proto.raw_data.len());
    let expected = format!("a multiple of {SIZE} is needed");
    Err(problem_with(proto, problem, &expected))
}

fn wrong_type(proto: &TensorProto, expected: &str) -> OnnxError {
    let found = match DataType::try_from(proto.data_type) {
        Ok(found) => found.as_str_name().to_owned(),
        Err(_) => format!("number {}", proto.data_type),
    };
    problem_with(proto, format!("has type {found}"), expected)
}

fn problem_with(proto: &TensorProto, problem: String, expected: &str) -> OnnxError {
    OnnxError::Tensor { tensor: label(&proto.name), problem, expected: expected.to_owned() }
}

/// An INT64 constant that is worked out while reading the file.
pub(super) fn integers(name: &str, dimensions: &[usize], values: Vec<i64>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dimensions.iter().map(|&length| length as i64).collect(),
        data_type: DataType::Int64 as i32,
        int64_data: values,
        ..Default::default()
    }
}

/// A FLOAT constant that is an attribute.
pub(super) fn floats(name: &str, dimensions: &[usize], values: Vec<f32>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dimensions.iter().map(|&length| length as i64).collect(),
        data_type: DataType::Float as i32,
        float_data: values,
        ..Default::default()
    }
}
