//! Where the values of a stage sit in the coefficients of ciphertexts.
//!
//! A negacyclic product is a convolution (the packing of Cheetah, USENIX Security 2022). A strided
//! convolution is one of stride 1 over the phases of its input: the phase `(p, q)` of a map holds
//! every `strides`-th row and column from row `p` and column `q` on. Values are packed from LWE
//! samples, so phases, zeros for padding, and rows that two tiles share cost nothing but their
//! packing, and every linear result has its rows one fixed distance apart: results of several
//! convolutions can be added.
//!
//! Vectors for dense layers are spread out with zeros between their elements, so that one product
//! computes as many rows as the zeros leave room for.

use super::affine::Term;
use super::program::{Place, Placement};
use std::ops::Range;

/// The grid of a linear result: every channel has its own ciphertext in each tile of rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    /// Channels, and so ciphertexts of a tile.
    pub channels: usize,
    /// Columns of a map.
    pub columns: usize,
    /// Rows of a map in each tile; they may overlap before pooling.
    pub tiles: Vec<Range<usize>>,
    /// Distance between rows, in coefficients.
    pub row: usize,
    /// Distance between columns, in coefficients.
    pub column: usize,
}

impl Grid {
    /// The coefficients of one ciphertext of a tile, row by row.
    pub fn coefficients(&self, tile: usize) -> Vec<usize> {
        let rows = self.tiles[tile].len();
        let row = |i: usize| (0..self.columns).map(move |j| i * self.row + j * self.column);
        (0..rows).flat_map(row).collect()
    }

    /// The places of all elements, channel by channel, row by row, each row from the last tile that
    /// has it; rows between windows may be in none.
    pub fn places(&self) -> Vec<Place> {
        let rows = self.rows();
        let place = |channel: usize, i: usize, tile: usize, j: usize| {
            let coefficient = (i - self.tiles[tile].start) * self.row + j * self.column;
            Place { ciphertext: tile * self.channels + channel, coefficient }
        };
        let elements = (0..self.channels).flat_map(|c| rows.iter().map(move |row| (c, row)));
        let place = |(c, &(i, tile)): (usize, &(usize, usize))| {
            (0..self.columns).map(move |j| place(c, i, tile, j))
        };
        elements.flat_map(place).collect()
    }

    /// Where the elements of [`Grid::places`] go, sorted by ciphertext: rows that tiles share go to
    /// each of them.
    pub fn placements(&self) -> Vec<Placement> {
        let rows = self.rows();
        let rank = |row: usize| rows.partition_point(|known| known.0 < row);
        let mut placements = Vec::new();
        for (tile, range) in self.tiles.iter().enumerate() {
            for channel in 0..self.channels {
                let ciphertext = tile * self.channels + channel;
                for (i, j) in range.clone().flat_map(|i| (0..self.columns).map(move |j| (i, j))) {
                    let element = (channel * rows.len() + rank(i)) * self.columns + j;
                    let coefficient = (i - range.start) * self.row + j * self.column;
                    placements
                        .push(Placement { element, place: Place { ciphertext, coefficient } });
                }
            }
        }
        placements
    }

    /// Every row that is in a tile, with the last such tile.
    fn rows(&self) -> Vec<(usize, usize)> {
        let rows = self.tiles.iter().map(|tile| tile.end).max().unwrap_or(0);
        let last = |row: usize| self.tiles.iter().rposition(|tile| tile.contains(&row));
        (0..rows).filter_map(|row| Some((row, last(row)?))).collect()
    }

    /// The grid behind a window along one axis (0: rows, 1: columns).
    pub fn pooled(&self, axis: usize, kernel: usize, stride: usize) -> Self {
        let count = |length: usize| length.saturating_sub(kernel) / stride + 1;
        let mut grid = self.clone();
        if axis == 0 {
            grid.row *= stride;
            for tile in &mut grid.tiles {
                let start = tile.start / stride;
                *tile = start..start + count(tile.len());
            }
        } else {
            grid.column *= stride;
            grid.columns = count(self.columns);
        }
        grid
    }
}

/// Along one axis: which rows (or columns) of the phases a convolution reads.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    stride: usize,
    /// For each tap, its phase and how many steps on from the output's own it reads.
    taps: Vec<(usize, isize)>,
    /// The length of the input.
    length: usize,
}

