//! The three backends against the plain network.

use super::*;
