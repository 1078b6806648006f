//! `diff`: the lines in which the printed forms of two programs differ.

use super::forecast::Parameters;
use super::{Failure, files, show};
use clap::Args;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// The most pairs of lines that are compared; beyond, all lines count as changed.
const MOST_PAIRS: usize = 1 << 24;

/// Compares two programs line by line; exit code 1 where they differ
#[derive(Debug, Args)]
pub struct Arguments {
    /// One program file
    #[arg(value_name = "A")]
    left: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    right: PathBuf,
}

/// How two programs differ.
#[derive(Debug, Serialize)]
pub struct Difference {
    pub same: bool,
    /// Lines with `-` (in the first only) or `+` (in the second only), in order.
    pub lines: Vec<String>,
}

/// Reads both and compares.
pub fn run(arguments: &Arguments) -> Result<Difference, Failure> {
    let read = |path: &Path| {
        let (program, parameters) = files::program(path)?;
        show::lines(&program, &Parameters::new(&parameters))
    };
    let lines = changes(&read(&arguments.left)?, &read(&arguments.right)?);
    Ok(Difference { same: lines.is_empty(), lines })
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.same {
            true => writeln!(f, "the programs are the same"),
            false => self.lines.iter().try_for_each(|line| writeln!(f, "{line}")),
        }
    }
}

/// The lines that are not part of a longest common subsequence.
fn changes(left: &[String], right: &[String]) -> Vec<String> {
    let head = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[head..], &right[head..]);
    let tail = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[..left.len() - tail], &right[..right.len() - tail]);
    let removed = |line: &String| format!("- {line}");
    let added = |line: &String| format!("+ {line}");
    if left.len().saturating_mul(right.len()) > MOST_PAIRS {
        return left.iter().map(removed).chain(right.iter().map(added)).collect();
    }
    let common = common(left, right);
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < left.len() || j < right.len() {
        match (left.get(i), right.get(j)) {
            (Some(a), Some(b)) if a == b => (i, j) = (i + 1, j + 1),
            (Some(a), b) if b.is_none() || common[i + 1][j] >= common[i][j + 1] => {
                lines.push(removed(a));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push(added(b));
                j += 1;
            }
            (_, None) => break,
        }
    }
    lines
}

/// The length of a longest common subsequence of what follows each pair of positions.
fn common(left: &[String], right: &[String]) -> Vec<Vec<u32>> {
    let mut lengths = vec![vec![0u32; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i][j] = match left[i] == right[j] {
                true => lengths[i + 1][j + 1] + 1,
                false => lengths[i + 1][j].max(lengths[i][j + 1]),
            };
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn only_what_changed_is_listed() {
        assert_eq!(changes(&lines("abcde"), &lines("abcde")), [""; 0]);
        assert_eq!(changes(&lines("abcde"), &lines("abxde")), ["- c", "+ x"]);
        assert_eq!(changes(&lines("abc"), &lines("axbc")), ["+ x"]);
        assert_eq!(changes(&lines("abc"), &lines("")), ["- a", "- b", "- c"]);
    }

    proptest! {
        /// Removing and adding the lines that are listed turns the first into the second.
        #[test]
        fn changes_lead_from_one_to_the_other(left in "[abc]{0,12}", right in "[abc]{0,12}") {
            let (left, right) = (lines(&left), lines(&right));
            let changes = changes(&left, &right);
            let with = |sign: char| {
                let changed = changes.iter().filter(|line| line.starts_with(sign));
                let mut letters: Vec<char> = changed.filter_map(|line| line.chars().nth(2)).collect();
                letters.sort_unstable();
                letters
            };
            let count = |of: &[String], c: char| of.iter().filter(|line| line.starts_with(c)).count();
            for c in ['a', 'b', 'c'] {
                let (removed, added) = (
                    with('-').iter().filter(|&&d| d == c).count(),
                    with('+').iter().filter(|&&d| d == c).count(),
                );
                prop_assert_eq!(count(&left, c) + added, count(&right, c) + removed);
            }
            prop_assert_eq!(changes.is_empty(), left == right);
        }
    }
}
