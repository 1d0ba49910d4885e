//! Bytes and a list under names, found by a child that is given nothing else.
//! Prints `howdy from the child`, `["Tea", 3, 2.5, true]` and `["Coffee", 4, 2.5, None]`.

use crossproc::{Process, Result, ShareableItem, ShareableList, SharedMemory};

fn child(memory: String, list: String) -> Result<()> {
    SharedMemory::open(memory)?.write_at(0, b"howdy from the child")?;

    let list = ShareableList::open(list)?;
    list.set(0, "Coffee")?;
    list.update(1, |item| match item {
        ShareableItem::Int(cups) => ShareableItem::Int(cups + 1),
        other => other,
    })?;
    list.set(3, ShareableItem::None)
}

fn print(list: &ShareableList) -> Result<()> {
    let mut items = Vec::new();
    for item in list.iter() {
        items.push(match item? {
            ShareableItem::None => "None".to_string(),
            ShareableItem::Int(number) => number.to_string(),
            ShareableItem::Float(number) => number.to_string(),
            ShareableItem::Bool(truth) => truth.to_string(),
            ShareableItem::Text(text) => format!("{text:?}"),
            ShareableItem::Bytes(bytes) => format!("{bytes:?}"),
        });
    }
    println!("[{}]", items.join(", "));
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();

    let name = |what: &str| format!("example-{}/{what}", std::process::id());
    let memory = SharedMemory::create_named(name("memory"), 20)?;
    let list = ShareableList::create(name("list"), ["Tea".into(), 3.into(), 2.5.into(), true.into()])?;
    let before = ShareableList::new(list.to_vec()?)?;

    Process::spawn(child, (name("memory"), name("list")))?.join()??;
    println!("{}", String::from_utf8_lossy(&memory.lock()?));
    print(&before)?;
    print(&list)
}
