//! Who may be reached: nobody on this machine without being allowed by name.

use super::super::{AddressClass, EgressError, Refusal};
use super::servers::Server;
use super::{egress, get};

fn refused_as_loopback(host: &str) -> EgressError {
    let reason = Refusal::InternalAddress { host: host.to_owned(), class: AddressClass::Loopback };
    EgressError::Refused { reason }
}

#[tokio::test]
async fn an_allowed_host_answers() {
    let server = Server::hello().await;
    let request = get(server.url(), &[&server.host()]);
    // In a task of its own, as the callers do.
    let answer = tokio::spawn(async move { egress().send(request).await });
    let answer = answer.await.expect("the task ends").expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    assert_eq!(answer.final_url, server.url());
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn loopback_is_refused_without_permission() {
    let server = Server::hello().await;
    let elsewhere = format!("127.0.0.1:{}", server.port.wrapping_add(1).max(1));
    let port = server.port;
    for (url, allowed, host) in [
        (server.url(), vec![], "127.0.0.1"),
        (server.url(), vec![elsewhere.as_str()], "127.0.0.1"),
        (server.url(), vec!["localhost"], "127.0.0.1"),
        (format!("http://0x7f.1:{port}/"), vec![], "127.0.0.1"),
        (format!("http://2130706433:{port}/"), vec![], "127.0.0.1"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), vec!["127.0.0.1"], "[::ffff:7f00:1]"),
    ] {
        let answer = egress().send(get(&url, &allowed)).await;
        assert_eq!(answer, Err(refused_as_loopback(host)), "{url} {allowed:?}");
    }
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_refused_without_permission() {
    let server = Server::hello().await;
    let egress = egress();
    let url = format!("http://localhost:{}/", server.port);
    for allowed in [vec![], vec!["127.0.0.1"], vec!["localhost:1"]] {
        let answer = egress.send(get(&url, &allowed)).await;
        assert_eq!(answer, Err(refused_as_loopback("localhost")), "{allowed:?}");
    }
    assert_eq!(server.hits(), 0);
    let allowed = format!("LOCALHOST:{}", server.port);
    let answer = egress.send(get(&url, &[&allowed])).await.expect("an answer");
    assert_eq!(&answer.body[..], b"hello");
}

#[tokio::test]
async fn a_connection_that_one_request_may_use_is_closed_to_others() {
    let server = Server::hello().await;
    let egress = egress();
    for host in [format!("localhost:{}", server.port), server.host()] {
        let url = format!("http://{host}/");
        let before = server.hits();
        // Leaves an idle connection to the host in the pool.
        egress.send(get(&url, &[&host])).await.expect("an answer");
        let name = host.split(':').next().expect("a name");
        let answer = egress.send(get(&url, &[])).await;
        assert_eq!(answer, Err(refused_as_loopback(name)));
        assert_eq!(server.hits(), before + 1);
        egress.send(get(&url, &[&host])).await.expect("an answer");
    }
}

/// Runs a test of this module again in a process whose environment names a proxy that is not there.
#[test]
fn proxies_of_the_environment_are_ignored() {
    let (_, module) = module_path!().split_once("::").expect("a module within the crate");
    let proxy = "http://127.0.0.1:1";
    let binary = std::env::current_exe().expect("the path of the tests");
    let child = std::process::Command::new(binary)
        .args(["--exact", &format!("{module}::an_allowed_host_answers")])
        .envs(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, proxy)))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .expect("the tests run");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(output.contains("1 passed"), "{output}");
}
