"""Many sessions behind WebSockets: a small server around a pool, and a client that loads it.

    pip install "gru-native[serve]"
    python serve.py                                 # serves on port 8765
    python serve.py --load 1000                     # against a server in a process of its own
    python serve.py --load 1000 --url ws://HOST:PORT

The model hears 8 kHz audio in frames of 20 ms, and says of each how sure it is of speech. (It has
learned nothing: load a file of yours instead.) A connection carries any number of sessions, which
the client numbers. A message is an array of frames (``FRAME``), of each session at most one; the
answer to it is an array of scores (``SCORE``), in the same order. The first frame of a session
opens it, the text "close NUMBER" closes it, and so does the end of the connection. A connection's
next message is read when its last one is answered, so a slow client slows down nobody else.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

import gru_native

RATE = 50  # frames a second
SAMPLES = 160  # in a frame
FRAME = np.dtype([("session", "<u4"), ("audio", "<i2", SAMPLES)])
SCORE = np.dtype([("session", "<u4"), ("speech", "<f4")])
RIDE_ALONG = 0.001  # seconds that a frame waits for others

Scores = NDArray[np.float32]


def model() -> gru_native.Chain:
    return gru_native.Chain(
        [
            gru_native.GRU(SAMPLES, 128, seed=1),
            gru_native.Dense(128, 1, activation="sigmoid", seed=2),
        ]
    )


class Batches:
    """Whoever has a frame within the next millisecond goes forward in the same step."""

    def __init__(self, pool: gru_native.SessionPool) -> None:
        self.pool = pool
        self.waiting: list[tuple[list[int], NDArray[np.int16], asyncio.Future[Scores]]] = []

    def step(self, sessions: list[int], audio: NDArray[np.int16]) -> asyncio.Future[Scores]:
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.call_later(RIDE_ALONG, self._run)
        answer: asyncio.Future[Scores] = loop.create_future()
        self.waiting.append((sessions, audio, answer))
        return answer

    def _run(self) -> None:
        # Those who left meanwhile have closed their sessions.
        waiting = [w for w in self.waiting if not w[2].done()]
        self.waiting = []
        if not waiting:
            return
        x = np.concatenate([audio for _, audio, _ in waiting]).astype(np.float32)
        x /= 32768
        try:
            y = self.pool.step([k for sessions, _, _ in waiting for k in sessions], x)[:, 0]
        except Exception as error:
            for _, _, answer in waiting:
                answer.set_exception(error)
            return
        begin = 0
        for sessions, _, answer in waiting:
            answer.set_result(y[begin : begin + len(sessions)])
            begin += len(sessions)


async def talk(connection: ServerConnection, batches: Batches) -> None:
    """Serve one connection to its end."""
    pool, sessions = batches.pool, dict[int, int]()  # the client's number -> the pool's id
    try:
        async for message in connection:
            if isinstance(message, str):
                word, _, number = message.partition(" ")
                number = number if len(number) < 11 else ""  # Python reads no longer ones at will
                if word != "close" or not number.isdecimal() or int(number) not in sessions:
                    await connection.close(1008, "expected: close NUMBER, of an open session")
                    return
                pool.close(sessions.pop(int(number)))
                continue
            if not message or len(message) % FRAME.itemsize:
                await connection.close(1008, f"expected frames of {FRAME.itemsize} bytes")
                return
            frames = np.frombuffer(message, FRAME)
            numbers = frames["session"].tolist()
            if len(set(numbers)) < len(numbers):
                await connection.close(1008, "expected at most one frame of a session")
                return
            try:
                for number in numbers:
                    if number not in sessions:
                        sessions[number] = pool.open()
            except RuntimeError:
                await connection.close(1013, "all sessions are taken")
                return
            scores = np.empty(len(frames), SCORE)
            scores["session"] = frames["session"]
            scores["speech"] = await batches.step([sessions[n] for n in numbers], frames["audio"])
            await connection.send(scores.tobytes())
    except ConnectionClosed:
        pass
    finally:
        for session in sessions.values():
            pool.close(session)


async def run_server(port: int, capacity: int, threads: int) -> None:
    gru_native.set_num_threads(threads)
    batches = Batches(model().sessions(capacity))
    gc.freeze()  # what is there now is there to stay, and need not be looked through again
    # Audio does not shrink, and compressing takes longer than the model.
    async with serve(lambda c: talk(c, batches), "localhost", port, compression=None) as server:
        address = server.sockets[0].getsockname()
        print(f"ws://localhost:{address[1]}", flush=True)
        await server.serve_forever()


async def send_audio(url: str, count: int, begin: float, end: float) -> list[float]:
    """Be `count` sessions on one connection; the seconds from when frames were due to answers.

    A frame that must wait because an answer is late was due all the same, and counts from then.
    The first frame, which opens the sessions, is sent beforehand and does not count.
    """
    rng = np.random.default_rng(int(begin * 1e6))
    seconds = []
    async with connect(url, compression=None) as connection:
        frames = np.empty(count, FRAME)
        frames["session"] = np.arange(count)
        noise = rng.integers(-3000, 3000, (8, count, SAMPLES), dtype=np.int16)
        frames["audio"] = noise[0]
        await connection.send(frames.tobytes())
        await connection.recv()
        due, k = begin, 1
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            frames["audio"] = noise[k % len(noise)]
            await connection.send(frames.tobytes())
            await connection.recv()
            seconds.append(time.perf_counter() - due)
            due, k = due + 1 / RATE, k + 1
    return seconds


async def load(url: str, sessions: int, per_connection: int, seconds: float) -> None:
    """Send audio at the rate at which it is spoken, and report how the answers come."""
    counts = [per_connection] * (sessions // per_connection)
    if sessions % per_connection:
        counts.append(sessions % per_connection)
    gc.freeze()
    begin = time.perf_counter() + 1 + sessions / 1000  # all are connected by then
    spread = 1 / RATE / len(counts)  # speakers do not begin at one moment
    begins = [begin + i * spread for i in range(len(counts))]
    results = await asyncio.gather(
        *(
            send_audio(url, n, start, begin + seconds)
            for n, start in zip(counts, begins, strict=True)
        )
    )
    took = time.perf_counter() - begin
    weights = np.repeat(counts, [len(r) for r in results])
    latencies = np.repeat(np.concatenate(results), weights) * 1e3
    print(
        f"{sessions} sessions on {len(counts)} connections: {len(latencies) / took:.0f} frames "
        f"a second, median {np.median(latencies):.2f} ms, "
        f"99.9th percentile {np.quantile(latencies, 0.999):.2f} ms, "
        f"longest {latencies.max():.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=8765, help="0: any that is free")
    parser.add_argument("--capacity", type=int, default=10_000, help="sessions at once")
    parser.add_argument("--threads", type=int, default=1, help="of the server's steps")
    parser.add_argument("--load", type=int, metavar="SESSIONS", help="be the client")
    parser.add_argument("--url", help="whom to load; default: a server made for it")
    parser.add_argument("--per-connection", type=int, default=20, help="sessions of each")
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    if given.load is None:
        asyncio.run(run_server(given.port, given.capacity, given.threads))
        return
    server = None
    if not given.url:
        command = [sys.executable, __file__, "--port", "0", "--threads", str(given.threads)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout
        given.url = server.stdout.readline().strip()
    try:
        asyncio.run(load(given.url, given.load, given.per_connection, given.seconds))
    finally:
        if server:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
