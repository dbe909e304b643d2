"""Threads that stand for MPI's processes: a communicator of mpi4py's kind between them."""

import queue
import threading


class Request:
    def __init__(self, test):
        self.Test = test


class ThreadComm:
    """What Workers asks of mpi4py's communicators, between threads of this process."""

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
        self._queue(self.rank, dest, tag).put(data.copy())
        return Request(lambda: True)

    def Irecv(self, data, source, tag):
        def test():
            try:
                data[...] = self._queue(source, self.rank, tag).get_nowait()
            except queue.Empty:
                return False
            return True

        return Request(test)


def together(size, work):
    """What work(comm) gives each of so many workers; an exception is in the place of a result."""
    results = [None] * size

    def run(comm):
        try:
            results[comm.rank] = work(comm)
        except Exception as error:
            results[comm.rank] = error

    threads = [threading.Thread(target=run, args=(comm,)) for comm in ThreadComm.of(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
