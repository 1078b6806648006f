//! Classifiers of the published size with all weights encrypted, at each level of security.

use bellerophon::polynomial::protected::architecture::InputLayout;
use bellerophon::polynomial::protected::{
    Edge, InputEncryptor, Owner, Plan, ProtectedNetwork, Settings,
};
use bellerophon::report::protected::{Classifier, Dataset, Part, Published, Source};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::to_bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

const SECURITY: [SecurityLevel; 3] =
    [SecurityLevel::Bits128, SecurityLevel::Bits192, SecurityLevel::Bits256];

fn plan(dataset: Dataset, part: Part, security: SecurityLevel) -> (Plan, Classifier) {
    let classifier = Classifier::new(dataset, part, &Source::default(), 4).unwrap();
    let settings = Settings { security, ..Settings::default() };
    let (graph, inputs) = (&classifier.graph, &classifier.inputs);
    let plan = Plan::new(graph, &Classifier::replacement(graph), &settings, inputs).unwrap();
    (plan, classifier)
}

/// The owner protects, the edge sees bytes alone, the owner opens what it made.
#[test]
fn the_mnist_classifier_runs_with_encrypted_weights() {
    let (plan, classifier) = plan(Dataset::Mnist, Part::Square2x, SecurityLevel::Bits128);
    let parameters = plan.architecture().secure_parameters().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let owner = Owner::new(&parameters, &mut rng).unwrap();
    let network = to_bytes(&owner.protect(plan.plain(), &mut rng, &|| ()).unwrap()).unwrap();
    let keys = owner.publish_keys(plan.architecture(), &mut rng).unwrap();

    let network = ProtectedNetwork::from_bytes(&network, &parameters).unwrap();
    let edge = Edge::new(&parameters, network, &keys.evaluation).unwrap();
    let encryptor = InputEncryptor::new(&parameters, edge.architecture(), &keys.public).unwrap();
    let input: Vec<f64> = classifier.inputs[3].iter().copied().collect();
    let encrypted = encryptor.encrypt(&input, &mut rng).unwrap();
    let expected = plan.evaluate(&classifier.inputs[3]).unwrap();
    let largest = expected.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    for evaluation in [edge.evaluate(&encrypted, &|_| ()), edge.evaluate_clear(&input, &|_| ())] {
        let found = owner.decrypt(plan.architecture(), &evaluation.unwrap().result).unwrap();
        let errors = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let precision = -((errors / 10.0).sqrt() / largest).log2();
        println!("{precision:.1} bits, {:.1} predicted", plan.precision());
        assert!((precision - plan.precision()).abs() < 2.0, "{precision:.1} bits");
    }
}

/// A hundredth of the published size, at every level; fully used slots.
#[test]
fn encrypted_models_are_small_at_every_level() {
    for security in SECURITY {
        let (plan, _) = plan(Dataset::Cifar10, Part::Square2x, security);
        let parameters = plan.architecture().secure_parameters().unwrap();
        let costs = plan.costs(&parameters).unwrap();
        let published = Published::of(Part::Square2x, security).unwrap();
        let bits = security.bits();
        println!(
            "{bits} bits: {:.1} MB, {} ciphertexts",
            costs.model_bytes / 1e6,
            costs.ciphertexts
        );
        assert!(100.0 * costs.model_bytes <= published.encryption.1, "{bits}");
        let InputLayout::Tiled(tiling) = &plan.architecture().layout else { panic!("{bits}") };
        let held = 2 * tiling.ciphertexts * tiling.window * tiling.slots;
        let weights = 2304 * 512;
        assert!(10 * weights >= 9 * held, "{weights} weights in {held} numbers");
        assert!(plan.precision() >= 13.5, "{}", plan.precision());
    }
}
