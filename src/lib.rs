pub mod compile;
pub mod data;
pub mod model;
