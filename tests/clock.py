"""A limit on how long something may take."""

import signal
from contextlib import contextmanager


@contextmanager
def within(seconds):
    """Interrupt the body when it takes longer."""

    def late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
