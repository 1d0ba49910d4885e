//! Scripts that a server runs, each as one step.

use std::sync::OnceLock;

use redis::Script;

use crate::sys::fork;

/// A script. Its first argument is the prefix of all keys.
pub(crate) struct Lua {
    name: &'static str,
    parts: &'static [&'static str],
    script: OnceLock<Script>,
}

impl Lua {
    pub(crate) const fn new(name: &'static str, parts: &'static [&'static str]) -> Self {
        Lua { name, parts, script: OnceLock::new() }
    }

    /// What it does, for errors.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn hash(&self) -> &str {
        self.script().get_hash()
    }

    pub(crate) fn source(&self) -> String {
        self.parts.concat()
    }

    fn script(&self) -> &Script {
        match self.script.get() {
            Some(script) => script,
            None => fork::fill(&self.script, Script::new(&self.source())),
        }
    }
}

/// `lua!("what it does", "file.lua", ..)`: a script of files in the folder `lua`, behind what all begin with. `lua!(frees ..)`: one that a server without
/// memory runs, too, since it gives some back. `lua!(brief ..)`, `lua!(brief frees ..)`: one that has to do with no session but its own.
macro_rules! lua {
    (brief frees $what:literal, $($file:literal),+) => {
        $crate::remote::lua::lua!(@ "#!lua flags=allow-oom\n", $what, $($file),+)
    };
    (brief $what:literal, $($file:literal),+) => {
        $crate::remote::lua::lua!(@ "#!lua\n", $what, $($file),+)
    };
    (frees $what:literal, $($file:literal),+) => {
        $crate::remote::lua::lua!(brief frees $what, "sessions.lua", $($file),+)
    };
    ($what:literal, $($file:literal),+) => {
        $crate::remote::lua::lua!(brief $what, "sessions.lua", $($file),+)
    };
    (@ $first:literal, $what:literal, $($file:literal),+) => {{
        static LUA: $crate::remote::lua::Lua = $crate::remote::lua::Lua::new(
            $what,
            &[$first, $crate::remote::lua::lua_file!("objects.lua"), $($crate::remote::lua::lua_file!($file)),+],
        );
        &LUA
    }};
}
pub(crate) use lua;

macro_rules! lua_file {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/remote/lua/", $file))
    };
}
pub(crate) use lua_file;
