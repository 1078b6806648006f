//! Polynomial layers: arithmetic read as polynomials, mean-pools, the polynomial LeNet5.

use super::*;
use crate::model::Polynomial;
use crate::model::operator::MAX_DEGREE;

/// Arithmetic on x; every part depends on x.
#[derive(Clone, Debug)]
enum Expression {
    X,
    WithNumber(&'static str, Box<Expression>, f64),
    NumberWith(&'static str, f64, Box<Expression>),
    Both(&'static str, Box<Expression>, Box<Expression>),
    Power(Box<Expression>, u8),
}

impl Expression {
    fn degree(&self) -> usize {
        match self {
            Self::X => 1,
            Self::WithNumber(_, a, _) | Self::NumberWith(_, _, a) => a.degree(),
            Self::Both("Mul", a, b) => a.degree() + b.degree(),
            Self::Both(_, a, b) => a.degree().max(b.degree()),
            Self::Power(a, exponent) => a.degree() * usize::from(*exponent),
        }
    }

    /// The value, and what it would be if no two parts cancelled: rounding is relative to that.
    fn value(&self, x: f64) -> (f64, f64) {
        let number = |c: f64| (c, c.abs());
        match self {
            Self::X => number(x),
            Self::WithNumber(operator, a, c) => calculate(operator, a.value(x), number(*c)),
            Self::NumberWith(operator, c, a) => calculate(operator, number(*c), a.value(x)),
            Self::Both(operator, a, b) => calculate(operator, a.value(x), b.value(x)),
            Self::Power(a, exponent) => {
                let (value, size) = a.value(x);
                (value.powi(i32::from(*exponent)), size.powi(i32::from(*exponent)).max(1.0))
            }
        }
    }

    /// Adds the nodes; the name of the value.
    fn push(&self, builder: &mut Builder) -> String {
        let (operator, inputs) = match self {
            Self::X => return "x".into(),
            Self::WithNumber(operator, a, c) => {
                (*operator, [a.push(builder), builder.number(floats(&[], [c]))])
            }
            Self::NumberWith(operator, c, a) => {
                (*operator, [builder.number(floats(&[1], [c])), a.push(builder)])
            }
            Self::Both(operator, a, b) => (*operator, [a.push(builder), b.push(builder)]),
            Self::Power(a, exponent) => {
                let exponent = floats(&[], [&f64::from(*exponent)]);
                ("Pow", [a.push(builder), builder.number(exponent)])
            }
        };
        builder.node(operator, &inputs)
    }
}

fn calculate(operator: &str, (a, size_a): (f64, f64), (b, size_b): (f64, f64)) -> (f64, f64) {
    match operator {
        "Add" => (a + b, size_a + size_b),
        "Sub" => (a - b, size_a + size_b),
        _ => (a * b, size_a * size_b),
    }
}

impl Builder {
    /// x² + 2x of the last value.
    fn square2x(mut self) -> Self {
        let x = self.last.clone();
        let two = self.number(floats(&[], [&2.0]));
        let square = self.node("Mul", &[&x, &x]);
        let double = self.node("Mul", &[&x, &two]);
        self.node("Add", &[square, double]);
        self
    }
}

fn expressions() -> impl Strategy<Value = Expression> {
    let operators = || prop_oneof![Just("Add"), Just("Sub"), Just("Mul")];
    // Numbers that f32 holds exactly.
    let numbers = || (-64_i32..64).prop_map(|n| f64::from(n) / 32.0);
    let tree = Just(Expression::X).prop_recursive(4, 12, 2, move |part| {
        let part = part.prop_map(Box::new);
        prop_oneof![
            (operators(), part.clone(), numbers())
                .prop_map(|(o, a, c)| Expression::WithNumber(o, a, c)),
            (operators(), numbers(), part.clone())
                .prop_map(|(o, c, a)| Expression::NumberWith(o, c, a)),
            (operators(), part.clone(), part.clone())
                .prop_map(|(o, a, b)| Expression::Both(o, a, b)),
            (part, 0_u8..4).prop_map(|(a, exponent)| Expression::Power(a, exponent)),
        ]
    });
    tree.prop_filter("arithmetic of low degree", |e| {
        !matches!(e, Expression::X) && e.degree() <= 12
    })
}

/// The polynomials of a graph's nodes.
fn polynomials(graph: &Graph) -> Vec<&Polynomial> {
    let operators = graph.nodes().iter().map(|node| node.operator());
    let polynomial = operators.filter_map(|operator| match operator {
        Operator::Polynomial(layer) => Some(layer),
        _ => None,
    });
    polynomial.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arithmetic_is_one_polynomial(
        expression in expressions(),
        input in proptest::collection::vec(-1.5..1.5_f64, 1..6),
    ) {
        let mut builder = Builder::new(Shape::Vector(input.len()), batch_of_one());
        expression.push(&mut builder);
        let bytes = builder.bytes();
        let graph = import_bytes(&bytes).unwrap();
        // An affine map where the degree is at most one.
        prop_assert!(graph.nodes().len() <= 2);
        let kind = graph.nodes().last().map(|node| node.operator().name());
        let kinds = ["Input", "BatchNormalization", "Polynomial"];
        prop_assert!(kinds[..kinds.len().min(expression.degree().max(1) + 1)].contains(&kind.unwrap()));
        let input: Vec<f64> = input.into_iter().map(|x| f64::from(x as f32)).collect();
        let input = Array1::from_vec(input).into_dyn();
        let (found, reference) = (graph.evaluate(&input).unwrap(), tract_run(&bytes, &input));
        for ((x, found), reference) in input.iter().zip(&found).zip(reference) {
            let (value, size) = expression.value(*x);
            prop_assert!((found - value).abs() <= 1e-10 * (1.0 + size), "{found} is not {value}");
            prop_assert!((found - reference).abs() <= 1e-4 * (1.0 + size), "{found}, tract {reference}");
        }
    }

    #[test]
    fn polynomial_networks_agree_with_tract(
        (shape, image, layers, transposed) in networks(),
    ) {
        let (convolution, normalization, pool, dense) = layers;
        let sizes = [ints("kernel_shape", &pool.kernel), ints("strides", &pool.strides)];
        let pads = ints("pads", &pool.pads);
        let mut builder = Builder::new(shape, batch_of_one())
            .convolution(&convolution)
            .normalization(&normalization)
            .square2x()
            .push("AveragePool", vec![], sizes.into_iter().chain([pads]).collect())
            .push("Flatten", vec![], vec![])
            .gemm(&dense, transposed, 1.0, 1.0);
        let last = builder.last.clone();
        builder.node("Mul", &[&last, &last]);
        let bytes = builder.bytes();
        agrees_with_tract(&bytes, &image);
        let graph = import_bytes(&bytes).unwrap();
        let expected = [
            "Input", "Convolution", "BatchNormalization", "Polynomial", "MeanPool", "Flatten",
            "Dense", "Polynomial",
        ];
        prop_assert_eq!(names(&graph), expected);
    }
}

fn names(graph: &Graph) -> Vec<&'static str> {
    graph.nodes().iter().map(|node| node.operator().name()).collect()
}

fn vector() -> Builder {
    Builder::new(Shape::Vector(3), batch_of_one())
}

#[test]
fn the_forms_exporters_write_are_recognised() {
    let form = |write: &dyn Fn(&mut Builder)| {
        let mut builder = vector();
        write(&mut builder);
        let last = builder.graph.node.last().unwrap().name.clone();
        let graph = import_bytes(&builder.bytes()).unwrap();
        // A polynomial is named after the operator that completes it.
        assert_eq!((graph.nodes().len(), graph.nodes()[1].name()), (2, last.as_str()));
        polynomials(&graph)[0].coefficients.clone()
    };
    let square = |tensor: TensorProto| {
        form(&move |b: &mut Builder| {
            let two = b.number(tensor.clone());
            b.node("Pow", &["x", &two]);
        })
    };
    let expected = [0.0, 0.0, 1.0];
    assert_eq!(form(&|b| drop(b.node("Mul", &["x", "x"]))), expected);
    assert_eq!(square(floats(&[], [&2.0])), expected);
    assert_eq!(square(floats(&[1], [&2.0])), expected);
    assert_eq!(square(int64s(&[2])), expected);
    let expected = [0.0, 2.0, 1.0];
    let sum = form(&|b| *b = b.clone().square2x());
    assert_eq!(sum, expected);
    let product = form(&|b| {
        let two = b.number(floats(&[], [&2.0]));
        let shifted = b.node("Add", &["x", &two]);
        b.node("Mul", &["x", &shifted]);
    });
    assert_eq!(product, expected);
}

#[test]
fn a_polynomial_read_twice_is_computed_once() {
    let mut builder = vector();
    let square = builder.node("Mul", &["x", "x"]);
    builder.node("Relu", &[&square]);
    builder.node("Identity", &[&square]);
    let last = builder.last.clone();
    builder.node("Add", &[&last, &square]);
    let graph = import_bytes(&builder.bytes()).unwrap();
    assert_eq!(names(&graph), ["Input", "Polynomial", "Relu", "BatchNormalization"]);
    let output = graph.evaluate(&ndarray::array![1.0, -2.0, 0.5].into_dyn()).unwrap();
    assert_eq!(output.iter().copied().collect::<Vec<f64>>(), [2.0, 8.0, 0.5]);
}

#[test]
fn arithmetic_that_is_no_polynomial_is_named() {
    let refused = |write: &dyn Fn(&mut Builder)| {
        let mut builder = Builder::new(Shape::image(2, 3, 3), batch_of_one());
        write(&mut builder);
        builder.error()
    };
    type Write<'a> = &'a dyn Fn(&mut Builder);
    let power = |exponent: f64| {
        move |b: &mut Builder| {
            let exponent = b.number(floats(&[], [&exponent]));
            b.node("Pow", &["x", &exponent]);
        }
    };
    let two_nodes = |b: &mut Builder| {
        let relu = b.node("Relu", &["x"]);
        b.node("Mul", &["x", &relu]);
    };
    let divided = |b: &mut Builder| drop(b.node("Div", &["x", "x"]));
    let inverse = |b: &mut Builder| {
        let two = b.number(floats(&[], [&2.0]));
        b.node("Div", &[&two, "x"]);
    };
    let computed_exponent = |b: &mut Builder| drop(b.node("Pow", &["x", "x"]));
    let constants = |b: &mut Builder| {
        let two = b.number(floats(&[], [&2.0]));
        b.node("Mul", &[&two, &two]);
    };
    let cases: [(Write, &str); 8] = [
        (&two_nodes, "\"node1\" (Mul) has inputs = values of two nodes"),
        (&computed_exponent, "\"node0\" (Pow) has exponent = a computed value"),
        (&constants, "\"node0\" (Mul) has inputs = constants only"),
        (&divided, "\"node0\" (Div) has divisor = a computed value"),
        (&inverse, "\"node0\" (Div) has divisor = a computed value"),
        (&power(0.5), "\"node0\" (Pow) has exponent = 0.5; supported: a whole number from 0 to 63"),
        (&power(-1.0), "exponent = -1"),
        (&power(64.0), "exponent = 64"),
    ];
    for (write, words) in cases {
        let error = refused(write);
        assert!(matches!(error, OnnxError::UnsupportedAttribute { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for dimensions in [&[3, 1][..], &[2, 3, 3], &[1, 1, 2, 1, 1], &[1, 1, 1, 1, 1]] {
        let message = refused(&|b| {
            let ones = Array1::ones(dimensions.iter().product::<usize>());
            let factors = b.number(floats(dimensions, &ones));
            b.node("Mul", &["x", &factors]);
        });
        let words = format!("{dimensions:?}; a number, or one for each of 2 channels, is needed");
        assert!(message.to_string().contains(&words), "{message}");
    }
    let unknown = refused(&|b| drop(b.node("Mul", &["x", "nowhere"])));
    assert!(matches!(unknown, OnnxError::UnknownValue { .. }), "{unknown}");
    let twice = refused(&|b| {
        b.node("Mul", &["x", "x"]);
        b.node("Add", &["x", "x"]);
        b.graph.node[1].output[0] = b.graph.node[0].output[0].clone();
    });
    assert!(matches!(twice, OnnxError::DuplicateValue { .. }), "{twice}");
}

#[test]
fn the_degree_is_limited() {
    // Squared five times, x has degree 32.
    let squared = |times: usize| {
        let mut builder = vector();
        let mut last = "x".to_owned();
        for _ in 0..times {
            last = builder.node("Mul", &[&last, &last]);
        }
        builder
    };
    let graph = import_bytes(&squared(5).bytes()).unwrap();
    assert_eq!(polynomials(&graph)[0].degree(), 32);
    let error = squared(6).error();
    let expected = GraphError::CoefficientCount { found: 65 };
    assert!(matches!(&error, OnnxError::Graph { source, .. } if *source == expected), "{error}");
    assert!(error.to_string().contains(&format!("1 to {}", MAX_DEGREE + 1)), "{error}");
}

#[test]
fn coefficients_that_overflow_are_refused() {
    let mut builder = vector();
    let huge = builder.number(TensorProto {
        data_type: DataType::Double as i32,
        double_data: vec![1e200],
        ..Default::default()
    });
    let scaled = builder.node("Mul", &["x", &huge]);
    builder.node("Mul", &[&scaled, &scaled]);
    let message = builder.error().to_string();
    assert!(message.contains("Polynomial has weights that are not finite"), "{message}");
}

fn trained(name: &str, coefficients: &[f64]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name);
    let bytes = std::fs::read(&path).unwrap();
    let graph = import(&path).unwrap();
    assert_eq!(graph.parameter_count(), 61_750);
    assert_eq!(graph.input_shape(), Shape::image(1, 32, 32));
    let half = ["Convolution", "BatchNormalization", "Polynomial", "MeanPool"];
    let dense = ["Flatten", "Dense", "Polynomial", "Dense", "Polynomial", "Dense"];
    assert_eq!(names(&graph), [&["Input"][..], &half, &half, &dense].concat());
    assert!(polynomials(&graph).iter().all(|p| p.coefficients == coefficients));
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits");
    let digits = LabelledImages::load(digits, Split::Digits).unwrap();
    for image in digits.padded(32).unwrap().iter().take(5) {
        agrees_with_tract(&bytes, image);
    }
    let found = accuracy(name, &digits);
    assert!(found >= 0.95, "accuracy {found}");
}

#[test]
fn lenet5_square_reads_the_shipped_digits() {
    trained("lenet5_square.onnx", &[0.0, 0.0, 1.0]);
}

#[test]
fn lenet5_square2x_reads_the_shipped_digits() {
    trained("lenet5_square2x.onnx", &[0.0, 2.0, 1.0]);
}

#[test]
fn polynomial_lenet5_reads_mnist() {
    let Ok(folder) = std::env::var("BELLEROPHON_DATA") else {
        eprintln!("SKIPPED polynomial_lenet5_reads_mnist: BELLEROPHON_DATA is not set");
        return;
    };
    let test = LabelledImages::load(folder, Split::Test).unwrap();
    for name in ["lenet5_square.onnx", "lenet5_square2x.onnx"] {
        let found = accuracy(name, &test);
        assert!(found >= 0.985, "{name}: accuracy {found}");
    }
}
