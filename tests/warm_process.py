"""The processes behind `tests.warm`.

`keep ADDRESS LIBRARY...` imports the libraries and forks a process for each connection.
`run ADDRESS CODE ARGV...` has the code run in such a process: it hands over its files, folder and
environment, hands on its signals, and ends as the other ended. If it is killed, so is the other.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(address: str, *command: str) -> int:
    """Ask for the command, and wait for it."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(address)
        order = json.dumps([command, str(Path.cwd()), dict(os.environ)]).encode()
        socket.send_fds(asked, [len(order).to_bytes(4, "big")], [0, 1, 2])
        asked.sendall(order)
        for one in SIGNALS:
            signal.signal(one, lambda number, _: asked.send(bytes([number])))
        told = asked.recv(2)
        assert told, "the process that was to watch has died"
        status = int.from_bytes(told, "big", signed=True)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def keep(address: str, *libraries: str) -> str:
    """Serve until standard input ends; returns the code to run, in the processes that run it."""
    for library in libraries:
        import_module(library)
    gc.freeze()  # the memory stays shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        print("ready", flush=True)
        while True:
            if 0 in select.select([0, door], [], [])[0]:
                Path(address).unlink()
                Path(address).parent.rmdir()
                os._exit(0)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            asked, _ = door.accept()
            if not os.fork():
                break
            asked.close()
    return _attend(asked)


def _attend(asked: socket.socket) -> str:
    """Fork once more: the parent watches, the child becomes what was asked for."""
    size, files, *_ = socket.recv_fds(asked, 4, 3)
    order = asked.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
    child = os.fork()
    if child:
        for file in files:
            os.close(file)
        _watch(child, asked)
    asked.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    (code, *argv), folder, environment = json.loads(order)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *argv]
    sys.path[:0] = ["", *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    random.seed()
    return str(code)


def _watch(child: int, asked: socket.socket) -> NoReturn:
    """Hand on signals to the child, kill it when nobody waits for it, and tell how it ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with suppress(BrokenPipeError):
                code = os.waitstatus_to_exitcode(status)
                asked.send(code.to_bytes(2, "big", signed=True))
            os._exit(0)
        ready = select.select([asked, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 64)
        if asked in ready:
            for number in asked.recv(64) or [signal.SIGKILL]:
                os.kill(child, number)


if __name__ == "__main__":
    kind, *given = sys.argv[1:]
    if kind == "run":
        sys.exit(run(*given))
    wanted = keep(*given)
    sys.modules["__main__"] = module = ModuleType("__main__")
    exec(compile(wanted, "<string>", "exec"), module.__dict__)
