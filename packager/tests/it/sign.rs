//! Signatures: genuine ones, and each way in which one can be wrong; which keys are trusted, and for which packages.

use std::path::Path;

use cloacina_packager::{
    Limits, Package, read,
    sign::{KeyId, Policy, PublicKey, Scope, SecretKey, SignError, Signature, TrustedKey, Untrusted},
};
use cloacina_workflow::Timestamp;

use crate::support;

const DESCRIBED: &str = r#"{"format":1,"abi":"1.0","package":"billing","version":"1.2.3","workflows":[
    {"name":"invoices","tasks":[{"id":"only","index":0}]}]}"#;

struct Fixture {
    archive: Vec<u8>,
    package: Package,
    key: SecretKey,
}

fn fixture() -> Fixture {
    let archive = support::archive(&support::library(DESCRIBED));
    let package = read(&archive, &Limits::default()).unwrap();
    Fixture { archive, package, key: SecretKey::generate(None).unwrap().0 }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_micros(seconds * 1_000_000)
}

fn trusted(name: &str, key: &SecretKey) -> TrustedKey {
    let key = key.public().clone();
    TrustedKey { name: name.to_owned(), key, scopes: vec![Scope::All], expires_at: None, revoked_at: None }
}

fn policy(required: usize, keys: &[TrustedKey]) -> Policy {
    Policy { required, keys: keys.to_vec() }
}

#[test]
fn a_signature_is_verified_by_us_and_by_another_reader() {
    let Fixture { archive, package, key } = fixture();
    let signature = key.sign(&archive, &package).unwrap();
    assert_eq!(
        signature.comment(),
        format!("cloacina package=billing version=1.2.3 digest={}", package.content_digest())
    );
    let beside = signature.path_beside(Path::new("dist/billing.cloacina"));
    assert_eq!(beside, Path::new(&format!("dist/billing.cloacina.{}.minisig", key.public().id())));
    let signature = Signature::from_text(signature.text()).unwrap();
    signature.verify(&archive, key.public()).unwrap();
    signature.check_facts(&package).unwrap();

    let other_key = minisign_verify::PublicKey::decode(&key.public().text()).unwrap();
    let other_signature = minisign_verify::Signature::decode(signature.text()).unwrap();
    other_key.verify(&archive, &other_signature, false).unwrap();
    assert_eq!(other_signature.trusted_comment(), signature.comment());
}

#[test]
fn a_signature_of_the_stock_program_is_as_good() {
    // As the program makes them: with a comment of its own, which says nothing of the package.
    let Fixture { archive, package, key } = fixture();
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let signed =
        minisign::sign(None, &pair.sk, &*archive, Some("timestamp:1700000000\tfile:billing.cloacina"), None).unwrap();
    let public = PublicKey::from_text(&pair.pk.to_box().unwrap().into_string()).unwrap();
    let signature = Signature::from_text(&signed.into_string()).unwrap();
    let stock = TrustedKey { key: public, ..trusted("stock", &key) };
    let signers = policy(1, &[stock]).check(&archive, &package, &[signature], at(1)).unwrap();
    assert_eq!(signers[0].name, "stock");
}

#[test]
fn keys_are_kept_in_files_with_or_without_a_password() {
    for password in [None, Some("correct horse")] {
        let (key, text) = SecretKey::generate(password).unwrap();
        let again = SecretKey::from_text(&text, password).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::from_text(&key.public().text()).unwrap(), *key.public());
        assert_eq!(PublicKey::from_text(&key.public().line()).unwrap(), *key.public());
        assert_eq!(key.public().id().to_string().parse::<KeyId>().unwrap(), key.public().id());
        assert!(!format!("{key:?}").contains(text.lines().nth(1).unwrap()), "a secret is not printed");
        if password.is_some() {
            assert_eq!(SecretKey::from_text(&text, None).unwrap_err(), SignError::PasswordNeeded);
            assert_eq!(SecretKey::from_text(&text, Some("wrong")).unwrap_err().code(), "SIG0002");
        }
    }
}

