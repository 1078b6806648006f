//! What a backend can do: one method for each [`Operation`](crate::compile::Operation).

use crate::compile::{LinearMap, PhaseFunction, Place, Placement, Table};

/// What a register holds.
#[derive(Clone, Debug)]
pub enum Value<B: Backend + ?Sized> {
    /// Ciphertexts of the ring.
    Ring(Vec<B::Ring>),
    /// Samples that a table can read.
    Switched(B::Switched),
    /// Samples from a table.
    Samples(B::Samples),
}

/// An executor of single steps. Amplitudes are turns per unit of the result's values.
pub trait Backend {
    /// One ciphertext of the ring, values in coefficients.
    type Ring;
    /// A batch of samples that a table can read.
    type Switched;
    /// A batch of samples from a table.
    type Samples;
    /// A linear layer, with its learned parameters in the form that this backend runs on.
    type Linear;
    /// What can go wrong.
    type Error: std::error::Error;

    /// Polynomials with learned weights times ciphertexts of several registers.
    ///
    /// # Errors
    /// As the backend says; likewise below.
    fn linear(
        &self,
        map: &Self::Linear,
        inputs: &[&[Self::Ring]],
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, Self::Error>;

    /// Polynomials with known weights times ciphertexts of several registers.
    ///
    /// # Errors
    /// As the backend says.
    fn combine(
        &self,
        map: &LinearMap,
        inputs: &[&[Self::Ring]],
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, Self::Error>;

    /// Extracts coefficients for table key `key`.
    ///
    /// # Errors
    /// As the backend says.
    fn to_lwe(
        &self,
        inputs: &[Self::Ring],
        places: &[Place],
        key: usize,
    ) -> Result<Self::Switched, Self::Error>;

    /// Applies tables, each to so many samples in order.
    ///
    /// # Errors
    /// As the backend says.
    fn look_up(
        &self,
        inputs: &Self::Switched,
        tables: &[(usize, Table)],
        key: usize,
    ) -> Result<Self::Samples, Self::Error>;

    /// Packs samples into the coefficients of ciphertexts; the others become zero (`zeroed`) or
    /// junk.
    ///
    /// # Errors
    /// As the backend says.
    fn to_ckks(
        &self,
        inputs: &Self::Samples,
        placements: &[Placement],
        ciphertexts: usize,
        zeroed: bool,
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, Self::Error>;

    /// A polynomial of every coefficient, read at `amplitude`.
    ///
    /// # Errors
    /// As the backend says.
    fn slots(
        &self,
        inputs: &[Self::Ring],
        function: &PhaseFunction,
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, Self::Error>;

    /// Extracts coefficients as they are.
    ///
    /// # Errors
    /// As the backend says.
    fn extract(
        &self,
        inputs: &[Self::Ring],
        places: &[Place],
    ) -> Result<Self::Samples, Self::Error>;

    /// The sum, ciphertext by ciphertext, read at `amplitude`.
    ///
    /// # Errors
    /// As the backend says.
    fn add(
        &self,
        left: &[Self::Ring],
        right: &[Self::Ring],
        amplitude: f64,
    ) -> Result<Vec<Self::Ring>, Self::Error>;
}
