"""h2load: many streams for a while without an error, and a front that does not grow."""

import re
import subprocess
import threading

from fronts import PATIENCE


def load(entry, path, seconds):
    """Puts load on, and gives how many requests were answered, all of them well."""
    connections, streams = ("100", "1") if entry.version == "1.1" else ("4", "100")
    command = ["h2load", "-c", connections, "-m", streams, "-D", str(seconds), entry.url(path)]
    if entry.version == "1.1":
        command.insert(1, "--h1")
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
    assert counts and counts.groups()[1:] == ("0", "0", "0"), said
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
    # Those under way when the time is up have a status but are not counted, or the reverse.
    assert statuses.groups()[1:] == ("0", "0", "0"), said
    return int(counts[1])


def test_load(entry, way, pytestconfig):
    seconds = pytestconfig.getoption("--seconds")
    path = f"/{way}/bytes/1000"
    # Connections, buffers and pools are as many as they will be.
    assert load(entry, path, 1) > 0
    memory = []
    over = threading.Event()

    def watch():
        while not over.wait(0.2):
            memory.append(entry.front.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answered = load(entry, path, seconds)
    finally:
        over.set()
        watcher.join()
    begun, ended = memory[: len(memory) // 2], memory[len(memory) // 2 :]
    print(f"{answered} answered; memory {min(memory)} to {max(memory)} KiB")
    assert answered > 0
    # The second half needs no more than the first did, but for what the allocator keeps.
    assert max(ended) < max(begun) * 1.05 + 1024, memory
