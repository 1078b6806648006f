//! Butterflies, and a few levels of them on points in registers.

use super::lanes::Lanes;

/// The twiddles of a few levels; no twiddle is 1.
pub(super) trait Twiddles<S: Lanes<L>, const L: usize> {
    fn at(&self, index: usize) -> Option<[S::Vector; 2]>;
}

/// `(u + p, u - p)` from `u` and `u + p`.
#[inline(always)]
fn both<S: Lanes<L>, const L: usize>(
    lanes: S,
    u: [S::Vector; 2],
    sum: [S::Vector; 2],
) -> [[S::Vector; 2]; 2] {
    let two = lanes.splat(2.0);
    [sum, [lanes.mul_sub(two, u[0], sum[0]), lanes.mul_sub(two, u[1], sum[1])]]
}

/// `(u + w v, u - w v)`; no `w` is 1.
#[inline(always)]
fn butterfly<S: Lanes<L>, const L: usize>(
    lanes: S,
    u: [S::Vector; 2],
    v: [S::Vector; 2],
    w: Option<[S::Vector; 2]>,
) -> [[S::Vector; 2]; 2] {
    let sum = match w {
        None => [lanes.add(u[0], v[0]), lanes.add(u[1], v[1])],
        Some([re, im]) => [
            lanes.neg_mul_add(im, v[1], lanes.mul_add(re, v[0], u[0])),
            lanes.mul_add(im, v[0], lanes.mul_add(re, v[1], u[1])),
        ],
    };
    both(lanes, u, sum)
}

/// `(u + i w v, u - i w v)`; no `w` is 1.
#[inline(always)]
fn butterfly_i<S: Lanes<L>, const L: usize>(
    lanes: S,
    u: [S::Vector; 2],
    v: [S::Vector; 2],
    w: Option<[S::Vector; 2]>,
) -> [[S::Vector; 2]; 2] {
    let sum = match w {
        None => [lanes.sub(u[0], v[1]), lanes.add(u[1], v[0])],
        Some([re, im]) => [
            lanes.neg_mul_add(re, v[1], lanes.neg_mul_add(im, v[0], u[0])),
            lanes.mul_add(re, v[0], lanes.neg_mul_add(im, v[1], u[1])),
        ],
    };
    both(lanes, u, sum)
}

/// `(u - i w v, u + i w v)`; no `w` is 1.
#[inline(always)]
fn butterfly_minus_i<S: Lanes<L>, const L: usize>(
    lanes: S,
    u: [S::Vector; 2],
    v: [S::Vector; 2],
    w: Option<[S::Vector; 2]>,
) -> [[S::Vector; 2]; 2] {
    let sum = match w {
        None => [lanes.add(u[0], v[1]), lanes.sub(u[1], v[0])],
        Some([re, im]) => [
            lanes.mul_add(re, v[1], lanes.mul_add(im, v[0], u[0])),
            lanes.neg_mul_add(re, v[0], lanes.mul_add(im, v[1], u[1])),
        ],
    };
    both(lanes, u, sum)
}

/// `log2 R` levels of the forward transform on `R <= 8` points: level `t` has `2^t` blocks; the
/// twiddle of block `b` is `w(2^t / 2 + b/2)`, times `i` for odd blocks. Written out, so that all
/// points stay in registers.
#[inline(always)]
pub(super) fn split<S: Lanes<L>, const L: usize, const R: usize>(
    lanes: S,
    z: &mut [[S::Vector; 2]; R],
    w: impl Twiddles<S, L>,
) {
    if R == 1 {
        return;
    }
    let first = w.at(0);
    if R == 2 {
        [z[0], z[1]] = butterfly(lanes, z[0], z[1], first);
        return;
    }
    let h = R / 2;
    [z[0], z[h]] = butterfly(lanes, z[0], z[h], first);
    [z[1], z[h + 1]] = butterfly(lanes, z[1], z[h + 1], first);
    if R == 8 {
        [z[2], z[6]] = butterfly(lanes, z[2], z[6], first);
        [z[3], z[7]] = butterfly(lanes, z[3], z[7], first);
    }
    let (second, q) = (w.at(1), h / 2);
    [z[0], z[q]] = butterfly(lanes, z[0], z[q], second);
    [z[h], z[h + q]] = butterfly_i(lanes, z[h], z[h + q], second);
    if R == 8 {
        [z[1], z[3]] = butterfly(lanes, z[1], z[3], second);
        [z[5], z[7]] = butterfly_i(lanes, z[5], z[7], second);
        let third = w.at(2);
        [z[0], z[1]] = butterfly(lanes, z[0], z[1], third);
        [z[2], z[3]] = butterfly_i(lanes, z[2], z[3], third);
        let third = w.at(3);
        [z[4], z[5]] = butterfly(lanes, z[4], z[5], third);
        [z[6], z[7]] = butterfly_i(lanes, z[6], z[7], third);
    }
}

/// `log2 R` levels of the inverse transform on `R <= 8` points: level `t` has distance `2^t`; the
/// twiddle at `k` is `w(2^t / 2 + k)`, times `-i` and with `2^t / 2` less for the upper half of the
/// `k`. Written out, so that all points stay in registers.
#[inline(always)]
pub(super) fn join<S: Lanes<L>, const L: usize, const R: usize>(
    lanes: S,
    z: &mut [[S::Vector; 2]; R],
    w: impl Twiddles<S, L>,
) {
    if R == 1 {
        return;
    }
    let first = w.at(0);
    [z[0], z[1]] = butterfly(lanes, z[0], z[1], first);
    if R >= 4 {
        [z[2], z[3]] = butterfly(lanes, z[2], z[3], first);
    }
    if R == 8 {
        [z[4], z[5]] = butterfly(lanes, z[4], z[5], first);
        [z[6], z[7]] = butterfly(lanes, z[6], z[7], first);
    }
    if R >= 4 {
        let second = w.at(1);
        [z[0], z[2]] = butterfly(lanes, z[0], z[2], second);
        [z[1], z[3]] = butterfly_minus_i(lanes, z[1], z[3], second);
        if R == 8 {
            [z[4], z[6]] = butterfly(lanes, z[4], z[6], second);
            [z[5], z[7]] = butterfly_minus_i(lanes, z[5], z[7], second);
            let third = w.at(2);
            [z[0], z[4]] = butterfly(lanes, z[0], z[4], third);
            [z[2], z[6]] = butterfly_minus_i(lanes, z[2], z[6], third);
            let third = w.at(3);
            [z[1], z[5]] = butterfly(lanes, z[1], z[5], third);
            [z[3], z[7]] = butterfly_minus_i(lanes, z[3], z[7], third);
        }
    }
}

/// Level `t` and position `q` of twiddle `2^t / 2 + q` in [`split`] and [`join`].
#[inline(always)]
pub(super) fn level_of(index: usize) -> (u32, usize) {
    if index == 0 { (0, 0) } else { (index.ilog2() + 1, index - (1 << index.ilog2())) }
}

/// Both parts of `L` vectors transposed.
#[inline(always)]
pub(super) fn transpose<S: Lanes<L>, const L: usize>(lanes: S, z: &mut [[S::Vector; 2]; L]) {
    let re = lanes.transpose(z.map(|[re, _]| re));
    let im = lanes.transpose(z.map(|[_, im]| im));
    for ((z, re), im) in z.iter_mut().zip(re).zip(im) {
        *z = [re, im];
    }
}