#[test]
fn other_texts_than_keys_and_signatures_are_refused_without_a_panic() {
    let Fixture { archive, package, key } = fixture();
    let signature = key.sign(&archive, &package).unwrap();
    let whole = signature.text();
    let lines: Vec<&str> = whole.lines().collect();
    let with = |line: usize, text: &str| {
        let mut lines = lines.clone();
        lines[line] = text;
        lines.join("\n")
    };
    let short = &lines[3][..80];
    let texts = [
        String::new(),
        "\n\n\n\n".to_owned(),
        with(0, "comment"),
        with(1, "RW"),
        with(1, &"=".repeat(100)),
        with(1, &"é".repeat(50)),
        with(2, "no comment"),
        with(3, short),
        with(3, &"!".repeat(88)),
        format!("{whole}more\n"),
        "x".repeat(5000),
    ];
    for text in texts {
        assert_eq!(Signature::from_text(&text).unwrap_err().code(), "SIG0004", "{text}");
    }
    for text in ["", "RW", "untrusted comment: x\n", "untrusted comment: x\nRWé", &"A".repeat(2000)] {
        assert_eq!(PublicKey::from_text(text).unwrap_err().code(), "SIG0001", "{text}");
        assert_eq!(SecretKey::from_text(text, None).unwrap_err().code(), "SIG0002", "{text}");
    }
    for end in 0..whole.len() {
        if whole.is_char_boundary(end)
            && let Ok(cut) = Signature::from_text(&whole[..end])
        {
            assert!(end >= whole.trim_end().len(), "{end}");
            cut.verify(&archive, key.public()).unwrap();
        }
    }
}

#[test]
fn any_change_of_archive_or_signature_is_noticed() {
    let Fixture { archive, package, key } = fixture();
    let signature = key.sign(&archive, &package).unwrap();
    let policy = policy(1, &[trusted("ann", &key)]);
    for place in [0, archive.len() / 2, archive.len() - 1] {
        let mut changed = archive.clone();
        changed[place] ^= 1;
        let error = policy.check(&changed, &package, std::slice::from_ref(&signature), at(1)).unwrap_err();
        assert_eq!(error.code(), "SIG0011", "{error}");
        assert!(error.to_string().contains("the signature states: cloacina package=billing version=1.2.3"), "{error}");
    }
    let damaged = signature.text().lines().nth(1).unwrap();
    let damaged = signature.text().replace(damaged, &damaged.replacen(&damaged[60..62], "ab", 1));
    let damaged = Signature::from_text(&damaged).unwrap();
    assert_eq!(policy.check(&archive, &package, &[damaged], at(1)).unwrap_err().code(), "SIG0005");
    let commented = signature.text().replace("version=1.2.3", "version=1.2.4");
    let commented = Signature::from_text(&commented).unwrap();
    assert_eq!(policy.check(&archive, &package, &[commented], at(1)).unwrap_err().code(), "SIG0005");
    // One key's name on another key's signature.
    let other = SecretKey::generate(None).unwrap().0;
    let forged = other.sign(&archive, &package).unwrap();
    assert_eq!(forged.verify(&archive, key.public()).unwrap_err(), SignError::Mismatch { key: other.public().id() });
}

#[test]
fn a_genuine_signature_that_speaks_of_another_package_is_refused() {
    let Fixture { archive, package, key } = fixture();
    let other = support::archive(&support::library(&DESCRIBED.replace("1.2.3", "9.9.9")));
    let other = read(&other, &Limits::default()).unwrap();
    let signature = key.sign(&archive, &other).unwrap();
    let error = policy(1, &[trusted("ann", &key)]).check(&archive, &package, &[signature], at(1)).unwrap_err();
    assert_eq!(error.code(), "SIG0006", "{error}");
}

#[test]
fn a_policy_counts_different_trusted_keys() {
    let Fixture { archive, package, key: ann } = fixture();
    let bob = SecretKey::generate(None).unwrap().0;
    let eve = SecretKey::generate(None).unwrap().0;
    let by = |key: &SecretKey| key.sign(&archive, &package).unwrap();
    let both = [trusted("ann", &ann), trusted("bob", &bob)];
    let check = |required, signatures: &[Signature]| {
        let checked = policy(required, &both).check(&archive, &package, signatures, at(100));
        checked.map(|signers| signers.into_iter().map(|signer| signer.name).collect::<Vec<_>>())
    };
    let unsigned = Untrusted::Unsigned { package: "the package billing".to_owned(), required: 1 };
    assert_eq!(check(0, &[]), Ok(vec![]));
    assert_eq!(check(1, &[]), Err(unsigned));
    assert_eq!(check(1, &[by(&ann)]), Ok(vec!["ann".to_owned()]));
    assert_eq!(check(2, &[by(&bob), by(&ann)]).unwrap().len(), 2);
    assert_eq!(check(2, &[by(&ann), by(&ann)]).unwrap_err().code(), "SIG0008", "one key counts once");
    let unknown = check(1, &[by(&eve)]).unwrap_err();
    let expected =
        format!("the package billing has 0 of 1 required signatures: the key {} is not known", eve.public().id());
    assert_eq!((unknown.code(), unknown.to_string()), ("SIG0008", expected));
    assert_eq!(check(1, &[by(&eve), by(&ann)]).unwrap(), ["ann"], "unknown keys do not hurt");
}

