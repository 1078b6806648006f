//! Arithmetic value by value, modulo the ring's prime, by the fastest kernel that it allows.

use super::{ROWS_AT_ONCE, Ring, RingData};
use crate::math::modulus::ShoupOperand;
use crate::math::{Buffer, Permutation};

/// A constant residue of one ring, prepared for its kernels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor {
    value: u64,
    shoup: ShoupOperand,
    /// `floor(2^52 value / q)`.
    #[cfg(target_arch = "x86_64")]
    quotient: u64,
    /// The value as [`Ring::prepare`] leaves it.
    prepared: u64,
}

impl Ring {
    /// Prepares a constant residue.
    pub(crate) fn factor(&self, value: u64) -> Factor {
        let q = self.modulus();
        #[cfg(target_arch = "x86_64")]
        let [_, quotient] = super::ifma::shoup(value, q.value());
        let prepared = q.mul(value, self.preparation());
        Factor {
            value,
            shoup: q.shoup(value),
            #[cfg(target_arch = "x86_64")]
            quotient,
            prepared,
        }
    }

    /// What [`Ring::prepare`] multiplies by: `2^52` for Montgomery's reduction, or 1.
    fn preparation(&self) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if self.0.ifma.is_some() {
            return (1 << 52) % self.modulus().value();
        }
        1
    }

    /// Brings constant operands into the form in which [`Ring::accumulate_rows`] returns plain sums.
    pub(crate) fn prepare(&self, values: &mut [u64]) {
        self.scale(values, self.factor(self.preparation()));
    }

    /// Writes the image of `source` under a permutation.
    pub(crate) fn permute(&self, target: &mut [u64], source: &[u64], permutation: &Permutation) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.permute(target, source, permutation);
        }
        let (target, _) = target.as_chunks_mut();
        for (target, (block, order)) in target.iter_mut().zip(permutation.sources(source)) {
            *target = order.map(|place| block[place as usize]);
        }
    }

    /// `target = left * right`.
    pub(crate) fn multiply(&self, target: &mut [u64], left: &[u64], right: &[u64]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.multiply(target, left, right);
        }
        target.fill(0);
        self.multiply_accumulate(target, left, right);
    }

    /// `target *= right`.
    pub(crate) fn multiply_assign(&self, target: &mut [u64], right: &[u64]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.multiply_assign(target, right);
        }
        let left = Buffer::copy_of(target);
        self.multiply(target, &left, right);
    }

    /// `target = left_0 right_1 + left_1 right_0`.
    pub(crate) fn cross(&self, target: &mut [u64], left: [&[u64]; 2], right: [&[u64]; 2]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.cross(target, left, right);
        }
        self.multiply(target, left[0], right[1]);
        self.multiply_accumulate(target, left[1], right[0]);
    }

    /// `sum += left * right`.
    pub(crate) fn multiply_accumulate(&self, sum: &mut [u64], left: &[u64], right: &[u64]) {
        self.0.plan.mul_accumulate(sum, left, right);
    }

    /// `values *= factor`.
    pub(crate) fn scale(&self, values: &mut [u64], factor: Factor) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.scale(values, [factor.value, factor.quotient]);
        }
        for value in values {
            *value = self.modulus().mul_shoup(*value, factor.shoup);
        }
    }

    /// `target = (target - other) * factor`.
    pub(crate) fn sub_scale(&self, target: &mut [u64], other: &[u64], factor: Factor) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.sub_scale(target, other, [factor.value, factor.quotient]);
        }
        let q = self.modulus();
        for (target, &other) in target.iter_mut().zip(other) {
            *target = q.mul_shoup(q.sub(*target, other), factor.shoup);
        }
    }

    /// `target = sum_i source_i factor_i`, of words that need not be residues; `narrow` promises that
    /// they are below `2^50`, which allows a faster kernel.
    pub(crate) fn convert(
        &self,
        target: &mut [u64],
        sources: &[&[u64]],
        factors: &[Factor],
        narrow: bool,
    ) {
        let mut groups = sources.chunks(ROWS_AT_ONCE).zip(factors.chunks(ROWS_AT_ONCE));
        match groups.next() {
            Some((sources, factors)) => self.convert_group(target, sources, factors, narrow),
            None => target.fill(0),
        }
        for (sources, factors) in groups {
            let mut sum = Buffer::stale(target.len());
            self.convert_group(&mut sum, sources, factors, narrow);
            for (target, &term) in target.iter_mut().zip(sum.iter()) {
                *target = self.modulus().add(*target, term);
            }
        }
    }

    /// At most [`ROWS_AT_ONCE`] sources of [`Ring::convert`].
    fn convert_group(
        &self,
        target: &mut [u64],
        sources: &[&[u64]],
        factors: &[Factor],
        narrow: bool,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma.filter(|_| narrow) {
            let constants: Vec<u64> = factors.iter().map(|factor| factor.prepared).collect();
            return ifma.convert(target, sources, &constants);
        }
        let q = self.modulus();
        target.fill(0);
        for (source, factor) in sources.iter().zip(factors) {
            for (target, &word) in target.iter_mut().zip(*source) {
                *target = q.add(*target, q.mul_shoup(word, factor.shoup));
            }
        }
    }

    /// `sums_k = sum_r left_r right_(r, k)` (`fresh`) or `+=` that, for at most [`ROWS_AT_ONCE`]
    /// rows, where the right operands went through [`Ring::prepare`]. Where they did not, the sums
    /// lack a factor that [`Ring::add_inverse`] gives back.
    pub(crate) fn accumulate_rows(
        &self,
        sums: [&mut [u64]; 2],
        fresh: bool,
        left: &[&[u64]],
        right: &[[&[u64]; 2]],
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.accumulate(sums, fresh, left, right);
        }
        let [sum0, sum1] = sums;
        if fresh {
            sum0.fill(0);
            sum1.fill(0);
        }
        for (left, [right0, right1]) in left.iter().zip(right) {
            self.multiply_accumulate(sum0, left, right0);
            self.multiply_accumulate(sum1, left, right1);
        }
    }

    /// `target += ` the inverse transform of a sum by [`Ring::accumulate_rows`] of operands that were
    /// not prepared; it overwrites the sum.
    pub(crate) fn add_inverse(&self, target: &mut [u64], sum: &mut [u64]) {
        let RingData { plan, modulus, .. } = &*self.0;
        plan.inv(sum);
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = self.0.ifma {
            return ifma.add_scaled(target, sum);
        }
        plan.normalize(sum);
        for (value, &term) in target.iter_mut().zip(&*sum) {
            *value = modulus.add(*value, term);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::primes::largest_ntt_prime;
    use proptest::prelude::*;

    /// With the kernels for `q < 2^50` and without, as the processor, `q` and the dimension decide.
    fn rings() -> impl Strategy<Value = Ring> {
        let dimensions = prop::sample::select(vec![16usize, 32, 64, 256]);
        (dimensions, 15u32..=61).prop_map(|(dimension, bits)| {
            Ring::new(dimension, largest_ntt_prime(bits, dimension).unwrap()).unwrap()
        })
    }

    proptest! {
        #[test]
        fn sums_of_rows_are_those_of_products(
            ring in rings(),
            chunks in prop::collection::vec(1..=ROWS_AT_ONCE, 1..4),
            seed: u64,
            largest: bool,
        ) {
            let (n, q) = (ring.dimension(), ring.modulus());
            let mut state = seed;
            let mut poly = || -> Vec<u64> {
                let next = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if largest { q.value() - 1 } else { (state >> 2) % q.value() }
                };
                std::iter::repeat_with(next).take(n).collect()
            };
            let mut found = [poly(), poly()];
            let mut expected = found.clone();
            let mut sums = [Buffer::stale(n), Buffer::stale(n)];
            let mut plain = [vec![0; n], vec![0; n]];
            for (index, rows) in chunks.into_iter().enumerate() {
                let left = (0..rows).flat_map(|_| poly()).collect::<Vec<u64>>();
                let right: Vec<[Vec<u64>; 2]> = (0..rows).map(|_| [poly(), poly()]).collect();
                let slices: Vec<[&[u64]; 2]> =
                    right.iter().map(|pair| pair.each_ref().map(Vec::as_slice)).collect();
                let rows: Vec<&[u64]> = left.chunks_exact(n).collect();
                let [sum0, sum1] = &mut sums;
                ring.accumulate_rows([sum0, sum1], index == 0, &rows, &slices);
                for (left, right) in left.chunks_exact(n).zip(&right) {
                    for (plain, right) in plain.iter_mut().zip(right) {
                        ring.multiply_accumulate(plain, left, right);
                    }
                }
            }
            for k in 0..2 {
                ring.add_inverse(&mut found[k], &mut sums[k]);
                ring.inverse(&mut plain[k]);
                for (value, &term) in expected[k].iter_mut().zip(&plain[k]) {
                    *value = q.add(*value, term);
                }
            }
            prop_assert_eq!(found, expected);
        }
    }

    /// Residues, with the largest now and then.
    fn residues(ring: &Ring, seed: u64) -> Vec<u64> {
        let q = ring.modulus().value();
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            if state >> 61 == 0 { q - 1 } else { (state >> 2) % q }
        };
        (0..ring.dimension()).map(|_| next()).collect()
    }

    proptest! {
        #[test]
        fn kernels_are_their_formulas(ring in rings(), seed: u64) {
            let (n, q) = (ring.dimension(), ring.modulus());
            let [a, b, c, d] = [0, 1, 2, 3].map(|k| residues(&ring, seed.wrapping_add(k)));
            let map = |f: &dyn Fn(usize) -> u64| (0..n).map(f).collect::<Vec<u64>>();
            let mut found = vec![7; n];
            ring.multiply(&mut found, &a, &b);
            prop_assert_eq!(&found, &map(&|i| q.mul(a[i], b[i])));
            ring.multiply_assign(&mut found, &c);
            prop_assert_eq!(&found, &map(&|i| q.mul(q.mul(a[i], b[i]), c[i])));
            ring.cross(&mut found, [&a, &b], [&c, &d]);
            prop_assert_eq!(&found, &map(&|i| q.add(q.mul(a[i], d[i]), q.mul(b[i], c[i]))));
            let factor = ring.factor(a[0]);
            found.copy_from_slice(&b);
            ring.scale(&mut found, factor);
            prop_assert_eq!(&found, &map(&|i| q.mul(b[i], a[0])));
            found.copy_from_slice(&b);
            ring.sub_scale(&mut found, &c, factor);
            prop_assert_eq!(&found, &map(&|i| q.mul(q.sub(b[i], c[i]), a[0])));
        }

        #[test]
        fn prepared_operands_give_plain_sums(ring in rings(), seed: u64) {
            let (n, q) = (ring.dimension(), ring.modulus());
            let [a, b, c] = [0, 1, 2].map(|k| residues(&ring, seed.wrapping_add(k)));
            let [mut x, mut y] = [b.clone(), c.clone()];
            ring.prepare(&mut x);
            ring.prepare(&mut y);
            let mut sums = [vec![0; n], vec![0; n]];
            let [first, second] = &mut sums;
            ring.accumulate_rows([first, second], true, &[&a, &a], &[[&x, &y], [&y, &x]]);
            let expected: Vec<u64> = (0..n).map(|i| q.mul(a[i], q.add(b[i], c[i]))).collect();
            prop_assert_eq!(&sums[0], &expected);
            prop_assert_eq!(&sums[1], &expected);
        }

        /// Words of other primes, narrow or not, more of them than one pass takes.
        #[test]
        fn conversions_are_sums_of_words_times_constants(
            ring in rings(),
            words in prop::collection::vec(any::<u64>(), 1..20),
            narrow: bool,
        ) {
            let (n, q) = (ring.dimension(), ring.modulus());
            let words = words.iter().map(|word| if narrow { word >> 14 } else { *word });
            let words: Vec<u64> = words.collect();
            let sources: Vec<Vec<u64>> = words.iter().map(|&word| vec![word; n]).collect();
            let sources: Vec<&[u64]> = sources.iter().map(Vec::as_slice).collect();
            let factors: Vec<u64> = words.iter().map(|word| (word ^ 12345) % q.value()).collect();
            let prepared: Vec<Factor> = factors.iter().map(|&factor| ring.factor(factor)).collect();
            let mut found = vec![7; n];
            ring.convert(&mut found, &sources, &prepared, narrow);
            let expected = words.iter().zip(&factors).fold(0, |sum, (&word, &factor)| {
                q.add(sum, q.mul(word % q.value(), factor))
            });
            prop_assert!(found.iter().all(|&value| value == expected));
        }
    }
}
