"""Each layer of NIN-CIFAR against the machine's limit, pass by pass.

python -m benchmarks.nin                     # two threads, batches 1 and 128
python -m benchmarks.nin --batch 32 --target avx2
python -m benchmarks.nin --json results.json
"""

import argparse

import ninc
from benchmarks import layers, write_json


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 128], help="default: 1 128")
    parser.add_argument("--threads", type=int, default=ninc.get_num_threads())
    parser.add_argument("--target", help="instruction set, for example avx2")
    parser.add_argument("--batch-norm", action="store_true", help="the batch_norm=True variant")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if options.target:
        ninc.set_target(options.target)
    ninc.set_num_threads(options.threads)

    results = []
    for batch in options.batch:
        network = ninc.models.nin_cifar10(batch_norm=options.batch_norm, seed=0)
        results.append(layers.print_table(network, (batch, 3, 32, 32), options.threads))
        print()
    write_json(options.json, results)


if __name__ == "__main__":
    main()
