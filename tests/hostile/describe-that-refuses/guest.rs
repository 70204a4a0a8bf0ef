//! It refuses to say what it is, at length and in colour.

hostile::describe!(|| Err(format!("\u{1b}[31m{}", "no ".repeat(10_000_000))));
