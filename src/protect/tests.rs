//! Protected runs against the plain program, and files that a server must refuse.

mod kinds;
mod refusals;
mod runs;

use super::*;
use crate::client::Client;
use crate::compile::Program;
use crate::run::clear;
use crate::run::simulated::{NoiseModel, simulate};
use crate::server::{Evaluation, ProtectedServer, Server};
use crate::tiny::{self, WORLD};
use bellerophon_bridge as bridge;
use std::sync::LazyLock;

/// A program, its owner, and a server for the protected model.
struct Deployed {
    parameters: bridge::Parameters,
    program: Program,
    client: Client,
    keys: Vec<u8>,
    model: ProtectedModel,
    server: ProtectedServer,
    encryptor: Encryptor,
}

impl Deployed {
    fn new(parameters: &bridge::Parameters, program: Program, seed: u64) -> Self {
        let mut rng = tiny::rng(seed);
        let client = Client::new(parameters.clone(), &mut rng).unwrap();
        let keys = client.publish_keys(&mut rng).unwrap().bytes;
        let model = client.protect(&program, &mut rng).unwrap();
        let public = client.publish_encryption_key(&mut rng).unwrap();
        let layout = model.input_layout();
        Self {
            server: Server::protected(parameters, &model, &keys, None).unwrap(),
            encryptor: Encryptor::new(parameters, layout, &public).unwrap(),
            parameters: parameters.clone(),
            program,
            client,
            keys,
            model,
        }
    }

    /// An input as the edge makes it.
    fn encrypted(&self, image: &[f64], seed: u64) -> Vec<u8> {
        self.encryptor.encrypt(image, &mut tiny::rng(seed)).unwrap()
    }

    fn evaluate(&self, image: &[f64], seed: u64) -> Evaluation {
        self.server.evaluate(&self.encrypted(image, seed), true, &|_| ()).unwrap()
    }

    /// Asserts that the decrypted result is the program's, to six standard deviations of its noise.
    fn assert_agrees(&self, image: &[f64], name: &str) {
        let noise = NoiseModel::new(&self.parameters).unwrap().protected().with_public_inputs();
        let exact = clear::evaluate(&self.program, image).unwrap();
        let errors = (0..16).flat_map(|seed| {
            let found = simulate(&self.program, &noise, image, seed).unwrap();
            found.into_iter().zip(exact.clone()).map(|(a, b)| (a - b).powi(2)).collect::<Vec<_>>()
        });
        let errors: Vec<f64> = errors.collect();
        let bound = 6.0 * (errors.iter().sum::<f64>() / errors.len() as f64).sqrt();
        let output = self.evaluate(image, 77).output;
        let found = self.client.decrypt(&self.program, &output).unwrap();
        let spread = exact.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        for (found, exact) in found.iter().zip(&exact) {
            assert!((found - exact).abs() <= bound, "{name}: {found} for {exact} +- {bound}");
        }
        assert_eq!(found.len(), exact.len());
        assert!(bound < 2.0 * spread, "{name}: a bound of {bound} says little beside {spread}");
    }
}

static DEPLOYED: LazyLock<Deployed> =
    LazyLock::new(|| Deployed::new(&WORLD.parameters, WORLD.program.clone(), 11));
