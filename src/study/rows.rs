//! What is compared: one row for each way of evaluating activations and poolings.

use crate::compile::Preset;
use crate::polynomial::{Activation, Pooling};
use serde::{Deserialize, Serialize};

/// Degrees of the approximations that have one.
pub const DEGREES: [usize; 6] = [2, 3, 5, 7, 15, 27];
/// The degree of the approximation by its derivative.
const DERIVATIVE: usize = 7;
/// Bits of the composite sign in the place of ReLU, and in the place of a max-pool's comparisons.
const BITS: [u32; 2] = [7, 4];

/// What a row of the study is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// The network as it was trained, in f64.
    Plain,
    /// Exact activations and max-pools: CKKS and TFHE.
    Exact(Preset),
    /// Activations and max-pools replaced after training. With [`Pooling::Max`] max-pools stay exact:
    /// a hybrid program with polynomials in slots; all others run in CKKS alone.
    Replaced {
        /// In the place of activations.
        activation: Activation,
        /// In the place of max-pools.
        pooling: Pooling,
    },
    /// A network of its own that was trained with a polynomial, in CKKS alone.
    Trained {
        /// What is added to the name of the model's file.
        suffix: &'static str,
        /// What it was trained with.
        activation: Activation,
    },
    /// Convolutions on encrypted images with encrypted weights; all else in the clear at the client,
    /// which decrypts and encrypts again in between.
    ClientAided,
}

/// The groups that rows are shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The plain network.
    Plain,
    /// Exact activations.
    Exact,
    /// Replaced activations, exact max-pools.
    Mix,
    /// Replaced activations, approximate max-pools.
    CompositeSign,
    /// Replaced activations, means.
    Mean,
    /// Replaced activations, sums.
    Sum,
    /// Trained with polynomials.
    Trained,
    /// The first paper's setting.
    ClientAided,
}

impl Group {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Exact => "exact (hybrid)",
            Self::Mix => "replaced, exact max-pool (hybrid mix)",
            Self::CompositeSign => "replaced, max-pool by composite sign",
            Self::Mean => "replaced, mean-pool",
            Self::Sum => "replaced, sum-pool",
            Self::Trained => "trained with a polynomial",
            Self::ClientAided => "client-aided",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is.
    pub kind: Kind,
}

impl Row {
    /// A name that files and links can have.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.kind {
            Kind::Plain => "plain".to_owned(),
            Kind::Exact(preset) => format!("exact-{preset}"),
            Kind::Replaced { activation, pooling } => {
                format!("{activation}-{pooling}").replace(':', "-")
            }
            Kind::Trained { activation, .. } => format!("trained-{activation}"),
            Kind::ClientAided => "client-aided".to_owned(),
        }
    }

    /// In the place of activations, in words.
    #[must_use]
    pub fn activation(&self) -> String {
        match &self.kind {
            Kind::Plain => "plain network".to_owned(),
            Kind::ClientAided => "in the clear at the client".to_owned(),
            Kind::Exact(preset) => format!("exact, preset {preset}"),
            Kind::Replaced { activation, .. } => describe(*activation),
            Kind::Trained { activation, .. } => format!("{}, trained", describe(*activation)),
        }
    }

    /// In the place of max-pools, in words.
    #[must_use]
    pub fn pooling(&self) -> String {
        match &self.kind {
            Kind::Plain | Kind::ClientAided => "in the clear".to_owned(),
            Kind::Exact(_) | Kind::Replaced { pooling: Pooling::Max, .. } => "exact".to_owned(),
            Kind::Replaced { pooling: Pooling::Minimax(bits), .. } => {
                format!("composite sign, {bits} bits")
            }
            Kind::Replaced { pooling, .. } => pooling.to_string(),
            Kind::Trained { .. } => "mean, trained".to_owned(),
        }
    }

    /// Both in words.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.kind {
            Kind::Plain => "plain network".to_owned(),
            Kind::ClientAided => "convolutions encrypted, client-aided".to_owned(),
            Kind::Exact(_) => self.activation(),
            _ => format!("{}; max-pool: {}", self.activation(), self.pooling()),
        }
    }

    /// Where it is shown.
    #[must_use]
    pub fn group(&self) -> Group {
        match &self.kind {
            Kind::Plain => Group::Plain,
            Kind::Exact(_) => Group::Exact,
            Kind::Trained { .. } => Group::Trained,
            Kind::ClientAided => Group::ClientAided,
            Kind::Replaced { pooling, .. } => match pooling {
                Pooling::Max => Group::Mix,
                Pooling::Minimax(_) => Group::CompositeSign,
                Pooling::Mean => Group::Mean,
                Pooling::Sum => Group::Sum,
            },
        }
    }

    /// The polynomial's family and degree, where it has one.
    #[must_use]
    pub fn degree(&self) -> Option<(&'static str, usize)> {
        let Kind::Replaced { activation, .. } = &self.kind else { return None };
        match *activation {
            Activation::Taylor(degree) => Some(("Taylor", degree)),
            Activation::LeastSquares(degree) => Some(("least squares", degree)),
            Activation::Chebyshev(degree) => Some(("Chebyshev", degree)),
            _ => None,
        }
    }
}

