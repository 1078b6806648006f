//! The transform and the key-dependent operations of CKKS, on one thread, named
//! `operation/logN=…/logQ=…`.

use bellerophon_schemes::math::{Coeff, Poly, Ring, primes, sampling};
use bellerophon_schemes::rlwe::{
    Ciphertext, Coeffs, Encoder, Encryptor, Evaluator, Gadget, KeyGenerator, Parameters,
    ParametersLiteral, Plaintext, Scale, SecretKey,
};
use bellerophon_schemes::security::{SecretDistribution, SecurityLevel};
use criterion::{BatchSize, Criterion};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

const LOG_MODULUS: u32 = 50;
const LOG_DIMENSION: u32 = 11;
/// The integer that stands for 1 in a message.
const MESSAGE_SCALE: f64 = (1u64 << 40) as f64;
/// The integer that stands for 1 in a weight.
const WEIGHT_SCALE: f64 = 64.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for log_dimension in 11..=14 {
        transforms(&mut criterion, log_dimension, &mut rng)?;
    }
    let setting = Setting::new(&mut rng)?;
    setting.key_switches(&mut criterion, &mut rng)?;
    setting.automorphisms(&mut criterion, &mut rng)?;
    setting.products(&mut criterion)?;
    setting.external_products(&mut criterion, &mut rng)?;
    criterion.final_summary();
    Ok(())
}

fn name(operation: &str, log_dimension: u32) -> String {
    format!("{operation}/logN={log_dimension}/logQ={LOG_MODULUS}")
}

fn transforms(
    criterion: &mut Criterion,
    log_dimension: u32,
    rng: &mut ChaCha20Rng,
) -> Result<(), Box<dyn Error>> {
    let dimension = 1 << log_dimension;
    let ring = Ring::new(dimension, primes::largest_ntt_prime(LOG_MODULUS, dimension)?)?;
    let poly: Poly<Coeff> = sampling::uniform(&ring, rng);
    criterion.bench_function(&name("ntt_forward", log_dimension), |bencher| {
        bencher.iter_batched(|| poly.clone(), Poly::into_ntt, BatchSize::SmallInput);
    });
    let transformed = poly.into_ntt();
    criterion.bench_function(&name("ntt_inverse", log_dimension), |bencher| {
        bencher.iter_batched(|| transformed.clone(), Poly::into_coeff, BatchSize::SmallInput);
    });
    Ok(())
}

/// A secret and a ciphertext under it, at the ring of the presets.
struct Setting {
    parameters: Parameters,
    generator: KeyGenerator,
    encoder: Encoder,
    secret: SecretKey,
    ciphertext: Ciphertext<Coeffs>,
}

impl Setting {
    fn new(rng: &mut ChaCha20Rng) -> Result<Self, Box<dyn Error>> {
        let literal = ParametersLiteral {
            log_dimension: LOG_DIMENSION,
            modulus_bits: LOG_MODULUS,
            distribution: SecretDistribution::Ternary,
            sigma: 3.2,
        };
        let parameters = Parameters::new(literal, SecurityLevel::Bits128)?;
        let generator = KeyGenerator::new(&parameters);
        let secret = generator.secret_key(rng)?;
        let encoder = Encoder::new(&parameters);
        let values: Vec<f64> = (0..1 << LOG_DIMENSION).map(|i| f64::from(i % 17) - 8.0).collect();
        let plaintext = encoder.encode_coefficients(&values, Scale::new(MESSAGE_SCALE)?)?;
        let seeded = Encryptor::new(&parameters).encrypt(&plaintext, &secret, rng)?;
        let ciphertext = seeded.expand(&parameters)?;
        Ok(Self { parameters, generator, encoder, secret, ciphertext })
    }

