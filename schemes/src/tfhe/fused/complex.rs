//! Complex numbers in two arrays, and the alignment of everything that vectors are loaded from.

use super::lanes::{Lanes, check_access};
use aligned_vec::{AVec, ConstAlign, avec};
use std::f64::consts::PI;

/// Numbers aligned for the widest vectors.
pub(super) type Aligned = AVec<f64, ConstAlign<64>>;

pub(super) fn zeros(count: usize) -> Aligned {
    avec![[64]| 0.0; count]
}

/// Complex numbers, real and imaginary parts apart.
#[derive(Clone)]
pub(super) struct Complex {
    pub(super) re: Aligned,
    pub(super) im: Aligned,
}

impl Complex {
    pub(super) fn zeros(count: usize) -> Self {
        Self { re: zeros(count), im: zeros(count) }
    }

    /// `e^(i pi angle)` for each angle.
    pub(super) fn unit(angles: impl Iterator<Item = f64>) -> Self {
        let (mut re, mut im) = (AVec::new(64), AVec::new(64));
        for angle in angles {
            let [cos, sin] = unit(angle);
            re.push(cos);
            im.push(sin);
        }
        Self { re, im }
    }

    /// # Safety
    /// `start + L` is at most the length.
    #[inline(always)]
    pub(super) unsafe fn load<S: Lanes<L>, const L: usize>(
        &self,
        lanes: S,
        start: usize,
    ) -> [S::Vector; 2] {
        // SAFETY: both parts are as long
        unsafe { [lanes.load(&self.re, start), lanes.load(&self.im, start)] }
    }

    /// # Safety
    /// `index` is below the length.
    #[inline(always)]
    pub(super) unsafe fn splat<S: Lanes<L>, const L: usize>(
        &self,
        lanes: S,
        index: usize,
    ) -> [S::Vector; 2] {
        check_access(index, 1, self.re.len());
        // SAFETY: both parts are as long
        unsafe {
            [lanes.splat(*self.re.get_unchecked(index)), lanes.splat(*self.im.get_unchecked(index))]
        }
    }

    /// # Safety
    /// `start + L` is at most the length.
    #[inline(always)]
    pub(super) unsafe fn store<S: Lanes<L>, const L: usize>(
        &mut self,
        lanes: S,
        start: usize,
        z: [S::Vector; 2],
    ) {
        // SAFETY: both parts are as long
        unsafe {
            lanes.store(&mut self.re, start, z[0]);
            lanes.store(&mut self.im, start, z[1]);
        }
    }
}

/// `e^(i pi angle)`, from an angle of at most an eighth of a turn: a larger one would lose as much
/// in its product with pi as all roundings of a transform.
fn unit(angle: f64) -> [f64; 2] {
    let quarters = (2.0 * angle).round();
    let (sin, cos) = ((angle - quarters / 2.0) * PI).sin_cos();
    match quarters.rem_euclid(4.0) as u8 {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    }
}

/// `a b`
#[inline(always)]
pub(super) fn mul<S: Lanes<L>, const L: usize>(
    lanes: S,
    a: [S::Vector; 2],
    b: [S::Vector; 2],
) -> [S::Vector; 2] {
    [
        lanes.neg_mul_add(a[1], b[1], lanes.mul(a[0], b[0])),
        lanes.mul_add(a[1], b[0], lanes.mul(a[0], b[1])),
    ]
}

/// `a b + c`
#[inline(always)]
pub(super) fn mul_add<S: Lanes<L>, const L: usize>(
    lanes: S,
    a: [S::Vector; 2],
    b: [S::Vector; 2],
    c: [S::Vector; 2],
) -> [S::Vector; 2] {
    [
        lanes.neg_mul_add(a[1], b[1], lanes.mul_add(a[0], b[0], c[0])),
        lanes.mul_add(a[1], b[0], lanes.mul_add(a[0], b[1], c[1])),
    ]
}
