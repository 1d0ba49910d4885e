//! Sixty companies of a CSV file, each written to an SQLite database by a process. First a process for each, twenty at a
//! time: twenty are started, then joined, so that the slowest of a batch holds up the next. Then a pool of twenty, whose
//! workers take the next row as soon as they are free. Prints for both how many rows the database has, how long it took, and
//! how many rows of later batches were there before the first one, a slow one: about
//! `batches: 60 rows, 6.2 s, 0 of 40 did not wait` and `pool: 60 rows, 2.6 s, 38 of 40 did not wait`.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use crossproc::{Pool, Process, Result};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

const AT_A_TIME: usize = 20;

#[derive(Clone, Serialize, Deserialize)]
struct Company {
    id: u32,
    name: String,
    seconds: f64,
}

/// Each twentieth takes ten times as long as the others.
fn csv() -> String {
    let seconds = |id| if id % AT_A_TIME == 0 { 2.0 } else { 0.2 };
    (0..60).map(|id| format!("{id},Company {id},{}\n", seconds(id))).collect()
}

fn companies(csv: &str) -> Vec<Company> {
    let company = |line: &str| {
        let mut fields = line.split(',');
        let mut field = || fields.next().expect("a line has three fields");
        let (id, name, seconds) = (field(), field(), field());
        Company {
            id: id.parse().expect("an id is a number"),
            name: name.into(),
            seconds: seconds.parse().expect("seconds are a number"),
        }
    };
    csv.lines().map(company).collect()
}

/// Each process has a connection of its own: one that crossed a `fork` would corrupt the database.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.busy_timeout(Duration::from_secs(60))?;
    Ok(database)
}

/// Stands in for asking somebody about the company; `turn` says how many rows were written before this one.
fn update(path: PathBuf, company: Company) {
    sleep(scaled(company.seconds));
    let upsert = "INSERT INTO companies (id, name, turn) VALUES (?1, ?2, (SELECT COUNT(*) FROM companies))
                  ON CONFLICT (id) DO UPDATE SET name = excluded.name";
    let database = open(&path).expect("the database can be opened");
    database.execute(upsert, (company.id, company.name)).expect("the row can be written");
}

fn in_batches(path: &Path, companies: &[Company]) -> Result<()> {
    for batch in companies.chunks(AT_A_TIME) {
        let start = |company| Process::spawn(update, (path.to_path_buf(), company));
        for process in batch.iter().map(start).collect::<Result<Vec<_>>>()? {
            process.join()?;
        }
    }
    Ok(())
}

fn by_a_pool(path: &Path, companies: &[Company]) -> Result<()> {
    let pool = Pool::new(AT_A_TIME)?;
    pool.chunk(1).starmap(update, companies.iter().map(|company| (path.to_path_buf(), company)))?;
    Ok(())
}

fn measure(
    name: &str,
    path: &Path,
    companies: &[Company],
    update_all: impl Fn(&Path, &[Company]) -> Result<()>,
) -> Result<()> {
    let database = open(path).expect("the database can be opened");
    let table =
        "DROP TABLE IF EXISTS companies; CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT, turn INTEGER)";
    database.execute_batch(table).expect("the table can be made");
    let start = Instant::now();
    update_all(path, companies)?;
    let seconds = start.elapsed().as_secs_f64();

    let count = |what: &str| {
        let count = database.query_row(&format!("SELECT COUNT(*) FROM companies WHERE {what}"), (), |row| row.get(0));
        count.expect("the table can be read")
    };
    let rows: u32 = count("TRUE");
    let earlier = count("id >= 20 AND turn < (SELECT turn FROM companies WHERE id = 0)");
    println!("{name}: {rows} rows, {seconds:.1} s, {earlier} of {} did not wait", companies.len() - AT_A_TIME);
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    let directory = env::temp_dir().join(format!("batches-{}", process::id()));
    fs::create_dir(&directory).expect("a directory can be made");
    let path = directory.join("companies.sqlite");
    let companies = companies(&csv());
    let batches = measure("batches", &path, &companies, in_batches);
    let pool = batches.and_then(|()| measure("pool", &path, &companies, by_a_pool));
    fs::remove_dir_all(&directory).expect("the directory can be removed");
    pool
}

fn scaled(seconds: f64) -> Duration {
    let scale = std::env::var("SEED_SCALE").map_or(1.0, |scale| scale.parse().expect("SEED_SCALE is a number"));
    Duration::from_secs_f64(seconds * scale)
}
