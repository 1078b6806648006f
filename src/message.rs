//! What passes between client and server, beside the evaluation keys: encrypted inputs, encrypted
//! outputs, and traces of the values in between.

use crate::compile::{LinearMap, Program};
use bellerophon_bridge as bridge;
use bellerophon_schemes::rlwe::{Coeffs, PackedCiphertext, SeededCiphertext};
use bellerophon_schemes::wire::{Conformant, Wire};
use serde::{Deserialize, Serialize};

/// What a message is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a, L = LinearMap> {
    /// The parameters of the keys.
    pub parameters: &'a bridge::Parameters,
    /// The program that the message belongs to.
    pub program: &'a Program<L>,
}

/// An image, encrypted and laid out for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncryptedInput {
    pub(crate) ciphertexts: Vec<SeededCiphertext<Coeffs>>,
}

/// An image, encrypted with a public key and laid out for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublicInput {
    pub(crate) ciphertexts: Vec<PackedCiphertext<Coeffs>>,
}

/// The outputs of a program, encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncryptedOutput {
    pub(crate) ciphertexts: Vec<PackedCiphertext<Coeffs>>,
}

/// The ciphertexts that each step of a program made, for those who hold the key to measure noise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// `(index of the step, its ciphertexts)`, for each step that makes ciphertexts of the ring.
    pub(crate) steps: Vec<(usize, Vec<PackedCiphertext<Coeffs>>)>,
}

/// The largest input or output message accepted, in bytes.
pub const MESSAGE_LIMIT: u64 = 16 << 20;
/// The largest trace accepted, in bytes.
pub const TRACE_LIMIT: u64 = 256 << 20;
/// The largest set of keys for polynomials in slots accepted, in bytes.
pub const SLOT_KEY_LIMIT: u64 = 4 << 30;
/// The largest set of evaluation keys accepted, in bytes.
pub const KEY_LIMIT: u64 = 512 << 20;

impl Wire for EncryptedInput {
    const KIND: u16 = 5;
    const NAME: &'static str = "encrypted input";
}

impl Wire for PublicInput {
    const KIND: u16 = 54;
    const NAME: &'static str = "input encrypted with a public key";
}

impl Wire for EncryptedOutput {
    const KIND: u16 = 6;
    const NAME: &'static str = "encrypted output";
}

impl Wire for Trace {
    const KIND: u16 = 7;
    const NAME: &'static str = "trace";
}

fn check_count(found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found} ciphertexts where the program has {expected}"))
}

impl<L> Conformant<Context<'_, L>> for EncryptedInput {
    fn conforms(&self, context: &Context<'_, L>) -> Result<(), String> {
        check_count(self.ciphertexts.len(), context.program.input_ciphertexts())?;
        self.ciphertexts.iter().try_for_each(|c| c.conforms(context.parameters.rlwe()))
    }
}

impl<L> Conformant<Context<'_, L>> for PublicInput {
    fn conforms(&self, context: &Context<'_, L>) -> Result<(), String> {
        check_count(self.ciphertexts.len(), context.program.input_ciphertexts())?;
        self.ciphertexts.iter().try_for_each(|c| c.conforms(context.parameters.rlwe()))
    }
}

impl<L> Conformant<Context<'_, L>> for EncryptedOutput {
    fn conforms(&self, context: &Context<'_, L>) -> Result<(), String> {
        let expected = crate::compile::program::ciphertexts(&context.program.output);
        check_count(self.ciphertexts.len(), expected)?;
        self.ciphertexts.iter().try_for_each(|c| c.conforms(context.parameters.rlwe()))
    }
}

impl<L> Conformant<Context<'_, L>> for Trace {
    fn conforms(&self, context: &Context<'_, L>) -> Result<(), String> {
        if let Some((step, _)) =
            self.steps.iter().find(|(step, _)| *step >= context.program.steps.len())
        {
            return Err(format!("step {step} does not exist"));
        }
        let mut all = self.steps.iter().flat_map(|(_, ciphertexts)| ciphertexts);
        all.try_for_each(|c| c.conforms(context.parameters.rlwe()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny::{WORLD, World};
    use bellerophon_schemes::wire::{WireError, from_bytes, to_bytes};

    fn context(world: &World) -> Context<'_> {
        Context { parameters: &world.parameters, program: &world.program }
    }

    fn input() -> EncryptedInput {
        from_bytes(&WORLD.encrypted_image(1), MESSAGE_LIMIT, &context(&WORLD)).unwrap()
    }

    fn packed() -> PackedCiphertext<Coeffs> {
        let fresh = input().ciphertexts[0].expand(WORLD.parameters.rlwe()).unwrap();
        PackedCiphertext::from(&fresh)
    }

    fn refused<'a, T: Wire + Conformant<Context<'a>>>(message: &T) -> String {
        let bytes = to_bytes(message).unwrap();
        match from_bytes::<T, _>(&bytes, MESSAGE_LIMIT, &context(&WORLD)).map(drop) {
            Err(error @ WireError::NotConformant { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn read_back<'a, T>(message: &T)
    where
        T: Wire + Conformant<Context<'a>> + PartialEq + std::fmt::Debug,
    {
        let bytes = to_bytes(message).unwrap();
        assert_eq!(&from_bytes::<T, _>(&bytes, MESSAGE_LIMIT, &context(&WORLD)).unwrap(), message);
    }

    #[test]
    fn messages_come_back_as_they_were() {
        read_back(&input());
        read_back(&EncryptedOutput { ciphertexts: vec![packed()] });
        read_back(&Trace { steps: vec![(0, vec![packed(), packed()]), (3, vec![])] });
        read_back(&Trace::default());
    }

    #[test]
    fn another_number_of_ciphertexts_is_refused() {
        let one = input().ciphertexts;
        for ciphertexts in [vec![], [one.clone(), one].concat()] {
            let found = ciphertexts.len();
            assert_eq!(
                refused(&EncryptedInput { ciphertexts }),
                format!(
                    "the encrypted input does not fit the parameters: {found} ciphertexts where \
                     the program has 1"
                )
            );
        }
        for ciphertexts in [vec![], vec![packed(); 2]] {
            assert!(refused(&EncryptedOutput { ciphertexts }).contains("where the program has 1"));
        }
    }

    #[test]
    fn traces_of_steps_that_do_not_exist_are_refused() {
        let steps = WORLD.program.steps.len();
        let trace = Trace { steps: vec![(0, vec![]), (steps, vec![packed()])] };
        assert!(refused(&trace).ends_with(&format!("step {steps} does not exist")));
    }

    #[test]
    fn a_body_of_another_form_is_refused() {
        #[derive(Serialize, Deserialize)]
        struct Impostor(u64);
        impl Wire for Impostor {
            const KIND: u16 = EncryptedInput::KIND;
            const NAME: &'static str = "impostor";
        }
        let bytes = to_bytes(&Impostor(u64::MAX)).unwrap(); // claims 2^64 - 1 ciphertexts
        let error = from_bytes::<EncryptedInput, _>(&bytes, MESSAGE_LIMIT, &context(&WORLD));
        assert!(matches!(error, Err(WireError::Malformed { .. })), "{error:?}");
    }

    #[test]
    fn kinds_are_all_different() {
        use bellerophon_bridge::SeededEvaluationKeys;
        let mut kinds = vec![
            EncryptedInput::KIND,
            EncryptedOutput::KIND,
            Trace::KIND,
            Program::KIND,
            SeededEvaluationKeys::KIND,
            SeededCiphertext::<Coeffs>::KIND,
            PackedCiphertext::<Coeffs>::KIND,
        ];
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 7);
    }
}
