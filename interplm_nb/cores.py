"""How many processor cores this process may use."""


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has under a container's CPU limit.

    A container with two of a host's 64 cores sees all 64. Threads that wait for one another on
    cores that others use are far slower than one thread: UniRep read 5,500 residues a second with
    one thread next to a busy core, and 880 with two (2 cores, bfloat16). LOKY_MAX_CPU_COUNT sets a
    lower number.

    >>> usable_cores() >= 1
    True
    """
    # Not at the top: it takes a third of a second, and few commands need it.
    from joblib import cpu_count

    return cpu_count()
