//! Max-pools: comparisons of values that sit the same distance apart.

use super::{Lowering, Places};
use crate::compile::layout::Grid;
use crate::compile::noise;
use crate::compile::program::{
    Function, LinearMap, LinearOutput, Operation, Register, Table, Term,
};
use crate::compile::stage::Pool;

impl Lowering<'_> {
    pub(super) fn max_pool(&mut self, pool: &Pool, differences: &[f64]) {
        let Places::Grid(grid) = &self.places else { return }; // windows of one element
        let grid = grid.clone();
        let (across, down) = differences.split_at(pool.kernel[1] - 1);
        let pooled = grid.pooled(1, pool.kernel[1], pool.strides[1]);
        self.maxima(&format!("{} across", pool.name), grid.column, pooled.clone(), across);
        let last = pooled.pooled(0, pool.kernel[0], pool.strides[0]);
        self.maxima(&format!("{} down", pool.name), pooled.row, last, down);
    }

    /// Maxima of each value and those `shift`, `2 shift`, ... coefficients on, one comparison after
    /// the other: `2 max(a, b) = (a + b) + |a - b|`.
    fn maxima(&mut self, name: &str, shift: usize, grid: Grid, differences: &[f64]) {
        let source = self.register;
        for (index, largest) in differences.iter().enumerate() {
            let shift = (index + 1) * shift;
            self.maximum(name, [self.register, source], (shift, 1 << index), &grid, *largest);
        }
        self.places = Places::Grid(grid);
    }

    /// The maximum of the first register's values and those of the second `shift` coefficients on,
    /// which must be multiplied by `factor` first.
    fn maximum(
        &mut self,
        name: &str,
        registers: [Register; 2],
        (shift, factor): (usize, i64),
        grid: &Grid,
        largest: f64,
    ) {
        let amplitude = self.amplitude;
        let multiplier = noise::multiplier(largest, amplitude, self.settings);
        let table = Table {
            function: Function::Absolute,
            start: -0.25,
            input: amplitude * multiplier as f64,
            output: amplitude,
        };
        let dimension = self.dimension;
        let pair = |weights: [i64; 2], bias: f64| {
            let output = |ciphertext: usize| {
                let coefficients = grid.coefficients(ciphertext / grid.channels);
                let term = |register, exponent, weight| Term {
                    register,
                    ciphertext,
                    weights: vec![(exponent, weight)],
                };
                // X^-shift = -X^(N - shift): exponents count modulo 2N
                let terms = vec![
                    term(0, 0, weights[0]),
                    term(1, (2 * dimension - shift) % (2 * dimension), weights[1]),
                ];
                LinearOutput { terms, biases: vec![bias; coefficients.len()], coefficients }
            };
            let outputs = (0..grid.channels * grid.tiles.len()).map(output).collect();
            Operation::Combine(LinearMap { outputs })
        };
        let difference = pair([multiplier, -multiplier * factor], 0.0);
        let sum = pair([1, factor], table.offset());
        self.amplitude = table.input;
        let difference = self.push(name, difference, registers.to_vec());
        let looked_up =
            self.look_up(name, difference, grid.places(), vec![table], self.settings.pool_key);
        let placements = grid.placements();
        let ciphertexts = crate::compile::program::count_ciphertexts(&placements);
        let packing = Operation::ToCkks { placements, ciphertexts, zeroed: false };
        let packed = self.push(name, packing, vec![looked_up]);
        let sum = self.push(name, sum, registers.to_vec());
        self.amplitude = 2.0 * amplitude; // the sum is twice the maximum
        self.register = self.push(name, Operation::Add, vec![sum, packed]);
    }
}
