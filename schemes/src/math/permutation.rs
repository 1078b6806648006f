//! Automorphisms in the transformed domain: permutations of the values.

use super::MathError;

/// Values that move together: one vector.
const BLOCK: usize = 8;

/// Where each value of the transform of `f(X^element)` stands in that of `f`.
///
/// Value `i` is `f` at the root of unity to the `2 r + 1`, `r` the reversal of the bits of `i`. The
/// values of an aligned block of a power of two differ in the highest bits of `r` only, so that their
/// images are again those of one block, in one of a few orders.
#[derive(Debug, Clone)]
pub(crate) struct Permutation {
    /// The source of each block, and which order.
    blocks: Vec<[u32; 2]>,
    orders: Vec<[u64; BLOCK]>,
}

impl Permutation {
    /// The permutation of `X -> X^element` for dimension `N`, a power of two of at least 16.
    ///
    /// # Errors
    /// [`MathError::GaloisElement`] where the element is even or not below `2N`.
    pub(crate) fn new(element: usize, dimension: usize) -> Result<Self, MathError> {
        if element.is_multiple_of(2) || element >= 2 * dimension {
            return Err(MathError::GaloisElement { element, dimension });
        }
        let shift = usize::BITS - dimension.ilog2();
        let reverse = |index: usize| index.reverse_bits() >> shift;
        let source = |index| reverse((2 * reverse(index) + 1) * element % (2 * dimension) / 2);
        let mut orders: Vec<[u64; BLOCK]> = Vec::new();
        let block = |first: usize| {
            let order = std::array::from_fn(|k| (source(first + k) % BLOCK) as u64);
            let known = orders.iter().position(|known| *known == order);
            let place = known.unwrap_or_else(|| {
                orders.push(order);
                orders.len() - 1
            });
            [(source(first) / BLOCK) as u32, place as u32]
        };
        let blocks = (0..dimension).step_by(BLOCK).map(block).collect();
        Ok(Self { blocks, orders })
    }

    /// For each block of the image, the block of `values` that it comes from and its order.
    pub(crate) fn sources<'a>(
        &'a self,
        values: &'a [u64],
    ) -> impl Iterator<Item = (&'a [u64; BLOCK], &'a [u64; BLOCK])> {
        let (values, _) = values.as_chunks();
        let pick =
            |&[block, order]: &[u32; 2]| (&values[block as usize], &self.orders[order as usize]);
        self.blocks.iter().map(pick)
    }
}
