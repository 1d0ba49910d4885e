//! A value, an array and a list that a manager keeps, changed by a child. Prints `3.14`, `[5, 1, 2, 3, 4, 5, 6, 7, 8, 9]` and
//! `["Hello"]`.

#![expect(clippy::approx_constant, reason = "any number would do")]

use crossproc::managed::{Array, List, Value};
use crossproc::{Manager, Process, Result};

fn change(number: Value<f64>, array: Array<i32>, list: List<String>) -> Result<()> {
    number.set(3.14)?;
    array.set(0, 5)?;
    list.push("Hello")
}

/// A manager of this machine, or one at the server that `--engine` names: `redis://localhost`, say.
fn manager() -> Result<Manager> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--engine");
    match arguments.nth(1) {
        Some(address) => Manager::connect(&address),
        None => Manager::start(),
    }
}

fn main() -> Result<()> {
    crossproc::init();
    let manager = manager()?;
    let (number, array, list) = (manager.value(0.0)?, manager.array(0..10)?, manager.list([])?);
    Process::spawn(change, (&number, &array, &list))?.join()??;
    println!("{}", number.get()?);
    println!("{:?}", array.to_vec()?);
    println!("{:?}", list.to_vec()?);
    Ok(())
}
