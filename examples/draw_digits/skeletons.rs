//! The ways to write each digit: pen strokes as nodes.

/// A point of a skeleton in hundredths of the digit's height, y downwards.
#[derive(Clone, Copy)]
pub struct Node {
    pub x: i8,
    pub y: i8,
    /// The pen changes direction here instead of sweeping through.
    pub corner: bool,
}

/// A node the pen sweeps through.
const fn p(x: i8, y: i8) -> Node {
    Node { x, y, corner: false }
}

/// A node where the pen turns sharply.
const fn c(x: i8, y: i8) -> Node {
    Node { x, y, corner: true }
}

/// One way to write a digit: how often it is met, and its pen strokes.
pub struct Skeleton {
    pub weight: u32,
    pub strokes: &'static [&'static [Node]],
}

const fn way(weight: u32, strokes: &'static [&'static [Node]]) -> Skeleton {
    Skeleton { weight, strokes }
}

/// The ways to write each digit, indexed by digit.
pub const WAYS: [&[Skeleton]; 10] = [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE];

#[rustfmt::skip]
const ZERO: &[Skeleton] = &[
    way(3, &[&[p(38, 1), p(12, 22), p(3, 55), p(13, 88), p(34, 99), p(57, 82), p(65, 48), p(56, 14), p(35, 2)]]),
    way(3, &[&[p(50, 8), p(28, 4), p(8, 36), p(7, 76), p(28, 99), p(54, 78), p(62, 38), p(50, 8), p(34, 4)]]),
    way(2, &[&[p(26, 6), p(5, 40), p(8, 82), p(36, 99), p(66, 76), p(68, 32), p(44, 4), p(24, 7)]]),
    way(1, &[&[p(24, 16), p(48, 3), p(66, 36), p(58, 80), p(32, 99), p(7, 78), p(5, 36), p(30, 4), p(44, 6)]]),
];

#[rustfmt::skip]
const ONE: &[Skeleton] = &[
    way(4, &[&[p(11, 0), p(9, 50), p(8, 100)]]),
    way(2, &[&[p(10, 0), p(12, 35), p(9, 70), p(10, 100)]]),
    way(2, &[&[p(5, 18), p(14, 10), c(23, 0), p(22, 50), p(21, 100)]]),
    way(1, &[&[p(8, 20), p(19, 11), c(30, 0), p(29, 50), p(28, 97)], &[p(4, 98), p(28, 97), p(54, 98)]]),
];

#[rustfmt::skip]
const TWO: &[Skeleton] = &[
    way(3, &[&[p(4, 25), p(15, 6), p(38, 1), p(56, 20), p(47, 46), p(24, 74), c(2, 97), p(34, 95), p(68, 96)]]),
    way(3, &[&[p(6, 22), p(24, 3), p(49, 6), p(57, 29), p(42, 61), p(18, 90), p(3, 93), p(7, 78), p(26, 80), p(46, 93), p(70, 92)]]),
    way(2, &[&[p(5, 18), p(26, 2), p(52, 9), p(54, 34), p(31, 66), c(3, 96), p(20, 88), p(42, 92), p(68, 99)]]),
    way(1, &[&[p(10, 30), p(8, 12), p(30, 1), p(54, 12), p(50, 42), p(28, 72), c(6, 98), p(36, 98), p(64, 92)]]),
];

#[rustfmt::skip]
const THREE: &[Skeleton] = &[
    way(3, &[&[p(5, 13), p(28, 1), p(53, 12), p(49, 34), c(23, 46), p(52, 55), p(61, 78), p(36, 99), p(2, 90)]]),
    way(2, &[&[p(8, 13), p(34, 0), p(56, 17), p(42, 42), p(23, 49), p(27, 43), p(53, 55), p(61, 78), p(37, 99), p(4, 90)]]),
    way(1, &[&[p(6, 4), p(30, 4), c(56, 3), p(42, 20), c(25, 40), p(52, 48), p(61, 74), p(36, 98), p(2, 89)]]),
    way(2, &[&[p(10, 8), p(36, 2), p(52, 18), p(40, 40), p(30, 48), p(48, 60), p(54, 82), p(30, 99), p(4, 95)]]),
];

