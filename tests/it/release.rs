//! `infra/release` with a Google Cloud that is made of two shell scripts: which revision gets how
//! much, in which order, and what happens where it goes wrong.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Answers as `gcloud` does for two services, and notes what is changed. Revisions are `…-1`, and
/// `…-2` once Terraform was there.
const GCLOUD: &str = r#"#!/bin/bash
case "$1 $2 $3" in
  "run services list") printf 'chatflow-controller\nchatflow-gateway\n' ;;
  "run services describe")
    revision=$4-1
    [ ! -e "$WORLD/applied" ] || revision=$4-2
    case "$6" in
      json) echo "{\"status\": {\"latestReadyRevisionName\": \"$revision\", \"traffic\": [{\"latestRevision\": true, \"percent\": 100}]}}" ;;
      *) echo "$revision" ;;
    esac ;;
  "run services update-traffic") echo "$4 $6" >>"$WORLD/log" ;;
  "run revisions list")
    ready='"status": {"conditions": [{"type": "Ready", "status": "True"}]}'
    for number in 1 2 3; do
      [ $number != 3 ] || ready='"status": {"conditions": [{"type": "Ready", "status": "False"}]}'
      revisions+="{\"metadata\": {\"name\": \"$5-$number\", \"creationTimestamp\": \"2026-01-0$number\"}, $ready},"
    done
    echo "[${revisions%,}]" ;;
  logging*)
    [ ! -e "$WORLD/blind" ] || exit 1
    [ ! -e "$WORLD/errors" ] || [[ "$*" != *gateway-2* ]] || echo an-error ;;
  *) echo "what is $*" >&2; exit 9 ;;
esac
"#;

const TERRAFORM: &str = r#"#!/bin/bash
[[ "$*" == "-chdir=terraform/environments/dev apply"* ]] || exit 9
[ ! -e "$WORLD/broken" ] || exit 1
touch "$WORLD/applied"
echo applied >>"$WORLD/log"
"#;

fn program(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs the script in a world with these marks; its exit code, its words, and what it changed.
fn release(marks: &[&str], args: &[&str]) -> (i32, String, Vec<String>) {
    let world = tempfile::tempdir().unwrap();
    program(world.path(), "gcloud", GCLOUD);
    program(world.path(), "terraform", TERRAFORM);
    for mark in marks {
        std::fs::write(world.path().join(mark), "").unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/release");
    #[expect(clippy::disallowed_methods, reason = "the script finds python3 as anybody does")]
    let path = format!("{}:{}", world.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg(script).args(args).env("PATH", path).env("WORLD", world.path());
    let done = command.env("STEP_SECONDS", "0").output().unwrap();
    let log = std::fs::read_to_string(world.path().join("log")).unwrap_or_default();
    let words = String::from_utf8(done.stderr).unwrap();
    let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
    // Within a step the order of services is of no matter.
    let mut from = 0;
    while from < lines.len() {
        let same = |line: &String| line.split(' ').count() == lines[from].split(' ').count();
        let to = from + lines[from..].iter().take(2).take_while(|line| same(line)).count();
        lines[from..to].sort();
        from = to;
    }
    (done.status.code().unwrap(), words, lines)
}

const DEV: [&str; 3] = ["dev", "acme", "asia-east1"];

#[test]
fn requests_go_over_step_by_step() {
    let (code, words, changed) = release(&[], &DEV);
    assert_eq!(code, 0, "{words}");
    assert_eq!(
        changed,
        [
            "chatflow-controller chatflow-controller-1=100",
            "chatflow-gateway chatflow-gateway-1=100",
            "applied",
            "chatflow-controller chatflow-controller-2=10,chatflow-controller-1=90",
            "chatflow-gateway chatflow-gateway-2=10,chatflow-gateway-1=90",
            "chatflow-controller chatflow-controller-2=50,chatflow-controller-1=50",
            "chatflow-gateway chatflow-gateway-2=50,chatflow-gateway-1=50",
            "chatflow-controller chatflow-controller-2=100",
            "chatflow-gateway chatflow-gateway-2=100",
        ]
    );
}

#[test]
fn an_error_sends_everything_back() {
    let (code, words, changed) = release(&["errors"], &DEV);
    assert_eq!(code, 1);
    assert!(words.contains("chatflow-gateway-2 wrote errors at 10 %"), "{words}");
    let back = &changed[changed.len() - 2..];
    let old = [
        "chatflow-controller chatflow-controller-1=100",
        "chatflow-gateway chatflow-gateway-1=100",
    ];
    assert_eq!(back, old);
    assert!(!changed.iter().any(|line| line.contains("=50")), "{changed:?}");
}

#[test]
fn who_cannot_see_errors_releases_nothing() {
    let (code, _, changed) = release(&["blind"], &DEV);
    assert_eq!(code, 1);
    assert!(!changed.iter().any(|line| line.contains("=50")), "{changed:?}");
}

#[test]
fn nothing_is_released_where_terraform_fails() {
    let (code, words, changed) = release(&["broken"], &DEV);
    assert_eq!(code, 1);
    assert!(words.contains("Terraform failed; nothing was released"), "{words}");
    assert!(!changed.iter().any(|line| line.contains("-2=")), "{changed:?}");
}

#[test]
fn a_rollback_goes_to_the_revisions_before() {
    // With nothing older, nothing is changed.
    let (code, words, changed) = release(&[], &["--rollback", "acme", "asia-east1"]);
    assert_eq!((code, changed), (0, Vec::new()), "{words}");
    assert!(words.contains("has no revision before chatflow-gateway-1"), "{words}");
    let (code, words, changed) = release(&["applied"], &["--rollback", "acme", "asia-east1"]);
    assert_eq!(code, 0, "{words}");
    let old = [
        "chatflow-controller chatflow-controller-1=100",
        "chatflow-gateway chatflow-gateway-1=100",
    ];
    assert_eq!(changed, old);
}

#[test]
fn a_slip_is_told() {
    let (code, words, _) = release(&[], &["staging", "acme", "asia-east1"]);
    assert_eq!(code, 1);
    assert!(words.contains("there is no environment `staging`"), "{words}");
    let (code, words, _) = release(&[], &["dev"]);
    assert_eq!(code, 2);
    assert!(words.contains("infra/release ENVIRONMENT PROJECT REGION"), "{words}");
}
