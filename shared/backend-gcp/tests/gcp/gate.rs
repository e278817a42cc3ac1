//! A gate before a server: passes bytes on, refuses connections, or takes them and is silent.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the gate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Passes everything on.
    Open,
    /// Ends all connections and takes no new ones.
    Closed,
    /// Takes connections and what is sent, and passes nothing on.
    Silent,
}

/// Stands before a server until it is dropped.
pub(crate) struct Gate {
    address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
}

impl Gate {
    /// A gate before the server at `http://host:port`, open.
    pub(crate) async fn before(endpoint: &str) -> Self {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(watch::Sender::new(Way::Open));
        tokio::spawn(keep(listener, address, target, way.subscribe()));
        Self { address, way }
    }

    /// Its own endpoint.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this way; connections that are open are ended.
    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

/// Takes connections for as long as the gate stands.
async fn keep(
    listener: TcpListener,
    address: SocketAddr,
    target: String,
    mut way: watch::Receiver<Way>,
) {
    let mut listener = Some(listener);
    loop {
        let now = *way.borrow_and_update();
        if now == Way::Closed {
            listener = None;
            if way.changed().await.is_err() {
                return;
            }
            continue;
        }
        let taking = match listener.take() {
            Some(listener) => listener,
            // The address is ours still: nobody else is given a port that was just in use.
            None => TcpListener::bind(address).await.unwrap(),
        };
        tokio::select! {
            changed = way.changed() => if changed.is_err() {
                return;
            },
            taken = taking.accept() => {
                let (stream, _) = taken.unwrap();
                tokio::spawn(pass(stream, target.clone(), now, way.clone()));
            }
        }
        listener = Some(taking);
    }
}

/// One connection, until the way changes.
async fn pass(mut stream: TcpStream, target: String, now: Way, mut way: watch::Receiver<Way>) {
    let passing = async {
        if now == Way::Silent {
            std::future::pending::<()>().await;
        }
        let mut server = TcpStream::connect(target).await.unwrap();
        // Ends when either side does.
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    };
    tokio::select! {
        () = passing => {}
        _ = way.wait_for(|other| *other != now) => {}
    }
}
