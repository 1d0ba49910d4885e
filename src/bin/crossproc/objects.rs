//! Shared objects that have names: listing, looking at and removing them.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use crossproc::{Inspection, Peer};
use serde_json::{Value, json};

use crate::complain;
use crate::report::with_sources;

/// Whether all went well, as an exit code: what did not has been said.
fn code(is_well: bool) -> io::Result<ExitCode> {
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn say_why(name: &str, error: &crossproc::Error) {
    complain(&format!("{name}: {}", with_sources(error)));
}

pub(crate) fn list(as_json: bool) -> io::Result<ExitCode> {
    let mut found = Vec::new();
    let mut is_well = true;
    for name in crossproc::names()? {
        match crossproc::inspect(&name) {
            Ok(inspection) => found.push(inspection),
            Err(crossproc::Error::NoSuchName { .. }) => {} // removed meanwhile
            // Another user's business, and no failure of this list.
            Err(error @ crossproc::Error::PermissionDenied { .. }) => say_why(&name, &error),
            Err(error) => {
                is_well = false;
                say_why(&name, &error);
            }
        }
    }
    let mut output = io::stdout().lock();
    if as_json {
        for inspection in &found {
            writeln!(output, "{}", as_value(inspection))?;
        }
    } else {
        write!(output, "{}", table(&found))?;
    }
    output.flush()?;
    code(is_well)
}

fn table(found: &[Inspection]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["NAME", "KIND", "TYPE", "BYTES", "CREATOR", "ATTACHED", "AGE"]);
    for inspection in found {
        table.add_row([
            inspection.name.clone(),
            kind(inspection),
            type_of(inspection),
            inspection.bytes.to_string(),
            inspection.creator.to_string(),
            list_of(&inspection.peers),
            age(inspection.created),
        ]);
    }
    for column in [3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_string() + "\n").collect()
}

pub(crate) fn inspect(name: &str, as_json: bool) -> io::Result<ExitCode> {
    let found = match crossproc::inspect(name) {
        Ok(found) => found,
        Err(error) => {
            say_why(name, &error);
            return code(false);
        }
    };
    let mut output = io::stdout().lock();
    if as_json {
        writeln!(output, "{}", as_value(&found))?;
    } else {
        let facts = [
            ("name", found.name.clone()),
            ("kind", kind(&found)),
            ("type", type_of(&found)),
            ("length", found.length.to_string()),
            ("bytes", found.bytes.to_string()),
            ("reserved", found.reserved.to_string()),
            ("user", found.user.to_string()),
            ("mode", format!("{:04o}", found.mode)),
            ("creator", format!("process {}", found.creator)),
            ("age", age(found.created)),
            ("attached", list_of(&found.peers)),
        ];
        let state = found.state.iter().map(|(what, value)| (what.as_str(), value.clone()));
        let facts: Vec<_> = facts.into_iter().chain(state).collect();
        let width = facts.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        for (what, value) in facts {
            writeln!(output, "{what:width$}  {value}")?;
        }
    }
    output.flush()?;
    code(true)
}

pub(crate) fn remove(names: &[String], as_json: bool) -> io::Result<ExitCode> {
    let mut removed = Vec::new();
    for name in names {
        match crossproc::unlink(name) {
            Ok(()) => removed.push(name.clone()),
            Err(error) => say_why(name, &error),
        }
    }
    say_removed(&removed, true, as_json)?;
    code(removed.len() == names.len())
}

pub(crate) fn collect(dry_run: bool, as_json: bool) -> io::Result<ExitCode> {
    let names = if dry_run { crossproc::abandoned()? } else { crossproc::gc()? };
    say_removed(&names, !dry_run, as_json)?;
    code(true)
}

fn say_removed(names: &[String], removed: bool, as_json: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for name in names {
        if as_json {
            writeln!(output, "{}", json!({ "name": name, "removed": removed }))?;
        } else {
            writeln!(output, "{name}")?;
        }
    }
    output.flush()
}

fn kind(found: &Inspection) -> String {
    match found.kind {
        Ok(kind) => format!("{kind:?}"),
        Err(number) => format!("kind {number}"),
    }
}

/// Of a lock or an arena, nothing.
fn type_of(found: &Inspection) -> String {
    if found.element.size == 0 { String::new() } else { found.element.name.clone() }
}

pub(crate) fn list_of(peers: &[Peer]) -> String {
    let one = |peer: &Peer| match &peer.name {
        Some(name) => format!("{} ({name})", peer.pid),
        None => peer.pid.to_string(),
    };
    peers.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// In the largest unit of which it has at least two.
fn age(created: SystemTime) -> String {
    let seconds = created.elapsed().unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn as_value(found: &Inspection) -> Value {
    let peers: Vec<_> =
        found.peers.iter().map(|peer| json!({ "id": peer.id, "pid": peer.pid, "name": peer.name })).collect();
    let state: serde_json::Map<_, _> = found.state.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
    json!({
        "name": found.name,
        "kind": kind(found),
        "type": { "name": found.element.name, "size": found.element.size, "align": found.element.align },
        "length": found.length,
        "bytes": found.bytes,
        "reserved": found.reserved,
        "user": found.user,
        "mode": format!("{:04o}", found.mode),
        "creator": found.creator,
        "created": found.created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        "attached": peers,
        "state": state,
    })
}