impl Axis {
    fn new(term: &Term, axis: usize) -> Self {
        let kernel = &term.kernel;
        let (stride, pad) = (kernel.strides[axis], kernel.pads[axis] as isize);
        let length = term.from[axis + 1];
        let (_, _, rows, columns) = kernel.weights.dim();
        let tap = |index: usize| {
            let offset = (index * kernel.dilations[axis]) as isize - pad;
            let stride = stride as isize;
            (offset.rem_euclid(stride) as usize, offset.div_euclid(stride))
        };
        Self { stride, taps: (0..[rows, columns][axis]).map(tap).collect(), length }
    }

    fn phases(&self) -> Vec<usize> {
        let mut phases: Vec<usize> = self.taps.iter().map(|tap| tap.0).collect();
        phases.sort_unstable();
        phases.dedup();
        phases
    }

    fn first(&self) -> isize {
        self.taps.iter().map(|tap| tap.1).min().unwrap_or(0)
    }

    fn last(&self) -> isize {
        self.taps.iter().map(|tap| tap.1).max().unwrap_or(0)
    }

    fn span(&self) -> usize {
        (self.last() - self.first()) as usize
    }

    /// Whether an output of `count` reads beyond the ends.
    fn leaves(&self, count: usize) -> bool {
        self.taps.iter().any(|&(phase, step)| {
            let last = (step + count as isize - 1) * self.stride as isize + phase as isize;
            step < 0 || last >= self.length as isize
        })
    }

    /// The row of the input that is row `step` of `phase`.
    fn source(&self, phase: usize, step: isize) -> Option<usize> {
        let at = step.checked_mul(self.stride as isize)? + phase as isize;
        usize::try_from(at).ok().filter(|&at| at < self.length)
    }
}

/// How a value is laid out for convolutions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Windows {
    axes: [Axis; 2],
    channels: usize,
    columns: usize,
    /// Distance between rows.
    row: usize,
    tiles: Vec<Range<usize>>,
    /// Whether all coefficients that hold no value must be zero.
    pub zeroed: bool,
}

/// The distance between rows that a convolution with so many output columns needs.
pub(super) fn row_distance(term: &Term, columns: usize) -> usize {
    columns + Axis::new(term, 1).span()
}

/// Coefficients of one channel's phase in a tile of so many rows.
pub(super) fn pitch(term: &Term, rows: usize, row: usize) -> usize {
    (rows + Axis::new(term, 0).span()) * row
}

impl Windows {
    /// For a convolution whose results have these rows and columns.
    pub fn new(
        term: &Term,
        [rows, columns]: [usize; 2],
        row: usize,
        tiles: &[Range<usize>],
    ) -> Self {
        let axes = [Axis::new(term, 0), Axis::new(term, 1)];
        let zeroed = axes[0].leaves(rows) || axes[1].leaves(columns);
        Self { channels: term.from[0], columns, row, tiles: tiles.to_vec(), zeroed, axes }
    }

    /// Whether a value laid out for `self` also serves `other`.
    pub fn serves(&self, other: &Self) -> bool {
        let axis = |(own, other): (&Axis, &Axis)| {
            let phases = own.phases();
            own.stride == other.stride
                && own.length == other.length
                && own.first() <= other.first()
                && own.last() >= other.last()
                && other.phases().iter().all(|phase| phases.contains(phase))
        };
        self.channels == other.channels
            && self.columns == other.columns
            && self.row == other.row
            && self.tiles == other.tiles
            && (self.zeroed || !other.zeroed)
            && self.axes.iter().zip(&other.axes).all(axis)
    }

    /// The distance between rows.
    pub fn row(&self) -> usize {
        self.row
    }

    fn tile_pitch(&self, tile: usize) -> usize {
        (self.tiles[tile].len() + self.axes[0].span()) * self.row
    }

    fn per_ciphertext(&self, tile: usize, dimension: usize) -> usize {
        (dimension / self.tile_pitch(tile)).max(1)
    }

    fn slots(&self) -> usize {
        self.channels * self.axes[0].phases().len() * self.axes[1].phases().len()
    }

    /// The number of ciphertexts of a tile.
    fn ciphertexts(&self, tile: usize, dimension: usize) -> usize {
        self.slots().div_ceil(self.per_ciphertext(tile, dimension))
    }

    /// The first ciphertext of a tile.
    fn first_ciphertext(&self, tile: usize, dimension: usize) -> usize {
        (0..tile).map(|tile| self.ciphertexts(tile, dimension)).sum()
    }

    /// The ciphertext and first coefficient of a channel's phase in a tile.
    fn base(&self, tile: usize, slot: usize, dimension: usize) -> Place {
        let per = self.per_ciphertext(tile, dimension);
        Place {
            ciphertext: self.first_ciphertext(tile, dimension) + slot / per,
            coefficient: slot % per * self.tile_pitch(tile),
        }
    }

