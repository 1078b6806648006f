//! The one-way dependencies: schemes <- bridge <- root, and within schemes math <- {rlwe, ckks, tfhe}.

use crate::network::root;
use std::path::{Path, PathBuf};

/// All Rust files under `folder`, with their code.
fn sources(folder: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder} holds no sources");
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<String>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned());
            files.push((path, code.collect()));
        }
    }
}

/// The paths in a line of code: `a::b::c` for what the line writes as such, `::a` where it is
/// absolute.
fn paths(line: &str) -> Vec<&str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether a path begins with one of these names.
fn begins_with(path: &str, names: &[&str]) -> bool {
    let path = path.trim_start_matches("::");
    names.iter().any(|name| {
        let rest = path.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with("::"))
    })
}

/// `file: line` for each path in `files` that `forbidden` names.
fn violations(
    files: &[(PathBuf, Vec<String>)],
    forbidden: impl Fn(&str, &str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (path, lines) in files {
        for (number, line) in lines.iter().enumerate() {
            if paths(line).iter().any(|path| forbidden(path, line)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

fn within(folder: &str, part: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut files = sources(folder);
    files.retain(|(path, _)| path.starts_with(root().join(folder).join(part)));
    let name = format!("{part}.rs");
    files.extend(sources(folder).into_iter().filter(|(path, _)| path.ends_with(&name)));
    assert!(!files.is_empty(), "{folder}/{part} holds no sources");
    files
}

/// The crate `tfhe`: `tfhe::core_crypto` and others, not our own module `crate::tfhe`.
fn names_the_crate(path: &str, line: &str) -> bool {
    begins_with(path, &["tfhe"]) || (line.trim_start().starts_with("use tfhe") && path == "tfhe")
}

#[test]
fn the_rules_see_what_they_forbid() {
    let line = |text: &str| vec![(PathBuf::from("x.rs"), vec![text.to_owned()])];
    for text in [
        "use tfhe::core_crypto::prelude::Fft;",
        "    let fft = ::tfhe::core_crypto::prelude::Fft::new(size);",
        "f(tfhe::shortint::parameters());",
        "use tfhe;",
    ] {
        assert_eq!(violations(&line(text), names_the_crate).len(), 1, "{text}");
    }
    for text in [
        "use crate::tfhe::LookupTable;",
        "use bellerophon_schemes::tfhe::{LweBatch, TfheError};",
        "pub mod tfhe;",
        "use tfhe_ntt::prime64::Plan;",
        "let tfhe = 3;",
    ] {
        assert!(violations(&line(text), names_the_crate).is_empty(), "{text}");
    }
}

#[test]
fn only_the_tfhe_module_names_the_tfhe_crate() {
    let mut files = sources("schemes/src");
    files.retain(|(path, _)| !path.starts_with(root().join("schemes/src/tfhe")));
    assert_eq!(violations(&files, names_the_crate), [""; 0]);
}

#[test]
fn bridge_and_root_reach_the_tfhe_crate_through_schemes_alone() {
    // a module that imports `bellerophon_schemes::tfhe` may say `tfhe::noise`, never `core_crypto`
    let of_the_crate = |path: &str, line: &str| {
        path.split("::").any(|part| part == "core_crypto" || part == "shortint")
            || path.starts_with("::tfhe")
            || (path == "tfhe" && line.trim_start().starts_with("use tfhe"))
            || (begins_with(path, &["tfhe"]) && line.trim_start().starts_with("use tfhe"))
    };
    for folder in ["bridge/src", "src"] {
        assert_eq!(violations(&sources(folder), of_the_crate), [""; 0]);
    }
    for manifest in ["bridge/Cargo.toml", "Cargo.toml"] {
        let text = std::fs::read_to_string(root().join(manifest)).unwrap();
        let (_, dependencies) = text.split_once("\n[dependencies]").unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        assert!(!dependencies.lines().any(|line| line.starts_with("tfhe")), "{manifest}");
    }
}

#[test]
fn the_schemes_never_meet_within_their_crate() {
    let names = |module: &'static str| {
        move |path: &str, line: &str| {
            path.split("::").any(|part| part == module)
                && (path.contains("::") || line.trim_start().starts_with("use "))
        }
    };
    for module in ["ckks", "rlwe", "tfhe"] {
        assert_eq!(violations(&within("schemes/src", "math"), names(module)), [""; 0]);
        for other in ["ckks", "rlwe", "tfhe"].into_iter().filter(|other| *other != module) {
            assert_eq!(violations(&within("schemes/src", module), names(other)), [""; 0]);
        }
    }
}

#[test]
fn schemes_know_nothing_of_bridge_and_root() {
    let upward = |path: &str, _: &str| {
        path.split("::").any(|part| matches!(part, "bellerophon" | "bellerophon_bridge"))
    };
    assert_eq!(violations(&sources("schemes/src"), upward), [""; 0]);
    let manifest = std::fs::read_to_string(root().join("schemes/Cargo.toml")).unwrap();
    assert!(!manifest.lines().any(|line| line.starts_with("bellerophon")));
}

#[test]
fn bridge_knows_nothing_of_root() {
    let upward = |path: &str, _: &str| path.split("::").any(|part| part == "bellerophon");
    assert_eq!(violations(&sources("bridge/src"), upward), [""; 0]);
    let manifest = std::fs::read_to_string(root().join("bridge/Cargo.toml")).unwrap();
    let own = manifest.lines().filter(|line| line.starts_with("bellerophon"));
    assert!(own.clone().all(|line| line.starts_with("bellerophon-schemes")));
    assert!(own.count() > 0);
}

/// The edge's types cannot be made from a secret: the files that define them do not even name one.
#[test]
fn the_edge_never_names_a_secret() {
    let modules = ["crate::client", "crate::store", "bellerophon::client", "bellerophon::store"];
    let types = [
        "Client",
        "Decryptor",
        "LweSecretKey",
        "Passphrase",
        "SecretKey",
        "SecretKeys",
        "SigningKey",
        "Store",
    ];
    let secret = |path: &str, _: &str| {
        let whole = format!("{path}::");
        let owner = path == "Owner" || path.ends_with("protected::Owner");
        owner || begins_with(&whole, &modules) || path.split("::").any(|part| types.contains(&part))
    };
    let line = |text: &str| vec![(PathBuf::from("x.rs"), vec![text.to_owned()])];
    for text in [
        "use crate::polynomial::protected::Owner;",
        "use crate::client::Client;",
        "use bellerophon::store;",
        "x: &SecretKeys,",
    ] {
        assert!(!violations(&line(text), secret).is_empty(), "{text}");
    }
    let mut files = sources("src/service");
    files.extend(sources("src/cli/edge"));
    let of_the_edge = [
        "agents/acquisition.rs",
        "agents/deployed_model.rs",
        "agents/input_encryptor.rs",
        "agents/processing.rs",
        "protect/encryptor.rs",
        "protected/edge.rs",
        "protected/encrypted.rs",
    ];
    let mut found = sources("src/agents");
    found.extend(sources("src/protect"));
    found.extend(sources("src/polynomial/protected"));
    found.retain(|(path, _)| of_the_edge.iter().any(|name| path.ends_with(name)));
    assert_eq!(found.len(), of_the_edge.len());
    files.extend(found);
    files.retain(|(path, _)| !path.components().any(|part| part.as_os_str() == "tests"));
    assert!(files.len() > 15, "{}", files.len());
    assert_eq!(violations(&files, secret), [""; 0]);
}
