//! Streams over rings, between real processes: who takes nothing holds nobody up, what is large is not kept,
//! and instances come and go.

use crate::support::http2_client::{Http2Client, get, run, whole};
use crate::support::{Process, Sandbox, delegating_to};

/// Far less than what is on its way.
#[track_caller]
fn is_small(processes: [&Process; 2]) {
    for process in processes {
        let kib = process.memory();
        assert!(kib < 80 * 1024, "{kib} KiB");
    }
}

#[test]
fn clients_that_take_nothing_hold_up_no_other() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    run(async {
        let mut stalled = Vec::new();
        for _ in 0..40 {
            let client = Http2Client::connect(front.port).await;
            let (response, _) = client.begin(get("/stream/5000000"), true).await;
            stalled.push((response.await.unwrap(), client));
        }
        let client = Http2Client::connect(front.port).await;
        for _ in 0..100 {
            let response = client.get("/bytes/100000").await;
            assert_eq!((response.status(), response.body.len()), (200, 100_000));
        }
        let body = vec![b'x'; 1_000_000];
        let echo = client.post("/upload", &body).await.json();
        assert_eq!(echo["length"], body.len());
        // Each holds its window, and not what is to come.
        is_small([&front.process, &target]);
        for (response, _client) in stalled.drain(..3) {
            assert_eq!(whole(response).await.body.len(), 5_000_000);
        }
    });
}

#[test]
fn what_is_large_passes_through_little_memory() {
    const LENGTH: usize = 100_000_000;
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let path = format!("/stream/{LENGTH}");
        let (response, _) = client.begin(get(&path), true).await;
        let mut body = response.await.unwrap().into_body();
        let mut received = 0;
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            received += data.len();
        }
        assert_eq!(received, LENGTH);
    });
    is_small([&front.process, &target]);
}
