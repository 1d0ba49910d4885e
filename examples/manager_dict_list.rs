//! Processes that change a dictionary and a list: four of them set `dict[i] = i` and append `i`. Prints the entries, of 0 to 3
//! in any order, and the list: 0 to 9, and then 0 to 3 in any order. Then ten write their process ids into new ones; prints
//! `10 keys, 15 items`.

use std::process;

use crossproc::managed::{Dict, List};
use crossproc::{Manager, Process, Result};

fn write(dict: Dict<u32, u32>, list: List<u32>, number: u32) -> Result<()> {
    dict.insert(number, number)?;
    list.push(number)
}

fn write_id(dict: Dict<u32, u32>, list: List<u32>) -> Result<()> {
    write(dict, list, process::id())
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

    let (dict, list) = (manager.dict()?, manager.list(0..10)?);
    let writers: Vec<_> = (0..4).map(|i| Process::spawn(write, (&dict, &list, i))).collect::<Result<_>>()?;
    for writer in writers {
        writer.join()??;
    }
    println!("{:?}", dict.items()?);
    println!("{:?}", list.to_vec()?);

    let (dict, list) = (manager.dict()?, manager.list(0..5)?);
    let writers: Vec<_> = (0..10).map(|_| Process::spawn(write_id, (&dict, &list))).collect::<Result<_>>()?;
    for writer in writers {
        writer.join()??;
    }
    println!("{} keys, {} items", dict.len()?, list.len()?);
    Ok(())
}
