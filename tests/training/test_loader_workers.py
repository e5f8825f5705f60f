import os
import signal
import time

import pytest
import torch
from torch.utils.data import DataLoader

from pipeline_src.training.loader_workers import GuardedDataset, guard_process
from tests.training.toy_training import PROCESSES


def guarded_child(connection):
    """Fork a guarded grandchild; when told to, send it a signal as its parent does."""
    ready, write = os.pipe()
    child = os.fork()
    if child == 0:
        guard_process()
        os.write(write, b"1")
        time.sleep(60)
        os._exit(1)
    os.read(ready, 1)
    connection.send(child)
    connection.recv()
    still_there = os.waitpid(child, os.WNOHANG) == (0, 0)
    os.kill(child, signal.SIGTERM)
    connection.send((still_there, os.waitpid(child, 0)[1]))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_guarded_process_obeys_its_parent_and_ignores_everyone_else(name):
    here, there = PROCESSES.Pipe()
    parent = PROCESSES.Process(target=guarded_child, args=(there,))
    parent.start()
    os.kill(here.recv(), signal.Signals[name])
    time.sleep(0.2)
    here.send("go on")
    assert here.recv() == (True, 0)
    parent.join()


class Numbers:
    def __len__(self):
        return 7

    def __getitem__(self, key):
        return torch.tensor([key * 2, len(signal.pthread_sigmask(signal.SIG_BLOCK, []))])


def test_a_guarded_dataset_is_the_dataset_and_guards_workers_only():
    guarded = GuardedDataset(Numbers())
    unguarded_mask = len(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert len(guarded) == 7
    assert guarded[3].tolist() == [6, unguarded_mask]
    for workers in (0, 2):
        items = torch.cat(
            list(DataLoader(guarded, num_workers=workers, multiprocessing_context=_fork(workers)))
        )
        assert items[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12]
        blocked = {unguarded_mask + 3} if workers else {unguarded_mask}
        assert set(items[:, 1].tolist()) == blocked


def _fork(workers):
    return "fork" if workers else None