    fn key_switches(
        &self,
        criterion: &mut Criterion,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), Box<dyn Error>> {
        let modulus = self.parameters.ring().modulus();
        let target = self.generator.secret_key(rng)?;
        for (label, gadget) in [
            ("digits=6x8", Gadget::digits(8, 6, modulus)?),
            ("digits=5x10", Gadget::digits(10, 5, modulus)?),
            ("tabulated=3x5", Gadget::tabulated(5, 3, modulus)?),
        ] {
            let key = self.generator.switching_key(&self.secret, &target, gadget, rng)?;
            let key = key.expand(self.parameters.ring())?;
            key.switch(&self.ciphertext)?; // what is timed below succeeds
            let name = format!("{}/{label}", name("key_switch", LOG_DIMENSION));
            criterion.bench_function(&name, |bencher| {
                bencher.iter(|| key.switch(black_box(&self.ciphertext)));
            });
        }
        Ok(())
    }

    fn automorphisms(
        &self,
        criterion: &mut Criterion,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), Box<dyn Error>> {
        let element = (1 << LOG_DIMENSION) + 1;
        self.ciphertext.c0().automorphism(element)?;
        criterion.bench_function(&name("automorphism", LOG_DIMENSION), |bencher| {
            bencher.iter(|| black_box(self.ciphertext.c0()).automorphism(element));
        });
        let gadget = Gadget::digits(8, 6, self.parameters.ring().modulus())?;
        let key = self.generator.galois_key(&self.secret, element, gadget, rng)?;
        let key = key.expand(self.parameters.ring())?;
        key.apply(&self.ciphertext)?;
        let name = format!("{}/digits=6x8", name("galois", LOG_DIMENSION));
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| key.apply(black_box(&self.ciphertext)));
        });
        Ok(())
    }

    /// One product with an encrypted polynomial; of many with one ciphertext, what is shared (digits
    /// and their transforms) and what each costs beside it.
    fn external_products(
        &self,
        criterion: &mut Criterion,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), Box<dyn Error>> {
        let evaluator = Evaluator::new(self.parameters.ring());
        let gadget = Gadget::digits(18, 2, self.parameters.ring().modulus())?;
        let weights: Vec<f64> = (0..25).map(|i| f64::from(i) / 25.0 - 0.5).collect();
        let plaintext = self.encoder.encode_coefficients(&weights, Scale::new(WEIGHT_SCALE)?)?;
        let encryptor = Encryptor::new(&self.parameters);
        let factor = encryptor.encrypt_gadget(&plaintext, gadget, &self.secret, rng)?;
        let factor = factor.expand(self.parameters.ring())?;
        let mut sum = evaluator.external_product(&self.ciphertext, &factor)?;
        criterion.bench_function(&name("external_product", LOG_DIMENSION), |bencher| {
            bencher.iter(|| evaluator.external_product(black_box(&self.ciphertext), &factor));
        });
        let digits = evaluator.decompose(&self.ciphertext, gadget)?;
        criterion.bench_function(&name("external_product_decompose", LOG_DIMENSION), |bencher| {
            bencher.iter(|| evaluator.decompose(black_box(&self.ciphertext), gadget));
        });
        let terms = [(&digits, &factor); 4];
        criterion.bench_function(&name("external_product_sum_of_4", LOG_DIMENSION), |bencher| {
            bencher.iter(|| evaluator.add_external_products(&mut sum, black_box(&terms)));
        });
        Ok(())
    }

    fn products(&self, criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
        let evaluator = Evaluator::new(self.parameters.ring());
        let weights: Vec<f64> = (0..25).map(|i| f64::from(i) / 25.0 - 0.5).collect();
        let plaintext: Plaintext<Coeffs> =
            self.encoder.encode_coefficients(&weights, Scale::new(WEIGHT_SCALE)?)?;
        evaluator.mul_plain(&self.ciphertext, &plaintext)?;
        criterion.bench_function(&name("mul_plain", LOG_DIMENSION), |bencher| {
            bencher.iter(|| evaluator.mul_plain(black_box(&self.ciphertext), &plaintext));
        });
        criterion.bench_function(&name("mul_monomial", LOG_DIMENSION), |bencher| {
            bencher.iter(|| evaluator.mul_monomial(black_box(&self.ciphertext), 1234));
        });
        Ok(())
    }
}