fn describe(activation: Activation) -> String {
    match activation {
        Activation::Square => "x^2".to_owned(),
        Activation::Square2x => "x^2 + 2x".to_owned(),
        Activation::LeastSquares(degree) => format!("least squares, degree {degree}"),
        Activation::Chebyshev(degree) => format!("Chebyshev, degree {degree}"),
        Activation::Taylor(degree) => format!("Taylor, degree {degree}"),
        Activation::Derivative(degree) => format!("derivative integrated, degree {degree}"),
        Activation::Minimax(bits) => format!("composite minimax, {bits} bits"),
        Activation::Trained => "as trained".to_owned(),
    }
}

/// What takes the place of activations after training.
fn methods() -> Vec<Activation> {
    let families = [Activation::Taylor, Activation::LeastSquares, Activation::Chebyshev];
    let fitted = families.into_iter().flat_map(|of| DEGREES.map(of));
    let fixed = [Activation::Square, Activation::Square2x].into_iter();
    let last = [Activation::Derivative(DERIVATIVE), Activation::Minimax(BITS[0])];
    fixed.chain(fitted).chain(last).collect()
}

/// All rows, in the order they are shown in.
#[must_use]
pub fn rows() -> Vec<Row> {
    let poolings = [Pooling::Max, Pooling::Minimax(BITS[1]), Pooling::Mean, Pooling::Sum];
    let replaced = poolings.into_iter().flat_map(|pooling| {
        methods().into_iter().map(move |activation| Kind::Replaced { activation, pooling })
    });
    let trained = [("_square", Activation::Square), ("_square2x", Activation::Square2x)];
    let trained = trained.map(|(suffix, activation)| Kind::Trained { suffix, activation });
    let kinds = std::iter::once(Kind::Plain)
        .chain(Preset::ALL.map(Kind::Exact))
        .chain(replaced)
        .chain(trained)
        .chain(std::iter::once(Kind::ClientAided));
    kinds.map(|kind| Row { kind }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_have_names_of_their_own() {
        let rows = rows();
        let ids: BTreeSet<String> = rows.iter().map(Row::id).collect();
        let names: BTreeSet<String> = rows.iter().map(Row::name).collect();
        assert_eq!((ids.len(), names.len(), rows.len()), (95, 95, 95));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(ids.iter().all(|id| id.chars().all(plain)), "{ids:?}");
        for group in [Group::Mix, Group::CompositeSign, Group::Mean, Group::Sum] {
            assert_eq!(rows.iter().filter(|row| row.group() == group).count(), 22, "{group:?}");
        }
    }
}
