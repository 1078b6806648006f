//! The walk along a plan: every level and scale is fixed here.

use std::collections::BTreeMap;

use super::plan::{Block, Plan, Power};
use crate::ckks::{CkksError, Scale};
use crate::math::approximation::Basis;

/// What a plan is walked in. A value has a level and an exact scale.
pub(super) trait Arithmetic {
    type Value: Clone;

    fn level(&self, value: &Self::Value) -> usize;

    fn scale(&self, value: &Self::Value) -> Scale;

    /// The prime by which a rescaling from this level divides.
    fn prime(&self, level: usize) -> Result<Scale, CkksError>;

    /// The sum of the values times their coefficients, at this level and scale (not rescaled).
    /// There is at least one term; no value is at a lower level.
    fn combine(
        &self,
        terms: &[(&Self::Value, f64)],
        level: usize,
        scale: &Scale,
    ) -> Result<Self::Value, CkksError>;

    /// The sum of the products and of the rest, relinearized and rescaled once. All are at the same
    /// level and all scales are equal; there is a product or a rest.
    fn multiply(
        &self,
        products: Vec<(Self::Value, Self::Value)>,
        rest: Option<Self::Value>,
    ) -> Result<Self::Value, CkksError>;

    /// The value plus a constant.
    fn shift(&self, value: Self::Value, constant: f64) -> Result<Self::Value, CkksError>;
}

/// A plan with the powers of its variable.
pub(super) struct Walk<'a, A: Arithmetic> {
    arithmetic: &'a A,
    level: usize,
    /// The variable's scale, which the powers and quotients stay near.
    scale: Scale,
    powers: BTreeMap<usize, A::Value>,
}

impl<'a, A: Arithmetic> Walk<'a, A> {
    /// Computes the powers of the variable that the plan uses.
    pub fn new(arithmetic: &'a A, plan: &Plan, variable: A::Value) -> Result<Self, CkksError> {
        let (level, scale) = (arithmetic.level(&variable), arithmetic.scale(&variable));
        let powers = BTreeMap::from([(1, variable)]);
        let mut walk = Self { arithmetic, level, scale, powers };
        for &power in &plan.powers {
            let value = walk.power(plan.basis, power)?;
            walk.powers.insert(power.index, value);
        }
        Ok(walk)
    }

    /// The block's value, `block.depth` levels below the variable and at exactly the scale `target`.
    pub fn evaluate(&self, block: &Block, target: &Scale) -> Result<A::Value, CkksError> {
        let value = if block.depth == 0 {
            self.arithmetic.combine(&[(self.get(1)?, 0.0)], self.level, target)?
        } else {
            self.sum(block, target)?
        };
        self.arithmetic.shift(value, block.constant)
    }

    fn sum(&self, block: &Block, target: &Scale) -> Result<A::Value, CkksError> {
        let level = self.level + 1 - block.depth;
        let total = target.times(&self.arithmetic.prime(level)?);
        let products = block
            .products
            .iter()
            .map(|(quotient, index)| self.product(quotient, *index, level, &total))
            .collect::<Result<_, _>>()?;
        let terms = block
            .terms
            .iter()
            .map(|&(index, coefficient)| Ok((self.get(index)?, coefficient)))
            .collect::<Result<Vec<_>, CkksError>>()?;
        let rest = match terms.as_slice() {
            [] => None,
            terms => Some(self.arithmetic.combine(terms, level, &total)?),
        };
        self.arithmetic.multiply(products, rest)
    }

    /// The two factors of `quotient * power`, the product of whose scales is `total`.
    fn product(
        &self,
        quotient: &Block,
        index: usize,
        level: usize,
        total: &Scale,
    ) -> Result<(A::Value, A::Value), CkksError> {
        let power = self.get(index)?;
        let room = total.over(&self.arithmetic.scale(power));
        let target = room.over(&whole(&room.over(&self.scale)));
        let quotient = self.evaluate(quotient, &target)?;
        Ok((self.scaled(&quotient, 1.0, level, &room)?, self.dropped(power, level)?))
    }

    fn power(&self, basis: Basis, power: Power) -> Result<A::Value, CkksError> {
        let (left, right) = (self.get(power.left)?, self.get(power.right)?);
        let level = self.arithmetic.level(left).min(self.arithmetic.level(right));
        let (factor, difference) = match basis {
            Basis::Monomial => (1.0, None),
            Basis::Chebyshev => (2.0, Some(power.left - power.right)),
        };
        let right_scale = self.arithmetic.scale(right);
        let room = self.scale.times(&self.arithmetic.prime(level)?).over(&right_scale);
        let single = self.arithmetic.scale(left).over(&Scale::new(factor)?);
        let left_scale = single.times(&whole(&room.over(&single)));
        let total = left_scale.times(&right_scale);
        let product = (self.scaled(left, factor, level, &left_scale)?, self.dropped(right, level)?);
        match difference {
            None => self.arithmetic.multiply(vec![product], None),
            Some(0) => {
                let double = self.arithmetic.multiply(vec![product], None)?;
                self.arithmetic.shift(double, -1.0)
            }
            Some(index) => {
                let below = self.scaled(self.get(index)?, -1.0, level, &total)?;
                self.arithmetic.multiply(vec![product], Some(below))
            }
        }
    }

    fn scaled(
        &self,
        value: &A::Value,
        coefficient: f64,
        level: usize,
        scale: &Scale,
    ) -> Result<A::Value, CkksError> {
        self.arithmetic.combine(&[(value, coefficient)], level, scale)
    }

    fn dropped(&self, value: &A::Value, level: usize) -> Result<A::Value, CkksError> {
        self.scaled(value, 1.0, level, &self.arithmetic.scale(value))
    }

    /// A power that the plan lists.
    fn get(&self, index: usize) -> Result<&A::Value, CkksError> {
        self.powers.get(&index).ok_or(CkksError::Parameter {
            what: "the index of a power",
            value: index,
            allowed: "the powers of the plan",
        })
    }
}

/// The power of two, at least 1, nearest to a ratio: what a value is multiplied by, exactly, to bring
/// its scale up.
fn whole(ratio: &Scale) -> Scale {
    Scale::power_of_two(ratio.log2().round().max(0.0) as i32)
}
