//! It panics, and says why.

hostile::fetch!(|_, _| panic!("the moon is full"));