#[test]
fn keys_are_trusted_for_a_time_and_for_some_packages() {
    let Fixture { archive, package, key } = fixture();
    let signatures = [key.sign(&archive, &package).unwrap()];
    let check = |change: &dyn Fn(&mut TrustedKey), now| {
        let mut trusted = trusted("ann", &key);
        change(&mut trusted);
        let checked = policy(1, &[trusted]).check(&archive, &package, &signatures, at(now));
        checked.map(drop).map_err(|error| error.code())
    };
    assert_eq!(check(&|key| key.expires_at = Some(at(100)), 99), Ok(()));
    assert_eq!(check(&|key| key.expires_at = Some(at(100)), 100), Err("SIG0010"));
    assert_eq!(check(&|key| key.revoked_at = Some(at(100)), 99), Ok(()));
    assert_eq!(check(&|key| key.revoked_at = Some(at(100)), 100), Err("SIG0009"));
    for (scope, expected) in [
        ("*", Ok(())),
        ("billing", Ok(())),
        ("bill*", Ok(())),
        ("reports", Err("SIG0008")),
        ("billings*", Err("SIG0008")),
    ] {
        assert_eq!(check(&|key| key.scopes = vec![Scope::from_text(scope)], 1), expected, "{scope}");
        assert_eq!(Scope::from_text(scope).to_string(), scope);
    }
    assert_eq!(check(&|key| key.scopes.clear(), 1), Err("SIG0008"));
}

#[test]
fn only_what_a_policy_lets_through_can_be_unpacked() {
    let Fixture { archive, package, key } = fixture();
    let folder = tempfile::tempdir().unwrap();
    let signatures = [key.sign(&archive, &package).unwrap()];
    let policy = policy(1, &[trusted("ann", &key)]);
    assert!(policy.verify(&archive, package.clone(), &[], at(1)).is_err());
    let (verified, signers) = policy.verify(&archive, package, &signatures, at(1)).unwrap();
    assert_eq!(signers[0].key, key.public().id());
    assert!(verified.unpack_into(folder.path()).unwrap().is_file());
}

#[test]
fn signatures_are_examined_before_anything_is_read() {
    let Fixture { archive, package, key } = fixture();
    let other = support::archive(&support::library(&DESCRIBED.replace("1.2.3", "9.9.9")));
    let (signatures, junk) = ([key.sign(&archive, &package).unwrap()], b"no archive at all".as_slice());
    let policy = policy(1, &[TrustedKey { scopes: vec![Scope::from_text("bill*")], ..trusted("ann", &key) }]);
    assert_eq!(
        policy.examine(junk, &[], at(1)).unwrap_err().to_string(),
        "the archive is not signed, and must be by 1 trusted key"
    );
    assert_eq!(policy.examine(junk, &signatures, at(1)).unwrap_err().code(), "SIG0011");
    assert_eq!(policy.examine(&other, &signatures, at(1)).unwrap_err().code(), "SIG0011");
    let examined = policy.examine(&archive, &signatures, at(1)).unwrap();
    let other = read(&other, &Limits::default()).unwrap();
    assert_eq!(examined.clone().check(other).unwrap_err().code(), "SIG0012", "read from other bytes");
    assert_eq!(examined.check(package).unwrap().1[0].name, "ann");
    assert_eq!(Policy::server_default().examine(&archive, &signatures, at(1)).unwrap_err().code(), "SIG0008");
}

#[test]
fn what_the_program_minisign_wrote_is_read() {
    let file = |name: &str| std::fs::read_to_string(fixtures().join(name)).unwrap();
    let key = PublicKey::from_text(&file("stock.pub")).unwrap();
    let secret = SecretKey::from_text(&file("stock.key"), None).unwrap();
    assert_eq!((secret.public(), key.id().to_string().as_str()), (&key, "DCF1614C0BE34608"));
    let signature = Signature::from_text(&file("signed.txt.minisig")).unwrap();
    let signed = file("signed.txt").into_bytes();
    signature.verify(&signed, &key).unwrap();
    assert!(signature.comment().contains("file:signed.txt"));
    assert_eq!(signature.verify(b"else", &key).unwrap_err().code(), "SIG0011");
    // Not hashed first, as the program did long ago.
    assert_eq!(Signature::from_text(&file("legacy.minisig")).unwrap_err().code(), "SIG0004");
    // And what the same key signs here is as good to others.
    let Fixture { archive, package, .. } = fixture();
    let ours = secret.sign(&archive, &package).unwrap();
    let other_key = minisign_verify::PublicKey::decode(&file("stock.pub")).unwrap();
    other_key.verify(&archive, &minisign_verify::Signature::decode(ours.text()).unwrap(), false).unwrap();
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minisign")
}
