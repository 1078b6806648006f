//! Connections: counted, timed, and each with its own HTTP/1.1 conversation.

use super::http::{Peer, router};
use super::{Shared, tls};
use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Bytes that a connection buffers; also the longest head of a request.
const BUFFER: usize = 32 << 10;
/// How long requests that were begun may take once the service drains.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait where no connection can be accepted, as without file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown`, then waits for those that are open.
pub(super) async fn serve(
    shared: &Arc<Shared>,
    listener: std::net::TcpListener,
    tls: Option<rustls::ServerConfig>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = tls.is_some(), models = shared.models.len(), "listening");
    let accept = Accept {
        shared: shared.clone(),
        router: router(shared),
        tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))),
        room: Arc::new(Semaphore::new(shared.options.connections)),
        drain: watch::Sender::new(false),
    };
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => accept.begin(stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    accept.drain().await;
    Ok(())
}

struct Accept {
    shared: Arc<Shared>,
    router: Router,
    tls: Option<TlsAcceptor>,
    room: Arc<Semaphore>,
    drain: watch::Sender<bool>,
}

impl Accept {
    fn begin(&self, stream: TcpStream) {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            self.shared.metrics.connections_refused.inc();
            tracing::warn!("a connection beyond the limit is closed");
            return;
        };
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            shared: self.shared.clone(),
            router: self.router.clone(),
            drain: self.drain.subscribe(),
            _permit: permit,
        };
        let tls = self.tls.clone();
        tokio::spawn(async move {
            let Connection { shared, .. } = &connection;
            shared.metrics.connections.inc();
            let shared = shared.clone();
            match tls {
                None => connection.converse(stream, Peer::default()).await,
                Some(tls) => connection.converse_secretly(stream, &tls).await,
            }
            shared.metrics.connections.dec();
        });
    }

    async fn drain(self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.drain.send_replace(true);
        let all = self.shared.options.connections.min(Semaphore::MAX_PERMITS) as u32;
        if timeout(DRAIN, self.room.acquire_many(all)).await.is_err() {
            tracing::warn!("connections that are still open are closed");
        }
    }
}

struct Connection {
    shared: Arc<Shared>,
    router: Router,
    drain: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn converse_secretly(self, stream: TcpStream, tls: &TlsAcceptor) {
        match timeout(self.shared.options.head_time, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let peer = Peer(tls::identity(stream.get_ref().1));
                self.converse(stream, peer).await;
            }
            Ok(Err(error)) => tracing::warn!(%error, "no TLS"),
            Err(_) => tracing::warn!("a client took too long for TLS"),
        }
    }

    async fn converse(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send, peer: Peer) {
        let options = &self.shared.options;
        let service = TowerToHyperService::new(self.router.layer(Extension(peer)));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(options.head_time);
        builder.max_headers(64).max_buf_size(BUFFER).half_close(false);
        let mut conversation = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = timeout(options.connection_time, async {
            tokio::select! {
                ended = conversation.as_mut() => return ended,
                _ = self.drain.wait_for(|&drain| drain) => {}
            }
            conversation.as_mut().graceful_shutdown();
            conversation.await
        });
        match ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_timeout() => {
                tracing::warn!("a client took too long for the head of a request");
            }
            Ok(Err(error)) => tracing::warn!(%error, "a connection broke"),
            Err(_) => tracing::warn!("a connection that lived too long is closed"),
        }
    }
}
