"""Looking after processes that serve the same application."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time

from .running import STARTUP_FAILURE, Settings, run_worker

logger = logging.getLogger("ostler.error")

# Says to a process that it is one of a supervisor's, by its settings; and where it says that it serves.
SETTINGS_VARIABLE = "OSTLER_WORKER_SETTINGS"
READY_VARIABLE = "OSTLER_WORKER_READY"

SIGNALS = {
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGCHLD,
    signal.SIGTTIN,
    signal.SIGTTOU,
}
# Seconds between looks at what no signal tells.
TICK = 0.5
# Seconds before a process is started again that never came to serve, and the most of them.
BACK_OFF, MOST_BACK_OFF = 1.0, 30.0
# Seconds that a process has to finish what it has begun when it is replaced in development.
RELOAD_PATIENCE = 5.0


class Worker:
    """A process that serves."""

    def __init__(self, settings: Settings) -> None:
        ready, tell = os.pipe()
        os.set_blocking(ready, False)
        environment = {
            **os.environ,
            SETTINGS_VARIABLE: settings.to_json(),
            READY_VARIABLE: str(tell),
        }
        command = [sys.executable, "-m", "ostler"]
        self._process = subprocess.Popen(command, env=environment, pass_fds=[tell])
        os.close(tell)
        self._ready = ready
        self._is_ready = False
        self.kill_at: float | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_ready(self) -> bool:
        """Whether it has come to serve."""
        if not self._is_ready:
            try:
                self._is_ready = os.read(self._ready, 1) != b""
            except BlockingIOError:
                pass
        return self._is_ready

    def status(self) -> int | None:
        """How it has ended, if it has."""
        return self._process.poll()

    def stop(self, patience: float | None = None) -> None:
        """Has it finish what it has begun; it is killed when its patience is at an end."""
        self._process.send_signal(signal.SIGTERM)
        if patience is not None:
            self.kill_at = time.monotonic() + patience

    def kill_if_late(self) -> None:
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            self._process.kill()
            self.kill_at = None

    def close(self) -> None:
        os.close(self._ready)


class Supervisor:
    """Starts processes, starts them again, replaces them and stops them.

    SIGHUP replaces one after the other, each when its successor serves; SIGTTIN and SIGTTOU make them one more or
    less.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: list[Worker] = []
        # Told to stop, and not ended yet.
        self._leaving: list[Worker] = []
        # To be replaced, and who comes in the place of the first.
        self._outdated: list[Worker] = []
        self._successor: Worker | None = None
        self._wanted = settings.workers
        self._back_off = BACK_OFF
        self._start_at = 0.0
        self._has_served = False

    def run(self) -> int:
        """Runs until told to stop; returns an exit status."""
        # Waited for in `_next_signal`; processes that are started let them through again.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        changes = None
        if self._settings.reload:
            from .watch import watch

            changes = watch(self._settings)
        status = None
        while status is None:
            self._start_missing()
            changed = next(changes) if changes is not None else []
            number = self._next_signal(0.0 if changes is not None else self._tick())
            if number in (signal.SIGTERM, signal.SIGINT):
                break
            if number == signal.SIGHUP:
                self._outdated = list(self._workers)
            elif number == signal.SIGTTIN:
                self._wanted += 1
            elif number == signal.SIGTTOU and self._wanted > 1:
                self._wanted -= 1
                self._leave(self._workers.pop())
            if changed:
                self._reload(changed)
            self._replace()
            status = self._reap()
        self._stop_all()
        return status or 0

    def _tick(self) -> float:
        return 0.05 if self._successor is not None or self._outdated else TICK

    def _next_signal(self, timeout: float) -> int | None:
        info = signal.sigtimedwait(SIGNALS, timeout)
        return info.si_signo if info is not None else None

    def _start_missing(self) -> None:
        if time.monotonic() < self._start_at:
            return
        while len(self._workers) < self._wanted:
            self._workers.append(Worker(self._settings))

    def _reload(self, changed: list[str]) -> None:
        logger.warning("%s changed: reloading.", ", ".join(changed))
        for worker in self._workers:
            self._leave(worker, RELOAD_PATIENCE)
        # The queue outlasts them: requests wait for those that come now.
        self._workers.clear()
        self._start_at = 0.0

    def _replace(self) -> None:
        """Brings the replacement of processes one step further."""
        self._outdated = [worker for worker in self._outdated if worker in self._workers]
        if self._successor is None:
            if self._outdated:
                self._successor = Worker(self._settings)
            return
        if self._successor.is_ready():
            self._workers.append(self._successor)
            if self._outdated:
                old = self._outdated.pop(0)
                self._workers.remove(old)
                self._leave(old)
            self._successor = None
        elif self._successor.status() is not None:
            logger.error("The new process did not come to serve: the old ones stay.")
            self._successor.close()
            self._successor = None
            self._outdated.clear()

    def _leave(self, worker: Worker, patience: float | None = None) -> None:
        worker.stop(patience)
        self._leaving.append(worker)

    def _reap(self) -> int | None:
        """Looks who has ended; an exit status if there is no point in going on."""
        for worker in list(self._leaving):
            worker.kill_if_late()
            if worker.status() is not None:
                worker.close()
                self._leaving.remove(worker)
        for worker in list(self._workers):
            self._has_served |= worker.is_ready()
            status = worker.status()
            if status is None:
                continue
            self._workers.remove(worker)
            if worker.is_ready():
                if status != 0:
                    logger.error("The process %d ended with %d: another one starts.", worker.pid, status)
                self._back_off = BACK_OFF
            elif self._settings.reload:
                # Until something changes.
                self._start_at = float("inf")
            elif not self._has_served:
                logger.error("The process %d did not come to serve.", worker.pid)
                return status if status > 0 else STARTUP_FAILURE
            else:
                self._start_at = time.monotonic() + self._back_off
                self._back_off = min(self._back_off * 2, MOST_BACK_OFF)
            worker.close()
        return None

    def _stop_all(self) -> None:
        everybody = [*self._workers, *self._leaving]
        if self._successor is not None:
            everybody.append(self._successor)
        for worker in everybody:
            worker.stop()
        while any(worker.status() is None for worker in everybody):
            for worker in everybody:
                worker.kill_if_late()
            # A second signal is for them to hear, too.
            if self._next_signal(TICK) in (signal.SIGTERM, signal.SIGINT):
                for worker in everybody:
                    worker.stop()


def run_if_worker() -> int | None:
    """Serves, if this process is one that a supervisor has started."""
    settings = os.environ.pop(SETTINGS_VARIABLE, None)
    if settings is None:
        return None
    descriptor = int(os.environ.pop(READY_VARIABLE))
    os.set_inheritable(descriptor, False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # A terminal's Ctrl-C reaches every process of the group: the supervisor passes it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ready() -> None:
        os.write(descriptor, b"!")

    return run_worker(Settings.from_json(settings), ready, [signal.SIGTERM])