#[rustfmt::skip]
const FOUR: &[Skeleton] = &[
    way(3, &[&[p(12, 2), p(8, 30), c(3, 54), p(30, 54), p(66, 50)], &[p(52, 6), p(49, 50), p(46, 100)]]),
    way(2, &[&[p(46, 0), p(24, 32), c(0, 64), p(34, 63), p(70, 62)], &[p(48, 1), p(47, 50), p(45, 100)]]),
    way(3, &[&[p(9, 4), p(4, 34), p(14, 54), p(38, 53), p(58, 36)], &[p(62, 0), p(58, 44), p(53, 100)]]),
    way(2, &[&[p(7, 3), p(4, 34), p(22, 51), p(50, 42), c(62, 5), p(57, 50), p(52, 100)]]),
];

#[rustfmt::skip]
const FIVE: &[Skeleton] = &[
    way(3, &[&[p(15, 5), p(12, 24), c(10, 42), p(34, 37), p(57, 56), p(52, 85), p(28, 100), p(1, 91)], &[p(14, 5), p(38, 4), p(66, 0)]]),
    way(2, &[&[p(62, 3), p(40, 4), c(17, 6), p(14, 24), c(9, 44), p(36, 38), p(58, 60), p(47, 90), p(22, 100), p(0, 89)]]),
    way(2, &[&[p(62, 2), p(36, 4), p(17, 14), p(16, 36), p(38, 48), p(54, 67), p(44, 92), p(20, 99), p(1, 88)]]),
];

#[rustfmt::skip]
const SIX: &[Skeleton] = &[
    way(3, &[&[p(46, 0), p(23, 20), p(6, 52), p(9, 84), p(30, 100), p(52, 84), p(46, 62), p(26, 58), p(9, 76)]]),
    way(2, &[&[p(34, 0), p(17, 32), p(4, 70), p(15, 96), p(38, 98), p(50, 78), p(35, 61), p(13, 72)]]),
    way(2, &[&[p(56, 3), p(31, 8), p(9, 40), p(5, 74), p(24, 99), p(54, 90), p(59, 67), p(39, 53), p(15, 64), p(7, 78)]]),
];

#[rustfmt::skip]
const SEVEN: &[Skeleton] = &[
    way(4, &[&[p(2, 8), p(30, 6), c(60, 4), p(44, 42), p(28, 100)]]),
    way(2, &[&[p(1, 7), p(30, 7), c(61, 3), p(46, 42), p(28, 100)], &[p(20, 52), p(38, 50), p(59, 47)]]),
    way(2, &[&[p(3, 22), c(5, 6), p(34, 8), c(62, 4), p(42, 44), p(32, 100)]]),
    way(1, &[&[p(0, 14), p(20, 5), p(48, 4), p(57, 15), p(43, 48), p(34, 100)]]),
];

#[rustfmt::skip]
const EIGHT: &[Skeleton] = &[
    way(3, &[&[p(53, 13), p(31, 1), p(9, 16), p(21, 40), p(46, 60), p(54, 84), p(29, 100), p(4, 85), p(14, 61), p(42, 38), p(54, 14)]]),
    way(2, &[&[p(34, 2), p(11, 14), p(18, 38), p(46, 60), p(49, 91), p(21, 99), p(6, 80), p(28, 52), p(52, 24), p(36, 2)]]),
    way(1, &[&[p(31, 46), p(10, 25), p(30, 1), p(52, 21), p(32, 47), p(4, 74), p(29, 100), p(57, 78), p(33, 47)]]),
];

#[rustfmt::skip]
const NINE: &[Skeleton] = &[
    way(3, &[&[p(54, 14), p(32, 1), p(7, 18), p(9, 42), p(31, 48), p(50, 31), c(56, 9), p(53, 50), p(49, 100)]]),
    way(2, &[&[p(52, 12), p(30, 1), p(7, 20), p(12, 44), p(36, 43), c(55, 12), p(56, 52), p(44, 91), p(9, 94)]]),
    way(3, &[&[p(50, 18), p(35, 2), p(10, 13), p(7, 37), p(32, 43), p(52, 17), p(50, 46), p(38, 100)]]),
];
