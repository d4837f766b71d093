//! The example programs, run as one would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::{Command, Output};

use common::media_folder;

/// Runs an example that cargo built beside this test.
fn example(name: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    let output = Command::new(&program).args(arguments).current_dir(media_folder()).output();
    output.unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `cargo test --test examples` builds no example, `cargo test` and `cargo build --examples` do",
            program.display()
        )
    })
}

fn compare(one: &str, other: &str) -> String {
    let output = example("compare", &[one, other]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn compare_tells_whether_two_photos_show_one_person() {
    assert!(compare("obama.jpg", "obama2.jpg").starts_with("the same person"));
    assert!(compare("obama.jpg", "biden.jpg").starts_with("different people"));
    let output = example("compare", &["obama.jpg", "nobody.jpg"]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("nobody.jpg"));
}
