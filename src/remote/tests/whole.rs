//! A script is carried out, or it is not.

use std::sync::Arc;

use redis::Value;

use super::Server;
use crate::error::{Error, Kind};
use crate::remote::client::{Effect, Failed};
use crate::remote::lua::{Lua, lua};
use crate::remote::session::{Hold, Session};

/// A list at a server.
struct Row {
    session: Arc<Session>,
    hold: Hold,
}

impl Row {
    fn make(server: &Server, items: &[&str]) -> Self {
        let session = Session::at(&server.address("")).unwrap();
        let (token, object) = (session.token(), Session::new_object());
        let make = lua!("making an object", "object/make.lua");
        let made = session.run_named(Kind::Manager, make, Effect::Repeatable, |request| {
            request.arg(&token).arg(&object).arg("row").arg("7");
        });
        let hold = session.held(&made.unwrap().session, token, object);
        let row = Row { session, hold };
        let whole: Vec<_> = ["-1"].iter().chain(items).map(|item| item.as_bytes().to_vec()).collect();
        row.ask("add", &whole).unwrap();
        row
    }

    fn ask(&self, operation: &str, arguments: &[Vec<u8>]) -> Result<Value, Error> {
        let script: &Lua = lua!("an operation on a list", "container/row.lua");
        let (name, token) = (self.session.name()?, self.session.token());
        let done = self.session.run_as(&name, script, Effect::Once, |request| {
            request.arg(token).arg(self.hold.object()).arg(operation).arg(arguments);
        });
        done.map_err(|failed| match failed {
            Failed::Other(error) => error,
            Failed::Gone | Failed::Lost => panic!("gone, or lost"),
        })
    }

    fn items(&self) -> Vec<String> {
        redis::from_redis_value(self.ask("items", &["0", "-1", "9"].map(|word| word.as_bytes().to_vec())).unwrap())
            .unwrap()
    }
}

fn order(seen: &[&str], order: &[&str]) -> Vec<Vec<u8>> {
    seen.iter().chain(order).map(|word| word.as_bytes().to_vec()).collect()
}

const THREE: [&str; 3] = ["\0a", "\0b", "\0c"];

#[test]
fn a_list_is_put_in_another_order() {
    let server = Server::start();
    let row = Row::make(&server, &THREE);
    assert_eq!(row.ask("reorder", &order(&THREE, &["2", "0", "1"])), Ok(Value::Int(1)));
    assert_eq!(row.items(), ["\0c", "\0a", "\0b"]);
    assert_eq!(row.ask("reverse", &[]), Ok(Value::Nil));
    assert_eq!(row.items(), ["\0b", "\0a", "\0c"]);
    let empty = Row::make(&server, &[]);
    assert_eq!((empty.ask("reverse", &[]), empty.ask("reorder", &[])), (Ok(Value::Nil), Ok(Value::Int(1))));
    assert_eq!(empty.items(), [""; 0]);
}

#[test]
fn a_list_that_cannot_be_written_is_not_lost() {
    let server = Server::start();
    let row = Row::make(&server, &THREE);
    server.ask("ACL SETUSER default -rpush -lpush");
    assert!(matches!(row.ask("reorder", &order(&THREE, &["2", "0", "1"])), Err(Error::Refused { .. })));
    assert!(matches!(row.ask("reverse", &[]), Err(Error::Refused { .. })));
    assert_eq!(row.items(), THREE);
}

#[test]
fn a_full_server_has_not_begun() {
    let server = Server::start();
    let row = Row::make(&server, &THREE);
    server.fill();
    let full = row.ask("reorder", &order(&THREE, &["2", "0", "1"]));
    assert!(matches!(full, Err(Error::ServerFull { .. })), "{full:?}");
    server.ask("CONFIG SET maxmemory 0");
    assert_eq!(row.items(), THREE);
}

/// What begins ends, also if it is what fills the server.
#[test]
fn what_fills_a_server_is_done_as_a_whole() {
    let server = Server::start();
    let row = Row::make(&server, &[]);
    let Value::BulkString(info) = server.ask("INFO memory") else { panic!("no information") };
    let info = String::from_utf8(info).unwrap();
    let used: usize = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap();
    server.ask("CONFIG SET maxmemory-policy noeviction");
    server.ask(&format!("CONFIG SET maxmemory {}", used + (16 << 20)));
    let mut items = vec![b"-1".to_vec()];
    items.extend((0..1000).map(|_| vec![0; 10 << 10]));
    // The request alone takes ten of the sixteen, while it is read.
    assert_eq!(row.ask("add", &items), Ok(Value::Array(vec![Value::Int(1)])));
    assert!(matches!(row.ask("add", &items), Err(Error::ServerFull { .. })));
    server.ask("CONFIG SET maxmemory 0");
    assert_eq!(row.ask("count", &[]), Ok(Value::Int(1000)));
}
