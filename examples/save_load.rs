//! A mapping with keys and values of several types, written to a file by one process and read back by another. Prints
//! `{2: [23, 1, 4], "24": {1: 2, "d": "sad"}, "da": 111}` before and after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fmt, fs, process};

use crossproc::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Item {
    Number(i64),
    Text(String),
    List(Vec<Item>),
    Map(BTreeMap<Item, Item>),
}

fn save(path: PathBuf, mapping: Item) {
    let bytes = postcard::to_stdvec(&mapping).expect("the mapping can be encoded");
    fs::write(path, bytes).expect("the file can be written");
}

fn load(path: PathBuf) -> Item {
    let bytes = fs::read(path).expect("the file can be read");
    postcard::from_bytes(&bytes).expect("the file holds a mapping")
}

fn main() -> crossproc::Result<()> {
    crossproc::init();
    let mapping = Item::from([
        ("da".into(), 111.into()),
        (2.into(), [23, 1, 4].into()),
        ("24".into(), [(1.into(), 2.into()), ("d".into(), "sad".into())].into()),
    ]);
    println!("{mapping:?}");

    let path = env::temp_dir().join(format!("save_load-{}", process::id()));
    Process::spawn(save, (&path, &mapping))?.join()?;
    let loaded = Process::spawn(load, (&path,))?.join();
    fs::remove_file(&path).expect("the file can be removed");

    let loaded = loaded?;
    println!("{loaded:?}");
    assert_eq!(loaded, mapping);
    Ok(())
}

impl From<i64> for Item {
    fn from(number: i64) -> Self {
        Item::Number(number)
    }
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Item::Text(text.into())
    }
}

impl<const N: usize> From<[i64; N]> for Item {
    fn from(numbers: [i64; N]) -> Self {
        Item::List(numbers.map(Item::Number).into())
    }
}

impl<const N: usize> From<[(Item, Item); N]> for Item {
    fn from(pairs: [(Item, Item); N]) -> Self {
        Item::Map(pairs.into())
    }
}

/// Prints what is in it, without saying which kind of item it is.
impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Number(number) => number.fmt(f),
            Item::Text(text) => text.fmt(f),
            Item::List(items) => items.fmt(f),
            Item::Map(pairs) => pairs.fmt(f),
        }
    }
}
