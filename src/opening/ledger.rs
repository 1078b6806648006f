//! What was opened and refused under one key.

use super::Budget;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What was opened and refused under one key since its owner last unlocked it. Whoever keeps a secret
/// keeps its ledger beside it and counts *before* anything is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Results of which values or classes were shown.
    pub openings: u64,
    /// Results that were refused for what they decrypt to.
    pub refusals: u64,
}

/// The key opens nothing until its owner says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this key is locked after {} openings and {} refusals (its budget is {} and {}): look for who sends results that \
     are none, then unlock it, or replace it by a new one",
    .ledger.openings, .ledger.refusals, .budget.openings, .budget.refusals
)]
pub struct Locked {
    /// What was counted.
    pub ledger: Ledger,
    /// What is allowed.
    pub budget: Budget,
}

impl Ledger {
    /// # Errors
    /// [`Locked`] where one more opening, or one more refusal, would be over the budget.
    pub fn admit(&self, budget: Budget) -> Result<(), Locked> {
        match self.openings < budget.openings && self.refusals < budget.refusals {
            true => Ok(()),
            false => Err(Locked { ledger: *self, budget }),
        }
    }

    /// With one more opening.
    #[must_use]
    pub fn opened(self) -> Self {
        Self { openings: self.openings.saturating_add(1), ..self }
    }

    /// With one more refusal.
    #[must_use]
    pub fn refused(self) -> Self {
        Self { refusals: self.refusals.saturating_add(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_locked_at_their_budget() {
        let budget = Budget { openings: 2, refusals: 1 };
        let none = Ledger::default();
        assert_eq!(none.admit(budget), Ok(()));
        assert_eq!(none.opened().admit(budget), Ok(()));
        let spent = none.opened().opened();
        assert_eq!(spent.admit(budget), Err(Locked { ledger: spent, budget }));
        assert!(none.refused().admit(budget).is_err());
        let text = spent.admit(budget).unwrap_err().to_string();
        assert!(text.contains("2 openings and 0 refusals (its budget is 2 and 1)"), "{text}");
    }
}
