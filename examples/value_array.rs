//! A number and a row of numbers in shared memory, changed by a child: all of the row, then one element of another.
//! Prints `3.1415927`, `[0, -1, -2, -3, -4, -5, -6, -7, -8, -9]`, `3.14` and `[5, 1, 2, 3, 4, 5, 6, 7, 8, 9]`.

#![expect(clippy::approx_constant, reason = "any number would do")]

use crossproc::{Array, Process, Result, Value};

fn negate(number: Value<f64>, array: Array<i32>) -> Result<()> {
    number.set(3.1415927);
    for item in array.lock()?.iter_mut() {
        *item = -*item;
    }
    Ok(())
}

fn replace_first(number: Value<f64>, array: Array<i32>) -> Result<()> {
    number.set(3.14);
    array.set(0, 5)
}

fn main() -> Result<()> {
    crossproc::init();

    let number = Value::new(0.0)?;
    let array = Array::from_iter(0..10)?;
    Process::spawn(negate, (&number, &array))?.join()??;
    println!("{}", number.get());
    println!("{:?}", array.to_vec());

    let number = Value::new(0.0)?;
    let array = Array::from_iter(0..10)?;
    Process::spawn(replace_first, (&number, &array))?.join()??;
    println!("{}", number.get());
    println!("{:?}", array.to_vec());
    Ok(())
}
