"""Tasks in the pools of CPython. Each line asks for one sample, and the answer is how many seconds it took."""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool


def work(rounds):
    for _ in range(rounds):
        pass
    return rounds


def echo(value):
    return value


def rounds_per_second():
    rounds = 1_000_000
    shortest = 1e9
    for _ in range(5):
        start = time.perf_counter()
        work(rounds)
        shortest = min(shortest, time.perf_counter() - start)
    return rounds / shortest


def main():
    begin, arguments = None, ()
    if len(sys.argv) > 1:
        begin, arguments = os.sched_setaffinity, (0, {int(sys.argv[1])})
    rate = rounds_per_second()
    with Pool(2, begin, arguments) as pool, ProcessPoolExecutor(2, initializer=begin, initargs=arguments) as executor:
        ways = {
            "map1": lambda f, inputs: pool.map(f, inputs, chunksize=1),
            "map": lambda f, inputs: pool.map(f, inputs),
            "imap": lambda f, inputs: list(pool.imap(f, inputs)),
            "apply": lambda f, inputs: [pool.apply(f, (x,)) for x in inputs],
            "submit": lambda f, inputs: [task.result() for task in [executor.submit(f, x) for x in inputs]],
        }
        for line in sys.stdin:
            way, seconds, length, count = line.split()
            if length == "0":
                f, inputs = work, [round(float(seconds) * rate)] * int(count)
            else:
                f, inputs = echo, [b"7" * int(length) for _ in range(int(count))]
            start = time.perf_counter()
            ways[way](f, inputs)
            print(time.perf_counter() - start, flush=True)


main()
