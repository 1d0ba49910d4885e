//! One function in a process of its own. Prints `aaa`, from the child.

use crossproc::Process;

fn job(_a: i32, _b: i32) {
    println!("aaa");
}

fn main() -> crossproc::Result<()> {
    crossproc::init();
    let process = Process::spawn(job, (1, 2))?;
    process.join()?;
    Ok(())
}
