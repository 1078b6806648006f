//! The three backends against the plain network, and programs that do not fit together.

mod agreement;
mod noise;
mod refusals;

use super::*;
use crate::compile::{
    Function, LinearMap, Operation, Place, Program, Register, Step, Table, compile, simplify,
};
use crate::model::{Graph, Operator, Shape};
use crate::tiny;

fn place(coefficient: usize) -> Place {
    Place { ciphertext: 0, coefficient }
}
