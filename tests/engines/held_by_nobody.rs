//! What a server has found or taken out, and did not get to say, as the connection lost its answer.

use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager};

use crate::common::{until, watchdog};
use crate::proxy::Proxy;
use crate::redis::Server;

/// By its name.
type Ask<'a> = (&'a str, &'a dyn Fn() -> Result<(), Error>);

/// What a read has found, and what was taken out, is held at the server by who has asked: until that has its answer, it does not know of it.
#[test]
fn what_nobody_was_told_of_is_held_by_nobody() {
    let _watchdog = watchdog();
    let server = Server::start();
    let proxy = Proxy::start(&server.socket());
    let direct = Manager::connect(&server.url()).unwrap();
    let impatient = Manager::connect(&format!("{}?timeout_ms=200&lease_ms=2000", proxy.url())).unwrap();
    let objects = || server.ask("EVAL \"return #redis.call('KEYS', 'crossproc:o:*')\" 0");
    let (here, there): (Dict<u32, List<u32>>, Dict<u32, List<u32>>) =
        (direct.at("dict").dict().unwrap(), impatient.at("dict").dict().unwrap());
    let (row_here, row): (List<List<u32>>, List<List<u32>>) =
        (direct.at("row").list().unwrap(), impatient.at("row").list().unwrap());
    let before = objects();
    let asks: [Ask<'_>; 8] = [
        ("get", &|| there.get(0).map(drop)),
        ("items", &|| there.items().map(drop)),
        ("remove", &|| there.remove(0).map(drop)),
        ("list get", &|| row.get(0).map(drop)),
        ("list to_vec", &|| row.to_vec().map(drop)),
        ("list pop", &|| row.pop().map(drop)),
        ("new list", &|| impatient.list([1_u32]).map(drop)),
        ("named dict", &|| impatient.at("dict").dict::<u32, List<u32>>().map(drop)),
    ];
    for (name, ask) in asks {
        for n in 0..3 {
            here.insert(n, direct.list([n]).unwrap()).unwrap();
            row_here.push(direct.list([n]).unwrap()).unwrap();
        }
        // From now on the server knows the script.
        ask().unwrap_or_else(|error| panic!("{name}: {error}"));
        proxy.swallow_answers();
        let told = ask();
        assert!(matches!(told, Err(Error::Unanswered { .. })), "{name}: {told:?}");
        proxy.heal();
        here.clear().unwrap();
        row_here.clear().unwrap();
        until(&format!("{name}: what it held to go"), || objects() == before);
    }
}
