//! Builds the C side of Boost's queue if its headers are there, and sets `cfg(boost)` then.

use std::path::Path;

const SHIM: &str = "shim/boost_queue.cc";
const HEADER: &str = "shim/boost_header.cc";
/// Where distributions put it. Cargo looks again at each build while a file that it watches is missing: the headers may
/// be installed later.
const VERSION: &str = "/usr/include/boost/version.hpp";

fn main() {
    for file in [SHIM, HEADER, VERSION] {
        println!("cargo::rerun-if-changed={file}");
    }
    // Headers that lie elsewhere: CXXFLAGS=-I...
    println!("cargo::rerun-if-env-changed=CXXFLAGS");
    assert!(Path::new(SHIM).exists());
    if cc::Build::new().cpp(true).file(HEADER).warnings(false).try_expand().is_ok() {
        cc::Build::new().cpp(true).std("c++17").opt_level(3).file(SHIM).compile("boost_queue");
        println!("cargo::rustc-cfg=boost");
    }
}
