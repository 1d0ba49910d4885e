//! Builds the C side of Boost's queue if its headers are there, and sets `cfg(boost)` then.

const SHIM: &str = "shim/boost_queue.cc";
const HEADER: &str = "shim/boost_header.cc";
/// Where distributions put Boost. While a file that it watches is missing, cargo runs this at each build: the headers may
/// be installed later.
const VERSION: &str = "/usr/include/boost/version.hpp";

fn main() {
    for file in [SHIM, HEADER, VERSION] {
        println!("cargo::rerun-if-changed={file}");
    }
    // Headers that lie elsewhere: CXXFLAGS=-I...
    println!("cargo::rerun-if-env-changed=CXXFLAGS");
    if cc::Build::new().cpp(true).file(HEADER).warnings(false).try_expand().is_ok() {
        let mut shim = cc::Build::new();
        // As a release build of C++ is: without assertions.
        shim.cpp(true).std("c++17").opt_level(3).define("NDEBUG", None).warnings(false);
        shim.file(SHIM).compile("boost_queue");
        println!("cargo::rustc-cfg=boost");
    }
}
