//! `ostler sample-target`: a target process with paths to try things on.

mod app;
mod bodies;
mod tls;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use self::tls::CertificateFiles;

use crate::args::SampleTargetArgs;

/// Serves the queue until a signal stops it.
pub(crate) fn run(args: SampleTargetArgs) -> anyhow::Result<ExitCode> {
    let runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
        0 => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?,
        threads => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?,
    };
    runtime.block_on(serve(args))?;
    // Upgraded connections have no end that could be waited for.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: SampleTargetArgs) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let queue = args.queue.open(&args.label)?;
    let app = app::app(&args.label);
    let stop = watch::Sender::new(false);
    let stopped = |mut stop: watch::Receiver<bool>| async move {
        // An error is the sender's end, which is a reason to stop too.
        let _ = stop.wait_for(|stop| *stop).await;
    };

    let direct = match args.listen {
        Some(address) => {
            let stopped = stopped(stop.subscribe());
            Some(listen(address, args.tls.as_ref(), app.clone(), stopped).await?)
        }
        None => None,
    };
    let name = queue.name().to_owned();
    let serving =
        ostler_target::serve(queue, app).with_graceful_shutdown(stopped(stop.subscribe()));
    let serving = tokio::spawn(serving.into_future());
    println!("queue {name} ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    serving.await??;
    if let Some(direct) = direct {
        // Its keep-alive connections may be idle for as long as their clients like.
        let _ = tokio::time::timeout(Duration::from_secs(5), direct).await;
    }
    Ok(())
}

/// Serves the address directly, as if there were no front, until `stopped` comes to its end.
async fn listen(
    address: SocketAddr,
    tls: Option<&CertificateFiles>,
    app: Router,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let acceptor = tls.map(CertificateFiles::acceptor).transpose()?;
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    if let Some(acceptor) = acceptor {
        println!("listening on https://{address}");
        return Ok(tokio::spawn(tls::serve(listener, acceptor, app, stopped)));
    }
    println!("listening on http://{address}");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, app).with_graceful_shutdown(stopped);
    Ok(tokio::spawn(async {
        if let Err(error) = served.await {
            tracing::warn!(%error, "serving directly has ended");
        }
    }))
}
