//! The all-CKKS network with polynomial activations, encrypted end to end at 128 bits.

use crate::network::{digits, largest, mnist, mnist_folder, root};
use bellerophon::data::{LabelledImages, Split};
use bellerophon::model::onnx;
use bellerophon::polynomial::client::Client;
use bellerophon::polynomial::server::{Server, ServerError};
use bellerophon::polynomial::{
    self, Activation, PolynomialError, PolynomialNetwork, Pooling, Replacement, Settings,
};
use bellerophon_schemes::ckks::Parameters;
use bellerophon_schemes::security::SecurityLevel;
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// The network of this file with these replacements, its ranges those of the shipped digits.
fn network(file: &str, activation: &str) -> Result<PolynomialNetwork, PolynomialError> {
    network_for(file, activation, &images())
}

fn network_for(
    file: &str,
    activation: &str,
    samples: &[ArrayD<f64>],
) -> Result<PolynomialNetwork, PolynomialError> {
    let graph = onnx::import(root().join("models").join(file)).unwrap();
    let activation: Activation = activation.parse().unwrap();
    let replacement = Replacement { activation, pooling: Pooling::Mean, margin: 1.2 };
    PolynomialNetwork::new(&graph, &replacement, samples)
}

fn images() -> Vec<ArrayD<f64>> {
    digits().padded(32).unwrap()
}

/// The security, the memory and the precision that the project promises for this network.
#[test]
fn a_digit_is_read_encrypted_as_in_the_clear() {
    let (network, images) = (network("lenet5_square.onnx", "square").unwrap(), images());
    let program = polynomial::compile(&network, &Settings::default(), &images).unwrap();
    assert_eq!(program.parameters.log_dimension, 14);
    let parameters = Parameters::new(program.parameters.clone(), SecurityLevel::Bits128).unwrap();
    assert!(parameters.log2_qp() <= 430.0 && parameters.max_level() == 9);

    let mut rng = ChaCha20Rng::seed_from_u64(2026);
    let client = Client::new(parameters.clone(), &mut rng).unwrap();
    let keys = client.publish_keys(&program, &mut rng).unwrap();
    let server = Server::new(&parameters, program.clone(), &keys).unwrap();
    assert!(server.key_bytes() <= 2 << 30, "{} bytes of keys", server.key_bytes());

    let image: Vec<f64> = images[0].iter().copied().collect();
    let message = client.encrypt(&program, &image, &mut rng).unwrap();
    let evaluation = server.evaluate(&message, &|_| ()).unwrap();
    let logits = client.decrypt(&program, &evaluation.results).unwrap();
    let plain: Vec<f64> = network.evaluate(&images[0]).unwrap().into_iter().collect();
    assert_eq!(largest(&logits), largest(&plain));
    let highest = plain.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = highest - plain.iter().copied().fold(f64::INFINITY, f64::min);
    let errors = logits.iter().zip(&plain).map(|(a, b)| (a - b).abs() / range);
    let worst = errors.fold(0.0, f64::max);
    println!("largest difference 2^{:.1} of the logits' range", worst.log2());
    assert!(worst <= 2f64.powi(-10), "2^{}", worst.log2());

    let damaged = server.evaluate(&message[..message.len() - 1], &|_| ());
    assert!(matches!(damaged, Err(ServerError::Wire(_))), "{damaged:?}");
}

#[test]
fn activations_that_a_network_was_not_trained_for_are_refused() {
    for (file, activation) in [
        ("lenet5_square.onnx", "chebyshev:7"),
        ("lenet5_square.onnx", "square2x"),
        ("lenet5.onnx", "trained"),
    ] {
        let error = network(file, activation).unwrap_err();
        assert!(matches!(error, PolynomialError::NotTrained { .. }), "{file}: {error}");
    }
}

/// What no secure ring holds is refused, in one line that says what would do.
#[test]
fn networks_too_deep_for_a_ring_are_refused() {
    let network = network("lenet5.onnx", "chebyshev:7").unwrap();
    let small = Settings { log_dimension: Some(14), ..Settings::default() };
    let error = polynomial::compile(&network, &small, &images()).unwrap_err();
    assert!(
        matches!(
            error,
            PolynomialError::NothingFits { levels: 17, log_dimension: 14, security: 128 }
        ),
        "{error}"
    );
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// Every parameter set that the compiler chooses, at every level of security: the keys are the weakest
/// that anyone sees, those for lower levels have a smaller modulus.
#[test]
fn parameters_of_every_choice_are_secure() {
    let levels = [SecurityLevel::Bits128, SecurityLevel::Bits192, SecurityLevel::Bits256];
    let samples = &images()[..10];
    for (file, activation) in [
        ("lenet5_square.onnx", "square"),
        ("lenet5_square2x.onnx", "square2x"),
        ("lenet5.onnx", "chebyshev:7"),
        ("lenet5.onnx", "least-squares:3"),
    ] {
        let network = network_for(file, activation, samples).unwrap();
        for security in levels {
            let settings = Settings { security, ..Settings::default() };
            let program = polynomial::compile(&network, &settings, samples).unwrap();
            let parameters = Parameters::new(program.parameters.clone(), security).unwrap();
            let estimate = parameters.instance().estimate();
            assert!(estimate.bits >= security.bits(), "{activation}: {estimate:?}");
            let mut weaker = program.parameters;
            weaker.log_dimension -= 1;
            assert!(Parameters::new(weaker, security).is_err(), "{activation}");
        }
    }
}

/// The table of the README: what it costs to replace activations and pooling after training, over the
/// 10,000 test images of MNIST, in the clear.
#[test]
#[ignore = "ten minutes; needs BELLEROPHON_DATA"]
fn replacing_activations_after_training_costs_accuracy() {
    let name = "replacing_activations_after_training_costs_accuracy";
    let (Some(folder), Some(pictures)) = (mnist_folder(name), mnist(name)) else { return };
    let samples = LabelledImages::load(folder, Split::Train).unwrap().slice(0, 1000).unwrap();
    let (samples, images) = (samples.padded(32).unwrap(), pictures.padded(32).unwrap());
    let graph = onnx::import(root().join("models/lenet5.onnx")).unwrap();
    let accuracy = |activation: &str, pooling| {
        let activation: Activation = activation.parse().unwrap();
        let replacement = Replacement { activation, pooling, margin: 1.2 };
        let network = PolynomialNetwork::new(&graph, &replacement, &samples).unwrap();
        let reads = |(image, &label): (&ArrayD<f64>, &u8)| {
            let logits: Vec<f64> = network.evaluate(image).unwrap().into_iter().collect();
            usize::from(largest(&logits) == usize::from(label))
        };
        let right: usize = images.par_iter().zip(pictures.labels()).map(reads).sum();
        let percent = 100.0 * right as f64 / images.len() as f64;
        println!("{activation}, {pooling}-pool: {percent:.2} %");
        percent
    };
    for activation in ["taylor:4", "chebyshev:3", "chebyshev:7", "chebyshev:15", "least-squares:7"]
    {
        assert!(accuracy(activation, Pooling::Mean) < 97.0);
    }
    assert!(accuracy("square", Pooling::Mean) < 20.0);
    for activation in ["derivative:7", "minimax:7"] {
        accuracy(activation, Pooling::Mean);
    }
    for activation in ["chebyshev:7", "least-squares:4", "derivative:7"] {
        assert!(accuracy(activation, Pooling::Sum) < 98.0);
    }
    for activation in ["least-squares:7", "least-squares:15", "minimax:3", "minimax:4", "minimax:7"]
    {
        assert!(accuracy(activation, Pooling::Sum) > 98.0);
    }
}
