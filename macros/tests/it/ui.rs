//! What the compiler says of each mistake, and that every documented form compiles and means what the page says.
//!
//! `tests/ui` holds one mistake per file with the expected output; `tests/forms` holds programs that run. To accept a
//! changed output, read it and set `TRYBUILD=overwrite`.

#[test]
fn mistakes_are_explained_and_documented_forms_run() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    cases.pass("tests/forms/*.rs");
}
