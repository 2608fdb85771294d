//! Gives the shared library the name that programs ask the loader for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Programs ask for the ABI's major version, so that an incompatible one may stand beside it.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libostler_target.so.0");
}
