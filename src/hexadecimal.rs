//! Bytes as lower-case hexadecimal digits.

/// Two digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `N` bytes, from exactly `2N` lower-case digits.
pub(crate) fn decode<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let lower = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    if digits.len() != 2 * N || !digits.as_bytes().iter().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_digits() {
        assert_eq!(encode(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(decode("001fff"), Some([0, 0x1f, 0xff]));
        for wrong in ["", "001ff", "001fff0", "001fFf", "0 1fff", "+01fff", "\u{e9}\u{e9}ff"] {
            assert_eq!(decode::<3>(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn digits_round_trip(bytes: [u8; 16]) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
