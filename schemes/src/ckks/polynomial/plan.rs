//! What to multiply with what, before any ciphertext, level or scale is known.

use std::collections::BTreeSet;

use crate::math::approximation::Basis;

/// Levels at which the power of this index is ready: `ceil(log2(index))`, 0 for indices 0 and 1.
pub(super) fn power_depth(index: usize) -> usize {
    index.next_power_of_two().trailing_zeros() as usize
}

/// One power of the variable, `x^index` or `T_index(x)`, from two of smaller depth:
/// `x^(a+b) = x^a x^b`, or `T_{a+b} = 2 T_a T_b - T_{a-b}` with `a >= b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Power {
    pub index: usize,
    pub left: usize,
    pub right: usize,
}

/// `constant + sum terms + sum quotient * power`, ready after exactly `depth` levels: everything in
/// it is added up `depth - 1` levels down, then relinearized once and rescaled once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub depth: usize,
    pub constant: f64,
    /// Power index and coefficient.
    pub terms: Vec<(usize, f64)>,
    /// Quotient and power index.
    pub products: Vec<(Block, usize)>,
}

/// Paterson-Stockmeyer evaluation of one polynomial: the powers in the order in which they are
/// computed, and the tree of divisions by powers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub basis: Basis,
    pub powers: Vec<Power>,
    pub root: Block,
}

impl Plan {
    /// The plan of fewest multiplications (then of fewest relinearizations) among those whose baby
    /// steps are the powers below `b` and whose giant steps are `b, 2b, 4b, ...`, over all `b`. All
    /// have depth `ceil(log2(degree + 1))`; powers that only zero coefficients would use are left
    /// out, so odd and even polynomials need about half of the baby steps.
    ///
    /// M. Paterson and L. Stockmeyer, "On the number of nonscalar multiplications necessary to
    /// evaluate polynomials", 1973; the division by Chebyshev polynomials and the top-down depths as
    /// in Bossuat et al., ePrint 2020/1203, section 5.
    pub fn new(basis: Basis, coefficients: &[f64]) -> Self {
        let depth = power_depth(coefficients.len());
        // Powers are shared by all blocks, so more of them than this never pays.
        let widest = 1 << (depth / 2 + 2);
        let mut best = Division::run(basis, coefficients, depth, 2);
        for baby_steps in 3..=widest {
            let plan = Division::run(basis, coefficients, depth, baby_steps);
            if plan.cost() < best.cost() {
                best = plan;
            }
        }
        best
    }

    /// Products of two ciphertexts.
    pub fn multiplications(&self) -> usize {
        self.powers.len() + self.root.count(&|block| block.products.len())
    }

    /// Key switches: one for each power, one for each block that holds a product.
    pub fn relinearizations(&self) -> usize {
        self.powers.len() + self.root.count(&|block| usize::from(!block.products.is_empty()))
    }

    fn cost(&self) -> (usize, usize) {
        (self.multiplications(), self.relinearizations())
    }
}

impl Block {
    fn count(&self, of: &impl Fn(&Self) -> usize) -> usize {
        of(self) + self.products.iter().map(|(quotient, _)| quotient.count(of)).sum::<usize>()
    }
}

/// The repeated division of a polynomial by powers, for one choice of baby steps.
struct Division {
    basis: Basis,
    baby_steps: usize,
    used: BTreeSet<usize>,
}

impl Division {
    fn run(basis: Basis, coefficients: &[f64], depth: usize, baby_steps: usize) -> Plan {
        let mut division = Self { basis, baby_steps, used: BTreeSet::new() };
        let root = division.block(coefficients.to_vec(), depth);
        let powers = chain(basis, division.used);
        Plan { basis, powers, root }
    }

    /// Divides until what is left is a sum of powers that are ready in time.
    fn block(&mut self, mut rest: Vec<f64>, depth: usize) -> Block {
        let mut terms = Vec::new();
        let mut products = Vec::new();
        while rest.len() > 1 {
            let index = rest.len() - 1;
            if self.is_step(index) && power_depth(index) < depth {
                terms.push((index, rest[index]));
                rest.pop();
            } else {
                let giant = self.giant(index, depth);
                let quotient;
                (quotient, rest) = divide(self.basis, rest, giant);
                products.push((self.block(quotient, depth - 1), giant));
                self.used.insert(giant);
            }
            trim(&mut rest);
        }
        self.used.extend(terms.iter().map(|&(index, _)| index));
        Block { depth, constant: rest[0], terms, products }
    }

    /// Whether the power of this index is a baby or a giant step.
    fn is_step(&self, index: usize) -> bool {
        index < self.baby_steps
            || (index.is_multiple_of(self.baby_steps)
                && (index / self.baby_steps).is_power_of_two())
    }

    /// The largest giant step that leaves a quotient of a degree that `depth - 1` levels can hold,
    /// or else the largest power of two, which always does.
    fn giant(&self, degree: usize, depth: usize) -> usize {
        let half = 1 << (depth - 1);
        std::iter::successors(Some(self.baby_steps), |step| Some(2 * step))
            .take_while(|&step| step <= degree && step <= half)
            .filter(|step| degree - step < half)
            .last()
            .unwrap_or(1 << degree.ilog2())
    }
}

/// Quotient and remainder by the power `giant`.
///
/// In the Chebyshev basis `T_{g+j} = 2 T_g T_j - T_{|g-j|}`, from the top down, so that what falls
/// back above `g` is divided in its turn.
fn divide(basis: Basis, mut dividend: Vec<f64>, giant: usize) -> (Vec<f64>, Vec<f64>) {
    if basis == Basis::Monomial {
        let quotient = dividend.split_off(giant);
        return (quotient, dividend);
    }
    let mut quotient = vec![0.0; dividend.len() - giant];
    for index in (giant + 1..dividend.len()).rev() {
        let coefficient = dividend[index];
        quotient[index - giant] = 2.0 * coefficient;
        dividend[(2 * giant).abs_diff(index)] -= coefficient;
    }
    quotient[0] = dividend[giant];
    dividend.truncate(giant);
    (quotient, dividend)
}

fn trim(coefficients: &mut Vec<f64>) {
    let degree = coefficients.iter().rposition(|&c| c != 0.0).unwrap_or(0);
    coefficients.truncate(degree + 1);
}

/// The used powers and those that they are made from, in ascending order. From the top down each
/// index takes the split that calls for the fewest powers not yet there.
fn chain(basis: Basis, mut wanted: BTreeSet<usize>) -> Vec<Power> {
    let mut powers = Vec::new();
    while let Some(index) = wanted.pop_last() {
        if index < 2 {
            continue;
        }
        let half = 1 << (power_depth(index) - 1);
        let splits =
            (index.div_ceil(2)..=half).map(|left| Power { index, left, right: index - left });
        let fewest = splits.min_by_key(|split| {
            split.operands(basis).filter(|operand| !wanted.contains(operand)).count()
        });
        if let Some(power) = fewest {
            wanted.extend(power.operands(basis));
            powers.push(power);
        }
    }
    powers.reverse();
    powers
}

impl Power {
    /// The powers above the first that this one is made from.
    fn operands(self, basis: Basis) -> impl Iterator<Item = usize> {
        let difference = if basis == Basis::Chebyshev { self.left - self.right } else { 0 };
        let right = if self.right == self.left { 0 } else { self.right };
        [self.left, right, difference].into_iter().filter(|&index| index > 1)
    }
}