    /// All elements with their places; an element can have several.
    pub fn placements(&self, dimension: usize) -> Vec<Placement> {
        let phases = [self.axes[0].phases(), self.axes[1].phases()];
        let mut placements = Vec::new();
        for tile in 0..self.tiles.len() {
            let mut slot = 0;
            for channel in 0..self.channels {
                for &p in &phases[0] {
                    for &q in &phases[1] {
                        let base = self.base(tile, slot, dimension);
                        self.place_phase([channel, p, q], tile, base, &mut placements);
                        slot += 1;
                    }
                }
            }
        }
        placements
    }

    fn place_phase(
        &self,
        [channel, p, q]: [usize; 3],
        tile: usize,
        base: Place,
        placements: &mut Vec<Placement>,
    ) {
        let [rows, columns] = &self.axes;
        let map = channel * rows.length * columns.length;
        for i in 0..self.tiles[tile].len() + rows.span() {
            let step = (self.tiles[tile].start + i) as isize + rows.first();
            let Some(row) = rows.source(p, step) else { continue };
            for j in 0..self.columns + columns.span() {
                let Some(column) = columns.source(q, j as isize + columns.first()) else {
                    continue;
                };
                let coefficient = base.coefficient + i * self.row + j;
                let place = Place { coefficient, ..base };
                placements.push(Placement { element: map + row * columns.length + column, place });
            }
        }
    }

    /// For each channel, row and column of the kernel of `term`: the ciphertext it reads in a tile,
    /// and the exponent that moves what it reads onto the output's coefficients.
    pub fn taps(
        &self,
        term: &Term,
        tile: usize,
        dimension: usize,
    ) -> impl Fn([usize; 3]) -> (usize, usize) + '_ {
        let [rows, columns] = [0, 1].map(|axis: usize| {
            let own = &self.axes[axis];
            let phases = own.phases();
            let tap = |&(phase, step): &(usize, isize)| {
                let position = phases.iter().position(|&known| known == phase).unwrap_or(0);
                (position, (step - own.first()) as usize)
            };
            Axis::new(term, axis).taps.iter().map(tap).collect::<Vec<_>>()
        });
        let phases = [self.axes[0].phases().len(), self.axes[1].phases().len()];
        move |[channel, a, b]| {
            let ((p, down), (q, right)) = (rows[a], columns[b]);
            let slot = (channel * phases[0] + p) * phases[1] + q;
            let base = self.base(tile, slot, dimension);
            let offset = base.coefficient + down * self.row + right;
            (base.ciphertext, (2 * dimension - offset) % (2 * dimension))
        }
    }
}

/// How a vector is laid out for dense layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Number of elements.
    pub length: usize,
    /// Elements in each ciphertext (the last may have fewer).
    pub each: usize,
    /// Distance between elements, a power of two.
    pub stride: usize,
}

impl Spread {
    /// As wide as the ring allows.
    pub fn new(length: usize, dimension: usize) -> Self {
        let each = length.div_ceil(length.div_ceil(dimension).max(1)).max(1);
        let stride = (dimension / each.next_power_of_two()).max(1);
        Self { length, each, stride }
    }

    /// The place of an element.
    pub fn place(&self, element: usize) -> Place {
        let coefficient = element % self.each * self.stride;
        Place { ciphertext: element / self.each, coefficient }
    }

    /// All elements with their places.
    pub fn placements(&self) -> Vec<Placement> {
        (0..self.length).map(|element| Placement { element, place: self.place(element) }).collect()
    }
}

/// Tiles of the rows of a linear result, so that every tile of every term fits a ciphertext: whole
/// windows of what is pooled by `extent` rows every `step` rows. `None` where not even one window
/// fits.
pub(super) fn tiles(
    terms: &[Term],
    rows: usize,
    row: usize,
    [extent, step]: [usize; 2],
    dimension: usize,
) -> Option<Vec<Range<usize>>> {
    let windows = rows.saturating_sub(extent) / step + 1;
    let length = |count: usize| (count - 1) * step + extent;
    let fits = |count: usize| terms.iter().all(|term| pitch(term, length(count), row) <= dimension);
    let count = (1..=windows).rev().find(|&count| fits(count))?;
    let parts = windows.div_ceil(count);
    let each = windows.div_ceil(parts);
    let tile = |first: usize| {
        let count = each.min(windows - first);
        // rows behind the last window are kept where nothing is pooled
        first * step..first * step + length(count)
    };
    Some((0..windows).step_by(each).map(tile).collect())
}
