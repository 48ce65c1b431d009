//! The process of a package, for engines of the tests that run packages in processes of their own.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloacina::package_host()
}
