# The tutorial's two jobs in CPython: each round prints the seconds of the sum, of the product, and of both in two processes.

import multiprocessing
import sys
import time


def func1(x):
    res1 = 0
    for i in range(x):
        res1 += i
    return res1


def func2(y):
    res2 = 1
    for i in range(1, y):
        res2 *= i
    return res2


def seconds(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


def both():
    # Forking is CPython's quickest way to start a process.
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=func1, args=(100000000,)), fork.Process(target=func2, args=(100000,))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


for _ in range(int(sys.argv[1])):
    print(seconds(lambda: func1(100000000)), seconds(lambda: func2(100000)), seconds(both))
