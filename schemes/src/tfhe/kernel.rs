//! Which code runs the blind rotation.

use super::TfheError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A blind rotation. Both take the same keys, which the `tfhe` crate generates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kernel {
    /// The `tfhe` crate's batched blind rotation; one key bit a step only.
    Tfhe,
    /// Ours ([`super::fused`]), for a processor with these instructions.
    Fused(Instructions),
}

/// Instructions that the fused kernel is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Instructions {
    /// No vectors; any processor.
    Scalar,
    /// AVX2 and FMA: four numbers at a time.
    Avx2,
    /// AVX-512 F, BW, CD, DQ and VL: eight numbers at a time.
    Avx512,
}

impl Instructions {
    /// All, slowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// The widest that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().rfind(|instructions| instructions.available()).unwrap_or(Self::Scalar)
    }

    /// Whether this processor has them.
    #[must_use]
    pub fn available(self) -> bool {
        super::fused::available(self)
    }
}

impl Kernel {
    /// The fastest kernel on this processor for keys with `grouping_factor` key bits a step: the fused
    /// one where there are vector instructions for it or where only it can run the key, else the
    /// crate's.
    #[must_use]
    pub fn best(grouping_factor: usize) -> Self {
        match Instructions::best() {
            Instructions::Scalar if grouping_factor == 1 => Self::Tfhe,
            instructions => Self::Fused(instructions),
        }
    }

    /// # Errors
    /// [`TfheError::Kernel`] where the processor lacks the instructions or the kernel cannot take
    /// `grouping_factor` key bits a step.
    pub fn check(self, grouping_factor: usize) -> Result<(), TfheError> {
        let refuse = |reason| Err(TfheError::Kernel { kernel: self, reason });
        match self {
            Self::Tfhe if grouping_factor > 1 => {
                refuse("it takes one key bit a step; use keys of grouping factor 1")
            }
            Self::Fused(instructions) if !instructions.available() => {
                refuse("this processor lacks its instructions; use \"fused\" for the best it has")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tfhe => "tfhe",
            Self::Fused(Instructions::Scalar) => "fused-scalar",
            Self::Fused(Instructions::Avx2) => "fused-avx2",
            Self::Fused(Instructions::Avx512) => "fused-avx512",
        })
    }
}

impl FromStr for Kernel {
    type Err = String;

    /// A name as displayed, or `fused` for the widest instructions that this processor has.
    fn from_str(name: &str) -> Result<Self, String> {
        let fused = Instructions::ALL.map(Self::Fused);
        let mut named = fused.into_iter().chain([Self::Tfhe]);
        if let Some(kernel) = named.find(|kernel| kernel.to_string() == name) {
            return Ok(kernel);
        }
        if name == "fused" {
            return Ok(Self::Fused(Instructions::best()));
        }
        Err(format!(
            "\"{name}\" is no kernel: use tfhe, fused, fused-scalar, fused-avx2 or fused-avx512"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kernel in Instructions::ALL.map(Kernel::Fused).into_iter().chain([Kernel::Tfhe]) {
            assert_eq!(kernel.to_string().parse(), Ok(kernel));
        }
        let best: Kernel = "fused".parse().unwrap();
        assert!(matches!(best, Kernel::Fused(_)) && best.check(2).is_ok());
        assert!("gpu".parse::<Kernel>().unwrap_err().contains("use tfhe, fused"));
    }

    #[test]
    fn the_best_kernel_runs() {
        for grouping_factor in 1..=3 {
            assert_eq!(Kernel::best(grouping_factor).check(grouping_factor), Ok(()));
        }
        assert!(Instructions::Scalar.available());
    }

    #[test]
    fn kernels_that_cannot_run_are_refused() {
        assert!(matches!(
            Kernel::Tfhe.check(2),
            Err(TfheError::Kernel { kernel: Kernel::Tfhe, .. })
        ));
        for instructions in Instructions::ALL {
            let kernel = Kernel::Fused(instructions);
            assert_eq!(kernel.check(1).is_ok(), instructions.available());
        }
    }
}
