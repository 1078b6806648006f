//! The all-CKKS network with polynomial activations, encrypted end to end at 128 bits.

use crate::network::{digits, largest, root};
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

/// The network of this file with these replacements, its ranges those of the shipped digits.
fn network(file: &str, activation: &str) -> Result<PolynomialNetwork, PolynomialError> {
    let graph = onnx::import(root().join("models").join(file)).unwrap();
    let activation: Activation = activation.parse().unwrap();
    let replacement = Replacement { activation, pooling: Pooling::Mean, margin: 1.2 };
    PolynomialNetwork::new(&graph, &replacement, &images())
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
