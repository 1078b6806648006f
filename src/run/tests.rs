//! The three backends against the plain network, and programs that do not fit together.

mod agreement;
mod networks;
mod noise;
mod predictions;
mod refusals;
mod statistics;

use super::*;
use crate::compile::{
    Function, LinearMap, Operation, Place, Placement, Program, Register, Step, Table,
};
use crate::model::{Graph, Operator, Shape};
use crate::tiny;

fn place(coefficient: usize) -> Place {
    Place { ciphertext: 0, coefficient }
}
