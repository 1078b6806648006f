//! Properties of the whole bridge, at real parameters.

use crate::*;
use bellerophon_schemes::ckks::{Decryptor, Encoder, Encryptor, Scale};
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::tfhe::LookupTable;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn literal(assumptions: Assumptions) -> ParametersLiteral {
    ParametersLiteral {
        assumptions,
        log_dimension: 11,
        modulus_bits: 50,
        lwe_dimension: if assumptions == Assumptions::Compact { 750 } else { 1024 },
        down_gadget: (5, 3),
        up_gadget: (10, 5),
        bootstraps: vec![
            BootstrapLiteral { glwe_dimension: 2, polynomial_size: 1024, base_log: 23, levels: 1 },
            BootstrapLiteral { glwe_dimension: 2, polynomial_size: 1024, base_log: 16, levels: 2 },
        ],
    }
}

#[test]
fn smoke() {
    for assumptions in [Assumptions::Compact, Assumptions::Conservative] {
        let parameters = Parameters::new(literal(assumptions), SecurityLevel::Bits128).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let t = std::time::Instant::now();
        let secrets = SecretKeys::generate(&parameters, &mut rng).unwrap();
        let seeded = SeededEvaluationKeys::generate(&parameters, &secrets, &mut rng).unwrap();
        println!("keygen {:?}", t.elapsed());
        let t = std::time::Instant::now();
        let keys = seeded.expand(&parameters).unwrap();
        println!("expand {:?} bytes {}", t.elapsed(), keys.bytes());
        let t = std::time::Instant::now();
        println!("wire {}", bellerophon_schemes::wire::to_bytes(&seeded).unwrap().len());
        println!("wire {:?}", t.elapsed());
        let encoder = Encoder::new(parameters.ckks());
        let q = parameters.ring().modulus().value() as f64;
        let values: Vec<f64> = (0..2048).map(|i| (i as f64 - 1024.0) / 2100.0).collect();
        let plaintext = encoder.encode_coefficients(&values, Scale::new(q).unwrap()).unwrap();
        let ct = Encryptor::new(parameters.ckks())
            .encrypt(&plaintext, secrets.ring(), &mut rng)
            .unwrap()
            .expand(parameters.ckks())
            .unwrap();
        let positions: Vec<usize> = (0..2048).step_by(5).collect();
        let t = std::time::Instant::now();
        let lwes = keys.to_lwe(&ct, &positions, 11).unwrap();
        println!("to_lwe {:?}", t.elapsed());
        let table = LookupTable::new(1024, -0.25, |x| (x.abs() - 0.25) / 16.0).unwrap();
        for index in 0..2 {
            let t = std::time::Instant::now();
            let out = keys.bootstrap(index).unwrap().bootstrap(&lwes, &table, &|_| ()).unwrap();
            println!("bootstrap {} {:?}", out.count(), t.elapsed() / positions.len() as u32);
            let t = std::time::Instant::now();
            let packed = keys
                .to_ckks(&out, 0..positions.len(), &positions, Amplitude::new(1.0 / 16.0))
                .unwrap();
            println!("to_ckks {:?}", t.elapsed() / positions.len() as u32);
            let decoded = encoder.decode_coefficients(
                &Decryptor::new(secrets.ring().clone()).decrypt(&packed).unwrap(),
            );
            let mut err = 0.0;
            for &p in &positions {
                let e = decoded[p] - (values[p].abs() - 0.25);
                err += e * e / positions.len() as f64;
            }
            println!(
                "error 2^{:.2} predicted 2^{:.2}",
                err.log2() / 2.0,
                noise::table_input(&parameters, index).unwrap().log2() / 2.0
            );
            println!(
                "packing predicted 2^{:.2} pbs 2^{:.2} ring switch 2^{:.2}",
                noise::to_ckks(&parameters, 11).log2() / 2.0,
                noise::table_output(&parameters, index).unwrap().log2() / 2.0,
                noise::ring_switch(&parameters).log2() / 2.0
            );
        }
    }
}
