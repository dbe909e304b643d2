"""Threads that stand for MPI's processes: a communicator of mpi4py's kind between them."""

import queue
import threading

ANYONE = -1


class Request:
    def __init__(self, test):
        self.Test = test


class ThreadComm:
    """What `Messages` asks of mpi4py's communicators, between threads of this process.

    As with MPI, an array is read when its receiver takes it, and not before.
    """

    def __init__(self, rank, size, shared):
        self.rank, self.size, self.shared = rank, size, shared

    @staticmethod
    def of(size):
        shared = {"queues": {}, "lock": threading.Lock()}
        return [ThreadComm(rank, size, shared) for rank in range(size)]

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def Dup(self):
        return self

    def _queue(self, *key):
        with self.shared["lock"]:
            return self.shared["queues"].setdefault(key, queue.Queue())

    def Isend(self, data, dest, tag):
        taken = threading.Event()
        self._queue(self.rank, dest, tag).put((data, taken))
        return Request(taken.is_set)

    def Irecv(self, data, source, tag):
        def test():
            return self._take(data, source, tag)

        return Request(test)

    def _take(self, data, source, tag):
        try:
            sent, taken = self._queue(source, self.rank, tag).get_nowait()
        except queue.Empty:
            return False
        data[...] = sent
        taken.set()
        return True

    def Iprobe(self, source, tag):
        sources = range(self.size) if source == ANYONE else [source]
        return any(self._queue(rank, self.rank, tag).qsize() for rank in sources)

    def Recv(self, data, source, tag):
        assert source == ANYONE
        assert any(self._take(data, rank, tag) for rank in range(self.size))


def together(size, work):
    """What work(comm) gives each of so many workers; an exception is in the place of a result."""
    results = [None] * size

    def run(comm):
        try:
            results[comm.rank] = work(comm)
        except BaseException as error:
            results[comm.rank] = error

    threads = [
        threading.Thread(target=run, args=(comm,), daemon=True) for comm in ThreadComm.of(size)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a worker waits for ever"
    return results
